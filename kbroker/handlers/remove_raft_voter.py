"""RemoveRaftVoter (key 81), v0 (KIP-853): asks the controller."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbroker.wire.messages.remove_raft_voter import RemoveRaftVoterResponse

if TYPE_CHECKING:
    from kbroker.requests.services import RequestContext
    from kbroker.wire.messages.remove_raft_voter import RemoveRaftVoterRequest


async def handle(request: RemoveRaftVoterRequest, ctx: RequestContext) -> RemoveRaftVoterResponse:
    response = await ctx.services.controller.send(request)
    assert isinstance(response, RemoveRaftVoterResponse)
    return response
