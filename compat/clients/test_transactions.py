"""Stock clients with transactions: what is committed is read, and what is aborted is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from compat.late import comes_to

if TYPE_CHECKING:
    from collections.abc import Callable

    from compat.brokers import Broker
    from compat.clients.records import StockClient

pytestmark = [
    pytest.mark.ci,
    pytest.mark.item(17, 19),
    pytest.mark.usefixtures("transactions"),
]

TIMEOUT_S = 60.0
COUNT = 10  # of the records in each transaction
ENDS = (True, False, True)  # committed?
OFFSETS = [*range(10), *range(22, 32)]  # of the committed records, with a marker behind each ten
COMMITTED = [b"%d" % i for i in OFFSETS]


def write_with_librdkafka(bootstrap: str, topic: str, group: str, transactional_id: str) -> None:
    producer = Producer(
        {"bootstrap.servers": bootstrap, "transactional.id": transactional_id, "log_level": 0}
    )
    position = Consumer({"bootstrap.servers": bootstrap, "group.id": group, "log_level": 0})
    producer.init_transactions(TIMEOUT_S)
    for start, committed in zip((0, 11, 22), ENDS, strict=True):
        producer.begin_transaction()
        for offset in range(start, start + COUNT):
            producer.produce(topic, b"%d" % offset, partition=0)
        end = [TopicPartition(topic, 0, start + COUNT)]
        metadata = position.consumer_group_metadata()
        producer.send_offsets_to_transaction(end, metadata, TIMEOUT_S)
        if committed:
            producer.commit_transaction(TIMEOUT_S)
        else:
            assert producer.flush(TIMEOUT_S) == 0  # it would drop what is not sent yet
            producer.abort_transaction(TIMEOUT_S)
    position.close()


def write_with_kafka_python(bootstrap: str, topic: str, group: str, transactional_id: str) -> None:
    from kafka import KafkaProducer
    from kafka import TopicPartition as Partition
    from kafka.structs import OffsetAndMetadata

    producer = KafkaProducer(bootstrap_servers=bootstrap, transactional_id=transactional_id)
    producer.init_transactions()
    for start, committed in zip((0, 11, 22), ENDS, strict=True):
        producer.begin_transaction()
        for offset in range(start, start + COUNT):
            producer.send(topic, b"%d" % offset, partition=0)
        end = {Partition(topic, 0): OffsetAndMetadata(start + COUNT, "", -1)}
        producer.send_offsets_to_transaction(end, group)
        if committed:
            producer.commit_transaction()
        else:
            producer.flush(TIMEOUT_S)
            producer.abort_transaction()
    producer.close()


WRITERS = {"librdkafka": write_with_librdkafka, "kafka-python": write_with_kafka_python}


def read_with_librdkafka(bootstrap: str, topic: str, isolation: str) -> list[tuple[int, bytes]]:
    """Offsets and values until the consumer meets the end."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "unused",
            "isolation.level": isolation,
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "log_level": 0,
        }
    )
    consumer.assign([TopicPartition(topic, 0, 0)])
    found = []
    while True:
        message = consumer.poll(TIMEOUT_S)
        assert message is not None, f"{len(found)} records, then silence"
        if message.error() is not None:
            break  # the end of the partition
        value = message.value()
        assert isinstance(value, bytes)
        found.append((message.offset() or 0, value))
    consumer.close()
    return found


def read_with_kafka_python(bootstrap: str, topic: str, isolation: str) -> list[tuple[int, bytes]]:
    """Offsets and values until its position is at the end."""
    from kafka import KafkaConsumer
    from kafka import TopicPartition as Partition

    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap, isolation_level=isolation, enable_auto_commit=False
    )
    partition = Partition(topic, 0)
    consumer.assign([partition])
    consumer.seek(partition, 0)
    (end,) = consumer.end_offsets([partition]).values()
    found: list[tuple[int, bytes]] = []

    def position() -> bool:
        for some in consumer.poll(timeout_ms=200).values():
            found.extend((record.offset, record.value) for record in some)
        return consumer.position(partition) >= end

    comes_to(position, True)
    consumer.close()
    return found


READERS = {"librdkafka": read_with_librdkafka, "kafka-python": read_with_kafka_python}


@pytest.mark.parametrize("writer", WRITERS)
def test_what_is_committed_is_read(
    broker: Broker,
    clients: dict[str, StockClient],
    new_topic: Callable[[], str],
    unique: Callable[[str], str],
    writer: str,
) -> None:
    topic, group = new_topic(), unique("group")
    WRITERS[writer](broker.bootstrap, topic, group, unique("transactional"))
    # The end is answered before its marker is written.
    ranges = clients["librdkafka"].offset_range
    comes_to(lambda: ranges(broker.bootstrap, topic, 0), (0, 33))
    for name, read in READERS.items():
        committed = read(broker.bootstrap, topic, "read_committed")
        assert committed == list(zip(OFFSETS, COMMITTED, strict=True)), name
        everything = read(broker.bootstrap, topic, "read_uncommitted")
        offsets = [*range(10), *range(11, 21), *range(22, 32)]
        assert everything == [(offset, b"%d" % offset) for offset in offsets], name

    def position() -> int | None:
        found = clients["librdkafka"].committed(broker.bootstrap, group, topic, 0)
        return None if found is None else found.offset

    comes_to(position, 32)
