"""Writing and reading through the client."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from kbroker.client.errors import BrokerError, ClientError
from kbroker.client.partitioner import partition_for_key
from kbroker.client.producer import Producer
from kbroker.client.records import BEGINNING, END, ConsumedRecord, Reader, offsets_for
from kbroker.node.settings import TopicSpec
from kbroker.storage.compression import Codec

from .rig import cluster_of

if TYPE_CHECKING:
    from kbroker.client.cluster import Cluster

NOW_MS = 1_700_000_000_000


async def written(
    cluster: Cluster, count: int, *, topic: str = "t", codec: Codec = Codec.NONE
) -> Producer:
    producer = Producer(cluster, topic, random.Random(1), codec=codec)
    await producer.start()
    for number in range(count):
        producer.send(NOW_MS + number, b"%d" % number, b"v%d" % number)
    await producer.flush()
    return producer


async def read_all(cluster: Cluster, topic: str, count: int) -> list[ConsumedRecord]:
    found = await cluster.topic(topic)
    partitions = [(topic, partition.index) for partition in found.partitions]
    reader = Reader(cluster, await offsets_for(cluster, dict.fromkeys(partitions, BEGINNING)))
    records: list[ConsumedRecord] = []
    for _ in range(100):
        for batch in await reader.read(0.1):
            records += batch
        if len(records) >= count:
            break
    return records


@pytest.mark.parametrize("codec", list(Codec))
async def test_what_is_written_is_read(codec: Codec) -> None:
    async with cluster_of(TopicSpec("t", 3)) as (cluster, _):
        producer = await written(cluster, 500, codec=codec)
        assert (producer.sent_count, producer.buffered_bytes) == (500, 0)
        records = await read_all(cluster, "t", 500)
        assert sorted(int(r.key or b"") for r in records) == list(range(500))
        for record in records:
            assert record.key is not None
            assert record.value == b"v" + record.key
            assert record.timestamp_ms == NOW_MS + int(record.key)
            assert record.partition == partition_for_key(record.key, 3)


async def test_order_within_a_partition() -> None:
    async with cluster_of(TopicSpec("t", 1)) as (cluster, _):
        await written(cluster, 300)
        records = await read_all(cluster, "t", 300)
        assert [record.offset for record in records] == list(range(300))
        assert [int(record.key or b"") for record in records] == list(range(300))


async def test_nulls_headers_and_a_chosen_partition() -> None:
    async with cluster_of(TopicSpec("t", 3)) as (cluster, _):
        producer = Producer(cluster, "t", random.Random(1))
        await producer.start()
        producer.send(NOW_MS, None, None, [("a", b"1"), ("b", None)], partition=2)
        await producer.flush()
        (record,) = await read_all(cluster, "t", 1)
        assert (record.key, record.value, record.partition) == (None, None, 2)
        assert record.headers == (("a", b"1"), ("b", None))


async def test_records_larger_than_a_batch_and_many_batches() -> None:
    async with cluster_of(TopicSpec("t", 2)) as (cluster, _):
        producer = Producer(cluster, "t", random.Random(1))
        await producer.start()
        for _ in range(5):
            producer.send(NOW_MS, None, bytes(200_000))
        await producer.flush()
        records = await read_all(cluster, "t", 5)
        assert [len(record.value or b"") for record in records] == [200_000] * 5


async def test_keyless_records_share_batches() -> None:
    async with cluster_of(TopicSpec("t", 8)) as (cluster, _):
        producer = Producer(cluster, "t", random.Random(1))
        await producer.start()
        for _ in range(100):
            producer.send(NOW_MS, None, b"x")
        await producer.flush()
        records = await read_all(cluster, "t", 100)
        assert len({record.partition for record in records}) == 1


async def test_offsets_by_time_beginning_and_end() -> None:
    async with cluster_of(TopicSpec("t", 1)) as (cluster, _):
        await written(cluster, 10)
        where = ("t", 0)
        for timestamp, offset in (
            (BEGINNING, 0),
            (END, 10),
            (NOW_MS + 4, 4),
            (NOW_MS - 5, 0),
            (NOW_MS + 99, 10),
        ):
            assert await offsets_for(cluster, {where: timestamp}) == {where: offset}


async def test_reading_at_the_end_waits_and_then_returns_nothing() -> None:
    async with cluster_of(TopicSpec("t", 1)) as (cluster, _):
        await cluster.topic("t")
        assert list(await Reader(cluster, {("t", 0): 0}).read(0.05)) == []


async def test_an_offset_that_does_not_exist_is_one_sentence() -> None:
    async with cluster_of(TopicSpec("t", 1)) as (cluster, _):
        await cluster.topic("t")
        with pytest.raises(BrokerError, match=r"Partition t-0 at offset 99: .*OFFSET_OUT_OF_RANGE"):
            await Reader(cluster, {("t", 0): 99}).read(0.05)


async def test_a_cut_connection_is_made_again_and_nothing_is_written_twice() -> None:
    async with cluster_of(TopicSpec("t", 1)) as (cluster, links):
        producer = Producer(cluster, "t", random.Random(1))
        await producer.start()
        for number in range(5):
            producer.send(NOW_MS, None, b"%d" % number)
            links.cut()
            await producer.flush()
        records = await read_all(cluster, "t", 5)
        assert [int(record.value or b"") for record in records] == list(range(5))
        assert (await offsets_for(cluster, {("t", 0): END})) == {("t", 0): 5}


async def test_a_topic_that_the_broker_creates() -> None:
    async with cluster_of(settings={"num.partitions": "2"}) as (cluster, _):
        await written(cluster, 10, topic="new")
        assert len(cluster.topics["new"].partitions) == 2


async def test_a_topic_that_is_not_there() -> None:
    async with cluster_of() as (cluster, _):
        with pytest.raises(ClientError, match=r"There is no topic 'nope'\."):
            await cluster.topic("nope")


async def test_a_record_that_is_too_large_is_one_sentence() -> None:
    async with cluster_of(TopicSpec("t", 1, {"max.message.bytes": "1000"})) as (cluster, _):
        producer = Producer(cluster, "t", random.Random(1))
        await producer.start()
        producer.send(NOW_MS, None, bytes(2000))
        with pytest.raises(BrokerError, match=r"Partition t-0 rejected the records: .*TOO_LARGE"):
            await producer.flush()


@pytest.mark.parametrize("acks", [1, 0])
async def test_weaker_acknowledgements(acks: int) -> None:
    async with cluster_of(TopicSpec("t", 1)) as (cluster, _):
        producer = Producer(cluster, "t", random.Random(1), acks=acks)
        await producer.start()
        producer.send(NOW_MS, None, b"x")
        await producer.flush()
        assert len(await read_all(cluster, "t", 1)) == 1
