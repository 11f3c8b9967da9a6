"""DescribeQuorum (key 55), v0-2: the voters and observers of the metadata quorum.

Answered in `controller/describe_quorum.py` from what the leader of the quorum knows.
v1 when each was last heard of (KIP-836) - v2 directory ids, listeners and messages (KIP-853)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kbroker.wire.message import ZERO_UUID

if TYPE_CHECKING:
    from kbroker.requests.services import RequestContext
    from kbroker.wire.messages.describe_quorum import DescribeQuorumRequest, DescribeQuorumResponse

DIRECTORIES_SINCE: Final = 2


async def handle(request: DescribeQuorumRequest, ctx: RequestContext) -> DescribeQuorumResponse:
    response = await ctx.services.controller.send(request)
    if ctx.api_version < DIRECTORIES_SINCE:
        response.nodes = []
        for topic in response.topics:
            for partition in topic.partitions:
                for replica in (*partition.current_voters, *partition.observers):
                    replica.replica_directory_id = ZERO_UUID
    return response
