"""ElectLeaders, asked of a real controller; tests/controller/state has the decisions."""

from __future__ import annotations

from kbroker.handlers import elect_leaders
from kbroker.wire.api_keys import ApiKey
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.elect_leaders import ElectLeadersRequest, TopicPartitions

from .admin import admin


async def test_elections() -> None:
    async with admin() as broker:
        request = ElectLeadersRequest(topic_partitions=[TopicPartitions(topic="t", partitions=[0])])
        response = await elect_leaders.handle(request, broker.ctx(ApiKey.ELECT_LEADERS, 2))
        (topic,) = response.replica_election_results
        (answer,) = topic.partition_result
        assert answer.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
