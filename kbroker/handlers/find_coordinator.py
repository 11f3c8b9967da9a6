"""FindCoordinator (key 10), v0-6: which broker coordinates a group.

Coordinators of transactions and of share groups are not built. A lookup of one is refused with an
error after which clients do not try again, as Kafka does where share groups are off.
v1 key types and error messages - v4 several keys (KIP-699) - v6 share groups (KIP-932)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kbroker.errors import refusal
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.find_coordinator import (
    Coordinator,
    FindCoordinatorRequest,
    FindCoordinatorResponse,
)

if TYPE_CHECKING:
    from kbroker.requests.services import RequestContext

GROUP: Final = 0
SHARE: Final = 2
VERSION_WITH_KEYS: Final = 4
NO_NODE: Final = (-1, "", -1)


async def handle(request: FindCoordinatorRequest, ctx: RequestContext) -> FindCoordinatorResponse:
    """Waits until the coordinator serves, so that a client's next request finds it."""
    if ctx.api_version < VERSION_WITH_KEYS:
        error, (node_id, host, port) = await _find(request.key_type, request.key, ctx)
        return FindCoordinatorResponse(
            error_code=error, error_message=error.message, node_id=node_id, host=host, port=port
        )
    # As Kafka answers: only the error that refuses the whole request comes with its text.
    has_text = request.key_type not in (GROUP, SHARE)
    response = FindCoordinatorResponse()
    for key in request.coordinator_keys:
        error, (node_id, host, port) = await _find(request.key_type, key, ctx)
        response.coordinators.append(
            Coordinator(
                key=key,
                node_id=node_id,
                host=host,
                port=port,
                error_code=error,
                error_message=error.message if has_text else "",
            )
        )
    return response


def refuse(
    request: FindCoordinatorRequest, version: int, code: ErrorCode, message: str | None
) -> FindCoordinatorResponse:
    text = code.message if message is None else message
    node_id, host, port = NO_NODE
    if version < VERSION_WITH_KEYS:
        return FindCoordinatorResponse(
            error_code=code, error_message=text, node_id=node_id, host=host, port=port
        )
    return FindCoordinatorResponse(
        coordinators=[
            Coordinator(
                key=key,
                node_id=node_id,
                host=host,
                port=port,
                error_code=code,
                error_message=text,
            )
            for key in request.coordinator_keys
        ]
    )


async def _find(
    key_type: int, key: str, ctx: RequestContext
) -> tuple[ErrorCode, tuple[int, str, int]]:
    if key_type != GROUP:
        return ErrorCode.INVALID_REQUEST, NO_NODE
    try:
        error, leader = await ctx.services.groups.find(key)
        if error is not ErrorCode.NONE:
            return error, NO_NODE
        endpoint = ctx.services.endpoint(leader, ctx.connection)
    except Exception as failure:
        return refusal(failure, f"FindCoordinator of group {key!r}").code, NO_NODE
    if endpoint is None:
        return ErrorCode.COORDINATOR_NOT_AVAILABLE, NO_NODE
    host, port, _ = endpoint
    return ErrorCode.NONE, (leader, host, port)
