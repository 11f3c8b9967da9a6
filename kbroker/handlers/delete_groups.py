"""DeleteGroups (key 42), v0-3 (KIP-229): deletes empty groups and their offsets.

v3 a message beside each error (KIP-1331), which only a plugin of a broker fills
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kbroker.wire.messages.delete_groups import (
    DeletableGroupResult,
    DeleteGroupsRequest,
    DeleteGroupsResponse,
)

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from kbroker.requests.services import RequestContext
    from kbroker.wire.errors import ErrorCode


def handle(
    request: DeleteGroupsRequest, ctx: RequestContext
) -> Coroutine[Any, Any, DeleteGroupsResponse]:
    return _respond(ctx.services.groups.delete_groups(request.groups_names))


def refuse(
    request: DeleteGroupsRequest, version: int, code: ErrorCode, message: str | None
) -> DeleteGroupsResponse:
    return DeleteGroupsResponse(
        results=[
            DeletableGroupResult(group_id=group, error_code=code) for group in request.groups_names
        ]
    )


async def _respond(
    results: Coroutine[Any, Any, list[DeletableGroupResult]],
) -> DeleteGroupsResponse:
    return DeleteGroupsResponse(results=await results)
