"""How long a fetch waits for more: long polls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from kbroker.handlers import fetch
from kbroker.storage.flush import flush
from kbroker.storage.log_config import LogConfig
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.fetch import FetchResponse

from .data_path import DataPath, batch
from .fetching import LATEST, MEGABYTE, content, fill, offsets, only, request, send, waiting, wanted

if TYPE_CHECKING:
    from pathlib import Path

ONE = len(batch(b"x" * 100))


@pytest.fixture
def path(tmp_path: Path) -> DataPath:
    return DataPath(tmp_path)


@pytest.mark.parametrize(
    ("wait_ms", "min_bytes", "max_bytes", "seconds"),
    [
        (60_000, ONE, MEGABYTE, 0),
        (60_000, ONE + 1, MEGABYTE, 60),
        (60_000, 2 * ONE, ONE, 0),
        (1, 2 * ONE, MEGABYTE, 0.001),
        (0, 2 * ONE, MEGABYTE, 0),
    ],
    ids=["exactly", "a byte too little", "all that may be sent", "a moment", "no time"],
)
async def test_a_fetch_waits_only_for_what_is_missing(
    path: DataPath,
    autojump_clock: trio.testing.MockClock,
    wait_ms: int,
    min_bytes: int,
    max_bytes: int,
    seconds: float,
) -> None:
    fill(path.add("t"), 1)
    started = trio.current_time()
    asked = request(wanted(), wait_ms=wait_ms, min_bytes=min_bytes, max_bytes=max_bytes)
    result = fetch.handle(asked, path.context(1, LATEST))
    response = result if isinstance(result, FetchResponse) else await result
    assert trio.current_time() - started == pytest.approx(seconds)
    assert offsets(only(response)) == [(0, 0)]


def test_a_fetch_of_nothing_does_not_wait(path: DataPath) -> None:
    assert send(path, request(wait_ms=60_000)).responses == []


@pytest.mark.parametrize(("batches_min", "seconds"), [(3, 2), (4, 3), (5, 60)])
async def test_a_long_poll_counts_all_that_a_flush_makes_readable(
    path: DataPath, autojump_clock: trio.testing.MockClock, batches_min: int, seconds: int
) -> None:
    """Under flush.messages several appends come below the high watermark at once."""
    partition = path.add("t", config=LogConfig(flush_messages=2))
    fill(partition, 1)
    started = trio.current_time()

    async def flush_later() -> None:
        await trio.sleep(1)
        fill(partition, 1, 1, 1)
        assert not partition.is_committed(1)
        await trio.sleep(1)
        flush(partition.log)
        partition.flushed(partition.log_end_offset)
        await trio.sleep(1)
        fill(partition, 1)
        assert partition.is_committed(4)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(flush_later)
        asked = request(wanted(1), wait_ms=60_000, min_bytes=batches_min * ONE)
        response = await waiting(path, asked)
        assert trio.current_time() - started == pytest.approx(seconds)
    assert len(offsets(only(response))) == min(batches_min, 4)


async def test_a_long_poll_counts_what_was_there(
    path: DataPath, autojump_clock: trio.testing.MockClock
) -> None:
    partition = path.add("t")
    fill(partition, 1)
    started = trio.current_time()

    async def append_later() -> None:
        for _ in range(2):
            await trio.sleep(1)
            fill(partition, 1)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(append_later)
        await waiting(path, request(wanted(), wait_ms=60_000, min_bytes=3 * ONE))
    assert trio.current_time() - started == pytest.approx(2)


async def test_a_long_poll_wakes_on_append(
    path: DataPath, autojump_clock: trio.testing.MockClock
) -> None:
    partition = path.add("t")
    started = trio.current_time()

    async def append_later() -> None:
        await trio.sleep(3)
        fill(partition, 2)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(append_later)
        response = await waiting(path, request(wanted(), wait_ms=60_000))
    assert offsets(only(response)) == [(0, 1)]
    assert trio.current_time() - started == pytest.approx(3)


async def test_a_long_poll_waits_for_min_bytes_over_all_partitions(
    path: DataPath, autojump_clock: trio.testing.MockClock
) -> None:
    partitions = [path.add("t", i) for i in range(2)]
    started = trio.current_time()

    async def append_bit_by_bit() -> None:
        for i in range(8):
            await trio.sleep(1)
            fill(partitions[i % 2], 1)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(append_bit_by_bit)
        one = len(batch(b"x" * 100))
        response = await waiting(
            path, request(wanted(), wanted(index=1), wait_ms=60_000, min_bytes=5 * one)
        )
        assert trio.current_time() - started == pytest.approx(5)
    assert sum(len(content(p)) for p in response.responses[0].partitions) == 5 * one


async def test_a_long_poll_ends_with_what_there_is(
    path: DataPath, autojump_clock: trio.testing.MockClock
) -> None:
    partition = path.add("t")
    fill(partition, 1)
    started = trio.current_time()
    response = await waiting(path, request(wanted(), wait_ms=500, min_bytes=10_000))
    assert trio.current_time() - started == pytest.approx(0.5)
    assert offsets(only(response)) == [(0, 0)]


@pytest.mark.parametrize("version", [4, 12, LATEST])
async def test_a_long_poll_ends_when_its_partition_goes(
    path: DataPath, autojump_clock: trio.testing.MockClock, version: int
) -> None:
    """It was found, so it is answered where it was asked for, and not as one that never was."""
    partition = path.add("t")
    path.add("u")
    asked = request(wanted(), wait_ms=60_000)
    asked.topics += request(wanted(), topic="u").topics

    async def delete_later() -> None:
        await trio.sleep(1)
        path.table.remove("t", partition.topic_id)
        path.cluster.remove_topic("t")
        partition.remove()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(delete_later)
        response = await waiting(path, asked, version)
    gone, stays = (part for topic in response.responses for part in topic.partitions)
    assert (gone.error_code, gone.aborted_transactions) == (
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        None,
    )
    assert stays.error_code == 0


async def test_a_long_poll_that_is_woken_answers_with_what_there_is(
    path: DataPath, autojump_clock: trio.testing.MockClock
) -> None:
    partition = path.add("t")
    fill(partition, 1)
    started = trio.current_time()

    async def wake_later() -> None:
        await trio.sleep(1)
        partition.wake()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wake_later)
        response = await waiting(path, request(wanted(), wait_ms=60_000, min_bytes=10_000))
        assert trio.current_time() - started == pytest.approx(1)
    assert offsets(only(response)) == [(0, 0)]


async def test_a_stopping_broker_does_not_let_wait(path: DataPath) -> None:
    path.add("t")
    path.services.stopping.set()
    assert send(path, request(wanted(), wait_ms=60_000)).error_code == 0
