"""CreateTopics (key 19), v2-7: creates topics.

Decided in `controller/state/create_topics.py`. Apache Kafka answers when the topics are in the
metadata log. Here the answer is sent when the partitions on this broker have leaders, so that a
client may produce at once.
v4 -1 for the default number of partitions and replicas (KIP-464) - v5 configs in the answer
(KIP-525), flexible - v7 topic ids (KIP-516)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbroker.requests.forward import forward
from kbroker.wire.messages.create_topics import CreatableTopicResult, CreateTopicsResponse

if TYPE_CHECKING:
    from kbroker.wire.errors import ErrorCode
    from kbroker.wire.messages.create_topics import CreateTopicsRequest

handle = forward


def refuse(
    request: CreateTopicsRequest, version: int, code: ErrorCode, message: str | None
) -> CreateTopicsResponse:
    return CreateTopicsResponse(
        topics=[
            CreatableTopicResult(name=topic.name, error_code=code, error_message=message)
            for topic in request.topics
        ]
    )
