"""Leaders elected on demand: Kafka's answers, as Apache Kafka 4.3.0 gave them."""

from __future__ import annotations

import pytest

from kbroker.controller.model import NO_LEADER
from kbroker.controller.state.elect_leaders import decide_elect_leaders
from kbroker.wire.errors import ErrorCode, RequestError
from kbroker.wire.messages.elect_leaders import ElectLeadersRequest, TopicPartitions
from kbroker.wire.records.partition_change_record import PartitionChangeRecord
from tests.controller.parts import Cluster, topic

PREFERRED, UNCLEAN = 0, 1
Answer = tuple[str, int, int, str | None]


@pytest.fixture
def cluster() -> Cluster:
    made = Cluster(brokers=3)
    made.create(topic("t", -1, -1, assignments=[(0, [1, 2]), (1, [2, 1])]), topic("u"))
    return made


def elect(
    cluster: Cluster, topics: list[tuple[str, list[int]]] | None, election_type: int = PREFERRED
) -> list[Answer]:
    request = ElectLeadersRequest(
        election_type=election_type,
        topic_partitions=None
        if topics is None
        else [TopicPartitions(topic=name, partitions=indexes) for name, indexes in topics],
    )
    result = decide_elect_leaders(cluster.context(), request)
    cluster.commit(result.records)
    assert result.response.error_code == ErrorCode.NONE
    named = [each.topic for each in result.response.replica_election_results]
    assert named == (list(cluster.image.topics) if topics is None else [n for n, _ in topics])
    return [
        (each.topic, p.partition_id, p.error_code, p.error_message)
        for each in result.response.replica_election_results
        for p in each.partition_result
    ]


def error(code: ErrorCode) -> tuple[int, str]:
    return code, code.message


def change(cluster: Cluster, index: int, leader: int, isr: list[int]) -> None:
    topic_id = cluster.image.topics["t"].topic_id
    record = PartitionChangeRecord(topic_id=topic_id, partition_id=index, leader=leader, isr=isr)
    cluster.commit([record])


def leader(cluster: Cluster, index: int) -> int:
    return cluster.image.topics["t"].partitions[index].leader


@pytest.mark.parametrize("election_type", [PREFERRED, UNCLEAN])
def test_no_election_is_needed(cluster: Cluster, election_type: int) -> None:
    needless = error(ErrorCode.ELECTION_NOT_NEEDED)
    assert elect(cluster, [("t", [0, 1, 0]), ("t", [])], election_type) == [
        ("t", 0, *needless),
        ("t", 1, *needless),
        ("t", 0, *needless),
    ]
    assert elect(cluster, None, election_type) == []


def test_no_partitions(cluster: Cluster) -> None:
    # Not even the type is looked at.
    assert elect(cluster, [], 7) == []


@pytest.mark.parametrize("election_type", [PREFERRED, UNCLEAN])
def test_what_is_not_there(cluster: Cluster, election_type: int) -> None:
    unknown = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert elect(cluster, [("nope", [0]), ("t", [9, -1]), ("", [0])], election_type) == [
        ("nope", 0, unknown, "No such topic as nope"),
        ("t", 9, unknown, "No such partition as t-9"),
        ("t", -1, unknown, "No such partition as t--1"),
        ("", 0, unknown, "No such topic as "),
    ]


@pytest.mark.parametrize("election_type", [2, -1, 127])
@pytest.mark.parametrize("topics", [None, [TopicPartitions(topic="t", partitions=[0])]])
def test_an_unknown_kind_of_election(
    cluster: Cluster, election_type: int, topics: list[TopicPartitions] | None
) -> None:
    request = ElectLeadersRequest(election_type=election_type, topic_partitions=topics)
    with pytest.raises(RequestError, match=f"^Unknown election type {election_type}$") as caught:
        decide_elect_leaders(cluster.context(), request)
    assert caught.value.code == ErrorCode.INVALID_REQUEST


def test_the_preferred_replica_leads_again(cluster: Cluster) -> None:
    change(cluster, 0, leader=2, isr=[2, 1])
    assert elect(cluster, None) == [("t", 0, ErrorCode.NONE, None)]
    assert leader(cluster, 0) == 1


def test_the_preferred_replica_is_not_in_sync(cluster: Cluster) -> None:
    change(cluster, 0, leader=2, isr=[2])
    refused = error(ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE)
    assert elect(cluster, [("t", [0, 1])]) == [
        ("t", 0, *refused),
        ("t", 1, *error(ErrorCode.ELECTION_NOT_NEEDED)),
    ]
    assert elect(cluster, None) == [("t", 0, *refused)]
    assert leader(cluster, 0) == 2


def test_a_live_replica_leads_at_the_price_of_data(cluster: Cluster) -> None:
    change(cluster, 0, leader=NO_LEADER, isr=[3])  # who is no replica, and so cannot lead
    assert elect(cluster, [("t", [0])], UNCLEAN) == [("t", 0, ErrorCode.NONE, None)]
    assert leader(cluster, 0) in (1, 2)
    assert cluster.image.topics["t"].partitions[0].leader_recovery_state == 1


def test_nobody_is_alive(cluster: Cluster) -> None:
    for broker_id in (1, 2):
        cluster.heartbeat(broker_id, want_fence=True)
    assert leader(cluster, 0) == NO_LEADER
    refused = error(ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE)
    assert elect(cluster, [("t", [0])], UNCLEAN) == [("t", 0, *refused)]


@pytest.mark.parametrize("timeout_ms", [0, -1])
def test_without_any_time_there_is_no_election(cluster: Cluster, timeout_ms: int) -> None:
    request = ElectLeadersRequest(
        topic_partitions=[TopicPartitions(topic="t", partitions=[0, 9])], timeout_ms=timeout_ms
    )
    result = decide_elect_leaders(cluster.context(), request)
    assert result.records == ()
    assert result.response.error_code == ErrorCode.REQUEST_TIMED_OUT
    answers = result.response.replica_election_results[0].partition_result
    assert [(p.partition_id, p.error_code, p.error_message) for p in answers] == [
        (0, ErrorCode.REQUEST_TIMED_OUT, None),
        (9, ErrorCode.REQUEST_TIMED_OUT, None),
    ]


def test_a_millisecond_is_time_enough(cluster: Cluster) -> None:
    request = ElectLeadersRequest(
        topic_partitions=[TopicPartitions(topic="t", partitions=[9])], timeout_ms=1
    )
    result = decide_elect_leaders(cluster.context(), request)
    assert result.response.error_code == ErrorCode.NONE
    (answer,) = result.response.replica_election_results[0].partition_result
    assert answer.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
