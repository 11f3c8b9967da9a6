"""ListPartitionReassignments (key 46), v0 (KIP-455): asks the controller."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbroker.wire.messages.list_partition_reassignments import ListPartitionReassignmentsResponse

if TYPE_CHECKING:
    from kbroker.requests.services import RequestContext
    from kbroker.wire.messages.list_partition_reassignments import (
        ListPartitionReassignmentsRequest,
    )


async def handle(
    request: ListPartitionReassignmentsRequest, ctx: RequestContext
) -> ListPartitionReassignmentsResponse:
    response = await ctx.services.controller.send(request)
    assert isinstance(response, ListPartitionReassignmentsResponse)
    return response
