"""The response to each kind of request about a group, when one error answers all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kbroker.wire.messages.delete_groups import DeletableGroupResult
from kbroker.wire.messages.heartbeat import HeartbeatResponse
from kbroker.wire.messages.leave_group import LeaveGroupResponse
from kbroker.wire.messages.offset_commit import (
    OffsetCommitResponse,
    OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
)
from kbroker.wire.messages.offset_delete import OffsetDeleteResponse
from kbroker.wire.messages.offset_fetch import (
    OffsetFetchResponseGroup,
    OffsetFetchResponsePartitions,
    OffsetFetchResponseTopics,
)

from .group.committed_offsets import INVALID_OFFSET

if TYPE_CHECKING:
    from kbroker.wire.errors import ErrorCode
    from kbroker.wire.messages.offset_commit import OffsetCommitRequest
    from kbroker.wire.messages.offset_fetch import OffsetFetchRequestGroup

VERSION_WITH_GROUP_ERROR_ON_FETCH: Final = 2


def commit_error(request: OffsetCommitRequest, error: ErrorCode) -> OffsetCommitResponse:
    """The same error for every partition."""
    return OffsetCommitResponse(
        topics=[
            OffsetCommitResponseTopic(
                name=topic.name,
                topic_id=topic.topic_id,
                partitions=[
                    OffsetCommitResponsePartition(
                        partition_index=partition.partition_index, error_code=error
                    )
                    for partition in topic.partitions
                ],
            )
            for topic in request.topics
        ]
    )


def fetch_error(
    request: OffsetFetchRequestGroup, api_version: int, error: ErrorCode
) -> OffsetFetchResponseGroup:
    """An error of the whole group; v1 can only say it of each partition."""
    if api_version >= VERSION_WITH_GROUP_ERROR_ON_FETCH:
        return OffsetFetchResponseGroup(group_id=request.group_id, error_code=error)
    return OffsetFetchResponseGroup(
        group_id=request.group_id,
        topics=[
            OffsetFetchResponseTopics(
                name=topic.name,
                partitions=[
                    OffsetFetchResponsePartitions(
                        partition_index=index, committed_offset=INVALID_OFFSET, error_code=error
                    )
                    for index in topic.partition_indexes
                ],
            )
            for topic in request.topics or ()
        ],
    )


def deletion_errors(group_ids: list[str], error: ErrorCode) -> list[DeletableGroupResult]:
    return [DeletableGroupResult(group_id=group_id, error_code=error) for group_id in group_ids]


def heartbeat_error(error: ErrorCode) -> HeartbeatResponse:
    return HeartbeatResponse(error_code=error)


def leave_error(error: ErrorCode) -> LeaveGroupResponse:
    return LeaveGroupResponse(error_code=error)


def offset_delete_error(error: ErrorCode) -> OffsetDeleteResponse:
    return OffsetDeleteResponse(error_code=error)
