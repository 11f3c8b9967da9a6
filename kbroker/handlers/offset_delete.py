"""OffsetDelete (key 47), v0 (KIP-496): deletes the committed offsets of topics that no member of
the group reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kbroker.requests.parts import NAME, each_once
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteRequestTopic,
    OffsetDeleteResponse,
    OffsetDeleteResponsePartition,
    OffsetDeleteResponseTopic,
)

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from kbroker.requests.services import RequestContext


def handle(
    request: OffsetDeleteRequest, ctx: RequestContext
) -> OffsetDeleteResponse | Coroutine[Any, Any, OffsetDeleteResponse]:
    """The group is asked even if none of the topics exists: its error is the response's."""
    image = ctx.services.image
    unknown: list[OffsetDeleteResponseTopic] = []
    known: list[OffsetDeleteRequestTopic] = []
    for asked in request.topics:
        topic = image.topics.get(asked.name)
        partitions = topic.partitions if topic is not None else {}
        missing = [p for p in asked.partitions if p.partition_index not in partitions]
        if missing or topic is None:
            errors = [
                OffsetDeleteResponsePartition(
                    partition_index=p.partition_index,
                    error_code=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
                )
                for p in missing
            ]
            unknown.append(OffsetDeleteResponseTopic(name=asked.name, partitions=errors))
        present = [p for p in asked.partitions if p.partition_index in partitions]
        if present:
            known.append(OffsetDeleteRequestTopic(name=asked.name, partitions=present))
    request.topics = known
    answer = ctx.services.groups.delete_offsets(request)
    if isinstance(answer, OffsetDeleteResponse):
        return _merge(unknown, answer)
    return _wait(unknown, answer)


async def _wait(
    unknown: list[OffsetDeleteResponseTopic],
    answer: Coroutine[Any, Any, OffsetDeleteResponse],
) -> OffsetDeleteResponse:
    return _merge(unknown, await answer)


def _merge(
    unknown: list[OffsetDeleteResponseTopic], response: OffsetDeleteResponse
) -> OffsetDeleteResponse:
    """Each topic once, what failed first; an error of the group says it all."""
    if response.error_code != ErrorCode.NONE or not unknown:
        return response
    return OffsetDeleteResponse(topics=each_once((*unknown, *response.topics), NAME))
