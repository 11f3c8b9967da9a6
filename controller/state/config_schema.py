"""What decisions need to know of configuration keys. The broker's config package implements it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kbroker.wire.errors import ErrorCode


class EffectiveConfig(NamedTuple):
    """One key of a topic with the value in effect. `source` is Kafka's ConfigSource code."""

    name: str
    value: str | None
    source: int
    is_sensitive: bool
    is_read_only: bool


class ConfigSchema(Protocol):
    """Keys and values by resource type code (ResourceType). Reads the broker's configuration
    live.
    """

    def is_list(self, resource_type: int, key: str) -> bool:
        """Whether APPEND and SUBTRACT work on the key."""
        ...

    def default_text(self, resource_type: int, key: str) -> str | None:
        """What the key has where nothing is set; what APPEND starts from."""
        ...

    def check(
        self, resource_type: int, resource_name: str, values: Mapping[str, str]
    ) -> tuple[ErrorCode, str] | None:
        """What is wrong with all the values a resource would have; None: nothing."""
        ...

    def effective_topic(self, values: Mapping[str, str]) -> list[EffectiveConfig]:
        """All keys of a topic with these overrides, sorted by name."""
        ...

    def topic_value(self, values: Mapping[str, str], key: str) -> str:
        """One of them."""
        ...
