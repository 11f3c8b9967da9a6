"""ElectLeaders (key 43), v0-2 (KIP-183): elects the preferred leaders of partitions.

Decided in `controller/state/elect_leaders.py`.
v1 unclean elections, top-level error code (KIP-460) - v2 flexible
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.elect_leaders import (
    ElectLeadersResponse,
    PartitionResult,
    ReplicaElectionResult,
)

if TYPE_CHECKING:
    from kbroker.requests.services import RequestContext
    from kbroker.wire.messages.elect_leaders import ElectLeadersRequest

ERROR_CODE_VERSION = 1


async def handle(request: ElectLeadersRequest, ctx: RequestContext) -> ElectLeadersResponse:
    response = await ctx.services.controller.send(request)
    if ctx.api_version < ERROR_CODE_VERSION:
        response.error_code = ErrorCode.NONE  # each partition has its own
    return response


def refuse(
    request: ElectLeadersRequest, version: int, code: ErrorCode, message: str | None
) -> ElectLeadersResponse:
    return ElectLeadersResponse(
        error_code=code if version >= ERROR_CODE_VERSION else ErrorCode.NONE,
        replica_election_results=[
            ReplicaElectionResult(
                topic=topic.topic,
                partition_result=[
                    PartitionResult(partition_id=index, error_code=code, error_message=message)
                    for index in topic.partitions
                ],
            )
            for topic in request.topic_partitions or ()
        ],
    )
