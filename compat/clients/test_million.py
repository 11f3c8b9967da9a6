"""A million records, counted and compared in order, written by one fast client and read by both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

if TYPE_CHECKING:
    from collections.abc import Callable

    from compat.brokers import Broker
    from compat.clients.java_client import JavaClient

RECORDS = 1_000_000
PARTITIONS = 4
TIMEOUT_S = 60


def number(bootstrap: str, topic: str, codec: str) -> None:
    """librdkafka: value i to partition i % PARTITIONS."""
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,
            "compression.type": codec,
            "linger.ms": 20,
        }
    )
    errors: list[Any] = []

    def delivered(error: Any, _message: Any) -> None:
        if error is not None:
            errors.append(error)

    for i in range(RECORDS):
        while True:
            try:
                producer.produce(topic, b"%d" % i, partition=i % PARTITIONS, on_delivery=delivered)
                break
            except BufferError:  # its queue is full: let it send
                producer.poll(0.1)
        if i % 1000 == 0:
            producer.poll(0)
    assert producer.flush(TIMEOUT_S) == 0
    assert not errors, errors[0]


def count(bootstrap: str, topic: str) -> int:
    """librdkafka: read until every record has come, each in its place."""
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "unused", "enable.auto.commit": False}
    )
    consumer.assign([TopicPartition(topic, p, 0) for p in range(PARTITIONS)])
    following = [0] * PARTITIONS
    seen = 0
    while seen < RECORDS:
        messages = consumer.consume(10_000, timeout=TIMEOUT_S)
        assert messages, f"{seen} records, then silence"
        for message in messages:
            error = message.error()
            if error is not None:
                raise KafkaException(error)
            partition = message.partition() or 0
            expected = following[partition]
            assert message.offset() == expected
            assert int(message.value() or b"") == expected * PARTITIONS + partition
            following[partition] += 1
        seen += len(messages)
    consumer.close()
    assert following == [RECORDS // PARTITIONS] * PARTITIONS
    return seen


@pytest.mark.parametrize(
    ("writer", "codec"),
    [
        pytest.param("librdkafka", "none", marks=pytest.mark.ci),
        pytest.param("librdkafka", "lz4", marks=pytest.mark.full),
        pytest.param("java", "none", marks=pytest.mark.full),
        pytest.param("java", "lz4", marks=pytest.mark.full),
    ],
)
def test_a_million_records_arrive_once_and_in_order(
    broker: Broker, java: JavaClient, new_topic: Callable[..., str], writer: str, codec: str
) -> None:
    topic = new_topic(PARTITIONS)
    if writer == "java":
        java.number(broker.bootstrap, topic, PARTITIONS, RECORDS, compression_type=codec)
    else:
        number(broker.bootstrap, topic, codec)
    assert count(broker.bootstrap, topic) == RECORDS
    assert java.count(broker.bootstrap, topic, PARTITIONS, RECORDS) == RECORDS
