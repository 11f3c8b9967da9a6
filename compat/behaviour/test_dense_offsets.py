"""Offsets are dense and rise, and nothing stands behind the last record."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kbroker.storage.compression import Codec

from .asking import (
    EARLIEST,
    LATEST,
    assert_none,
    batch,
    fetch,
    fetch_request,
    list_offset,
    make_topic,
    produce,
    records_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from compat.raw import RawClient

pytestmark = [pytest.mark.ci, pytest.mark.item(15)]

COUNTS = (1, 5, 2, 100, 1, 1, 30)


@pytest.mark.parametrize("codec", list(Codec))
def test_each_batch_begins_where_the_last_one_ended(
    raw: RawClient, unique: Callable[[str], str], codec: Codec
) -> None:
    topic = unique("dense")
    topic_id = make_topic(raw, topic)
    end = 0
    for count in COUNTS:
        answer = produce(raw, topic, batch(*[b"v"] * count, codec=codec))
        assert_none(answer.error_code)
        assert answer.base_offset == end
        end += count
        assert list_offset(raw, topic, LATEST).offset == end
    found: list[int] = []
    while len(found) < end:
        data = fetch(raw, fetch_request(topic_id, len(found)))
        offsets = [record.offset for record in records_of(data)]
        assert offsets, "no records before the end"
        assert data.high_watermark == data.last_stable_offset == end
        found += [offset for offset in offsets if offset >= len(found)]
    assert found == list(range(end))
    assert list_offset(raw, topic, EARLIEST).offset == 0
    after = fetch(raw, fetch_request(topic_id, end, max_wait_ms=100))
    assert_none(after.error_code)
    assert records_of(after) == []
    assert after.high_watermark == end


def test_what_is_refused_takes_no_offset(raw: RawClient, unique: Callable[[str], str]) -> None:
    topic = unique("refused")
    make_topic(raw, topic, max_message_bytes="1000")
    assert produce(raw, topic, batch(b"a")).base_offset == 0
    assert produce(raw, topic, batch(bytes(5000))).error_code
    assert produce(raw, topic, batch(b"b")).base_offset == 1
    assert list_offset(raw, topic, LATEST).offset == 2
