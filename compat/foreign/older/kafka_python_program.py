"""kafka-python 2.0 and 2.2. The second argument is its api_version ("2.5", or "" to ask)."""

from __future__ import annotations

import sys
from typing import Any

import story
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic


class KafkaPython(story.Client):
    codecs = ("none", "gzip", "snappy", "lz4", "zstd")

    def __init__(self, bootstrap: str) -> None:
        super().__init__(bootstrap)
        version = sys.argv[2]
        self._common: dict[str, Any] = {"bootstrap_servers": bootstrap}
        if version:
            self._common["api_version"] = tuple(int(part) for part in version.split("."))

    def create(self, topic: str) -> Any:
        admin = KafkaAdminClient(**self._common)
        answer = admin.create_topics([NewTopic(topic, story.PARTITIONS, 1)])
        admin.close()
        consumer = KafkaConsumer(**self._common)
        story.await_that(
            lambda: len(consumer.partitions_for_topic(topic) or ()) == story.PARTITIONS
        )
        consumer.close()
        return [error[1] for error in answer.topic_errors]

    def administer(self, topic: str) -> Any:
        admin = KafkaAdminClient(**self._common)
        (described,) = admin.describe_topics([topic])
        groups = [name for name, _ in admin.list_consumer_groups() if story.SESSION in name]
        offsets = admin.list_consumer_group_offsets(f"group-{story.SESSION}")
        deleted = admin.delete_topics([topic])
        admin.close()
        return {
            "partitions": len(described["partitions"]),
            "groups": len(groups),
            "offsets": sorted((where.partition, found.offset) for where, found in offsets.items()),
            "deleted": [code for _, code in deleted.topic_error_codes],
        }

    def produce(self, topic: str, codec: str, **config: Any) -> list[int]:
        compression = None if codec == "none" else codec
        producer = KafkaProducer(**self._common, compression_type=compression, acks="all", **config)
        sent = [
            producer.send(
                topic, value, key, headers, partition, timestamp_ms=story.TIMESTAMP_MS + i
            )
            for i, (partition, key, value, headers) in enumerate(story.records())
        ]
        producer.flush(story.WAIT_S)
        offsets = [one.get(story.WAIT_S).offset for one in sent]
        producer.close()
        return offsets

    def produce_idempotently(self, topic: str) -> list[int]:
        if "enable_idempotence" not in KafkaProducer.DEFAULT_CONFIG:
            return self.produce(topic, "none")
        return self.produce(topic, "none", enable_idempotence=True)

    def consume(self, topic: str, count: int) -> list[list[Any]]:
        consumer = KafkaConsumer(
            **self._common, auto_offset_reset="earliest", consumer_timeout_ms=story.WAIT_S * 1000
        )
        consumer.assign([TopicPartition(topic, i) for i in range(story.PARTITIONS)])
        rows = []
        for one in consumer:
            where = (one.partition, one.offset)
            rows.append(story.row(*where, one.key, one.value, one.headers, one.timestamp))
            if len(rows) == count:
                break
        consumer.close()
        return sorted(rows, key=lambda found: found[:2])

    def member(self, topic: str, group: str) -> Any:
        return Member(
            KafkaConsumer(
                topic,
                **self._common,
                group_id=group,
                auto_offset_reset="earliest",
                enable_auto_commit=False,
                session_timeout_ms=10_000,
                heartbeat_interval_ms=500,
            )
        )


class Member:
    def __init__(self, consumer: KafkaConsumer) -> None:
        self._consumer = consumer

    def poll(self) -> list[tuple[int, int]]:
        found = self._consumer.poll(200)
        rows = [(one.partition, one.offset) for part in found.values() for one in part]
        if rows:
            self._consumer.commit()
        return rows

    def partitions(self) -> list[int]:
        return [one.partition for one in self._consumer.assignment()]

    def commit(self) -> None:
        self._consumer.commit()

    def close(self) -> None:
        self._consumer.close()


if __name__ == "__main__":
    story.run(KafkaPython)
