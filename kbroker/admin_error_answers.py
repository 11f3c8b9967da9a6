"""`error_answers` for the requests of administrators, which a broker's start need not wait for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kbroker.wire.messages import alter_configs, delete_records, describe_producers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kbroker.wire.errors import ErrorCode
    from kbroker.wire.message import Message


def _delete_records(
    request: delete_records.DeleteRecordsRequest, code: ErrorCode, message: str | None
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
    request: describe_producers.DescribeProducersRequest, code: ErrorCode, message: str | None
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
    request: alter_configs.AlterConfigsRequest, code: ErrorCode, message: str | None
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


ANSWERS: Final[Mapping[type[Message], Callable[[Any, ErrorCode, str | None], Message]]] = {
    delete_records.DeleteRecordsRequest: _delete_records,
    describe_producers.DescribeProducersRequest: _describe_producers,
    alter_configs.AlterConfigsRequest: _alter_configs,
}
