"""The requests that the tests of behaviour share, in their shortest form."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from kbroker.storage.batch import HEADER, BatchHeader, Record, records
from kbroker.storage.builder import NewRecord, build_batch
from kbroker.storage.compression import Codec
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.create_topics import (
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from kbroker.wire.messages.fetch import (
    FetchPartition,
    FetchRequest,
    FetchResponse,
    FetchTopic,
    PartitionData,
)
from kbroker.wire.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsPartitionResponse,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopic,
)
from kbroker.wire.messages.metadata import (
    MetadataRequest,
    MetadataRequestTopic,
    MetadataResponse,
    MetadataResponseTopic,
)
from kbroker.wire.messages.produce import (
    PartitionProduceData,
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from compat.raw import RawClient

PRODUCE_VERSION = 12  # the last by topic name
FETCH_VERSION = 17
READY_TIMEOUT_S = 120
EARLIEST, LATEST = -2, -1
READ_UNCOMMITTED, READ_COMMITTED = 0, 1


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def make_topic(raw: RawClient, name: str, partitions: int = 1, **config: str) -> bytes:
    """Create a topic, wait until it has its leaders; its id. Config keys have _ for dots."""
    configs = [
        CreatableTopicConfig(name=key.replace("_", "."), value=value)
        for key, value in config.items()
    ]
    topic = CreatableTopic(
        name=name, num_partitions=partitions, replication_factor=1, configs=configs
    )
    response = raw.ask(CreateTopicsRequest(topics=[topic]), 7, CreateTopicsResponse)
    assert_none(response.topics[0].error_code)
    await_leaders(raw, name, partitions, response.topics[0].topic_id)
    return response.topics[0].topic_id


def await_leaders(
    raw: RawClient, name: str, partitions: int, topic_id: bytes | None = None
) -> None:
    """Wait until the partitions can be used, of the topic with that id if one is given.

    Apache Kafka answers a CreateTopics before they have their leaders and while Metadata may still
    show a topic of that name that was deleted, and Metadata before the leader knows that it is one.
    """
    deadline = time.monotonic() + READY_TIMEOUT_S
    while True:
        found = describe(raw, name)
        is_it = topic_id in (None, found.topic_id)
        if is_it and not found.error_code and len(found.partitions) == partitions:
            answers = [list_offset(raw, name, LATEST, partition=p) for p in range(partitions)]
            if not any(answer.error_code for answer in answers):
                return
        assert time.monotonic() < deadline, found
        time.sleep(0.02)


def describe(raw: RawClient, name: str) -> MetadataResponseTopic:
    """The topic's metadata; does not create it."""
    request = MetadataRequest(
        topics=[MetadataRequestTopic(name=name)], allow_auto_topic_creation=False
    )
    return raw.ask(request, 12, MetadataResponse).topics[0]


def batch(
    *values: bytes | None,
    key: bytes | None = b"k",
    timestamps: Iterable[int] | None = None,
    producer: tuple[int, int, int] = (-1, -1, -1),
    codec: Codec = Codec.NONE,
    is_transactional: bool = False,
) -> bytes:
    """A batch of these values; `producer` is id, epoch and base sequence."""
    stamps = list(timestamps) if timestamps is not None else [now_ms()] * len(values)
    return build_batch(
        [NewRecord(stamp, key, value) for stamp, value in zip(stamps, values, strict=True)],
        producer_id=producer[0],
        producer_epoch=producer[1],
        base_sequence=producer[2],
        codec=codec,
        is_transactional=is_transactional,
    )


def produce_request(
    topic: str,
    records: bytes,
    *,
    partition: int = 0,
    acks: int = -1,
    transactional_id: str | None = None,
) -> ProduceRequest:
    data = PartitionProduceData(index=partition, records=records)
    return ProduceRequest(
        transactional_id=transactional_id,
        acks=acks,
        timeout_ms=10_000,
        topic_data=[TopicProduceData(name=topic, partition_data=[data])],
    )


def produce(
    raw: RawClient,
    topic: str,
    records: bytes,
    *,
    partition: int = 0,
    acks: int = -1,
    transactional_id: str | None = None,
    version: int = PRODUCE_VERSION,
) -> PartitionProduceResponse:
    """Produce to one partition; its part of the answer."""
    request = produce_request(
        topic, records, partition=partition, acks=acks, transactional_id=transactional_id
    )
    response = raw.ask(request, version, ProduceResponse)
    return response.responses[0].partition_responses[0]


def fetch_request(
    topic_id: bytes,
    offset: int,
    *,
    partition: int = 0,
    max_bytes: int = 1 << 20,
    partition_max_bytes: int = 1 << 20,
    min_bytes: int = 1,
    max_wait_ms: int = 500,
    leader_epoch: int = -1,
    session: tuple[int, int] = (0, -1),
    isolation_level: int = READ_UNCOMMITTED,
) -> FetchRequest:
    """`session` is its id and epoch."""
    one = FetchPartition(
        partition=partition,
        fetch_offset=offset,
        current_leader_epoch=leader_epoch,
        partition_max_bytes=partition_max_bytes,
    )
    return FetchRequest(
        max_wait_ms=max_wait_ms,
        min_bytes=min_bytes,
        max_bytes=max_bytes,
        isolation_level=isolation_level,
        session_id=session[0],
        session_epoch=session[1],
        topics=[FetchTopic(topic_id=topic_id, partitions=[one])],
    )


def fetch(raw: RawClient, request: FetchRequest) -> PartitionData:
    """The one partition of the answer."""
    response = raw.ask(request, FETCH_VERSION, FetchResponse)
    assert_none(response.error_code)
    return response.responses[0].partitions[0]


def bytes_of(data: PartitionData) -> bytes:
    """The bytes fetched."""
    if data.records is None:
        return b""
    assert isinstance(data.records, memoryview)
    return bytes(data.records)


def whole_batches(data: PartitionData) -> Iterator[memoryview]:
    """Each batch fetched, without one that is cut off at the end."""
    view = memoryview(bytes_of(data))
    while len(view) >= HEADER:
        size = BatchHeader(view).size_bytes
        if size > len(view):
            return
        yield view[:size]
        view = view[size:]


def headers_of(data: PartitionData) -> list[BatchHeader]:
    """The headers of the batches fetched."""
    return [BatchHeader(one) for one in whole_batches(data)]


def records_of(data: PartitionData) -> list[Record]:
    """The records fetched."""
    return [record for one in whole_batches(data) for record in records(one)]


def list_offset(
    raw: RawClient,
    topic: str,
    timestamp: int,
    *,
    version: int = 10,
    leader_epoch: int = -1,
    isolation_level: int = READ_UNCOMMITTED,
    partition: int = 0,
) -> ListOffsetsPartitionResponse:
    """Ask one partition's offset for a timestamp or special value."""
    one = ListOffsetsPartition(
        partition_index=partition, timestamp=timestamp, current_leader_epoch=leader_epoch
    )
    request = ListOffsetsRequest(
        replica_id=-1,
        isolation_level=isolation_level,
        topics=[ListOffsetsTopic(name=topic, partitions=[one])],
    )
    response = raw.ask(request, version, ListOffsetsResponse)
    return response.topics[0].partitions[0]


def assert_error(code: int, expected: ErrorCode) -> None:
    """Compare by name, so that a failure says which errors they were."""
    assert ErrorCode(code).name == expected.name


def assert_none(code: int) -> None:
    assert_error(code, ErrorCode.NONE)
