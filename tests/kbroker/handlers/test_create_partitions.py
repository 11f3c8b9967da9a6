"""CreatePartitions over the controller."""

from __future__ import annotations

from kbroker.handlers import create_partitions, create_topics
from kbroker.wire.api_keys import ApiKey
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.create_partitions import (
    CreatePartitionsRequest,
    CreatePartitionsTopic,
)
from kbroker.wire.messages.create_topics import CreatableTopic, CreateTopicsRequest

from .admin import admin


async def test_partitions_are_in_the_image_when_the_answer_comes() -> None:
    async with admin() as broker:
        await create_topics.handle(
            CreateTopicsRequest(
                topics=[CreatableTopic(name="t", num_partitions=1, replication_factor=1)]
            ),
            broker.ctx(ApiKey.CREATE_TOPICS, 7),
        )
        response = await create_partitions.handle(
            CreatePartitionsRequest(
                timeout_ms=1_000,
                topics=[
                    CreatePartitionsTopic(name="t", count=4, assignments=None),
                    CreatePartitionsTopic(name="absent", count=4, assignments=None),
                ],
            ),
            broker.ctx(ApiKey.CREATE_PARTITIONS, 3),
        )
        codes = {each.name: each.error_code for each in response.results}
        assert codes == {"t": ErrorCode.NONE, "absent": ErrorCode.UNKNOWN_TOPIC_OR_PARTITION}
        assert [each.leader for each in broker.image.topics["t"].partitions.values()] == [1] * 4
