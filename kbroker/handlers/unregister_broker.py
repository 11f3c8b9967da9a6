"""UnregisterBroker (key 64), v0 (KIP-500): asks the controller to forget a broker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbroker.wire.messages.unregister_broker import UnregisterBrokerResponse

if TYPE_CHECKING:
    from kbroker.requests.services import RequestContext
    from kbroker.wire.messages.unregister_broker import UnregisterBrokerRequest


async def handle(request: UnregisterBrokerRequest, ctx: RequestContext) -> UnregisterBrokerResponse:
    response = await ctx.services.controller.send(request)
    assert isinstance(response, UnregisterBrokerResponse)
    return response
