from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteRequestPartition,
    OffsetDeleteRequestTopic,
    OffsetDeleteResponse,
)
from tests.kbroker.coordinators.rig import GROUP, commit_request

from .group_rig import GroupRig

if TYPE_CHECKING:
    import trio


def delete(group_id: str, **topics: list[int]) -> OffsetDeleteRequest:
    return OffsetDeleteRequest(
        group_id=group_id,
        topics=[
            OffsetDeleteRequestTopic(
                name=name,
                partitions=[OffsetDeleteRequestPartition(partition_index=i) for i in indexes],
            )
            for name, indexes in topics.items()
        ],
    )


async def test_offsets_are_deleted_and_what_does_not_exist_is_named(nursery: trio.Nursery) -> None:
    rig = GroupRig()
    await rig.start(nursery)
    await rig.commit(commit_request({0: 5, 1: 6}))
    request = delete(GROUP, t=[0, 77], nosuch=[0])
    response = await rig.ask(request, OffsetDeleteResponse, 0)
    assert response.error_code == ErrorCode.NONE
    assert {
        (topic.name, p.partition_index): p.error_code
        for topic in response.topics
        for p in topic.partitions
    } == {
        ("t", 77): ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ("t", 0): ErrorCode.NONE,
        ("nosuch", 0): ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    }
    assert len(response.topics) == 2
    nursery.cancel_scope.cancel()


async def test_topics_that_members_read_are_refused(nursery: trio.Nursery) -> None:
    rig = GroupRig()
    await rig.start(nursery)
    await rig.alone()
    response = await rig.ask(delete(GROUP, t=[0]), OffsetDeleteResponse, 0)
    assert response.topics[0].partitions[0].error_code == ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("group_id", "error"),
    [("nobody", ErrorCode.GROUP_ID_NOT_FOUND), ("", ErrorCode.INVALID_GROUP_ID)],
)
async def test_an_error_of_the_group_stands_alone(
    nursery: trio.Nursery, group_id: str, error: ErrorCode
) -> None:
    rig = GroupRig()
    await rig.start(nursery)
    response = await rig.ask(delete(group_id, nosuch=[0]), OffsetDeleteResponse, 0)
    assert (response.error_code, response.topics) == (error, [])
    nursery.cancel_scope.cancel()
