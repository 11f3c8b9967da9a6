"""Topics by the hundred: made, waited for, written to once."""

from __future__ import annotations

import time
from itertools import islice
from typing import TYPE_CHECKING

from compat.bench.frames import batch
from compat.raw import RawClient
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.create_topics import (
    CreatableTopic,
    CreateTopicsRequest,
    CreateTopicsResponse,
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
    from compat.brokers import BrokerProcess

TIMEOUT_S = 120.0
POLL_S = 0.05
TOPIC_PARTITIONS = 100
TOPICS_A_REQUEST = 10
CREATE, METADATA, PRODUCE = 5, 9, 7  # versions
_RECORD_BYTES = 100
_FOR_A_WHILE = (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.NOT_LEADER_OR_FOLLOWER)

Topics = dict[str, int]  # name -> partitions


def create_topics(broker: BrokerProcess, topics: Topics, *, a_request: int) -> None:
    """Make them, so many a request, one request after the other."""
    left = iter(topics.items())
    with RawClient(broker.host, broker.port, TIMEOUT_S) as client:
        while some := list(islice(left, a_request)):
            request = CreateTopicsRequest(
                topics=[
                    CreatableTopic(name=name, num_partitions=count, replication_factor=1)
                    for name, count in some
                ],
                timeout_ms=int(TIMEOUT_S * 1000),
            )
            for result in client.ask(request, CREATE, CreateTopicsResponse).topics:
                if result.error_code:
                    code = ErrorCode(result.error_code)
                    raise ValueError(f"{result.name}: {code.name} {result.error_message}")


def add_partitions(broker: BrokerProcess, name: str, count: int) -> Topics:
    """Topics of a hundred partitions, `count` in all, and wait for their leaders."""
    sizes = [TOPIC_PARTITIONS] * (count // TOPIC_PARTITIONS)
    if count % TOPIC_PARTITIONS:
        sizes.append(count % TOPIC_PARTITIONS)
    topics = {f"{name}-{number}": size for number, size in enumerate(sizes)}
    create_topics(broker, topics, a_request=TOPICS_A_REQUEST)
    await_leaders(broker, topics)
    return topics


def await_leaders(broker: BrokerProcess, topics: Topics) -> None:
    """Return when every partition has a leader."""
    deadline = time.monotonic() + TIMEOUT_S
    waiting = dict(topics)
    with RawClient(broker.host, broker.port, TIMEOUT_S) as client:
        while waiting:
            request = MetadataRequest(
                topics=[MetadataRequestTopic(name=name) for name in waiting],
                allow_auto_topic_creation=False,
            )
            for topic in client.ask(request, METADATA, MetadataResponse).topics:
                led = sum(1 for each in topic.partitions if each.leader_id >= 0)
                if topic.name and led == waiting[topic.name]:
                    del waiting[topic.name]
            if waiting:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{len(waiting)} topics have no leaders")
                time.sleep(POLL_S)


def produce_to_all(broker: BrokerProcess, topics: Topics) -> None:
    """One record to each partition. A broker that says it leads and does not yet is asked again."""
    records = batch(1, _RECORD_BYTES)
    deadline = time.monotonic() + TIMEOUT_S
    with RawClient(broker.host, broker.port, TIMEOUT_S) as client:
        for name, count in topics.items():
            left = list(range(count))
            while left:
                left = _produce(client, name, left, records)
                if left:
                    if time.monotonic() > deadline:
                        raise TimeoutError(f"{len(left)} partitions of {name} take no records")
                    time.sleep(POLL_S)


def _produce(client: RawClient, topic: str, indexes: list[int], records: bytes) -> list[int]:
    """Those that are to be asked again."""
    data = [PartitionProduceData(index=index, records=records) for index in indexes]
    request = ProduceRequest(
        acks=1, timeout_ms=30_000, topic_data=[TopicProduceData(name=topic, partition_data=data)]
    )
    (answered,) = client.ask(request, PRODUCE, ProduceResponse).responses
    again = []
    for each in answered.partition_responses:
        if each.error_code in _FOR_A_WHILE:
            again.append(each.index)
        elif each.error_code:
            raise ValueError(f"{topic}-{each.index}: {ErrorCode(each.error_code).name}")
    return again
