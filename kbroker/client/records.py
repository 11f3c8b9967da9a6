"""Reads the records of a topic from where the caller says."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

import trio

from kbroker.storage import formats
from kbroker.storage.errors import StorageError
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.fetch import FetchPartition, FetchRequest, FetchResponse, FetchTopic
from kbroker.wire.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopic,
)

from .cluster import by_leader
from .errors import BrokerError, ClientError, check, error_code

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kbroker.storage.batch import TimestampType

    from .cluster import Cluster, TopicPartition

BEGINNING = -2  # ListOffsets' timestamps with a meaning of their own
END = -1
MAX_TIMESTAMP = -3  # the record with the largest timestamp
EARLIEST_LOCAL = -4
LATEST_TIERED = -5
FETCH_BYTES_MAX = 2 * 1024 * 1024
LEADERS_WAIT_S = 0.1


class Isolation(IntEnum):
    """What of transactions a reader sees: all, or what is committed."""

    READ_UNCOMMITTED = 0
    READ_COMMITTED = 1


@dataclass(slots=True)
class ConsumedRecord:
    """A record and where it lies."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    timestamp_type: TimestampType
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


class FoundOffset(NamedTuple):
    """What ListOffsets found; -1 for both where no record is so new."""

    offset: int
    timestamp_ms: int


async def list_offsets(
    cluster: Cluster,
    wanted: Mapping[TopicPartition, int],
    isolation: Isolation = Isolation.READ_UNCOMMITTED,
) -> dict[TopicPartition, FoundOffset]:
    """The first offset at or after each partition's timestamp in ms, or at one with a meaning.

    `cluster.topics` must have the topics.
    """

    async def ask() -> dict[TopicPartition, FoundOffset]:
        found: dict[TopicPartition, FoundOffset] = {}
        for leader, partitions in by_leader(cluster, wanted).items():
            topics: dict[str, ListOffsetsTopic] = {}
            for topic, index in partitions:
                topics.setdefault(topic, ListOffsetsTopic(name=topic)).partitions.append(
                    ListOffsetsPartition(partition_index=index, timestamp=wanted[topic, index])
                )
            response = await cluster.ask(
                leader,
                ListOffsetsRequest(
                    replica_id=-1, isolation_level=isolation, topics=list(topics.values())
                ),
                ListOffsetsResponse,
            )
            for answered in response.topics:
                for result in answered.partitions:
                    check(
                        result.error_code,
                        "Cannot list the offsets of partition "
                        f"{answered.name}-{result.partition_index}",
                    )
                    found[answered.name, result.partition_index] = FoundOffset(
                        result.offset, result.timestamp
                    )
        return found

    return await cluster.retry(ask) if wanted else {}


async def offsets_for(
    cluster: Cluster,
    wanted: Mapping[TopicPartition, int],
    isolation: Isolation = Isolation.READ_UNCOMMITTED,
) -> dict[TopicPartition, int]:
    """As `list_offsets`, but for a time after the last record the end."""
    found = await list_offsets(cluster, wanted, isolation)
    late = {partition: END for partition, (offset, _) in found.items() if offset < 0}
    found |= await list_offsets(cluster, late, isolation)
    return {partition: offset for partition, (offset, _) in found.items()}


@dataclass(frozen=True, slots=True)
class _Fetched:
    """A partition's answer: batches, the first of which may begin before the position."""

    where: TopicPartition
    batches: memoryview
    aborted: list[tuple[int, int]]  # (producer id, first offset)


class Reader:
    """Fetches from `positions`, which move on as records are handed out."""

    def __init__(
        self,
        cluster: Cluster,
        positions: Mapping[TopicPartition, int],
        isolation: Isolation = Isolation.READ_COMMITTED,
    ) -> None:
        self.positions = dict(positions)
        self._cluster = cluster
        self._isolation = isolation

    async def read(self, max_wait_s: float) -> Iterator[list[ConsumedRecord]]:
        """What the leaders have, a batch at a time; nothing after about max_wait_s. ClientError.

        What is not taken from the iterator is read again.
        """
        if not self.positions:
            await trio.sleep(max_wait_s)
            return iter(())
        fetched = await self._cluster.retry(lambda: self._read(max_wait_s))
        for part in fetched:
            # To the end of the queue: a fetch has room for so much, and the first ones fill it.
            self.positions[part.where] = self.positions.pop(part.where)
        return self._unpack_all(fetched)

    async def _read(self, max_wait_s: float) -> list[_Fetched]:
        """Ask all leaders. One that waits would hold up the records of another: none does first."""
        leaders = by_leader(self._cluster, self.positions)
        if len(leaders) == 1:
            return await self._fetch(*leaders.popitem(), max_wait_s)
        fetched = await self._fetch_all(leaders, 0)
        if not fetched:
            fetched = await self._fetch_all(leaders, min(max_wait_s, LEADERS_WAIT_S))
        return fetched

    async def _fetch_all(
        self, leaders: Mapping[int, list[TopicPartition]], max_wait_s: float
    ) -> list[_Fetched]:
        found: list[_Fetched] = []
        failures: list[ClientError] = []
        async with trio.open_nursery() as nursery:

            async def fetch(leader: int, partitions: list[TopicPartition]) -> None:
                try:
                    found.extend(await self._fetch(leader, partitions, max_wait_s))
                except ClientError as error:
                    failures.append(error)

            for leader, partitions in leaders.items():
                nursery.start_soon(fetch, leader, partitions)
        if failures and not found:
            raise failures[0]
        return found

    async def _fetch(
        self, leader: int, partitions: list[TopicPartition], max_wait_s: float
    ) -> list[_Fetched]:
        topics: dict[str, FetchTopic] = {}
        for topic, index in partitions:
            topics.setdefault(topic, FetchTopic(topic=topic)).partitions.append(
                FetchPartition(
                    partition=index,
                    fetch_offset=self.positions[topic, index],
                    partition_max_bytes=FETCH_BYTES_MAX,
                )
            )
        response = await self._cluster.ask(
            leader,
            FetchRequest(
                max_wait_ms=int(max_wait_s * 1000),
                min_bytes=1,
                max_bytes=FETCH_BYTES_MAX,
                isolation_level=self._isolation,
                topics=list(topics.values()),
            ),
            FetchResponse,
        )
        check(response.error_code, "Fetch")
        found: list[_Fetched] = []
        failure: BrokerError | None = None
        for answered in response.responses:
            for result in answered.partitions:
                where = (answered.topic, result.partition_index)
                if result.error_code != ErrorCode.NONE:
                    failure = BrokerError(
                        f"Partition {where[0]}-{where[1]} at offset {self.positions[where]}",
                        error_code(result.error_code),
                    )
                elif result.records:
                    assert isinstance(result.records, memoryview)
                    aborted = [
                        (a.producer_id, a.first_offset) for a in result.aborted_transactions or ()
                    ]
                    found.append(_Fetched(where, result.records, aborted))
        if failure is not None and not found:
            raise failure
        return found

    def _unpack_all(self, fetched: list[_Fetched]) -> Iterator[list[ConsumedRecord]]:
        for part in fetched:
            try:
                yield from self._unpack(part)
            except StorageError as error:
                raise ClientError(f"Partition {part.where[0]}-{part.where[1]}: {error}.") from error

    def _unpack(self, part: _Fetched) -> Iterator[list[ConsumedRecord]]:
        """The records from the position on that consumers see: no markers, nothing aborted."""
        where = part.where
        aborting: set[int] = set()
        pending = sorted(part.aborted, key=lambda transaction: transaction[1])
        for header, batch in formats.batches(part.batches, check_crc=True, partial_tail=True):
            position = self.positions[where]
            if header.last_offset < position:
                continue
            while pending and pending[0][1] <= header.last_offset:
                aborting.add(pending.pop(0)[0])
            records: list[ConsumedRecord] = []
            if header.is_control:
                aborting.discard(header.producer_id)
            elif not (header.is_transactional and header.producer_id in aborting):
                timestamp_type = header.timestamp_type
                records = [
                    ConsumedRecord(
                        *where,
                        record.offset,
                        record.timestamp,
                        timestamp_type,
                        record.key,
                        record.value,
                        tuple(record.headers),
                    )
                    for record in formats.records(batch, header, check_crc=True)
                    if record.offset >= position
                ]
            self.positions[where] = header.last_offset + 1
            if records:
                yield records
