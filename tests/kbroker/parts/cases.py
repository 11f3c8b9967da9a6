"""The table: how each API is asked for three parts."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from kbroker.wire.codes import ResourceType
from kbroker.wire.errors import ErrorCode
from tests.kbroker.parts.done import (
    groups_are_gone,
    has_grown,
    is_configured,
    is_created,
    is_deleted,
    is_written,
    members_have_left,
    offsets_are,
    records_are_gone,
    replicas_have_moved,
)
from tests.kbroker.parts.requests import (
    all_metadata_request,
    alter_configs_request,
    alter_replica_log_dirs_request,
    commit_request,
    create_partitions_request,
    create_topics_request,
    delete_groups_request,
    delete_records_request,
    delete_topics_request,
    describe_configs_request,
    describe_groups_request,
    describe_log_dirs_request,
    describe_producers_request,
    describe_topic_partitions_request,
    elect_leaders_request,
    fetch_request,
    find_coordinator_request,
    group_offsets_request,
    incremental_alter_configs_request,
    leader_epoch_request,
    leave_request,
    list_offsets_request,
    metadata_request,
    offset_delete_request,
    offset_fetch_request,
    produce_request,
    reassign_request,
)
from tests.kbroker.parts.world import (
    OFFSETS_PARTITIONS,
    UNKNOWN,
    Parts,
    World,
    absent_topics,
    directories,
    group_names,
    groups,
    groups_apart,
    members,
    new_partitions,
    partitions,
    partitions_with_offsets,
    pending_members,
    topics,
    topics_with_offsets,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from kbroker.wire.message import Message


@dataclass(frozen=True)
class Case:
    """One way to ask an API for three parts."""

    api: str
    version: int
    prepare: Callable[[World], Awaitable[Parts]]
    request: Callable[[Parts], Message]
    is_done: Callable[[World, Parts, Any], Awaitable[None]] | None = None  # of the good ones
    expected: ErrorCode = ErrorCode.NONE  # of a good one
    refused: ErrorCode = UNKNOWN  # of the bad one
    settings: Mapping[str, str] = field(default_factory=dict)
    has_own_batches: bool = False  # each part is written on its own, if it is written
    waits: bool = False  # for a flush, which may be done sooner or later

    def __str__(self) -> str:
        kind = getattr(self.prepare, "__name__", "flushed")
        return f"{self.api}-v{self.version}-{kind}"


# Answers wait for a flush.
FLUSHED = {"log.flush.interval.messages": "1"}
APART = {"offsets.topic.num.partitions": str(OFFSETS_PARTITIONS)}
flushed_topics = partial(topics, configs={"flush.messages": "1"})
TOPIC, GROUP_CONFIG = ResourceType.TOPIC, ResourceType.GROUP

CASES = (
    Case("Produce", 9, topics, produce_request, is_written),
    Case("Produce", 13, topics, partial(produce_request, by_id=True), is_written),
    Case("Produce", 9, new_partitions, produce_request, is_written),
    Case("Produce", 9, flushed_topics, produce_request, is_written, waits=True),
    Case("Fetch", 12, topics, fetch_request),
    Case("Fetch", 13, topics, partial(fetch_request, by_id=True)),
    Case("Fetch", 12, partitions, fetch_request),
    Case("Fetch", 12, topics, partial(fetch_request, wait=True)),
    Case("ListOffsets", 7, topics, partial(list_offsets_request, timestamp=0)),
    Case("ListOffsets", 7, topics, partial(list_offsets_request, timestamp=-3)),
    Case("ListOffsets", 7, topics, partial(list_offsets_request, timestamp=-2)),
    Case("ListOffsets", 7, partitions, partial(list_offsets_request, timestamp=-1)),
    Case("Metadata", 12, topics, metadata_request),
    Case("Metadata", 12, topics, partial(metadata_request, by_id=True)),
    Case("Metadata", 12, topics, all_metadata_request),
    Case(
        "Metadata", 12, absent_topics, metadata_request, None, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    ),
    Case("Metadata", 11, absent_topics, partial(metadata_request, create=True)),
    Case(
        "OffsetCommit", 9, topics_with_offsets, commit_request, partial(offsets_are, good=6, bad=5)
    ),
    Case("OffsetCommit", 9, partitions_with_offsets, commit_request),
    Case("OffsetFetch", 9, groups, group_offsets_request),
    Case("OffsetFetch", 9, groups_apart, group_offsets_request, settings=APART),
    Case("OffsetFetch", 9, topics_with_offsets, offset_fetch_request),
    Case("OffsetFetch", 9, partitions_with_offsets, offset_fetch_request),
    Case("FindCoordinator", 4, group_names, find_coordinator_request),
    Case("LeaveGroup", 4, members, leave_request, members_have_left),
    Case("LeaveGroup", 4, pending_members, leave_request, members_have_left),
    Case("DescribeGroups", 6, groups, describe_groups_request),
    Case("DescribeGroups", 6, groups_apart, describe_groups_request, settings=APART),
    Case("DeleteGroups", 2, groups, delete_groups_request, groups_are_gone),
    Case(
        "DeleteGroups",
        2,
        groups_apart,
        delete_groups_request,
        settings={**APART, **FLUSHED},
        has_own_batches=True,
        waits=True,
    ),
    Case("CreateTopics", 7, absent_topics, create_topics_request, is_created),
    Case(
        "CreateTopics", 7, absent_topics, partial(create_topics_request, by_hand=True), is_created
    ),
    Case("DeleteTopics", 6, topics, delete_topics_request, is_deleted),
    Case("DeleteTopics", 6, topics, partial(delete_topics_request, by_id=True), is_deleted),
    Case("DeleteRecords", 2, topics, delete_records_request, records_are_gone),
    Case("DeleteRecords", 2, partitions, delete_records_request),
    Case("OffsetForLeaderEpoch", 4, topics, leader_epoch_request),
    Case("OffsetForLeaderEpoch", 4, partitions, leader_epoch_request),
    Case("DescribeConfigs", 4, topics, partial(describe_configs_request, kind=TOPIC)),
    Case("DescribeConfigs", 4, group_names, partial(describe_configs_request, kind=GROUP_CONFIG)),
    Case(
        "AlterConfigs",
        2,
        topics,
        alter_configs_request,
        partial(is_configured, kind=TOPIC, key="retention.ms", value="2000000"),
    ),
    Case(
        "IncrementalAlterConfigs",
        1,
        topics,
        partial(incremental_alter_configs_request, kind=TOPIC),
        partial(is_configured, kind=TOPIC, key="retention.ms", value="50000"),
    ),
    Case(
        "IncrementalAlterConfigs",
        1,
        group_names,
        partial(incremental_alter_configs_request, kind=GROUP_CONFIG),
        partial(is_configured, kind=GROUP_CONFIG, key="consumer.session.timeout.ms", value="50000"),
    ),
    Case("AlterReplicaLogDirs", 2, topics, alter_replica_log_dirs_request, replicas_have_moved),
    Case("DescribeLogDirs", 4, directories, describe_log_dirs_request),
    Case("CreatePartitions", 3, topics, create_partitions_request, has_grown),
    Case("ElectLeaders", 2, topics, elect_leaders_request, None, ErrorCode.ELECTION_NOT_NEEDED),
    Case("ElectLeaders", 2, partitions, elect_leaders_request, None, ErrorCode.ELECTION_NOT_NEEDED),
    Case("AlterPartitionReassignments", 1, topics, reassign_request),
    Case("AlterPartitionReassignments", 1, partitions, reassign_request),
    Case(
        "OffsetDelete",
        0,
        topics_with_offsets,
        offset_delete_request,
        partial(offsets_are, good=-1, bad=5),
    ),
    Case("OffsetDelete", 0, partitions_with_offsets, offset_delete_request),
    Case("DescribeProducers", 0, topics, describe_producers_request),
    Case("DescribeProducers", 0, partitions, describe_producers_request),
    Case("DescribeTopicPartitions", 0, topics, describe_topic_partitions_request),
    Case(
        "DescribeTopicPartitions",
        0,
        absent_topics,
        describe_topic_partitions_request,
        None,
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    ),
)

# Requests that have lists, and yet one answer.
WHOLE = {
    "JoinGroup": "the protocols of one member",
    "SyncGroup": "the assignment of one generation",
    "ListGroups": "filters",
    "ListConfigResources": "a filter",
    "ListPartitionReassignments": "partitions have no error code in the answer",
    "DescribeQuorum": "all but the one partition that there is refuses the request",
    "UpdateFeatures": "all features are updated or none (KIP-1022)",
    "AddRaftVoter": "the listeners of one voter",
}
