from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kbroker.coordinators.group.classic.join_rules import PENDING_JOINS_MAX
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.join_group import JoinGroupRequest, JoinGroupRequestProtocol
from kbroker.wire.messages.leave_group import MemberIdentity
from tests.kbroker.coordinators.rig import GROUP, ShardRig, join_request, subscription, sync_request

if TYPE_CHECKING:
    from kbroker.wire.messages.join_group import JoinGroupResponse


def answered(response: JoinGroupResponse | None) -> JoinGroupResponse:
    assert response is not None
    return response


# --- new members


def test_a_new_dynamic_member_is_given_an_id_to_come_back_with() -> None:
    rig = ShardRig()
    first = answered(rig.join(join_request()).response)
    assert first.error_code == ErrorCode.MEMBER_ID_REQUIRED
    assert first.member_id == "app-uuid1"
    assert rig.state == "Empty"
    assert rig.join(join_request("app-uuid1")).response is None
    assert rig.state == "PreparingRebalance"


@pytest.mark.parametrize("api_version", [0, 1, 2, 3])
def test_before_v4_a_member_joins_at_once(api_version: int) -> None:
    rig = ShardRig()
    joining = rig.join(join_request(), api_version)
    rig.advance(0)
    response = answered(joining.response)
    assert response.error_code == ErrorCode.NONE
    assert response.member_id == response.leader == "app-uuid1"
    assert response.generation_id == 1
    assert [m.member_id for m in response.members] == ["app-uuid1"]


def test_a_static_members_id_is_made_of_its_instance_id() -> None:
    rig = ShardRig()
    joining = rig.join(join_request(instance_id="one"))
    rig.advance(0)
    response = answered(joining.response)
    assert response.member_id == "one-uuid1"
    assert response.members[0].group_instance_id == "one"


def test_a_member_with_an_id_but_no_group_is_unknown() -> None:
    rig = ShardRig()
    response = answered(rig.join(join_request("who")).response)
    assert (response.error_code, response.member_id) == (ErrorCode.UNKNOWN_MEMBER_ID, "who")
    assert rig.log == []


def test_a_new_group_is_in_the_log_at_once() -> None:
    rig = ShardRig()
    rig.join(join_request())
    group = rig.reload().groups[GROUP]
    assert (group.generation_id, group.protocol_type, group.leader_id) == (0, None, None)


def test_a_pending_member_that_never_comes_back_is_forgotten() -> None:
    rig = ShardRig()
    rig.join(join_request())
    rig.advance(10_000)
    response = answered(rig.join(join_request("app-uuid1")).response)
    assert response.error_code == ErrorCode.UNKNOWN_MEMBER_ID


def test_a_pending_member_delays_a_rebalance_until_it_is_forgotten() -> None:
    rig = ShardRig()
    (leader,) = rig.stable()
    rig.join(join_request())  # given an id
    rejoining = rig.join(join_request(leader))
    assert rejoining.response is None
    rig.advance(10_000)
    assert answered(rejoining.response).generation_id == 2


def test_ids_that_are_not_used_have_a_bound() -> None:
    rig = ShardRig()
    for _ in range(PENDING_JOINS_MAX):
        rig.join(join_request())
    response = answered(rig.join(join_request()).response)
    assert response.error_code == ErrorCode.GROUP_MAX_SIZE_REACHED


def test_a_pending_member_must_not_turn_static() -> None:
    rig = ShardRig()
    rig.join(join_request())
    response = answered(rig.join(join_request("app-uuid1", instance_id="one")).response)
    assert response.error_code == ErrorCode.UNKNOWN_SERVER_ERROR


def test_a_new_member_whose_rebalance_takes_too_long_is_told_to_ask_again() -> None:
    rig = ShardRig()
    (leader,) = rig.stable()
    joining = rig.join_dynamic(join_request(rebalance_timeout_ms=600_000))
    for _ in range(60):
        rig.advance(5_000)  # the leader heeds no rebalance, but lives
        rig.heartbeat(leader, 1)
    response = answered(joining.response)
    assert (response.error_code, response.member_id) == (ErrorCode.UNKNOWN_MEMBER_ID, "")


# --- the initial delay


def test_the_first_rebalance_waits_for_more_members() -> None:
    rig = ShardRig(group_initial_rebalance_delay_ms=3_000)
    first = rig.join_dynamic()
    rig.advance(2_999)
    second = rig.join_dynamic()
    assert first.response is None
    rig.advance(1)  # a new one came: as long again
    assert first.response is None
    rig.advance(3_000)
    assert answered(first.response).generation_id == 1
    assert answered(second.response).leader == answered(first.response).member_id
    assert len(answered(first.response).members) == 2
    assert answered(second.response).members == []


def test_the_initial_delay_ends_with_the_rebalance_timeout() -> None:
    rig = ShardRig(group_initial_rebalance_delay_ms=3_000)
    joins = [rig.join_dynamic(join_request(rebalance_timeout_ms=5_000))]
    for _ in range(3):
        rig.advance(1_600)
        joins.append(rig.join_dynamic(join_request(rebalance_timeout_ms=5_000)))
    rig.advance(400)  # 5.2 s: the third join came within the second delay, which was 2 s
    assert all(answered(each.response).generation_id == 1 for each in joins)


def test_a_group_whose_members_all_leave_during_the_delay_is_empty_after_it() -> None:
    rig = ShardRig(group_initial_rebalance_delay_ms=3_000)
    joining = rig.join_dynamic()
    rig.leave(MemberIdentity(member_id="app-uuid1"))
    assert answered(joining.response).error_code == ErrorCode.UNKNOWN_MEMBER_ID
    assert rig.state == "PreparingRebalance"
    rig.advance(3_000)
    assert rig.state == "Empty"
    assert rig.reload().groups[GROUP].generation_id == 1


def test_v0_takes_its_session_timeout_for_the_rebalance_timeout() -> None:
    rig = ShardRig()
    request = join_request(session_timeout_ms=7_000, rebalance_timeout_ms=-1)
    rig.join(request, api_version=0)
    assert rig.shard.groups[GROUP].rebalance_timeout_ms == 7_000


# --- protocols


@pytest.mark.parametrize(
    ("protocol_type", "protocols"),
    [("", {"range": b""}), ("consumer", {}), ("", {})],
)
def test_a_first_member_needs_a_protocol(protocol_type: str, protocols: dict[str, bytes]) -> None:
    rig = ShardRig()
    request = join_request(protocol_type=protocol_type, protocols=protocols)
    response = answered(rig.join(request).response)
    assert response.error_code == ErrorCode.INCONSISTENT_GROUP_PROTOCOL


@pytest.mark.parametrize(
    ("protocol_type", "protocols"),
    [("connect", {"range": b""}), ("consumer", {"sticky": b""}), ("consumer", {})],
)
def test_a_member_must_share_a_protocol_with_all_others(
    protocol_type: str, protocols: dict[str, bytes]
) -> None:
    rig = ShardRig()
    (leader,) = rig.stable()
    request = join_request(protocol_type=protocol_type, protocols=protocols)
    response = answered(rig.join(request).response)
    assert response.error_code == ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    request.member_id = leader
    response = answered(rig.join(request).response)
    assert response.error_code == ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    assert rig.state == "Stable"


@pytest.mark.parametrize(
    ("preferences", "selected"),
    [
        ([["range", "sticky"], ["sticky", "range"], ["sticky", "range"]], "sticky"),
        ([["range", "sticky"], ["sticky"]], "sticky"),
        ([["roundrobin", "range"], ["range", "roundrobin"]], "range"),  # a tie: Java's map order
        ([["a", "range"], ["b", "range"]], "range"),
    ],
)
def test_members_vote_for_the_protocol(preferences: list[list[str]], selected: str) -> None:
    rig = ShardRig(group_initial_rebalance_delay_ms=100)
    joins = [
        rig.join_dynamic(join_request(protocols=dict.fromkeys(names, subscription("t"))))
        for names in preferences
    ]
    rig.advance(500)
    assert {answered(join.response).protocol_name for join in joins} == {selected}


@pytest.mark.parametrize(
    ("names", "selected"),
    [
        (["range", "sticky", "range"], "sticky"),
        (["sticky", "range", "range"], "sticky"),
        (["range", "range"], None),
        (["range", "range", "sticky", "sticky"], None),
    ],
)
def test_nobody_can_agree_on_a_protocol_that_a_member_names_twice(
    names: list[str], selected: str | None
) -> None:
    rig = ShardRig()
    if selected is None:
        response = answered(rig.join(naming(*names)).response)
        assert response.error_code == ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    else:
        joining = rig.join_dynamic(naming(*names))
        rig.advance(0)
        response = answered(joining.response)
        assert (response.error_code, response.protocol_name) == (0, selected)


def test_a_protocol_that_a_member_names_twice_is_not_shared() -> None:
    rig = ShardRig()
    (leader,) = rig.stable()
    for member_id in ("", leader):
        response = answered(rig.join(naming("range", "range", member_id=member_id)).response)
        assert response.error_code == ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    assert rig.state == "Stable"


def naming(*names: str, member_id: str = "") -> JoinGroupRequest:
    request = join_request(member_id)
    request.protocols = [
        JoinGroupRequestProtocol(name=name, metadata=subscription("t")) for name in names
    ]
    return request


@pytest.mark.parametrize("metadata", [b"", b"\0", b"garbage", b"\0\0\xff\xff\xff\xff"])
@pytest.mark.parametrize("api_version", [3, 9])
def test_a_subscription_that_cannot_be_read_is_no_reason_to_refuse(
    metadata: bytes, api_version: int
) -> None:
    rig = ShardRig()
    request = join_request(protocols={"range": metadata})
    joining = rig.join(request, api_version=api_version)
    if joining.response is not None:
        assert joining.response.error_code == ErrorCode.MEMBER_ID_REQUIRED
        request.member_id = joining.response.member_id
        joining = rig.join(request, api_version=api_version)
    rig.advance(0)
    answer = answered(joining.response)
    assert (answer.error_code, answer.protocol_name) == (0, "range")
    assert [member.metadata for member in answer.members] == [metadata]


# --- members that come back


def test_a_follower_with_nothing_new_is_told_its_generation() -> None:
    rig = ShardRig()
    leader, follower = rig.stable(2)
    response = answered(rig.join(join_request(follower)).response)
    assert (response.generation_id, response.leader, response.members) == (2, leader, [])
    assert response.protocol_name == "range"
    assert response.protocol_type == "consumer"
    assert rig.state == "Stable"


def test_a_leader_can_make_a_rebalance() -> None:
    rig = ShardRig()
    leader, follower = rig.stable(2)
    rejoining = rig.join(join_request(leader))
    assert rig.state == "PreparingRebalance"
    assert rig.heartbeat(follower, 2) == ErrorCode.REBALANCE_IN_PROGRESS
    rig.join(join_request(follower))
    assert answered(rejoining.response).generation_id == 3


def test_new_metadata_makes_a_rebalance() -> None:
    rig = ShardRig()
    leader, follower = rig.stable(2)
    changed = {"range": subscription("t", "u")}
    rig.join(join_request(follower, protocols=changed))
    assert rig.state == "PreparingRebalance"
    rejoining = rig.join(join_request(leader))
    metadata = {m.member_id: m.metadata for m in answered(rejoining.response).members}
    assert metadata[follower] == changed["range"]


@pytest.mark.parametrize("is_leader", [True, False])
def test_a_lost_join_answer_is_given_again(is_leader: bool) -> None:
    rig = ShardRig()
    leader, follower = rig.stable(2)
    rig.join(join_request(leader))
    rig.join(join_request(follower))
    assert rig.state == "CompletingRebalance"
    response = answered(rig.join(join_request(leader if is_leader else follower)).response)
    assert response.generation_id == 3
    assert len(response.members) == (2 if is_leader else 0)
    assert rig.state == "CompletingRebalance"


def test_new_metadata_while_completing_starts_over() -> None:
    rig = ShardRig()
    leader, follower = rig.stable(2)
    rig.join(join_request(leader))
    rig.join(join_request(follower))
    waiting = rig.sync(sync_request(follower, 3))
    described = rig.shard.describe(GROUP, 6).members
    assert [m.member_assignment for m in described] == [leader.encode(), follower.encode()]
    rig.join(join_request(leader, protocols={"range": subscription("u")}))
    assert [m.member_assignment for m in rig.shard.describe(GROUP, 6).members] == [b"", b""]
    assert waiting.response is not None
    assert waiting.response.error_code == ErrorCode.REBALANCE_IN_PROGRESS
    assert rig.state == "PreparingRebalance"


def test_members_who_do_not_rejoin_in_time_are_removed() -> None:
    rig = ShardRig()
    leader, follower = rig.stable(2)
    rejoining = rig.join(join_request(follower, protocols={"range": subscription("u")}))
    for _ in range(12):
        rig.advance(5_000)
        rig.heartbeat(leader, 2)
    response = answered(rejoining.response)
    assert (response.leader, response.generation_id) == (follower, 3)
    assert [m.member_id for m in response.members] == [follower]
    assert rig.heartbeat(leader, 2) == ErrorCode.UNKNOWN_MEMBER_ID


def test_a_rejoin_of_nobody_in_an_empty_group_is_unknown() -> None:
    rig = ShardRig()
    (leader,) = rig.stable()
    rig.leave(MemberIdentity(member_id=leader))
    assert rig.state == "Empty"
    response = answered(rig.join(join_request(leader)).response)
    assert response.error_code == ErrorCode.UNKNOWN_MEMBER_ID


# --- group.max.size


def test_a_full_group_takes_no_more_members() -> None:
    rig = ShardRig(group_max_size=2)
    rig.stable(2)
    response = answered(rig.join(join_request()).response)
    assert (response.error_code, response.member_id) == (ErrorCode.GROUP_MAX_SIZE_REACHED, "")


def test_while_a_rebalance_is_prepared_the_last_to_come_are_refused() -> None:
    rig = ShardRig(group_max_size=2)
    leader, follower = rig.stable(2)
    rig.join(join_request(leader))
    # An id may be handed out as long as fewer than two have rejoined, but only two get in.
    newcomer = answered(rig.join(join_request()).response).member_id
    rig.join(join_request(newcomer))
    response = answered(rig.join(join_request(follower)).response)
    assert response.error_code == ErrorCode.GROUP_MAX_SIZE_REACHED


# --- static members (KIP-345)


def static_pair(rig: ShardRig) -> tuple[str, str]:
    """A stable group of static members "one", who leads, and "two"."""
    first = rig.join(join_request(instance_id="one"))
    rig.advance(0)
    one = answered(first.response).member_id
    second = rig.join(join_request(instance_id="two"))
    rig.join(join_request(one, instance_id="one"))
    two = answered(second.response).member_id
    rig.sync(sync_request(two, 2, instance_id="two"))
    rig.sync(sync_request(one, 2, {one: b"1", two: b"2"}, instance_id="one"))
    assert rig.state == "Stable"
    return one, two


def test_a_restarted_static_member_gets_its_place_back_without_a_rebalance() -> None:
    rig = ShardRig()
    one, two = static_pair(rig)
    response = answered(rig.join(join_request(instance_id="two")).response)
    assert response.error_code == ErrorCode.NONE
    assert response.member_id not in (two, "")
    assert (response.generation_id, response.leader, response.members) == (2, one, [])
    assert not response.skip_assignment
    assert rig.state == "Stable"
    synced = rig.sync(sync_request(response.member_id, 2, instance_id="two")).response
    assert synced is not None
    assert synced.assignment == b"2"
    assert rig.heartbeat(two, 2, instance_id="two") == ErrorCode.FENCED_INSTANCE_ID
    assert rig.heartbeat(two, 2) == ErrorCode.UNKNOWN_MEMBER_ID
    assert set(rig.reload().groups[GROUP].members) == {one, response.member_id}


def test_a_restarted_static_leader_skips_the_assignment() -> None:
    rig = ShardRig()
    static_pair(rig)
    response = answered(rig.join(join_request(instance_id="one")).response)
    assert response.skip_assignment
    assert response.leader == response.member_id
    assert len(response.members) == 2


def test_before_v9_a_restarted_static_leader_is_told_that_it_follows() -> None:
    rig = ShardRig()
    one, _ = static_pair(rig)
    response = answered(rig.join(join_request(instance_id="one"), api_version=8).response)
    assert not response.skip_assignment
    assert response.leader == one != response.member_id
    assert response.members == []


def test_a_static_member_that_changes_the_protocol_makes_a_rebalance() -> None:
    rig = ShardRig(group_initial_rebalance_delay_ms=100)
    both = {"range": subscription("t"), "sticky": subscription("t")}
    joining = rig.join(join_request(instance_id="one", protocols=both))
    rig.advance(100)
    one = answered(joining.response).member_id
    rig.sync(sync_request(one, 1, {one: b"1"}, instance_id="one"))
    sticky_first = {"sticky": subscription("t"), "range": subscription("t")}
    rejoining = rig.join(join_request(instance_id="one", protocols=sticky_first))
    response = answered(rejoining.response)
    assert (response.generation_id, response.protocol_name) == (2, "sticky")


def test_a_static_member_that_restarts_while_completing_makes_a_rebalance() -> None:
    rig = ShardRig()
    one, two = static_pair(rig)
    rig.join(join_request(one, instance_id="one"))
    rig.join(join_request(two, instance_id="two"))
    assert rig.state == "CompletingRebalance"
    waiting = rig.sync(sync_request(two, 3, instance_id="two"))
    rig.join(join_request(instance_id="two"))
    assert waiting.response is not None
    assert waiting.response.error_code == ErrorCode.FENCED_INSTANCE_ID
    assert rig.state == "PreparingRebalance"


def test_a_second_process_fences_the_one_that_waits_to_join() -> None:
    rig = ShardRig()
    one, two = static_pair(rig)
    waiting = rig.join(join_request(two, instance_id="two", protocols={"range": subscription("u")}))
    assert waiting.response is None
    replacement = rig.join(join_request(instance_id="two"))
    response = answered(waiting.response)
    assert (response.error_code, response.member_id) == (ErrorCode.FENCED_INSTANCE_ID, two)
    rig.join(join_request(one, instance_id="one"))
    assert answered(replacement.response).generation_id == 3


@pytest.mark.parametrize(
    ("instance_id", "error"),
    [("two", ErrorCode.FENCED_INSTANCE_ID), ("three", ErrorCode.UNKNOWN_MEMBER_ID)],
)
def test_a_static_member_must_be_who_it_says(instance_id: str, error: ErrorCode) -> None:
    rig = ShardRig()
    one, _ = static_pair(rig)
    response = answered(rig.join(join_request(one, instance_id=instance_id)).response)
    assert response.error_code == error


def test_static_members_keep_their_place_until_their_session_is_over() -> None:
    rig = ShardRig()
    first = rig.join(join_request(instance_id="one", session_timeout_ms=100_000))
    rig.advance(0)
    one = answered(first.response).member_id
    rig.sync(sync_request(one, 1, {one: b"1"}, instance_id="one"))
    joining = rig.join(join_request(instance_id="two"))
    rig.advance(60_000)  # the rebalance goes on without it, but it stays a member
    response = answered(joining.response)
    assert {m.group_instance_id for m in response.members} == {"one", "two"}
    assert response.leader == response.member_id


def test_static_members_of_whom_none_rejoins_are_waited_for() -> None:
    rig = ShardRig()
    one, two = static_pair(rig)
    rig.leave(MemberIdentity(member_id=two, group_instance_id="two"))
    assert rig.state == "PreparingRebalance"
    for _ in range(15):
        rig.advance(5_000)
        assert rig.heartbeat(one, 2, instance_id="one") == ErrorCode.REBALANCE_IN_PROGRESS
    assert rig.state == "PreparingRebalance"
    rig.advance(10_000)
    assert rig.state == "Empty"


def test_a_static_members_new_id_that_is_not_stored_is_taken_back() -> None:
    rig = ShardRig()
    _, two = static_pair(rig)
    rig.append_error = ErrorCode.NOT_COORDINATOR
    response = answered(rig.join(join_request(instance_id="two")).response)
    assert (response.error_code, response.member_id) == (ErrorCode.NOT_COORDINATOR, "")
    assert rig.heartbeat(two, 2, instance_id="two") == ErrorCode.NONE


def test_a_static_members_new_id_that_may_be_stored_stays() -> None:
    rig = ShardRig()
    _, two = static_pair(rig)
    rig.hold = True
    rejoining = rig.join(join_request(instance_id="two"))
    assert rejoining.response is None
    rig.time_out(ErrorCode.COORDINATOR_NOT_AVAILABLE)
    assert answered(rejoining.response).error_code == ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert rig.heartbeat(two, 2, instance_id="two") == ErrorCode.FENCED_INSTANCE_ID


def test_a_group_that_is_not_stored_does_not_exist() -> None:
    rig = ShardRig()
    rig.append_error = ErrorCode.NOT_COORDINATOR
    joining = rig.join(join_request(), api_version=3)
    assert answered(joining.response).error_code == ErrorCode.NOT_COORDINATOR
    assert rig.shard.groups == {}
