"""The partitions of this broker, found by name or by topic id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbroker.wire.errors import ErrorCode, RequestError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .partition import Partition

_NONE: Mapping[int, ErrorCode] = {}


class PartitionTable:
    """Look-ups on the hot path: two dict reads each."""

    def __init__(self) -> None:
        self._by_name: dict[str, dict[int, Partition]] = {}
        self._by_id: dict[bytes, dict[int, Partition]] = {}
        self._unopened: dict[str, dict[int, ErrorCode]] = {}

    def __iter__(self) -> Iterator[Partition]:
        for partitions in list(self._by_name.values()):
            yield from list(partitions.values())

    def __len__(self) -> int:
        return sum(map(len, self._by_name.values()))

    def add(self, partition: Partition) -> None:
        partitions = self._by_name.setdefault(partition.topic, {})
        partitions[partition.index] = partition
        if partition.topic in self._unopened:
            self._unopened[partition.topic].pop(partition.index, None)
        self._by_id[partition.topic_id] = partitions

    def remove(self, topic: str, topic_id: bytes) -> list[Partition]:
        """Takes a topic out; its partitions here."""
        self._unopened.pop(topic, None)
        partitions = self._by_name.pop(topic, {})
        self._by_id.pop(topic_id, None)
        return list(partitions.values())

    def mark_unopened(self, topic: str, index: int, why: ErrorCode) -> None:
        """The partition belongs here, and its log cannot be opened, or must not be."""
        self._unopened.setdefault(topic, {})[index] = why

    def why_missing(self, topic: str, index: int) -> ErrorCode:
        """What to tell who asks for a partition that is not in the table."""
        unopened = self._unopened.get(topic, _NONE)
        return unopened.get(index, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)

    def get(self, topic: str, index: int) -> Partition | None:
        partitions = self._by_name.get(topic)
        return None if partitions is None else partitions.get(index)

    def get_by_id(self, topic_id: bytes, index: int) -> Partition | None:
        partitions = self._by_id.get(topic_id)
        return None if partitions is None else partitions.get(index)

    def of_topic(self, topic: str) -> list[Partition]:
        return list(self._by_name.get(topic, {}).values())

    def leader(self, topic: str, index: int, current_leader_epoch: int = -1) -> Partition:
        """The partition, if this broker leads it at that epoch; RequestError."""
        partition = self.get(topic, index)
        if partition is None:
            raise RequestError(self.why_missing(topic, index))
        partition.check_leader(current_leader_epoch)
        return partition
