"""Changes to a group by somebody who is no member: sets or deletes its offsets, deletes the group.

Each function asks the coordinator once. A caller that changes one thing wraps it in
`cluster.retry`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbroker.wire.messages.delete_groups import DeleteGroupsRequest, DeleteGroupsResponse
from kbroker.wire.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
    OffsetCommitResponse,
)
from kbroker.wire.messages.offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteRequestPartition,
    OffsetDeleteRequestTopic,
    OffsetDeleteResponse,
)

from .errors import check

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .cluster import Cluster, TopicPartition

NO_MEMBER = ""
NO_GENERATION = -1  # of one who commits without being a member, which an active group refuses


async def commit_offsets(
    cluster: Cluster,
    group_id: str,
    offsets: Mapping[TopicPartition, int],
    *,
    member_id: str = NO_MEMBER,
    generation: int = NO_GENERATION,
) -> None:
    """BrokerError for the first partition that is refused."""
    topics: dict[str, OffsetCommitRequestTopic] = {}
    for (topic, index), offset in offsets.items():
        topics.setdefault(topic, OffsetCommitRequestTopic(name=topic)).partitions.append(
            OffsetCommitRequestPartition(
                partition_index=index, committed_offset=offset, committed_metadata=""
            )
        )
    response = await cluster.ask(
        await cluster.coordinator(group_id),
        OffsetCommitRequest(
            group_id=group_id,
            generation_id_or_member_epoch=generation,
            member_id=member_id,
            topics=list(topics.values()),
        ),
        OffsetCommitResponse,
    )
    for answered in response.topics:
        for partition in answered.partitions:
            check(partition.error_code, f"Cannot commit offsets of group {group_id!r}")


async def delete_offsets(
    cluster: Cluster, group_id: str, partitions: Iterable[TopicPartition]
) -> None:
    """BrokerError for the first partition that is refused, as one that a member reads is."""
    topics: dict[str, OffsetDeleteRequestTopic] = {}
    for topic, index in partitions:
        topics.setdefault(topic, OffsetDeleteRequestTopic(name=topic)).partitions.append(
            OffsetDeleteRequestPartition(partition_index=index)
        )
    response = await cluster.ask(
        await cluster.coordinator(group_id),
        OffsetDeleteRequest(group_id=group_id, topics=list(topics.values())),
        OffsetDeleteResponse,
    )
    check(response.error_code, f"Cannot delete offsets of group {group_id!r}")
    for answered in response.topics:
        for partition in answered.partitions:
            where = f"{answered.name}-{partition.partition_index}"
            check(
                partition.error_code, f"Cannot delete the offset of group {group_id!r} for {where}"
            )


async def delete_group(cluster: Cluster, group_id: str) -> None:
    """BrokerError where it has members."""
    response = await cluster.ask(
        await cluster.coordinator(group_id),
        DeleteGroupsRequest(groups_names=[group_id]),
        DeleteGroupsResponse,
    )
    for result in response.results:
        check(result.error_code, f"Cannot delete group {group_id!r}")
