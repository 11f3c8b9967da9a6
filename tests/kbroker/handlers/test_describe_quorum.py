"""The metadata quorum of one, as it describes itself."""

from __future__ import annotations

import pytest

from kbroker.controller.model import EndpointImage
from kbroker.handlers import describe_quorum
from kbroker.wire.api_keys import ApiKey
from kbroker.wire.codec import decode, encode
from kbroker.wire.errors import ErrorCode
from kbroker.wire.message import ZERO_UUID
from kbroker.wire.messages.describe_quorum import (
    DescribeQuorumRequest,
    DescribeQuorumRequestPartitionData,
    DescribeQuorumRequestTopicData,
    DescribeQuorumResponse,
    Listener,
    Node,
)

from .admin import Admin, admin

METADATA = "__cluster_metadata"
WALL_MS_MIN = 1_700_000_000_000


async def ask(
    broker: Admin, *topics: tuple[str, list[int]], version: int = 2
) -> DescribeQuorumResponse:
    request = DescribeQuorumRequest(
        topics=[
            DescribeQuorumRequestTopicData(
                topic_name=name,
                partitions=[DescribeQuorumRequestPartitionData(partition_index=i) for i in indexes],
            )
            for name, indexes in topics
        ]
    )
    response = await describe_quorum.handle(request, broker.ctx(ApiKey.DESCRIBE_QUORUM, version))
    return decode(DescribeQuorumResponse, version, encode(response, version))


@pytest.mark.parametrize("version", [0, 1, 2])
async def test_a_quorum_of_one(version: int) -> None:
    endpoints = {"CONTROLLER": EndpointImage("h", 9093, 0)}
    async with admin(endpoints=endpoints) as broker:
        response = await ask(broker, (METADATA, [0]), version=version)
        (topic,) = response.topics
        (partition,) = topic.partitions
        assert (response.error_code, partition.error_code) == (ErrorCode.NONE, ErrorCode.NONE)
        assert (partition.leader_id, partition.leader_epoch) == (1, 1)
        assert partition.high_watermark == broker.image.offset + 1
        assert partition.observers == []
        (voter,) = partition.current_voters
        assert (voter.replica_id, voter.log_end_offset) == (1, partition.high_watermark)
        # A static quorum knows no directories.
        assert voter.replica_directory_id == ZERO_UUID
        assert (voter.last_fetch_timestamp > WALL_MS_MIN) == (version > 0)
        assert voter.last_caught_up_timestamp == voter.last_fetch_timestamp
        node = Node(node_id=1, listeners=[Listener(name="CONTROLLER", host="h", port=9093)])
        assert response.nodes == ([node] if version > 1 else [])


@pytest.mark.parametrize(
    "asked",
    [
        [("nope", [0])],
        [(METADATA, [1])],
        [(METADATA, [0, 1])],
        [(METADATA, [0, 0])],
        [(METADATA, [0]), (METADATA, [0])],
        [(METADATA, [0]), ("nope", [0])],
        [(METADATA, [])],
        [],
    ],
)
async def test_anything_but_the_one_partition(asked: list[tuple[str, list[int]]]) -> None:
    async with admin() as broker:
        response = await ask(broker, *asked)
        assert (response.error_code, response.nodes) == (ErrorCode.NONE, [])
        found = [(t.topic_name, [p.partition_index for p in t.partitions]) for t in response.topics]
        assert found == asked
        code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        for topic in response.topics:
            for partition in topic.partitions:
                assert (partition.error_code, partition.error_message) == (code, code.message)
                assert partition.current_voters == []
