"""DeleteTopics over the controller."""

from __future__ import annotations

import pytest

from kbroker.handlers import create_topics, delete_topics
from kbroker.wire.api_keys import ApiKey
from kbroker.wire.codec import decode, encode
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.create_topics import CreatableTopic, CreateTopicsRequest
from kbroker.wire.messages.delete_topics import (
    DeleteTopicsRequest,
    DeleteTopicsResponse,
    DeleteTopicState,
)

from .admin import Admin, admin


async def create(broker: Admin, *names: str) -> None:
    request = CreateTopicsRequest(
        topics=[CreatableTopic(name=n, num_partitions=1, replication_factor=1) for n in names]
    )
    await create_topics.handle(request, broker.ctx(ApiKey.CREATE_TOPICS, 7))


async def test_deleted_topics_are_gone_when_the_answer_comes() -> None:
    async with admin() as broker:
        await create(broker, "a", "b", "c")
        request = DeleteTopicsRequest(
            timeout_ms=1_000,
            topics=[
                DeleteTopicState(name="a"),
                DeleteTopicState(name=None, topic_id=broker.image.topics["b"].topic_id),
            ],
        )
        response = await delete_topics.handle(request, broker.ctx(ApiKey.DELETE_TOPICS, 6))
        assert {each.name: each.error_code for each in response.responses} == {"a": 0, "b": 0}
        assert list(broker.image.topics) == ["c"]


@pytest.mark.parametrize("version", range(1, 6))
async def test_lists_of_names_have_answers_by_name(version: int) -> None:
    async with admin() as broker:
        await create(broker, "a")
        response = await delete_topics.handle(
            DeleteTopicsRequest(topic_names=["a", "absent"], timeout_ms=1_000),
            broker.ctx(ApiKey.DELETE_TOPICS, version),
        )
        again = decode(DeleteTopicsResponse, version, encode(response, version))
        codes = {each.name: each.error_code for each in again.responses}
        assert codes == {"a": ErrorCode.NONE, "absent": ErrorCode.UNKNOWN_TOPIC_OR_PARTITION}


@pytest.mark.parametrize(
    ("version", "code"),
    [
        (1, ErrorCode.INVALID_REQUEST),
        (2, ErrorCode.INVALID_REQUEST),
        (3, ErrorCode.TOPIC_DELETION_DISABLED),
        (5, ErrorCode.TOPIC_DELETION_DISABLED),
    ],
)
async def test_disabled_deletion_has_a_name_since_version_3(version: int, code: ErrorCode) -> None:
    async with admin(delete_topic_enable=False) as broker:
        await create(broker, "a")
        response = await delete_topics.handle(
            DeleteTopicsRequest(topic_names=["a"], timeout_ms=1_000),
            broker.ctx(ApiKey.DELETE_TOPICS, version),
        )
        assert [each.error_code for each in response.responses] == [code]
        assert "a" in broker.image.topics
