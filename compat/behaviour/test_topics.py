"""CreateTopics, CreatePartitions, DeleteTopics, Metadata and DescribeTopicPartitions."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from compat.late import comes_to
from kbroker.wire.errors import ErrorCode
from kbroker.wire.message import ZERO_UUID
from kbroker.wire.messages.create_partitions import (
    CreatePartitionsAssignment,
    CreatePartitionsRequest,
    CreatePartitionsResponse,
    CreatePartitionsTopic,
)
from kbroker.wire.messages.create_topics import (
    CreatableReplicaAssignment,
    CreatableTopic,
    CreatableTopicConfig,
    CreatableTopicResult,
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from kbroker.wire.messages.delete_topics import (
    DeleteTopicsRequest,
    DeleteTopicsResponse,
    DeleteTopicState,
)
from kbroker.wire.messages.describe_topic_partitions import (
    DescribeTopicPartitionsRequest,
    DescribeTopicPartitionsRequestCursor,
    DescribeTopicPartitionsResponse,
    TopicRequest,
)
from kbroker.wire.messages.metadata import (
    MetadataRequest,
    MetadataRequestTopic,
    MetadataResponse,
)

from .asking import assert_error, assert_none, batch, describe, make_topic, produce

if TYPE_CHECKING:
    from collections.abc import Callable

    from compat.raw import RawClient

pytestmark = [pytest.mark.ci, pytest.mark.item(28)]

ALL_TOPIC_OPERATIONS = 0xDF8  # read, write, create, delete, alter, describe, configs


def create(
    raw: RawClient, *topics: CreatableTopic, validate_only: bool = False, version: int = 7
) -> dict[str, CreatableTopicResult]:
    request = CreateTopicsRequest(topics=list(topics), validate_only=validate_only)
    response = raw.ask(request, version, CreateTopicsResponse)
    return {one.name: one for one in response.topics}


def new_topic(
    name: str, partitions: int = -1, replication: int = -1, **configs: str | None
) -> CreatableTopic:
    return CreatableTopic(
        name=name,
        num_partitions=partitions,
        replication_factor=replication,
        configs=[
            CreatableTopicConfig(name=key.replace("_", "."), value=value)
            for key, value in configs.items()
        ],
    )


def delete(raw: RawClient, *topics: DeleteTopicState) -> list[tuple[str | None, bytes, int]]:
    request = DeleteTopicsRequest(topics=list(topics), timeout_ms=10_000)
    response = raw.ask(request, 6, DeleteTopicsResponse)
    return [(one.name, one.topic_id, one.error_code) for one in response.responses]


def test_good_and_bad_in_one_request(raw: RawClient, unique: Callable[[str], str]) -> None:
    good, also = unique("good"), unique("also")
    make_topic(raw, also)
    twice = unique("twice")
    found = create(
        raw,
        new_topic(good, 3, 1, retention_ms="1234"),
        new_topic(also),
        new_topic("no/slash"),
        new_topic(""),
        new_topic("."),
        new_topic("x" * 250),
        new_topic("zero", 0),
        new_topic("many", 1, 2),
        new_topic("none", 1, 0),
        new_topic("conf", 1, 1, no_such_key="1"),
        new_topic("value", 1, 1, retention_ms="soon"),
        new_topic(twice),
        new_topic(twice),
    )
    errors = {name: ErrorCode(one.error_code).name for name, one in found.items()}
    assert errors == {
        good: "NONE",
        also: "TOPIC_ALREADY_EXISTS",
        "no/slash": "INVALID_TOPIC_EXCEPTION",
        "": "INVALID_TOPIC_EXCEPTION",
        ".": "INVALID_TOPIC_EXCEPTION",
        "x" * 250: "INVALID_TOPIC_EXCEPTION",
        "zero": "INVALID_PARTITIONS",
        "many": "INVALID_REPLICATION_FACTOR",
        "none": "INVALID_REPLICATION_FACTOR",
        "conf": "INVALID_CONFIG",
        "value": "INVALID_CONFIG",
        twice: "INVALID_REQUEST",
    }
    for name, one in found.items():
        assert bool(one.error_message) == (name != good), name
    assert (found[good].num_partitions, found[good].replication_factor) == (3, 1)
    assert found[good].topic_id != ZERO_UUID
    configs = {config.name: config for config in found[good].configs or ()}
    assert configs["retention.ms"].value == "1234"
    assert configs["retention.ms"].config_source == 1
    assert configs["cleanup.policy"].value == "delete"
    assert len(configs) >= 30


def test_defaults_stand_for_minus_1(raw: RawClient, unique: Callable[[str], str]) -> None:
    (one,) = create(raw, new_topic(unique("default"))).values()
    assert (one.error_code, one.num_partitions, one.replication_factor) == (0, 1, 1)


def test_validate_only_creates_nothing(raw: RawClient, unique: Callable[[str], str]) -> None:
    name = unique("validated")
    (one,) = create(raw, new_topic(name, 4), validate_only=True).values()
    assert (one.error_code, one.num_partitions) == (0, 4)
    assert describe(raw, name).error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def test_names_that_collide_in_metrics_are_refused(
    raw: RawClient, unique: Callable[[str], str]
) -> None:
    name = unique("dot") + ".x_y"
    make_topic(raw, name)
    (one,) = create(raw, new_topic(name.replace(".", "_"))).values()
    assert_error(one.error_code, ErrorCode.INVALID_TOPIC_EXCEPTION)


def test_assignments_by_hand(raw: RawClient, unique: Callable[[str], str]) -> None:
    name = unique("assigned")
    make_topic(raw, unique("any"))
    node = raw.ask(MetadataRequest(topics=[]), 12, MetadataResponse).brokers[0].node_id

    def assign(*parts: tuple[int, list[int]], partitions: int = -1) -> int:
        topic = new_topic(name, partitions, -1)
        topic.assignments = [
            CreatableReplicaAssignment(partition_index=p, broker_ids=ids) for p, ids in parts
        ]
        return create(raw, topic)[name].error_code

    assert_error(assign((0, [node]), partitions=1), ErrorCode.INVALID_REQUEST)
    assert_error(assign((0, [99])), ErrorCode.INVALID_REPLICA_ASSIGNMENT)
    assert_error(assign((0, [node, node])), ErrorCode.INVALID_REPLICA_ASSIGNMENT)
    assert_error(assign((1, [node])), ErrorCode.INVALID_REPLICA_ASSIGNMENT)
    assert_error(assign((0, [])), ErrorCode.INVALID_REPLICA_ASSIGNMENT)
    assert_none(assign((0, [node]), (1, [node])))


@pytest.mark.parametrize("version", range(2, 8))
def test_every_version_creates(raw: RawClient, unique: Callable[[str], str], version: int) -> None:
    name = unique("version")
    one = create(raw, new_topic(name, 2, 1), version=version)[name]
    assert one.error_code == 0
    assert (one.topic_id != ZERO_UUID) == (version >= 7)
    assert one.num_partitions == (2 if version >= 5 else -1)


def test_partitions_are_added(raw: RawClient, unique: Callable[[str], str]) -> None:
    name, absent = unique("grown"), unique("absent")
    make_topic(raw, name, 2)
    node = describe(raw, name).partitions[0].leader_id

    def grow(
        topic: str, count: int, assignments: list[list[int]] | None = None, **options: bool
    ) -> int:
        wanted = CreatePartitionsTopic(
            name=topic,
            count=count,
            assignments=None
            if assignments is None
            else [CreatePartitionsAssignment(broker_ids=ids) for ids in assignments],
        )
        request = CreatePartitionsRequest(topics=[wanted], timeout_ms=10_000, **options)
        (answer,) = raw.ask(request, 3, CreatePartitionsResponse).results
        assert answer.name == topic
        return answer.error_code

    assert_none(grow(name, 5, validate_only=True))
    assert len(describe(raw, name).partitions) == 2
    assert_error(grow(name, 2), ErrorCode.INVALID_PARTITIONS)
    assert_error(grow(name, 1), ErrorCode.INVALID_PARTITIONS)
    assert_error(grow(name, -1), ErrorCode.INVALID_PARTITIONS)
    assert_error(grow(absent, 3), ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    assert_error(grow(name, 4, [[node]]), ErrorCode.INVALID_REPLICA_ASSIGNMENT)
    assert_error(grow(name, 3, [[99]]), ErrorCode.INVALID_REPLICA_ASSIGNMENT)
    assert_none(grow(name, 3, [[node]]))
    assert_none(grow(name, 5))
    await_partitions(raw, name, 5)
    assert_none(produce(raw, name, batch(b"v"), partition=4).error_code)


def await_partitions(raw: RawClient, name: str, count: int) -> None:
    """Apache Kafka answers before its brokers know."""
    from .asking import await_leaders

    await_leaders(raw, name, count)


def test_topics_are_deleted_by_name_and_by_id(raw: RawClient, unique: Callable[[str], str]) -> None:
    by_name, by_id = unique("name"), unique("id")
    name_id, id_id = make_topic(raw, by_name), make_topic(raw, by_id)
    found = delete(
        raw,
        DeleteTopicState(name=by_name),
        DeleteTopicState(topic_id=id_id),
        DeleteTopicState(name="absent"),
        DeleteTopicState(topic_id=b"\x05" * 16),
    )
    assert sorted(found, key=str) == sorted(
        [
            (by_name, name_id, 0),
            (by_id, id_id, 0),
            ("absent", ZERO_UUID, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
            (None, b"\x05" * 16, ErrorCode.UNKNOWN_TOPIC_ID),
        ],
        key=str,
    )
    comes_to(lambda: describe(raw, by_name).error_code, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)


@pytest.mark.item(11)
def test_a_topic_made_again_is_new_and_empty(raw: RawClient, unique: Callable[[str], str]) -> None:
    name = unique("again")
    ids = []
    for _ in range(3):
        ids.append(make_topic(raw, name))
        assert produce(raw, name, batch(b"v")).base_offset == 0
        assert delete(raw, DeleteTopicState(name=name))[0][2] == 0
    assert len(set(ids)) == 3


@pytest.mark.parametrize("version", range(1, 7))
def test_every_version_deletes(raw: RawClient, unique: Callable[[str], str], version: int) -> None:
    name = unique("version")
    make_topic(raw, name)
    request = DeleteTopicsRequest(timeout_ms=10_000)
    if version >= 6:
        request.topics = [DeleteTopicState(name=name)]
    else:
        request.topic_names = [name]
    assert_none(raw.ask(request, version, DeleteTopicsResponse).responses[0].error_code)


def test_metadata_creates_what_is_asked_for(raw: RawClient, unique: Callable[[str], str]) -> None:
    name = unique("auto")
    request = MetadataRequest(topics=[MetadataRequestTopic(name=name)])
    first = raw.ask(request, 12, MetadataResponse).topics[0]
    # Apache Kafka creates it meanwhile; to be ready at once is allowed, and better.
    allowed = {
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode.LEADER_NOT_AVAILABLE,
        ErrorCode.NONE,
    }
    assert first.error_code in allowed
    deadline = time.monotonic() + 120
    while describe(raw, name).error_code:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    bad = MetadataRequest(topics=[MetadataRequestTopic(name="no/slash")])
    answer = raw.ask(bad, 12, MetadataResponse).topics[0]
    assert_error(answer.error_code, ErrorCode.INVALID_TOPIC_EXCEPTION)


@pytest.mark.parametrize("version", range(14))
def test_every_version_of_metadata(
    raw: RawClient, unique: Callable[[str], str], version: int
) -> None:
    name, absent = unique("described"), unique("absent")
    topic_id = make_topic(raw, name, 2)
    asked = [MetadataRequestTopic(name=name)]
    if version >= 4:
        asked.append(MetadataRequestTopic(name=absent))
    request = MetadataRequest(topics=asked, allow_auto_topic_creation=version < 4)
    response = raw.ask(request, version, MetadataResponse)
    (broker,) = response.brokers
    found = {topic.name: topic for topic in response.topics}
    assert found[name].topic_id == (topic_id if version >= 10 else ZERO_UUID)
    assert [
        (p.partition_index, p.leader_id, p.replica_nodes, p.isr_nodes)
        for p in sorted(found[name].partitions, key=lambda p: p.partition_index)
    ] == [(i, broker.node_id, [broker.node_id], [broker.node_id]) for i in range(2)]
    assert {p.leader_epoch for p in found[name].partitions} == {0 if version >= 7 else -1}
    if version >= 4:
        assert_error(found[absent].error_code, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    assert (response.controller_id == broker.node_id) == (version >= 1)
    assert bool(response.cluster_id) == (version >= 2)
    # All topics: an empty list in version 0, null later.
    request = MetadataRequest(topics=None if version else [])
    names = {topic.name for topic in raw.ask(request, version, MetadataResponse).topics}
    assert name in names
    if version:
        assert not raw.ask(MetadataRequest(topics=[]), version, MetadataResponse).topics


def test_metadata_by_topic_id(raw: RawClient, unique: Callable[[str], str]) -> None:
    name = unique("by-id")
    topic_id = make_topic(raw, name)
    request = MetadataRequest(
        topics=[
            MetadataRequestTopic(name=None, topic_id=topic_id),
            MetadataRequestTopic(name=None, topic_id=b"\x06" * 16),
        ],
        allow_auto_topic_creation=False,
        include_topic_authorized_operations=True,
    )
    known, unknown = sorted(
        raw.ask(request, 12, MetadataResponse).topics, key=lambda topic: topic.error_code
    )
    assert (known.name, known.error_code) == (name, 0)
    assert known.topic_authorized_operations == ALL_TOPIC_OPERATIONS
    assert (unknown.name, unknown.topic_id) == (None, b"\x06" * 16)
    assert_error(unknown.error_code, ErrorCode.UNKNOWN_TOPIC_ID)


def test_describe_topic_partitions_in_pages(raw: RawClient, unique: Callable[[str], str]) -> None:
    first = unique("page")
    second = first + "x"
    ids = {first: make_topic(raw, first, 3), second: make_topic(raw, second, 2)}
    cursor: DescribeTopicPartitionsRequestCursor | None = None
    seen: list[tuple[str | None, int]] = []
    pages = 0
    while True:
        request = DescribeTopicPartitionsRequest(
            topics=[TopicRequest(name=second), TopicRequest(name=first)],
            response_partition_limit=2,
            cursor=cursor,
        )
        response = raw.ask(request, 0, DescribeTopicPartitionsResponse)
        pages += 1
        for topic in response.topics:
            assert_none(topic.error_code)
            assert topic.topic_id == ids[topic.name or ""]
            assert topic.topic_authorized_operations == ALL_TOPIC_OPERATIONS
            for partition in topic.partitions:
                assert partition.replica_nodes == partition.isr_nodes == [partition.leader_id]
                assert partition.eligible_leader_replicas == []
                assert partition.last_known_elr == []
            seen += [(topic.name, p.partition_index) for p in topic.partitions]
        if response.next_cursor is None:
            break
        cursor = DescribeTopicPartitionsRequestCursor(
            topic_name=response.next_cursor.topic_name,
            partition_index=response.next_cursor.partition_index,
        )
    assert seen == [(first, 0), (first, 1), (first, 2), (second, 0), (second, 1)]
    assert pages == 3
    request = DescribeTopicPartitionsRequest(topics=[TopicRequest(name=unique("absent"))])
    (absent,) = raw.ask(request, 0, DescribeTopicPartitionsResponse).topics
    assert_error(absent.error_code, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
