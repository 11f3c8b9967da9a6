"""OffsetCommit, OffsetFetch, OffsetDelete, DeleteGroups and ListGroups."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compat.differential.asking import NO_SUCH_ID, Topic, make_topic
from compat.differential.group_asking import Member, await_coordinator, commit, subscription
from compat.differential.scenarios import scenario
from compat.differential.scenarios.groups import describe
from kbroker.wire.messages.delete_groups import DeleteGroupsRequest
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
    OffsetFetchRequestTopic,
    OffsetFetchRequestTopics,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from compat.differential.peer import Peer


def fetch(
    version: int, group: str, asked: Sequence[tuple[Topic, list[int]]] | None
) -> OffsetFetchRequest:
    """The offsets of these partitions, or of all."""
    if version < 8:
        return OffsetFetchRequest(
            group_id=group,
            topics=None
            if asked is None
            else [OffsetFetchRequestTopic(name=t.name, partition_indexes=p) for t, p in asked],
        )
    return OffsetFetchRequest(groups=[fetch_group(group, asked)])


def fetch_group(
    group: str, asked: Sequence[tuple[Topic, list[int]]] | None
) -> OffsetFetchRequestGroup:
    return OffsetFetchRequestGroup(
        group_id=group,
        topics=None
        if asked is None
        else [
            OffsetFetchRequestTopics(name=t.name, topic_id=t.id, partition_indexes=p)
            for t, p in asked
        ],
    )


def forget(group: str, topics: Mapping[str, list[int]]) -> OffsetDeleteRequest:
    return OffsetDeleteRequest(
        group_id=group,
        topics=[
            OffsetDeleteRequestTopic(
                name=name,
                partitions=[OffsetDeleteRequestPartition(partition_index=i) for i in indexes],
            )
            for name, indexes in topics.items()
        ],
    )


@scenario(OffsetCommitRequest, OffsetFetchRequest)
def committed(peer: Peer) -> None:
    """With and without members, at every version; what is read back."""
    topic = make_topic(peer, "committed", 3)
    missing = Topic(peer.name("missing"), NO_SUCH_ID, 1)
    group = peer.name("committed")
    await_coordinator(peer, group)
    one = Member(peer, group, "one")
    one.join()
    one.sync({one.id: b""})
    here = [(topic.name, topic.id, {0: 5})]
    for version in peer.shared(OffsetCommitRequest):
        v = f"v{version} "
        for step, request in (
            ("right", commit(group, here, metadata="note", leader_epoch=4, by=one)),
            ("null metadata", commit(group, here, metadata=None, by=one)),
            ("long metadata", commit(group, here, metadata="x" * 4096, by=one)),
            ("too long metadata", commit(group, here, metadata="x" * 4097, by=one)),
            ("wrong generation", commit(group, here, member_id=one.id, generation=9)),
            ("no generation", commit(group, here, member_id=one.id)),
            ("no member", commit(group, here)),
            ("wrong member", commit(group, here, member_id="nobody", generation=1)),
            ("no topics", commit(group, [], by=one)),
            ("a generation, no group", commit(peer.name("none"), here, generation=1)),
            (
                "mixed",
                commit(
                    group,
                    [
                        (topic.name, topic.id, {0: 6, 77: 1, 2: 2**62, -1: 1}),
                        (missing.name, missing.id, {0: 1}),
                    ],
                    by=one,
                ),
            ),
            ("negative offset", commit(group, [(topic.name, topic.id, {1: -1})], by=one)),
            ("very negative offset", commit(group, [(topic.name, topic.id, {1: -9})], by=one)),
            ("missing topic", commit(group, [(missing.name, missing.id, {0: 1})], by=one)),
        ):
            peer.probe(v + step, request, version)
        if version <= 4:
            kept = commit(group, here, retention_ms=10**9, by=one)
            peer.probe(v + "retention", kept, version)
    for version in peer.shared(OffsetFetchRequest):
        v = f"fetch v{version} "
        asked = [(topic, [0, 1, 2, 77, -1]), (missing, [0])]
        peer.probe(v + "some", fetch(version, group, asked), version)
        peer.probe(v + "none", fetch(version, group, []), version)
        peer.probe(v + "twice", fetch(version, group, [(topic, [0, 0]), (topic, [0])]), version)
        peer.probe(v + "missing group", fetch(version, peer.name("none"), asked), version)
        if version >= 2:
            peer.probe(v + "all", fetch(version, group, None), version)
            peer.probe(v + "all of none", fetch(version, peer.name("none"), None), version)
        if version >= 7:
            stable = fetch(version, group, asked)
            stable.require_stable = True
            peer.probe(v + "stable", stable, version)
        if version >= 8:
            several = OffsetFetchRequest(
                groups=[fetch_group(g, None) for g in (group, peer.name("none"), group)]
            )
            peer.probe(v + "several groups", several, version)
            peer.probe(v + "no groups", OffsetFetchRequest(), version)
        if version >= 9:
            member = fetch(version, group, asked)
            member.groups[0].member_id = one.id
            member.groups[0].member_epoch = one.generation
            peer.probe(v + "as a member", member, version)
            member.groups[0].member_id = "nobody"
            member.groups[0].member_epoch = 7
            peer.probe(v + "as nobody", member, version)


@scenario(OffsetDeleteRequest, DeleteGroupsRequest, OffsetCommitRequest, OffsetFetchRequest)
def removed(peer: Peer) -> None:
    topic = make_topic(peer, "removed", 2)
    version = 9
    for delete_version in peer.shared(DeleteGroupsRequest):
        v = f"v{delete_version} "
        group, alone = peer.name(f"with-{delete_version}"), peer.name(f"alone-{delete_version}")
        await_coordinator(peer, group, alone)
        offsets = [(topic.name, topic.id, {0: 1, 1: 2})]
        peer.probe(v + "committed alone", commit(alone, offsets), version)
        one = Member(peer, group, f"one-{delete_version}", protocols={"range": subscription()})
        one.join()
        one.sync({one.id: b""})
        peer.probe(v + "committed by a member", commit(group, offsets, by=one), version)
        for step, name, wanted in (
            ("one", alone, {topic.name: [0]}),
            ("again", alone, {topic.name: [0, 77, -1]}),
            ("missing topic", alone, {peer.name("missing"): [0]}),
            ("none", alone, {}),
            ("with members", group, {topic.name: [0]}),
            ("missing group", peer.name("none"), {topic.name: [0]}),
        ):
            peer.probe(f"{v}offsets: {step}", forget(name, wanted), peer.last(OffsetDeleteRequest))
        peer.probe(v + "left alone", fetch(version, alone, None), version)
        peer.probe(v + "left with members", fetch(version, group, None), version)
        for step, names in (
            ("with members", [group]),
            ("missing", [peer.name("none")]),
            ("one, again, and a missing one", [alone, alone, peer.name("none")]),
            ("gone", [alone]),
            ("none", []),
        ):
            request = DeleteGroupsRequest(groups_names=names)
            peer.probe(f"{v}groups: {step}", request, delete_version)
        peer.probe(v + "after that", fetch(version, alone, None), version)
        one.leave()
        describe(peer, v + "left", group)
        peer.probe(v + "groups: left", DeleteGroupsRequest(groups_names=[group]), delete_version)
        describe(peer, v + "deleted", group)


@scenario(ListGroupsRequest, OffsetCommitRequest)
def listed(peer: Peer) -> None:
    """Only the scenario's own groups are compared: others have theirs on the same broker."""
    topic = make_topic(peer, "listed")
    empty, stable = peer.name("empty"), peer.name("stable")
    await_coordinator(peer, empty, stable)
    peer.probe("committed", commit(empty, [(topic.name, topic.id, {0: 1})]), 9)
    one = Member(peer, stable, "one")
    one.join()
    one.sync({one.id: b""})
    for version in peer.shared(ListGroupsRequest):
        filters: list[tuple[list[str], list[str]]] = [([], [])]
        if version >= 4:
            filters += [([state], []) for state in ("Stable", "eMPTY", " Empty", "nope", "Dead")]
            filters += [(["Stable", "Empty"], [])]
        if version >= 5:
            filters += [([], [kind]) for kind in ("classic", "CLASSIC", "consumer", "nope", "")]
            filters += [(["Empty"], ["classic"]), (["nope"], ["classic"])]
        for states, types in filters:
            request = ListGroupsRequest(states_filter=states, types_filter=types)
            answer = peer.quietly(request, version, ListGroupsResponse)
            own = [
                [g.group_id, g.protocol_type, g.group_state, g.group_type]
                for g in answer.groups
                if g.group_id.startswith(peer.prefix)
            ]
            peer.note(f"v{version} {states} {types}", [answer.error_code, sorted(own)])


@scenario(OffsetCommitRequest, OffsetFetchRequest, DeleteGroupsRequest, in_turn=True)
def unnamed(peer: Peer) -> None:
    """The group without a name may hold offsets. There is one only, so each side has its turn."""
    topic = make_topic(peer, "unnamed")
    await_coordinator(peer, "")
    version = peer.last(DeleteGroupsRequest)
    deletion = DeleteGroupsRequest(groups_names=[""])
    for at in (*peer.shared(OffsetCommitRequest), 0):
        if at:
            here = [(topic.name, topic.id, {0: at})]
            peer.probe(f"v{at} committed", commit("", here), at)
            peer.probe(f"v{at} committed as a member", commit("", here, generation=1), at)
        for fetch_at in peer.shared(OffsetFetchRequest):
            request = fetch(fetch_at, "", [(topic, [0])])
            peer.probe(f"after v{at}, fetched by v{fetch_at}", request, fetch_at)
        forgetting = forget("", {topic.name: [0]})
        peer.probe(f"after v{at} offsets", forgetting, peer.last(OffsetDeleteRequest))
        describe(peer, f"after v{at}", "")
        peer.probe(f"after v{at} deleted", deletion, version)
        peer.probe(f"after v{at} deleted again", deletion, version)
