"""CreatePartitions (key 37), v0-3: asks the controller; the partitions have leaders when it
answers.

v2 flexible
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbroker.wire.messages.create_partitions import (
    CreatePartitionsResponse,
    CreatePartitionsTopicResult,
)

if TYPE_CHECKING:
    from kbroker.requests.services import RequestContext
    from kbroker.wire.errors import ErrorCode
    from kbroker.wire.messages.create_partitions import CreatePartitionsRequest


async def handle(request: CreatePartitionsRequest, ctx: RequestContext) -> CreatePartitionsResponse:
    response = await ctx.services.controller.send(request)
    assert isinstance(response, CreatePartitionsResponse)
    return response


def refuse(
    request: CreatePartitionsRequest, version: int, code: ErrorCode, message: str | None
) -> CreatePartitionsResponse:
    return CreatePartitionsResponse(
        results=[
            CreatePartitionsTopicResult(name=topic.name, error_code=code, error_message=message)
            for topic in request.topics
        ]
    )
