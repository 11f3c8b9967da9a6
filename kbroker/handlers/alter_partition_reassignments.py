"""AlterPartitionReassignments (key 45), v0-1 (KIP-455): moves replicas to other brokers.

Decided in `controller/state/reassignments.py`.
v1 may refuse to change the replication factor (KIP-860)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbroker.requests.forward import forward
from kbroker.wire.messages.alter_partition_reassignments import (
    AlterPartitionReassignmentsResponse,
    ReassignablePartitionResponse,
    ReassignableTopicResponse,
)

if TYPE_CHECKING:
    from kbroker.wire.errors import ErrorCode
    from kbroker.wire.messages.alter_partition_reassignments import (
        AlterPartitionReassignmentsRequest,
    )

handle = forward


def refuse(
    request: AlterPartitionReassignmentsRequest, version: int, code: ErrorCode, message: str | None
) -> AlterPartitionReassignmentsResponse:
    return AlterPartitionReassignmentsResponse(
        error_code=code,
        error_message=message,
        responses=[
            ReassignableTopicResponse(
                name=topic.name,
                partitions=[
                    ReassignablePartitionResponse(
                        partition_index=p.partition_index, error_code=code, error_message=message
                    )
                    for p in topic.partitions
                ],
            )
            for topic in request.topics
        ],
    )
