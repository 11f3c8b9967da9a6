"""Groups of the classic protocol: refusals, a lone member at each version, and every state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compat.differential.group_asking import (
    CONSUMER,
    Member,
    await_coordinator,
    await_group,
    heartbeat,
    join,
    leave,
    subscription,
    sync,
)
from compat.differential.peer import SILENCE_S
from compat.differential.scenarios import scenario
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.describe_groups import DescribeGroupsRequest
from kbroker.wire.messages.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse
from kbroker.wire.messages.heartbeat import HeartbeatRequest
from kbroker.wire.messages.join_group import JoinGroupRequest, JoinGroupResponse
from kbroker.wire.messages.leave_group import LeaveGroupRequest
from kbroker.wire.messages.sync_group import SyncGroupRequest

if TYPE_CHECKING:
    from compat.differential.peer import Peer

# Subscriptions of the consumer protocol: a version, topics, user data.
UNREADABLE = {
    "empty": b"",
    "a byte": b"\0",
    "a negative version": b"\xff\xff",
    "no user data": b"\0\0\0\0\0\0",
    "a name that is not UTF-8": b"\0\0\0\0\0\1\0\2\xff\xfe\xff\xff\xff\xff",
    "a newer version": b"\0\7" + subscription("t")[2:],
    "garbage": b"garbage",
    "too many topics": b"\0\0\x7f\0\0\0",
    "a negative count": b"\0\0\xff\xff\xff\xff",
}


def describe(peer: Peer, step: str, *groups: str, version: int | None = None) -> None:
    version = peer.last(DescribeGroupsRequest) if version is None else version
    peer.probe(f"described: {step}", DescribeGroupsRequest(groups=list(groups)), version)


@scenario(FindCoordinatorRequest)
def coordinators(peer: Peer) -> None:
    group = peer.name("g")
    await_coordinator(peer, group, peer.name("h"))
    # The first who asks for a coordinator of transactions makes Apache Kafka make its topic.
    peer.until(
        FindCoordinatorRequest(coordinator_keys=[group], key_type=1),
        peer.last(FindCoordinatorRequest),
        FindCoordinatorResponse,
        lambda answer: answer.coordinators[0].error_code != ErrorCode.COORDINATOR_NOT_AVAILABLE,
    )
    for version in peer.shared(FindCoordinatorRequest):
        for kind in (0, 1, 2, 3, -1) if version >= 1 else (0,):
            for key in (group, "", "a b", "g:id:0"):
                if kind == 2 and key != "g:id:0" and key != "":
                    continue  # needs its internal topic, which is made by the first request
                request = (
                    FindCoordinatorRequest(key=key, key_type=kind)
                    if version < 4
                    else FindCoordinatorRequest(coordinator_keys=[key], key_type=kind)
                )
                peer.probe(f"v{version} type {kind} {key[-8:]!r}", request, version)
        if version >= 4:
            keys = [group, peer.name("h"), group]
            request = FindCoordinatorRequest(coordinator_keys=keys)
            peer.probe(f"v{version} several", request, version)
            peer.probe(f"v{version} none", FindCoordinatorRequest(), version)


@scenario(JoinGroupRequest)
def refused_joins(peer: Peer) -> None:
    group = peer.name("refused")
    await_coordinator(peer, group)
    for version in peer.shared(JoinGroupRequest):
        for step, request in (
            ("unknown member", join(group, "nobody")),
            ("no group", join("", "m")),
            ("session too short", join(group, "m", session_ms=1)),
            ("session too long", join(group, "m", session_ms=2**31 - 1)),
            ("session negative", join(group, "m", session_ms=-1)),
            ("no protocols", join(group, protocols={})),
            ("no type", join(group, protocol_type="")),
            ("no protocols and a member", join(group, "m", protocols={})),
        ):
            peer.probe(f"v{version} {step}", request, version)
    await_group(peer, group)
    describe(peer, "what was refused", group)


@scenario(JoinGroupRequest, SyncGroupRequest, HeartbeatRequest, LeaveGroupRequest)
def lone_members(peer: Peer) -> None:
    """Alone in a group, at every version, from joining to leaving."""
    for version in peer.shared(JoinGroupRequest):
        group = peer.name(f"lone-{version}")
        await_coordinator(peer, group)
        one = Member(peer, group, f"v{version}", version=version)
        one.join()
        sync_version = min(version, peer.last(SyncGroupRequest))
        beat_version = min(version, peer.last(HeartbeatRequest))
        leave_version = min(version, peer.last(LeaveGroupRequest))
        described_version = min(version, peer.last(DescribeGroupsRequest))
        v = f"v{version} "

        describe(peer, v + "before its sync", group, version=described_version)
        for step, request in (
            ("wrong generation", sync(group, one.id, 99)),
            ("wrong member", sync(group, "nobody", 1)),
            ("no group", sync("", one.id, 1)),
            ("missing group", sync(peer.name("missing"), one.id, 1)),
            ("another type", sync(group, one.id, 1, protocol_type="connect")),
            ("another protocol", sync(group, one.id, 1, protocol="roundrobin")),
        ):
            peer.probe(f"{v}sync: {step}", request, sync_version)
        one.beat("beats before its sync")
        one.sync({one.id: b"mine", "nobody": b"not mine"})
        one.sync({one.id: b"other"}, "syncs again")
        for step, beat in (
            ("right", heartbeat(group, one.id, one.generation)),
            ("wrong generation", heartbeat(group, one.id, 7)),
            ("no generation", heartbeat(group, one.id, -1)),
            ("wrong member", heartbeat(group, "nobody", 1)),
            ("no member", heartbeat(group, "", 1)),
            ("missing group", heartbeat(peer.name("missing"), one.id, 1)),
            ("no group", heartbeat("", one.id, 1)),
        ):
            peer.probe(f"{v}beat: {step}", beat, beat_version)
        describe(peer, v + "stable", group, version=described_version)
        one.join("joins again")
        one.sync({one.id: b"second"}, "syncs again after it")
        for step, gone in (
            ("wrong member", leave(group, leave_version, ("nobody", None))),
            ("missing group", leave(peer.name("missing"), leave_version, (one.id, None))),
            ("no group", leave("", leave_version, (one.id, None))),
        ):
            peer.probe(f"{v}leave: {step}", gone, leave_version)
        if leave_version >= 3:
            several = leave(group, leave_version, ("nobody", None), (one.id, None), ("", "inst"))
            peer.probe(v + "leave: several", several, leave_version)
            peer.probe(v + "leave: none", leave(group, leave_version), leave_version)
        else:
            one.leave()
        one.leave("leaves again")
        describe(peer, v + "empty", group, version=described_version)
        one.beat("beats after it left")
        peer.probe(v + "sync: empty", sync(group, one.id, one.generation), sync_version)
        peer.probe(v + "join: gone", join(group, one.id), version)
    describe(peer, "missing", peer.name("missing"))
    version = peer.last(DescribeGroupsRequest)
    with_operations = DescribeGroupsRequest(
        groups=[peer.name("lone-0"), peer.name("missing")], include_authorized_operations=True
    )
    peer.probe("described with operations", with_operations, version)


@scenario(JoinGroupRequest, SyncGroupRequest, HeartbeatRequest, LeaveGroupRequest)
def rebalances(peer: Peer) -> None:
    """Two members, then three, then two: what each is told in each state.

    The leader's last join waits for the other until the rebalance timeout is over.
    """
    group = peer.name("rebalances")
    await_coordinator(peer, group)
    one, two, three = (
        Member(peer, group, name, rebalance_ms=8_000) for name in ("one", "two", "three")
    )
    one.join()
    one.sync({one.id: b"all"})

    second = two.start_join()
    one.await_rebalance()
    one.beat("beats while two joins")
    describe(peer, "while two joins", group)
    one.joined(one.start_join("joins with two"))
    two.joined(second)
    describe(peer, "both joined", group)
    two.beat("beats before the assignment")
    waits = two.start_sync()
    one.sync({one.id: b"first", two.id: b"second"})
    waits.outcome()
    describe(peer, "both synced", group)
    two.join("joins as it was")
    two.sync(step="syncs again")

    third = three.start_join()
    one.await_rebalance()
    two.beat("beats while three joins")
    one.beat("beats while three joins")
    stale = sync(group, one.id, one.generation)
    peer.probe("sync while three joins", stale, peer.last(SyncGroupRequest))
    first, second = one.start_join("joins with three"), two.start_join("joins with three")
    for member, pending in ((one, first), (two, second), (three, third)):
        member.joined(pending)
    waits, also_waits = two.start_sync(), three.start_sync()
    one.sync({one.id: b"1", two.id: b"2", three.id: b""})
    waits.outcome()
    also_waits.outcome()

    three.leave()
    one.beat("beats after three left")
    describe(peer, "after three left", group)
    first, second = one.start_join("joins without three"), two.start_join("joins without three")
    one.joined(first)
    two.joined(second)
    waits = two.start_sync()
    one.sync({two.id: b"nothing for one"})
    waits.outcome()
    one.join("the leader joins as it was")
    two.beat("beats while the leader joins")
    two.joined(two.start_join("joins with the leader"))
    describe(peer, "at the end", group)


@scenario(JoinGroupRequest)
def unreadable(peer: Peer) -> None:
    """Subscriptions that cannot be read. The last of them Apache Kafka 4.3 never answers."""
    for step, metadata in UNREADABLE.items():
        group = peer.name(step.replace(" ", "-"))
        await_coordinator(peer, group)
        join_at_last(peer, step, join(group, protocols={"range": metadata}))


def join_at_last(peer: Peer, step: str, request: JoinGroupRequest) -> None:
    """A new member's second join, which Apache Kafka may never answer."""
    version = peer.last(JoinGroupRequest)
    request.member_id = peer.quietly(request, version, JoinGroupResponse).member_id
    peer.probe(step, request, version, timeout_s=SILENCE_S)


@scenario(JoinGroupRequest, SyncGroupRequest)
def protocols(peer: Peer) -> None:
    """Which protocol a group takes, and who may not join it."""
    group = peer.name("protocols")
    await_coordinator(peer, group)
    both = {"range": subscription("t"), "roundrobin": subscription("t", "u")}
    one = Member(peer, group, "one", protocols=both)
    one.join()
    one.sync({one.id: b"1"})
    version = peer.last(JoinGroupRequest)
    for step, request in (
        ("another type", join(group, protocol_type="connect")),
        ("another protocol", join(group, protocols={"sticky": b""})),
        ("no type", join(group, protocol_type="")),
        ("no protocols", join(group, protocols={})),
    ):
        peer.probe(step, request, version)
    two = Member(peer, group, "two", protocols={"roundrobin": b"2", "sticky": b"3"})
    second = two.start_join()
    one.await_rebalance()
    one.beat()
    one.joined(one.start_join("joins with two"))
    two.joined(second)
    waits = two.start_sync()
    one.sync({one.id: b"1", two.id: b"2"})
    waits.outcome()
    describe(peer, "one protocol", group)

    connect = peer.name("connect")
    await_coordinator(peer, connect)
    request = join(connect, protocols={"eager": b"m"}, protocol_type="connect")
    answer = peer.ask("connect", request, 3, JoinGroupResponse)
    await_group(peer, connect)
    wanted = sync(connect, answer.member_id, 1, {answer.member_id: b"w"})
    peer.probe("connect syncs", wanted, 3)
    describe(peer, "connect", connect)


@scenario(JoinGroupRequest, SyncGroupRequest, HeartbeatRequest)
def sessions(peer: Peer) -> None:
    """Members that fall silent, and one that never comes back with the id it was given."""
    group, pending_group = peer.name("sessions"), peer.name("pending")
    await_coordinator(peer, group, pending_group)
    version = peer.last(JoinGroupRequest)
    given = peer.ask("an id", join(pending_group), version, JoinGroupResponse)
    await_group(peer, pending_group)
    describe(peer, "a pending member", pending_group)
    peer.probe(
        "a pending member beats",
        heartbeat(pending_group, given.member_id, 0),
        peer.last(HeartbeatRequest),
    )
    leave_version = peer.last(LeaveGroupRequest)
    gone = leave(pending_group, leave_version, (given.member_id, None))
    peer.probe("a pending member leaves", gone, leave_version)
    peer.probe("a pending member leaves again", gone, leave_version)
    peer.probe("it joins after that", join(pending_group, given.member_id), version)

    one = Member(peer, group, "one", session_ms=6000)
    two = Member(peer, group, "two", session_ms=6000)
    one.join()
    one.sync({one.id: b"1"})
    second = two.start_join()
    one.await_rebalance()
    one.joined(one.start_join("joins with two"))
    two.joined(second)
    # The leader never syncs: two waits until the leader's session is over.
    two.start_sync(step="waits for the leader").outcome()
    one.beat("beats too late")
    two.join("joins alone")
    describe(peer, "two alone", group)
    peer.note("protocol type", CONSUMER)
