"""Fetch: whole batches, byte limits, waits, ranges and epochs (KIP-74, KIP-320)."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from compat.raw import RawClient
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.delete_topics import (
    DeleteTopicsRequest,
    DeleteTopicsResponse,
    DeleteTopicState,
)
from kbroker.wire.messages.fetch import FetchPartition, FetchRequest, FetchResponse, FetchTopic

from .asking import (
    assert_error,
    assert_none,
    batch,
    bytes_of,
    fetch,
    fetch_request,
    headers_of,
    make_topic,
    produce,
    records_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from compat.brokers import Broker

pytestmark = [pytest.mark.ci, pytest.mark.item(9)]

LONG_MS = 100_000
SOON_S = 50.0  # on the busiest machine, and still far from LONG_MS


@pytest.fixture
def five(raw: RawClient, unique: Callable[[str], str]) -> tuple[str, bytes]:
    """A topic with five batches of four records, and its id."""
    name = unique("fetch")
    topic_id = make_topic(raw, name)
    for i in range(5):
        produce(raw, name, batch(*(b"%d-%d" % (i, j) * 10 for j in range(4))))
    return name, topic_id


@pytest.mark.parametrize("offset", [0, 1, 3, 4, 6, 19])
def test_an_offset_inside_a_batch_gives_the_whole_batch(
    raw: RawClient, five: tuple[str, bytes], offset: int
) -> None:
    found = fetch(raw, fetch_request(five[1], offset))
    assert headers_of(found)[0].base_offset == offset // 4 * 4
    assert records_of(found)[-1].offset == 19
    assert (found.high_watermark, found.last_stable_offset, found.log_start_offset) == (20, 20, 0)


@pytest.mark.item(12)
def test_the_first_batch_comes_however_small_the_limits(
    raw: RawClient, five: tuple[str, bytes]
) -> None:
    for request in (
        fetch_request(five[1], 5, max_bytes=1),
        fetch_request(five[1], 5, max_bytes=0),
        fetch_request(five[1], 5, partition_max_bytes=1),
    ):
        found = fetch(raw, request)
        (header,) = headers_of(found)
        assert header.base_offset == 4
        assert len(bytes_of(found)) == header.size_bytes


@pytest.mark.item(12)
def test_the_partition_limit_counts_from_the_first_batch(
    raw: RawClient, five: tuple[str, bytes]
) -> None:
    size = headers_of(fetch(raw, fetch_request(five[1], 0)))[0].size_bytes
    found = fetch(raw, fetch_request(five[1], 0, partition_max_bytes=2 * size + 10))
    assert [header.base_offset for header in headers_of(found)] == [0, 4]


@pytest.mark.item(12)
def test_only_the_first_partition_may_exceed_the_limit(
    raw: RawClient, unique: Callable[[str], str]
) -> None:
    name = unique("two")
    topic_id = make_topic(raw, name, 2)
    for partition in range(2):
        produce(raw, name, batch(bytes(5_000)), partition=partition)
    request = fetch_request(topic_id, 0, max_bytes=100)
    request.topics[0].partitions.append(
        FetchPartition(partition=1, fetch_offset=0, partition_max_bytes=1 << 20)
    )
    response = raw.ask(request, 17, FetchResponse)
    sizes = [len(bytes_of(p)) for p in response.responses[0].partitions]
    assert sizes[0] > 5_000
    assert sizes[1] == 0


@pytest.mark.item(12)
def test_it_waits_for_min_bytes_but_not_longer_than_max_wait(
    raw: RawClient, five: tuple[str, bytes]
) -> None:
    started = time.monotonic()
    found = fetch(raw, fetch_request(five[1], 0, min_bytes=1 << 20, max_wait_ms=400))
    assert 0.35 <= time.monotonic() - started < SOON_S
    assert len(records_of(found)) == 20


@pytest.mark.item(12)
def test_a_record_wakes_it(broker: Broker, raw: RawClient, five: tuple[str, bytes]) -> None:
    name, topic_id = five

    def produce_soon() -> None:
        time.sleep(0.3)
        with RawClient(broker.host, broker.port) as other:
            produce(other, name, batch(b"awake"))

    thread = threading.Thread(target=produce_soon)
    thread.start()
    started = time.monotonic()
    found = fetch(raw, fetch_request(topic_id, 20, max_wait_ms=LONG_MS))
    assert time.monotonic() - started < SOON_S
    thread.join()
    assert [bytes(one.value or b"") for one in records_of(found)] == [b"awake"]


def test_the_end_is_in_range_and_empty(raw: RawClient, five: tuple[str, bytes]) -> None:
    found = fetch(raw, fetch_request(five[1], 20, max_wait_ms=0))
    assert_none(found.error_code)
    assert records_of(found) == []
    assert found.high_watermark == 20


@pytest.mark.parametrize("offset", [-1, 21, 1 << 60])
def test_out_of_range_is_said_at_once(raw: RawClient, five: tuple[str, bytes], offset: int) -> None:
    started = time.monotonic()
    found = fetch(raw, fetch_request(five[1], offset, max_wait_ms=LONG_MS))
    assert time.monotonic() - started < SOON_S
    assert_error(found.error_code, ErrorCode.OFFSET_OUT_OF_RANGE)
    assert not found.records


def test_leader_epochs_fence(raw: RawClient, five: tuple[str, bytes]) -> None:
    found = fetch(raw, fetch_request(five[1], 0, leader_epoch=99, max_wait_ms=LONG_MS))
    assert_error(found.error_code, ErrorCode.UNKNOWN_LEADER_EPOCH)
    assert_none(fetch(raw, fetch_request(five[1], 0, leader_epoch=0)).error_code)


@pytest.mark.item(11)
def test_an_unknown_topic_id_is_said_at_once(raw: RawClient) -> None:
    started = time.monotonic()
    found = fetch(raw, fetch_request(b"\x07" * 16, 0, max_wait_ms=LONG_MS))
    assert time.monotonic() - started < SOON_S
    assert_error(found.error_code, ErrorCode.UNKNOWN_TOPIC_ID)


@pytest.mark.item(11)
def test_an_unknown_name_or_partition_is_said_at_once(
    raw: RawClient, five: tuple[str, bytes], unique: Callable[[str], str]
) -> None:
    started = time.monotonic()
    one = FetchPartition(partition=0, fetch_offset=0, partition_max_bytes=1000)
    request = FetchRequest(
        max_wait_ms=LONG_MS,
        min_bytes=1,
        topics=[FetchTopic(topic=unique("absent"), partitions=[one])],
    )
    response = raw.ask(request, 12, FetchResponse)
    code = response.responses[0].partitions[0].error_code
    assert_error(code, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    found = fetch(raw, fetch_request(five[1], 0, partition=9, max_wait_ms=LONG_MS))
    assert_error(found.error_code, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    assert time.monotonic() - started < SOON_S


@pytest.mark.item(11)
def test_the_id_of_a_deleted_topic_is_unknown_after_its_name_is_reused(
    raw: RawClient, unique: Callable[[str], str]
) -> None:
    name = unique("again")
    old_id = make_topic(raw, name)
    request = DeleteTopicsRequest(topics=[DeleteTopicState(name=name)], timeout_ms=10_000)
    assert_none(raw.ask(request, 6, DeleteTopicsResponse).responses[0].error_code)
    new_id = make_topic(raw, name)
    assert new_id != old_id
    found = fetch(raw, fetch_request(old_id, 0, max_wait_ms=LONG_MS))
    assert_error(found.error_code, ErrorCode.UNKNOWN_TOPIC_ID)
    assert_none(fetch(raw, fetch_request(new_id, 0, max_wait_ms=0)).error_code)


@pytest.mark.parametrize("version", range(4, 19))
def test_every_version_reads(raw: RawClient, five: tuple[str, bytes], version: int) -> None:
    name, topic_id = five
    request = fetch_request(topic_id, 0)
    request.topics[0].topic = name
    response = raw.ask(request, version, FetchResponse)
    (topic,) = response.responses
    assert (topic.topic, topic.topic_id)[version >= 13] == (name, topic_id)[version >= 13]
    assert len(records_of(topic.partitions[0])) == 20
    assert topic.partitions[0].high_watermark == 20
