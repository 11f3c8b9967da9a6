"""Groups, members, topics, keys and assignments that stand twice in what clients ask coordinators,
with what differs between the two, and what has come of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compat.differential.asking import NO_SUCH_ID, Topic, make_topic
from compat.differential.group_asking import (
    Member,
    await_coordinator,
    commit,
    join,
    leave,
    subscription,
    sync,
)
from compat.differential.scenarios import scenario
from compat.differential.scenarios.group_offsets import fetch, fetch_group
from compat.differential.scenarios.groups import describe, join_at_last
from kbroker.wire.messages.delete_groups import DeleteGroupsRequest
from kbroker.wire.messages.describe_groups import DescribeGroupsRequest
from kbroker.wire.messages.find_coordinator import FindCoordinatorRequest
from kbroker.wire.messages.join_group import JoinGroupRequest, JoinGroupRequestProtocol
from kbroker.wire.messages.leave_group import LeaveGroupRequest
from kbroker.wire.messages.list_groups import ListGroupsRequest, ListGroupsResponse
from kbroker.wire.messages.offset_commit import OffsetCommitRequest, OffsetCommitResponse
from kbroker.wire.messages.offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteRequestPartition,
    OffsetDeleteRequestTopic,
)
from kbroker.wire.messages.offset_fetch import OffsetFetchRequest
from kbroker.wire.messages.sync_group import SyncGroupRequest, SyncGroupRequestAssignment

if TYPE_CHECKING:
    from compat.differential.peer import Peer

LAST_WITHOUT_GROUPS = 7  # of OffsetFetch


@scenario(OffsetCommitRequest, OffsetFetchRequest)
def commits(peer: Peer) -> None:
    topic, other = make_topic(peer, "committed", 3), make_topic(peer, "other", 2)
    missing = Topic(peer.name("missing"), NO_SUCH_ID, 1)
    group = peer.name("commits")
    await_coordinator(peer, group)
    for version in peer.shared(OffsetCommitRequest):
        for step, asked in (
            ("the same", [(topic, {0: 1}), (topic, {0: 1})]),
            ("more", [(topic, {0: 2}), (topic, {0: 3})]),
            ("less", [(topic, {0: 5}), (topic, {0: 4})]),
            ("two partitions", [(topic, {0: 6}), (topic, {1: 7})]),
            ("around another", [(topic, {0: 8}), (other, {0: 9}), (topic, {1: 10, 0: 11})]),
            ("missing", [(missing, {0: 1}), (topic, {0: 12}), (missing, {0: 1})]),
            ("missing partitions", [(topic, {9: 1}), (topic, {0: 13}), (topic, {9: 1, 8: 1})]),
            ("nothing but missing", [(missing, {0: 1}), (topic, {9: 1}), (missing, {1: 1})]),
            ("wrong and missing", [(topic, {0: 1, 9: 1}), (missing, {0: 1}), (topic, {1: 1})]),
        ):
            topics = [(one.name, one.id, offsets) for one, offsets in asked]
            peer.probe(f"v{version} {step}", commit(group, topics), version)
            found = fetch(9, group, [(topic, [0, 1]), (other, [0])])
            peer.probe(f"v{version} {step}: committed", found, 9)
        in_one, more = (
            commit(group, [(topic.name, topic.id, offsets)])
            for offsets in ({0: 20, 1: 20}, {0: 21})
        )
        in_one.topics[0].partitions += more.topics[0].partitions
        peer.probe(f"v{version} in one topic", in_one, version)
        found = fetch(9, group, [(topic, [0, 1])])
        peer.probe(f"v{version} in one topic: committed", found, 9)


@scenario(OffsetCommitRequest, OffsetFetchRequest)
def fetches(peer: Peer) -> None:
    topic, other = make_topic(peer, "fetched", 3), make_topic(peer, "other", 2)
    missing = Topic(peer.name("missing"), NO_SUCH_ID, 1)
    groups = [peer.name("one"), peer.name("two")]
    await_coordinator(peer, *groups)
    for number, group in enumerate(groups):
        offsets = [(topic.name, topic.id, {0: 5 + number, 1: 6}), (other.name, other.id, {0: 7})]
        version = peer.last(OffsetCommitRequest)
        peer.quietly(commit(group, offsets), version, OffsetCommitResponse)
    asked = (
        ("the same", [(topic, [0]), (topic, [0])]),
        ("two partitions", [(topic, [0]), (topic, [1])]),
        ("around another", [(topic, [0]), (other, [0]), (topic, [1, 0])]),
        ("in one topic", [(topic, [0, 1, 0])]),
        ("missing", [(missing, [0]), (topic, [0, 9]), (missing, [0]), (topic, [9])]),
    )
    for version in peer.shared(OffsetFetchRequest):
        for step, topics in asked:
            peer.probe(f"v{version} {step}", fetch(version, groups[0], topics), version)
        if version <= LAST_WITHOUT_GROUPS:
            continue
        one, two = groups
        for step, of_groups in (
            ("groups: the same", [(one, asked[0][1]), (one, asked[0][1])]),
            ("groups: other topics", [(one, [(topic, [0])]), (one, [(other, [0])])]),
            ("groups: around another", [(one, [(topic, [0])]), (two, None), (one, None)]),
            ("groups: all, then none", [(one, None), (one, [])]),
        ):
            request = OffsetFetchRequest(groups=[fetch_group(g, t) for g, t in of_groups])
            peer.probe(f"v{version} {step}", request, version)


@scenario(OffsetDeleteRequest, OffsetCommitRequest)
def forgotten(peer: Peer) -> None:
    topic, other = make_topic(peer, "forgotten", 3), make_topic(peer, "other", 2)
    missing = Topic(peer.name("missing"), NO_SUCH_ID, 1)
    group = peer.name("forgotten")
    await_coordinator(peer, group)
    version = peer.last(OffsetDeleteRequest)
    for step, asked in (
        ("the same", [(topic, [0]), (topic, [0])]),
        ("two partitions", [(topic, [0]), (topic, [1])]),
        ("around another", [(topic, [0]), (other, [0]), (topic, [1])]),
        ("in one topic", [(topic, [1, 0, 1])]),
        ("missing", [(missing, [0]), (topic, [0, 9]), (missing, [0]), (topic, [9])]),
        ("nothing but missing", [(missing, [0]), (topic, [9]), (missing, [0])]),
    ):
        offsets = [(topic.name, topic.id, {0: 5, 1: 6}), (other.name, other.id, {0: 7})]
        peer.quietly(commit(group, offsets), peer.last(OffsetCommitRequest), OffsetCommitResponse)
        request = OffsetDeleteRequest(
            group_id=group,
            topics=[
                OffsetDeleteRequestTopic(
                    name=one.name,
                    partitions=[OffsetDeleteRequestPartition(partition_index=i) for i in indexes],
                )
                for one, indexes in asked
            ],
        )
        peer.probe(step, request, version)
        peer.probe(f"{step}: left", fetch(9, group, None), 9)


@scenario(JoinGroupRequest)
def protocols(peer: Peer) -> None:
    """A protocol twice in a join. Where it has no other, Apache Kafka never answers."""
    first, second, other = subscription("t"), subscription("u"), subscription("v")
    for step, named in (
        ("around another", [("range", first), ("sticky", other), ("range", second)]),
        ("behind another", [("sticky", other), ("range", first), ("range", first)]),
        ("the same", [("range", first), ("range", first)]),
        ("other metadata", [("range", first), ("range", second)]),
    ):
        group = peer.name(step.replace(" ", "-"))
        await_coordinator(peer, group)
        request = join(group)
        request.protocols = [JoinGroupRequestProtocol(name=n, metadata=m) for n, m in named]
        join_at_last(peer, step, request)


@scenario(JoinGroupRequest, SyncGroupRequest)
def assignments(peer: Peer) -> None:
    """A member twice in an assignment."""
    for version in peer.shared(SyncGroupRequest):
        for step, names in (
            ("the same", [("m", b"1"), ("m", b"1")]),
            ("another", [("m", b"first"), ("m", b"last")]),
            ("around", [("m", b"first"), ("nobody", b"other"), ("m", b"last")]),
            ("nobody twice", [("nobody", b"1"), ("m", b"2"), ("nobody", b"3")]),
        ):
            group = peer.name(f"assignments-{version}-{step.replace(' ', '-')}")
            await_coordinator(peer, group)
            one = Member(peer, group, f"v{version} {step}")
            one.join()
            request = sync(group, one.id, one.generation)
            request.assignments = [
                SyncGroupRequestAssignment(
                    member_id=one.id if member == "m" else member, assignment=data
                )
                for member, data in names
            ]
            peer.probe(f"v{version} {step}", request, version)
            describe(peer, f"v{version} {step}", group)


@scenario(JoinGroupRequest, LeaveGroupRequest)
def leaving(peer: Peer) -> None:
    """A member twice: by its id, by its instance, by both."""
    for version in peer.shared(LeaveGroupRequest, first=3):
        for number, step in enumerate(("id", "instance", "both", "id, then both", "around")):
            group = peer.name(f"leaving-{version}-{number}")
            await_coordinator(peer, group)
            instance = None if step in ("id", "around") else "inst"
            one = Member(peer, group, f"v{version} {step}", instance=instance)
            one.join()
            one.sync({one.id: b""})
            by_id, by_instance, by_both = (one.id, None), ("", "inst"), (one.id, "inst")
            members = {
                "id": [by_id, by_id],
                "instance": [by_instance, by_instance],
                "both": [by_both, by_both],
                "id, then both": [by_id, by_both, by_instance],
                "around": [by_id, ("nobody", None), by_id],
            }[step]
            peer.probe(f"v{version} {step}", leave(group, version, *members), version)
            describe(peer, f"v{version} {step}", group)


@scenario(DescribeGroupsRequest, DeleteGroupsRequest, OffsetCommitRequest)
def groups(peer: Peer) -> None:
    """Described, looked up, listed by states and deleted."""
    topic = make_topic(peer, "groups")
    one, two, missing = (peer.name(name) for name in ("one", "two", "missing"))
    await_coordinator(peer, one, two)
    member = Member(peer, two, "two")
    member.join()
    here = [(topic.name, topic.id, {0: 5})]
    version = peer.last(OffsetCommitRequest)
    for kind in (DescribeGroupsRequest, DeleteGroupsRequest):
        for version in peer.shared(kind):
            peer.quietly(commit(one, here), peer.last(OffsetCommitRequest), OffsetCommitResponse)
            for step, names in (
                ("missing", [missing, missing]),
                ("not empty", [two, two]),
                ("around", [two, missing, two]),
                ("the same", [one, one]),
            ):
                request = (
                    DescribeGroupsRequest(groups=names)
                    if kind is DescribeGroupsRequest
                    else DeleteGroupsRequest(groups_names=names)
                )
                peer.probe(f"v{version} {step}", request, version)
                describe(peer, f"after v{version} {step}", one, two)
    for version in peer.shared(FindCoordinatorRequest, first=4):
        for names in ([one, one], [one, two, one], ["", one, ""]):
            request_keys = FindCoordinatorRequest(coordinator_keys=names)
            peer.probe(f"v{version} {len(names)} {names[0]}", request_keys, version)
    own = ("groups", "group_id")
    for version in peer.shared(ListGroupsRequest, first=4):
        states = ListGroupsRequest(states_filter=["Empty", "empty", "Stable", "Empty"])
        peer.ask_own(f"v{version} states", states, version, ListGroupsResponse, *own)
    for version in peer.shared(ListGroupsRequest, first=5):
        types = ListGroupsRequest(types_filter=["classic", "Classic", "consumer", "classic"])
        peer.ask_own(f"v{version} types", types, version, ListGroupsResponse, *own)
