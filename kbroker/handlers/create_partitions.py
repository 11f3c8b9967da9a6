"""CreatePartitions (key 37), v0-3: adds partitions to topics.

Decided in `controller/state/create_partitions.py`. When the answer is sent, the new partitions of
this broker have leaders.
v2 flexible
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbroker.requests.forward import forward
from kbroker.wire.messages.create_partitions import (
    CreatePartitionsResponse,
    CreatePartitionsTopicResult,
)

if TYPE_CHECKING:
    from kbroker.wire.errors import ErrorCode
    from kbroker.wire.messages.create_partitions import CreatePartitionsRequest

handle = forward


def refuse(
    request: CreatePartitionsRequest, version: int, code: ErrorCode, message: str | None
) -> CreatePartitionsResponse:
    return CreatePartitionsResponse(
        results=[
            CreatePartitionsTopicResult(name=topic.name, error_code=code, error_message=message)
            for topic in request.topics
        ]
    )
