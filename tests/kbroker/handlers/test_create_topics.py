"""CreateTopics over the controller: what is answered is there."""

from __future__ import annotations

from kbroker.handlers import create_topics
from kbroker.wire.api_keys import ApiKey
from kbroker.wire.codec import decode, encode
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.create_topics import (
    CreatableTopic,
    CreateTopicsRequest,
    CreateTopicsResponse,
)

from .admin import admin


async def test_topics_are_in_the_image_when_the_answer_comes() -> None:
    async with admin(num_partitions=3) as broker:
        topics = [
            CreatableTopic(name=name, num_partitions=-1, replication_factor=-1)
            for name in ("good", "bad name")
        ]
        response = await create_topics.handle(
            CreateTopicsRequest(topics=topics), broker.ctx(ApiKey.CREATE_TOPICS, 7)
        )
        codes = {each.name: each.error_code for each in response.topics}
        assert codes == {"good": ErrorCode.NONE, "bad name": ErrorCode.INVALID_TOPIC_EXCEPTION}
        assert len(broker.image.topics["good"].partitions) == 3


async def test_the_answer_can_be_said_in_every_version() -> None:
    async with admin() as broker:
        request = CreateTopicsRequest(
            topics=[CreatableTopic(name="t", num_partitions=2, replication_factor=1)]
        )
        response = await create_topics.handle(request, broker.ctx(ApiKey.CREATE_TOPICS, 7))
        for version in range(2, 8):
            again = decode(CreateTopicsResponse, version, encode(response, version))
            assert again.topics[0].name == "t"
            assert again.topics[0].num_partitions == (2 if version >= 5 else -1)
            assert bool(again.topics[0].configs) == (version >= 5)
