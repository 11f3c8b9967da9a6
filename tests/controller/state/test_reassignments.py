"""Partitions that move: Kafka's answers, as Apache Kafka 4.3.0 gave them, and its records."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kbroker.controller.state.reassignments import (
    decide_alter_partition_reassignments,
    decide_list_partition_reassignments,
)
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.alter_partition_reassignments import (
    AlterPartitionReassignmentsRequest,
    ReassignablePartition,
    ReassignableTopic,
)
from kbroker.wire.messages.list_partition_reassignments import (
    ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsTopics,
)
from kbroker.wire.records.partition_change_record import PartitionChangeRecord
from tests.controller.parts import Cluster, directory_of, topic

if TYPE_CHECKING:
    from kbroker.controller.model import PartitionImage

Target = tuple[int, list[int] | None]
Moving = tuple[str, int, list[int], list[int], list[int]]


@pytest.fixture
def cluster() -> Cluster:
    """Four brokers; `t` has partition 0 on 1, and partition 1 on 1 and 2."""
    made = Cluster(brokers=4)
    made.create(topic("t", -1, -1, assignments=[(0, [1]), (1, [1])]))
    made.create(topic("two", -1, -1, assignments=[(0, [1, 2])]))
    return made


def alter(
    cluster: Cluster, *topics: tuple[str, list[Target]], may_resize: bool = True
) -> list[tuple[str, int, int, str | None]]:
    """(topic, partition, error code, message) of each."""
    request = AlterPartitionReassignmentsRequest(
        allow_replication_factor_change=may_resize,
        topics=[
            ReassignableTopic(
                name=name,
                partitions=[
                    ReassignablePartition(partition_index=index, replicas=replicas)
                    for index, replicas in targets
                ],
            )
            for name, targets in topics
        ],
    )
    result = decide_alter_partition_reassignments(cluster.context(), request)
    cluster.commit(result.records)
    response = result.response
    assert response.error_code == ErrorCode.NONE
    if topics:
        assert response.error_message is None
        assert response.allow_replication_factor_change == may_resize
    return [
        (t.name, p.partition_index, p.error_code, p.error_message)
        for t in response.responses
        for p in t.partitions
    ]


def moving(cluster: Cluster, topics: list[tuple[str, list[int]]] | None = None) -> list[Moving]:
    request = ListPartitionReassignmentsRequest(
        topics=None
        if topics is None
        else [ListPartitionReassignmentsTopics(name=n, partition_indexes=i) for n, i in topics]
    )
    result = decide_list_partition_reassignments(cluster.context(), request)
    assert result.records == ()
    assert (result.response.error_code, result.response.error_message) == (ErrorCode.NONE, None)
    return [
        (t.name, p.partition_index, p.replicas, p.adding_replicas, p.removing_replicas)
        for t in result.response.topics
        for p in t.partitions
    ]


def partition(cluster: Cluster, name: str, index: int = 0) -> PartitionImage:
    return cluster.image.topics[name].partitions[index]


def join_isr(cluster: Cluster, name: str, isr: list[int]) -> None:
    """What AlterPartition does, as far as the image shows it."""
    topic_id = cluster.image.topics[name].topic_id
    cluster.commit([PartitionChangeRecord(topic_id=topic_id, partition_id=0, isr=isr)])


@pytest.mark.parametrize(
    ("target", "code", "message"),
    [
        (None, ErrorCode.NO_REASSIGNMENT_IN_PROGRESS, None),
        ([1], ErrorCode.NONE, None),
        (
            [],
            ErrorCode.INVALID_REPLICA_ASSIGNMENT,
            "The manual partition assignment includes an empty replica list.",
        ),
        (
            [1, 1],
            ErrorCode.INVALID_REPLICA_ASSIGNMENT,
            "The manual partition assignment includes the broker 1 more than once.",
        ),
        (
            [1, 9, 8],
            ErrorCode.INVALID_REPLICA_ASSIGNMENT,
            "The manual partition assignment includes broker 8, but no such broker is registered.",
        ),
        (
            [1, -5],
            ErrorCode.INVALID_REPLICA_ASSIGNMENT,
            "The manual partition assignment includes broker -5, but no such broker is registered.",
        ),
    ],
)
def test_targets_that_change_nothing(
    cluster: Cluster, target: list[int] | None, code: ErrorCode, message: str | None
) -> None:
    before = len(cluster.log)
    assert alter(cluster, ("t", [(0, target)])) == [("t", 0, code, message)]
    assert len(cluster.log) == before


def test_what_is_not_there(cluster: Cluster) -> None:
    unknown = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert alter(cluster, ("nope", [(0, [1]), (1, None)]), ("t", [(9, [1]), (-1, None)])) == [
        ("nope", 0, unknown, "Unable to find a topic named nope."),
        ("nope", 1, unknown, "Unable to find a topic named nope."),
        ("t", 9, unknown, "Unable to find partition t:9."),
        ("t", -1, unknown, "Unable to find partition t:-1."),
    ]


def test_each_mention_has_its_answer(cluster: Cluster) -> None:
    none, nothing_pending = ErrorCode.NONE, ErrorCode.NO_REASSIGNMENT_IN_PROGRESS
    assert alter(cluster, ("t", [(0, [1]), (0, None)]), ("t", [(1, None)]), ("t", [])) == [
        ("t", 0, none, None),
        ("t", 0, nothing_pending, None),
        ("t", 1, nothing_pending, None),
    ]


def test_no_topics_have_the_defaults_of_an_answer(cluster: Cluster) -> None:
    request = AlterPartitionReassignmentsRequest(allow_replication_factor_change=False)
    response = decide_alter_partition_reassignments(cluster.context(), request).response
    assert (response.error_message, response.responses) == ("", [])
    assert response.allow_replication_factor_change


def test_replicas_are_added_before_others_go(cluster: Cluster) -> None:
    assert alter(cluster, ("t", [(0, [2, 3])])) == [("t", 0, ErrorCode.NONE, None)]
    now = partition(cluster, "t")
    assert (now.replicas, now.adding_replicas, now.removing_replicas) == ([2, 3, 1], [2, 3], [1])
    assert (now.isr, now.leader) == ([1], 1)
    assert now.directories == [directory_of(2), directory_of(3), directory_of(1)]
    assert moving(cluster) == [("t", 0, [2, 3, 1], [2, 3], [1])]


def test_replicas_that_are_in_sync_may_change_places_at_once(cluster: Cluster) -> None:
    alter(cluster, ("two", [(0, [2, 1])]))
    assert partition(cluster, "two").replicas == [2, 1]
    assert moving(cluster) == []


def test_replicas_may_go_at_once(cluster: Cluster) -> None:
    epoch = partition(cluster, "two").leader_epoch
    alter(cluster, ("two", [(0, [2])]))
    now = partition(cluster, "two")
    assert (now.replicas, now.isr, now.leader) == ([2], [2], 2)
    assert now.leader_epoch > epoch
    assert moving(cluster) == []


def test_a_cancelled_move_leaves_what_was(cluster: Cluster) -> None:
    before = partition(cluster, "t")
    alter(cluster, ("t", [(0, [2, 3])]))
    assert alter(cluster, ("t", [(0, None)])) == [("t", 0, ErrorCode.NONE, None)]
    now = partition(cluster, "t")
    assert (now.replicas, now.isr, now.leader) == (before.replicas, before.isr, before.leader)
    assert moving(cluster) == []


def test_a_move_is_not_cancelled_at_the_price_of_data(cluster: Cluster) -> None:
    alter(cluster, ("t", [(0, [2, 3])]))
    join_isr(cluster, "t", [2])
    assert alter(cluster, ("t", [(0, None)])) == [
        (
            "t",
            0,
            ErrorCode.INVALID_REPLICA_ASSIGNMENT,
            "Unable to revert partition assignment for t:0 because it would require an unclean "
            "leader election.",
        )
    ]
    assert moving(cluster) == [("t", 0, [2, 3, 1], [2, 3], [1])]


@pytest.mark.parametrize("target", [[2], [2, 3, 4]])
def test_the_replication_factor_may_be_kept(cluster: Cluster, target: list[int]) -> None:
    refused = f"The replication factor is changed from 2 to {len(target)}"
    code = ErrorCode.INVALID_REPLICATION_FACTOR
    assert alter(cluster, ("two", [(0, target)]), may_resize=False) == [("two", 0, code, refused)]
    alter(cluster, ("two", [(0, [3, 4])]), may_resize=False)
    assert moving(cluster) == [("two", 0, [3, 4, 1, 2], [3, 4], [1, 2])]
    # Of a partition that moves already, what it is going to be counts.
    assert alter(cluster, ("two", [(0, target)]), may_resize=False) == [("two", 0, code, refused)]


def test_only_what_moves_is_listed(cluster: Cluster) -> None:
    alter(cluster, ("t", [(1, [2])]))
    found = [("t", 1, [2, 1], [2], [1])]
    assert moving(cluster) == found
    assert moving(cluster, [("t", [0, 1, 7]), ("two", [0]), ("nope", [0])]) == found
    assert moving(cluster, [("t", [0])]) == []
    assert moving(cluster, []) == []


@pytest.mark.parametrize("timeout_ms", [0, -1])
def test_without_any_time_nothing_moves(cluster: Cluster, timeout_ms: int) -> None:
    target = ReassignablePartition(partition_index=0, replicas=[2])
    request = AlterPartitionReassignmentsRequest(
        timeout_ms=timeout_ms, topics=[ReassignableTopic(name="t", partitions=[target])]
    )
    result = decide_alter_partition_reassignments(cluster.context(), request)
    assert result.records == ()
    assert result.response.error_code == ErrorCode.REQUEST_TIMED_OUT
    answer = result.response.responses[0].partitions[0]
    assert (answer.error_code, answer.error_message) == (ErrorCode.REQUEST_TIMED_OUT, None)


def test_a_millisecond_is_time_enough(cluster: Cluster) -> None:
    target = ReassignablePartition(partition_index=0, replicas=[2])
    request = AlterPartitionReassignmentsRequest(
        timeout_ms=1, topics=[ReassignableTopic(name="t", partitions=[target])]
    )
    result = decide_alter_partition_reassignments(cluster.context(), request)
    assert result.response.error_code == ErrorCode.NONE
    assert len(result.records) == 1
