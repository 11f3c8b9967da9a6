"""Heartbeat (key 12), v0-4: a member of a classic group says that it is alive, and learns of
rebalances.

v3 static members (KIP-345)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from kbroker.requests.services import RequestContext
    from kbroker.wire.messages.heartbeat import HeartbeatRequest, HeartbeatResponse


def handle(
    request: HeartbeatRequest, ctx: RequestContext
) -> HeartbeatResponse | Coroutine[Any, Any, HeartbeatResponse]:
    return ctx.services.groups.heartbeat(request)
