"""The API table. Each row is one API that the broker serves.

No other place says which APIs are served: ApiVersions, dispatch, the README's table and the tests
read this table. A broker that answers as an older release serves what that release has of it.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from kbroker.handlers import (
    add_raft_voter,
    alter_configs,
    alter_partition_reassignments,
    alter_replica_log_dirs,
    api_versions,
    create_partitions,
    create_topics,
    delete_groups,
    delete_records,
    delete_topics,
    describe_cluster,
    describe_configs,
    describe_groups,
    describe_log_dirs,
    describe_producers,
    describe_quorum,
    describe_topic_partitions,
    elect_leaders,
    fetch,
    find_coordinator,
    get_telemetry_subscriptions,
    heartbeat,
    incremental_alter_configs,
    init_producer_id,
    join_group,
    leave_group,
    list_config_resources,
    list_groups,
    list_offsets,
    list_partition_reassignments,
    metadata,
    offset_commit,
    offset_delete,
    offset_fetch,
    offset_for_leader_epoch,
    produce,
    push_telemetry,
    remove_raft_voter,
    sync_group,
    unregister_broker,
    update_features,
)
from kbroker.requests.api import Api, serve
from kbroker.wire.messages.add_raft_voter import AddRaftVoterRequest
from kbroker.wire.messages.alter_configs import AlterConfigsRequest
from kbroker.wire.messages.alter_partition_reassignments import AlterPartitionReassignmentsRequest
from kbroker.wire.messages.alter_replica_log_dirs import AlterReplicaLogDirsRequest
from kbroker.wire.messages.api_versions import ApiVersionsRequest
from kbroker.wire.messages.create_partitions import CreatePartitionsRequest
from kbroker.wire.messages.create_topics import CreateTopicsRequest
from kbroker.wire.messages.delete_groups import DeleteGroupsRequest
from kbroker.wire.messages.delete_records import DeleteRecordsRequest
from kbroker.wire.messages.delete_topics import DeleteTopicsRequest
from kbroker.wire.messages.describe_cluster import DescribeClusterRequest
from kbroker.wire.messages.describe_configs import DescribeConfigsRequest
from kbroker.wire.messages.describe_groups import DescribeGroupsRequest
from kbroker.wire.messages.describe_log_dirs import DescribeLogDirsRequest
from kbroker.wire.messages.describe_producers import DescribeProducersRequest
from kbroker.wire.messages.describe_quorum import DescribeQuorumRequest
from kbroker.wire.messages.describe_topic_partitions import DescribeTopicPartitionsRequest
from kbroker.wire.messages.elect_leaders import ElectLeadersRequest
from kbroker.wire.messages.fetch import FetchRequest
from kbroker.wire.messages.find_coordinator import FindCoordinatorRequest
from kbroker.wire.messages.get_telemetry_subscriptions import GetTelemetrySubscriptionsRequest
from kbroker.wire.messages.heartbeat import HeartbeatRequest
from kbroker.wire.messages.incremental_alter_configs import IncrementalAlterConfigsRequest
from kbroker.wire.messages.init_producer_id import InitProducerIdRequest
from kbroker.wire.messages.join_group import JoinGroupRequest
from kbroker.wire.messages.leave_group import LeaveGroupRequest
from kbroker.wire.messages.list_config_resources import ListConfigResourcesRequest
from kbroker.wire.messages.list_groups import ListGroupsRequest
from kbroker.wire.messages.list_offsets import ListOffsetsRequest
from kbroker.wire.messages.list_partition_reassignments import ListPartitionReassignmentsRequest
from kbroker.wire.messages.metadata import MetadataRequest
from kbroker.wire.messages.offset_commit import OffsetCommitRequest
from kbroker.wire.messages.offset_delete import OffsetDeleteRequest
from kbroker.wire.messages.offset_fetch import OffsetFetchRequest
from kbroker.wire.messages.offset_for_leader_epoch import OffsetForLeaderEpochRequest
from kbroker.wire.messages.produce import ProduceRequest
from kbroker.wire.messages.push_telemetry import PushTelemetryRequest
from kbroker.wire.messages.remove_raft_voter import RemoveRaftVoterRequest
from kbroker.wire.messages.sync_group import SyncGroupRequest
from kbroker.wire.messages.unregister_broker import UnregisterBrokerRequest
from kbroker.wire.messages.update_features import UpdateFeaturesRequest

if TYPE_CHECKING:
    from kbroker.releases.release import Release

# Versions are those that the newest release advertises on a broker's listener.
APIS: tuple[Api, ...] = (
    # Kafka advertises Produce from v0, which it refuses: old librdkafka needs to see it
    # (KAFKA-18659).
    serve(
        ProduceRequest,
        3,
        13,
        produce.handle,
        produce.refuse,
        advertised_min_version=0,
        pipelined=True,
    ),
    serve(FetchRequest, 4, 18, fetch.handle, fetch.refuse),
    serve(ListOffsetsRequest, 1, 11, list_offsets.handle, list_offsets.refuse),
    serve(MetadataRequest, 0, 13, metadata.handle, metadata.refuse),
    serve(OffsetCommitRequest, 2, 10, offset_commit.handle, offset_commit.refuse),
    serve(OffsetFetchRequest, 1, 10, offset_fetch.handle, offset_fetch.refuse),
    serve(FindCoordinatorRequest, 0, 6, find_coordinator.handle, find_coordinator.refuse),
    serve(JoinGroupRequest, 0, 9, join_group.handle),
    serve(HeartbeatRequest, 0, 4, heartbeat.handle),
    serve(LeaveGroupRequest, 0, 5, leave_group.handle),
    serve(SyncGroupRequest, 0, 5, sync_group.handle),
    serve(DescribeGroupsRequest, 0, 6, describe_groups.handle, describe_groups.refuse),
    serve(ListGroupsRequest, 0, 5, list_groups.handle),
    serve(ApiVersionsRequest, 0, 5, api_versions.handle),
    serve(CreateTopicsRequest, 2, 7, create_topics.handle, create_topics.refuse),
    serve(DeleteTopicsRequest, 1, 6, delete_topics.handle, delete_topics.refuse),
    serve(DeleteRecordsRequest, 0, 2, delete_records.handle, delete_records.refuse),
    serve(InitProducerIdRequest, 0, 5, init_producer_id.handle),
    serve(
        OffsetForLeaderEpochRequest,
        2,
        4,
        offset_for_leader_epoch.handle,
        offset_for_leader_epoch.refuse,
    ),
    serve(DescribeConfigsRequest, 1, 4, describe_configs.handle, describe_configs.refuse),
    serve(AlterConfigsRequest, 0, 2, alter_configs.handle, alter_configs.refuse),
    serve(
        AlterReplicaLogDirsRequest,
        1,
        2,
        alter_replica_log_dirs.handle,
        alter_replica_log_dirs.refuse,
    ),
    serve(DescribeLogDirsRequest, 1, 5, describe_log_dirs.handle),
    serve(CreatePartitionsRequest, 0, 3, create_partitions.handle, create_partitions.refuse),
    serve(DeleteGroupsRequest, 0, 3, delete_groups.handle, delete_groups.refuse),
    serve(ElectLeadersRequest, 0, 2, elect_leaders.handle, elect_leaders.refuse),
    serve(
        IncrementalAlterConfigsRequest,
        0,
        1,
        incremental_alter_configs.handle,
        incremental_alter_configs.refuse,
    ),
    serve(
        AlterPartitionReassignmentsRequest,
        0,
        1,
        alter_partition_reassignments.handle,
        alter_partition_reassignments.refuse,
    ),
    serve(
        ListPartitionReassignmentsRequest,
        0,
        0,
        list_partition_reassignments.handle,
        list_partition_reassignments.refuse,
    ),
    serve(OffsetDeleteRequest, 0, 0, offset_delete.handle),
    serve(DescribeQuorumRequest, 0, 2, describe_quorum.handle),
    serve(UpdateFeaturesRequest, 0, 2, update_features.handle),
    serve(DescribeClusterRequest, 0, 2, describe_cluster.handle),
    serve(DescribeProducersRequest, 0, 0, describe_producers.handle, describe_producers.refuse),
    serve(UnregisterBrokerRequest, 0, 0, unregister_broker.handle),
    # Kafka advertises these two only with a reporter of clients' metrics, and serves them anyway.
    serve(
        GetTelemetrySubscriptionsRequest,
        0,
        0,
        get_telemetry_subscriptions.handle,
        is_advertised=False,
    ),
    serve(PushTelemetryRequest, 0, 0, push_telemetry.handle, is_advertised=False),
    serve(ListConfigResourcesRequest, 0, 1, list_config_resources.handle),
    serve(
        DescribeTopicPartitionsRequest,
        0,
        0,
        describe_topic_partitions.handle,
        describe_topic_partitions.refuse,
    ),
    serve(AddRaftVoterRequest, 0, 1, add_raft_voter.handle),
    serve(RemoveRaftVoterRequest, 0, 0, remove_raft_voter.handle),
)


@cache
def apis_of(release: Release) -> tuple[Api, ...]:
    """The rows that a release has, each up to the latest version of that release."""
    return tuple(
        replace(api, max_version=min(api.max_version, versions[1]))
        for api in APIS
        if (versions := release.api_versions(api.key)) is not None
    )
