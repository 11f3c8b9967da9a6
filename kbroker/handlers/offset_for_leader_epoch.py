"""OffsetForLeaderEpoch (key 23), v2-4: where the log of a leader epoch ends.

A client learns from it whether records that it has read were truncated (KIP-101, KIP-320). A
request that names another current leader epoch than the partition has is refused. For an epoch that
the log does not know yet, the epoch and the offset in the answer are -1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbroker.errors import refusal
from kbroker.wire.messages.offset_for_leader_epoch import (
    EpochEndOffset,
    OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse,
    OffsetForLeaderTopicResult,
)

if TYPE_CHECKING:
    from kbroker.requests.services import RequestContext
    from kbroker.wire.errors import ErrorCode
    from kbroker.wire.messages.offset_for_leader_epoch import OffsetForLeaderPartition


def handle(
    request: OffsetForLeaderEpochRequest, ctx: RequestContext
) -> OffsetForLeaderEpochResponse:
    return OffsetForLeaderEpochResponse(
        topics=[
            OffsetForLeaderTopicResult(
                topic=topic.topic,
                partitions=[_answer(topic.topic, wanted, ctx) for wanted in topic.partitions],
            )
            for topic in request.topics
        ]
    )


def refuse(
    request: OffsetForLeaderEpochRequest, version: int, code: ErrorCode, message: str | None
) -> OffsetForLeaderEpochResponse:
    return OffsetForLeaderEpochResponse(
        topics=[
            OffsetForLeaderTopicResult(
                topic=topic.topic,
                partitions=[
                    EpochEndOffset(
                        partition=wanted.partition, error_code=code, leader_epoch=-1, end_offset=-1
                    )
                    for wanted in topic.partitions
                ],
            )
            for topic in request.topics
        ]
    )


def _answer(topic: str, wanted: OffsetForLeaderPartition, ctx: RequestContext) -> EpochEndOffset:
    answer = EpochEndOffset(partition=wanted.partition, leader_epoch=-1, end_offset=-1)
    try:
        partition = ctx.services.partitions.leader(
            topic, wanted.partition, wanted.current_leader_epoch
        )
        found = partition.log.epochs.end_offset_for(
            wanted.leader_epoch, partition.log.log_end_offset
        )
        answer.leader_epoch, answer.end_offset = found
    except Exception as error:
        what = f"OffsetForLeaderEpoch of {topic}-{wanted.partition}"
        answer.error_code = refusal(error, what).code
    return answer
