"""What goes by itself: segments by size and time, positions of groups that nobody uses."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from compat.raw import RawClient
from kbroker.wire.errors import ErrorCode

from .asking import (
    EARLIEST,
    LATEST,
    assert_error,
    assert_none,
    batch,
    fetch,
    fetch_request,
    list_offset,
    make_topic,
    now_ms,
    produce,
    records_of,
)
from .groups import commit, coordinate, fetch_offsets, heartbeat, join, join_request, sync

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from compat.conftest import NewBroker

pytestmark = pytest.mark.item(30)

HOUR_MS = 3_600_000


@pytest.fixture
def hasty(new_broker: NewBroker) -> Iterator[RawClient]:
    """A broker that looks for what has expired twice a second."""
    broker = new_broker(
        {
            "log.retention.check.interval.ms": "500",
            "log.initial.task.delay.ms": "500",
            "offsets.retention.check.interval.ms": "500",
            "offsets.retention.minutes": "1",
        }
    )
    with RawClient(broker.host, broker.port) as raw:
        yield raw


def await_that(condition: Callable[[], bool], timeout_s: float = 120) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.ci
def test_old_segments_go_by_time(hasty: RawClient) -> None:
    topic_id = make_topic(hasty, "old", retention_ms=str(HOUR_MS), segment_bytes=str(1 << 20))
    now = now_ms()
    stamps = [now - 3 * HOUR_MS, now - 3 * HOUR_MS, now]
    for stamp in stamps:  # a segment each
        assert_none(produce(hasty, "old", batch(bytes(900_000), timestamps=[stamp])).error_code)
    await_that(lambda: list_offset(hasty, "old", EARLIEST).offset == 2)
    assert list_offset(hasty, "old", LATEST).offset == 3
    found = list_offset(hasty, "old", now - 4 * HOUR_MS)
    assert (found.timestamp, found.offset) == (now, 2)
    gone = fetch(hasty, fetch_request(topic_id, 1))
    assert_error(gone.error_code, ErrorCode.OFFSET_OUT_OF_RANGE)
    kept = fetch(hasty, fetch_request(topic_id, 2))
    assert (kept.log_start_offset, [r.offset for r in records_of(kept)]) == (2, [2])
    answer = produce(hasty, "old", batch(b"v"))
    assert (answer.base_offset, answer.log_start_offset) == (3, 2)


@pytest.mark.ci
def test_segments_go_by_size_and_never_the_active_one(hasty: RawClient) -> None:
    make_topic(hasty, "big", retention_bytes="1500000", segment_bytes=str(1 << 20))
    for _ in range(4):
        assert_none(produce(hasty, "big", batch(bytes(900_000))).error_code)
    await_that(lambda: list_offset(hasty, "big", EARLIEST).offset == 2)
    time.sleep(1.5)
    assert list_offset(hasty, "big", EARLIEST).offset == 2


@pytest.mark.ci
def test_everything_goes_where_everything_is_old(hasty: RawClient) -> None:
    """The active segment too: it is rolled first, and the log goes on at the same offset."""
    make_topic(hasty, "all", retention_ms="1000")
    assert_none(produce(hasty, "all", batch(b"a", b"b")).error_code)
    await_that(lambda: list_offset(hasty, "all", EARLIEST).offset == 2)
    assert produce(hasty, "all", batch(b"c")).base_offset == 2


@pytest.mark.full
def test_positions_of_a_group_that_nobody_uses_expire(hasty: RawClient) -> None:
    make_topic(hasty, "committed")
    for group in ("idle", "alive"):
        coordinate(hasty, group)
    assert_none(commit(hasty, "idle", "committed", 5))
    joined = join(hasty, join_request("alive", session_timeout_ms=30_000, topics=("committed",)))
    sync(hasty, "alive", joined, {joined.member_id: b""})
    member = (joined.generation_id, joined.member_id)
    code = commit(hasty, "alive", "committed", 6, generation=member[0], member_id=member[1])
    assert_none(code)
    started = time.monotonic()

    def offset(group: str) -> int:
        found = fetch_offsets(hasty, group, {"committed": [0]})
        return found.topics[0].partitions[0].committed_offset

    while offset("idle") == 5:
        assert time.monotonic() - started < 90
        assert_none(heartbeat(hasty, "alive", *member))
        time.sleep(1)
    assert time.monotonic() - started > 55
    assert offset("alive") == 6
