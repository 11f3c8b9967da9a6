"""CreatePartitions: Kafka's answers, as Apache Kafka 4.3.0 gave them."""

from __future__ import annotations

import pytest

from kbroker.controller.state.create_partitions import decide_create_partitions
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.create_partitions import (
    CreatePartitionsAssignment,
    CreatePartitionsRequest,
    CreatePartitionsTopic,
)
from tests.controller.parts import Cluster, topic


def more(
    name: str, count: int, assignments: list[list[int]] | None = None
) -> CreatePartitionsTopic:
    return CreatePartitionsTopic(
        name=name,
        count=count,
        assignments=None
        if assignments is None
        else [CreatePartitionsAssignment(broker_ids=each) for each in assignments],
    )


def grow(
    cluster: Cluster, *topics: CreatePartitionsTopic, validate_only: bool = False
) -> list[tuple[str, int, str | None]]:
    result = decide_create_partitions(
        cluster.context(),
        CreatePartitionsRequest(timeout_ms=1_000, topics=list(topics), validate_only=validate_only),
    )
    cluster.commit(result.records)
    return [(each.name, each.error_code, each.error_message) for each in result.response.results]


REFUSED = [
    (more("t", 2), ErrorCode.INVALID_PARTITIONS, "Topic already has 2 partition(s)."),
    (
        more("t", 1),
        ErrorCode.INVALID_PARTITIONS,
        "The topic t currently has 2 partition(s); 1 would not be an increase.",
    ),
    (
        more("t", -1),
        ErrorCode.INVALID_PARTITIONS,
        "The topic t currently has 2 partition(s); -1 would not be an increase.",
    ),
    (more("absent", 3), ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, None),
    (more("", 3), ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, None),
    (
        more("t", 4, [[1]]),
        ErrorCode.INVALID_REPLICA_ASSIGNMENT,
        "Attempted to add 2 additional partition(s), but only 1 assignment(s) were specified.",
    ),
    (
        more("t", 3, [[2]]),
        ErrorCode.INVALID_REPLICA_ASSIGNMENT,
        "The manual partition assignment includes broker 2, but no such broker is registered.",
    ),
    (
        more("t", 3, [[1, 1]]),
        ErrorCode.INVALID_REPLICA_ASSIGNMENT,
        "The manual partition assignment includes the broker 1 more than once.",
    ),
    (
        more("t", 3, [[]]),
        ErrorCode.INVALID_REPLICA_ASSIGNMENT,
        "The manual partition assignment includes an empty replica list.",
    ),
    (
        more("t", 100_000_000),
        ErrorCode.POLICY_VIOLATION,
        "Excessively large number of partitions per request.",
    ),
]


@pytest.fixture
def cluster() -> Cluster:
    made = Cluster()
    made.create(topic("t", 2), topic("u", 1))
    return made


@pytest.mark.parametrize(("asked", "code", "message"), REFUSED, ids=lambda value: str(value)[:60])
def test_a_refused_topic_has_kafkas_error(
    cluster: Cluster, asked: CreatePartitionsTopic, code: ErrorCode, message: str | None
) -> None:
    assert grow(cluster, asked) == [(asked.name, code, message)]
    assert len(cluster.image.topics["t"].partitions) == 2


def test_topics_grow_alone_and_each_is_answered_for(cluster: Cluster) -> None:
    answers = grow(cluster, more("t", 5), more("u", 1), more("v", 1), more("w", 2), more("w", 3))
    assert {name: code for name, code, _ in answers} == {
        "t": ErrorCode.NONE,
        "u": ErrorCode.INVALID_PARTITIONS,
        "v": ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        "w": ErrorCode.INVALID_REQUEST,
    }
    assert sorted(cluster.image.topics["t"].partitions) == [0, 1, 2, 3, 4]


def test_by_hand_and_only_validated(cluster: Cluster) -> None:
    assert grow(cluster, more("t", 4, [[1], [1]]), validate_only=True) == [("t", 0, None)]
    assert len(cluster.image.topics["t"].partitions) == 2
    assert grow(cluster, more("t", 4, [[1], [1]])) == [("t", 0, None)]
    assert cluster.image.topics["t"].partitions[3].leader == 1


@pytest.mark.parametrize(
    ("of_u", "code"), [(1_000, ErrorCode.NONE), (1_001, ErrorCode.POLICY_VIOLATION)]
)
def test_a_request_has_room_for_as_many_partitions_as_create_topics(
    cluster: Cluster, of_u: int, code: ErrorCode
) -> None:
    """10,000 in all."""
    there = {name: len(each.partitions) for name, each in cluster.image.topics.items()}
    answers = grow(cluster, more("t", there["t"] + 9_000), more("u", there["u"] + of_u))
    assert [each[1] for each in answers] == [ErrorCode.NONE, code]


def test_new_partitions_have_as_many_replicas_as_the_first() -> None:
    cluster = Cluster(brokers=3)
    cluster.create(topic("t", 1, 3))
    grow(cluster, more("t", 4))
    assert all(len(each.replicas) == 3 for each in cluster.image.topics["t"].partitions.values())
    assert grow(cluster, more("t", 5, [[1]])) == [
        (
            "t",
            ErrorCode.INVALID_REPLICA_ASSIGNMENT,
            "The manual partition assignment includes a partition with 1 replica(s), but this is "
            "not consistent with previous partitions, which have 3 replica(s).",
        )
    ]


@pytest.mark.parametrize(
    ("timeout_ms", "code"),
    [(-1, ErrorCode.REQUEST_TIMED_OUT), (0, ErrorCode.REQUEST_TIMED_OUT), (1, ErrorCode.NONE)],
)
def test_a_request_without_time_is_over_before_it_begins(
    cluster: Cluster, timeout_ms: int, code: ErrorCode
) -> None:
    request = CreatePartitionsRequest(topics=[more("t", 5)], timeout_ms=timeout_ms)
    result = decide_create_partitions(cluster.context(), request)
    assert (result.records == ()) == (code != ErrorCode.NONE)
    assert [each.error_code for each in result.response.results] == [code]
