"""CreatePartitions (key 37), v0-3: asks the controller; the partitions have leaders when it
answers.

v2 flexible
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbroker.wire.messages.create_partitions import CreatePartitionsResponse

if TYPE_CHECKING:
    from kbroker.requests.services import RequestContext
    from kbroker.wire.messages.create_partitions import CreatePartitionsRequest


async def handle(request: CreatePartitionsRequest, ctx: RequestContext) -> CreatePartitionsResponse:
    response = await ctx.services.controller.send(request)
    assert isinstance(response, CreatePartitionsResponse)
    return response
