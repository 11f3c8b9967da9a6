"""LeaveGroup (key 13), v0-5: members leave a classic group, or an administrator removes them.

v3 several members, static ones by their instance id (KIP-345) - v5 reason (KIP-800)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kbroker.wire.messages.leave_group import (
    LeaveGroupRequest,
    LeaveGroupResponse,
    MemberIdentity,
)

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from kbroker.requests.services import RequestContext

VERSION_WITH_MEMBERS: Final = 3


def handle(
    request: LeaveGroupRequest, ctx: RequestContext
) -> LeaveGroupResponse | Coroutine[Any, Any, LeaveGroupResponse]:
    if ctx.api_version >= VERSION_WITH_MEMBERS:
        return ctx.services.groups.leave_group(request, request.members)
    answer = ctx.services.groups.leave_group(request, [MemberIdentity(member_id=request.member_id)])
    return _flatten(answer) if isinstance(answer, LeaveGroupResponse) else _wait(answer)


async def _wait(answer: Coroutine[Any, Any, LeaveGroupResponse]) -> LeaveGroupResponse:
    return _flatten(await answer)


def _flatten(response: LeaveGroupResponse) -> LeaveGroupResponse:
    """The one member's error is the whole response's."""
    for member in response.members:
        return LeaveGroupResponse(error_code=member.error_code)
    return response
