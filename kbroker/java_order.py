"""The hash codes of Java's classes, and the order in which a HashMap or HashSet iterates its keys.

Kafka leaves both visible to clients and in its logs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

K = TypeVar("K")

_INT_MASK = 0xFFFFFFFF
_INT_SIGN = 0x80000000


def string_hash(text: str) -> int:
    """String.hashCode: over UTF-16 units, as a signed 32-bit number."""
    units = text.encode("utf-16-le", "surrogatepass")
    value = 0
    for low, high in zip(units[::2], units[1::2], strict=True):
        value = (value * 31 + (high << 8 | low)) & _INT_MASK
    return value - (1 << 32) if value & _INT_SIGN else value


def topic_partition_hash(topic: str, partition: int) -> int:
    """TopicPartition.hashCode."""
    return (31 * (31 + partition) + string_hash(topic)) & _INT_MASK


def hash_map_order(keys: Collection[K], hash_of: Callable[[K], int]) -> list[K]:
    """The keys of a HashMap in the order Java iterates them, given their order of insertion.

    Where Kafka breaks a tie by "the first one found", this is what is found first.
    """
    table_size = 16
    while len(keys) > table_size * 3 // 4:
        table_size *= 2

    def bucket(key: K) -> int:
        value = hash_of(key) & _INT_MASK
        return (value ^ value >> 16) & table_size - 1

    return sorted(keys, key=bucket)
