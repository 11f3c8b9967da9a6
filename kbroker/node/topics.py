"""Creates topics for the broker itself: those it was started with, and internal ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbroker.wire.errors import ErrorCode, RequestError
from kbroker.wire.messages.create_topics import (
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
)

if TYPE_CHECKING:
    from kbroker.controller.channel import ControllerChannel

    from .settings import TopicSpec

CREATE_TIMEOUT_MS = 30_000


async def create_topic(controller: ControllerChannel, topic: CreatableTopic) -> None:
    """Returns when the topic exists, whether it was created now or before. RequestError."""
    response = await controller.send(
        CreateTopicsRequest(topics=[topic], timeout_ms=CREATE_TIMEOUT_MS)
    )
    result = response.topics[0]
    if result.error_code not in (ErrorCode.NONE, ErrorCode.TOPIC_ALREADY_EXISTS):
        raise RequestError(ErrorCode(result.error_code), result.error_message)


def creatable(spec: TopicSpec) -> CreatableTopic:
    """What CreateTopics is asked for."""
    return CreatableTopic(
        name=spec.name,
        num_partitions=-1 if spec.partitions is None else spec.partitions,
        replication_factor=-1,
        configs=[CreatableTopicConfig(name=k, value=v) for k, v in spec.configs.items()],
    )
