from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.offset_commit import (
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
    OffsetCommitResponse,
)
from tests.kbroker.cluster_image import topic_id
from tests.kbroker.coordinators.rig import GROUP, WALL_MS, commit_request

from .group_rig import GroupRig

if TYPE_CHECKING:
    import trio

T_ID = topic_id("t")
UNKNOWN_ID = b"?" * 16


def with_unknown(version: int, topic: str = "nosuch") -> OffsetCommitRequestTopic:
    return OffsetCommitRequestTopic(
        name=topic,
        topic_id=UNKNOWN_ID if version >= 10 else bytes(16),
        partitions=[
            OffsetCommitRequestPartition(
                partition_index=0, committed_offset=1, committed_metadata=""
            )
        ],
    )


@pytest.mark.parametrize("version", range(2, 11))
async def test_offsets_are_committed_at_every_version(nursery: trio.Nursery, version: int) -> None:
    rig = GroupRig()
    await rig.start(nursery)
    request = commit_request({0: 5, 2: 7}, topic_id=T_ID, metadata="m")
    response = await rig.ask(request, OffsetCommitResponse, version)
    (topic,) = response.topics
    assert (topic.name, topic.topic_id) == (("", T_ID) if version >= 10 else ("t", bytes(16)))
    assert [(p.partition_index, p.error_code) for p in topic.partitions] == [(0, 0), (2, 0)]
    shard = rig.groups.coordinator._runtime.partitions()[
        rig.groups.coordinator.partition_for(GROUP)
    ].shard
    stored = shard.offsets.get(GROUP, "t", 2)
    assert stored is not None
    assert (stored.offset, stored.metadata, stored.topic_id) == (7, "m", T_ID)
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize("version", [2, 9, 10])
async def test_what_does_not_exist_is_named_and_the_rest_is_committed(
    nursery: trio.Nursery, version: int
) -> None:
    rig = GroupRig()
    await rig.start(nursery)
    request = commit_request({0: 5, 77: 6}, topic_id=T_ID)
    request.topics.insert(0, with_unknown(version))
    response = await rig.ask(request, OffsetCommitResponse, version)
    unknown, known = response.topics
    expected = ErrorCode.UNKNOWN_TOPIC_ID if version >= 10 else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert [p.error_code for p in unknown.partitions] == [expected]
    assert [(p.partition_index, p.error_code) for p in known.partitions] == [
        (77, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        (0, ErrorCode.NONE),
    ]
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize("version", [2, 9, 10])
async def test_what_does_not_exist_is_answered_in_one_topic(version: int) -> None:
    """And so often as it was asked for (OffsetCommitResponse.Builder)."""
    request = commit_request({77: 5}, topic_id=T_ID)
    request.topics[:0] = [with_unknown(version), with_unknown(version, "nor")]
    request.topics[1].topic_id = b"!" * 16 if version >= 10 else bytes(16)
    request.topics += [with_unknown(version), *commit_request({78: 1, 77: 1}, topic_id=T_ID).topics]
    response = await GroupRig().ask(request, OffsetCommitResponse, version)
    assert [[p.partition_index for p in topic.partitions] for topic in response.topics] == [
        [0, 0],
        [0],
        [77, 78, 77],
    ]


async def test_if_nothing_exists_the_group_is_not_asked() -> None:
    request = commit_request({0: 5}, topic="nosuch", member_id="who", generation_id=9)
    assert await GroupRig().commit(request) == [ErrorCode.UNKNOWN_TOPIC_OR_PARTITION]


@pytest.mark.parametrize("version", [9, 10])
async def test_a_topic_without_partitions_is_not_answered(version: int) -> None:
    request = commit_request({}, topic_id=T_ID)
    assert (await GroupRig().ask(request, OffsetCommitResponse, version)).topics == []


async def test_a_commit_of_nothing_is_answered_with_nothing() -> None:
    request = commit_request({}, member_id="who", generation_id=9)
    request.topics = []
    assert await GroupRig().commit(request) == []


@pytest.mark.parametrize("version", [8, 9, 10])
async def test_an_error_of_the_group_is_every_partitions(
    nursery: trio.Nursery, version: int
) -> None:
    rig = GroupRig()
    await rig.start(nursery)
    request = commit_request({0: 5, 1: 5}, topic_id=T_ID, member_id="who", generation_id=9)
    expected = ErrorCode.GROUP_ID_NOT_FOUND if version >= 9 else ErrorCode.ILLEGAL_GENERATION
    assert await rig.commit(request, version) == [expected] * 2
    nursery.cancel_scope.cancel()


async def test_metadata_round_trips_and_has_a_limit(nursery: trio.Nursery) -> None:
    rig = GroupRig(offset_metadata_max_bytes=5)
    await rig.start(nursery)
    assert await rig.commit(commit_request({0: 5}, metadata="grüße"), 9) == [ErrorCode.NONE]
    assert await rig.commit(commit_request({0: 5}, metadata="grüße!"), 9) == [
        ErrorCode.OFFSET_METADATA_TOO_LARGE
    ]
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize("version", [2, 3, 4])
async def test_old_versions_have_a_retention_of_their_own(
    nursery: trio.Nursery, version: int, autojump_clock: object
) -> None:
    rig = GroupRig()
    await rig.start(nursery)
    await rig.commit(commit_request({0: 5}, retention_ms=1_000), version)
    record = rig.groups.partition_of().records()[-1]
    assert record.value is not None
    assert record.value[:2] == b"\x00\x01"
    assert int.from_bytes(record.value[-8:], "big") == WALL_MS + 1_000
    nursery.cancel_scope.cancel()


async def test_a_commit_waits_for_the_high_watermark(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    rig = GroupRig()
    await rig.start(nursery)
    rig.groups.partition_of().auto_commit = False
    request = commit_request({0: 5})
    request.topics.append(with_unknown(9))
    assert await rig.commit(request) == [
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ]
    nursery.cancel_scope.cancel()
