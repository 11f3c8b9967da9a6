"""Reading a topic: where to start, and the records that come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import trio

from kbroker.storage import batch as batch_format
from kbroker.storage.errors import StorageError
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.fetch import FetchPartition, FetchRequest, FetchResponse, FetchTopic
from kbroker.wire.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopic,
)

from .errors import BrokerError, ClientError, check, error_code

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .cluster import Cluster

BEGINNING = -2  # ListOffsets' timestamps with a meaning of their own
END = -1
FETCH_BYTES_MAX = 16 * 1024 * 1024
PARTITION_BYTES_MAX = 1024 * 1024
READ_COMMITTED = 1
TopicPartition = tuple[str, int]


@dataclass(slots=True)
class ConsumedRecord:
    """A record and where it lies."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


async def offsets_for(
    cluster: Cluster, wanted: Mapping[TopicPartition, int]
) -> dict[TopicPartition, int]:
    """The offset for each partition's timestamp in ms, BEGINNING or END.

    For a time after the last record: the end. `cluster.topics` must have the topics.
    """
    found = await cluster.retry(lambda: _offsets_for(cluster, wanted))
    late = {partition: END for partition, offset in found.items() if offset < 0}
    if late:
        found.update(await cluster.retry(lambda: _offsets_for(cluster, late)))
    return found


async def _offsets_for(
    cluster: Cluster, wanted: Mapping[TopicPartition, int]
) -> dict[TopicPartition, int]:
    offsets: dict[TopicPartition, int] = {}
    for leader, partitions in _by_leader(cluster, wanted).items():
        topics: dict[str, ListOffsetsTopic] = {}
        for topic, index in partitions:
            topics.setdefault(topic, ListOffsetsTopic(name=topic)).partitions.append(
                ListOffsetsPartition(partition_index=index, timestamp=wanted[topic, index])
            )
        response = await cluster.ask(
            leader,
            ListOffsetsRequest(
                replica_id=-1, isolation_level=READ_COMMITTED, topics=list(topics.values())
            ),
            ListOffsetsResponse,
        )
        for answered in response.topics:
            for result in answered.partitions:
                check(result.error_code, f"Partition {answered.name}-{result.partition_index}")
                offsets[answered.name, result.partition_index] = result.offset
    return offsets


class Reader:
    """Fetches from `positions`, which move on as records are handed out."""

    def __init__(self, cluster: Cluster, positions: Mapping[TopicPartition, int]) -> None:
        self.positions = dict(positions)
        self._cluster = cluster

    async def read(self, max_wait_s: float) -> list[ConsumedRecord]:
        """What the leaders have; none after about max_wait_s without a record. ClientError."""
        if not self.positions:
            await trio.sleep(max_wait_s)
            return []
        return await self._cluster.retry(lambda: self._read(max_wait_s))

    async def _read(self, max_wait_s: float) -> list[ConsumedRecord]:
        """Ask all leaders at once; the first with records, or all without, end the wait."""
        leaders = _by_leader(self._cluster, self.positions)
        records: list[ConsumedRecord] = []
        failures: list[ClientError] = []
        async with trio.open_nursery() as nursery:

            async def fetch(leader: int, partitions: list[TopicPartition]) -> None:
                try:
                    records.extend(await self._fetch(leader, partitions, max_wait_s))
                except ClientError as error:
                    failures.append(error)

            for leader, partitions in leaders.items():
                nursery.start_soon(fetch, leader, partitions)
        if failures and not records:
            raise failures[0]
        return records

    async def _fetch(
        self, leader: int, partitions: list[TopicPartition], max_wait_s: float
    ) -> list[ConsumedRecord]:
        topics: dict[str, FetchTopic] = {}
        for topic, index in partitions:
            topics.setdefault(topic, FetchTopic(topic=topic)).partitions.append(
                FetchPartition(
                    partition=index,
                    fetch_offset=self.positions[topic, index],
                    partition_max_bytes=PARTITION_BYTES_MAX,
                )
            )
        response = await self._cluster.ask(
            leader,
            FetchRequest(
                max_wait_ms=int(max_wait_s * 1000),
                min_bytes=1,
                max_bytes=FETCH_BYTES_MAX,
                isolation_level=READ_COMMITTED,
                topics=list(topics.values()),
            ),
            FetchResponse,
        )
        check(response.error_code, "Fetch")
        records: list[ConsumedRecord] = []
        failure: BrokerError | None = None
        for answered in response.responses:
            for result in answered.partitions:
                where = (answered.topic, result.partition_index)
                if result.error_code != ErrorCode.NONE:
                    failure = BrokerError(
                        f"Partition {where[0]}-{where[1]} at offset {self.positions[where]}",
                        error_code(result.error_code),
                    )
                    continue
                aborted = {
                    (aborted.producer_id, aborted.first_offset)
                    for aborted in result.aborted_transactions or ()
                }
                if result.records is not None:
                    assert isinstance(result.records, memoryview)
                    records += self._unpack(where, result.records, aborted)
        if failure is not None and not records:
            raise failure
        return records

    def _unpack(
        self, where: TopicPartition, data: memoryview, aborted: set[tuple[int, int]]
    ) -> list[ConsumedRecord]:
        """The records from the position on that consumers see: no markers, nothing aborted."""
        records: list[ConsumedRecord] = []
        position = self.positions[where]
        aborting: set[int] = set()
        pending = sorted(aborted, key=lambda transaction: transaction[1])
        try:
            for header, batch in batch_format.batches(data, check_crc=True, partial_tail=True):
                if header.last_offset < position:
                    continue
                while pending and pending[0][1] <= header.last_offset:
                    aborting.add(pending.pop(0)[0])
                if header.is_control:
                    aborting.discard(header.producer_id)
                elif not (header.is_transactional and header.producer_id in aborting):
                    for record in batch_format.records(batch, header):
                        if record.offset >= position:
                            records.append(
                                ConsumedRecord(
                                    *where,
                                    record.offset,
                                    record.timestamp,
                                    record.key,
                                    record.value,
                                    tuple(record.headers),
                                )
                            )
                position = header.last_offset + 1
        except StorageError as error:
            raise ClientError(f"Partition {where[0]}-{where[1]}: {error}.") from error
        self.positions[where] = position
        return records


def _by_leader(
    cluster: Cluster, partitions: Iterable[TopicPartition]
) -> dict[int, list[TopicPartition]]:
    by_leader: dict[int, list[TopicPartition]] = {}
    for topic, index in partitions:
        by_leader.setdefault(cluster.leader(topic, index), []).append((topic, index))
    return by_leader
