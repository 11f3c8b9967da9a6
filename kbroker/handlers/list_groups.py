"""ListGroups (key 16), v0-5: the groups that this broker coordinates.

v4 filter by state (KIP-518) - v5 filter by type (KIP-848)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kbroker.requests.services import RequestContext
    from kbroker.wire.messages.list_groups import ListGroupsRequest, ListGroupsResponse


async def handle(request: ListGroupsRequest, ctx: RequestContext) -> ListGroupsResponse:
    return await ctx.services.groups.list_groups(request.states_filter, request.types_filter)
