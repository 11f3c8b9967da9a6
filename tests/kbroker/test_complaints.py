"""That trouble is told when it begins, and not by everyone who meets it."""

from __future__ import annotations

import errno
import logging
from typing import TYPE_CHECKING

import pytest
import trio

from kbroker.complaints import CALM_S, KEPT_MAX, Complaints
from kbroker.node.errors import BrokerStopped
from kbroker.node.settings import TopicSpec
from kbroker.storage.builder import NewRecord, build_batch
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.fetch import FetchPartition, FetchRequest, FetchResponse, FetchTopic
from tests.kbroker.log_dirs.rig import create
from tests.sim.broker import DATA, Machine

if TYPE_CHECKING:
    from tests.sim.broker import Client

PARTITIONS = 12
NOW_MS = 1_700_000_000_000


class Time:
    """Wall time that the test moves."""

    def __init__(self) -> None:
        self.now_ms = NOW_MS

    def wall_ms(self) -> int:
        return self.now_ms


def test_trouble_is_news_when_it_begins_and_once_more_after_a_calm() -> None:
    now_s = 5.0
    complaints = Complaints(lambda: now_s)
    assert complaints.is_news("a")
    assert complaints.is_news("b")
    for _ in range(10):  # it lasts for longer than a calm
        now_s += CALM_S / 2
        assert not complaints.is_news("a")
    assert complaints.is_news("b")
    now_s += CALM_S
    assert complaints.is_news("a")


def test_no_more_is_remembered_than_the_latest() -> None:
    complaints = Complaints(lambda: 0.0)
    assert complaints.is_news("first")
    assert all(complaints.is_news(n) for n in range(KEPT_MAX - 1))
    assert not complaints.is_news("first")
    assert complaints.is_news("one more")
    assert not complaints.is_news("first")
    assert complaints.is_news(0)


async def failures(client: Client) -> set[ErrorCode]:
    """What every partition answers, written and read."""
    found = set()
    record = NewRecord(NOW_MS, b"k", b"v" * 100)
    for index in range(PARTITIONS):
        found.add((await client.produce("t", build_batch([record]), index=index))[0])
    wanted = [
        FetchPartition(partition=index, fetch_offset=0, partition_max_bytes=1000)
        for index in range(PARTITIONS)
    ]
    request = FetchRequest(
        max_wait_ms=0, max_bytes=1 << 20, topics=[FetchTopic(topic="t", partitions=wanted)]
    )
    response = await client.call(request, FetchResponse, 12)
    answers = response.responses[0].partitions
    return found | {ErrorCode(each.error_code) for each in answers}


@pytest.mark.parametrize(
    ("error", "sentences"),
    [
        (errno.EMFILE, ("Too many open files", "ulimit -n", "LimitNOFILE=")),
        (errno.ENOSPC, ("No space left on device", f"{DATA} is full")),
    ],
)
async def test_a_shortage_is_one_line_however_many_partitions_feel_it(
    error: int, sentences: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    machine, time = Machine(), Time()

    def said() -> list[str]:
        return [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]

    async with machine.broker(TopicSpec("t", PARTITIONS), clock=time) as client:
        assert await failures(client) == {ErrorCode.NONE}
        before = said()
        for shortages in (1, 2):
            for index in range(PARTITIONS):
                machine.disk.break_down(f"{DATA}/t-{index}", error)
            for _ in range(3):
                assert await failures(client) == {ErrorCode.KAFKA_STORAGE_ERROR}
                time.now_ms += 20_000
            lines = said()[len(before) :]
            assert len(lines) == shortages
            assert all(sentence in lines[-1] for sentence in sentences)
            for index in range(PARTITIONS):
                machine.disk.mend(f"{DATA}/t-{index}")
            assert await failures(client) == {ErrorCode.NONE}
            time.now_ms += round(CALM_S * 1000)


async def test_topics_that_find_no_room_are_one_line(caplog: pytest.LogCaptureFixture) -> None:
    machine = Machine()
    async with machine.broker(clock=Time()) as client:
        for index in range(PARTITIONS):
            machine.disk.break_down(f"{DATA}/t-{index}", errno.EMFILE)
        await client.call(*create("t", PARTITIONS))
        lines = [each for each in caplog.messages if "Too many open files" in each]
        assert len(lines) == 1
        assert lines[0].startswith("t-0 cannot be opened: ")
        for index in range(PARTITIONS):
            machine.disk.mend(f"{DATA}/t-{index}")


@pytest.mark.parametrize("is_stopped", [False, True])
async def test_a_sync_waits_for_a_descriptor_and_takes_no_partition_offline(
    is_stopped: bool, caplog: pytest.LogCaptureFixture
) -> None:
    machine = Machine()
    batch = build_batch([NewRecord(NOW_MS, b"k", b"v")])

    async def live() -> None:
        async with machine.broker(TopicSpec("t", 1, {"flush.messages": "1"})) as client:
            for _ in range(1000 if is_stopped else 3):
                machine.disk.fail_next("fsync_dir", errno.EMFILE, "/t-0")
            with trio.move_on_after(0.5 if is_stopped else 60) as waiting:
                assert await client.produce("t", batch) == (ErrorCode.NONE, 0)
            assert waiting.cancelled_caught is is_stopped

    if is_stopped:
        with pytest.raises(BrokerStopped, match="the next start will check the logs"):
            await live()
    else:
        await live()
    assert "t-0 cannot be synced: " in caplog.text
    assert "offline" not in caplog.text
    assert (".kafka_cleanshutdown" in machine.disk.list_dir(DATA)) is not is_stopped
