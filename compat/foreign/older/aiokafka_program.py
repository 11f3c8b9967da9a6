"""aiokafka 0.8, each call on a loop of its own thread."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import story
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic


class Aiokafka(story.Client):
    codecs = ("none", "gzip", "snappy", "lz4", "zstd")

    def __init__(self, bootstrap: str) -> None:
        super().__init__(bootstrap)
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def _wait(self, action: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(action, self._loop).result(2 * story.WAIT_S)

    def create(self, topic: str) -> Any:
        return self._wait(self._create(topic))

    async def _create(self, topic: str) -> Any:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        try:
            answer = await admin.create_topics([NewTopic(topic, story.PARTITIONS, 1)])
        finally:
            await admin.close()
        return [error[1] for error in answer.topic_errors]

    def administer(self, topic: str) -> Any:
        return self._wait(self._administer(topic))

    async def _administer(self, topic: str) -> Any:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        try:
            (described,) = await admin.describe_topics([topic])
            listed = await admin.list_consumer_groups()
            offsets = await admin.list_consumer_group_offsets(f"group-{story.SESSION}")
            deleted = await admin.delete_topics([topic])
        finally:
            await admin.close()
        return {
            "partitions": len(described["partitions"]),
            "groups": sum(story.SESSION in name for name, *_ in listed),
            "offsets": sorted((where.partition, found.offset) for where, found in offsets.items()),
            "deleted": [code for _, code in deleted.topic_error_codes],
        }

    def produce(self, topic: str, codec: str, **config: Any) -> list[int]:
        return self._wait(self._produce(topic, codec, **config))

    async def _produce(self, topic: str, codec: str, **config: Any) -> list[int]:
        compression = None if codec == "none" else codec
        producer = AIOKafkaProducer(
            bootstrap_servers=self.bootstrap, compression_type=compression, acks="all", **config
        )
        await producer.start()
        try:
            sent = [
                await producer.send(topic, value, key, partition, story.TIMESTAMP_MS + i, headers)
                for i, (partition, key, value, headers) in enumerate(story.records())
            ]
            return [(await one).offset for one in sent]
        finally:
            await producer.stop()

    def produce_idempotently(self, topic: str) -> list[int]:
        return self.produce(topic, "none", enable_idempotence=True)

    def consume(self, topic: str, count: int) -> list[list[Any]]:
        return self._wait(self._consume(topic, count))

    async def _consume(self, topic: str, count: int) -> list[list[Any]]:
        consumer = AIOKafkaConsumer(bootstrap_servers=self.bootstrap, auto_offset_reset="earliest")
        await consumer.start()
        try:
            consumer.assign([TopicPartition(topic, i) for i in range(story.PARTITIONS)])
            rows = []
            while len(rows) < count:
                one = await asyncio.wait_for(consumer.getone(), story.WAIT_S)
                where = (one.partition, one.offset)
                rows.append(story.row(*where, one.key, one.value, one.headers, one.timestamp))
        finally:
            await consumer.stop()
        return sorted(rows, key=lambda found: found[:2])

    def member(self, topic: str, group: str) -> Any:
        return self._wait(self._member(topic, group))

    async def _member(self, topic: str, group: str) -> Member:
        consumer = AIOKafkaConsumer(
            topic,
            bootstrap_servers=self.bootstrap,
            group_id=group,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            session_timeout_ms=10_000,
            heartbeat_interval_ms=500,
        )
        await consumer.start()
        return Member(consumer, self._wait)


class Member:
    def __init__(self, consumer: AIOKafkaConsumer, wait: Any) -> None:
        self._consumer = consumer
        self._wait = wait

    def poll(self) -> list[tuple[int, int]]:
        return self._wait(self._poll())

    async def _poll(self) -> list[tuple[int, int]]:
        found = await self._consumer.getmany(timeout_ms=200)
        rows = [(one.partition, one.offset) for part in found.values() for one in part]
        if rows:
            await self._consumer.commit()
        return rows

    def partitions(self) -> list[int]:
        return [one.partition for one in self._consumer.assignment()]

    def commit(self) -> None:
        """What was read is committed as it is read."""

    def close(self) -> None:
        self._wait(self._consumer.stop())


if __name__ == "__main__":
    story.run(Aiokafka)
