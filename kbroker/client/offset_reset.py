"""Computes new offsets for a group, in all the ways that kafka-consumer-groups has.

`plan_reset` asks the brokers and changes nothing; `commit_offsets` carries the plan out. As in
Kafka's tool, an offset outside of the log becomes the nearest offset inside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from .errors import ClientError
from .records import BEGINNING, END, list_offsets, offsets_for

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .cluster import Cluster, TopicPartition


@dataclass(frozen=True, slots=True)
class ToTime:
    """The first record at or after a time in ms, else the end; or BEGINNING or END."""

    timestamp: int


@dataclass(frozen=True, slots=True)
class ToOffset:
    """The same offset in every partition."""

    offset: int


@dataclass(frozen=True, slots=True)
class ShiftBy:
    """So many offsets on from what is committed; back if below 0."""

    count: int


@dataclass(frozen=True, slots=True)
class ToCurrent:
    """What is committed, and the end where nothing is."""


@dataclass(frozen=True, slots=True)
class ToGiven:
    """Each partition's own offset."""

    offsets: Mapping[TopicPartition, int]


Way = ToTime | ToOffset | ShiftBy | ToCurrent | ToGiven


class PlannedOffset(NamedTuple):
    """What would be committed for a partition; `note` says where the way was not followed."""

    topic: str
    partition: int
    committed: int | None
    new: int
    note: str


async def plan_reset(
    cluster: Cluster,
    partitions: Sequence[TopicPartition],
    committed: Mapping[TopicPartition, int],
    way: Way,
) -> list[PlannedOffset]:
    """By topic and partition. `cluster.topics` must have the topics. ClientError."""
    starts = await offsets_for(cluster, dict.fromkeys(partitions, BEGINNING))
    ends = await offsets_for(cluster, dict.fromkeys(partitions, END))
    found: dict[TopicPartition, int] = {}
    if isinstance(way, ToTime) and way.timestamp not in (BEGINNING, END):
        answers = await list_offsets(cluster, dict.fromkeys(partitions, way.timestamp))
        found = {partition: answer.offset for partition, answer in answers.items()}
    return [
        decide(
            partition,
            way,
            committed.get(partition),
            starts[partition],
            ends[partition],
            found.get(partition, -1),
        )
        for partition in sorted(partitions)
    ]


def decide(
    partition: TopicPartition, way: Way, committed: int | None, start: int, end: int, at_time: int
) -> PlannedOffset:
    """`at_time` is what was found for a ToTime, -1 for nothing. ClientError."""
    note = ""
    match way:
        case ToTime(timestamp):
            wanted = {BEGINNING: start, END: end}.get(timestamp, at_time)
            if wanted < 0:
                wanted, note = end, "no record is at or after this time, so the end is used"
        case ToOffset(offset):
            wanted = offset
        case ShiftBy(count):
            if committed is None:
                raise ClientError(
                    f"Partition {partition[0]}-{partition[1]} cannot be shifted: the group has no "
                    "committed offset for it."
                )
            wanted = committed + count
        case ToCurrent():
            wanted = end if committed is None else committed
            if committed is None:
                note = "no offset was committed, so the end is used"
        case ToGiven(offsets):
            wanted = offsets[partition]
    if wanted < start:
        note = f"{wanted} is before the start of the log"
    elif wanted > end:
        note = f"{wanted} is after the end of the log"
    return PlannedOffset(*partition, committed, min(max(wanted, start), end), note)
