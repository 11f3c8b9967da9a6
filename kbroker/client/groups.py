"""Reads the state of consumer groups: states, members, committed offsets and lag."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kbroker.wire import codec
from kbroker.wire.errors import ProtocolError
from kbroker.wire.messages.consumer_group_describe import (
    ConsumerGroupDescribeRequest,
    ConsumerGroupDescribeResponse,
)
from kbroker.wire.messages.describe_groups import DescribeGroupsRequest, DescribeGroupsResponse
from kbroker.wire.messages.list_groups import ListGroupsRequest, ListGroupsResponse
from kbroker.wire.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchResponse,
)
from kbroker.wire.records.consumer_protocol_assignment import ConsumerProtocolAssignment

from .errors import ClientError, check
from .records import END, offsets_for

if TYPE_CHECKING:
    from .cluster import Cluster, TopicPartition

CONSUMER_TYPE = "consumer"  # the groups of KIP-848; older brokers have only classic ones
CONSUMER_PROTOCOL = "consumer"
DESCRIBED_TYPES = ("classic", CONSUMER_TYPE, "")  # the others' offsets are of another kind
_VERSION_BYTES = 2


@dataclass(slots=True)
class GroupListing:
    """A group by its name; `type` is empty where the broker is too old to say."""

    group_id: str
    state: str
    type: str
    protocol: str


@dataclass(slots=True)
class GroupMember:
    """A member and what it is assigned."""

    member_id: str
    instance_id: str | None
    client_id: str
    host: str
    partitions: list[TopicPartition] = field(default_factory=list)


@dataclass(slots=True)
class PartitionLag:
    """A committed offset and how many offsets lie after it; None where nothing is committed."""

    topic: str
    partition: int
    committed: int | None
    end: int
    lag: int | None


@dataclass(slots=True)
class GroupDescription:
    """A group, its members, and its partitions with a commit or an owner."""

    group_id: str
    state: str
    type: str
    coordinator: int
    assignor: str
    members: list[GroupMember]
    partitions: list[PartitionLag]


async def list_groups(cluster: Cluster) -> list[GroupListing]:
    """The groups of every broker, by name."""
    found: dict[str, GroupListing] = {}
    for node_id in cluster.node_ids:

        async def listed(node_id: int = node_id) -> ListGroupsResponse:
            response = await cluster.ask(node_id, ListGroupsRequest(), ListGroupsResponse)
            check(response.error_code, "Cannot list the groups")
            return response

        for group in (await cluster.retry(listed)).groups:
            found[group.group_id] = GroupListing(
                group.group_id, group.group_state, group.group_type.lower(), group.protocol_type
            )
    return [found[name] for name in sorted(found)]


async def find_group(cluster: Cluster, group_id: str) -> GroupListing:
    """ClientError where there is no such group."""
    for listing in await list_groups(cluster):
        if listing.group_id == group_id:
            return listing
    raise ClientError(f"There is no group {group_id!r}.")


async def describe_group(cluster: Cluster, listing: GroupListing) -> GroupDescription:
    """ClientError for a group of a type that has no committed offsets."""
    group_id = listing.group_id
    if listing.type not in DESCRIBED_TYPES:
        raise ClientError(
            f"Group {group_id!r} is a {listing.type} group. Groups of this type cannot be "
            "described."
        )
    if listing.type == CONSUMER_TYPE:
        described = await cluster.retry(lambda: _describe_consumer(cluster, group_id))
    else:
        described = await cluster.retry(lambda: _describe_classic(cluster, group_id))
    committed = await committed_offsets(cluster, group_id)
    owned = {partition for member in described.members for partition in member.partitions}
    described.partitions = await _lags(cluster, committed, sorted(committed.keys() | owned))
    return described


async def _describe_classic(cluster: Cluster, group_id: str) -> GroupDescription:
    coordinator = await cluster.coordinator(group_id)
    response = await cluster.ask(
        coordinator, DescribeGroupsRequest(groups=[group_id]), DescribeGroupsResponse
    )
    (group,) = response.groups
    check(group.error_code, f"Cannot describe group {group_id!r}", group.error_message)
    members = [
        GroupMember(
            member.member_id,
            member.group_instance_id,
            member.client_id,
            member.client_host,
            assigned_partitions(member.member_assignment)
            if group.protocol_type == CONSUMER_PROTOCOL
            else [],
        )
        for member in group.members
    ]
    return GroupDescription(
        group_id, group.group_state, "classic", coordinator, group.protocol_data, members, []
    )


async def _describe_consumer(cluster: Cluster, group_id: str) -> GroupDescription:
    coordinator = await cluster.coordinator(group_id)
    response = await cluster.ask(
        coordinator,
        ConsumerGroupDescribeRequest(group_ids=[group_id]),
        ConsumerGroupDescribeResponse,
    )
    (group,) = response.groups
    check(group.error_code, f"Cannot describe group {group_id!r}", group.error_message)
    members = [
        GroupMember(
            member.member_id,
            member.instance_id,
            member.client_id,
            member.client_host,
            [
                (topic.topic_name, index)
                for topic in member.assignment.topic_partitions
                for index in topic.partitions
            ],
        )
        for member in group.members
    ]
    return GroupDescription(
        group_id,
        group.group_state,
        CONSUMER_TYPE,
        coordinator,
        group.assignor_name,
        members,
        [],
    )


def assigned_partitions(assignment: bytes) -> list[TopicPartition]:
    """The partitions of a consumer's assignment; none where it is not to be read."""
    if len(assignment) < _VERSION_BYTES:
        return []
    version = min(
        int.from_bytes(assignment[:_VERSION_BYTES], "big"), ConsumerProtocolAssignment.MAX_VERSION
    )
    try:
        decoded = codec.decode(ConsumerProtocolAssignment, version, assignment, _VERSION_BYTES)
    except ProtocolError:
        return []  # a protocol that only calls itself "consumer"
    return [
        (topic.topic, index) for topic in decoded.assigned_partitions for index in topic.partitions
    ]


async def committed_offsets(cluster: Cluster, group_id: str) -> dict[TopicPartition, int]:
    """Everything the group has committed."""

    async def fetch() -> dict[TopicPartition, int]:
        response = await cluster.ask(
            await cluster.coordinator(group_id),
            OffsetFetchRequest(groups=[OffsetFetchRequestGroup(group_id=group_id, topics=None)]),
            OffsetFetchResponse,
        )
        offsets: dict[TopicPartition, int] = {}
        for group in response.groups:
            check(group.error_code, f"Cannot fetch the offsets of group {group_id!r}")
            for topic in group.topics:
                for partition in topic.partitions:
                    check(partition.error_code, f"Cannot fetch the offsets of group {group_id!r}")
                    if partition.committed_offset >= 0:
                        offsets[topic.name, partition.partition_index] = partition.committed_offset
        return offsets

    return await cluster.retry(fetch)


async def _lags(
    cluster: Cluster, committed: dict[TopicPartition, int], partitions: list[TopicPartition]
) -> list[PartitionLag]:
    if not partitions:
        return []
    await cluster.refresh(sorted({topic for topic, _ in partitions}))
    # Offsets of a deleted topic stay behind for a while.
    alive = [
        (topic, index)
        for topic, index in partitions
        if topic in cluster.topics and index < len(cluster.topics[topic].partitions)
    ]
    ends = await offsets_for(cluster, dict.fromkeys(alive, END))
    lags = []
    for partition in alive:
        end, at = ends[partition], committed.get(partition)
        lag = None if at is None else max(end - at, 0)
        lags.append(PartitionLag(*partition, at, end, lag))
    return lags
