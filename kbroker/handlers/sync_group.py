"""SyncGroup (key 14), v0-5: the leader of a classic group hands in the assignment, and every
member gets its part of it.

v3 static members (KIP-345) - v5 protocol type and name, which are mandatory (KIP-559)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.sync_group import SyncGroupRequest, SyncGroupResponse

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from kbroker.requests.services import RequestContext

VERSION_WITH_PROTOCOL: Final = 5


def handle(
    request: SyncGroupRequest, ctx: RequestContext
) -> SyncGroupResponse | Coroutine[Any, Any, SyncGroupResponse]:
    if ctx.api_version >= VERSION_WITH_PROTOCOL and (
        request.protocol_type is None or request.protocol_name is None
    ):
        return SyncGroupResponse(error_code=ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
    return ctx.services.groups.sync_group(request)
