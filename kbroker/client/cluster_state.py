"""The cluster as an administrator sees it: brokers, quorum, features, reassignments, elections."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

from kbroker.controller.topic_names import CLUSTER_METADATA
from kbroker.wire.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from kbroker.wire.messages.describe_cluster import (
    DescribeClusterBroker,
    DescribeClusterRequest,
    DescribeClusterResponse,
)
from kbroker.wire.messages.describe_quorum import (
    DescribeQuorumRequest,
    DescribeQuorumRequestPartitionData,
    DescribeQuorumRequestTopicData,
    DescribeQuorumResponse,
)
from kbroker.wire.messages.elect_leaders import (
    ElectLeadersRequest,
    ElectLeadersResponse,
    TopicPartitions,
)
from kbroker.wire.messages.list_partition_reassignments import (
    ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsResponse,
    ListPartitionReassignmentsTopics,
)
from kbroker.wire.messages.unregister_broker import (
    UnregisterBrokerRequest,
    UnregisterBrokerResponse,
)
from kbroker.wire.messages.update_features import (
    FeatureUpdateKey,
    UpdateFeaturesRequest,
    UpdateFeaturesResponse,
)

from .errors import ClientError, check, error_code

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kbroker.wire.codes import UpgradeType
    from kbroker.wire.errors import ErrorCode
    from kbroker.wire.messages.describe_quorum import DescribeQuorumResponsePartitionData

    from .cluster import Cluster, TopicPartition

TIMEOUT_MS = 20_000


class ElectionType(IntEnum):
    """ElectionType."""

    PREFERRED = 0
    UNCLEAN = 1


class ClusterDescription(NamedTuple):
    """Brokers by id; fenced ones too where the cluster tells them."""

    cluster_id: str
    controller_id: int
    brokers: list[DescribeClusterBroker]


class Feature(NamedTuple):
    """The levels that a broker supports, and the one in force (0: none)."""

    name: str
    min_level: int
    max_level: int
    level: int


class Reassignment(NamedTuple):
    """A partition on its way from some replicas to others."""

    topic: str
    partition: int
    replicas: list[int]
    adding: list[int]
    removing: list[int]


@dataclass(frozen=True, slots=True)
class Election:
    """What came of one; NONE where a leader was elected."""

    topic: str
    partition: int
    error: ErrorCode
    message: str | None


async def describe_cluster(cluster: Cluster) -> ClusterDescription:
    async def ask() -> DescribeClusterResponse:
        response = await cluster.ask_any(
            DescribeClusterRequest(include_fenced_brokers=True), DescribeClusterResponse
        )
        check(response.error_code, "Cannot describe the cluster", response.error_message)
        return response

    response = await cluster.retry(ask)
    brokers = sorted(response.brokers, key=lambda broker: broker.broker_id)
    return ClusterDescription(response.cluster_id, response.controller_id, brokers)


async def describe_quorum(cluster: Cluster) -> DescribeQuorumResponsePartitionData:
    """The quorum of the controllers. ClientError where the cluster has none."""

    async def ask() -> DescribeQuorumResponse:
        response = await cluster.ask_any(
            DescribeQuorumRequest(
                topics=[
                    DescribeQuorumRequestTopicData(
                        topic_name=CLUSTER_METADATA,
                        partitions=[DescribeQuorumRequestPartitionData(partition_index=0)],
                    )
                ]
            ),
            DescribeQuorumResponse,
        )
        check(response.error_code, "Cannot describe the quorum", response.error_message)
        for topic in response.topics:
            for partition in topic.partitions:
                check(partition.error_code, "Cannot describe the quorum", partition.error_message)
        return response

    for topic in (await cluster.retry(ask)).topics:
        for partition in topic.partitions:
            return partition
    raise ClientError("The broker's description of the quorum is empty.")


async def api_versions(cluster: Cluster, node_id: int | None = None) -> ApiVersionsResponse:
    """What a broker serves, and the features; None: any broker."""

    async def ask() -> ApiVersionsResponse:
        request = ApiVersionsRequest(
            client_software_name="kbroker", client_software_version="0.1.0"
        )
        if node_id is None:
            response = await cluster.ask_any(request, ApiVersionsResponse)
        else:
            response = await cluster.ask(node_id, request, ApiVersionsResponse)
        check(response.error_code, "Cannot get the API versions")
        return response

    return await cluster.retry(ask)


def features(response: ApiVersionsResponse) -> list[Feature]:
    """By name."""
    levels = {feature.name: feature.max_version_level for feature in response.finalized_features}
    return sorted(
        Feature(f.name, f.min_version, f.max_version, levels.get(f.name, 0))
        for f in response.supported_features
    )


async def update_features(
    cluster: Cluster,
    levels: Mapping[str, int],
    upgrade_type: UpgradeType,
    *,
    validate_only: bool = False,
) -> None:
    """Bring the features to their levels, all or none; 0 turns one off. BrokerError."""

    async def update() -> None:
        response = await cluster.ask_any(
            UpdateFeaturesRequest(
                timeout_ms=TIMEOUT_MS,
                feature_updates=[
                    FeatureUpdateKey(
                        feature=name, max_version_level=level, upgrade_type=upgrade_type
                    )
                    for name, level in levels.items()
                ],
                validate_only=validate_only,
            ),
            UpdateFeaturesResponse,
        )
        for result in response.results:
            what = f"Cannot change feature {result.feature!r}"
            check(result.error_code, what, result.error_message)
        check(response.error_code, "Cannot change the features", response.error_message)

    await cluster.retry(update)


async def list_reassignments(
    cluster: Cluster, partitions: Sequence[TopicPartition] | None = None
) -> list[Reassignment]:
    """What is being moved; None: of all partitions."""
    topics: dict[str, ListPartitionReassignmentsTopics] = {}
    for topic, index in partitions or ():
        topics.setdefault(
            topic, ListPartitionReassignmentsTopics(name=topic)
        ).partition_indexes.append(index)
    request = ListPartitionReassignmentsRequest(
        timeout_ms=TIMEOUT_MS, topics=None if partitions is None else list(topics.values())
    )

    async def ask() -> ListPartitionReassignmentsResponse:
        response = await cluster.ask_any(request, ListPartitionReassignmentsResponse)
        check(response.error_code, "Cannot list the reassignments", response.error_message)
        return response

    return sorted(
        Reassignment(
            topic.name, p.partition_index, p.replicas, p.adding_replicas, p.removing_replicas
        )
        for topic in (await cluster.retry(ask)).topics
        for p in topic.partitions
    )


async def elect_leaders(
    cluster: Cluster,
    election_type: ElectionType,
    partitions: Sequence[TopicPartition] | None = None,
) -> list[Election]:
    """None: all partitions that need it. BrokerError where nothing was tried."""
    topics: dict[str, TopicPartitions] = {}
    for topic, index in partitions or ():
        topics.setdefault(topic, TopicPartitions(topic=topic)).partitions.append(index)
    request = ElectLeadersRequest(
        election_type=election_type,
        topic_partitions=None if partitions is None else list(topics.values()),
        timeout_ms=TIMEOUT_MS,
    )

    async def ask() -> ElectLeadersResponse:
        response = await cluster.ask_any(request, ElectLeadersResponse)
        check(response.error_code, "Cannot elect leaders")
        return response

    response = await cluster.retry(ask)
    return [
        Election(topic.topic, p.partition_id, error_code(p.error_code), p.error_message)
        for topic in response.replica_election_results
        for p in topic.partition_result
    ]


async def unregister_broker(cluster: Cluster, broker_id: int) -> None:
    """Forget a broker that is gone. BrokerError where it is unknown or still there."""

    async def unregister() -> None:
        response = await cluster.ask_any(
            UnregisterBrokerRequest(broker_id=broker_id), UnregisterBrokerResponse
        )
        check(response.error_code, f"Cannot unregister broker {broker_id}", response.error_message)

    await cluster.retry(unregister)
