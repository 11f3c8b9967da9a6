"""AddRaftVoter (key 80), v0-1 (KIP-853): asks the controller.

v1 whether to wait for the commit (KIP-1186)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbroker.wire.messages.add_raft_voter import AddRaftVoterResponse

if TYPE_CHECKING:
    from kbroker.requests.services import RequestContext
    from kbroker.wire.messages.add_raft_voter import AddRaftVoterRequest


async def handle(request: AddRaftVoterRequest, ctx: RequestContext) -> AddRaftVoterResponse:
    response = await ctx.services.controller.send(request)
    assert isinstance(response, AddRaftVoterResponse)
    return response
