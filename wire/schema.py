"""Turns FIELDS, the compact data of a generated class, into typed values for the codecs."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final, cast

from .message import ZERO_UUID, Message, Struct

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

# struct format, size in bytes
FIXED: Final[Mapping[str, tuple[str, int]]] = {
    "bool": ("?", 1),
    "int8": ("b", 1),
    "int16": ("h", 2),
    "uint16": ("H", 2),
    "int32": ("i", 4),
    "uint32": ("I", 4),
    "int64": ("q", 8),
    "float64": ("d", 8),
    "uuid": ("16s", 16),
}

STRING_BYTES_MAX: Final = 32767  # Kafka's limit, at flexible versions too

_ZEROES: Final[Mapping[str, object]] = {
    "bool": False,
    "float64": 0.0,
    "string": "",
    "bytes": b"",
    "uuid": ZERO_UUID,
}


class Versions:
    """A range of versions, from Kafka's notation: "3+", "0-4", "2" or "none"."""

    __slots__ = ("first", "last")

    def __init__(self, text: str) -> None:
        if text == "none":
            self.first, self.last = 1, 0
            return
        first, dash, last = text.partition("-")
        self.first = int(first.removesuffix("+"))
        self.last = int(last) if dash else 32767 if text.endswith("+") else self.first

    def __contains__(self, version: int) -> bool:
        return self.first <= version <= self.last


class Field:
    """One field. `element` is a primitive's name, or the struct, also of an array's elements."""

    __slots__ = (
        "default",
        "element",
        "flexible",
        "ignorable",
        "is_array",
        "name",
        "nullable",
        "tag",
        "tagged",
        "versions",
    )

    def __init__(self, raw: tuple[object, ...]) -> None:
        name, kind, versions = raw[:3]
        options = cast("dict[str, object]", raw[3] if len(raw) > 3 else {})
        self.name = cast(str, name)
        self.is_array = isinstance(kind, tuple)
        self.element = cast("str | type[Struct]", kind[0] if isinstance(kind, tuple) else kind)
        self.versions = Versions(cast(str, versions))
        self.nullable = Versions(cast(str, options.get("nullable", "none")))
        self.tagged = Versions(cast(str, options.get("tagged", "none")))
        self.tag = cast(int, options.get("tag", -1))
        self.ignorable = "ignorable" in options
        self.flexible = Versions(cast(str, options.get("flexible", "0+")))
        # Of arrays and structs: None if null, anything else for an empty one.
        self.default = options.get("default", _ZEROES.get(str(self.element), 0))

    def null_struct(self, version: int) -> int:
        """The byte that stands for a nullable struct that is null; 1 stands before one that is not.

        Kafka writes a signed byte in place, but a varint in the tagged section.
        """
        return 0 if version in self.tagged else -1

    def default_value(self) -> object:
        """A new one, where the value could be changed."""
        if self.default is None:
            return None
        if self.is_array:
            return []
        return self.default if isinstance(self.element, str) else self.element()

    def is_default(self, value: object) -> bool:
        """As in Kafka, a struct is compared field by field, at all versions."""
        return value == self.default_value() and (value is None) == (self.default is None)


def fields_of(cls: type[Struct]) -> tuple[Field, ...]:
    return _fields_of(cast("Hashable", cls))


@cache
def _fields_of(cls: type[Struct]) -> tuple[Field, ...]:
    return tuple(Field(raw) for raw in cls.FIELDS)


def untagged(cls: type[Struct], version: int) -> list[Field]:
    """Those that stand in their place at the version, in order."""
    return [f for f in fields_of(cls) if version in f.versions and version not in f.tagged]


def tagged(cls: type[Struct], version: int) -> list[Field]:
    """Those that stand in the tagged section at the version, by tag."""
    found = [f for f in fields_of(cls) if version in f.versions and version in f.tagged]
    return sorted(found, key=lambda f: f.tag)


def tags_of_other_versions(cls: type[Struct], version: int) -> list[int]:
    """Tags that are fields of other versions only: Kafka refuses those and skips unknown ones."""
    found = {f.tag for f in fields_of(cls) if f.tag >= 0}
    return sorted(found - {f.tag for f in tagged(cls, version)})


def is_flexible(cls: type[Message], version: int) -> bool:
    return cls.FLEXIBLE is not None and version >= cls.FLEXIBLE


def check_version(cls: type[Message], version: int) -> None:
    """ValueError for a version the message does not have: the caller's mistake, not the bytes'."""
    if not cls.MIN_VERSION <= version <= cls.MAX_VERSION:
        known = f"{cls.MIN_VERSION} to {cls.MAX_VERSION}"
        raise ValueError(f"{cls.__name__} has versions {known}, not {version}")


def size_min(cls: type[Struct], version: int, flexible: bool) -> int:
    """The fewest bytes a struct takes at a version: bounds an array's count by what is left."""
    return sum(field_size_min(f, version, flexible) for f in untagged(cls, version)) + flexible


def field_size_min(field: Field, version: int, flexible: bool) -> int:
    flexible = flexible and version in field.flexible
    if field.is_array:
        return 1 if flexible else 4
    if not isinstance(field.element, str):
        if version in field.nullable:
            return 1
        return size_min(field.element, version, flexible)
    if field.element in FIXED:
        return FIXED[field.element][1]
    if flexible:
        return 1
    return 2 if field.element == "string" else 4


def element_size_min(field: Field, version: int, flexible: bool) -> int:
    """As `size_min`, of one element of an array; at least 1."""
    if not isinstance(field.element, str):
        return max(1, size_min(field.element, version, flexible))
    if field.element in FIXED:
        return FIXED[field.element][1]
    return 1 if flexible else 2 if field.element == "string" else 4
