"""librdkafka, through confluent-kafka."""

from __future__ import annotations

import time
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from compat.clients.records import Fetched, Position, Record

_TIMEOUT_S = 60.0


class Librdkafka:
    """A StockClient."""

    name = "librdkafka"
    sends_all_null = True
    sends_null_headers = True

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
        producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "compression.type": codec,
                "enable.idempotence": idempotent,
                "message.max.bytes": request_bytes_max,
                "linger.ms": 5,
                "log_level": 0,
            }
        )
        offsets = [-1] * len(records)
        errors: list[Exception] = []
        for i, record in enumerate(records):

            def delivered(error: Any, message: Message, i: int = i) -> None:
                if error is not None:
                    errors.append(KafkaException(error))
                else:
                    offsets[i] = message.offset() or 0

            producer.produce(
                topic,
                value=record.value,
                key=record.key,
                partition=record.partition,
                on_delivery=delivered,
                timestamp=record.timestamp_ms,
                headers=list(record.headers),
            )
            producer.poll(0)
        left = producer.flush(_TIMEOUT_S)
        if errors:
            raise errors[0]
        assert not left, f"{left} records are not delivered"
        return offsets

    def read(self, bootstrap: str, counts: dict[str, int]) -> dict[str, list[Fetched]]:
        consumer = _consumer(bootstrap)
        topics = consumer.list_topics(timeout=_TIMEOUT_S).topics
        partitions = [TopicPartition(t, p, 0) for t in counts for p in topics[t].partitions]
        found: dict[str, list[Fetched]] = {topic: [] for topic in counts}
        for message in _take(consumer, partitions, sum(counts.values())):
            found[message.topic() or ""].append(_fetched(message))
        return found

    def read_from(
        self, bootstrap: str, topic: str, partition: int, offset: int, count: int
    ) -> list[Fetched]:
        start = TopicPartition(topic, partition, offset)
        return [_fetched(message) for message in _take(_consumer(bootstrap), [start], count)]

    def offset_for_time(
        self, bootstrap: str, topic: str, partition: int, timestamp_ms: int
    ) -> int | None:
        consumer = _consumer(bootstrap)
        asked = [TopicPartition(topic, partition, timestamp_ms)]
        (found,) = consumer.offsets_for_times(asked, timeout=_TIMEOUT_S)
        consumer.close()
        if found.error:
            raise KafkaException(found.error)
        return found.offset if found.offset >= 0 else None

    def offset_range(self, bootstrap: str, topic: str, partition: int) -> tuple[int, int]:
        consumer = _consumer(bootstrap)
        where = TopicPartition(topic, partition)
        deadline = time.monotonic() + _TIMEOUT_S
        while True:
            try:
                found = consumer.get_watermark_offsets(where, timeout=_TIMEOUT_S, cached=False)
                break
            except KafkaException as error:
                # This call does not retry by itself, as every other does.
                if error.args[0].code() != KafkaError.NOT_LEADER_FOR_PARTITION:
                    raise
                assert time.monotonic() < deadline
                time.sleep(0.1)
        consumer.close()
        assert found is not None
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
        outcomes: list[Any] = []

        def committed(error: Any, _partitions: list[TopicPartition]) -> None:
            outcomes.append(error)

        consumer = _consumer(bootstrap, group, on_commit=committed)
        where = TopicPartition(topic, partition, position.offset, position.metadata)
        consumer.assign([TopicPartition(topic, partition)])
        if wait:
            for done in consumer.commit(offsets=[where], asynchronous=False) or ():
                if done.error:
                    raise KafkaException(done.error)
        else:
            consumer.commit(offsets=[where], asynchronous=True)
            deadline = time.monotonic() + _TIMEOUT_S
            while not outcomes and time.monotonic() < deadline:
                consumer.poll(0.1)
            assert outcomes == [None], outcomes
        consumer.close()

    def committed(self, bootstrap: str, group: str, topic: str, partition: int) -> Position | None:
        consumer = _consumer(bootstrap, group)
        (found,) = consumer.committed([TopicPartition(topic, partition)], timeout=_TIMEOUT_S)
        consumer.close()
        if found.error:
            raise KafkaException(found.error)
        # confluent-kafka 2.x reads the metadata past its end, as it does not end in NUL.
        return Position(found.offset) if found.offset >= 0 else None


def _consumer(bootstrap: str, group: str = "unused", **config: Any) -> Consumer:
    return Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "enable.auto.commit": False,
            "check.crcs": True,
            "log_level": 0,
            **config,
        }
    )


def _take(consumer: Consumer, partitions: list[TopicPartition], count: int) -> list[Message]:
    consumer.assign(partitions)
    messages: list[Message] = []
    while len(messages) < count:
        some = consumer.consume(count - len(messages), timeout=_TIMEOUT_S)
        assert some, f"{len(messages)} of {count} records, then silence"
        for message in some:
            error = message.error()
            if error is not None:
                raise KafkaException(error)
        messages += some
    consumer.close()
    return messages


def _fetched(message: Message) -> Fetched:
    headers: Any = message.headers() or ()
    record = Record(
        partition=message.partition() or 0,
        key=_bytes(message.key()),
        value=_bytes(message.value()),
        headers=tuple((name, value) for name, value in headers),
        timestamp_ms=message.timestamp()[1],
    )
    return Fetched(message.offset() or 0, record)


def _bytes(data: str | bytes | None) -> bytes | None:
    return data.encode() if isinstance(data, str) else data
