"""Static members (KIP-345): restarts of followers and leaders, fencing, removal by instance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compat.differential.group_asking import (
    Member,
    await_coordinator,
    commit,
    heartbeat,
    join,
    leave,
    sync,
)
from compat.differential.scenarios import scenario
from compat.differential.scenarios.groups import describe
from kbroker.wire.messages.heartbeat import HeartbeatRequest
from kbroker.wire.messages.join_group import JoinGroupRequest
from kbroker.wire.messages.leave_group import LeaveGroupRequest
from kbroker.wire.messages.offset_commit import OffsetCommitRequest
from kbroker.wire.messages.sync_group import SyncGroupRequest

if TYPE_CHECKING:
    from compat.differential.peer import Peer


def formed(peer: Peer, group: str) -> tuple[Member, Member]:
    """A stable group of two, the first of them leading."""
    await_coordinator(peer, group)
    one = Member(peer, group, "one", instance="first")
    two = Member(peer, group, "two", instance="second")
    one.join()
    one.sync({one.id: b"all"})
    second = two.start_join()
    one.await_rebalance()
    one.joined(one.start_join("joins with two"))
    two.joined(second)
    waits = two.start_sync()
    one.sync({one.id: b"1", two.id: b"2"})
    waits.outcome()
    return one, two


@scenario(JoinGroupRequest, SyncGroupRequest, HeartbeatRequest, LeaveGroupRequest)
def followers(peer: Peer) -> None:
    """A follower restarts: same generation, another member id, the old one fenced."""
    group = peer.name("followers")
    _, two = formed(peer, group)
    describe(peer, "formed", group)
    old_id = two.id
    two.id = ""
    two.join("comes back")
    two.sync(step="syncs after that")
    version = peer.last(HeartbeatRequest)
    for step, member_id, instance in (
        ("old id", old_id, "second"),
        ("old id, no instance", old_id, None),
        ("new id", two.id, "second"),
        ("new id, no instance", two.id, None),
        ("unknown instance", two.id, "third"),
        ("another's instance", two.id, "first"),
    ):
        beat = heartbeat(group, member_id, two.generation, instance)
        peer.probe(f"beat: {step}", beat, version)
        joining = join(group, member_id, instance=instance)
        if step not in ("new id", "new id, no instance"):
            for at in (5, peer.last(JoinGroupRequest)):
                peer.probe(f"join v{at}: {step}", joining, at)
        syncing = sync(group, member_id, two.generation, instance=instance)
        peer.probe(f"sync: {step}", syncing, peer.last(SyncGroupRequest))
        committing = commit(
            group, [], member_id=member_id, generation=two.generation, instance=instance
        )
        peer.probe(f"commit: {step}", committing, 9)
    at = peer.last(LeaveGroupRequest)
    peer.probe("leave: old id", leave(group, at, (old_id, "second")), at)
    describe(peer, "after the restart", group)
    two.id = ""
    two.protocols = {"range": b"another subscription"}
    back = two.start_join("comes back with another subscription")
    two.joined(back)
    describe(peer, "another subscription", group)


@scenario(JoinGroupRequest, SyncGroupRequest, HeartbeatRequest)
def leaders(peer: Peer) -> None:
    """A leader restarts, at the versions that tell it differently (KIP-814)."""
    for version in (5, 8, peer.last(JoinGroupRequest)):
        group = peer.name(f"leaders-{version}")
        one, _ = formed(peer, group)
        one.id = ""
        one.version = version
        one.join(f"v{version} comes back")
        one.beat(f"v{version} beats after that")
        describe(peer, f"v{version} after the restart", group)


@scenario(JoinGroupRequest, LeaveGroupRequest, OffsetCommitRequest)
def removed(peer: Peer) -> None:
    """An administrator removes static members."""
    group = peer.name("removed")
    formed(peer, group)
    version = peer.last(LeaveGroupRequest)
    request = leave(group, version, ("", "first"), ("", "first"), ("", "nobody"), ("x", "second"))
    peer.probe("removed by instance", request, version)
    describe(peer, "after that", group)
    peer.probe("the other", leave(group, version, ("", "second")), version)
    describe(peer, "empty", group)
    peer.probe("again", leave(group, version, ("", "second")), version)
