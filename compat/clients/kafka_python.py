"""kafka-python."""

from __future__ import annotations

import threading
import time
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.structs import OffsetAndMetadata

from compat.clients.records import Fetched, Position, Record

_TIMEOUT_S = 60.0


class KafkaPython:
    """A StockClient."""

    name = "kafka-python"
    sends_all_null = False
    sends_null_headers = False

    def produce(
        self,
        bootstrap: str,
        topic: str,
        records: list[Record],
        *,
        codec: str = "none",
        idempotent: bool = False,
        request_bytes_max: int = 1 << 20,
    ) -> list[int]:
        producer = KafkaProducer(
            bootstrap_servers=bootstrap,
            acks="all",
            compression_type=None if codec == "none" else codec,
            enable_idempotence=idempotent,
            max_request_size=request_bytes_max,
            linger_ms=5,
        )
        futures = [
            producer.send(
                topic,
                value=record.value,
                key=record.key,
                headers=list(record.headers),
                partition=record.partition,
                timestamp_ms=record.timestamp_ms,
            )
            for record in records
        ]
        producer.flush(timeout=_TIMEOUT_S)
        offsets = [future.get(timeout=_TIMEOUT_S).offset for future in futures]
        producer.close()
        return offsets

    def read(self, bootstrap: str, counts: dict[str, int]) -> dict[str, list[Fetched]]:
        consumer = _consumer(bootstrap)
        partitions = [
            TopicPartition(t, p) for t in counts for p in consumer.partitions_for_topic(t) or ()
        ]
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        found: dict[str, list[Fetched]] = {topic: [] for topic in counts}
        for message in _take(consumer, sum(counts.values())):
            found[message.topic].append(_fetched(message))
        return found

    def read_from(
        self, bootstrap: str, topic: str, partition: int, offset: int, count: int
    ) -> list[Fetched]:
        consumer = _consumer(bootstrap)
        where = TopicPartition(topic, partition)
        consumer.assign([where])
        consumer.seek(where, offset)
        return [_fetched(message) for message in _take(consumer, count)]

    def offset_for_time(
        self, bootstrap: str, topic: str, partition: int, timestamp_ms: int
    ) -> int | None:
        where = TopicPartition(topic, partition)
        consumer = _consumer(bootstrap)
        found = consumer.offsets_for_times({where: timestamp_ms})[where]
        consumer.close()
        return None if found is None else int(found.offset)

    def offset_range(self, bootstrap: str, topic: str, partition: int) -> tuple[int, int]:
        where = TopicPartition(topic, partition)
        consumer = _consumer(bootstrap)
        found = consumer.beginning_offsets([where])[where], consumer.end_offsets([where])[where]
        consumer.close()
        return found

    def commit(
        self,
        bootstrap: str,
        group: str,
        topic: str,
        partition: int,
        position: Position,
        *,
        wait: bool,
    ) -> None:
        where = TopicPartition(topic, partition)
        consumer = _consumer(bootstrap, group)
        consumer.assign([where])
        offsets = {where: OffsetAndMetadata(position.offset, position.metadata, -1)}
        if wait:
            consumer.commit(offsets)
        else:
            called = threading.Event()
            outcomes: list[Any] = []

            def committed(_offsets: object, outcome: object) -> None:
                outcomes.append(outcome)
                called.set()

            consumer.commit_async(offsets, callback=committed)
            deadline = time.monotonic() + _TIMEOUT_S
            while not called.is_set() and time.monotonic() < deadline:
                consumer.poll(timeout_ms=100)
            assert called.is_set(), "no callback"
            assert not isinstance(outcomes[0], Exception), outcomes
        consumer.close()

    def committed(self, bootstrap: str, group: str, topic: str, partition: int) -> Position | None:
        consumer = _consumer(bootstrap, group)
        found = consumer.committed(TopicPartition(topic, partition), metadata=True)
        consumer.close()
        return None if found is None else Position(found.offset, found.metadata)


def _consumer(bootstrap: str, group: str | None = None) -> KafkaConsumer:
    return KafkaConsumer(bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False)


def _take(consumer: KafkaConsumer, count: int) -> list[Any]:
    messages: list[Any] = []
    deadline = time.monotonic() + _TIMEOUT_S
    while len(messages) < count:
        polled = consumer.poll(timeout_ms=500, max_records=count - len(messages))
        for some in polled.values():
            messages += some
            deadline = time.monotonic() + _TIMEOUT_S
        assert time.monotonic() < deadline, f"{len(messages)} of {count} records, then silence"
    consumer.close()
    return messages


def _fetched(message: Any) -> Fetched:
    record = Record(
        partition=message.partition,
        key=message.key,
        value=message.value,
        headers=tuple(message.headers),
        timestamp_ms=message.timestamp,
    )
    return Fetched(message.offset, record)
