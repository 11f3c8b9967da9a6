"""DescribeTopicPartitions (key 75), v0 (KIP-966): topics, sorted by name, page by page.

A page has at most `response_partition_limit` partitions, and at most
`max.request.partition.size.limit`. Its cursor says where the next page starts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbroker.controller.topic_names import INTERNAL_TOPICS, invalid_topic_name
from kbroker.errors import refusal
from kbroker.requests.authorized_operations import TOPIC_OPERATIONS
from kbroker.requests.cluster_view import NO_NODE, ClusterView
from kbroker.wire.errors import ErrorCode, RequestError
from kbroker.wire.messages.describe_topic_partitions import (
    DescribeTopicPartitionsRequest,
    DescribeTopicPartitionsResponse,
    DescribeTopicPartitionsResponseCursor,
    DescribeTopicPartitionsResponsePartition,
    DescribeTopicPartitionsResponseTopic,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kbroker.controller.image import PartitionImage, TopicImage
    from kbroker.requests.services import RequestContext


def handle(
    request: DescribeTopicPartitionsRequest, ctx: RequestContext
) -> DescribeTopicPartitionsResponse:
    image = ctx.services.image
    cursor = request.cursor
    all_topics = not request.topics
    asked = image.topics if all_topics else {topic.name for topic in request.topics}
    start_name = "" if cursor is None else cursor.topic_name
    names = sorted(name for name in asked if name >= start_name)
    if cursor is not None:
        if not all_topics and start_name not in names:
            raise RequestError(
                ErrorCode.INVALID_REQUEST,
                "DescribeTopicPartitionsRequest topic list should contain the cursor topic: "
                + start_name,
            )
        if cursor.partition_index < 0:
            raise RequestError(
                ErrorCode.INVALID_REQUEST,
                "DescribeTopicPartitionsRequest cursor partition must be valid: "
                f"{cursor.topic_name}-{cursor.partition_index}",
            )
    limit = min(
        ctx.services.config.max_request_partition_size_limit, request.response_partition_limit
    )
    remaining = max(limit, 1)
    view = ClusterView(ctx.services, ctx.connection)
    response = DescribeTopicPartitionsResponse()
    for name in names:
        if remaining == 0:
            response.next_cursor = DescribeTopicPartitionsResponseCursor(topic_name=name)
            break
        topic = image.topics.get(name)
        if topic is None:
            response.topics.append(_described(name, None, range(0), view))
            continue
        start = cursor.partition_index if cursor is not None and name == start_name else 0
        count = len(topic.partitions)
        end = min(count, start + remaining)
        response.topics.append(_described(name, topic, range(start, end), view))
        if end < count:
            response.next_cursor = DescribeTopicPartitionsResponseCursor(
                topic_name=name, partition_index=end
            )
            break
        remaining -= max(end - start, 0)
    return response


def refuse(
    request: DescribeTopicPartitionsRequest, version: int, code: ErrorCode, message: str | None
) -> DescribeTopicPartitionsResponse:
    return DescribeTopicPartitionsResponse(
        topics=[
            DescribeTopicPartitionsResponseTopic(name=topic.name, error_code=code)
            for topic in request.topics
        ]
    )


def _described(
    name: str, topic: TopicImage | None, indexes: Iterable[int], view: ClusterView
) -> DescribeTopicPartitionsResponseTopic:
    try:
        return _unknown(name) if topic is None else _known(topic, indexes, view)
    except Exception as error:
        code = refusal(error, f"DescribeTopicPartitions of {name}").code
        return DescribeTopicPartitionsResponseTopic(name=name, error_code=code)


def _known(
    topic: TopicImage, indexes: Iterable[int], view: ClusterView
) -> DescribeTopicPartitionsResponseTopic:
    return DescribeTopicPartitionsResponseTopic(
        name=topic.name,
        topic_id=topic.topic_id,
        is_internal=topic.name in INTERNAL_TOPICS,
        partitions=[_partition(i, topic.partitions[i], view) for i in indexes],
        topic_authorized_operations=TOPIC_OPERATIONS,
    )


def _unknown(name: str) -> DescribeTopicPartitionsResponseTopic:
    invalid = invalid_topic_name(name) is not None
    return DescribeTopicPartitionsResponseTopic(
        error_code=(
            ErrorCode.INVALID_TOPIC_EXCEPTION if invalid else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        ),
        name=name,
        is_internal=name in INTERNAL_TOPICS,
        topic_authorized_operations=TOPIC_OPERATIONS,
    )


def _partition(
    index: int, partition: PartitionImage, view: ClusterView
) -> DescribeTopicPartitionsResponsePartition:
    leader = partition.leader
    return DescribeTopicPartitionsResponsePartition(
        partition_index=index,
        leader_id=NO_NODE if view.node(leader) is None else leader,
        leader_epoch=partition.leader_epoch,
        replica_nodes=partition.replicas,
        isr_nodes=partition.isr,
        eligible_leader_replicas=partition.elr,
        last_known_elr=partition.last_known_elr,
        offline_replicas=view.offline_replicas(partition),
    )
