from __future__ import annotations

import pytest

from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.leave_group import MemberIdentity
from tests.kbroker.coordinators.rig import GROUP, ShardRig, join_request, subscription, sync_request


def completing(rig: ShardRig, count: int = 2) -> list[str]:
    """Members of a group that waits for the assignment of its next generation."""
    ids = rig.stable(count)
    for member_id in ids:
        rig.join(join_request(member_id))
    assert rig.state == "CompletingRebalance"
    return ids


# --- SyncGroup


def test_followers_wait_for_the_leaders_assignment() -> None:
    rig = ShardRig()
    leader, follower = completing(rig)
    waiting = rig.sync(sync_request(follower, 3))
    assert waiting.response is None
    leading = rig.sync(sync_request(leader, 3, {leader: b"L", follower: b"F"}))
    assert waiting.response is not None
    assert leading.response is not None
    assert (leading.response.assignment, waiting.response.assignment) == (b"L", b"F")
    assert waiting.response.protocol_name == "range"
    assert waiting.response.protocol_type == "consumer"
    assert rig.state == "Stable"


def test_a_member_without_an_assignment_gets_an_empty_one() -> None:
    rig = ShardRig()
    leader, follower = completing(rig)
    rig.sync(sync_request(leader, 3, {leader: b"L"}))
    response = rig.sync(sync_request(follower, 3)).response
    assert response is not None
    assert (response.error_code, response.assignment) == (ErrorCode.NONE, b"")


def test_an_assignment_counts_once_it_is_stored() -> None:
    rig = ShardRig()
    leader, follower = completing(rig)
    rig.hold = True
    leading = rig.sync(sync_request(leader, 3, {leader: b"L", follower: b"F"}))
    assert leading.response is None
    assert rig.state == "CompletingRebalance"
    rig.commit()
    assert leading.response is not None
    assert rig.state == "Stable"


def test_an_assignment_that_a_rebalance_overtook_is_void() -> None:
    rig = ShardRig()
    leader, follower = completing(rig)
    rig.hold = True
    leading = rig.sync(sync_request(leader, 3, {leader: b"L", follower: b"F"}))
    rig.leave(MemberIdentity(member_id=follower))
    assert leading.response is not None
    assert leading.response.error_code == ErrorCode.REBALANCE_IN_PROGRESS
    rig.commit()
    assert rig.state == "PreparingRebalance"


@pytest.mark.parametrize("is_appended", [True, False])
def test_an_assignment_that_is_not_stored_starts_a_rebalance(is_appended: bool) -> None:
    rig = ShardRig()
    leader, follower = completing(rig)
    waiting = rig.sync(sync_request(follower, 3))
    if is_appended:
        rig.hold = True
    else:
        rig.append_error = ErrorCode.COORDINATOR_NOT_AVAILABLE
    leading = rig.sync(sync_request(leader, 3, {leader: b"L", follower: b"F"}))
    rig.time_out(ErrorCode.COORDINATOR_NOT_AVAILABLE)
    for parked in (leading, waiting):
        assert parked.response is not None
        assert parked.response.error_code == ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert rig.state == "PreparingRebalance"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"member_id": "who"}, ErrorCode.UNKNOWN_MEMBER_ID),
        ({"generation_id": 2}, ErrorCode.ILLEGAL_GENERATION),
        ({"generation_id": 4}, ErrorCode.ILLEGAL_GENERATION),
        ({"group_instance_id": "one"}, ErrorCode.UNKNOWN_MEMBER_ID),
        ({"protocol_type": "connect"}, ErrorCode.INCONSISTENT_GROUP_PROTOCOL),
        ({"protocol_name": "sticky"}, ErrorCode.INCONSISTENT_GROUP_PROTOCOL),
        ({"group_id": "other"}, ErrorCode.UNKNOWN_MEMBER_ID),
    ],
)
def test_a_sync_must_fit_the_generation(changes: dict[str, object], error: ErrorCode) -> None:
    rig = ShardRig()
    leader, _ = completing(rig)
    request = sync_request(leader, 3, protocol_type="consumer", protocol_name="range")
    for name, value in changes.items():
        setattr(request, name, value)
    response = rig.sync(request).response
    assert response is not None
    assert response.error_code == error


def test_a_sync_while_a_rebalance_is_prepared_is_sent_back_to_join() -> None:
    rig = ShardRig()
    leader, follower = rig.stable(2)
    rig.join(join_request(leader))
    response = rig.sync(sync_request(follower, 2)).response
    assert response is not None
    assert response.error_code == ErrorCode.REBALANCE_IN_PROGRESS


def test_members_that_do_not_sync_in_time_are_removed() -> None:
    rig = ShardRig()
    leader, follower = completing(rig)
    leading = rig.sync(sync_request(leader, 3, {leader: b"L", follower: b"F"}))
    assert leading.response is not None
    for _ in range(12):
        rig.advance(5_000)
        rig.heartbeat(leader, 3)
        rig.heartbeat(follower, 3)
    assert rig.state == "PreparingRebalance"
    assert rig.heartbeat(follower, 3) == ErrorCode.UNKNOWN_MEMBER_ID
    assert rig.heartbeat(leader, 3) == ErrorCode.REBALANCE_IN_PROGRESS


def test_when_all_have_synced_nobody_is_removed() -> None:
    rig = ShardRig()
    leader, follower = rig.stable(2)
    for _ in range(30):
        rig.advance(5_000)
        assert rig.heartbeat(leader, 2) == ErrorCode.NONE
        assert rig.heartbeat(follower, 2) == ErrorCode.NONE


def test_a_follower_whose_leader_never_syncs_joins_anew() -> None:
    rig = ShardRig()
    leader, follower = completing(rig)
    waiting = rig.sync(sync_request(follower, 3))
    for _ in range(12):
        rig.advance(5_000)
        rig.heartbeat(leader, 3)
    assert waiting.response is not None
    assert waiting.response.error_code == ErrorCode.REBALANCE_IN_PROGRESS
    assert rig.shard.groups[GROUP].leader_id == follower


def test_an_assignment_of_a_group_that_was_deleted_is_not_its_namesakes() -> None:
    rig = ShardRig()
    joined = rig.join_dynamic()
    rig.advance(0)
    assert joined.response is not None
    rig.hold = True
    rig.sync(sync_request(joined.response.member_id, 1, {joined.response.member_id: b"all"}))
    rig.leave(MemberIdentity(member_id=joined.response.member_id))
    rig.apply(rig.shard.decide_delete_groups([GROUP], rig.now))
    rig.join(join_request(), api_version=3)
    rig.advance(0)
    assert rig.shard.groups[GROUP].generation_id == 1
    rig.commit()
    assert rig.state == "CompletingRebalance"


# --- Heartbeat and sessions


@pytest.mark.parametrize(
    ("member", "generation_id", "instance_id", "error"),
    [
        (0, 2, None, ErrorCode.NONE),
        (0, 1, None, ErrorCode.ILLEGAL_GENERATION),
        (0, 3, None, ErrorCode.ILLEGAL_GENERATION),
        (None, 2, None, ErrorCode.UNKNOWN_MEMBER_ID),
        (0, 2, "one", ErrorCode.UNKNOWN_MEMBER_ID),
    ],
)
def test_heartbeats_in_a_stable_group(
    member: int | None, generation_id: int, instance_id: str | None, error: ErrorCode
) -> None:
    rig = ShardRig()
    ids = rig.stable(2)
    member_id = "who" if member is None else ids[member]
    assert rig.heartbeat(member_id, generation_id, instance_id=instance_id) == error


def test_heartbeats_of_an_unknown_group() -> None:
    assert ShardRig().heartbeat("who", 1) == ErrorCode.UNKNOWN_MEMBER_ID


def test_heartbeats_while_the_assignment_is_awaited_are_fine() -> None:
    rig = ShardRig()
    _leader, follower = completing(rig)
    assert rig.heartbeat(follower, 3) == ErrorCode.NONE


def test_a_silent_member_makes_a_rebalance() -> None:
    rig = ShardRig()
    leader, follower = rig.stable(2)
    rig.advance(9_999)
    assert rig.heartbeat(leader, 2) == ErrorCode.NONE
    rig.advance(1)
    assert rig.heartbeat(follower, 2) == ErrorCode.UNKNOWN_MEMBER_ID
    assert rig.heartbeat(leader, 2) == ErrorCode.REBALANCE_IN_PROGRESS


def test_a_member_that_waits_for_us_does_not_lose_its_session() -> None:
    rig = ShardRig()
    leader, follower = rig.stable(2)
    rejoining = rig.join(join_request(leader))
    for _ in range(8):
        rig.advance(5_000)
        rig.heartbeat(follower, 2)
    assert rejoining.response is None
    rig.join(join_request(follower))
    assert rejoining.response is not None
    assert rejoining.response.error_code == ErrorCode.NONE


def test_the_last_member_leaves_an_empty_group_behind() -> None:
    rig = ShardRig()
    rig.stable()
    rig.advance(10_000)
    assert rig.state == "Empty"
    group = rig.reload().groups[GROUP]
    assert (group.generation_id, group.protocol_type, group.members) == (2, "consumer", {})


def test_heartbeats_do_not_move_deadlines() -> None:
    rig = ShardRig()
    ids = rig.stable(3)
    before = len(rig.deadlines)
    for _ in range(1_000):
        rig.heartbeat(ids[0], 3)
    assert len(rig.deadlines) == before


# --- LeaveGroup


def test_a_member_that_leaves_makes_a_rebalance() -> None:
    rig = ShardRig()
    leader, follower = rig.stable(2)
    response = rig.leave(MemberIdentity(member_id=follower, reason="done"))
    assert [(m.member_id, m.error_code) for m in response.members] == [(follower, ErrorCode.NONE)]
    assert rig.heartbeat(leader, 2) == ErrorCode.REBALANCE_IN_PROGRESS
    rejoining = rig.join(join_request(leader))
    assert rejoining.response is not None
    assert len(rejoining.response.members) == 1


def test_several_members_leave_with_one_rebalance() -> None:
    rig = ShardRig()
    ids = rig.stable(3)
    response = rig.leave(
        MemberIdentity(member_id=ids[1]),
        MemberIdentity(member_id="who"),
        MemberIdentity(member_id=ids[2]),
        MemberIdentity(member_id="", group_instance_id="nobody"),
        MemberIdentity(member_id=ids[0], group_instance_id="nobody"),
    )
    assert [m.error_code for m in response.members] == [
        ErrorCode.NONE,
        ErrorCode.UNKNOWN_MEMBER_ID,
        ErrorCode.NONE,
        ErrorCode.UNKNOWN_MEMBER_ID,
        ErrorCode.UNKNOWN_MEMBER_ID,
    ]
    assert rig.state == "PreparingRebalance"
    assert set(rig.shard.groups[GROUP].members) == {ids[0]}


def test_an_admin_removes_a_static_member_by_its_instance_id() -> None:
    rig = ShardRig()
    rig.join(join_request(instance_id="one"))
    rig.advance(0)
    response = rig.leave(MemberIdentity(member_id="", group_instance_id="one"))
    (member,) = response.members
    assert (member.member_id, member.group_instance_id, member.error_code) == ("", "one", 0)
    assert rig.state == "Empty"


def test_a_fenced_static_member_cannot_leave_for_the_other() -> None:
    rig = ShardRig()
    first = rig.join(join_request(instance_id="one"))
    rig.advance(0)
    assert first.response is not None
    rig.join(join_request(instance_id="one"))
    identity = MemberIdentity(member_id=first.response.member_id, group_instance_id="one")
    assert rig.leave(identity).members[0].error_code == ErrorCode.FENCED_INSTANCE_ID


def test_a_pending_member_can_leave() -> None:
    rig = ShardRig()
    (leader,) = rig.stable()
    pending = rig.join(join_request()).response
    assert pending is not None
    rejoining = rig.join(join_request(leader))
    assert rig.leave(MemberIdentity(member_id=pending.member_id)).members[0].error_code == 0
    assert rejoining.response is not None
    assert rejoining.response.generation_id == 2


def test_who_waits_and_is_removed_is_told() -> None:
    rig = ShardRig()
    _leader, follower = completing(rig)
    waiting = rig.sync(sync_request(follower, 3))
    rig.leave(MemberIdentity(member_id=follower))
    assert waiting.response is not None
    assert waiting.response.error_code == ErrorCode.UNKNOWN_MEMBER_ID


def test_leaving_an_unknown_group_is_an_error_of_each_member() -> None:
    response = ShardRig().leave(MemberIdentity(member_id="a"), MemberIdentity(member_id="b"))
    assert response.error_code == ErrorCode.NONE
    assert [m.error_code for m in response.members] == [ErrorCode.UNKNOWN_MEMBER_ID] * 2


# --- administration


def test_a_stable_group_is_described_with_its_members() -> None:
    rig = ShardRig()
    leader, _follower = rig.stable(2)
    described = rig.shard.describe(GROUP, 6)
    assert (described.group_state, described.protocol_type) == ("Stable", "consumer")
    assert described.protocol_data == "range"
    member = described.members[0]
    assert (member.member_id, member.client_id, member.client_host) == (leader, "app", "/127.0.0.1")
    assert member.member_metadata == subscription("t")
    assert member.member_assignment == leader.encode()


def test_a_rebalancing_group_is_described_without_metadata() -> None:
    rig = ShardRig()
    completing(rig)
    described = rig.shard.describe(GROUP, 6)
    assert (described.group_state, described.protocol_data) == ("CompletingRebalance", "")
    assert all(m.member_metadata == b"" for m in described.members)


@pytest.mark.parametrize(
    ("api_version", "error", "message"),
    [(5, ErrorCode.NONE, None), (6, ErrorCode.GROUP_ID_NOT_FOUND, "Group orders not found.")],
)
def test_an_unknown_group_is_dead(api_version: int, error: ErrorCode, message: str | None) -> None:
    described = ShardRig().shard.describe(GROUP, api_version)
    assert (described.group_state, described.error_code) == ("Dead", error)
    assert described.error_message == message


@pytest.mark.parametrize(
    ("states", "types", "is_listed"),
    [
        (set(), set(), True),
        ({"stable"}, set(), True),
        ({"empty", "stable"}, {"classic"}, True),
        ({"empty"}, set(), False),
        (set(), {"consumer"}, False),
        ({"nonsense"}, set(), False),
        (set(), {"nonsense"}, False),
    ],
)
def test_groups_are_listed_by_state_and_type(
    states: set[str], types: set[str], is_listed: bool
) -> None:
    rig = ShardRig()
    rig.stable()
    listed = rig.shard.list_groups(states, types)
    assert [(g.group_id, g.group_state, g.group_type) for g in listed] == (
        [(GROUP, "Stable", "classic")] if is_listed else []
    )


def test_a_group_larger_than_allowed_rebalances_when_it_is_loaded() -> None:
    rig = ShardRig()
    rig.stable(3)
    smaller = ShardRig(group_max_size=2)
    smaller.shard = rig.reload(smaller)
    smaller.apply(smaller.shard.on_loaded(smaller.now))
    assert smaller.state == "PreparingRebalance"


def test_sessions_begin_anew_when_a_group_is_loaded() -> None:
    rig = ShardRig()
    rig.stable(2)
    other = ShardRig()
    other.shard = rig.reload(other)
    other.apply(other.shard.on_loaded(other.now))
    other.advance(9_999)
    assert other.state == "Stable"
    other.advance(1)
    assert other.state == "Empty"


def test_a_failure_with_one_member_lets_the_others_leave() -> None:
    rig = ShardRig()
    first, second = rig.stable(2)
    broken = MemberIdentity(member_id=[])  # type: ignore[arg-type]
    response = rig.leave(MemberIdentity(member_id=first), broken, MemberIdentity(member_id=second))
    assert [each.error_code for each in response.members] == [
        ErrorCode.NONE,
        ErrorCode.UNKNOWN_SERVER_ERROR,
        ErrorCode.NONE,
    ]


def test_who_has_left_is_told_so_though_the_rebalance_fails() -> None:
    rig = ShardRig()
    first, second, third = rig.stable(3)
    for member_id in (second, third):
        rig.shard.groups[GROUP].members[member_id].rebalance_timeout_ms = None  # type: ignore[assignment]
    (answer,) = rig.leave(MemberIdentity(member_id=first)).members
    assert (answer.member_id, answer.error_code) == (first, ErrorCode.NONE)
    assert first not in rig.shard.groups[GROUP].members


def test_who_waits_for_an_assignment_is_told_that_the_coordinator_is_elsewhere() -> None:
    rig = ShardRig()
    _, follower = completing(rig)
    waiting = rig.sync(sync_request(follower, 3))
    assert waiting.response is None
    rig.apply(rig.shard.on_unloaded(rig.now))
    assert waiting.response is not None
    assert waiting.response.error_code == ErrorCode.NOT_COORDINATOR
