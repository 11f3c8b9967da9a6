"""Requests for three parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbroker.wire.codes import ConfigOperation, ResourceType
from kbroker.wire.messages import (
    alter_configs,
    alter_partition_reassignments,
    alter_replica_log_dirs,
    create_partitions,
    create_topics,
    delete_groups,
    delete_records,
    delete_topics,
    describe_configs,
    describe_groups,
    describe_log_dirs,
    describe_producers,
    describe_topic_partitions,
    elect_leaders,
    fetch,
    find_coordinator,
    incremental_alter_configs,
    leave_group,
    list_offsets,
    metadata,
    offset_commit,
    offset_delete,
    offset_fetch,
    offset_for_leader_epoch,
    produce,
)
from tests.kbroker.parts.world import (
    DIRS,
    GROUP,
    Parts,
    batch,
    ids,
    places,
)

if TYPE_CHECKING:
    from kbroker.wire.message import Message


def produce_request(parts: Parts, *, by_id: bool = False) -> Message:
    return produce.ProduceRequest(
        acks=-1,
        timeout_ms=10_000,
        topic_data=[
            produce.TopicProduceData(
                name="" if by_id else name,
                topic_id=ids(parts)[name] if by_id else bytes(16),
                partition_data=[
                    produce.PartitionProduceData(index=index, records=batch()) for index in indexes
                ],
            )
            for name, indexes in places(parts)
        ],
    )


def fetch_request(parts: Parts, *, by_id: bool = False, wait: bool = False) -> Message:
    return fetch.FetchRequest(
        max_wait_ms=500 if wait else 0,
        min_bytes=1 << 20 if wait else 1,
        max_bytes=1 << 20,
        isolation_level=1,
        session_epoch=-1,
        topics=[
            fetch.FetchTopic(
                topic="" if by_id else name,
                topic_id=ids(parts)[name] if by_id else bytes(16),
                partitions=[
                    fetch.FetchPartition(partition=index, partition_max_bytes=1 << 20)
                    for index in indexes
                ],
            )
            for name, indexes in places(parts)
        ],
    )


def list_offsets_request(parts: Parts, timestamp: int) -> Message:
    return list_offsets.ListOffsetsRequest(
        replica_id=-1,
        topics=[
            list_offsets.ListOffsetsTopic(
                name=name,
                partitions=[
                    list_offsets.ListOffsetsPartition(partition_index=index, timestamp=timestamp)
                    for index in indexes
                ],
            )
            for name, indexes in places(parts)
        ],
    )


def metadata_request(parts: Parts, *, by_id: bool = False, create: bool = False) -> Message:
    return metadata.MetadataRequest(
        topics=[
            metadata.MetadataRequestTopic(
                name=None if by_id else str(name),
                topic_id=ids(parts)[str(name)] if by_id else bytes(16),
            )
            for name in parts.names
        ],
        allow_auto_topic_creation=create,
    )


def all_metadata_request(parts: Parts) -> Message:
    return metadata.MetadataRequest(topics=None)


def commit_request(parts: Parts) -> Message:
    return offset_commit.OffsetCommitRequest(
        group_id=GROUP,
        generation_id_or_member_epoch=-1,
        topics=[
            offset_commit.OffsetCommitRequestTopic(
                name=name,
                partitions=[
                    offset_commit.OffsetCommitRequestPartition(
                        partition_index=index, committed_offset=6
                    )
                    for index in indexes
                ],
            )
            for name, indexes in places(parts)
        ],
    )


def offset_fetch_request(parts: Parts, *, all_topics: bool = False) -> Message:
    return offset_fetch.OffsetFetchRequest(
        groups=[
            offset_fetch.OffsetFetchRequestGroup(
                group_id=GROUP,
                topics=None
                if all_topics
                else [
                    offset_fetch.OffsetFetchRequestTopics(name=name, partition_indexes=indexes)
                    for name, indexes in places(parts)
                ],
            )
        ]
    )


def group_offsets_request(parts: Parts) -> Message:
    return offset_fetch.OffsetFetchRequest(
        groups=[
            offset_fetch.OffsetFetchRequestGroup(group_id=str(name), topics=None)
            for name in parts.names
        ]
    )


def offset_delete_request(parts: Parts) -> Message:
    return offset_delete.OffsetDeleteRequest(
        group_id=GROUP,
        topics=[
            offset_delete.OffsetDeleteRequestTopic(
                name=name,
                partitions=[
                    offset_delete.OffsetDeleteRequestPartition(partition_index=index)
                    for index in indexes
                ],
            )
            for name, indexes in places(parts)
        ],
    )


def find_coordinator_request(parts: Parts) -> Message:
    return find_coordinator.FindCoordinatorRequest(coordinator_keys=[str(n) for n in parts.names])


def leave_request(parts: Parts) -> Message:
    return leave_group.LeaveGroupRequest(
        group_id=str(parts.known_as["group"]),
        members=[leave_group.MemberIdentity(member_id=str(name)) for name in parts.names],
    )


def describe_groups_request(parts: Parts) -> Message:
    return describe_groups.DescribeGroupsRequest(groups=[str(name) for name in parts.names])


def delete_groups_request(parts: Parts) -> Message:
    return delete_groups.DeleteGroupsRequest(groups_names=[str(name) for name in parts.names])


def create_topics_request(parts: Parts, *, by_hand: bool = False) -> Message:
    return create_topics.CreateTopicsRequest(
        timeout_ms=10_000,
        topics=[
            create_topics.CreatableTopic(
                name=str(name),
                num_partitions=-1 if by_hand else 2,
                replication_factor=-1 if by_hand else 1,
                assignments=[
                    create_topics.CreatableReplicaAssignment(partition_index=0, broker_ids=[1])
                ]
                if by_hand
                else [],
                configs=[create_topics.CreatableTopicConfig(name="retention.ms", value="1000000")],
            )
            for name in parts.names
        ],
    )


def delete_topics_request(parts: Parts, *, by_id: bool = False) -> Message:
    return delete_topics.DeleteTopicsRequest(
        timeout_ms=10_000,
        topics=[
            delete_topics.DeleteTopicState(
                name=None if by_id else str(name),
                topic_id=ids(parts)[str(name)] if by_id else bytes(16),
            )
            for name in parts.names
        ],
    )


def create_partitions_request(parts: Parts) -> Message:
    return create_partitions.CreatePartitionsRequest(
        timeout_ms=10_000,
        topics=[
            create_partitions.CreatePartitionsTopic(name=str(name), count=2, assignments=None)
            for name in parts.names
        ],
    )


def delete_records_request(parts: Parts) -> Message:
    return delete_records.DeleteRecordsRequest(
        timeout_ms=10_000,
        topics=[
            delete_records.DeleteRecordsTopic(
                name=name,
                partitions=[
                    delete_records.DeleteRecordsPartition(partition_index=index, offset=1)
                    for index in indexes
                ],
            )
            for name, indexes in places(parts)
        ],
    )


def leader_epoch_request(parts: Parts) -> Message:
    return offset_for_leader_epoch.OffsetForLeaderEpochRequest(
        replica_id=-1,
        topics=[
            offset_for_leader_epoch.OffsetForLeaderTopic(
                topic=name,
                partitions=[
                    offset_for_leader_epoch.OffsetForLeaderPartition(
                        partition=index, current_leader_epoch=-1, leader_epoch=0
                    )
                    for index in indexes
                ],
            )
            for name, indexes in places(parts)
        ],
    )


def describe_configs_request(parts: Parts, kind: ResourceType) -> Message:
    return describe_configs.DescribeConfigsRequest(
        resources=[
            describe_configs.DescribeConfigsResource(
                resource_type=kind, resource_name=str(name), configuration_keys=None
            )
            for name in parts.names
        ]
    )


def alter_configs_request(parts: Parts) -> Message:
    return alter_configs.AlterConfigsRequest(
        resources=[
            alter_configs.AlterConfigsResource(
                resource_type=ResourceType.TOPIC,
                resource_name=str(name),
                configs=[alter_configs.AlterableConfig(name="retention.ms", value="2000000")],
            )
            for name in parts.names
        ]
    )


def incremental_alter_configs_request(parts: Parts, kind: ResourceType) -> Message:
    key = "retention.ms" if kind is ResourceType.TOPIC else "consumer.session.timeout.ms"
    return incremental_alter_configs.IncrementalAlterConfigsRequest(
        resources=[
            incremental_alter_configs.AlterConfigsResource(
                resource_type=kind,
                resource_name=str(name),
                configs=[
                    incremental_alter_configs.AlterableConfig(
                        name=key, config_operation=ConfigOperation.SET, value="50000"
                    )
                ],
            )
            for name in parts.names
        ]
    )


def alter_replica_log_dirs_request(parts: Parts) -> Message:
    return alter_replica_log_dirs.AlterReplicaLogDirsRequest(
        dirs=[
            alter_replica_log_dirs.AlterReplicaLogDir(
                path=path,
                topics=[
                    alter_replica_log_dirs.AlterReplicaLogDirTopic(name=name, partitions=indexes)
                    for name, indexes in places(parts)
                ],
            )
            for path in DIRS[1:2]
        ]
    )


def describe_log_dirs_request(parts: Parts) -> Message:
    return describe_log_dirs.DescribeLogDirsRequest(topics=None)


def elect_leaders_request(parts: Parts) -> Message:
    return elect_leaders.ElectLeadersRequest(
        election_type=0,
        timeout_ms=10_000,
        topic_partitions=[
            elect_leaders.TopicPartitions(topic=name, partitions=indexes)
            for name, indexes in places(parts)
        ],
    )


def reassign_request(parts: Parts) -> Message:
    return alter_partition_reassignments.AlterPartitionReassignmentsRequest(
        timeout_ms=10_000,
        topics=[
            alter_partition_reassignments.ReassignableTopic(
                name=name,
                partitions=[
                    alter_partition_reassignments.ReassignablePartition(
                        partition_index=index, replicas=[1]
                    )
                    for index in indexes
                ],
            )
            for name, indexes in places(parts)
        ],
    )


def describe_producers_request(parts: Parts) -> Message:
    return describe_producers.DescribeProducersRequest(
        topics=[
            describe_producers.TopicRequest(name=name, partition_indexes=indexes)
            for name, indexes in places(parts)
        ]
    )


def describe_topic_partitions_request(parts: Parts) -> Message:
    return describe_topic_partitions.DescribeTopicPartitionsRequest(
        topics=[describe_topic_partitions.TopicRequest(name=str(name)) for name in parts.names],
        response_partition_limit=2000,
    )
