"""Seeks, offsets by timestamp, beginning and end, and both kinds of timestamps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from compat.clients.records import Record, by_partition, now_ms, sample_records

if TYPE_CHECKING:
    from collections.abc import Callable

    from compat.brokers import Broker
    from compat.clients.records import StockClient

pytestmark = pytest.mark.ci


@pytest.fixture(scope="module")
def stamped(
    broker: Broker, clients: dict[str, StockClient], unique: Callable[[str], str]
) -> tuple[str, list[Record]]:
    """A topic of one partition whose records, in several compressed batches, are 10 ms apart."""
    from compat.clients.conftest import create_topic

    topic = create_topic(broker.bootstrap, unique("stamped"))
    records = sample_records(1)
    for start in range(0, len(records), 7):
        batch = records[start : start + 7]
        clients["librdkafka"].produce(broker.bootstrap, topic, batch, codec="lz4")
    return topic, records


@pytest.mark.parametrize("offset", [0, 1, 9, 40])
def test_seeks_into_the_middle_of_a_batch(
    broker: Broker, client: StockClient, stamped: tuple[str, list[Record]], offset: int
) -> None:
    topic, records = stamped
    found = client.read_from(broker.bootstrap, topic, 0, offset, 10)
    assert [one.offset for one in found] == list(range(offset, offset + 10))
    assert [one.record for one in found] == records[offset : offset + 10]


def test_finds_the_first_record_at_or_after_a_timestamp(
    broker: Broker, client: StockClient, stamped: tuple[str, list[Record]]
) -> None:
    topic, records = stamped
    first_ms, last_ms = records[0].timestamp_ms, records[-1].timestamp_ms
    asked = {
        0: 0,
        first_ms: 0,
        first_ms + 1: 1,
        records[20].timestamp_ms: 20,
        records[20].timestamp_ms + 5: 21,
        last_ms: len(records) - 1,
        last_ms + 1: None,
    }
    found = {ms: client.offset_for_time(broker.bootstrap, topic, 0, ms) for ms in asked}
    assert found == asked


def test_knows_the_beginning_and_the_end(
    broker: Broker,
    client: StockClient,
    stamped: tuple[str, list[Record]],
    new_topic: Callable[[], str],
) -> None:
    topic, records = stamped
    assert client.offset_range(broker.bootstrap, topic, 0) == (0, len(records))
    assert client.offset_range(broker.bootstrap, new_topic(), 0) == (0, 0)


@pytest.mark.parametrize("codec", ["none", "zstd"])
def test_log_append_time_replaces_the_producers(
    broker: Broker, client: StockClient, new_topic: Callable[..., str], codec: str
) -> None:
    topic = new_topic(2, message_timestamp_type="LogAppendTime")
    sent = [
        Record(partition=i % 2, value=b"v", timestamp_ms=now_ms() - 3_600_000) for i in range(10)
    ]
    before_ms = now_ms()
    client.produce(broker.bootstrap, topic, sent, codec=codec)
    after_ms = now_ms()
    found = client.read(broker.bootstrap, {topic: 10})[topic]
    assert len(found) == len(sent)
    assert all(before_ms <= one.record.timestamp_ms <= after_ms for one in found)
    assert client.offset_for_time(broker.bootstrap, topic, 0, before_ms) == 0
    assert client.offset_for_time(broker.bootstrap, topic, 1, after_ms + 60_000) is None


def test_an_unknown_topic_is_created_by_the_first_record(
    broker: Broker, client: StockClient, unique: Callable[[str], str]
) -> None:
    topic = unique("auto-created")
    sent = [Record(value=str(i).encode(), timestamp_ms=now_ms()) for i in range(3)]
    assert client.produce(broker.bootstrap, topic, sent) == [0, 1, 2]
    assert client.read(broker.bootstrap, {topic: 3})[topic][2].record.value == b"2"


def test_partitions_keep_their_own_order(
    broker: Broker, client: StockClient, new_topic: Callable[..., str]
) -> None:
    topic = new_topic(5)
    sent = [
        Record(partition=(i * 7) % 5, value=str(i).encode(), timestamp_ms=now_ms())
        for i in range(2_000)
    ]
    client.produce(broker.bootstrap, topic, sent)
    found = client.read(broker.bootstrap, {topic: len(sent)})[topic]
    for partition, records in by_partition(sent).items():
        assert [f.record for f in found if f.record.partition == partition] == records
