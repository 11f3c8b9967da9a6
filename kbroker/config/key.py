"""The definition of a configuration key, with everything that is known of it.

A key is a typed descriptor of the class that holds it: `config.num_partitions` is an int to mypy,
and `BrokerConfig.num_partitions` is the key itself. The attribute is Kafka's name with `_` for `.`.
A key without a sentence of documentation has no effect here. It is known, checked and shown, and
the broker says so at a start that sets it.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar, cast, overload

from kbroker.releases.release import NEWEST

from .validators import ListOf
from .values import ConfigType, Value, parse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kbroker.releases.release import ConfiguredResource, Release

    from .validators import Validator

T = TypeVar("T", bound=Value)
Strings = tuple[str, ...]


class Scope(Enum):
    """Where a broker key can be set besides the properties file (DynamicBrokerConfig)."""

    READ_ONLY = "read-only"
    PER_BROKER = "per-broker"
    CLUSTER_WIDE = "cluster-wide"


READ_ONLY, PER_BROKER, CLUSTER_WIDE = Scope
_, BOOLEAN, STRING, INT, SHORT, LONG, DOUBLE, LIST, CLASS, PASSWORD = ConfigType


class Synonym(NamedTuple):
    """A broker key that gives another key its value; `factor` converts its unit."""

    name: str
    factor: int = 1


class Key(Generic[T]):
    """One key.

    `synonyms`: the broker keys that are read for it, best first (a broker key's own name among
    them); empty where there is only the key itself.
    """

    __slots__ = (
        "attribute",
        "default",
        "doc",
        "internal",
        "name",
        "scope",
        "synonyms",
        "type",
        "validator",
    )

    def __init__(
        self,
        name: str,
        config_type: ConfigType,
        default: T,
        validator: Validator | None = None,
        *,
        doc: str = "",
        scope: Scope = READ_ONLY,
        synonyms: tuple[Synonym, ...] = (),
        internal: bool = False,
    ) -> None:
        self.name = name
        self.attribute = name.replace(".", "_")
        self.type = config_type
        self.default = default
        self.validator = validator
        self.doc = doc
        self.scope = scope
        self.synonyms = synonyms
        self.internal = internal

    @property
    def has_effect(self) -> bool:
        return self.doc != ""

    @property
    def is_sensitive(self) -> bool:
        return self.type is PASSWORD

    def parse(self, text: str) -> T:
        """The valid value of `text`, or ConfigError."""
        value = parse(self.name, self.type, text)
        if isinstance(self.validator, ListOf) and isinstance(value, tuple):
            value = tuple(dict.fromkeys(value))  # repeated entries count once (KIP-1161)
        if self.validator is not None:
            self.validator(self.name, value)
        return cast("T", value)

    @overload
    def __get__(self, holder: None, owner: type[Keyed]) -> Key[T]: ...
    @overload
    def __get__(self, holder: Keyed, owner: type[Keyed]) -> T: ...
    def __get__(self, holder: Keyed | None, owner: type[Keyed]) -> Key[T] | T:
        if holder is None:
            return self
        value = holder.resolve(self)
        # An instance attribute shadows this descriptor: the next read is a plain attribute read.
        holder.__dict__[self.attribute] = value
        return value


class Keyed:
    """A class whose attributes are Keys; in its instances they are the keys' values."""

    def resolve(self, key: Key[T]) -> T:
        """The key's value for this holder."""
        raise NotImplementedError


def known_keys(
    keys: Mapping[str, Key[Value]], release: Release, resource: ConfiguredResource
) -> Mapping[str, Key[Value]]:
    """Those of `keys` that the release has. `keys` are all that any release has."""
    if release is NEWEST:
        return keys
    known = release.keys(resource)
    return {name: key for name, key in keys.items() if name in known}


def keys_of(holder: type[Keyed]) -> dict[str, Key[Value]]:
    """Every key that `holder` and its bases define, by Kafka's name, in order of definition."""
    found: dict[str, Key[Value]] = {}
    for base in reversed(holder.__mro__):
        for attribute in base.__dict__.values():
            if isinstance(attribute, Key):
                found[attribute.name] = attribute
    return found
