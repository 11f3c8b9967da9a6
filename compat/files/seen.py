"""Everything of a data directory that a client can see, to compare two brokers by."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from compat.behaviour.asking import (
    EARLIEST,
    LATEST,
    assert_none,
    fetch,
    fetch_request,
    list_offset,
    whole_batches,
)
from compat.behaviour.groups import fetch_offsets
from kbroker.storage.batch import BatchHeader, Record, records
from kbroker.wire.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from kbroker.wire.messages.describe_cluster import DescribeClusterRequest, DescribeClusterResponse
from kbroker.wire.messages.describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResponse,
)
from kbroker.wire.messages.describe_producers import (
    DescribeProducersRequest,
    DescribeProducersResponse,
    TopicRequest,
)
from kbroker.wire.messages.list_groups import ListGroupsRequest, ListGroupsResponse
from kbroker.wire.messages.metadata import MetadataRequest, MetadataResponse
from kbroker.wire.messages.offset_for_leader_epoch import (
    OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse,
    OffsetForLeaderPartition,
    OffsetForLeaderTopic,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from compat.raw import RawClient

MAX_TIMESTAMP = -3
TOPIC, BROKER, CLIENT_METRICS, GROUP = 2, 4, 16, 32
# Who set a value, by DescribeConfigs' config_source: someone, while the broker ran.
DYNAMIC_SOURCES = {1, 2, 3, 7, 8}


@dataclass(slots=True)
class Partition:
    """What a partition's leader tells of it."""

    start_offset: int
    end_offset: int
    last_stable_offset: int
    leader_epoch: int
    batches: list[bytes]
    aborted: list[tuple[int, int]]  # producer id, first offset
    by_time: dict[int, tuple[int, int]]  # timestamp asked for -> offset, timestamp
    epoch_ends: dict[int, tuple[int, int]]  # epoch asked for -> epoch, end offset
    producers: dict[int, tuple[int, int, int]]  # id -> epoch, last sequence, open transaction


@dataclass(slots=True)
class Topic:
    topic_id: bytes
    configs: dict[str, str | None]
    partitions: list[Partition]


@dataclass(slots=True)
class Seen:
    """What one broker shows."""

    cluster_id: str
    node_id: int
    features: dict[str, int]  # -> finalized level
    configs: dict[tuple[int, str], dict[str, str | None]]
    group_types: dict[str, str]
    internal: dict[str, list[list[bytes]]] = field(default_factory=dict)  # batches by partition
    topics: dict[str, Topic] = field(default_factory=dict)
    offsets: dict[str, dict[tuple[str, int], tuple[int, int, str | None]]] = field(
        default_factory=dict
    )


def look(raw: RawClient, *, groups: Iterable[str], resources: Iterable[tuple[int, str]]) -> Seen:
    """All topics (of internal ones their batches), these groups' offsets and these resources' own
    configs.
    """
    cluster = raw.ask(DescribeClusterRequest(), 1, DescribeClusterResponse)
    listed = raw.ask(ListGroupsRequest(), 5, ListGroupsResponse)
    assert_none(listed.error_code)
    seen = Seen(
        cluster.cluster_id,
        cluster.brokers[0].broker_id,
        finalized(raw),
        {(kind, name): _own_configs(raw, kind, name) for kind, name in resources},
        {group.group_id: group.group_type for group in listed.groups},
    )
    for topic in raw.ask(MetadataRequest(topics=None), 13, MetadataResponse).topics:
        name = topic.name or ""
        parts = sorted(topic.partitions, key=lambda found: found.partition_index)
        if topic.is_internal:
            seen.internal[name] = [
                _all_batches(raw, name, topic.topic_id, one.partition_index) for one in parts
            ]
            continue
        seen.topics[name] = Topic(
            topic.topic_id,
            _own_configs(raw, TOPIC, name),
            [
                _partition(raw, name, topic.topic_id, one.partition_index, one.leader_epoch)
                for one in parts
            ],
        )
    for group in groups:
        seen.offsets[group] = {
            (topic.name, one.partition_index): (
                one.committed_offset,
                one.committed_leader_epoch,
                one.metadata,
            )
            for topic in fetch_offsets(raw, group).topics
            for one in topic.partitions
        }
    return seen


def finalized(raw: RawClient) -> dict[str, int]:
    """The features that are in force, with their levels."""
    request = ApiVersionsRequest(client_software_name="compat", client_software_version="1")
    response = raw.ask(request, 4, ApiVersionsResponse)
    return {each.name: each.max_version_level for each in response.finalized_features}


def _own_configs(raw: RawClient, kind: int, name: str) -> dict[str, str | None]:
    resource = DescribeConfigsResource(
        resource_type=kind, resource_name=name, configuration_keys=None
    )
    request = DescribeConfigsRequest(resources=[resource])
    (found,) = raw.ask(request, 4, DescribeConfigsResponse).results
    assert_none(found.error_code)
    return {
        entry.name: entry.value for entry in found.configs if entry.config_source in DYNAMIC_SOURCES
    }


def _partition(
    raw: RawClient, name: str, topic_id: bytes, index: int, leader_epoch: int
) -> Partition:
    start = list_offset(raw, name, EARLIEST, partition=index).offset
    end = list_offset(raw, name, LATEST, partition=index).offset
    stable = list_offset(raw, name, LATEST, partition=index, isolation_level=1).offset
    batches, aborted = _read(raw, topic_id, index, start, end)
    stamps = sorted({one.timestamp for one in data_records(batches) if one.offset >= start})
    asked = [MAX_TIMESTAMP, *stamps[:: 1 + len(stamps) // 5]]
    by_time = {stamp: list_offset(raw, name, stamp, partition=index) for stamp in asked}
    return Partition(
        start,
        end,
        stable,
        leader_epoch,
        batches,
        aborted,
        {stamp: (found.offset, found.timestamp) for stamp, found in by_time.items()},
        {epoch: _epoch_end(raw, name, index, epoch) for epoch in range(leader_epoch + 1)},
        _producers(raw, name, index),
    )


def _all_batches(raw: RawClient, name: str, topic_id: bytes, index: int) -> list[bytes]:
    start = list_offset(raw, name, EARLIEST, partition=index).offset
    end = list_offset(raw, name, LATEST, partition=index).offset
    return _read(raw, topic_id, index, start, end)[0]


def _read(
    raw: RawClient, topic_id: bytes, index: int, start: int, end: int
) -> tuple[list[bytes], list[tuple[int, int]]]:
    """All batches from `start` to `end`, and which transactions in them were aborted."""
    batches: list[bytes] = []
    aborted: set[tuple[int, int]] = set()
    offset = start
    while offset < end:
        request = fetch_request(topic_id, offset, partition=index)
        found = [bytes(one) for one in whole_batches(fetch(raw, request))]
        request.isolation_level = 1
        for one in fetch(raw, request).aborted_transactions or []:
            aborted.add((one.producer_id, one.first_offset))
        if not found:
            break  # compaction may have taken the last ones
        batches += found
        offset = BatchHeader(found[-1]).next_offset
    return batches, sorted(aborted)


def data_records(batches: list[bytes]) -> list[Record]:
    """Their records, without those of control batches."""
    return [
        record
        for one in batches
        if not BatchHeader(one).is_control
        for record in records(memoryview(one))
    ]


def latest_by_key(batches: list[bytes]) -> dict[bytes | None, tuple[int, bytes | None]]:
    """What compaction must keep: the last offset and value of each key."""
    return {record.key: (record.offset, record.value) for record in data_records(batches)}


def _epoch_end(raw: RawClient, name: str, index: int, epoch: int) -> tuple[int, int]:
    one = OffsetForLeaderPartition(partition=index, leader_epoch=epoch)
    request = OffsetForLeaderEpochRequest(
        topics=[OffsetForLeaderTopic(topic=name, partitions=[one])]
    )
    answer = raw.ask(request, 4, OffsetForLeaderEpochResponse).topics[0].partitions[0]
    assert_none(answer.error_code)
    return answer.leader_epoch, answer.end_offset


def _producers(raw: RawClient, name: str, index: int) -> dict[int, tuple[int, int, int]]:
    request = DescribeProducersRequest(topics=[TopicRequest(name=name, partition_indexes=[index])])
    answer = raw.ask(request, 0, DescribeProducersResponse).topics[0].partitions[0]
    assert_none(answer.error_code)
    return {
        one.producer_id: (one.producer_epoch, one.last_sequence, one.current_txn_start_offset)
        for one in answer.active_producers
    }
