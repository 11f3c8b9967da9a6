"""The runtime drives any coordinator: here one that counts what is added to names, and takes back
one every second from a name that it was told of.
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import trio

from kbroker.coordinators.deadlines import Deadline, Deadlines
from kbroker.coordinators.result import Now, Parked, Result
from kbroker.coordinators.runtime import CoordinatorRuntime
from kbroker.coordinators.shard import CoordinatedTopic
from kbroker.storage.compression import Codec
from kbroker.storage.errors import RecordTooLarge
from kbroker.wire.errors import ErrorCode

from .rig import LOG_PATH, MemoryPartition, TrioClock

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pytest

    from kbroker.storage.batch import BatchHeader, KeyValue

TOPIC = "__counts"
EVERY_MS = 1_000


class Added(NamedTuple):
    """A record: a name's count has grown by so much."""

    name: str
    by: int


Counted: TypeAlias = Result[Added, str, int]


class Counts:
    """A shard."""

    def __init__(self, index: int, deadlines: Deadlines[str]) -> None:
        self.index = index
        self.of: Counter[str] = Counter()
        self.told: list[tuple[str, object]] = []
        self._deadlines = deadlines
        self._waiting: list[Parked[int]] = []

    def decide_add(self, name: str, by: int, now: Now) -> Counted:
        result: Counted = Result(now, self.of[name] + by)
        result.records.append(Added(name, by))
        result.on_commit = name
        return result

    def decide_decay(self, name: str, now: Now) -> Counted:
        deadline = Deadline(self, name)
        self._deadlines.set(deadline, now.timer_ms + EVERY_MS)
        return Result(now)

    def decide_wait(self, parked: Parked[int], now: Now) -> Counted:
        self._waiting.append(parked)
        return Result(now)

    def replay(self, record: Added) -> None:
        self.of[record.name] += record.by

    def replay_written(self, records: list[Added], first_offset: int) -> None:
        for record in records:
            self.replay(record)

    def committed(self, on_commit: str, now: Now) -> Counted:
        self.told.append((on_commit, "committed"))
        return Result(now)

    def failed(self, on_commit: str, error: ErrorCode, now: Now, *, is_appended: bool) -> Counted:
        self.told.append((on_commit, (error, is_appended)))
        return Result(now)

    def on_deadline(self, event: str, now: Now) -> Counted:
        result = self.decide_add(event, -1, now)
        self.decide_decay(event, now)
        return result

    def on_loaded(self, now: Now) -> Counted:
        return Result(now)

    def on_unloaded(self, now: Now) -> Counted:
        return Result(now, answers=[(parked, -1) for parked in self._waiting])

    def summary(self) -> str:
        return f"{len(self.of)} names"


class CountsReplay:
    """Takes each record at its place."""

    def __init__(self, shard: Counts, *, keeps_latest: bool) -> None:
        self._shard = shard
        self.skipped: Counter[str] = Counter()

    def take(self, records: Iterable[KeyValue]) -> None:
        for _, key, value in records:
            assert key is not None
            assert value is not None
            self._shard.replay(Added(bytes(key).decode(), int(value)))

    def take_batch(self, header: BatchHeader, records: Iterable[KeyValue]) -> Iterator[None]:
        for record in records:
            self.take((record,))
            yield

    def flush(self) -> Iterator[None]:
        return iter(())


def encode(record: Added) -> tuple[bytes, bytes | None]:
    return record.name.encode(), str(record.by).encode()


def new_runtime() -> CoordinatorRuntime[Counts]:
    topic = CoordinatedTopic(
        name=TOPIC,
        new_shard=Counts,
        new_replay=CountsReplay,
        encode=encode,
        codec=Codec.NONE,
        commit_timeout_ms=5_000,
        read_bytes_max=1 << 20,
        log=logging.getLogger("kbroker.counts"),
    )
    return CoordinatorRuntime(topic, TrioClock())


def add(runtime: CoordinatorRuntime[Counts], name: str, by: int, index: int = 0) -> Any:
    """The new count, or why it was not added."""
    partition = runtime.partition(index)
    if isinstance(partition, ErrorCode):
        return partition
    result = partition.shard.decide_add(name, by, runtime.now())
    error = runtime.apply(partition, result)
    return result.response if error is ErrorCode.NONE else error


def shard_of(runtime: CoordinatorRuntime[Counts]) -> Counts:
    (partition,) = runtime.loaded_partitions()
    return partition.shard


async def test_what_is_decided_is_written_and_loaded_by_the_next_coordinator(
    nursery: trio.Nursery, autojump_clock: object, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    replica = MemoryPartition()
    first = new_runtime()
    assert add(first, "a", 1) is ErrorCode.NOT_COORDINATOR
    first.on_elected(0, replica, 1)
    assert [add(first, "a", by) for by in (1, 2)] == [1, 3]
    assert add(first, "b", 5) == 5
    assert shard_of(first).told == [("a", "committed"), ("a", "committed"), ("b", "committed")]
    first.on_resigned(0)
    assert add(first, "a", 1) is ErrorCode.NOT_COORDINATOR

    second = new_runtime()
    second.on_elected(0, replica, 2)
    assert add(second, "a", 1) is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
    await nursery.start(second.run)
    await second.wait_loaded(None)
    assert shard_of(second).of == {"a": 3, "b": 5}
    assert [
        record.getMessage() for record in caplog.records if record.name == "kbroker.counts"
    ] == [
        f"{TOPIC}-0: loaded 2 names from offsets 0 to 3 (3 records, {replica.log_size} bytes) "
        "in 0 ms"
    ]
    nursery.cancel_scope.cancel()


async def test_a_write_that_fails_is_told_to_the_shard(autojump_clock: object) -> None:
    replica = MemoryPartition()
    runtime = new_runtime()
    runtime.on_elected(0, replica, 1)
    replica.append_error = RecordTooLarge("too large")
    error = add(runtime, "a", 1)
    assert error is ErrorCode.UNKNOWN_SERVER_ERROR
    assert shard_of(runtime).told == [("a", (error, False))]
    assert not shard_of(runtime).of


async def test_a_write_that_is_not_committed_in_time_is_told_to_the_shard(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    replica = MemoryPartition()
    replica.auto_commit = False
    runtime = new_runtime()
    await nursery.start(runtime.run)
    runtime.on_elected(0, replica, 1)
    assert add(runtime, "a", 1) == 1
    (partition,) = runtime.loaded_partitions()
    assert not partition.is_all_committed
    assert await runtime.wait_all_committed(partition) is ErrorCode.COORDINATOR_NOT_AVAILABLE
    await trio.testing.wait_all_tasks_blocked()
    assert partition.shard.told == [("a", (ErrorCode.COORDINATOR_NOT_AVAILABLE, True))]
    nursery.cancel_scope.cancel()


async def test_deadlines_are_those_of_the_shard_that_set_them(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    replica = MemoryPartition()
    runtime = new_runtime()
    await nursery.start(runtime.run)
    runtime.on_elected(0, replica, 1)
    (partition,) = runtime.loaded_partitions()
    runtime.apply(partition, partition.shard.decide_decay("a", runtime.now()))
    await trio.sleep(3.5)
    assert partition.shard.of == {"a": -3}
    runtime.on_elected(0, replica, 2)
    await runtime.wait_loaded(None)
    await trio.sleep(3)
    assert shard_of(runtime).of == {"a": -3}
    nursery.cancel_scope.cancel()


async def test_whoever_waits_is_answered_when_the_broker_resigns(autojump_clock: object) -> None:
    runtime = new_runtime()
    runtime.on_elected(0, MemoryPartition(), 1)
    (partition,) = runtime.loaded_partitions()
    parked: Parked[int] = Parked()
    runtime.apply(partition, partition.shard.decide_wait(parked, runtime.now()))
    assert parked.response is None
    runtime.on_resigned(0)
    assert parked.response == -1


async def test_a_decision_for_all_waits_for_those_that_load(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    full = MemoryPartition()
    before = new_runtime()
    before.on_elected(1, full, 1)
    assert add(before, "a", 7, index=1) == 7

    runtime = new_runtime()
    runtime.on_elected(0, MemoryPartition(), 1)
    gate = full.disk.hold_reads(LOG_PATH)
    runtime.on_elected(1, full, 2)
    await nursery.start(runtime.run)
    runtime.decide_in_all(lambda shard, now: shard.decide_add("a", -shard.of["a"], now))
    assert len(full.stored) == 1
    gate.set()
    await runtime.wait_loaded(None)
    assert [each.shard.of["a"] for each in runtime.loaded_partitions()] == [0, 0]
    assert len(full.stored) == 2
    nursery.cancel_scope.cancel()
