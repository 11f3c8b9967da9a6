"""Everything that a member or an administrator can send, in every state of a group.

Dead, Empty, PreparingRebalance, CompletingRebalance, Stable; a group is brought into the state anew
for what would change it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compat.differential.asking import make_topic
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
from kbroker.wire.messages.delete_groups import DeleteGroupsRequest
from kbroker.wire.messages.describe_groups import DescribeGroupsRequest
from kbroker.wire.messages.heartbeat import HeartbeatRequest
from kbroker.wire.messages.join_group import JoinGroupRequest
from kbroker.wire.messages.leave_group import LeaveGroupRequest
from kbroker.wire.messages.list_groups import ListGroupsRequest, ListGroupsResponse
from kbroker.wire.messages.offset_commit import OffsetCommitRequest
from kbroker.wire.messages.offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteRequestPartition,
    OffsetDeleteRequestTopic,
)
from kbroker.wire.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopics,
)
from kbroker.wire.messages.sync_group import SyncGroupRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from compat.differential.asking import Topic
    from compat.differential.peer import Peer

    Into = Callable[[Peer, Member, Member], None]

NEEDED = (
    JoinGroupRequest,
    SyncGroupRequest,
    HeartbeatRequest,
    LeaveGroupRequest,
    OffsetCommitRequest,
    OffsetFetchRequest,
)


def dead(peer: Peer, one: Member, two: Member) -> None:
    """Never heard of."""
    one.id, one.generation = "nobody", 1
    two.id, two.generation = "no one", 1


def empty(peer: Peer, one: Member, two: Member) -> None:
    """All have left."""
    stable(peer, one, two)
    two.leave()
    one.leave()


def preparing(peer: Peer, one: Member, two: Member) -> None:
    """A second member joins, and the first has not heard of it."""
    one.join()
    one.sync({one.id: b"all"})
    two.start_join()
    one.await_rebalance()


def completing(peer: Peer, one: Member, two: Member) -> None:
    """Both have joined, and the leader has not sent the assignment."""
    one.join()
    one.sync({one.id: b"all"})
    second = two.start_join()
    one.await_rebalance()
    one.joined(one.start_join("joins with two"))
    two.joined(second)


def stable(peer: Peer, one: Member, two: Member) -> None:
    completing(peer, one, two)
    waits = two.start_sync()
    one.sync({one.id: b"first", two.id: b"second"})
    waits.outcome()


STATES: dict[str, Into] = {
    "dead": dead,
    "empty": empty,
    "preparing": preparing,
    "completing": completing,
    "stable": stable,
}


def _in(peer: Peer, name: str, state: str) -> tuple[Member, Member]:
    group = peer.name(name)
    await_coordinator(peer, group)
    one, two = Member(peer, group, f"{name} one"), Member(peer, group, f"{name} two")
    STATES[state](peer, one, two)
    return one, two


def _asked(peer: Peer, step: str, one: Member, topic: Topic) -> None:
    """What leaves the state as it is."""
    group = one.group
    version = peer.last(HeartbeatRequest)
    for label, beat in (
        ("its member", heartbeat(group, one.id, one.generation)),
        ("the generation before", heartbeat(group, one.id, one.generation - 1)),
        ("the next generation", heartbeat(group, one.id, one.generation + 1)),
        ("a stranger", heartbeat(group, "stranger", one.generation)),
        ("no one", heartbeat(group, "", -1)),
        ("an instance", heartbeat(group, one.id, one.generation, "instance")),
    ):
        peer.probe(f"{step}: heartbeat of {label}", beat, version)
    for version in peer.shared(OffsetCommitRequest):
        for label, member, generation, instance in (
            ("its member", one.id, one.generation, None),
            ("the generation before", one.id, one.generation - 1, None),
            ("a stranger", "stranger", one.generation, None),
            ("no one", "", -1, None),
            ("no one with a generation", "", one.generation, None),
            ("its member without one", one.id, -1, None),
            ("an instance", one.id, one.generation, "instance"),
        ):
            if instance and version < 7:
                continue
            committing = commit(
                group,
                [(topic.name, topic.id, {0: 5})],
                member_id=member,
                generation=generation,
                instance=instance,
            )
            peer.probe(f"{step}: commit v{version} of {label}", committing, version)
    for version in peer.shared(OffsetFetchRequest, first=8):
        for label, member_id, epoch in (("no one", None, -1), ("a member", one.id, 1)):
            if member_id is not None and version < 9:
                continue
            asked = OffsetFetchRequestTopics(
                name=topic.name if version < 10 else "",
                topic_id=topic.id if version >= 10 else bytes(16),
                partition_indexes=[0, 1],
            )
            wanted = OffsetFetchRequestGroup(
                group_id=group, member_id=member_id, member_epoch=epoch, topics=[asked]
            )
            request = OffsetFetchRequest(groups=[wanted])
            peer.probe(f"{step}: fetched v{version} by {label}", request, version)
    for version in peer.shared(DescribeGroupsRequest):
        described = DescribeGroupsRequest(groups=[group])
        peer.probe(f"{step}: described v{version}", described, version)
    for version in peer.shared(ListGroupsRequest):
        step_listed = f"{step}: listed v{version}"
        peer.ask_own(
            step_listed, ListGroupsRequest(), version, ListGroupsResponse, "groups", "group_id"
        )
    for state in ("Empty", "stable", "PreparingRebalance", "CompletingRebalance", "Dead", "x"):
        version = peer.last(ListGroupsRequest)
        filtered = ListGroupsRequest(states_filter=[state])
        listed = peer.quietly(filtered, version, ListGroupsResponse).groups
        peer.note(f"{step}: among {state}", any(found.group_id == group for found in listed))
    for label, wrong in (
        ("another generation", sync(group, one.id, one.generation + 1)),
        ("a stranger", sync(group, "stranger", one.generation)),
        ("another protocol", sync(group, one.id, one.generation, protocol="other")),
        ("another type", sync(group, one.id, one.generation, protocol_type="other")),
    ):
        peer.probe(f"{step}: sync of {label}", wrong, peer.last(SyncGroupRequest))
    for label, refused in (
        ("a stranger", join(group, "stranger")),
        ("an unknown instance with an id", join(group, "stranger", instance="unknown")),
        ("another type", join(group, protocol_type="other")),
        ("no protocols", join(group, protocols={})),
    ):
        if label.startswith("another") and step in ("dead", "empty"):
            continue  # is let in
        peer.probe(f"{step}: join of {label}", refused, peer.last(JoinGroupRequest))
    peer.probe(
        f"{step}: a stranger leaves",
        leave(group, peer.last(LeaveGroupRequest), ("stranger", None), ("", "instance")),
        peer.last(LeaveGroupRequest),
    )


def _changed(peer: Peer, step: str, topic: Topic) -> None:
    """What may change the state, each in a group of its own."""
    for version in peer.shared(DeleteGroupsRequest):
        one, _ = _in(peer, f"{step}-deleted-{version}", step)
        deletion = DeleteGroupsRequest(groups_names=[one.group, one.group])
        peer.probe(f"{step}: deleted v{version}", deletion, version)
        _state(peer, f"{step}: after deletion v{version}", one.group)
    one, _ = _in(peer, f"{step}-offsets", step)
    part = OffsetDeleteRequestPartition(partition_index=0)
    offsets = OffsetDeleteRequest(
        group_id=one.group, topics=[OffsetDeleteRequestTopic(name=topic.name, partitions=[part])]
    )
    peer.probe(f"{step}: offsets deleted", offsets, peer.last(OffsetDeleteRequest))
    for version in peer.shared(LeaveGroupRequest):
        one, two = _in(peer, f"{step}-left-{version}", step)
        gone = leave(one.group, version, (one.id, None))
        peer.probe(f"{step}: left v{version}", gone, version)
        _state(peer, f"{step}: after leaving v{version}", one.group)
        peer.probe(
            f"{step}: the other, v{version}",
            heartbeat(two.group, two.id, two.generation),
            peer.last(HeartbeatRequest),
        )


def _state(peer: Peer, step: str, group: str) -> None:
    version = peer.last(DescribeGroupsRequest)
    peer.probe(step, DescribeGroupsRequest(groups=[group]), version)


def _scene(peer: Peer, state: str) -> None:
    topic = make_topic(peer, "committed", 2)
    one, _ = _in(peer, "asked", state)
    _asked(peer, state, one, topic)
    _changed(peer, state, topic)


@scenario(*NEEDED)
def in_dead(peer: Peer) -> None:
    _scene(peer, "dead")


@scenario(*NEEDED)
def in_empty(peer: Peer) -> None:
    _scene(peer, "empty")


@scenario(*NEEDED)
def in_preparing_rebalance(peer: Peer) -> None:
    _scene(peer, "preparing")


@scenario(*NEEDED)
def in_completing_rebalance(peer: Peer) -> None:
    _scene(peer, "completing")


@scenario(*NEEDED)
def in_stable(peer: Peer) -> None:
    _scene(peer, "stable")
