"""DescribeGroups (key 15), v0-6: the state and the members of classic groups.

v3 authorized operations (KIP-430) - v4 static members (KIP-345) - v6 GROUP_ID_NOT_FOUND for an
unknown group, which earlier versions report as a dead one (KIP-1043)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kbroker.requests.authorized_operations import GROUP_OPERATIONS
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.describe_groups import (
    DescribedGroup,
    DescribeGroupsRequest,
    DescribeGroupsResponse,
)

if TYPE_CHECKING:
    from kbroker.requests.services import RequestContext

MESSAGES_SINCE: Final = 6


async def handle(request: DescribeGroupsRequest, ctx: RequestContext) -> DescribeGroupsResponse:
    groups = await ctx.services.groups.describe_groups(request.groups, ctx.api_version)
    if request.include_authorized_operations:
        for group in groups:
            if group.error_code == ErrorCode.NONE:
                group.authorized_operations = GROUP_OPERATIONS
    return DescribeGroupsResponse(groups=groups)


def refuse(
    request: DescribeGroupsRequest, version: int, code: ErrorCode, message: str | None
) -> DescribeGroupsResponse:
    return DescribeGroupsResponse(
        groups=[
            DescribedGroup(
                group_id=group,
                error_code=code,
                error_message=message if version >= MESSAGES_SINCE else None,
            )
            for group in request.groups
        ]
    )
