"""OffsetFetch (key 9), v1-10: the offsets that groups have committed.

v2 all topics, an error code for the group - v5 leader epoch (KIP-320) - v7 require stable (KIP-447)
- v8 several groups (KIP-709) - v9 member of a consumer group (KIP-848) - v10 topic ids
"""

from __future__ import annotations

from inspect import iscoroutine
from typing import TYPE_CHECKING, Any, Final

from kbroker.coordinators.group_errors import fetch_error
from kbroker.errors import refusal
from kbroker.wire.errors import ErrorCode
from kbroker.wire.message import ZERO_UUID
from kbroker.wire.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopics,
    OffsetFetchResponse,
    OffsetFetchResponseGroup,
    OffsetFetchResponsePartition,
    OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
)

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from kbroker.controller.image import MetadataImage
    from kbroker.requests.services import RequestContext

    Answer = OffsetFetchResponseGroup | Coroutine[Any, Any, OffsetFetchResponseGroup]

VERSION_WITH_GROUPS: Final = 8
VERSION_WITH_TOPIC_IDS: Final = 10
INVALID_OFFSET: Final = -1


def handle(
    request: OffsetFetchRequest, ctx: RequestContext
) -> OffsetFetchResponse | Coroutine[Any, Any, OffsetFetchResponse]:
    answers = [
        _fetch(group, ctx, require_stable=request.require_stable)
        for group in _groups(request, ctx.api_version)
    ]
    if any(map(iscoroutine, answers)):
        return _wait(answers, ctx)
    return _respond(
        [a for a in answers if isinstance(a, OffsetFetchResponseGroup)], ctx.api_version
    )


def refuse(
    request: OffsetFetchRequest, version: int, code: ErrorCode, message: str | None
) -> OffsetFetchResponse:
    groups = _groups(request, version)
    return _respond([fetch_error(group, version, code) for group in groups], version)


def _fetch(group: OffsetFetchRequestGroup, ctx: RequestContext, *, require_stable: bool) -> Answer:
    """The answer for one group."""
    try:
        unknown = _name_topics(group, ctx)
        answer = ctx.services.groups.fetch_offsets(
            group, ctx.api_version, require_stable=require_stable
        )
        if isinstance(answer, OffsetFetchResponseGroup):
            return _complete(answer, unknown, ctx)
        return _wait_for(answer, unknown, group, ctx)
    except Exception as error:
        return _refused(group, ctx, error)


async def _wait_for(
    answer: Coroutine[Any, Any, OffsetFetchResponseGroup],
    unknown: list[OffsetFetchResponseTopics],
    group: OffsetFetchRequestGroup,
    ctx: RequestContext,
) -> OffsetFetchResponseGroup:
    try:
        return _complete(await answer, unknown, ctx)
    except Exception as error:
        return _refused(group, ctx, error)


def _refused(
    group: OffsetFetchRequestGroup, ctx: RequestContext, error: Exception
) -> OffsetFetchResponseGroup:
    refused = refusal(error, f"OffsetFetch of group {group.group_id!r}")
    return fetch_error(group, ctx.api_version, refused.code)


def _complete(
    group: OffsetFetchResponseGroup, unknown: list[OffsetFetchResponseTopics], ctx: RequestContext
) -> OffsetFetchResponseGroup:
    """Ids where they are asked for, and the topics that nobody knows."""
    if ctx.api_version >= VERSION_WITH_TOPIC_IDS:
        _give_ids(group, ctx.services.image)
    if group.error_code == ErrorCode.NONE:
        group.topics += unknown
    return group


async def _wait(answers: list[Answer], ctx: RequestContext) -> OffsetFetchResponse:
    groups = [a if isinstance(a, OffsetFetchResponseGroup) else await a for a in answers]
    return _respond(groups, ctx.api_version)


def _respond(groups: list[OffsetFetchResponseGroup], api_version: int) -> OffsetFetchResponse:
    if api_version >= VERSION_WITH_GROUPS:
        return OffsetFetchResponse(groups=groups)
    (group,) = groups
    return OffsetFetchResponse(
        error_code=group.error_code,
        topics=[
            OffsetFetchResponseTopic(
                name=topic.name,
                partitions=[
                    OffsetFetchResponsePartition(
                        partition_index=p.partition_index,
                        committed_offset=p.committed_offset,
                        committed_leader_epoch=p.committed_leader_epoch,
                        metadata=p.metadata,
                        error_code=p.error_code,
                    )
                    for p in topic.partitions
                ],
            )
            for topic in group.topics
        ],
    )


def _groups(request: OffsetFetchRequest, api_version: int) -> list[OffsetFetchRequestGroup]:
    """A request for one group in the form of those for several."""
    if api_version >= VERSION_WITH_GROUPS:
        return request.groups
    topics = None
    if request.topics is not None:
        topics = [
            OffsetFetchRequestTopics(name=topic.name, partition_indexes=topic.partition_indexes)
            for topic in request.topics
        ]
    return [OffsetFetchRequestGroup(group_id=request.group_id, topics=topics)]


def _name_topics(
    group: OffsetFetchRequestGroup, ctx: RequestContext
) -> list[OffsetFetchResponseTopics]:
    """Names for ids (v10); topics whose id nobody knows are taken out and their errors returned."""
    if ctx.api_version < VERSION_WITH_TOPIC_IDS or group.topics is None:
        return []
    known: list[OffsetFetchRequestTopics] = []
    unknown: list[OffsetFetchResponseTopics] = []
    for asked in group.topics:
        topic = ctx.services.image.topics_by_id.get(asked.topic_id)
        if topic is not None:
            asked.name = topic.name
            known.append(asked)
            continue
        unknown.append(
            OffsetFetchResponseTopics(
                topic_id=asked.topic_id,
                partitions=[
                    OffsetFetchResponsePartitions(
                        partition_index=index,
                        committed_offset=INVALID_OFFSET,
                        error_code=ErrorCode.UNKNOWN_TOPIC_ID,
                    )
                    for index in asked.partition_indexes
                ],
            )
        )
    group.topics = known
    return unknown


def _give_ids(group: OffsetFetchResponseGroup, image: MetadataImage) -> None:
    """Of all topics of a group (v10) only those are told that still exist, and so have an id."""
    for topic in group.topics:
        if topic.topic_id == ZERO_UUID and topic.name in image.topics:
            topic.topic_id = image.topics[topic.name].topic_id
    group.topics = [topic for topic in group.topics if topic.topic_id != ZERO_UUID]
