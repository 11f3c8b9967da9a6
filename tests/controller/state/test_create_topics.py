"""CreateTopics: Kafka's answers, as Apache Kafka 4.3.0 gave them to the same requests."""

from __future__ import annotations

import pytest

from kbroker.controller.state.create_topics import decide_create_topics
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.create_topics import CreatableTopic, CreateTopicsRequest
from tests.controller.parts import SETTINGS, Cluster, directory_of, topic

ILLEGAL = (
    "Topic name is invalid: '{}' contains one or more characters other than ASCII alphanumerics, "
    "'.', '_' and '-'"
)

REFUSED = [
    (
        topic(""),
        ErrorCode.INVALID_TOPIC_EXCEPTION,
        "Topic name is invalid: the empty string is not allowed",
    ),
    (topic("."), ErrorCode.INVALID_TOPIC_EXCEPTION, "Topic name is invalid: '.' is not allowed"),
    (topic("a b"), ErrorCode.INVALID_TOPIC_EXCEPTION, ILLEGAL.format("a b")),
    (topic("a/ü"), ErrorCode.INVALID_TOPIC_EXCEPTION, ILLEGAL.format("a/ü")),
    (
        topic("x" * 250),
        ErrorCode.INVALID_TOPIC_EXCEPTION,
        f"Topic name is invalid: the length of '{'x' * 250}' is longer than the max allowed length "
        "249",
    ),
    (topic("there"), ErrorCode.TOPIC_ALREADY_EXISTS, "Topic 'there' already exists."),
    (
        topic("dotted_name"),
        ErrorCode.INVALID_TOPIC_EXCEPTION,
        "Topic 'dotted_name' collides with existing topic: dotted.name",
    ),
    (
        topic("__cluster_metadata"),
        ErrorCode.INVALID_REQUEST,
        "Creation of internal topic __cluster_metadata is prohibited.",
    ),
    (
        topic("t", 1, 3),
        ErrorCode.INVALID_REPLICATION_FACTOR,
        "Unable to replicate the partition 3 time(s): The target replication factor of 3 cannot be "
        "reached because only 1 broker(s) are registered or some brokers have all their log "
        "directories cordoned.",
    ),
    (
        topic("t", 1, 0),
        ErrorCode.INVALID_REPLICATION_FACTOR,
        "Replication factor must be larger than 0, or -1 to use the default value.",
    ),
    (
        topic("t", 1, -2),
        ErrorCode.INVALID_REPLICATION_FACTOR,
        "Replication factor must be larger than 0, or -1 to use the default value.",
    ),
    (
        topic("t", 0),
        ErrorCode.INVALID_PARTITIONS,
        "Number of partitions was set to an invalid non-positive value.",
    ),
    (
        topic("t", -2),
        ErrorCode.INVALID_PARTITIONS,
        "Number of partitions was set to an invalid non-positive value.",
    ),
    (
        topic("t", 1, -1, assignments=[(0, [1])]),
        ErrorCode.INVALID_REQUEST,
        "A manual partition assignment was specified, but numPartitions was not set to -1.",
    ),
    (
        topic("t", -1, 1, assignments=[(0, [1])]),
        ErrorCode.INVALID_REQUEST,
        "A manual partition assignment was specified, but replication factor was not set to -1.",
    ),
    (
        topic("t", -1, -1, assignments=[(0, [2])]),
        ErrorCode.INVALID_REPLICA_ASSIGNMENT,
        "The manual partition assignment includes broker 2, but no such broker is registered.",
    ),
    (
        topic("t", -1, -1, assignments=[(0, [1, 1])]),
        ErrorCode.INVALID_REPLICA_ASSIGNMENT,
        "The manual partition assignment includes the broker 1 more than once.",
    ),
    (
        topic("t", -1, -1, assignments=[(1, [1])]),
        ErrorCode.INVALID_REPLICA_ASSIGNMENT,
        "partitions should be a consecutive 0-based integer sequence",
    ),
    (
        topic("t", -1, -1, assignments=[(0, [1]), (0, [1])]),
        ErrorCode.INVALID_REPLICA_ASSIGNMENT,
        "Found multiple manual partition assignments for partition 0",
    ),
    (
        topic("t", -1, -1, assignments=[(0, [])]),
        ErrorCode.INVALID_REPLICA_ASSIGNMENT,
        "The manual partition assignment includes an empty replica list.",
    ),
    (
        topic("t", configs={"nope": "x"}),
        ErrorCode.INVALID_CONFIG,
        "Unknown topic config name: nope",
    ),
    (
        topic("t", configs={"retention.ms": "x"}),
        ErrorCode.INVALID_CONFIG,
        "Invalid value x for configuration retention.ms: Not a number of type LONG",
    ),
    (
        topic("t", configs={"retention.ms": None, "segment.ms": None}),
        ErrorCode.INVALID_CONFIG,
        "Null value not supported for topic configs: retention.ms,segment.ms",
    ),
    (
        topic("t", configs={"cleanup.policy": "foo"}),
        ErrorCode.INVALID_CONFIG,
        "Invalid value foo for configuration cleanup.policy: String must be one of: compact, "
        "delete",
    ),
]


@pytest.fixture
def cluster() -> Cluster:
    made = Cluster()
    made.create(topic("there"), topic("dotted.name"))
    return made


@pytest.mark.parametrize(("asked", "code", "message"), REFUSED, ids=lambda value: str(value)[:60])
def test_a_refused_topic_has_kafkas_error(
    cluster: Cluster, asked: CreatableTopic, code: ErrorCode, message: str
) -> None:
    (result,) = cluster.create(asked).topics
    assert (result.name, result.error_code, result.error_message) == (asked.name, code, message)
    assert (result.num_partitions, result.replication_factor) == (-1, -1)


def test_good_and_bad_topics_of_a_request_stand_alone(cluster: Cluster) -> None:
    metadata = topic("__cluster_metadata")
    asked = [metadata, topic("a"), topic("there"), topic("b"), topic("b"), topic("c", 0)]
    results = {each.name: each.error_code for each in cluster.create(*asked).topics}
    assert results == {
        "__cluster_metadata": ErrorCode.INVALID_REQUEST,
        "a": ErrorCode.NONE,
        "there": ErrorCode.TOPIC_ALREADY_EXISTS,
        "b": ErrorCode.INVALID_REQUEST,
        "c": ErrorCode.INVALID_PARTITIONS,
    }
    assert sorted(cluster.image.topics) == ["a", "dotted.name", "there"]


def test_a_name_that_comes_twice_is_answered_once_and_made_never(cluster: Cluster) -> None:
    (result,) = cluster.create(topic("b"), topic("b")).topics
    assert result.error_message == "Duplicate topic name."


def test_the_answer_tells_partitions_replicas_id_and_all_configs(cluster: Cluster) -> None:
    (result,) = cluster.create(topic("t", 3, configs={"retention.ms": "7"})).topics
    assert (result.num_partitions, result.replication_factor) == (3, 1)
    assert result.topic_id == cluster.image.topics["t"].topic_id
    assert result.configs is not None
    configs = {each.name: each for each in result.configs}
    assert list(configs) == sorted(configs)
    assert len(configs) == 33
    assert (configs["retention.ms"].value, configs["retention.ms"].config_source) == ("7", 1)
    assert configs["cleanup.policy"].config_source == 5
    assert cluster.image.configs[2, "t"] == {"retention.ms": "7"}


def test_minus_one_means_the_brokers_defaults(cluster: Cluster) -> None:
    settings = SETTINGS.__class__(
        node_id=1, cluster_id="c", directory_id=directory_of(1), num_partitions=5
    )
    result = decide_create_topics(
        cluster.context(settings=settings), CreateTopicsRequest(topics=[topic("t", -1, -1)])
    )
    (made,) = result.response.topics
    assert (made.num_partitions, made.replication_factor) == (5, 1)


def test_of_a_config_that_is_given_twice_the_last_counts(cluster: Cluster) -> None:
    asked = topic("t", configs={"retention.ms": "1"})
    asked.configs += topic("t", configs={"retention.ms": "2"}).configs
    cluster.create(asked)
    assert cluster.image.configs[2, "t"] == {"retention.ms": "2"}


def test_validate_only_answers_and_does_nothing(cluster: Cluster) -> None:
    before = cluster.image.copy()
    response = cluster.create(topic("a"), topic("there"), validate_only=True)
    assert [each.error_code for each in response.topics] == [0, ErrorCode.TOPIC_ALREADY_EXISTS]
    assert response.topics[0].num_partitions == 1
    before.epoch = cluster.image.epoch
    assert cluster.image == before


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ([topic("t", 10_000)], "Excessively large number of partitions per request."),
        ([topic("t", 10_001)], "Excessively large number of partitions per request."),
        ([topic("t", 2_147_483_647)], "Excessively large number of partitions per request."),
        (
            [topic("t", 5_000), topic("u", 5_001)],
            "Excessively large number of partitions per request.",
        ),
        ([topic("t", 9_999)], "Unable to perform excessively large batch operation."),
    ],
)
def test_very_many_partitions_are_refused_with_all_topics_of_the_request(
    cluster: Cluster, asked: list[CreatableTopic], message: str
) -> None:
    for result in cluster.create(*asked, topic("small")).topics:
        assert (result.error_code, result.error_message) == (ErrorCode.POLICY_VIOLATION, message)
    assert "small" not in cluster.image.topics


def test_a_new_partition_is_led_by_its_first_live_replica_in_its_directory() -> None:
    cluster = Cluster(brokers=3)
    cluster.heartbeat(2, want_fence=True)
    cluster.create(topic("t", -1, -1, assignments=[(0, [2, 3, 1])]))
    partition = cluster.image.topics["t"].partitions[0]
    assert (partition.replicas, partition.isr, partition.leader) == ([2, 3, 1], [3, 1], 3)
    assert partition.directories == [directory_of(2), directory_of(3), directory_of(1)]
    assert (partition.leader_epoch, partition.partition_epoch) == (0, 0)


def test_without_a_live_broker_nothing_can_be_placed() -> None:
    cluster = Cluster()
    cluster.heartbeat(1, want_fence=True)
    (result,) = cluster.create(topic("t")).topics
    assert result.error_message == (
        "Unable to replicate the partition 1 time(s): All brokers are currently fenced, or have "
        "all their log directories cordoned."
    )
    (result,) = cluster.create(topic("t", -1, -1, assignments=[(0, [1])])).topics
    assert result.error_message == (
        "All brokers specified in the manual partition assignment for partition 0 are fenced or in "
        "controlled shutdown."
    )


def test_replica_lists_of_different_lengths_do_not_go_together() -> None:
    cluster = Cluster(brokers=2)
    (result,) = cluster.create(topic("t", -1, -1, assignments=[(0, [1]), (1, [1, 2])])).topics
    assert result.error_message == (
        "The manual partition assignment includes a partition with 2 replica(s), but this is not "
        "consistent with previous partitions, which have 1 replica(s)."
    )


@pytest.mark.parametrize(
    ("timeout_ms", "code"),
    [(-1, ErrorCode.REQUEST_TIMED_OUT), (0, ErrorCode.REQUEST_TIMED_OUT), (1, ErrorCode.NONE)],
)
def test_a_request_without_time_is_over_before_it_begins(
    cluster: Cluster, timeout_ms: int, code: ErrorCode
) -> None:
    result = decide_create_topics(
        cluster.context(), CreateTopicsRequest(topics=[topic("t")], timeout_ms=timeout_ms)
    )
    assert (result.records == ()) == (code != ErrorCode.NONE)
    assert [each.error_code for each in result.response.topics] == [code]
