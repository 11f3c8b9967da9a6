"""Kafka's own codecs in a Java process that stays, and our messages as the JSON Kafka shows."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from compat.line_process import LineProcess
from kbroker.wire.schema import fields_of
from kbroker.wire.uuids import uuid_text

if TYPE_CHECKING:
    from kbroker.wire.message import Struct
    from kbroker.wire.schema import Field

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


class KafkaError(Exception):
    """Kafka's classes refused; the text is their exception's."""


@dataclass(frozen=True, slots=True)
class Answer:
    encoded: bytes
    shown: Json  # with `comparable` names


class KafkaCodecs(LineProcess):
    """Asks the Java program of java/Codecs.java, one line a question. Use as a context manager."""

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
        verdict, _, rest = self.ask_line(question).partition(" ")
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
