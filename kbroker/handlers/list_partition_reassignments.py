"""ListPartitionReassignments (key 46), v0 (KIP-455): the replicas that are being moved.

Decided in `controller/state/reassignments.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbroker.requests.forward import forward
from kbroker.wire.messages.list_partition_reassignments import (
    ListPartitionReassignmentsResponse,
    OngoingPartitionReassignment,
    OngoingTopicReassignment,
)

if TYPE_CHECKING:
    from kbroker.wire.errors import ErrorCode
    from kbroker.wire.messages.list_partition_reassignments import (
        ListPartitionReassignmentsRequest,
    )

handle = forward


def refuse(
    request: ListPartitionReassignmentsRequest, version: int, code: ErrorCode, message: str | None
) -> ListPartitionReassignmentsResponse:
    return ListPartitionReassignmentsResponse(
        error_code=code,
        error_message=message,
        topics=[
            OngoingTopicReassignment(
                name=topic.name,
                partitions=[
                    OngoingPartitionReassignment(partition_index=index)
                    for index in topic.partition_indexes
                ],
            )
            for topic in request.topics or ()
        ],
    )
