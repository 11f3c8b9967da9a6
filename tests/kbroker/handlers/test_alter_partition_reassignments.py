"""Reassignments, asked of a real controller; tests/controller/state has the decisions."""

from __future__ import annotations

from kbroker.handlers import alter_partition_reassignments, list_partition_reassignments
from kbroker.wire.api_keys import ApiKey
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.alter_partition_reassignments import (
    AlterPartitionReassignmentsRequest,
    ReassignablePartition,
    ReassignableTopic,
)
from kbroker.wire.messages.list_partition_reassignments import ListPartitionReassignmentsRequest

from .admin import admin


async def test_what_is_not_there_does_not_move() -> None:
    async with admin() as broker:
        altered = await alter_partition_reassignments.handle(
            AlterPartitionReassignmentsRequest(
                topics=[ReassignableTopic(name="t", partitions=[ReassignablePartition()])]
            ),
            broker.ctx(ApiKey.ALTER_PARTITION_REASSIGNMENTS, 1),
        )
        (topic,) = altered.responses
        (answer,) = topic.partitions
        assert answer.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        listed = await list_partition_reassignments.handle(
            ListPartitionReassignmentsRequest(topics=None),
            broker.ctx(ApiKey.LIST_PARTITION_REASSIGNMENTS, 0),
        )
        assert (listed.error_code, listed.topics) == (ErrorCode.NONE, [])
