"""DescribeGroups (key 15), v0-6: state and members of classic groups.

v3 authorized operations (KIP-430) - v4 static members (KIP-345) - v6 GROUP_ID_NOT_FOUND
(KIP-1043); before that an unknown group is a dead one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbroker.requests.authorized_operations import GROUP_OPERATIONS
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.describe_groups import DescribeGroupsRequest, DescribeGroupsResponse

if TYPE_CHECKING:
    from kbroker.requests.services import RequestContext


async def handle(request: DescribeGroupsRequest, ctx: RequestContext) -> DescribeGroupsResponse:
    groups = await ctx.services.groups.describe_groups(request.groups, ctx.api_version)
    if request.include_authorized_operations:
        for group in groups:
            if group.error_code == ErrorCode.NONE:
                group.authorized_operations = GROUP_OPERATIONS
    return DescribeGroupsResponse(groups=groups)
