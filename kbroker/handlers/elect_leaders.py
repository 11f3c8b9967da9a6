"""ElectLeaders (key 43), v0-2 (KIP-183): asks the controller.

v1 unclean elections, top-level error code (KIP-460) - v2 flexible
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.elect_leaders import ElectLeadersResponse

if TYPE_CHECKING:
    from kbroker.requests.services import RequestContext
    from kbroker.wire.messages.elect_leaders import ElectLeadersRequest

ERROR_CODE_VERSION = 1


async def handle(request: ElectLeadersRequest, ctx: RequestContext) -> ElectLeadersResponse:
    response = await ctx.services.controller.send(request)
    assert isinstance(response, ElectLeadersResponse)
    if ctx.api_version < ERROR_CODE_VERSION:
        response.error_code = ErrorCode.NONE  # each partition has its own
    return response
