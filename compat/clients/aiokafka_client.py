"""aiokafka, each call in an event loop of its own."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, OffsetAndMetadata, TopicPartition

from compat.clients.records import Fetched, Position, Record

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_TIMEOUT_S = 60.0


class Aiokafka:
    """A StockClient."""

    name = "aiokafka"
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
        async def run() -> list[int]:
            producer = AIOKafkaProducer(
                bootstrap_servers=bootstrap,
                acks="all",
                compression_type=None if codec == "none" else codec,
                enable_idempotence=idempotent,
                max_request_size=request_bytes_max,
            )
            await producer.start()
            try:
                futures = [
                    await producer.send(
                        topic,
                        value=record.value,
                        key=record.key,
                        headers=list(record.headers),
                        partition=record.partition,
                        timestamp_ms=record.timestamp_ms,
                    )
                    for record in records
                ]
                return [(await asyncio.wait_for(one, _TIMEOUT_S)).offset for one in futures]
            finally:
                await producer.stop()

        return asyncio.run(run())

    def read(self, bootstrap: str, counts: dict[str, int]) -> dict[str, list[Fetched]]:
        async def run() -> dict[str, list[Fetched]]:
            found: dict[str, list[Fetched]] = {topic: [] for topic in counts}
            async with _consumer(bootstrap) as consumer:
                await consumer._client.set_topics(list(counts))
                partitions = [
                    TopicPartition(t, p) for t in counts for p in consumer.partitions_for_topic(t)
                ]
                consumer.assign(partitions)
                await consumer.seek_to_beginning(*partitions)
                for message in await _take(consumer, sum(counts.values())):
                    found[message.topic].append(_fetched(message))
            return found

        return asyncio.run(run())

    def read_from(
        self, bootstrap: str, topic: str, partition: int, offset: int, count: int
    ) -> list[Fetched]:
        async def run() -> list[Fetched]:
            where = TopicPartition(topic, partition)
            async with _consumer(bootstrap) as consumer:
                consumer.assign([where])
                consumer.seek(where, offset)
                return [_fetched(message) for message in await _take(consumer, count)]

        return asyncio.run(run())

    def offset_for_time(
        self, bootstrap: str, topic: str, partition: int, timestamp_ms: int
    ) -> int | None:
        async def run() -> int | None:
            where = TopicPartition(topic, partition)
            async with _consumer(bootstrap) as consumer:
                found = (await consumer.offsets_for_times({where: timestamp_ms}))[where]
            return None if found is None else int(found.offset)

        return asyncio.run(run())

    def offset_range(self, bootstrap: str, topic: str, partition: int) -> tuple[int, int]:
        async def run() -> tuple[int, int]:
            where = TopicPartition(topic, partition)
            async with _consumer(bootstrap) as consumer:
                first = (await consumer.beginning_offsets([where]))[where]
                return first, (await consumer.end_offsets([where]))[where]

        return asyncio.run(run())

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
        async def run() -> None:
            where = TopicPartition(topic, partition)
            async with _consumer(bootstrap, group) as consumer:
                consumer.assign([where])
                # Every commit of aiokafka is a coroutine: "asynchronous" is one in a task.
                offsets = {where: OffsetAndMetadata(position.offset, position.metadata)}
                commit = consumer.commit(offsets)
                await (commit if wait else asyncio.create_task(commit))

        asyncio.run(run())

    def committed(self, bootstrap: str, group: str, topic: str, partition: int) -> Position | None:
        """aiokafka's consumer gives the offset; the metadata comes from its admin client."""
        from aiokafka.admin import AIOKafkaAdminClient

        async def run() -> Position | None:
            admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
            await admin.start()
            try:
                found = await admin.list_consumer_group_offsets(group)
            finally:
                await admin.close()
            position = found.get(TopicPartition(topic, partition))
            return None if position is None else Position(position.offset, position.metadata)

        return asyncio.run(run())


@asynccontextmanager
async def _consumer(bootstrap: str, group: str | None = None) -> AsyncIterator[Any]:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False
    )
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


async def _take(consumer: Any, count: int) -> list[Any]:
    messages: list[Any] = []
    while len(messages) < count:
        message = await asyncio.wait_for(consumer.getone(), _TIMEOUT_S)
        messages.append(message)
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
