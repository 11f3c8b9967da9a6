"""DeleteRecords (key 21), v0-2 (KIP-107): deletes the records of partitions below an offset.

The log starts at that offset at once. The next pass of retention frees the room.
v1 no change in content - v2 flexible
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kbroker.controller.topic_names import INTERNAL_TOPICS
from kbroker.errors import refusal
from kbroker.wire.errors import ErrorCode, RequestError
from kbroker.wire.messages.delete_records import (
    DeleteRecordsPartitionResult,
    DeleteRecordsResponse,
    DeleteRecordsTopicResult,
)

if TYPE_CHECKING:
    from kbroker.requests.services import RequestContext
    from kbroker.wire.messages.delete_records import DeleteRecordsRequest

UNKNOWN_LOW_WATERMARK: Final = -1


def handle(request: DeleteRecordsRequest, ctx: RequestContext) -> DeleteRecordsResponse:
    """One answer a partition: of several mentions the last one counts."""
    wanted: dict[str, dict[int, int]] = {}
    for topic in request.topics:
        for each in topic.partitions:
            wanted.setdefault(topic.name, {})[each.partition_index] = each.offset
    return DeleteRecordsResponse(
        topics=[
            DeleteRecordsTopicResult(
                name=name,
                partitions=[_answer(name, index, offset, ctx) for index, offset in offsets.items()],
            )
            for name, offsets in wanted.items()
        ]
    )


def refuse(
    request: DeleteRecordsRequest, version: int, code: ErrorCode, message: str | None
) -> DeleteRecordsResponse:
    return DeleteRecordsResponse(
        topics=[
            DeleteRecordsTopicResult(
                name=topic.name,
                partitions=[
                    DeleteRecordsPartitionResult(
                        partition_index=p.partition_index,
                        low_watermark=UNKNOWN_LOW_WATERMARK,
                        error_code=code,
                    )
                    for p in topic.partitions
                ],
            )
            for topic in request.topics
        ]
    )


def _answer(
    topic: str, index: int, offset: int, ctx: RequestContext
) -> DeleteRecordsPartitionResult:
    try:
        low_watermark, code = _delete(topic, index, offset, ctx), ErrorCode.NONE
    except Exception as error:
        low_watermark = UNKNOWN_LOW_WATERMARK
        code = refusal(error, f"DeleteRecords of {topic}-{index}").code
    return DeleteRecordsPartitionResult(
        partition_index=index, low_watermark=low_watermark, error_code=code
    )


def _delete(topic: str, index: int, offset: int, ctx: RequestContext) -> int:
    """The low watermark. RequestError, StorageError."""
    known = ctx.services.image.topics.get(topic)
    if known is None or index not in known.partitions:
        raise RequestError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    if topic in INTERNAL_TOPICS:
        raise RequestError(ErrorCode.INVALID_TOPIC_EXCEPTION)
    return ctx.services.partitions.leader(topic, index).delete_records(offset)
