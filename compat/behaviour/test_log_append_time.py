"""LogAppendTime: the answer and the stored batch carry the broker's clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kbroker.storage.batch import TimestampType, verify_crc
from kbroker.storage.compression import Codec

from .asking import (
    batch,
    bytes_of,
    fetch,
    fetch_request,
    headers_of,
    make_topic,
    now_ms,
    produce,
    records_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from compat.raw import RawClient

pytestmark = [pytest.mark.ci, pytest.mark.item(8)]


@pytest.mark.parametrize("codec", list(Codec))
def test_the_brokers_clock_is_answered_and_stored(
    raw: RawClient, unique: Callable[[str], str], codec: Codec
) -> None:
    name = unique("append-time")
    topic_id = make_topic(raw, name, message_timestamp_type="LogAppendTime")
    sent = batch(b"a", b"b", timestamps=[1, 99_999_999_999_999], codec=codec)
    before = now_ms()
    answer = produce(raw, name, sent)
    after = now_ms()
    assert answer.error_code == 0
    assert before <= answer.log_append_time_ms <= after
    stored = fetch(raw, fetch_request(topic_id, 0))
    (header,) = headers_of(stored)
    assert header.timestamp_type is TimestampType.LOG_APPEND_TIME
    assert header.max_timestamp == answer.log_append_time_ms
    assert header.codec is codec
    verify_crc(memoryview(bytes_of(stored)))
    assert [one.timestamp for one in records_of(stored)] == [answer.log_append_time_ms] * 2


def test_create_time_is_kept(raw: RawClient, unique: Callable[[str], str]) -> None:
    name = unique("create-time")
    topic_id = make_topic(raw, name)
    now = now_ms()
    answer = produce(raw, name, batch(b"a", b"b", b"c", timestamps=[now, now - 50, now - 10]))
    assert answer.log_append_time_ms == -1
    stored = fetch(raw, fetch_request(topic_id, 0))
    assert [one.timestamp for one in records_of(stored)] == [now, now - 50, now - 10]
    (header,) = headers_of(stored)
    assert (header.base_timestamp, header.max_timestamp) == (now, now)


@pytest.mark.parametrize(
    ("topic_codec", "sent", "stored"),
    [
        ("producer", Codec.LZ4, Codec.LZ4),
        ("uncompressed", Codec.LZ4, Codec.NONE),
        ("gzip", Codec.NONE, Codec.GZIP),
        ("zstd", Codec.SNAPPY, Codec.ZSTD),
        ("snappy", Codec.SNAPPY, Codec.SNAPPY),
    ],
)
def test_the_topics_codec_is_stored(
    raw: RawClient, unique: Callable[[str], str], topic_codec: str, sent: Codec, stored: Codec
) -> None:
    name = unique("codec")
    topic_id = make_topic(raw, name, compression_type=topic_codec)
    values = [b"value %d" % i for i in range(100)]
    assert produce(raw, name, batch(*values, codec=sent)).error_code == 0
    found = fetch(raw, fetch_request(topic_id, 0))
    assert [header.codec for header in headers_of(found)] == [stored]
    assert [bytes(one.value or b"") for one in records_of(found)] == values
