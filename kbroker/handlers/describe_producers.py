"""DescribeProducers (key 61), v0 (KIP-664): the producers that the leaders of partitions
remember.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbroker.controller.topic_names import invalid_topic_name
from kbroker.errors import refusal
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.describe_producers import (
    DescribeProducersResponse,
    PartitionResponse,
    ProducerState,
    TopicResponse,
)

if TYPE_CHECKING:
    from kbroker.requests.services import RequestContext
    from kbroker.storage.producer_entry import ProducerStateEntry
    from kbroker.wire.messages.describe_producers import DescribeProducersRequest


def handle(request: DescribeProducersRequest, ctx: RequestContext) -> DescribeProducersResponse:
    response = DescribeProducersResponse()
    for topic in request.topics:
        code, message = _topic_error(topic.name, ctx)
        response.topics.append(
            TopicResponse(
                name=topic.name,
                partitions=[
                    PartitionResponse(partition_index=index, error_code=code, error_message=message)
                    if code
                    else _partition(topic.name, index, ctx)
                    for index in topic.partition_indexes
                ],
            )
        )
    return response


def refuse(
    request: DescribeProducersRequest, version: int, code: ErrorCode, message: str | None
) -> DescribeProducersResponse:
    return DescribeProducersResponse(
        topics=[
            TopicResponse(
                name=topic.name,
                partitions=[
                    PartitionResponse(partition_index=index, error_code=code, error_message=message)
                    for index in topic.partition_indexes
                ],
            )
            for topic in request.topics
        ]
    )


def _topic_error(name: str, ctx: RequestContext) -> tuple[ErrorCode, str | None]:
    try:
        problem = invalid_topic_name(name)
    except Exception as error:
        return refusal(error, f"DescribeProducers of {name}").code, None
    if problem is not None:
        return ErrorCode.INVALID_TOPIC_EXCEPTION, problem
    if name not in ctx.services.image.topics:
        missing = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        return missing, missing.message
    return ErrorCode.NONE, None


def _partition(topic: str, index: int, ctx: RequestContext) -> PartitionResponse:
    """Errors of a partition have no message, as Kafka's have none."""
    answer = PartitionResponse(partition_index=index)
    try:
        entries = ctx.services.partitions.leader(topic, index).log.producers.producers
        answer.active_producers = [_state(entry) for entry in entries.values()]
    except Exception as error:
        answer.error_code = refusal(error, f"DescribeProducers of {topic}-{index}").code
    return answer


def _state(entry: ProducerStateEntry) -> ProducerState:
    start_offset = entry.current_transaction_first_offset
    return ProducerState(
        producer_id=entry.producer_id,
        producer_epoch=entry.producer_epoch,
        last_sequence=entry.last_sequence,
        last_timestamp=entry.last_timestamp,
        coordinator_epoch=entry.coordinator_epoch,
        current_txn_start_offset=-1 if start_offset is None else start_offset,
    )
