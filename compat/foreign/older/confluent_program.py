"""confluent-kafka 1.9, with its librdkafka."""

from __future__ import annotations

from typing import Any

import story
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic


class Librdkafka(story.Client):
    codecs = ("none", "gzip", "snappy", "lz4", "zstd")

    def create(self, topic: str) -> Any:
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        admin.create_topics([NewTopic(topic, story.PARTITIONS, 1)])[topic].result(story.WAIT_S)

        def there() -> bool:
            found = admin.list_topics(topic, timeout=story.WAIT_S).topics[topic]
            return found.error is None and all(
                one.error is None for one in found.partitions.values()
            )

        story.await_that(there)
        return "created"

    def administer(self, topic: str) -> Any:
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        groups = [one.id for one in admin.list_groups(timeout=10) if story.SESSION in one.id]
        found = admin.list_topics(topic, timeout=story.WAIT_S).topics[topic]
        admin.delete_topics([topic])[topic].result(story.WAIT_S)
        return {"partitions": len(found.partitions), "groups": len(groups)}

    def produce(self, topic: str, codec: str, **config: Any) -> list[int]:
        common = {"bootstrap.servers": self.bootstrap, "compression.type": codec, "acks": "all"}
        producer = Producer({**common, **config})
        offsets: dict[int, Any] = {}
        for i, (partition, key, value, headers) in enumerate(story.records()):

            def delivered(error: Any, message: Any, i: int = i) -> None:
                offsets[i] = str(error) if error else message.offset()

            producer.produce(
                topic,
                value,
                key,
                partition,
                on_delivery=delivered,
                timestamp=story.TIMESTAMP_MS + i,
                headers=headers,
            )
        producer.flush(story.WAIT_S)
        return [offsets[i] for i in sorted(offsets)]

    def produce_idempotently(self, topic: str) -> list[int]:
        return self.produce(topic, "none", **{"enable.idempotence": True})

    def consume(self, topic: str, count: int) -> list[list[Any]]:
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": "unused"})
        consumer.assign([TopicPartition(topic, i, 0) for i in range(story.PARTITIONS)])
        rows = []
        while len(rows) < count:
            one = consumer.poll(story.WAIT_S)
            if one is None or one.error():
                raise RuntimeError(str(one and one.error()))
            where = (one.partition(), one.offset())
            stamp = one.timestamp()[1]
            rows.append(story.row(*where, one.key(), one.value(), one.headers(), stamp))
        consumer.close()
        return sorted(rows, key=lambda found: found[:2])

    def member(self, topic: str, group: str) -> Any:
        consumer = Consumer(
            {
                "bootstrap.servers": self.bootstrap,
                "group.id": group,
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "session.timeout.ms": 10_000,
                "heartbeat.interval.ms": 500,
            }
        )
        consumer.subscribe([topic])
        return Member(consumer)


class Member:
    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer

    def poll(self) -> list[tuple[int, int]]:
        one = self._consumer.poll(0.2)
        if one is None or one.error():
            return []
        self._consumer.commit(one, asynchronous=False)
        return [(one.partition(), one.offset())]

    def partitions(self) -> list[int]:
        return [one.partition for one in self._consumer.assignment()]

    def commit(self) -> None:
        """What was read is committed as it is read."""

    def close(self) -> None:
        self._consumer.close()


if __name__ == "__main__":
    story.run(Librdkafka)
