"""A whole request answered with one error code: in the response's own field, or in the place of
each thing asked for.

Kafka's AbstractRequest.getErrorResponse. For what a handler did not foresee, and for answers made
up on purpose.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kbroker.wire.api_keys import API_TABLE
from kbroker.wire.messages import (
    create_partitions,
    create_topics,
    delete_groups,
    delete_topics,
    describe_configs,
    describe_groups,
    describe_topic_partitions,
    fetch,
    find_coordinator,
    incremental_alter_configs,
    list_offsets,
    metadata,
    offset_commit,
    offset_fetch,
    offset_for_leader_epoch,
    produce,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from kbroker.wire.errors import ErrorCode
    from kbroker.wire.message import Message


def error_answer(
    request: Message, version: int, code: ErrorCode, message: str | None
) -> Message | None:
    """The response to `request` that says `code`. None: Produce with acks=0 has no answer."""
    special = _SPECIAL.get(type(request))
    if special is not None:
        return special(request, version, code, message)
    from kbroker.admin_error_answers import ANSWERS

    of_admin = ANSWERS.get(type(request))
    if of_admin is not None:
        return of_admin(request, version, code, message)
    assert request.API_KEY is not None
    response = API_TABLE[request.API_KEY].response()
    response.error_code = code  # type: ignore[attr-defined]
    if message is not None and "error_message" in response.__slots__:
        response.error_message = message  # type: ignore[attr-defined]
    return response


def _produce(
    request: produce.ProduceRequest, version: int, code: ErrorCode, message: str | None
) -> Message | None:
    if request.acks == 0:
        return None
    return produce.ProduceResponse(
        responses=[
            produce.TopicProduceResponse(
                name=topic.name,
                topic_id=topic.topic_id,
                partition_responses=[
                    produce.PartitionProduceResponse(
                        index=p.index, error_code=code, error_message=message, base_offset=-1
                    )
                    for p in topic.partition_data
                ],
            )
            for topic in request.topic_data
        ]
    )


def _fetch(
    request: fetch.FetchRequest, version: int, code: ErrorCode, message: str | None
) -> Message:
    # Up to v6 the response has no error of its own, and later clients look at the partitions too.
    return fetch.FetchResponse(
        error_code=code,
        session_id=request.session_id,
        responses=[
            fetch.FetchableTopicResponse(
                topic=topic.topic,
                topic_id=topic.topic_id,
                partitions=[
                    fetch.PartitionData(
                        partition_index=p.partition,
                        error_code=code,
                        high_watermark=-1,
                        records=b"",
                    )
                    for p in topic.partitions
                ],
            )
            for topic in request.topics
        ]
        if version < 13
        else [],
    )


def _list_offsets(
    request: list_offsets.ListOffsetsRequest, version: int, code: ErrorCode, message: str | None
) -> Message:
    return list_offsets.ListOffsetsResponse(
        topics=[
            list_offsets.ListOffsetsTopicResponse(
                name=topic.name,
                partitions=[
                    list_offsets.ListOffsetsPartitionResponse(
                        partition_index=p.partition_index,
                        error_code=code,
                        timestamp=-1,
                        offset=-1,
                    )
                    for p in topic.partitions
                ],
            )
            for topic in request.topics
        ]
    )


def _metadata(
    request: metadata.MetadataRequest, version: int, code: ErrorCode, message: str | None
) -> Message:
    return metadata.MetadataResponse(
        error_code=code if version >= 13 else 0,
        topics=[
            metadata.MetadataResponseTopic(
                error_code=code,
                name=topic.name if version >= 12 else topic.name or "",
                topic_id=topic.topic_id,
            )
            for topic in request.topics or ()
        ],
    )


def _offset_commit(
    request: offset_commit.OffsetCommitRequest, version: int, code: ErrorCode, message: str | None
) -> Message:
    return offset_commit.OffsetCommitResponse(
        topics=[
            offset_commit.OffsetCommitResponseTopic(
                name=topic.name,
                topic_id=topic.topic_id,
                partitions=[
                    offset_commit.OffsetCommitResponsePartition(
                        partition_index=p.partition_index, error_code=code
                    )
                    for p in topic.partitions
                ],
            )
            for topic in request.topics
        ]
    )


def _offset_fetch(
    request: offset_fetch.OffsetFetchRequest, version: int, code: ErrorCode, message: str | None
) -> Message:
    if version >= 8:
        return offset_fetch.OffsetFetchResponse(
            groups=[
                offset_fetch.OffsetFetchResponseGroup(group_id=group.group_id, error_code=code)
                for group in request.groups
            ]
        )
    if version >= 2:
        return offset_fetch.OffsetFetchResponse(error_code=code)
    return offset_fetch.OffsetFetchResponse(
        topics=[
            offset_fetch.OffsetFetchResponseTopic(
                name=topic.name,
                partitions=[
                    offset_fetch.OffsetFetchResponsePartition(
                        partition_index=index, committed_offset=-1, metadata="", error_code=code
                    )
                    for index in topic.partition_indexes
                ],
            )
            for topic in request.topics or ()
        ]
    )


def _find_coordinator(
    request: find_coordinator.FindCoordinatorRequest,
    version: int,
    code: ErrorCode,
    message: str | None,
) -> Message:
    text = code.message if message is None else message
    if version < 4:
        return find_coordinator.FindCoordinatorResponse(
            error_code=code, error_message=text, node_id=-1, host="", port=-1
        )
    return find_coordinator.FindCoordinatorResponse(
        coordinators=[
            find_coordinator.Coordinator(
                key=key, node_id=-1, host="", port=-1, error_code=code, error_message=text
            )
            for key in request.coordinator_keys
        ]
    )


def _describe_groups(
    request: describe_groups.DescribeGroupsRequest,
    version: int,
    code: ErrorCode,
    message: str | None,
) -> Message:
    return describe_groups.DescribeGroupsResponse(
        groups=[
            describe_groups.DescribedGroup(
                group_id=group, error_code=code, error_message=message if version >= 6 else None
            )
            for group in request.groups
        ]
    )


def _delete_groups(
    request: delete_groups.DeleteGroupsRequest, version: int, code: ErrorCode, message: str | None
) -> Message:
    return delete_groups.DeleteGroupsResponse(
        results=[
            delete_groups.DeletableGroupResult(group_id=group, error_code=code)
            for group in request.groups_names
        ]
    )


def _create_topics(
    request: create_topics.CreateTopicsRequest, version: int, code: ErrorCode, message: str | None
) -> Message:
    return create_topics.CreateTopicsResponse(
        topics=[
            create_topics.CreatableTopicResult(
                name=topic.name, error_code=code, error_message=message
            )
            for topic in request.topics
        ]
    )


def _delete_topics(
    request: delete_topics.DeleteTopicsRequest, version: int, code: ErrorCode, message: str | None
) -> Message:
    if version >= 6:
        results = [
            delete_topics.DeletableTopicResult(
                name=topic.name, topic_id=topic.topic_id, error_code=code, error_message=message
            )
            for topic in request.topics
        ]
    else:
        results = [
            delete_topics.DeletableTopicResult(name=name, error_code=code)
            for name in request.topic_names
        ]
    return delete_topics.DeleteTopicsResponse(responses=results)


def _create_partitions(
    request: create_partitions.CreatePartitionsRequest,
    version: int,
    code: ErrorCode,
    message: str | None,
) -> Message:
    return create_partitions.CreatePartitionsResponse(
        results=[
            create_partitions.CreatePartitionsTopicResult(
                name=topic.name, error_code=code, error_message=message
            )
            for topic in request.topics
        ]
    )


def _offset_for_leader_epoch(
    request: offset_for_leader_epoch.OffsetForLeaderEpochRequest,
    version: int,
    code: ErrorCode,
    message: str | None,
) -> Message:
    return offset_for_leader_epoch.OffsetForLeaderEpochResponse(
        topics=[
            offset_for_leader_epoch.OffsetForLeaderTopicResult(
                topic=topic.topic,
                partitions=[
                    offset_for_leader_epoch.EpochEndOffset(
                        partition=p.partition, error_code=code, leader_epoch=-1, end_offset=-1
                    )
                    for p in topic.partitions
                ],
            )
            for topic in request.topics
        ]
    )


def _describe_configs(
    request: describe_configs.DescribeConfigsRequest,
    version: int,
    code: ErrorCode,
    message: str | None,
) -> Message:
    return describe_configs.DescribeConfigsResponse(
        results=[
            describe_configs.DescribeConfigsResult(
                error_code=code,
                error_message=code.message,  # Kafka says no more here, whatever it was
                resource_type=resource.resource_type,
                resource_name=resource.resource_name,
            )
            for resource in request.resources
        ]
    )


def _incremental_alter_configs(
    request: incremental_alter_configs.IncrementalAlterConfigsRequest,
    version: int,
    code: ErrorCode,
    message: str | None,
) -> Message:
    return incremental_alter_configs.IncrementalAlterConfigsResponse(
        responses=[
            incremental_alter_configs.AlterConfigsResourceResponse(
                error_code=code,
                error_message=message,
                resource_type=resource.resource_type,
                resource_name=resource.resource_name,
            )
            for resource in request.resources
        ]
    )


def _describe_topic_partitions(
    request: describe_topic_partitions.DescribeTopicPartitionsRequest,
    version: int,
    code: ErrorCode,
    message: str | None,
) -> Message:
    return describe_topic_partitions.DescribeTopicPartitionsResponse(
        topics=[
            describe_topic_partitions.DescribeTopicPartitionsResponseTopic(
                name=topic.name, error_code=code
            )
            for topic in request.topics
        ]
    )


_SPECIAL: dict[type[Message], Callable[[Any, int, ErrorCode, str | None], Message | None]] = {
    produce.ProduceRequest: _produce,
    fetch.FetchRequest: _fetch,
    list_offsets.ListOffsetsRequest: _list_offsets,
    metadata.MetadataRequest: _metadata,
    offset_commit.OffsetCommitRequest: _offset_commit,
    offset_fetch.OffsetFetchRequest: _offset_fetch,
    find_coordinator.FindCoordinatorRequest: _find_coordinator,
    describe_groups.DescribeGroupsRequest: _describe_groups,
    delete_groups.DeleteGroupsRequest: _delete_groups,
    create_topics.CreateTopicsRequest: _create_topics,
    delete_topics.DeleteTopicsRequest: _delete_topics,
    create_partitions.CreatePartitionsRequest: _create_partitions,
    offset_for_leader_epoch.OffsetForLeaderEpochRequest: _offset_for_leader_epoch,
    describe_configs.DescribeConfigsRequest: _describe_configs,
    incremental_alter_configs.IncrementalAlterConfigsRequest: _incremental_alter_configs,
    describe_topic_partitions.DescribeTopicPartitionsRequest: _describe_topic_partitions,
}
