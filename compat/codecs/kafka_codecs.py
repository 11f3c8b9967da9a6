"""Kafka's own codecs in a Java process that stays, and our messages as the JSON Kafka shows."""

from __future__ import annotations

import base64
import json
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from kbroker.wire.schema import fields_of
from kbroker.wire.uuids import uuid_text

if TYPE_CHECKING:
    from types import TracebackType
    from typing import IO

    from kbroker.wire.message import Struct
    from kbroker.wire.schema import Field

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


class KafkaError(Exception):
    """Kafka's classes refused; the text is their exception's."""


@dataclass(frozen=True, slots=True)
class Answer:
    encoded: bytes
    shown: Json  # with `comparable` names


class KafkaCodecs:
    """Asks the Java program of java/Codecs.java, one line a question. Use as a context manager."""

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
        )

    def __enter__(self) -> KafkaCodecs:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.communicate(timeout=20)

    def error(self, code: int) -> tuple[str, bool, str]:
        """Name, whether it is retriable, and default message of an error code."""
        name, retriable, message = self._ask(f"error {code}").split(" ", 2)
        return name, retriable == "true", message

    def parse(self, name: str, version: int, encoded: bytes) -> Answer:
        """What Kafka makes of bytes. KafkaError if it cannot read them."""
        return self._ask_message(f"parse {name} {version} {encoded.hex()}")

    def convert(self, name: str, version: int, encoded: bytes, to: int) -> bytes | None:
        """Bytes of another version; None if that cannot say what these do."""
        try:
            return bytes.fromhex(self._ask(f"convert {name} {version} {encoded.hex()} {to}"))
        except KafkaError as error:
            # A null that the other version does not allow shows as the latter.
            if "UnsupportedVersionException" in str(error) or "NullPointer" in str(error):
                return None
            raise

    def random(self, name: str, version: int, seed: int) -> Answer:
        return self._ask_message(f"random {name} {version} {seed}")

    def default(self, name: str, version: int) -> Answer:
        return self._ask_message(f"default {name} {version}")

    def _ask_message(self, question: str) -> Answer:
        encoded, _, shown = self._ask(question).partition(" ")
        return Answer(bytes.fromhex(encoded), _comparable(json.loads(shown)))

    def _ask(self, question: str) -> str:
        stdin, stdout = cast("IO[str]", self._process.stdin), cast("IO[str]", self._process.stdout)
        stdin.write(question + "\n")
        stdin.flush()
        verdict, _, rest = stdout.readline().partition(" ")
        if verdict != "ok":
            raise KafkaError(rest.strip() or "the Java program has ended")
        return rest.rstrip("\n")


def as_json(value: Struct, version: int) -> Json:
    """What Kafka's JsonConverter shows of a message: fields of the version, tagged ones if set."""
    shown: dict[str, Json] = {}
    for field in fields_of(type(value)):
        each = getattr(value, field.name)
        if version not in field.versions:
            continue
        if version in field.tagged and field.is_default(each):
            continue
        shown[field.name.replace("_", "")] = _value(field, each, version)
    return shown


def _value(field: Field, value: object, version: int) -> Json:
    if value is None:
        return None
    if field.is_array:
        return [_element(field, each, version) for each in cast("list[object]", value)]
    return _element(field, value, version)


def _element(field: Field, value: object, version: int) -> Json:
    if not isinstance(field.element, str):
        return as_json(cast("Struct", value), version)
    if field.element == "uuid":
        return uuid_text(cast(bytes, value))
    if field.element == "records":
        return ""  # shown as empty, whatever they hold
    if field.element == "bytes":
        return base64.b64encode(cast(bytes, value)).decode()
    return cast(Json, value)


def _comparable(shown: Json) -> Json:
    """With keys in lower case: camel case and snake case meet there."""
    if isinstance(shown, dict):
        return {key.lower(): _comparable(value) for key, value in shown.items()}
    if isinstance(shown, list):
        return [_comparable(value) for value in shown]
    return shown
