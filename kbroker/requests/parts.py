"""What handlers of requests with several parts (topics, partitions, resources) have in common."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    PartT = TypeVar("PartT")

# By what topics are known, and where most messages have their partitions.
NAME: Final = attrgetter("name")
TOPIC_ID: Final = attrgetter("topic_id")
PARTITIONS: Final = attrgetter("partitions")


def each_once(
    topics: Iterable[PartT],
    key: Callable[[PartT], object],
    partitions: Callable[[PartT], list[Any]] = PARTITIONS,
) -> list[PartT]:
    """Each topic once, where it is first named, with the partitions of all its mentions.

    Kafka merges topics that are named twice. The first mention gets the partitions of the others.
    """
    merged: dict[object, PartT] = {}
    for topic in topics:
        first = merged.setdefault(key(topic), topic)
        if first is not topic:
            partitions(first).extend(partitions(topic))
    return list(merged.values())


def completed(answers: Sequence[PartT | None], others: Sequence[PartT]) -> list[PartT]:
    """The answers, with those of `others`, in their order, in the places that have none."""
    assert sum(each is None for each in answers) == len(others), "each place gets an answer"
    rest = iter(others)
    return [next(rest) if each is None else each for each in answers]
