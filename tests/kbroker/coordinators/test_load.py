"""Loading beside serving: what groups are answered meanwhile, how long a turn of the loop is, and
what ends a load.
"""

from __future__ import annotations

import errno
import logging
import random
import threading
from typing import TYPE_CHECKING, Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from kbroker.coordinators.group.classic.join_rules import Client
from kbroker.coordinators.group.records import CommittedOffset, OffsetStored, encode
from kbroker.coordinators.load import LARGE_BATCH_BYTES, STEP_RECORDS, TURN_S
from kbroker.coordinators.loader import RETRY_S, SMALL_LOAD_BYTES
from kbroker.storage import formats
from kbroker.storage.batch import BatchHeader, ControlType, control_key
from kbroker.storage.builder import NewRecord, build_batch
from kbroker.storage.compression import Codec
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.delete_groups import DeletableGroupResult
from kbroker.wire.messages.describe_groups import DescribedGroup
from kbroker.wire.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from kbroker.wire.messages.join_group import JoinGroupResponse
from kbroker.wire.messages.leave_group import (
    LeaveGroupRequest,
    LeaveGroupResponse,
    MemberIdentity,
)
from kbroker.wire.messages.list_groups import ListGroupsResponse
from kbroker.wire.messages.offset_commit import (
    OffsetCommitResponse,
    OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
)
from kbroker.wire.messages.offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteRequestPartition,
    OffsetDeleteRequestTopic,
    OffsetDeleteResponse,
)
from kbroker.wire.messages.offset_fetch import (
    OffsetFetchResponseGroup,
    OffsetFetchResponsePartitions,
    OffsetFetchResponseTopics,
)
from kbroker.wire.messages.sync_group import SyncGroupResponse
from tests.sim.clock import TickingClock

from .rig import (
    GROUP,
    LOG_PATH,
    TOPIC_ID,
    WALL_MS,
    CoordinatorRig,
    MemoryPartition,
    commit_request,
    config,
    fetch_request,
    join_request,
    sync_request,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from kbroker.coordinators.group.shard import GroupShard
    from kbroker.coordinators.group_coordinator import GroupCoordinator
    from kbroker.coordinators.runtime import CoordinatorRuntime
    from kbroker.storage.batch import KeyValue

LOADING = ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
GONE = ErrorCode.NOT_COORDINATOR
FOUND = (ErrorCode.NONE, 1)


def stored(offset: int, group: str = GROUP, index: int = 0, metadata: str = "") -> NewRecord:
    value = CommittedOffset(offset, 1, metadata, WALL_MS, topic_id=TOPIC_ID)
    return NewRecord(WALL_MS, *encode(OffsetStored(group, "t", index, value)))


def write(
    partition: MemoryPartition,
    *records: NewRecord,
    codec: Codec = Codec.NONE,
    producer_id: int = -1,
) -> None:
    """One batch."""
    batch = build_batch(records, codec=codec, producer_id=producer_id, producer_epoch=0)
    partition.append_local(bytearray(batch), WALL_MS)


def write_each(partition: MemoryPartition, records: Iterable[NewRecord]) -> None:
    for record in records:
        write(partition, record)


def large_log(partition: MemoryPartition, last: int) -> None:
    """More than is loaded before clients are served; the last commit is `last`."""
    write(partition, *(stored(number, metadata="x" * 30_000) for number in range(150)))
    write(partition, stored(last))
    assert partition.log_size > SMALL_LOAD_BYTES


def new_rig(partition_count: int = 1, **settings: object) -> CoordinatorRig:
    """Whose topic exists, with logs that nobody has been elected for yet."""
    rig = CoordinatorRig(config(offsets_topic_num_partitions=partition_count, **settings))
    rig.add_topic("__consumer_offsets", b"offsets".ljust(16), partition_count)
    rig.partitions = {index: MemoryPartition() for index in range(partition_count)}
    return rig


def elect(rig: CoordinatorRig, leader_epoch: int = 1) -> None:
    for index, partition in rig.partitions.items():
        rig.coordinator.on_elected(index, partition, leader_epoch)


def served(rig: CoordinatorRig) -> list[int]:
    """Whose partitions' groups are served."""
    return [partition.index for partition in runtime_of(rig).loaded_partitions()]


def runtime_of(rig: CoordinatorRig) -> CoordinatorRuntime[GroupShard]:
    return rig.coordinator._runtime


def committed(coordinator: GroupCoordinator, group_id: str = GROUP) -> int | ErrorCode:
    """The offset, or why it is not told."""
    request = fetch_request(0, group_id=group_id)
    response = coordinator.fetch_offsets(request, 9, require_stable=False)
    assert isinstance(response, OffsetFetchResponseGroup)
    if response.error_code != ErrorCode.NONE:
        return ErrorCode(response.error_code)
    return response.topics[0].partitions[0].committed_offset


async def settled(given: Any) -> Any:
    return await given if hasattr(given, "close") else given


# --- what is answered meanwhile: as Apache Kafka 4.3 and 4.4 answer

client = Client("app", "/127.0.0.1", 9)
commit_answer = OffsetCommitResponse(
    topics=[
        OffsetCommitResponseTopic(
            name="t",
            topic_id=TOPIC_ID,
            partitions=[
                OffsetCommitResponsePartition(partition_index=index, error_code=LOADING)
                for index in (0, 1)
            ],
        )
    ]
)
old_fetch_answer = OffsetFetchResponseGroup(
    group_id=GROUP,
    topics=[
        OffsetFetchResponseTopics(
            name="t",
            partitions=[
                OffsetFetchResponsePartitions(
                    partition_index=0, committed_offset=-1, error_code=LOADING
                )
            ],
        )
    ],
)
ANSWERS: dict[str, tuple[Callable[[GroupCoordinator], Any], object]] = {
    "FindCoordinator": (lambda c: c.find(GROUP), FOUND),
    "JoinGroup": (
        lambda c: c.join_group(join_request("m"), client),
        JoinGroupResponse(error_code=LOADING),
    ),
    "SyncGroup": (
        lambda c: c.sync_group(sync_request("m", 1)),
        SyncGroupResponse(error_code=LOADING),
    ),
    # Nobody knows better: the member may go on.
    "Heartbeat": (
        lambda c: c.heartbeat(HeartbeatRequest(group_id=GROUP, member_id="m", generation_id=1)),
        HeartbeatResponse(error_code=ErrorCode.NONE),
    ),
    "LeaveGroup": (
        lambda c: c.leave_group(LeaveGroupRequest(group_id=GROUP), [MemberIdentity(member_id="m")]),
        LeaveGroupResponse(error_code=LOADING),
    ),
    "OffsetCommit": (lambda c: c.commit_offsets(commit_request({0: 1, 1: 1}), 9), commit_answer),
    "OffsetFetch": (
        lambda c: c.fetch_offsets(fetch_request(0), 9, require_stable=True),
        OffsetFetchResponseGroup(group_id=GROUP, error_code=LOADING),
    ),
    "OffsetFetch v1": (
        lambda c: c.fetch_offsets(fetch_request(0), 1, require_stable=False),
        old_fetch_answer,
    ),
    "OffsetDelete": (
        lambda c: c.delete_offsets(
            OffsetDeleteRequest(
                group_id=GROUP,
                topics=[
                    OffsetDeleteRequestTopic(
                        name="t", partitions=[OffsetDeleteRequestPartition(partition_index=0)]
                    )
                ],
            )
        ),
        OffsetDeleteResponse(error_code=LOADING),
    ),
    "DescribeGroups": (
        lambda c: c.describe_groups([GROUP], 6),
        [DescribedGroup(group_id=GROUP, error_code=LOADING)],
    ),
    "DeleteGroups": (
        lambda c: c.delete_groups([GROUP]),
        [DeletableGroupResult(group_id=GROUP, error_code=LOADING)],
    ),
    "ListGroups": (lambda c: c.list_groups([], []), ListGroupsResponse(error_code=LOADING)),
}


@pytest.mark.parametrize("api", ANSWERS)
async def test_while_a_large_log_loads(autojump_clock: object, api: str) -> None:
    rig = new_rig()
    large_log(rig.partitions[0], 7)
    elect(rig)  # and nobody loads it yet
    ask, expected = ANSWERS[api]
    assert await settled(ask(rig.coordinator)) == expected


async def test_groups_of_loaded_partitions_are_served_while_others_load(
    autojump_clock: object,
) -> None:
    rig = new_rig(2)
    other = next(f"g{n}" for n in range(9) if rig.coordinator.partition_for(f"g{n}") != 0)
    mine = next(f"g{n}" for n in range(9) if rig.coordinator.partition_for(f"g{n}") == 0)
    large_log(rig.partitions[0], 7)
    elect(rig)
    assert committed(rig.coordinator, mine) == LOADING
    assert committed(rig.coordinator, other) == -1
    assert (await rig.coordinator.list_groups([], [])).error_code == LOADING


# --- little to load


async def test_little_to_load_is_waited_for(nursery: trio.Nursery, autojump_clock: object) -> None:
    rig = new_rig()
    write(rig.partitions[0], stored(5))
    elect(rig)
    with trio.move_on_after(5) as waiting:
        await rig.coordinator.find(GROUP)  # nobody loads it yet
    assert waiting.cancelled_caught
    await nursery.start(rig.run)
    assert await rig.coordinator.find(GROUP) == FOUND
    assert committed(rig.coordinator) == 5
    nursery.cancel_scope.cancel()


async def test_a_start_waits_for_the_smallest_up_to_so_many_bytes(autojump_clock: object) -> None:
    rig = new_rig(3)
    for index, count in ((0, 3), (1, 1), (2, 2)):
        write_each(rig.partitions[index], (stored(n) for n in range(count)))
    elect(rig)
    sizes = [partition.log_size for partition in rig.partitions.values()]

    async def is_over(bytes_max: int) -> bool:
        with trio.move_on_after(1) as waiting:
            await rig.coordinator.wait_loaded(bytes_max)
        return not waiting.cancelled_caught

    assert await is_over(sizes[1] - 1)  # nothing is that small
    assert not await is_over(sizes[1])
    for index in (1, 2):
        rig.coordinator.on_resigned(index)
    assert await is_over(sizes[0] - 1)
    assert not await is_over(sizes[0])


async def test_no_small_partition_waits_for_a_large_one(nursery: trio.Nursery) -> None:
    rig = new_rig(2)
    large_log(rig.partitions[0], 7)
    write(rig.partitions[1], stored(5, "small"))
    gate = rig.partitions[0].disk.hold_reads(LOG_PATH)
    await nursery.start(rig.run)
    rig.coordinator.on_elected(0, rig.partitions[0], 1)
    await wait_all_tasks_blocked()
    rig.coordinator.on_elected(1, rig.partitions[1], 1)
    with trio.fail_after(30):
        await rig.coordinator.wait_loaded(SMALL_LOAD_BYTES)
    assert served(rig) == [1]
    gate.set()
    await rig.coordinator.wait_loaded()
    assert served(rig) == [0, 1]
    nursery.cancel_scope.cancel()


async def test_a_large_one_that_is_asked_for_goes_first(nursery: trio.Nursery) -> None:
    rig = new_rig(4)
    for partition in rig.partitions.values():
        large_log(partition, 7)
    write(rig.partitions[1], stored(8))
    wanted = next(f"g{n}" for n in range(99) if rig.coordinator.partition_for(f"g{n}") == 1)
    gates = {i: p.disk.hold_reads(LOG_PATH) for i, p in rig.partitions.items()}
    elect(rig)
    assert committed(rig.coordinator, wanted) == LOADING
    await nursery.start(rig.run)
    gates[1].set()
    coordinated = runtime_of(rig).partitions()[1]
    with trio.fail_after(30):
        await coordinated.load_over.wait()
    assert served(rig) == [1]
    for gate in gates.values():
        gate.set()
    await rig.coordinator.wait_loaded()
    assert served(rig) == [0, 1, 2, 3]
    nursery.cancel_scope.cancel()


# --- turns


class Turns(trio.abc.Instrument):
    """How long each turn of a task was, by the clock's looks."""

    def __init__(self, clock: TickingClock) -> None:
        self._clock = clock
        self._began = clock.looks
        self.longest_s = 0.0
        self.count = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._began = self._clock.looks

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        looks = self._clock.looks - self._began
        self.longest_s = max(self.longest_s, looks * self._clock.tick_s)
        self.count += looks > 0


@pytest.fixture
def ticking() -> TickingClock:
    return TickingClock(TURN_S / 10)


LOGS: dict[str, Callable[[MemoryPartition], None]] = {
    "many batches of one record": lambda partition: write_each(
        partition, (stored(n) for n in range(3_000))
    ),
    "one batch of many records": lambda partition: write(
        partition, *(stored(n, index=n % 100) for n in range(2_000))
    ),
    "one compressed batch of many records": lambda partition: write(
        partition, *(stored(n, index=n % 100) for n in range(2_000)), codec=Codec.GZIP
    ),
    "many keys": lambda partition: write_each(
        partition, (stored(n, f"g{n}") for n in range(2_000))
    ),
    "records of a transaction": lambda partition: write(
        partition, *(stored(n, index=n % 100) for n in range(2_000)), producer_id=7
    ),
}


@pytest.mark.parametrize("log", LOGS)
async def test_turns_are_short_and_others_have_theirs(
    nursery: trio.Nursery, ticking: TickingClock, log: str
) -> None:
    rig = new_rig()
    LOGS[log](rig.partitions[0])
    others = 0
    await nursery.start(rig.run)
    await trio.lowlevel.checkpoint()
    turns = Turns(ticking)
    trio.lowlevel.add_instrument(turns)
    elect(rig)
    (partition,) = runtime_of(rig).partitions()
    while partition.is_loading:
        others += 1
        await trio.lowlevel.checkpoint()
    trio.lowlevel.remove_instrument(turns)
    steps = 3_000 // STEP_RECORDS  # each of them takes a look, and so a tenth of a turn
    assert others >= steps // 12
    assert turns.count >= steps // 12
    assert turns.longest_s <= TURN_S * 1.5
    assert served(rig) == [0]
    nursery.cancel_scope.cancel()


async def test_many_small_loads_share_turns(nursery: trio.Nursery, ticking: TickingClock) -> None:
    rig = new_rig(50)
    for partition in rig.partitions.values():
        write(partition, stored(5))
    await nursery.start(rig.run)
    await trio.lowlevel.checkpoint()
    turns = Turns(ticking)
    trio.lowlevel.add_instrument(turns)
    elect(rig)
    await trio.lowlevel.checkpoint()
    turns.longest_s = 0  # the elections themselves are one turn of this test
    await rig.coordinator.wait_loaded()
    trio.lowlevel.remove_instrument(turns)
    assert 0 < turns.longest_s <= TURN_S * 1.5
    assert served(rig) == list(range(50))
    nursery.cancel_scope.cancel()


# --- what ends a load


async def test_leadership_lost_while_it_loads(
    nursery: trio.Nursery, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "kbroker.groups")
    rig = new_rig()
    large_log(rig.partitions[0], 7)
    gate = rig.partitions[0].disk.hold_reads(LOG_PATH)
    await nursery.start(rig.run)
    elect(rig)
    await wait_all_tasks_blocked()
    runtime = runtime_of(rig)
    assert committed(rig.coordinator) == LOADING
    rig.coordinator.on_resigned(0)
    assert committed(rig.coordinator) == GONE
    assert not runtime.is_loading
    gate.set()
    await wait_all_tasks_blocked()
    assert runtime.partitions() == []
    assert (await rig.coordinator.list_groups([], [])) == ListGroupsResponse()
    elect(rig, 2)
    await rig.coordinator.wait_loaded()
    assert committed(rig.coordinator) == 7
    assert len(caplog.records) == 1  # nobody went on with the first
    nursery.cancel_scope.cancel()


async def test_what_is_lost_before_its_load_begins_is_not_loaded(
    nursery: trio.Nursery, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "kbroker.groups")
    rig = new_rig(3)
    for partition in rig.partitions.values():
        write(partition, stored(5))
    gate = rig.partitions[0].disk.hold_reads(LOG_PATH)
    await nursery.start(rig.run)
    rig.coordinator.on_elected(0, rig.partitions[0], 1)
    await wait_all_tasks_blocked()
    for index in (1, 2):
        rig.coordinator.on_elected(index, rig.partitions[index], 1)
    rig.coordinator.on_resigned(1)
    gate.set()
    await rig.coordinator.wait_loaded()
    assert served(rig) == [0, 2]
    told = [r.getMessage().partition(":")[0] for r in caplog.records if "loaded" in r.getMessage()]
    assert told == ["__consumer_offsets-0", "__consumer_offsets-2"]
    nursery.cancel_scope.cancel()


async def test_a_newer_election_begins_the_load_anew(nursery: trio.Nursery) -> None:
    rig = new_rig()
    write(rig.partitions[0], stored(5))
    gate = rig.partitions[0].disk.hold_reads(LOG_PATH)
    await nursery.start(rig.run)
    elect(rig)
    await wait_all_tasks_blocked()
    write(rig.partitions[0], stored(6))  # by whoever led in between
    elect(rig, 3)
    elect(rig, 2)  # late, and not heeded
    gate.set()
    await rig.coordinator.wait_loaded()
    assert committed(rig.coordinator) == 6
    nursery.cancel_scope.cancel()


async def test_a_stop_does_not_wait_for_a_load(nursery: trio.Nursery) -> None:
    """Nor for a disk that hangs."""
    rig = new_rig()
    large_log(rig.partitions[0], 7)
    gate = rig.partitions[0].disk.hold_reads(LOG_PATH)
    async with trio.open_nursery() as state:
        await state.start(rig.run)
        elect(rig)
        await wait_all_tasks_blocked()
        rig.coordinator.shutdown()
        state.cancel_scope.cancel()
    assert not gate.is_set()
    assert served(rig) == []
    gate.set()


async def test_a_stop_does_not_wait_for_a_batch_that_is_being_decompressed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = new_rig()
    write(
        rig.partitions[0],
        *(stored(n, metadata=random.Random(n).randbytes(8_000).hex()) for n in range(5)),
        codec=Codec.GZIP,
    )
    begun, gate, done = threading.Event(), threading.Event(), threading.Event()
    genuine = formats.key_values

    def slow(batch: memoryview, header: BatchHeader) -> Iterator[KeyValue]:
        begun.set()
        gate.wait(10)
        done.set()
        return genuine(batch, header)

    monkeypatch.setattr(formats, "key_values", slow)
    async with trio.open_nursery() as state:
        await state.start(rig.run)
        elect(rig)
        await trio.to_thread.run_sync(begun.wait, 30)
        rig.coordinator.shutdown()
        state.cancel_scope.cancel()
    assert not done.is_set()
    gate.set()
    await trio.to_thread.run_sync(done.wait, 30)


async def test_records_that_come_while_it_loads_are_loaded_too(nursery: trio.Nursery) -> None:
    rig = new_rig()
    write(rig.partitions[0], stored(5))
    gate = rig.partitions[0].disk.hold_reads(LOG_PATH)
    await nursery.start(rig.run)
    elect(rig)
    await wait_all_tasks_blocked()
    write(rig.partitions[0], stored(6))
    gate.set()
    await rig.coordinator.wait_loaded()
    assert committed(rig.coordinator) == 6
    nursery.cancel_scope.cancel()


async def test_records_that_come_at_the_very_end_of_a_load_are_loaded_too(
    nursery: trio.Nursery, ticking: TickingClock
) -> None:
    rig = new_rig()
    partition = rig.partitions[0]
    write_each(partition, (stored(n, f"g{n}") for n in range(300)))
    await nursery.start(rig.run)
    elect(rig)
    (coordinated,) = runtime_of(rig).partitions()
    while partition.reads < 2:  # the second has found the end
        await trio.lowlevel.checkpoint()
    assert coordinated.is_loading
    write(partition, stored(7, "late"))
    await coordinated.load_over.wait()
    assert committed(rig.coordinator, "late") == 7
    nursery.cancel_scope.cancel()


async def test_what_is_loaded_is_told_once_it_is_committed(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    rig = new_rig()
    partition = rig.partitions[0]
    partition.auto_commit = False
    write(partition, stored(5))
    await nursery.start(rig.run)
    elect(rig)
    await rig.coordinator.wait_loaded()
    given = rig.coordinator.fetch_offsets(fetch_request(0), 9, require_stable=False)
    assert not isinstance(given, OffsetFetchResponseGroup)
    with trio.move_on_after(1) as waiting:
        await given
    assert waiting.cancelled_caught
    partition.commit()
    assert committed(rig.coordinator) == 5
    nursery.cancel_scope.cancel()


async def test_a_large_batch_is_decompressed_in_a_thread(nursery: trio.Nursery) -> None:
    rig = new_rig()
    rng = random.Random(1)
    write(
        rig.partitions[0],
        *(stored(n, metadata=rng.randbytes(8_000).hex()) for n in range(5)),
        codec=Codec.GZIP,
    )
    assert len(rig.partitions[0].stored[0]) > LARGE_BATCH_BYTES
    threads = trio.to_thread.current_default_thread_limiter()
    total = threads.total_tokens
    threads.total_tokens = 1
    try:
        async with threads:  # there is none to be had
            await nursery.start(rig.run)
            elect(rig)
            await wait_all_tasks_blocked()
            assert committed(rig.coordinator) == LOADING
        await rig.coordinator.wait_loaded()
    finally:
        threads.total_tokens = total
    assert committed(rig.coordinator) == 4
    nursery.cancel_scope.cancel()


async def test_a_log_that_cannot_be_read_has_no_coordinator_until_the_next_election(
    nursery: trio.Nursery, autojump_clock: object, caplog: pytest.LogCaptureFixture
) -> None:
    """Apache Kafka's answers: the node, NOT_COORDINATOR, and a list of the other partitions."""
    rig = new_rig()
    partition = rig.partitions[0]
    write(partition, stored(5))
    partition.disk.break_down(LOG_PATH)
    await nursery.start(rig.run)
    elect(rig)
    with trio.fail_after(5):
        await rig.coordinator.wait_loaded()
    assert [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR] == [
        "__consumer_offsets-0 cannot be loaded: /log: Input/output error"
    ]
    assert len(partition.complaints) == 1
    assert await rig.coordinator.find(GROUP) == FOUND
    assert committed(rig.coordinator) == GONE
    beat = HeartbeatRequest(group_id=GROUP, member_id="m", generation_id=1)
    assert rig.coordinator.heartbeat(beat) == HeartbeatResponse(error_code=GONE)
    assert await rig.coordinator.list_groups([], []) == ListGroupsResponse()
    partition.disk.mend(LOG_PATH)
    elect(rig, 2)
    await rig.coordinator.wait_loaded()
    assert committed(rig.coordinator) == 5
    nursery.cancel_scope.cancel()


async def test_a_log_that_cannot_be_cut_into_batches_has_no_coordinator(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    rig = new_rig()
    partition = rig.partitions[0]
    write_each(partition, [stored(5), stored(6), stored(7)])
    partition.file.write_at(len(partition.stored[0]) + 16, b"\x7f")  # the magic
    await nursery.start(rig.run)
    elect(rig)
    await rig.coordinator.wait_loaded()
    assert committed(rig.coordinator) == GONE
    partition.file.write_at(len(partition.stored[0]) + 16, b"\x02")
    partition.file.truncate(partition.file.size - 9)  # it ends within the last batch
    elect(rig, 2)
    await rig.coordinator.wait_loaded()
    assert committed(rig.coordinator) == GONE
    nursery.cancel_scope.cancel()


async def test_a_corrupt_batch_is_left_out_alone(
    nursery: trio.Nursery, autojump_clock: object, caplog: pytest.LogCaptureFixture
) -> None:
    rig = new_rig()
    partition = rig.partitions[0]
    write_each(partition, [stored(5), stored(6), stored(7, index=1)])
    partition.file.write_at(len(partition.stored[0]) + 61, b"\x7f\x7f")  # the record's length
    await nursery.start(rig.run)
    elect(rig)
    await rig.coordinator.wait_loaded()
    assert committed(rig.coordinator) == 5
    given = rig.coordinator.fetch_offsets(fetch_request(1), 9, require_stable=False)
    assert isinstance(given, OffsetFetchResponseGroup)
    assert given.topics[0].partitions[0].committed_offset == 7
    (error,) = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
    assert error.startswith("__consumer_offsets-0: skipping the batch at offset 1: ")
    nursery.cancel_scope.cancel()


async def test_an_unreadable_value_leaves_the_one_before_in_force(
    nursery: trio.Nursery, autojump_clock: object, caplog: pytest.LogCaptureFixture
) -> None:
    rig = new_rig()
    key, _ = encode(OffsetStored(GROUP, "t", 0, CommittedOffset(5, 1, "", WALL_MS)))
    write(rig.partitions[0], stored(5))
    write(rig.partitions[0], NewRecord(0, key, b"\x00\x63newer"))
    write(rig.partitions[0], NewRecord(0, b"\x7f\x00newer", b""))
    await nursery.start(rig.run)
    elect(rig)
    await rig.coordinator.wait_loaded()
    assert committed(rig.coordinator) == 5
    (warning,) = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert ": 2 records are kept but not used: " in warning
    assert "unknown version 99 of OffsetCommitValue (1)" in warning
    assert "unknown record type 32512 (1)" in warning
    nursery.cancel_scope.cancel()


async def test_a_load_that_begins_anew_keeps_nothing_of_the_first_attempt(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """An open transaction is not committed by the marker of the one before."""
    rig = new_rig()
    partition = rig.partitions[0]
    key, _ = encode(OffsetStored(GROUP, "t", 1, CommittedOffset(5, 1, "", WALL_MS)))
    marker = NewRecord(0, control_key(ControlType.COMMIT), bytes(6))
    for records, is_control in (
        ([stored(5)], False),
        ([marker], True),
        ([stored(9, index=2)], False),
    ):
        batch = build_batch(
            records,
            producer_id=7,
            producer_epoch=0,
            base_sequence=-1 if is_control else 0,
            is_control=is_control,
            is_transactional=True,
        )
        partition.append_local(bytearray(batch), WALL_MS)
    write(partition, NewRecord(0, key, b"\x00\x63newer"))
    await nursery.start(rig.run)
    elect(rig)
    await rig.coordinator.wait_loaded()
    given = rig.coordinator.fetch_offsets(fetch_request(0, 2), 9, require_stable=False)
    assert isinstance(given, OffsetFetchResponseGroup)
    assert [each.committed_offset for each in given.topics[0].partitions] == [5, -1]
    nursery.cancel_scope.cancel()


async def test_a_load_without_a_descriptor_goes_on_when_there_is_one(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    rig = new_rig()
    partition = rig.partitions[0]
    write_each(partition, (stored(n) for n in range(10)))
    partition.disk.fail_next("read_at", errno.EMFILE)
    await nursery.start(rig.run)
    elect(rig)
    began = trio.current_time()
    await wait_all_tasks_blocked()
    assert committed(rig.coordinator) == LOADING
    assert len(partition.complaints) == 1
    await rig.coordinator.wait_loaded()
    assert trio.current_time() - began == pytest.approx(RETRY_S, abs=0.01)
    assert committed(rig.coordinator) == 9
    nursery.cancel_scope.cancel()


# --- what waits for the end of a load


async def test_a_topic_deleted_while_it_loads_does_not_come_back(nursery: trio.Nursery) -> None:
    rig = new_rig()
    write(rig.partitions[0], stored(5))
    gate = rig.partitions[0].disk.hold_reads(LOG_PATH)
    await nursery.start(rig.run)
    elect(rig)
    await wait_all_tasks_blocked()
    rig.coordinator.on_topics_deleted([("t", TOPIC_ID)])
    assert len(rig.partitions[0].stored) == 1  # what is not known yet is not removed
    gate.set()
    await rig.coordinator.wait_loaded()
    assert committed(rig.coordinator) == -1
    assert rig.partitions[0].records()[-1].value is None
    nursery.cancel_scope.cancel()


async def test_sessions_begin_and_offsets_expire_only_when_a_load_is_over(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    rig = new_rig(group_initial_rebalance_delay_ms=0, offsets_retention_minutes=1)
    elect(rig)
    await nursery.start(rig.run)
    joined = rig.coordinator.join_group(join_request(), client)
    assert isinstance(joined, JoinGroupResponse)
    joined = await settled(rig.coordinator.join_group(join_request(joined.member_id), client))
    request = sync_request(joined.member_id, 1, {joined.member_id: b"all"})
    assert (await settled(rig.coordinator.sync_group(request))).error_code == ErrorCode.NONE
    rig.coordinator.commit_offsets(commit_request({0: 5}, group_id="old"), 9)
    partition = rig.partitions[0]
    written = len(partition.stored)
    rig.coordinator.shutdown()
    partition.disk.fail_next("read_at", errno.EMFILE)
    rig.coordinator.on_elected(0, partition, 2)
    # It hangs for longer than the session, and past the first look for expired offsets.
    while trio.current_time() < 700:
        partition.disk.fail_next("read_at", errno.EMFILE)
        await trio.sleep(RETRY_S)
        assert len(partition.stored) == written
    partition.disk.forget_failures()
    await rig.coordinator.wait_loaded()
    loaded_at = trio.current_time()
    beat = HeartbeatRequest(group_id=GROUP, member_id=joined.member_id, generation_id=1)
    await trio.sleep(9.9)
    assert rig.coordinator.heartbeat(beat) == HeartbeatResponse()
    assert len(partition.stored) == written
    await trio.sleep(10.1)
    answer = rig.coordinator.heartbeat(beat)
    assert answer == HeartbeatResponse(error_code=ErrorCode.UNKNOWN_MEMBER_ID)
    await trio.sleep(loaded_at + 601 - trio.current_time())
    assert partition.records()[-1].value is None
    nursery.cancel_scope.cancel()


async def test_a_load_is_logged(
    nursery: trio.Nursery, autojump_clock: object, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "kbroker.groups")
    rig = new_rig()
    write_each(rig.partitions[0], [stored(5), stored(6), stored(7, "another")])
    write(rig.partitions[0], stored(8), stored(9))
    rig.partitions[0].log_start_offset = 1
    await nursery.start(rig.run)
    elect(rig)
    await rig.coordinator.wait_loaded()
    size = sum(map(len, rig.partitions[0].stored[1:]))
    assert [r.getMessage() for r in caplog.records] == [
        "__consumer_offsets-0: loaded 2 groups from offsets 1 to 5 "
        f"(4 records, {size} bytes) in 0 ms"
    ]
    nursery.cancel_scope.cancel()
