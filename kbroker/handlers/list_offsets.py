"""ListOffsets (key 2), v1-11: the offset for a timestamp, or for one of Kafka's negative
timestamps, such as that of the end of the log.

v2 isolation level - v4 leader epochs (KIP-320) - v7 max timestamp (KIP-734) - v8 earliest local
(KIP-405) - v9 latest tiered (KIP-1005) - v10 timeout (KIP-1075) - v11 earliest pending upload
(KIP-1023)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbroker.errors import refusal
from kbroker.requests.parts import NAME, each_once
from kbroker.storage.timestamp_search import offset_for_timestamp, offset_of_max_timestamp
from kbroker.wire.errors import ErrorCode, RequestError
from kbroker.wire.messages.list_offsets import (
    ListOffsetsPartitionResponse,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopicResponse,
)

if TYPE_CHECKING:
    from kbroker.requests.services import RequestContext
    from kbroker.wire.messages.list_offsets import ListOffsetsPartition

LATEST, EARLIEST, MAX_TIMESTAMP = -1, -2, -3
EARLIEST_LOCAL, LATEST_TIERED, EARLIEST_PENDING_UPLOAD = -4, -5, -6
# Kafka's ReplicaManager.timestampMinSupportedVersion.
MIN_VERSION_OF = {
    LATEST: 1,
    EARLIEST: 1,
    MAX_TIMESTAMP: 7,
    EARLIEST_LOCAL: 8,
    LATEST_TIERED: 9,
    EARLIEST_PENDING_UPLOAD: 11,
}
NEVER = 1 << 15
CONSUMER_REPLICA_ID = -1
ISOLATION_LEVELS = (0, 1)  # read uncommitted, read committed


def handle(request: ListOffsetsRequest, ctx: RequestContext) -> ListOffsetsResponse:
    if request.isolation_level not in ISOLATION_LEVELS:
        raise RequestError(
            ErrorCode.INVALID_REQUEST, f"unknown isolation level {request.isolation_level}"
        )
    seen: set[tuple[str, int]] = set()
    twice: set[tuple[str, int]] = set()
    for topic in request.topics:
        for wanted in topic.partitions:
            key = (topic.name, wanted.partition_index)
            (twice if key in seen else seen).add(key)
    topics = request.topics
    if len(topics) > 1:
        topics = each_once((topic for topic in topics if topic.partitions), NAME)
    response = ListOffsetsResponse()
    for topic in topics:
        if not topic.partitions:
            continue
        answers: list[ListOffsetsPartitionResponse] = []
        response.topics.append(ListOffsetsTopicResponse(name=topic.name, partitions=answers))
        for wanted in topic.partitions:
            key = (topic.name, wanted.partition_index)
            if key in twice:
                # One answer for all of its mentions, as Kafka's maps by topic and partition give.
                if key in seen:
                    seen.remove(key)
                    answers.append(_failure(wanted, ErrorCode.INVALID_REQUEST))
                continue
            answers.append(_answer(topic.name, wanted, request, ctx))
    return response


def refuse(
    request: ListOffsetsRequest, version: int, code: ErrorCode, message: str | None
) -> ListOffsetsResponse:
    return ListOffsetsResponse(
        topics=[
            ListOffsetsTopicResponse(
                name=topic.name,
                partitions=[_failure(wanted, code) for wanted in topic.partitions],
            )
            for topic in request.topics
        ]
    )


def _answer(
    topic: str, wanted: ListOffsetsPartition, request: ListOffsetsRequest, ctx: RequestContext
) -> ListOffsetsPartitionResponse:
    timestamp = wanted.timestamp
    if timestamp < 0 and ctx.api_version < MIN_VERSION_OF.get(timestamp, NEVER):
        return _failure(wanted, ErrorCode.UNSUPPORTED_VERSION)
    try:
        offset, found_timestamp, epoch = _look_up(topic, wanted, request, ctx)
    except Exception as error:
        refused = refusal(error, f"ListOffsets of {topic}-{wanted.partition_index}")
        return _failure(wanted, refused.code)
    answer = ListOffsetsPartitionResponse(
        partition_index=wanted.partition_index, offset=offset, timestamp=found_timestamp
    )
    if ctx.api_version >= 4:
        answer.leader_epoch = epoch
    return answer


def _look_up(
    topic: str, wanted: ListOffsetsPartition, request: ListOffsetsRequest, ctx: RequestContext
) -> tuple[int, int, int]:
    """(offset, timestamp, leader epoch), each -1 where there is none."""
    partition = ctx.services.partitions.leader(
        topic, wanted.partition_index, wanted.current_leader_epoch
    )
    log = partition.log
    if request.replica_id == CONSUMER_REPLICA_ID:
        end_offset = partition.readable_end(request.isolation_level)
    else:
        end_offset = log.log_end_offset
    if wanted.timestamp == LATEST:
        return end_offset, -1, partition.leader_epoch
    if wanted.timestamp in (EARLIEST, EARLIEST_LOCAL):
        epoch = log.epochs.epoch_for_offset(log.log_start_offset)
        return log.log_start_offset, -1, -1 if epoch is None else epoch
    if wanted.timestamp in (LATEST_TIERED, EARLIEST_PENDING_UPLOAD):
        return -1, -1, -1  # nothing is tiered without remote storage
    if wanted.timestamp == MAX_TIMESTAMP:
        found = offset_of_max_timestamp(log, end_offset)
    else:
        found = offset_for_timestamp(log, wanted.timestamp, end_offset)
    if found is None:
        return -1, -1, -1
    return found.offset, found.timestamp, found.leader_epoch


def _failure(wanted: ListOffsetsPartition, code: ErrorCode) -> ListOffsetsPartitionResponse:
    return ListOffsetsPartitionResponse(
        partition_index=wanted.partition_index, error_code=code, timestamp=-1, offset=-1
    )
