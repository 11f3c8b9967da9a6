"""ElectLeaders, asked of a real controller; tests/controller/state has the decisions."""

from __future__ import annotations

import pytest

from kbroker.handlers import elect_leaders
from kbroker.wire.api_keys import ApiKey
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.elect_leaders import ElectLeadersRequest, TopicPartitions

from .admin import admin

TIMED_OUT = ErrorCode.REQUEST_TIMED_OUT


async def test_elections() -> None:
    async with admin() as broker:
        request = ElectLeadersRequest(topic_partitions=[TopicPartitions(topic="t", partitions=[0])])
        response = await elect_leaders.handle(request, broker.ctx(ApiKey.ELECT_LEADERS, 2))
        (topic,) = response.replica_election_results
        (answer,) = topic.partition_result
        assert answer.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


@pytest.mark.parametrize(("version", "code"), [(0, ErrorCode.NONE), (1, TIMED_OUT), (2, TIMED_OUT)])
async def test_version_0_has_no_error_but_the_partitions(version: int, code: ErrorCode) -> None:
    async with admin() as broker:
        topics = [TopicPartitions(topic="t", partitions=[0])]
        request = ElectLeadersRequest(topic_partitions=topics, timeout_ms=0)
        response = await elect_leaders.handle(request, broker.ctx(ApiKey.ELECT_LEADERS, version))
        assert response.error_code == code
        (answer,) = response.replica_election_results[0].partition_result
        assert answer.error_code == TIMED_OUT
