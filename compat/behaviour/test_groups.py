"""Classic groups, request by request: joins, syncs, heartbeats, leaves, static members."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from compat.raw import RawClient
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.delete_groups import DeleteGroupsRequest, DeleteGroupsResponse
from kbroker.wire.messages.describe_groups import (
    DescribeGroupsRequest,
    DescribeGroupsResponse,
)
from kbroker.wire.messages.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse
from kbroker.wire.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from kbroker.wire.messages.join_group import JoinGroupResponse
from kbroker.wire.messages.leave_group import LeaveGroupRequest, LeaveGroupResponse
from kbroker.wire.messages.list_groups import ListGroupsRequest, ListGroupsResponse

from .asking import assert_error, assert_none
from .groups import (
    RETRIABLE,
    commit,
    coordinate,
    describe_group,
    fetch_offsets,
    heartbeat,
    join,
    join_request,
    leave,
    stable_member,
    subscription,
    sync,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from compat.brokers import Broker
    from compat.conftest import NewBroker

pytestmark = [pytest.mark.ci, pytest.mark.item(22)]


@pytest.mark.item(23)
def test_the_first_lookup_is_retriable_at_worst(new_broker: NewBroker) -> None:
    broker = new_broker()
    with RawClient(broker.host, broker.port) as raw:
        deadline = time.monotonic() + 120
        while True:
            request = FindCoordinatorRequest(coordinator_keys=["first"])
            found = raw.ask(request, 4, FindCoordinatorResponse).coordinators[0]
            if not found.error_code:
                break
            assert_error(found.error_code, ErrorCode.COORDINATOR_NOT_AVAILABLE)
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert (found.host, found.port) == (broker.host, broker.port)
        while (code := fetch_offsets(raw, "first").error_code) in RETRIABLE:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert_none(code)
        code = heartbeat(raw, "first", 1, "nobody")
        assert_error(code, ErrorCode.UNKNOWN_MEMBER_ID)


@pytest.mark.item(21)
@pytest.mark.parametrize("version", range(7))
def test_every_version_finds_the_coordinator(
    raw: RawClient, broker: Broker, group: str, version: int
) -> None:
    if version >= 4:
        request = FindCoordinatorRequest(coordinator_keys=[group, group + "2"])
        found = raw.ask(request, version, FindCoordinatorResponse).coordinators
        assert [one.key for one in found] == [group, group + "2"]
        places = {(one.error_code, one.host, one.port) for one in found}
    else:
        answer = raw.ask(FindCoordinatorRequest(key=group), version, FindCoordinatorResponse)
        places = {(answer.error_code, answer.host, answer.port)}
    assert places == {(0, broker.host, broker.port)}


@pytest.mark.item(21)
def test_an_unknown_kind_of_coordinator_is_refused(raw: RawClient) -> None:
    request = FindCoordinatorRequest(coordinator_keys=["x"], key_type=9)
    (found,) = raw.ask(request, 6, FindCoordinatorResponse).coordinators
    assert_error(found.error_code, ErrorCode.INVALID_REQUEST)


@pytest.mark.item(24)
@pytest.mark.parametrize("version", range(10))
def test_every_version_joins(raw: RawClient, group: str, version: int) -> None:
    request = join_request(group)
    first = raw.ask(request, version, JoinGroupResponse)
    if version >= 4:
        assert_error(first.error_code, ErrorCode.MEMBER_ID_REQUIRED)
        assert (first.generation_id, first.leader, first.members) == (-1, "", [])
        assert first.member_id.startswith("compat-")
        request.member_id = first.member_id
        first = raw.ask(request, version, JoinGroupResponse)
    assert_none(first.error_code)
    assert (first.generation_id, first.protocol_name) == (1, "range")
    assert first.protocol_type == ("consumer" if version >= 7 else None)
    assert first.leader == first.member_id
    (member,) = first.members
    assert (member.member_id, member.metadata) == (first.member_id, subscription("t"))


@pytest.mark.item(24)
@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"session_timeout_ms": 5_999}, ErrorCode.INVALID_SESSION_TIMEOUT),
        ({"session_timeout_ms": 1_800_001}, ErrorCode.INVALID_SESSION_TIMEOUT),
        ({"protocols": ()}, ErrorCode.INCONSISTENT_GROUP_PROTOCOL),
        ({"protocol_type": ""}, ErrorCode.INCONSISTENT_GROUP_PROTOCOL),
        ({"member_id": "nobody"}, ErrorCode.UNKNOWN_MEMBER_ID),
    ],
)
def test_joins_that_are_refused(
    raw: RawClient, group: str, changes: dict[str, object], error: ErrorCode
) -> None:
    response = raw.ask(join_request(group, **changes), 9, JoinGroupResponse)  # type: ignore[arg-type]
    assert_error(response.error_code, error)


def test_the_empty_group_cannot_be_joined(raw: RawClient) -> None:
    coordinate(raw, "x")
    response = raw.ask(join_request(""), 9, JoinGroupResponse)
    assert_error(response.error_code, ErrorCode.INVALID_GROUP_ID)


def test_protocols_must_have_one_in_common(
    raw: RawClient, group: str, connect: Callable[[], RawClient]
) -> None:
    stable_member(raw, group)
    other = connect()
    response = join(other, join_request(group, protocols=("sticky",)))
    assert_error(response.error_code, ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
    response = join(other, join_request(group, protocol_type="connect"))
    assert_error(response.error_code, ErrorCode.INCONSISTENT_GROUP_PROTOCOL)


def test_heartbeats_tell_the_state(raw: RawClient, group: str) -> None:
    joined = join(raw, join_request(group))
    member, generation = joined.member_id, joined.generation_id
    assert_none(heartbeat(raw, group, generation, member))  # while it is to sync
    sync(raw, group, joined, {member: b""})
    assert_none(heartbeat(raw, group, generation, member))
    assert_error(heartbeat(raw, group, generation + 1, member), ErrorCode.ILLEGAL_GENERATION)
    assert_error(heartbeat(raw, group, generation, "nobody"), ErrorCode.UNKNOWN_MEMBER_ID)
    absent = heartbeat(raw, group + "-absent", 1, member)
    assert_error(absent, ErrorCode.UNKNOWN_MEMBER_ID)


@pytest.mark.parametrize("version", range(5))
def test_every_version_of_heartbeat(raw: RawClient, group: str, version: int) -> None:
    joined = stable_member(raw, group)
    request = HeartbeatRequest(
        group_id=group, generation_id=joined.generation_id, member_id=joined.member_id
    )
    assert_none(raw.ask(request, version, HeartbeatResponse).error_code)


def test_a_second_member_brings_a_rebalance(
    raw: RawClient, group: str, connect: Callable[[], RawClient]
) -> None:
    first = stable_member(raw, group)
    other = connect()
    request = join_request(group)
    request.member_id = other.ask(request, 9, JoinGroupResponse).member_id
    waiting = other.send(request, 9)
    await_code(raw, group, first, ErrorCode.REBALANCE_IN_PROGRESS)
    again = raw.ask(join_request(group, first.member_id), 9, JoinGroupResponse)
    second = other.receive(waiting, 9, JoinGroupResponse)
    assert (again.generation_id, second.generation_id) == (2, 2)
    assert again.leader == second.leader == first.member_id
    assert {m.member_id for m in again.members} == {first.member_id, second.member_id}
    assert second.members == []

    follower = other.send(sync_request(group, second), 5)
    assignments = {first.member_id: b"one", second.member_id: b"two"}
    assert sync(raw, group, again, assignments).assignment == b"one"
    from kbroker.wire.messages.sync_group import SyncGroupResponse

    assert other.receive(follower, 5, SyncGroupResponse).assignment == b"two"
    described = describe_group(raw, group)
    assert (described.group_state, described.protocol_data) == ("Stable", "range")
    assert {m.member_id: m.member_assignment for m in described.members} == assignments

    # One leaves: the other hears of it at its next heartbeat.
    left = leave(other, group, (second.member_id, None))
    assert_none(left.error_code)
    await_code(raw, group, again, ErrorCode.REBALANCE_IN_PROGRESS)
    third = raw.ask(join_request(group, first.member_id), 9, JoinGroupResponse)
    assert [m.member_id for m in third.members] == [first.member_id]


def sync_request(group: str, joined: JoinGroupResponse):  # type: ignore[no-untyped-def]
    from kbroker.wire.messages.sync_group import SyncGroupRequest

    return SyncGroupRequest(
        group_id=group,
        generation_id=joined.generation_id,
        member_id=joined.member_id,
        protocol_type="consumer",
        protocol_name="range",
    )


def await_code(
    raw: RawClient, group: str, joined: JoinGroupResponse, code: ErrorCode, timeout_s: float = 60
) -> None:
    """Send heartbeats until one is answered so."""
    deadline = time.monotonic() + timeout_s
    while heartbeat(raw, group, joined.generation_id, joined.member_id) != code:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_who_does_not_rejoin_in_time_is_out(
    raw: RawClient, group: str, connect: Callable[[], RawClient]
) -> None:
    """The rebalance timeout, not the session's, bounds the wait."""
    old = join(raw, join_request(group, session_timeout_ms=60_000, rebalance_timeout_ms=1_500))
    sync(raw, group, old, {old.member_id: b""})
    started = time.monotonic()
    new = join(connect(), join_request(group, rebalance_timeout_ms=1_500))
    assert 1.0 < time.monotonic() - started < 30
    assert [m.member_id for m in new.members] == [new.member_id]
    code = heartbeat(raw, group, old.generation_id, old.member_id)
    assert_error(code, ErrorCode.UNKNOWN_MEMBER_ID)


def test_who_is_silent_is_out_after_its_session(raw: RawClient, group: str) -> None:
    joined = join(raw, join_request(group, session_timeout_ms=6_000))
    sync(raw, group, joined, {joined.member_id: b""})
    assert describe_group(raw, group).group_state == "Stable"
    started = time.monotonic()
    while describe_group(raw, group).group_state != "Empty":
        assert time.monotonic() - started < 60
        time.sleep(0.1)
    assert time.monotonic() - started > 5
    code = heartbeat(raw, group, joined.generation_id, joined.member_id)
    assert_error(code, ErrorCode.UNKNOWN_MEMBER_ID)


@pytest.mark.item(24)
def test_a_static_member_needs_no_second_join_and_keeps_its_place(
    raw: RawClient, group: str, connect: Callable[[], RawClient]
) -> None:
    first = raw.ask(join_request(group, instance="i"), 9, JoinGroupResponse)
    assert_none(first.error_code)
    assert first.member_id.startswith("i-")
    sync(raw, group, first, {first.member_id: b"mine"}, instance="i")

    again = connect().ask(join_request(group, instance="i"), 9, JoinGroupResponse)
    assert_none(again.error_code)
    assert again.generation_id == first.generation_id
    assert again.member_id != first.member_id
    done = sync(connect(), group, again, instance="i")
    assert (done.error_code, done.assignment) == (0, b"mine")

    generation = first.generation_id
    fenced = heartbeat(raw, group, generation, first.member_id, "i")
    assert_error(fenced, ErrorCode.FENCED_INSTANCE_ID)
    assert_error(
        heartbeat(raw, group, generation, again.member_id, "other"), ErrorCode.UNKNOWN_MEMBER_ID
    )
    assert_none(heartbeat(raw, group, generation, again.member_id, "i"))
    rejoin = raw.ask(join_request(group, first.member_id, instance="i"), 9, JoinGroupResponse)
    assert_error(rejoin.error_code, ErrorCode.FENCED_INSTANCE_ID)


@pytest.mark.item(24)
def test_leaving_by_instance_id(raw: RawClient, group: str) -> None:
    stable_member(raw, group, instance="i")
    left = leave(raw, group, ("", "i"), ("", "absent"), ("nobody", None))
    assert_none(left.error_code)
    codes = [(m.group_instance_id, ErrorCode(m.error_code).name) for m in left.members]
    assert codes == [
        ("i", "NONE"),
        ("absent", "UNKNOWN_MEMBER_ID"),
        (None, "UNKNOWN_MEMBER_ID"),
    ]
    assert describe_group(raw, group).group_state == "Empty"


@pytest.mark.parametrize("version", range(3))
def test_old_versions_of_leave_name_one_member(raw: RawClient, group: str, version: int) -> None:
    joined = stable_member(raw, group)
    request = LeaveGroupRequest(group_id=group, member_id="nobody")
    response = raw.ask(request, version, LeaveGroupResponse)
    assert_error(response.error_code, ErrorCode.UNKNOWN_MEMBER_ID)
    request = LeaveGroupRequest(group_id=group, member_id=joined.member_id)
    assert_none(raw.ask(request, version, LeaveGroupResponse).error_code)


def test_describe_list_and_delete(raw: RawClient, group: str) -> None:
    absent = describe_group(raw, group)
    assert_error(absent.error_code, ErrorCode.GROUP_ID_NOT_FOUND)
    assert absent.group_state == "Dead"
    joined = stable_member(raw, group)
    described = describe_group(raw, group)
    (member,) = described.members
    assert member.client_id == "compat"
    assert member.client_host == "/127.0.0.1"
    assert member.member_metadata == subscription("t")
    assert described.authorized_operations == -(2**31)
    allowed = raw.ask(
        DescribeGroupsRequest(groups=[group], include_authorized_operations=True),
        6,
        DescribeGroupsResponse,
    ).groups[0]
    assert allowed.authorized_operations == (1 << 3) | (1 << 6) | (1 << 8) | (1 << 10) | (1 << 11)

    def listed(**filters: list[str]) -> list[tuple[str, str, str]]:
        response = raw.ask(ListGroupsRequest(**filters), 5, ListGroupsResponse)
        return [
            (one.protocol_type, one.group_state, one.group_type)
            for one in response.groups
            if one.group_id == group
        ]

    assert listed() == [("consumer", "Stable", "classic")]
    assert listed(states_filter=["stable"]) == [("consumer", "Stable", "classic")]
    assert listed(states_filter=["Empty"]) == []
    assert listed(types_filter=["Classic"]) == [("consumer", "Stable", "classic")]
    assert listed(types_filter=["consumer"]) == []

    def delete() -> int:
        request = DeleteGroupsRequest(groups_names=[group])
        return raw.ask(request, 2, DeleteGroupsResponse).results[0].error_code

    assert_error(delete(), ErrorCode.NON_EMPTY_GROUP)
    leave(raw, group, (joined.member_id, None))
    assert_none(delete())
    assert_error(delete(), ErrorCode.GROUP_ID_NOT_FOUND)


def test_many_groups_form_at_once(
    broker: Broker, unique: Callable[[str], str], raw: RawClient
) -> None:
    """Dynamic and static members of ten groups, three a group, all at the same time."""
    groups = [unique("crowd") for _ in range(10)]
    for group in groups:
        coordinate(raw, group)
    outcomes: dict[tuple[str, int], tuple[str, int, bytes]] = {}
    deadline = time.monotonic() + 60

    def member(group: str, number: int) -> None:
        instance = f"static-{number}" if number % 2 else None
        with RawClient(broker.host, broker.port) as own:
            member_id = ""
            while True:
                joined = join(own, join_request(group, member_id, instance=instance))
                assert_none(joined.error_code)
                member_id = joined.member_id
                count = len(joined.members)
                parts = {m.member_id: f"{count} {m.member_id}".encode() for m in joined.members}
                done = sync(own, group, joined, parts, instance=instance)
                if done.error_code == ErrorCode.REBALANCE_IN_PROGRESS:
                    continue
                assert_none(done.error_code)
                if done.assignment.startswith(b"3 "):
                    outcomes[group, number] = (member_id, joined.generation_id, done.assignment)
                    return
                # Stay until another comes.
                while not (
                    code := heartbeat(own, group, joined.generation_id, member_id, instance)
                ):
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
                assert_error(code, ErrorCode.REBALANCE_IN_PROGRESS)

    threads = [
        threading.Thread(target=member, args=(group, i)) for group in groups for i in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(outcomes) == 30
    for group in groups:
        mine = [outcomes[group, i] for i in range(3)]
        assert all(part == f"3 {member_id}".encode() for member_id, _, part in mine)
        assert len({generation for _, generation, _ in mine}) == 1
        assert len({member_id for member_id, _, _ in mine}) == 3


@pytest.mark.item(23)
def test_a_group_survives_a_restart(new_broker: NewBroker) -> None:
    broker = new_broker()
    with RawClient(broker.host, broker.port) as raw:
        coordinate(raw, "lives")
        joined = join(raw, join_request("lives", session_timeout_ms=30_000))
        sync(raw, "lives", joined, {joined.member_id: b"kept"})
    broker.restart()
    with RawClient(broker.host, broker.port) as raw:
        coordinate(raw, "lives")
        described = describe_group(raw, "lives")
        assert described.group_state == "Stable"
        assert [m.member_assignment for m in described.members] == [b"kept"]
        assert_none(heartbeat(raw, "lives", joined.generation_id, joined.member_id))
        code = commit(raw, "lives", "absent", 1)
        assert code in (ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
