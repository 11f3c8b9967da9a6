"""DeleteTopics (key 20), v1-6: deletes topics.

Decided in `controller/state/delete_topics.py`. When the answer is sent, the topics are gone from
this broker.
v3 TOPIC_DELETION_DISABLED - v4 flexible - v5 error messages (KIP-599) - v6 topic ids (KIP-516)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.delete_topics import DeletableTopicResult, DeleteTopicsResponse

if TYPE_CHECKING:
    from kbroker.requests.services import RequestContext
    from kbroker.wire.messages.delete_topics import DeleteTopicsRequest

DELETION_DISABLED_SINCE: Final = 3
TOPICS_SINCE: Final = 6  # with names or ids, where earlier versions have names


async def handle(request: DeleteTopicsRequest, ctx: RequestContext) -> DeleteTopicsResponse:
    response = await ctx.services.controller.send(request)
    if ctx.api_version < DELETION_DISABLED_SINCE:
        for result in response.responses:
            if result.error_code == ErrorCode.TOPIC_DELETION_DISABLED:
                result.error_code = ErrorCode.INVALID_REQUEST
    return response


def refuse(
    request: DeleteTopicsRequest, version: int, code: ErrorCode, message: str | None
) -> DeleteTopicsResponse:
    if version >= TOPICS_SINCE:
        results = [
            DeletableTopicResult(
                name=topic.name, topic_id=topic.topic_id, error_code=code, error_message=message
            )
            for topic in request.topics
        ]
    else:
        results = [DeletableTopicResult(name=name, error_code=code) for name in request.topic_names]
    return DeleteTopicsResponse(responses=results)
