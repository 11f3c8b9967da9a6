"""An idempotent producer for one topic: batches by partition, one batch of each in flight."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from kbroker.storage.builder import BatchBuilder
from kbroker.storage.compression import Codec
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.init_producer_id import InitProducerIdRequest, InitProducerIdResponse
from kbroker.wire.messages.produce import (
    PartitionProduceData,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)

from .errors import BrokerError, check, error_code
from .partitioner import partition_for_key

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from .cluster import Cluster, Topic

BATCH_BYTES = 64 * 1024
REQUEST_BYTES_MAX = 512 * 1024
ALL_REPLICAS = -1
SEQUENCE_END = 1 << 31
NO_PRODUCER = -1


class Producer:
    """Use `start` first. `send` collects; `flush` writes, and returns once all is acknowledged."""

    def __init__(
        self,
        cluster: Cluster,
        topic: str,
        rng: random.Random,
        *,
        acks: int = ALL_REPLICAS,
        codec: Codec = Codec.NONE,
        idempotent: bool = True,
        timeout_ms: int = 30_000,
    ) -> None:
        self._cluster = cluster
        self._name = topic
        self._rng = rng
        self._acks = acks
        self._codec = codec
        self._is_idempotent = idempotent and acks == ALL_REPLICAS
        self._timeout_ms = timeout_ms
        self._topic: Topic | None = None
        self._producer_id = NO_PRODUCER
        self._producer_epoch = NO_PRODUCER
        self._sequences: dict[int, int] = {}
        self._batches: dict[int, deque[BatchBuilder]] = {}
        self._refusal: BrokerError | None = None  # the first
        self._keyless_partition = 0
        self.buffered_bytes = 0
        self.sent_count = 0

    async def start(self) -> None:
        """Find the topic, creating it where the broker does so; get a producer id. ClientError."""
        self._topic = await self._cluster.topic(self._name, create=True)
        self._keyless_partition = self._rng.randrange(self.partition_count)
        if self._is_idempotent:
            await self._cluster.retry(self._init_producer_id)

    async def _init_producer_id(self) -> None:
        response = await self._cluster.ask_any(
            InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=60_000),
            InitProducerIdResponse,
        )
        check(response.error_code, "Cannot get a producer id")
        self._producer_id = response.producer_id
        self._producer_epoch = response.producer_epoch

    @property
    def partition_count(self) -> int:
        assert self._topic is not None, "started"
        return len(self._topic.partitions)

    def send(
        self,
        timestamp_ms: int,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes | None]] = (),
        partition: int | None = None,
    ) -> None:
        """Take a record; its key chooses the partition, else any that is kept for a batch."""
        if partition is None:
            partition = (
                self._keyless_partition
                if key is None
                else partition_for_key(key, self.partition_count)
            )
        batches = self._batches.setdefault(partition, deque())
        if not batches:
            batches.append(BatchBuilder())
        elif batches[-1].size_with(timestamp_ms, key, value, headers) > BATCH_BYTES:
            batches.append(BatchBuilder())
            self._keyless_partition = self._rng.randrange(self.partition_count)
        before = batches[-1].size_bytes
        batches[-1].append(timestamp_ms, key, value, headers)
        self.buffered_bytes += batches[-1].size_bytes - before

    async def flush(self) -> None:
        """Write everything; ClientError where a record cannot be written, or not in time.

        What a partition refuses for good is dropped, with what was to follow it there; all that
        goes to others is written before the error is raised.
        """
        while self._batches:
            await self._cluster.retry(self._write_round)
        if self._refusal is not None:
            raise self._refusal
        self.buffered_bytes = 0
        self._keyless_partition = self._rng.randrange(self.partition_count)

    async def _write_round(self) -> None:
        """One batch of each partition, by leader. What is written leaves the buffer at once."""
        by_leader: dict[int, list[int]] = {}
        for partition in self._batches:
            leader = self._cluster.leader(self._name, partition)
            by_leader.setdefault(leader, []).append(partition)
        for leader, partitions in by_leader.items():
            for group in _grouped(partitions, self._batches):
                await self._write(leader, group)

    async def _write(self, leader: int, partitions: list[int]) -> None:
        data = []
        for partition in partitions:
            builder = self._batches[partition][0]
            batch = builder.build(
                codec=self._codec,
                producer_id=self._producer_id,
                producer_epoch=self._producer_epoch,
                base_sequence=(
                    self._sequences.get(partition, 0) if self._producer_id >= 0 else NO_PRODUCER
                ),
            )
            data.append(PartitionProduceData(index=partition, records=batch))
        request = ProduceRequest(
            acks=self._acks,
            timeout_ms=self._timeout_ms,
            topic_data=[TopicProduceData(name=self._name, partition_data=data)],
        )
        if self._acks == 0:
            connection = await self._cluster.connection(leader)
            await connection.tell(request)
            for partition in partitions:
                self._written(partition)
            return
        response = await self._cluster.ask(leader, request, ProduceResponse)
        passing: BrokerError | None = None
        for topic in response.responses:
            for result in topic.partition_responses:
                # A batch that was written by an attempt whose answer got lost counts as written.
                if result.error_code in (ErrorCode.NONE, ErrorCode.DUPLICATE_SEQUENCE_NUMBER):
                    self._written(result.index)
                    continue
                message = result.error_message
                if result.record_errors and result.record_errors[0].batch_index_error_message:
                    message = result.record_errors[0].batch_index_error_message
                error = BrokerError(
                    f"Partition {self._name}-{result.index} rejected the records",
                    error_code(result.error_code),
                    message,
                )
                if error.code.retriable:
                    passing = error
                    continue
                del self._batches[result.index]
                self._refusal = self._refusal or error
        if passing is not None:
            raise passing

    def _written(self, partition: int) -> None:
        batches = self._batches[partition]
        count = batches.popleft().record_count
        self.sent_count += count
        self._sequences[partition] = (self._sequences.get(partition, 0) + count) % SEQUENCE_END
        if not batches:
            del self._batches[partition]


def _grouped(partitions: list[int], batches: dict[int, deque[BatchBuilder]]) -> list[list[int]]:
    """Requests of at most REQUEST_BYTES_MAX, or of one larger batch."""
    groups: list[list[int]] = []
    size = 0
    for partition in partitions:
        size += batches[partition][0].size_bytes
        if not groups or size > REQUEST_BYTES_MAX:
            groups.append([])
            size = batches[partition][0].size_bytes
        groups[-1].append(partition)
    return groups
