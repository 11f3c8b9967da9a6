"""Time in a classic group: who is not heard of in time goes, and nothing is awaited of who is gone.

The rig lets no deadline pass that should have been cancelled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.leave_group import MemberIdentity
from tests.kbroker.coordinators.rig import GROUP, ShardRig, join_request, subscription, sync_request

if TYPE_CHECKING:
    from collections.abc import Callable

SESSION_MS = 10_000  # of the requests that the rig makes
REBALANCE_MS = 60_000
HEARTBEAT_MS = 5_000
ALL_DEADLINES_MS = 400_000  # the last is that of a new member, after five minutes


def members(rig: ShardRig) -> set[str]:
    """As an operator is told."""
    return {member.member_id for member in rig.shard.describe(GROUP, 6).members}


def generation(rig: ShardRig) -> int:
    return rig.shard.groups[GROUP].generation_id


def new_id(rig: ShardRig) -> str:
    """Given to a new member, which has to come back with it."""
    response = rig.join(join_request()).response
    assert response is not None
    assert response.error_code == ErrorCode.MEMBER_ID_REQUIRED
    return response.member_id


def static(rig: ShardRig) -> str:
    """The id of the only member, "one", of a stable group."""
    joining = rig.join(join_request(instance_id="one"))
    rig.advance(0)
    assert joining.response is not None
    member_id = joining.response.member_id
    rig.sync(sync_request(member_id, 1, {member_id: b"1"}, instance_id="one"))
    assert rig.state == "Stable"
    return member_id


def send_heartbeats(rig: ShardRig, ids: list[str], for_ms: int) -> None:
    """Whatever they are told."""
    for _ in range(for_ms // HEARTBEAT_MS):
        rig.advance(HEARTBEAT_MS)
        for member_id in ids:
            rig.heartbeat(member_id, generation(rig))


def live_on(rig: ShardRig, ids: list[str], instance_id: str | None = None) -> None:
    """They do what members do, and are left in peace, until every deadline would have come."""
    before = generation(rig)
    for _ in range(ALL_DEADLINES_MS // HEARTBEAT_MS):
        rig.advance(HEARTBEAT_MS)
        for member_id in ids:
            error = rig.heartbeat(member_id, before, instance_id=instance_id)
            assert error is ErrorCode.NONE
    assert rig.state == "Stable"
    assert members(rig) == set(ids)


def rejoin(rig: ShardRig, ids: list[str]) -> None:
    """They are all the members there are, and make a stable group again."""
    for member_id in ids:
        rig.join(join_request(member_id))
    leader = rig.shard.groups[GROUP].leader_id
    for member_id in sorted(ids, key=lambda member_id: member_id == leader):
        assignment = dict.fromkeys(ids, b"any") if member_id == leader else {}
        rig.sync(sync_request(member_id, generation(rig), assignment))
    assert rig.state == "Stable"


# --- sessions


@pytest.mark.parametrize("phase", ["Stable", "PreparingRebalance", "CompletingRebalance"])
def test_a_member_lives_as_long_as_it_is_heard_of(phase: str) -> None:
    rig = ShardRig()
    leader, follower = rig.stable(2)
    if phase != "Stable":
        rig.join(join_request(leader))
    if phase == "CompletingRebalance":
        rig.join(join_request(follower))
    now = generation(rig)
    for _ in range(5):
        rig.advance(SESSION_MS - 1)
        told = rig.heartbeat(follower, now)
        assert told is (
            ErrorCode.REBALANCE_IN_PROGRESS if phase == "PreparingRebalance" else ErrorCode.NONE
        )
        rig.heartbeat(leader, now)
    rig.advance(SESSION_MS - 1)
    rig.heartbeat(leader, now)
    assert follower in members(rig)
    rig.advance(1)
    assert follower not in members(rig)
    assert leader in members(rig)


def test_a_heartbeat_of_another_generation_keeps_nobody_alive() -> None:
    rig = ShardRig()
    (leader,) = rig.stable()
    for _ in range(2):
        rig.advance(SESSION_MS // 2 - 1)
        assert rig.heartbeat(leader, 0) is ErrorCode.ILLEGAL_GENERATION
    rig.advance(2)
    assert rig.state == "Empty"


@pytest.mark.parametrize("session_timeout_ms", [6_000, 30_000])
def test_a_session_is_as_long_as_its_member_said(session_timeout_ms: int) -> None:
    rig = ShardRig()
    rig.join_dynamic(join_request(session_timeout_ms=session_timeout_ms))
    rig.advance(0)
    rig.advance(session_timeout_ms - 1)
    assert rig.state == "CompletingRebalance"
    rig.advance(1)
    assert rig.state == "Empty"


def test_a_session_is_as_long_as_its_member_says_now() -> None:
    rig = ShardRig()
    (leader,) = rig.stable()
    rig.join(join_request(leader, session_timeout_ms=20_000))
    rig.advance(19_999)
    assert members(rig) == {leader}
    rig.advance(1)
    assert members(rig) == set()


def test_a_rebalance_waits_on_for_those_whose_sessions_are_not_over() -> None:
    rig = ShardRig()
    first, second, third = rig.stable(3)
    rig.join(join_request(first))
    send_heartbeats(rig, [second], SESSION_MS)
    assert members(rig) == {first, second}
    assert third not in members(rig)
    assert rig.state == "PreparingRebalance"
    rig.join(join_request(second))
    assert rig.state == "CompletingRebalance"


def test_a_session_begins_when_the_member_is_told_its_generation() -> None:
    rig = ShardRig()
    leader, follower = rig.stable(2)
    rig.join(join_request(leader))  # whose session passes while it waits
    send_heartbeats(rig, [follower], 30_000)
    rig.join(join_request(follower))
    assert rig.state == "CompletingRebalance"
    rig.advance(SESSION_MS - 1)
    assert members(rig) == {leader, follower}
    rig.advance(1)
    assert members(rig) == set()


@pytest.mark.parametrize("waits_ms", [SESSION_MS - HEARTBEAT_MS, SESSION_MS + HEARTBEAT_MS])
@pytest.mark.parametrize("is_stored", [True, False])
def test_a_session_begins_anew_when_the_assignment_or_its_failure_is_told(
    waits_ms: int, is_stored: bool
) -> None:
    rig = ShardRig()
    leader, follower = rig.stable(2)
    for member_id in (leader, follower):
        rig.join(join_request(member_id))
    waiting = rig.sync(sync_request(follower, 3))
    send_heartbeats(rig, [leader], waits_ms)
    if not is_stored:
        rig.append_error = ErrorCode.COORDINATOR_NOT_AVAILABLE
    rig.sync(sync_request(leader, 3, {leader: b"L", follower: b"F"}))
    assert waiting.response is not None
    assert (waiting.response.error_code == ErrorCode.NONE) == is_stored
    rig.advance(SESSION_MS - 1)
    assert members(rig) == {leader, follower}
    rig.append_error = ErrorCode.NONE
    rig.advance(1)
    assert members(rig) == set()


def test_a_new_member_is_waited_for_five_minutes_whatever_its_session_timeout() -> None:
    rig = ShardRig()
    (leader,) = rig.stable()
    joining = rig.join_dynamic(join_request(rebalance_timeout_ms=600_000))
    send_heartbeats(rig, [leader], 295_000)
    rig.advance(4_999)
    assert joining.response is None
    rig.advance(1)
    assert joining.response is not None
    assert joining.response.error_code == ErrorCode.UNKNOWN_MEMBER_ID


def test_a_restarted_static_member_has_a_session_of_its_own() -> None:
    rig = ShardRig()
    static(rig)
    rig.advance(SESSION_MS - 1)
    restarted = rig.join(join_request(instance_id="one", session_timeout_ms=20_000)).response
    assert restarted is not None
    rig.advance(SESSION_MS - 1)
    assert members(rig) == {restarted.member_id}
    rig.advance(1)  # of the session timeout that its former self had
    assert rig.state == "Empty"


@pytest.mark.parametrize("is_stored", [True, False])
def test_a_static_member_that_takes_over_is_left_in_peace(is_stored: bool) -> None:
    """Or the former one is, when its successor could not be stored."""
    rig = ShardRig()
    former = static(rig)
    rig.advance(HEARTBEAT_MS)
    if not is_stored:
        rig.append_error = ErrorCode.NOT_COORDINATOR
    rig.join(join_request(instance_id="one"))
    rig.append_error = ErrorCode.NONE
    (member_id,) = members(rig)
    assert (member_id == former) is not is_stored
    live_on(rig, [member_id], instance_id="one")
    rig.advance(SESSION_MS - 1)
    assert rig.state == "Stable"
    rig.advance(1)
    assert rig.state == "Empty"


def test_a_static_member_whose_successor_is_not_stored_has_a_new_session() -> None:
    rig = ShardRig()
    static(rig)
    rig.advance(HEARTBEAT_MS)
    rig.append_error = ErrorCode.NOT_COORDINATOR
    rig.join(join_request(instance_id="one"))
    rig.append_error = ErrorCode.NONE
    rig.advance(SESSION_MS - 1)
    assert rig.state == "Stable"
    rig.advance(1)
    assert rig.state == "Empty"


def test_a_rebalance_takes_as_long_as_its_members_say_now() -> None:
    rig = ShardRig()
    leader, follower = rig.stable(2)
    for member_id in (leader, follower):
        rig.join(join_request(member_id, rebalance_timeout_ms=20_000))
    changed = {"range": subscription("u")}
    waiting = rig.join(join_request(leader, protocols=changed, rebalance_timeout_ms=20_000))
    send_heartbeats(rig, [follower], 15_000)
    rig.advance(4_999)
    assert waiting.response is None
    rig.advance(1)
    assert waiting.response is not None
    assert [each.member_id for each in waiting.response.members] == [leader]


# --- who is gone


def one_leaves() -> tuple[ShardRig, list[str]]:
    rig = ShardRig()
    leader, follower = rig.stable(2)
    rig.leave(MemberIdentity(member_id=follower))
    return rig, [leader]


def one_leaves_while_the_assignment_is_awaited() -> tuple[ShardRig, list[str]]:
    rig = ShardRig()
    leader, follower = rig.stable(2)
    for member_id in (leader, follower):
        rig.join(join_request(member_id))
    send_heartbeats(rig, [leader, follower], HEARTBEAT_MS)
    rig.leave(MemberIdentity(member_id=follower))
    send_heartbeats(rig, [leader], REBALANCE_MS - HEARTBEAT_MS)  # the wait for SyncGroup is over
    return rig, [leader]


def one_is_silent() -> tuple[ShardRig, list[str]]:
    rig = ShardRig()
    leader, follower = rig.stable(2)
    send_heartbeats(rig, [leader], SESSION_MS)
    assert follower not in members(rig)
    return rig, [leader]


def one_does_not_rejoin() -> tuple[ShardRig, list[str]]:
    rig = ShardRig()
    leader, follower = rig.stable(2)
    rig.join(join_request(leader))
    send_heartbeats(rig, [follower], REBALANCE_MS)
    return rig, [leader]


def one_does_not_sync() -> tuple[ShardRig, list[str]]:
    rig = ShardRig()
    leader, follower = rig.stable(2)
    for member_id in (leader, follower):
        rig.join(join_request(member_id))
    rig.sync(sync_request(leader, 3, {leader: b"L", follower: b"F"}))
    send_heartbeats(rig, [leader, follower], REBALANCE_MS)
    return rig, [leader]


def one_is_too_many() -> tuple[ShardRig, list[str]]:
    rig = ShardRig(group_max_size=2)
    leader, follower = rig.stable(2)
    rig.join(join_request(leader))
    newcomer = new_id(rig)
    rig.join(join_request(newcomer))
    refused = rig.join(join_request(follower)).response
    assert refused is not None
    assert refused.error_code == ErrorCode.GROUP_MAX_SIZE_REACHED
    rig.advance(REBALANCE_MS)
    return rig, [leader, newcomer]


def one_with_an_id_is_too_many() -> tuple[ShardRig, list[str]]:
    rig = ShardRig(group_max_size=2)
    leader, follower = rig.stable(2)
    rig.join(join_request(leader))
    late = new_id(rig)
    rig.join(join_request(follower))
    refused = rig.join(join_request(late)).response
    assert refused is not None
    assert refused.error_code == ErrorCode.GROUP_MAX_SIZE_REACHED
    rig.advance(REBALANCE_MS)
    return rig, [leader, follower]


def one_with_an_id_leaves() -> tuple[ShardRig, list[str]]:
    rig = ShardRig()
    (leader,) = rig.stable()
    rig.leave(MemberIdentity(member_id=new_id(rig)))
    return rig, [leader]


def one_with_an_id_never_comes_back() -> tuple[ShardRig, list[str]]:
    rig = ShardRig()
    (leader,) = rig.stable()
    new_id(rig)
    send_heartbeats(rig, [leader], SESSION_MS)
    return rig, [leader]


@pytest.mark.parametrize(
    "happens",
    [
        one_leaves,
        one_leaves_while_the_assignment_is_awaited,
        one_is_silent,
        one_does_not_rejoin,
        one_does_not_sync,
        one_is_too_many,
        one_with_an_id_is_too_many,
        one_with_an_id_leaves,
        one_with_an_id_never_comes_back,
    ],
)
def test_who_is_gone_does_not_disturb_the_others(
    happens: Callable[[], tuple[ShardRig, list[str]]],
) -> None:
    rig, left = happens()
    rejoin(rig, left)
    live_on(rig, left)


# --- groups that are gone


def with_an_id_given(rig: ShardRig) -> None:
    (leader,) = rig.stable()
    rig.leave(MemberIdentity(member_id=leader))
    new_id(rig)
    assert rig.state == "Empty"


def preparing(rig: ShardRig) -> None:
    leader, _follower = rig.stable(2)
    rig.join(join_request(leader))
    new_id(rig)
    assert rig.state == "PreparingRebalance"


def completing(rig: ShardRig) -> None:
    rig.join_dynamic()
    rig.advance(0)
    assert rig.state == "CompletingRebalance"


def test_nothing_comes_of_a_deleted_group() -> None:
    rig = ShardRig()
    with_an_id_given(rig)
    rig.apply(rig.shard.decide_delete_groups([GROUP], rig.now))
    assert rig.state == "Dead"
    rig.advance(ALL_DEADLINES_MS)


@pytest.mark.parametrize("prepare", [with_an_id_given, preparing, completing])
def test_nothing_is_awaited_of_groups_that_another_broker_coordinates(
    prepare: Callable[[ShardRig], None],
) -> None:
    rig = ShardRig()
    prepare(rig)
    rig.apply(rig.shard.on_unloaded(rig.now))
    assert list(rig.deadlines.expired(1 << 60)) == []


def test_a_group_that_could_not_be_stored_does_not_hurry_its_namesake() -> None:
    rig = ShardRig(group_initial_rebalance_delay_ms=3_000)
    rig.append_error = ErrorCode.NOT_COORDINATOR
    rig.join(join_request(), api_version=3)
    rig.append_error = ErrorCode.NONE
    rig.advance(1_000)
    joining = rig.join(join_request(), api_version=3)
    rig.advance(2_999)
    assert joining.response is None
    rig.advance(1)
    assert joining.response is not None
    rejoin(rig, [joining.response.member_id])
    live_on(rig, [joining.response.member_id])
