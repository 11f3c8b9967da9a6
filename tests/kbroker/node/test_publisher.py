"""What a change of the metadata does to the partitions and groups of the broker."""

from __future__ import annotations

from kbroker.node.settings import TopicSpec
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.find_coordinator import (
    FindCoordinatorRequest,
    FindCoordinatorResponse,
)
from kbroker.wire.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
    OffsetCommitResponse,
)
from kbroker.wire.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchResponse,
    OffsetFetchResponseGroup,
)
from tests.kbroker.log_dirs.rig import Admin
from tests.sim.broker import Client, Machine


async def test_groups_go_with_the_topic_that_holds_them_and_with_no_other() -> None:
    topics = TopicSpec("kept", 1), TopicSpec("t", 2)
    async with Machine().broker(*topics, settings={"offsets.topic.num.partitions": "1"}) as client:
        admin = Admin(client)
        await find(client)
        await commit(client, 7)
        assert await admin.delete("t") is ErrorCode.NONE
        assert offsets(await fetch(client)) == [7]
        assert await admin.delete("__consumer_offsets") is ErrorCode.NONE
        assert (await fetch(client)).error_code == ErrorCode.NOT_COORDINATOR
        await find(client)
        assert offsets(await fetch(client)) == []


async def find(client: Client) -> None:
    request = FindCoordinatorRequest(key_type=0, coordinator_keys=["g"])
    await client.call(request, FindCoordinatorResponse, 4)


async def commit(client: Client, offset: int) -> None:
    partition = OffsetCommitRequestPartition(partition_index=0, committed_offset=offset)
    request = OffsetCommitRequest(
        group_id="g",
        generation_id_or_member_epoch=-1,
        topics=[OffsetCommitRequestTopic(name="kept", partitions=[partition])],
    )
    response = await client.call(request, OffsetCommitResponse, 9)
    assert response.topics[0].partitions[0].error_code == ErrorCode.NONE


async def fetch(client: Client) -> OffsetFetchResponseGroup:
    request = OffsetFetchRequest(groups=[OffsetFetchRequestGroup(group_id="g", topics=None)])
    return (await client.call(request, OffsetFetchResponse, 9)).groups[0]


def offsets(group: OffsetFetchResponseGroup) -> list[int]:
    assert group.error_code == ErrorCode.NONE
    return [each.committed_offset for topic in group.topics for each in topic.partitions]
