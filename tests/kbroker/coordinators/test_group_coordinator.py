"""The coordinator as handlers use it: over logs in memory, on Trio's mock clock."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
import trio

from kbroker.coordinators.group.classic.join_rules import Client
from kbroker.storage.builder import NewRecord, build_batch
from kbroker.storage.errors import DiskError, RecordTooLarge
from kbroker.wire.errors import ErrorCode, RequestError
from kbroker.wire.messages.heartbeat import HeartbeatRequest
from kbroker.wire.messages.join_group import JoinGroupRequest, JoinGroupResponse
from kbroker.wire.messages.leave_group import LeaveGroupRequest, MemberIdentity
from kbroker.wire.messages.offset_commit import OffsetCommitResponse
from kbroker.wire.messages.offset_fetch import OffsetFetchResponseGroup
from kbroker.wire.messages.sync_group import SyncGroupResponse

from .rig import (
    GROUP,
    TOPIC_ID,
    CoordinatorRig,
    MemoryPartition,
    commit_request,
    config,
    fetch_request,
    join_request,
    subscription,
    sync_request,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

    from kbroker.coordinators.group_coordinator import GroupCoordinator

T = TypeVar("T")
CLIENT = Client("app", "/127.0.0.1", 9)


async def answer(given: T | Coroutine[Any, Any, T], of: type[T]) -> T:
    return given if isinstance(given, of) else await given  # type: ignore[misc]


@pytest.fixture
async def rig(nursery: trio.Nursery, autojump_clock: object) -> AsyncIterator[CoordinatorRig]:
    """Tests name the clock themselves: pytest-trio looks for it among their own arguments."""
    rig = CoordinatorRig(config(group_initial_rebalance_delay_ms=0, offsets_topic_num_partitions=4))
    await nursery.start(rig.run)
    error, node_id = await rig.coordinator.find(GROUP)
    assert (error, node_id) == (ErrorCode.NONE, 1)
    yield rig
    nursery.cancel_scope.cancel()


async def join(
    coordinator: GroupCoordinator, request: JoinGroupRequest, api_version: int = 9
) -> JoinGroupResponse:
    """To the end: with the id that a new member is told to come back with."""
    client = Client("app", "/127.0.0.1", api_version)
    response = await answer(coordinator.join_group(request, client), JoinGroupResponse)
    if response.error_code == ErrorCode.MEMBER_ID_REQUIRED:
        request.member_id = response.member_id
        response = await answer(coordinator.join_group(request, client), JoinGroupResponse)
    return response


async def sync(
    coordinator: GroupCoordinator, member_id: str, generation_id: int, **assignment: bytes
) -> SyncGroupResponse:
    request = sync_request(member_id, generation_id, assignment)
    return await answer(coordinator.sync_group(request), SyncGroupResponse)


async def commit(coordinator: GroupCoordinator, offset: int) -> int:
    """As a consumer without a group; the error of its only partition."""
    given = coordinator.commit_offsets(commit_request({0: offset}, metadata="m"), 9)
    response = await answer(given, OffsetCommitResponse)
    return response.topics[0].partitions[0].error_code


async def committed(coordinator: GroupCoordinator, *, require_stable: bool = False) -> int:
    given = coordinator.fetch_offsets(fetch_request(0), 9, require_stable=require_stable)
    response = await answer(given, OffsetFetchResponseGroup)
    assert response.error_code == ErrorCode.NONE
    return response.topics[0].partitions[0].committed_offset


async def alone(coordinator: GroupCoordinator) -> str:
    """The id of the only member of a stable group."""
    joined = await join(coordinator, join_request())
    request = sync_request(joined.member_id, 1, {joined.member_id: b"all"})
    response = await answer(coordinator.sync_group(request), SyncGroupResponse)
    assert (response.error_code, response.assignment) == (ErrorCode.NONE, b"all")
    return joined.member_id


def heartbeat(coordinator: GroupCoordinator, member_id: str, generation_id: int) -> int:
    given = coordinator.heartbeat(
        HeartbeatRequest(group_id=GROUP, member_id=member_id, generation_id=generation_id)
    )
    assert not hasattr(given, "close")
    return given.error_code


# --- finding it


async def test_the_offsets_topic_is_made_once_on_first_use(autojump_clock: object) -> None:
    rig = CoordinatorRig(config(offsets_topic_num_partitions=3))
    results = []

    async def find(group_id: str) -> None:
        results.append(await rig.coordinator.find(group_id))

    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(find, f"group{number}")
    assert set(results) == {(ErrorCode.NONE, 1)}
    assert rig.topics_created == 1
    assert len(rig.partitions) == 3


async def test_a_coordinator_is_found_once_it_serves(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    rig = CoordinatorRig(config(offsets_topic_num_partitions=1))
    await rig.ensure_topic("__consumer_offsets")
    await commit(rig.coordinator, 5)
    rig.coordinator.shutdown()
    rig.coordinator.on_elected(0, rig.partitions[0], 1)  # it has a log to load, and nobody does
    with trio.move_on_after(5) as waiting:
        await rig.coordinator.find(GROUP)
    assert waiting.cancelled_caught
    await nursery.start(rig.run)
    assert await rig.coordinator.find(GROUP) == (ErrorCode.NONE, 1)
    assert await committed(rig.coordinator) == 5
    nursery.cancel_scope.cancel()


async def test_a_search_goes_on_with_the_election_it_waits_for(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    rig = CoordinatorRig(config(offsets_topic_num_partitions=2))
    rig.add_topic("__consumer_offsets", b"offsets".ljust(16), 2)
    index = rig.coordinator.partition_for(GROUP)
    found: list[tuple[float, tuple[ErrorCode, int]]] = []

    async def find() -> None:
        answer = await rig.coordinator.find(GROUP)
        found.append((trio.current_time(), answer))

    started = trio.current_time()
    for _ in range(2):
        nursery.start_soon(find)
    for each in (1 - index, index):
        await trio.sleep(2)
        assert found == []
        rig.coordinator.on_elected(each, MemoryPartition(), 0)
    await trio.testing.wait_all_tasks_blocked()
    assert found == [(started + 4, (ErrorCode.NONE, 1))] * 2


async def test_a_search_ends_with_a_retriable_error(autojump_clock: object) -> None:
    rig = CoordinatorRig(config(offsets_topic_num_partitions=1))
    rig.add_topic("__consumer_offsets", b"offsets".ljust(16), 1)  # nobody is told of its election
    assert await rig.coordinator.find(GROUP) == (ErrorCode.COORDINATOR_NOT_AVAILABLE, -1)


async def test_a_topic_that_cannot_be_made_is_a_retriable_error() -> None:
    rig = CoordinatorRig(config())
    rig.creation_error = RequestError(ErrorCode.INVALID_REPLICATION_FACTOR)
    assert await rig.coordinator.find(GROUP) == (ErrorCode.COORDINATOR_NOT_AVAILABLE, -1)


async def test_groups_stay_where_they_are_when_partitions_are_added(
    autojump_clock: object, rig: CoordinatorRig
) -> None:
    names = [f"group{number}" for number in range(50)]
    before = [rig.coordinator.partition_for(name) for name in names]
    rig.add_partitions(b"offsets".ljust(16), range(4, 9))
    for deleted in ("a topic before it", "a", "zzz"):
        rig.coordinator.on_topics_deleted([(deleted, TOPIC_ID)])
    assert [rig.coordinator.partition_for(name) for name in names] == before
    assert set(before) == {0, 1, 2, 3}


# --- requests to a broker that does not coordinate


async def test_without_the_partition_it_is_not_the_coordinator(
    autojump_clock: object, rig: CoordinatorRig
) -> None:
    coordinator = rig.coordinator
    coordinator.shutdown()
    joined = await join(coordinator, join_request())
    assert (joined.error_code, joined.member_id) == (ErrorCode.NOT_COORDINATOR, "")
    assert (await sync(coordinator, "m", 1)).error_code == ErrorCode.NOT_COORDINATOR
    assert heartbeat(coordinator, "m", 1) == ErrorCode.NOT_COORDINATOR
    assert await commit(coordinator, 5) == ErrorCode.NOT_COORDINATOR
    fetched = coordinator.fetch_offsets(fetch_request(0), 9, require_stable=False)
    assert isinstance(fetched, OffsetFetchResponseGroup)
    assert fetched.error_code == ErrorCode.NOT_COORDINATOR
    (described,) = await coordinator.describe_groups([GROUP], 6)
    assert described.error_code == ErrorCode.NOT_COORDINATOR
    (deleted,) = await coordinator.delete_groups([GROUP])
    assert deleted.error_code == ErrorCode.NOT_COORDINATOR
    assert (await coordinator.list_groups([], [])).error_code == ErrorCode.NONE


async def test_while_it_loads_members_stay_alive(autojump_clock: object) -> None:
    rig = CoordinatorRig(config(offsets_topic_num_partitions=1))
    await rig.ensure_topic("__consumer_offsets")
    await commit(rig.coordinator, 5)
    rig.coordinator.shutdown()
    rig.coordinator.on_elected(0, rig.partitions[0], 1)
    loading = ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
    assert heartbeat(rig.coordinator, "m", 1) == ErrorCode.NONE
    assert (await join(rig.coordinator, join_request())).error_code == loading
    assert await commit(rig.coordinator, 6) == loading
    assert (await rig.coordinator.list_groups([], [])).error_code == loading


@pytest.mark.parametrize("session_timeout_ms", [5_999, 1_800_001])
async def test_session_timeouts_have_bounds(
    autojump_clock: object, rig: CoordinatorRig, session_timeout_ms: int
) -> None:
    request = join_request("m", session_timeout_ms=session_timeout_ms)
    response = await join(rig.coordinator, request)
    assert (response.error_code, response.member_id) == (ErrorCode.INVALID_SESSION_TIMEOUT, "m")


async def test_the_group_without_a_name_holds_offsets_but_no_members(
    autojump_clock: object, rig: CoordinatorRig
) -> None:
    coordinator = rig.coordinator
    joined = await join(coordinator, join_request("m", group_id=""))
    assert (joined.error_code, joined.member_id) == (ErrorCode.INVALID_GROUP_ID, "m")
    synced = await answer(
        coordinator.sync_group(sync_request("m", 1, group_id="")), SyncGroupResponse
    )
    assert synced.error_code == ErrorCode.INVALID_GROUP_ID
    given = coordinator.commit_offsets(commit_request({0: 5}, group_id=""), 9)
    assert isinstance(given, OffsetCommitResponse)
    assert given.topics[0].partitions[0].error_code == ErrorCode.NONE
    (described,) = await coordinator.describe_groups([""], 6)
    assert described.group_state == "Empty"
    (deleted,) = await coordinator.delete_groups([""])
    assert deleted.error_code == ErrorCode.NONE


# --- a group's life


async def test_two_consumers_share_the_work_and_one_leaves(
    autojump_clock: object, rig: CoordinatorRig, nursery: trio.Nursery
) -> None:
    coordinator = rig.coordinator
    first = await alone(coordinator)
    joins: dict[str, JoinGroupResponse] = {}

    async def join_as(name: str, member_id: str) -> None:
        joins[name] = await join(coordinator, join_request(member_id))

    async with trio.open_nursery() as joining:
        joining.start_soon(join_as, "second", "")
        await trio.testing.wait_all_tasks_blocked()
        assert heartbeat(coordinator, first, 1) == ErrorCode.REBALANCE_IN_PROGRESS
        joining.start_soon(join_as, "first", first)
    second = joins["second"].member_id
    assert joins["first"].generation_id == joins["second"].generation_id == 2
    assert {m.member_id for m in joins["first"].members} == {first, second}
    synced: list[bytes] = []

    async def sync_as(member_id: str, **assignment: bytes) -> None:
        synced.append((await sync(coordinator, member_id, 2, **assignment)).assignment)

    async with trio.open_nursery() as syncing:
        syncing.start_soon(sync_as, second)
        await trio.testing.wait_all_tasks_blocked()
        request = sync_request(first, 2, {first: b"1", second: b"2"})
        synced.append((await answer(coordinator.sync_group(request), SyncGroupResponse)).assignment)
    assert sorted(synced) == [b"1", b"2"]
    coordinator.leave_group(LeaveGroupRequest(group_id=GROUP), [MemberIdentity(member_id=second)])
    assert heartbeat(coordinator, first, 2) == ErrorCode.REBALANCE_IN_PROGRESS
    assert (await join(coordinator, join_request(first))).generation_id == 3


async def test_concurrent_joins_of_several_groups_all_end_in_one_generation(
    autojump_clock: object, rig: CoordinatorRig
) -> None:
    """No unknown members, and nobody without a place (Tansu's gaps; field.md D 22)."""
    rig.coordinator._config.update_dynamic({}, {})
    results: dict[str, list[JoinGroupResponse]] = {}

    async def join_as(group_id: str, instance_id: str | None) -> None:
        request = join_request(group_id=group_id, instance_id=instance_id)
        response = await join(rig.coordinator, request)
        while response.error_code == ErrorCode.NONE and response.generation_id < 9:
            results.setdefault(group_id, []).append(response)
            await trio.sleep(1)
            request = join_request(response.member_id, group_id=group_id, instance_id=instance_id)
            beat = rig.coordinator.heartbeat(
                HeartbeatRequest(
                    group_id=group_id,
                    member_id=response.member_id,
                    generation_id=response.generation_id,
                )
            )
            if beat.error_code == ErrorCode.NONE:  # type: ignore[union-attr]
                return
            response = await join(rig.coordinator, request)
        assert response.error_code == ErrorCode.NONE

    async with trio.open_nursery() as nursery:
        for number in range(4):
            for member in range(5):
                nursery.start_soon(join_as, f"g{number}", f"i{member}" if member % 2 else None)
    for number in range(4):
        last = max(r.generation_id for r in results[f"g{number}"])
        final = [r for r in results[f"g{number}"] if r.generation_id == last]
        assert len(final) == 5
        assert sorted(len(r.members) for r in final) == [0, 0, 0, 0, 5]


async def test_a_silent_member_loses_its_place(autojump_clock: object, rig: CoordinatorRig) -> None:
    member_id = await alone(rig.coordinator)
    await trio.sleep(9.9)
    assert heartbeat(rig.coordinator, member_id, 1) == ErrorCode.NONE
    await trio.sleep(9.9)
    assert heartbeat(rig.coordinator, member_id, 1) == ErrorCode.NONE
    await trio.sleep(10.1)
    assert heartbeat(rig.coordinator, member_id, 1) == ErrorCode.UNKNOWN_MEMBER_ID
    (described,) = await rig.coordinator.describe_groups([GROUP], 6)
    assert described.group_state == "Empty"


async def test_the_initial_delay_is_the_configured_one(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    rig = CoordinatorRig(config(offsets_topic_num_partitions=1))
    await nursery.start(rig.run)
    await rig.coordinator.find(GROUP)
    started = trio.current_time()
    await join(rig.coordinator, join_request())
    assert trio.current_time() - started == pytest.approx(3.0, abs=0.01)
    nursery.cancel_scope.cancel()


async def test_groups_are_listed_from_all_partitions(
    autojump_clock: object, rig: CoordinatorRig
) -> None:
    for number in range(8):
        request = commit_request({0: 1}, group_id=f"g{number}")
        rig.coordinator.commit_offsets(request, 9)
    await alone(rig.coordinator)
    listed = await rig.coordinator.list_groups([], [])
    assert {g.group_id for g in listed.groups} == {GROUP, *(f"g{n}" for n in range(8))}
    stable = await rig.coordinator.list_groups([" STABLE "], ["Classic"])
    assert [(g.group_id, g.protocol_type) for g in stable.groups] == [(GROUP, "consumer")]
    assert (await rig.coordinator.list_groups([], ["share"])).groups == []


async def test_several_groups_are_deleted_at_once(
    autojump_clock: object, rig: CoordinatorRig
) -> None:
    for number in range(8):
        rig.coordinator.commit_offsets(commit_request({0: 1}, group_id=f"g{number}"), 9)
    await alone(rig.coordinator)
    results = await rig.coordinator.delete_groups(["g1", GROUP, "g2", "g1", "nobody"])
    assert len(results) == 4
    assert {r.group_id: r.error_code for r in results} == {
        "g1": ErrorCode.NONE,
        GROUP: ErrorCode.NON_EMPTY_GROUP,
        "g2": ErrorCode.NONE,
        "nobody": ErrorCode.GROUP_ID_NOT_FOUND,
    }
    assert len((await rig.coordinator.list_groups([], [])).groups) == 7


async def test_offsets_of_deleted_topics_are_forgotten(
    autojump_clock: object, rig: CoordinatorRig
) -> None:
    await commit(rig.coordinator, 5)
    rig.coordinator.on_topics_deleted([("t", TOPIC_ID)])
    assert await committed(rig.coordinator) == -1


# --- the log


async def test_a_commit_is_one_batch(autojump_clock: object, rig: CoordinatorRig) -> None:
    request = commit_request(dict.fromkeys(range(50), 7))
    rig.coordinator.commit_offsets(request, 9)
    assert len(rig.partition_of().stored) == 1
    assert len(rig.partition_of().records()) == 50


async def test_everything_survives_a_restart(
    autojump_clock: object, rig: CoordinatorRig, nursery: trio.Nursery
) -> None:
    member_id = await alone(rig.coordinator)
    rig.coordinator.commit_offsets(
        commit_request({0: 5}, member_id=member_id, generation_id=1, metadata="m", leader_epoch=2),
        9,
    )
    before = await rig.coordinator.describe_groups([GROUP], 6)
    coordinator = await rig.restart(nursery)
    assert await coordinator.describe_groups([GROUP], 6) == before
    given = coordinator.fetch_offsets(fetch_request(0), 9, require_stable=True)
    assert isinstance(given, OffsetFetchResponseGroup)
    partition = given.topics[0].partitions[0]
    assert (partition.committed_offset, partition.metadata) == (5, "m")
    assert partition.committed_leader_epoch == 2
    assert heartbeat(coordinator, member_id, 1) == ErrorCode.NONE
    await trio.sleep(10.1)  # its session began anew
    assert heartbeat(coordinator, member_id, 1) == ErrorCode.UNKNOWN_MEMBER_ID


async def test_answers_wait_for_the_high_watermark(
    autojump_clock: object, rig: CoordinatorRig
) -> None:
    partition = rig.partition_of()
    await commit(rig.coordinator, 5)
    partition.auto_commit = False
    async with trio.open_nursery() as nursery:
        done = trio.Event()

        async def commit_later() -> None:
            assert await commit(rig.coordinator, 6) == ErrorCode.NONE
            # Reads do not tell what may yet be lost.
            done.set()

        nursery.start_soon(commit_later)
        await trio.testing.wait_all_tasks_blocked()
        assert not done.is_set()
        with trio.move_on_after(1) as reading:
            await committed(rig.coordinator)
        assert reading.cancelled_caught
        partition.commit()
    assert done.is_set()
    assert await committed(rig.coordinator) == 6


async def test_an_assignment_waits_for_the_high_watermark(
    autojump_clock: object, rig: CoordinatorRig
) -> None:
    joined = await join(rig.coordinator, join_request())
    partition = rig.partition_of()
    partition.auto_commit = False
    async with trio.open_nursery() as nursery:
        answers: list[SyncGroupResponse] = []

        async def sync_later() -> None:
            request = sync_request(joined.member_id, 1, {joined.member_id: b"all"})
            answers.append(await answer(rig.coordinator.sync_group(request), SyncGroupResponse))

        nursery.start_soon(sync_later)
        await trio.testing.wait_all_tasks_blocked()
        assert answers == []
        partition.commit()
    assert answers[0].assignment == b"all"


async def test_a_commit_that_takes_too_long_is_a_retriable_error(
    autojump_clock: object, rig: CoordinatorRig
) -> None:
    rig.partition_of().auto_commit = False
    started = trio.current_time()
    assert await commit(rig.coordinator, 5) == ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert trio.current_time() - started == pytest.approx(5.0, abs=0.01)


async def test_a_group_whose_first_record_takes_too_long_is_there(
    autojump_clock: object, rig: CoordinatorRig
) -> None:
    partition = rig.partition_of()
    partition.auto_commit = False
    request = join_request()
    response = await answer(rig.coordinator.join_group(request, CLIENT), JoinGroupResponse)
    assert response.error_code == ErrorCode.MEMBER_ID_REQUIRED
    await trio.sleep(6)
    partition.auto_commit = True
    partition.commit()
    request.member_id = response.member_id
    response = await answer(rig.coordinator.join_group(request, CLIENT), JoinGroupResponse)
    assert (response.error_code, response.generation_id) == (ErrorCode.NONE, 1)


async def test_a_group_whose_first_record_is_not_written_is_not_there(
    autojump_clock: object, rig: CoordinatorRig
) -> None:
    rig.partition_of().append_error = RequestError(ErrorCode.NOT_ENOUGH_REPLICAS)
    await answer(rig.coordinator.join_group(join_request(), CLIENT), JoinGroupResponse)
    assert (await rig.coordinator.list_groups([], [])).groups == []


async def test_an_assignment_that_takes_too_long_starts_over(
    autojump_clock: object, rig: CoordinatorRig
) -> None:
    joined = await join(rig.coordinator, join_request())
    rig.partition_of().auto_commit = False
    request = sync_request(joined.member_id, 1, {joined.member_id: b"all"})
    response = await answer(rig.coordinator.sync_group(request), SyncGroupResponse)
    assert response.error_code == ErrorCode.COORDINATOR_NOT_AVAILABLE


@pytest.mark.parametrize(
    ("raised", "error"),
    [
        (RequestError(ErrorCode.NOT_LEADER_OR_FOLLOWER), ErrorCode.NOT_COORDINATOR),
        (RequestError(ErrorCode.KAFKA_STORAGE_ERROR), ErrorCode.NOT_COORDINATOR),
        (RequestError(ErrorCode.NOT_ENOUGH_REPLICAS), ErrorCode.COORDINATOR_NOT_AVAILABLE),
        (RequestError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION), ErrorCode.COORDINATOR_NOT_AVAILABLE),
        (DiskError("/data", "broken"), ErrorCode.NOT_COORDINATOR),
        (RecordTooLarge("too large"), ErrorCode.UNKNOWN_SERVER_ERROR),
    ],
)
async def test_a_failed_append_changes_nothing(
    autojump_clock: object, rig: CoordinatorRig, raised: Exception, error: ErrorCode
) -> None:
    await commit(rig.coordinator, 5)
    rig.partition_of().append_error = raised
    assert await commit(rig.coordinator, 6) == error
    rig.partition_of().append_error = None
    assert await committed(rig.coordinator) == 5


async def test_who_waits_when_the_coordinator_moves_is_told(
    autojump_clock: object, rig: CoordinatorRig
) -> None:
    coordinator = rig.coordinator
    first = await alone(coordinator)
    index = coordinator.partition_for(GROUP)
    answers: list[int] = []

    async def join_as() -> None:
        answers.append((await join(coordinator, join_request())).error_code)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(join_as)
        await trio.testing.wait_all_tasks_blocked()
        coordinator.on_resigned(index)
    assert answers == [ErrorCode.NOT_COORDINATOR]
    assert heartbeat(coordinator, first, 1) == ErrorCode.NOT_COORDINATOR


async def test_a_group_survives_that_its_coordinator_moves_away_and_back(
    autojump_clock: object, rig: CoordinatorRig
) -> None:
    member_id = await alone(rig.coordinator)
    await commit(rig.coordinator, 5)  # refused: the group has members
    index = rig.coordinator.partition_for(GROUP)
    partition = rig.partitions[index]
    for leader_epoch in range(1, 4):
        rig.coordinator.on_resigned(index)
        rig.coordinator.on_elected(index, partition, leader_epoch)
        assert await rig.coordinator.find(GROUP) == (ErrorCode.NONE, 1)
        assert heartbeat(rig.coordinator, member_id, 1) == ErrorCode.NONE


async def test_an_older_election_is_not_heeded(autojump_clock: object, rig: CoordinatorRig) -> None:
    member_id = await alone(rig.coordinator)
    index = rig.coordinator.partition_for(GROUP)
    rig.coordinator.on_elected(index, MemoryPartition(), 0)
    assert heartbeat(rig.coordinator, member_id, 1) == ErrorCode.NONE


async def test_a_lost_partition_ends_the_wait_for_a_commit(
    autojump_clock: object, rig: CoordinatorRig
) -> None:
    partition = rig.partition_of()
    partition.auto_commit = False
    errors: list[int] = []

    async def commit_later() -> None:
        errors.append(await commit(rig.coordinator, 5))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(commit_later)
        await trio.testing.wait_all_tasks_blocked()
        partition.lost = RequestError(ErrorCode.NOT_LEADER_OR_FOLLOWER)
        partition.wake()
    assert errors == [ErrorCode.NOT_COORDINATOR]


async def test_records_of_other_groups_do_not_disturb_loading(
    autojump_clock: object,
    rig: CoordinatorRig,
    nursery: trio.Nursery,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await commit(rig.coordinator, 5)
    partition = rig.partition_of()
    foreign = [
        NewRecord(0, b"\x00\x03\x00\x01g", b"\x00\x00\x00\x00\x00\x01"),  # ConsumerGroupMetadata
        NewRecord(0, b"\x00\x03\x00\x01h", b"\x00\x00\x00\x00\x00\x01"),
        NewRecord(0, b"\x00\x0f\x00\x01g", None),
        NewRecord(0, b"\x00", b""),
        NewRecord(0, None, b""),
        NewRecord(0, b"\x00\x02\x00\x01g", b"\x00\x03 broken"),
    ]
    partition.append_local(bytearray(build_batch(foreign)), 0)
    another = next(one for one in rig.partitions.values() if one is not partition)
    another.append_local(bytearray(build_batch(foreign[:1])), 0)
    await commit(rig.coordinator, 6)
    coordinator = await rig.restart(nursery)
    assert await committed(coordinator) == 6
    (warning,) = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert warning.startswith("__consumer_offsets: 7 records are kept but not used: ")
    assert "record type 3 (3)" in warning
    assert "record type 15 (1)" in warning
    for index, one in rig.partitions.items():
        coordinator.on_elected(index, one, 2)  # as happens at each start after another broker's
    await coordinator.wait_loaded()
    assert [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING] == [warning]
    listed = await coordinator.list_groups([], [])
    assert [g.group_id for g in listed.groups] == [GROUP]


async def test_a_load_names_some_of_the_reasons_to_skip_records(
    autojump_clock: object,
    rig: CoordinatorRig,
    nursery: trio.Nursery,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await commit(rig.coordinator, 5)
    kinds = [NewRecord(0, b"\x01" + bytes([kind]), b"") for kind in range(200)]
    rig.partition_of().append_local(bytearray(build_batch([*kinds, kinds[1]])), 0)
    await rig.restart(nursery)
    (warning,) = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert ": 201 records are kept but not used" in warning
    assert "record type 257 (2)" in warning
    assert warning.endswith(", others (168)")


async def test_expired_offsets_leave_tombstones_in_batches_that_fit(
    autojump_clock: object, rig: CoordinatorRig, nursery: trio.Nursery
) -> None:
    rig.coordinator.commit_offsets(commit_request(dict.fromkeys(range(2_500), 7)), 9)
    await trio.sleep(7 * 24 * 3600 + 700)
    partition = rig.partition_of()
    assert [len(partition.stored), len(partition.records())] == [4, 2_500 + 2_501]
    assert partition.records()[-1].value is None
    coordinator = await rig.restart(nursery)
    assert (await coordinator.list_groups([], [])).groups == []


async def test_shutdown_answers_who_waits(autojump_clock: object, rig: CoordinatorRig) -> None:
    await alone(rig.coordinator)
    answers: list[int] = []

    async def join_as() -> None:
        answers.append((await join(rig.coordinator, join_request())).error_code)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(join_as)
        await trio.testing.wait_all_tasks_blocked()
        rig.coordinator.shutdown()
    assert answers == [ErrorCode.NOT_COORDINATOR]


async def test_a_member_whose_client_hangs_up_does_not_disturb_the_others(
    autojump_clock: object, rig: CoordinatorRig
) -> None:
    first = await alone(rig.coordinator)
    with trio.move_on_after(1):
        await join(rig.coordinator, join_request())  # its connection breaks while it waits
    rejoined = await join(rig.coordinator, join_request(first))
    assert (rejoined.error_code, len(rejoined.members)) == (ErrorCode.NONE, 2)


def test_member_ids_end_in_a_uuid() -> None:
    from kbroker.coordinators.group_coordinator import _uuid_text

    assert _uuid_text(0) == "00000000-0000-4000-8000-000000000000"
    assert _uuid_text((1 << 128) - 1) == "ffffffff-ffff-4fff-bfff-ffffffffffff"


def test_subscriptions_for_these_tests_are_kafkas() -> None:
    assert subscription("t") == b"\x00\x00\x00\x00\x00\x01\x00\x01t\xff\xff\xff\xff"
