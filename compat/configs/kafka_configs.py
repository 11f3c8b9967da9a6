"""Kafka's own configuration classes in a Java process that stays (java/Configs.java)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from compat.line_process import LineProcess

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class KafkaKey:
    """What a ConfigDef and its neighbours say of one key."""

    type: str
    required: bool
    default: str | None
    validator: str | None  # as the documentation shows it
    internal: bool
    synonyms: list[str]
    mode: str | None = None  # of a broker key: read-only, per-broker or cluster-wide


class KafkaConfigs(LineProcess):
    """Use as a context manager."""

    def keys(self) -> dict[str, dict[str, KafkaKey]]:
        """By resource type and name."""
        answer = cast("dict[str, dict[str, dict[str, object]]]", self._ask("keys"))
        return {
            resource: {name: KafkaKey(**key) for name, key in keys.items()}  # type: ignore[arg-type]
            for resource, keys in answer.items()
        }

    def value(self, resource: str, key: str, text: str) -> str | None:
        """What is wrong with a value by itself; None: nothing."""
        return cast("str | None", self._ask("value", resource, key, text))

    def start(self, settings: Mapping[str, str]) -> str | None:
        """What a start with these settings says; None: it starts."""
        return cast("str | None", self._ask("start", dict(settings)))

    def originals(self, settings: Mapping[str, str]) -> dict[str, str]:
        """The settings as a start sees them, with what stands elsewhere put in."""
        return cast("dict[str, str]", self._ask("originals", dict(settings)))

    def load(self, path: Path) -> dict[str, str]:
        """A properties file as a start reads it."""
        return cast("dict[str, str]", self._ask("load", str(path)))

    def _ask(self, *question: object) -> object:
        answer = self.ask_line(json.dumps(question))
        assert answer, "the Java program has ended"
        return json.loads(answer)
