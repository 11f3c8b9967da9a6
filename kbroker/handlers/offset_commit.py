"""OffsetCommit (key 8), v2-10: a group, or a consumer without a group, commits its positions.

v2-4 have a retention time of their own - v6 leader epoch (KIP-320) - v7 static members (KIP-345) -
v9 GROUP_ID_NOT_FOUND - v10 topic ids (KIP-848)
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from kbroker.coordinators.group_errors import commit_error
from kbroker.errors import refusal
from kbroker.requests.parts import each_once
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitResponse,
    OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
)

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from kbroker.requests.services import RequestContext
    from kbroker.wire.messages.offset_commit import (
        OffsetCommitRequestPartition,
        OffsetCommitRequestTopic,
    )

VERSION_WITH_TOPIC_IDS: Final = 10
NAME_AND_ID: Final = attrgetter("name", "topic_id")


def handle(
    request: OffsetCommitRequest, ctx: RequestContext
) -> OffsetCommitResponse | Coroutine[Any, Any, OffsetCommitResponse]:
    unknown = _take_out_unknown(request, ctx)
    if not request.topics:
        # Nothing is left to ask the group.
        return _merge(unknown, OffsetCommitResponse())
    try:
        answer = ctx.services.groups.commit_offsets(request, ctx.api_version)
    except Exception as error:
        return _merge(unknown, _refused(request, error))
    if not unknown:
        return answer
    if isinstance(answer, OffsetCommitResponse):
        return _merge(unknown, answer)
    return _wait_and_merge(unknown, request, answer)


def refuse(
    request: OffsetCommitRequest, version: int, code: ErrorCode, message: str | None
) -> OffsetCommitResponse:
    return commit_error(request, code)


def _refused(request: OffsetCommitRequest, error: Exception) -> OffsetCommitResponse:
    """Of what is left in the request; errors of what was taken out stand."""
    return commit_error(request, refusal(error, f"OffsetCommit of group {request.group_id!r}").code)


def _take_out_unknown(
    request: OffsetCommitRequest, ctx: RequestContext
) -> list[OffsetCommitResponseTopic]:
    """Leaves in the request the partitions that exist, with their topic's name and id; errors for
    the others. A topic without partitions is not answered.
    """
    image = ctx.services.image
    by_id = ctx.api_version >= VERSION_WITH_TOPIC_IDS
    unknown: list[OffsetCommitResponseTopic] = []
    known: list[OffsetCommitRequestTopic] = []
    for asked in request.topics:
        topic = image.topics_by_id.get(asked.topic_id) if by_id else image.topics.get(asked.name)
        if topic is None:
            error = ErrorCode.UNKNOWN_TOPIC_ID if by_id else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            unknown.append(_failed(asked, asked.partitions, error))
            continue
        asked.name = topic.name
        asked.topic_id = topic.topic_id
        partitions = topic.partitions
        missing = [p for p in asked.partitions if p.partition_index not in partitions]
        if missing:
            unknown.append(_failed(asked, missing, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION))
            asked.partitions = [p for p in asked.partitions if p.partition_index in partitions]
        if asked.partitions:
            known.append(asked)
    if len(known) < len(request.topics):
        request.topics = known
    return unknown


def _failed(
    topic: OffsetCommitRequestTopic,
    partitions: list[OffsetCommitRequestPartition],
    error: ErrorCode,
) -> OffsetCommitResponseTopic:
    return OffsetCommitResponseTopic(
        name=topic.name,
        topic_id=topic.topic_id,
        partitions=[
            OffsetCommitResponsePartition(partition_index=p.partition_index, error_code=error)
            for p in partitions
        ],
    )


async def _wait_and_merge(
    unknown: list[OffsetCommitResponseTopic],
    request: OffsetCommitRequest,
    answer: Coroutine[Any, Any, OffsetCommitResponse],
) -> OffsetCommitResponse:
    try:
        response = await answer
    except Exception as error:
        response = _refused(request, error)
    return _merge(unknown, response)


def _merge(
    unknown: list[OffsetCommitResponseTopic], response: OffsetCommitResponse
) -> OffsetCommitResponse:
    """Each topic once, what failed first (OffsetCommitResponse.Builder)."""
    return OffsetCommitResponse(topics=each_once((*unknown, *response.topics), NAME_AND_ID))
