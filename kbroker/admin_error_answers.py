"""`error_answers` for the requests of administrators, which a broker's start need not wait for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kbroker.wire.messages import (
    alter_configs,
    alter_partition_reassignments,
    alter_replica_log_dirs,
    delete_records,
    describe_producers,
    elect_leaders,
    list_partition_reassignments,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kbroker.wire.errors import ErrorCode
    from kbroker.wire.message import Message


def _alter_replica_log_dirs(
    request: alter_replica_log_dirs.AlterReplicaLogDirsRequest,
    version: int,
    code: ErrorCode,
    message: str | None,
) -> Message:
    return alter_replica_log_dirs.AlterReplicaLogDirsResponse(
        results=[
            alter_replica_log_dirs.AlterReplicaLogDirTopicResult(
                topic_name=topic.name,
                partitions=[
                    alter_replica_log_dirs.AlterReplicaLogDirPartitionResult(
                        partition_index=index, error_code=code
                    )
                    for index in topic.partitions
                ],
            )
            for directory in request.dirs
            for topic in directory.topics
        ]
    )


def _delete_records(
    request: delete_records.DeleteRecordsRequest, version: int, code: ErrorCode, message: str | None
) -> Message:
    return delete_records.DeleteRecordsResponse(
        topics=[
            delete_records.DeleteRecordsTopicResult(
                name=topic.name,
                partitions=[
                    delete_records.DeleteRecordsPartitionResult(
                        partition_index=p.partition_index, low_watermark=-1, error_code=code
                    )
                    for p in topic.partitions
                ],
            )
            for topic in request.topics
        ]
    )


def _describe_producers(
    request: describe_producers.DescribeProducersRequest,
    version: int,
    code: ErrorCode,
    message: str | None,
) -> Message:
    return describe_producers.DescribeProducersResponse(
        topics=[
            describe_producers.TopicResponse(
                name=topic.name,
                partitions=[
                    describe_producers.PartitionResponse(
                        partition_index=index, error_code=code, error_message=message
                    )
                    for index in topic.partition_indexes
                ],
            )
            for topic in request.topics
        ]
    )


def _alter_configs(
    request: alter_configs.AlterConfigsRequest, version: int, code: ErrorCode, message: str | None
) -> Message:
    return alter_configs.AlterConfigsResponse(
        responses=[
            alter_configs.AlterConfigsResourceResponse(
                error_code=code,
                error_message=message,
                resource_type=resource.resource_type,
                resource_name=resource.resource_name,
            )
            for resource in request.resources
        ]
    )


def _elect_leaders(
    request: elect_leaders.ElectLeadersRequest, version: int, code: ErrorCode, message: str | None
) -> Message:
    return elect_leaders.ElectLeadersResponse(
        error_code=code if version >= 1 else 0,
        replica_election_results=[
            elect_leaders.ReplicaElectionResult(
                topic=topic.topic,
                partition_result=[
                    elect_leaders.PartitionResult(
                        partition_id=index, error_code=code, error_message=message
                    )
                    for index in topic.partitions
                ],
            )
            for topic in request.topic_partitions or ()
        ],
    )


def _alter_partition_reassignments(
    request: alter_partition_reassignments.AlterPartitionReassignmentsRequest,
    version: int,
    code: ErrorCode,
    message: str | None,
) -> Message:
    return alter_partition_reassignments.AlterPartitionReassignmentsResponse(
        error_code=code,
        error_message=message,
        responses=[
            alter_partition_reassignments.ReassignableTopicResponse(
                name=topic.name,
                partitions=[
                    alter_partition_reassignments.ReassignablePartitionResponse(
                        partition_index=p.partition_index, error_code=code, error_message=message
                    )
                    for p in topic.partitions
                ],
            )
            for topic in request.topics
        ],
    )


def _list_partition_reassignments(
    request: list_partition_reassignments.ListPartitionReassignmentsRequest,
    version: int,
    code: ErrorCode,
    message: str | None,
) -> Message:
    return list_partition_reassignments.ListPartitionReassignmentsResponse(
        error_code=code,
        error_message=message,
        topics=[
            list_partition_reassignments.OngoingTopicReassignment(
                name=topic.name,
                partitions=[
                    list_partition_reassignments.OngoingPartitionReassignment(partition_index=index)
                    for index in topic.partition_indexes
                ],
            )
            for topic in request.topics or ()
        ],
    )


ANSWERS: Final[Mapping[type[Message], Callable[[Any, int, ErrorCode, str | None], Message]]] = {
    alter_replica_log_dirs.AlterReplicaLogDirsRequest: _alter_replica_log_dirs,
    delete_records.DeleteRecordsRequest: _delete_records,
    describe_producers.DescribeProducersRequest: _describe_producers,
    alter_configs.AlterConfigsRequest: _alter_configs,
    elect_leaders.ElectLeadersRequest: _elect_leaders,
    alter_partition_reassignments.AlterPartitionReassignmentsRequest: (
        _alter_partition_reassignments
    ),
    list_partition_reassignments.ListPartitionReassignmentsRequest: _list_partition_reassignments,
}
