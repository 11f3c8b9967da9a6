"""Random messages of any class at any version, with the edges of every type among them."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING, cast

from kbroker.wire import messages, records
from kbroker.wire.message import Message, Request
from kbroker.wire.schema import fields_of

if TYPE_CHECKING:
    import random
    from types import ModuleType

    from kbroker.wire.message import Struct
    from kbroker.wire.schema import Field

INTEGERS = {
    "int8": (-(2**7), 2**7 - 1),
    "int16": (-(2**15), 2**15 - 1),
    "uint16": (0, 2**16 - 1),
    "int32": (-(2**31), 2**31 - 1),
    "uint32": (0, 2**32 - 1),
    "int64": (-(2**63), 2**63 - 1),
}
TEXTS = ("", "a", "topic-1", "größe", "ключ", "\x00", "𝄞", "x" * 126, "x" * 127, "é" * 100)


def all_classes() -> list[type[Message]]:
    """Every generated message and record class, by name."""
    return sorted(
        {cls for package in (messages, records) for cls in _classes_in(package)},
        key=lambda cls: cls.__name__,
    )


def all_versions() -> list[tuple[type[Message], int]]:
    return [
        (cls, version)
        for cls in all_classes()
        for version in range(cls.MIN_VERSION, cls.MAX_VERSION + 1)
    ]


def random_message(cls: type[Message], version: int, rng: random.Random) -> Message:
    """Fields that the version lacks have their defaults, so what is encoded is all there is."""
    return cast(Message, _struct(cls, version, rng))


def _struct(cls: type[Struct], version: int, rng: random.Random) -> Struct:
    value = cls()
    for field in fields_of(cls):
        # Tagged fields at their default are left out, which is worth a case of its own.
        if version in field.versions and not (version in field.tagged and rng.random() < 0.3):
            setattr(value, field.name, random_value(field, version, rng))
    return value


def random_value(field: Field, version: int, rng: random.Random) -> object:
    if version in field.nullable and rng.random() < 0.25:
        return None
    if field.is_array:
        return [_element(field, version, rng) for _ in range(_count(field, rng))]
    return _element(field, version, rng)


def _count(field: Field, rng: random.Random) -> int:
    if field.element == "int32" and rng.random() < 0.05:
        return 130  # a count that takes two bytes as a varint
    return rng.choice((0, 1, 1, 2, 3))


def _element(field: Field, version: int, rng: random.Random) -> object:
    match field.element:
        case "bool":
            return rng.random() < 0.5
        case "float64":
            return rng.choice((0.0, -0.5, 1e300, rng.random()))
        case "string":
            return rng.choice(TEXTS)
        case "uuid":
            return bytes(16) if rng.random() < 0.2 else rng.randbytes(16)
        case "bytes" | "records":
            return rng.randbytes(rng.choice((0, 1, 12, 126, 127, 200)))
        case str(kind):
            low, high = INTEGERS[kind]
            return rng.choice((low, high, 0, 1, rng.randint(low, high)))
        case struct:
            return _struct(struct, version, rng)


def _classes_in(package: ModuleType) -> list[type[Message]]:
    found = []
    for module in pkgutil.iter_modules(package.__path__):
        members = vars(importlib.import_module(f"{package.__name__}.{module.name}")).values()
        found += [m for m in members if isinstance(m, type) and issubclass(m, Message)]
    return [cls for cls in found if cls not in (Message, Request)]
