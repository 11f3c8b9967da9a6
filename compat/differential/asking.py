"""The requests that scenarios share, in their shortest form, and the topics they work on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbroker.storage.builder import NewRecord, build_batch
from kbroker.storage.compression import Codec
from kbroker.wire.errors import ErrorCode
from kbroker.wire.message import ZERO_UUID
from kbroker.wire.messages.create_topics import (
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from kbroker.wire.messages.delete_topics import (
    DeleteTopicsRequest,
    DeleteTopicsResponse,
    DeleteTopicState,
)
from kbroker.wire.messages.init_producer_id import InitProducerIdRequest, InitProducerIdResponse
from kbroker.wire.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopic,
)
from kbroker.wire.messages.metadata import (
    MetadataRequest,
    MetadataRequestTopic,
    MetadataResponse,
)
from kbroker.wire.messages.produce import (
    PartitionProduceData,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .peer import Peer

EARLIEST, LATEST = -2, -1
NO_SUCH_ID = b"\x01" * 16
NAMES_LAST = 12  # the last version of Produce and Fetch that names topics


class Topic:
    """A topic of the scenario's own, under the id that one broker gave it."""

    def __init__(self, name: str, topic_id: bytes, partitions: int) -> None:
        self.name = name
        self.id = topic_id
        self.partitions = partitions


def make_topic(peer: Peer, text: str, partitions: int = 1, **config: str) -> Topic:
    """Create a topic and wait until it can be used. Config keys have _ for dots."""
    configs = [
        CreatableTopicConfig(name=key.replace("_", "."), value=value)
        for key, value in config.items()
    ]
    name = peer.name(text)
    topic = CreatableTopic(
        name=name, num_partitions=partitions, replication_factor=1, configs=configs
    )
    request = CreateTopicsRequest(topics=[topic], timeout_ms=30_000)
    made = peer.quietly(request, peer.last(CreateTopicsRequest), CreateTopicsResponse).topics[0]
    assert made.error_code == 0, made
    return usable(peer, name, partitions)


def usable(peer: Peer, name: str, partitions: int) -> Topic:
    """The topic, once all its partitions answer.

    Apache Kafka answers CreateTopics before they have leaders, and Metadata before the leader knows
    that it is one.
    """
    found = peer.until(
        MetadataRequest(topics=[MetadataRequestTopic(name=name)], allow_auto_topic_creation=False),
        peer.last(MetadataRequest),
        MetadataResponse,
        lambda answer: (
            not answer.topics[0].error_code and len(answer.topics[0].partitions) == partitions
        ),
    ).topics[0]
    asked = [ListOffsetsPartition(partition_index=i, timestamp=LATEST) for i in range(partitions)]
    peer.until(
        ListOffsetsRequest(replica_id=-1, topics=[ListOffsetsTopic(name=name, partitions=asked)]),
        peer.last(ListOffsetsRequest),
        ListOffsetsResponse,
        lambda answer: not any(p.error_code for p in answer.topics[0].partitions),
    )
    peer.topic_ids.setdefault(
        found.topic_id.hex(), f"id {len(peer.topic_ids)} of {name.removeprefix(peer.prefix)}"
    )
    return Topic(name, found.topic_id, partitions)


def delete(peer: Peer, topic: Topic) -> None:
    """Delete a topic and wait until it is gone.

    Apache Kafka answers before the broker has learnt of it, and Metadata forgets a topic before the
    broker has closed its log.
    """
    removal = DeleteTopicsRequest(topics=[DeleteTopicState(name=topic.name)], timeout_ms=30_000)
    made = peer.quietly(removal, peer.last(DeleteTopicsRequest), DeleteTopicsResponse)
    assert made.responses[0].error_code == 0, made
    await_end(peer, topic.name)


def await_end(peer: Peer, name: str) -> None:
    """Wait until a topic that is being deleted is gone."""
    gone = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    peer.until(
        MetadataRequest(topics=[MetadataRequestTopic(name=name)], allow_auto_topic_creation=False),
        peer.last(MetadataRequest),
        MetadataResponse,
        lambda answer: answer.topics[0].error_code == gone,
    )
    asked = [ListOffsetsPartition(partition_index=0, timestamp=LATEST)]
    peer.until(
        ListOffsetsRequest(replica_id=-1, topics=[ListOffsetsTopic(name=name, partitions=asked)]),
        peer.last(ListOffsetsRequest),
        ListOffsetsResponse,
        lambda answer: answer.topics[0].partitions[0].error_code == gone,
    )


def batch(
    peer: Peer,
    *values: bytes | None,
    key: bytes | None = b"k",
    stamps: Sequence[int] | None = None,
    producer: tuple[int, int, int] = (-1, -1, -1),
    codec: Codec = Codec.NONE,
    **more: bool,
) -> bytes:
    """A batch of these values; `producer` is id, epoch and base sequence."""
    times = stamps if stamps is not None else [peer.now_ms + i for i in range(len(values))]
    return build_batch(
        [NewRecord(stamp, key, value) for stamp, value in zip(times, values, strict=True)],
        producer_id=producer[0],
        producer_epoch=producer[1],
        base_sequence=producer[2],
        codec=codec,
        is_transactional=more.get("transactional", False),
        is_control=more.get("control", False),
    )


def produce_request(
    topic: Topic,
    *records: bytes | None,
    version: int,
    partition: int = 0,
    acks: int = -1,
    timeout_ms: int = 10_000,
    transactional_id: str | None = None,
) -> ProduceRequest:
    """Records for partitions from `partition` on, one each."""
    parts = [
        PartitionProduceData(index=partition + i, records=one) for i, one in enumerate(records)
    ]
    by_name = version <= NAMES_LAST
    data = TopicProduceData(
        name=topic.name if by_name else "",
        topic_id=ZERO_UUID if by_name else topic.id,
        partition_data=parts,
    )
    return ProduceRequest(
        acks=acks, timeout_ms=timeout_ms, transactional_id=transactional_id, topic_data=[data]
    )


def fill(peer: Peer, topic: Topic, *records: bytes, partition: int = 0) -> None:
    """Append batches, each by a request of its own, and keep nothing."""
    version = peer.last(ProduceRequest)
    for one in records:
        request = produce_request(topic, one, version=version, partition=partition)
        answer = peer.quietly(request, version, ProduceResponse)
        assert answer.responses[0].partition_responses[0].error_code == 0, answer


def new_producer(peer: Peer) -> int:
    """A producer id. Apache Kafka has none right after its start."""
    return peer.until(
        InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=60_000),
        peer.last(InitProducerIdRequest),
        InitProducerIdResponse,
        lambda answer: answer.error_code != ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
    ).producer_id
