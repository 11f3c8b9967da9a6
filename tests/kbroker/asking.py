"""What tests ask of a whole broker: batches of one record, all records, a topic's metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbroker.clock import SystemClock
from kbroker.storage.batch import batches, records
from kbroker.storage.builder import NewRecord, build_batch
from kbroker.wire.messages.describe_quorum import (
    DescribeQuorumRequest,
    DescribeQuorumRequestPartitionData,
    DescribeQuorumRequestTopicData,
    DescribeQuorumResponse,
)
from kbroker.wire.messages.metadata import MetadataRequest, MetadataRequestTopic, MetadataResponse

if TYPE_CHECKING:
    from tests.sim.broker import Client


def one(value: bytes, producer: tuple[int, int, int] = (-1, -1, -1)) -> bytes:
    """A batch of one record."""
    producer_id, epoch, sequence = producer
    return build_batch(
        [NewRecord(SystemClock().wall_ms(), b"key", value)],
        producer_id=producer_id,
        producer_epoch=epoch,
        base_sequence=sequence,
    )


async def values(client: Client, topic: str) -> list[bytes | None]:
    """All of them: a fetch ends with its segment, so ask until nothing comes."""
    found: list[bytes | None] = []
    while view := await client.fetch(topic, len(found)):
        found += [record.value for _, batch in batches(view) for record in records(batch)]
    return found


async def metadata(client: Client, topic: str, *, create: bool = False) -> MetadataResponse:
    return await client.call(
        MetadataRequest(
            topics=[MetadataRequestTopic(name=topic)], allow_auto_topic_creation=create
        ),
        MetadataResponse,
    )


async def metadata_end(client: Client) -> int:
    """Up to where the metadata log is committed."""
    request = DescribeQuorumRequest(
        topics=[
            DescribeQuorumRequestTopicData(
                topic_name="__cluster_metadata",
                partitions=[DescribeQuorumRequestPartitionData(partition_index=0)],
            )
        ]
    )
    response = await client.call(request, DescribeQuorumResponse)
    return response.topics[0].partitions[0].high_watermark
