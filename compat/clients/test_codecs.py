"""Every codec, written by each client and read by every other, with records of every shape."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from compat.clients.records import CODECS, Record, assert_same, now_ms, sample_records

if TYPE_CHECKING:
    from collections.abc import Callable

    from compat.brokers import Broker
    from compat.clients.records import StockClient

pytestmark = pytest.mark.ci

PARTITIONS = 3


@pytest.fixture(scope="module")
def written(
    broker: Broker, clients: dict[str, StockClient], unique: Callable[[str], str]
) -> dict[str, list[Record]]:
    """Topic -> what one client wrote into it with one codec."""
    from compat.clients.conftest import create_topic

    topics: dict[str, list[Record]] = {}
    for name, client in clients.items():
        for codec in CODECS:
            topic = create_topic(broker.bootstrap, unique(f"{name}-{codec}"), PARTITIONS)
            records = sample_records(
                PARTITIONS,
                all_null=client.sends_all_null,
                null_headers=client.sends_null_headers,
            )
            offsets = client.produce(broker.bootstrap, topic, records, codec=codec)
            places = list(zip((r.partition for r in records), offsets, strict=True))
            expected = [(i % PARTITIONS, i // PARTITIONS) for i in range(len(records))]
            assert places == expected, topic
            topics[topic] = records
    return topics


def test_reads_what_each_client_wrote_with_each_codec(
    broker: Broker, client: StockClient, written: dict[str, list[Record]]
) -> None:
    counts = {topic: len(records) for topic, records in written.items()}
    found = client.read(broker.bootstrap, counts)
    for topic, records in written.items():
        assert_same(records, found[topic])


def test_a_record_just_under_the_limit_goes_through(
    broker: Broker, client: StockClient, new_topic: Callable[..., str]
) -> None:
    topic = new_topic()
    big = Record(key=b"big", value=bytes(range(256)) * 4000, timestamp_ms=now_ms())
    assert client.produce(broker.bootstrap, topic, [big], request_bytes_max=2 << 20) == [0]
    assert_same([big], client.read(broker.bootstrap, {topic: 1})[topic])


def test_a_record_over_the_topics_limit_is_refused(
    broker: Broker, client: StockClient, new_topic: Callable[..., str]
) -> None:
    topic = new_topic(max_message_bytes="50000")
    big = Record(value=bytes(60_000), timestamp_ms=now_ms())
    with pytest.raises(Exception, match=r"(?i)too.?large|MSG_SIZE_TOO_LARGE"):
        client.produce(broker.bootstrap, topic, [big])
    assert client.offset_range(broker.bootstrap, topic, 0) == (0, 0)


@pytest.mark.parametrize("codec", CODECS[1:])
def test_the_topics_codec_wins_over_the_producers(
    broker: Broker,
    clients: dict[str, StockClient],
    new_topic: Callable[..., str],
    codec: str,
) -> None:
    topic = new_topic(1, compression_type=codec)
    sent = sample_records(1)
    writer_codec = "lz4" if codec == "gzip" else "gzip"
    clients["librdkafka"].produce(broker.bootstrap, topic, sent, codec=writer_codec)
    for reader in (clients["librdkafka"], clients["kafka-python"]):
        assert_same(sent, reader.read(broker.bootstrap, {topic: len(sent)})[topic])
