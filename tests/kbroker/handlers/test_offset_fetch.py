from __future__ import annotations

import pytest
import trio

from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopic,
    OffsetFetchRequestTopics,
    OffsetFetchResponse,
)
from tests.kbroker.cluster_image import topic_id
from tests.kbroker.coordinators.rig import GROUP, commit_request

from .group_rig import GroupRig

T_ID = topic_id("t")
UNKNOWN_ID = b"?" * 16

Found = tuple[str, int, int, int, str | None, int]


def one(version: int, *, every: bool = False) -> OffsetFetchRequest:
    """Partitions 0 and 1 of t, and a topic that does not exist; or all topics."""
    if version < 8:
        topics = [
            OffsetFetchRequestTopic(name="t", partition_indexes=[0, 1]),
            OffsetFetchRequestTopic(name="nosuch", partition_indexes=[0]),
        ]
        return OffsetFetchRequest(group_id=GROUP, topics=None if every else topics)
    asked = [
        OffsetFetchRequestTopics(name="t", topic_id=T_ID, partition_indexes=[0, 1]),
        OffsetFetchRequestTopics(name="nosuch", topic_id=UNKNOWN_ID, partition_indexes=[0]),
    ]
    return OffsetFetchRequest(
        groups=[OffsetFetchRequestGroup(group_id=GROUP, topics=None if every else asked)]
    )


def found(response: OffsetFetchResponse, version: int) -> list[Found]:
    if version < 8:
        return [
            (
                topic.name,
                p.partition_index,
                p.committed_offset,
                p.committed_leader_epoch,
                p.metadata,
                p.error_code,
            )
            for topic in response.topics
            for p in topic.partitions
        ]
    names = {T_ID: "t", UNKNOWN_ID: "nosuch"}
    (group,) = response.groups
    return [
        (
            topic.name or names[topic.topic_id],
            p.partition_index,
            p.committed_offset,
            p.committed_leader_epoch,
            p.metadata,
            p.error_code,
        )
        for topic in group.topics
        for p in topic.partitions
    ]


@pytest.mark.parametrize("version", range(1, 11))
async def test_offsets_are_fetched_at_every_version(nursery: trio.Nursery, version: int) -> None:
    rig = GroupRig()
    await rig.start(nursery)
    await rig.commit(commit_request({0: 5}, metadata="m", leader_epoch=3))
    response = await rig.ask(one(version), OffsetFetchResponse, version)
    epoch = 3 if version >= 5 else -1
    unknown = ErrorCode.UNKNOWN_TOPIC_ID if version >= 10 else ErrorCode.NONE
    assert found(response, version) == [
        ("t", 0, 5, epoch, "m", ErrorCode.NONE),
        ("t", 1, -1, -1, "", ErrorCode.NONE),
        ("nosuch", 0, -1, -1, "", unknown),
    ]
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize("version", range(2, 11))
async def test_all_offsets_are_fetched_from_v2_on(nursery: trio.Nursery, version: int) -> None:
    rig = GroupRig()
    await rig.start(nursery)
    await rig.commit(commit_request({0: 5, 2: 6}))
    response = await rig.ask(one(version, every=True), OffsetFetchResponse, version)
    assert [entry[:3] for entry in found(response, version)] == [("t", 0, 5), ("t", 2, 6)]
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize("version", [1, 2, 7, 8, 10])
async def test_an_error_of_the_group(version: int) -> None:
    response = await GroupRig().ask(one(version), OffsetFetchResponse, version)
    if version == 1:
        assert {entry[-1] for entry in found(response, version)} == {ErrorCode.NOT_COORDINATOR}
    elif version < 8:
        assert (response.error_code, response.topics) == (ErrorCode.NOT_COORDINATOR, [])
    else:
        (group,) = response.groups
        assert (group.error_code, group.topics) == (ErrorCode.NOT_COORDINATOR, [])


async def test_several_groups_at_once(nursery: trio.Nursery) -> None:
    rig = GroupRig()
    await rig.start(nursery)
    for number in range(6):
        await rig.commit(commit_request({0: number}, group_id=f"g{number}"))
    names = [*(f"g{number}" for number in range(6)), "nobody", ""]
    request = OffsetFetchRequest(
        groups=[OffsetFetchRequestGroup(group_id=name, topics=None) for name in names],
        require_stable=True,
    )
    response = await rig.ask(request, OffsetFetchResponse, 9)
    assert [group.group_id for group in response.groups] == names
    assert [len(group.topics) for group in response.groups] == [1] * 6 + [0, 0]
    nursery.cancel_scope.cancel()


async def test_topics_that_are_no_more_have_no_id_to_be_told_by(nursery: trio.Nursery) -> None:
    rig = GroupRig()
    await rig.start(nursery)
    await rig.commit(commit_request({0: 5}))
    rig.groups.coordinator.commit_offsets(commit_request({0: 9}, topic="gone"), 9)
    by_name = await rig.ask(one(9, every=True), OffsetFetchResponse, 9)
    assert [topic.name for topic in by_name.groups[0].topics] == ["t", "gone"]
    by_id = await rig.ask(one(10, every=True), OffsetFetchResponse, 10)
    assert [topic.topic_id for topic in by_id.groups[0].topics] == [T_ID]
    nursery.cancel_scope.cancel()


async def test_a_fetch_waits_for_the_high_watermark(nursery: trio.Nursery) -> None:
    rig = GroupRig()
    await rig.start(nursery)
    partition = rig.groups.partition_of()
    await rig.commit(commit_request({0: 5}))
    partition.auto_commit = False
    answers: list[Found] = []

    async def fetch() -> None:
        answers.extend(found(await rig.ask(one(9), OffsetFetchResponse, 9), 9))

    async with trio.open_nursery() as waiting:
        waiting.start_soon(rig.commit, commit_request({0: 6}))
        await trio.testing.wait_all_tasks_blocked()
        waiting.start_soon(fetch)
        await trio.testing.wait_all_tasks_blocked()
        assert answers == []
        partition.commit()
    assert answers[0][2] == 6
    nursery.cancel_scope.cancel()
