"""What a controller lets be stored, with the codes and sentences of Apache Kafka 4.3.0."""

from __future__ import annotations

import pytest

from kbroker.config import BrokerConfig, ConfigProblem, ConfigSchema
from kbroker.releases.release import RELEASES
from kbroker.wire.errors import ErrorCode

CONFIG = ErrorCode.INVALID_CONFIG
REQUEST = ErrorCode.INVALID_REQUEST
TOPIC, BROKER, METRICS, GROUP = 2, 4, 16, 32


@pytest.mark.parametrize(
    ("resource_type", "name", "values"),
    [
        (TOPIC, "t", {"retention.ms": "-1", "cleanup.policy": "compact,delete"}),
        (TOPIC, "t", {"cleanup.policy": ""}),
        (TOPIC, "t", {"internal.segment.bytes": "500"}),
        (TOPIC, "t", {"leader.replication.throttled.replicas": "*"}),
        (TOPIC, "t", {"leader.replication.throttled.replicas": "0:1,1:2"}),
        (BROKER, "", {"log.retention.ms": "5"}),
        (BROKER, "1", {"log.cleaner.threads": "2", "unknown.to.kafka": "x"}),
        (BROKER, "1", {"leader.replication.throttled.rate": "5"}),
        (GROUP, "g", {"consumer.session.timeout.ms": "50000"}),
        (GROUP, "g", {"share.auto.offset.reset": "by_duration:PT1H30M"}),
        (METRICS, "m", {"interval.ms": "1000", "metrics": "a,b", "match": "client_id=x.*"}),
    ],
)
def test_valid_values_pass(resource_type: int, name: str, values: dict[str, str]) -> None:
    assert ConfigSchema(BrokerConfig()).check(resource_type, name, values) is None


@pytest.mark.parametrize(
    ("resource_type", "name", "values", "code", "message"),
    [
        (TOPIC, "t", {"nope": "1"}, CONFIG, "Unknown topic config name: nope"),
        (
            TOPIC,
            "t",
            {"retention.ms": "x"},
            CONFIG,
            "Invalid value x for configuration retention.ms: Not a number of type LONG",
        ),
        (
            TOPIC,
            "t",
            {"min.compaction.lag.ms": "5", "max.compaction.lag.ms": "2"},
            CONFIG,
            "conflict topic config setting min.compaction.lag.ms (5) > max.compaction.lag.ms (2)",
        ),
        (
            TOPIC,
            "t",
            {"remote.storage.enable": "true"},
            CONFIG,
            "Tiered Storage functionality is disabled in the broker. "
            "Topic cannot be configured with remote log storage.",
        ),
        (
            TOPIC,
            "t",
            {"leader.replication.throttled.replicas": "x"},
            CONFIG,
            "Invalid value [x] for configuration leader.replication.throttled.replicas: "
            "leader.replication.throttled.replicas must be the literal '*' or a list of replicas in"
            " the following format: [partitionId]:[brokerId],[partitionId]:[brokerId],...",
        ),
        (
            BROKER,
            "1",
            {"num.partitions": "2"},
            REQUEST,
            "Cannot update these configs dynamically: [num.partitions]",
        ),
        (
            BROKER,
            "1",
            {"log.retention.ms": "x"},
            REQUEST,
            "Invalid value x for configuration log.retention.ms: Not a number of type LONG",
        ),
        (
            BROKER,
            "",
            {"ssl.client.auth": "none"},
            REQUEST,
            "Cannot update these configs at default cluster level, broker id must be specified: "
            "[ssl.client.auth]",
        ),
        (
            BROKER,
            "",
            {"ssl.client.auth": "x"},
            REQUEST,
            "Invalid value x for configuration ssl.client.auth: "
            "String must be one of: required, requested, none",
        ),
        (
            BROKER,
            "1",
            {"ssl.keystore.location": "x"},
            REQUEST,
            "These security configs can be dynamically updated only per-listener using the "
            "listener prefix: [ssl.keystore.location]",
        ),
        (BROKER, "1", {"max.connections": "0"}, REQUEST, "Invalid max.connections 0"),
        (
            BROKER,
            "",
            {"log.retention.ms": "5", "log.local.retention.ms": "6"},
            REQUEST,
            "Invalid value 6 for configuration log.local.retention.ms: "
            "Value must not be more than log.retention.ms property value: 5",
        ),
        (
            BROKER,
            "",
            {"log.retention.bytes": "5", "log.local.retention.bytes": "-1"},
            REQUEST,
            "Invalid value -1 for configuration log.local.retention.bytes: "
            "Value must not be -1 as log.retention.bytes value is set as 5.",
        ),
        (
            BROKER,
            "",
            {"log.retention.ms": "0"},
            REQUEST,
            "log.retention.ms must be unlimited (-1) or, greater than or equal to 1",
        ),
        (BROKER, "x", {}, REQUEST, "Unable to parse broker name as a base 10 number."),
        (BROKER, "-1", {}, REQUEST, "Invalid negative broker ID."),
        (GROUP, "g", {"nope": "1"}, CONFIG, "Unknown group config name: nope"),
        (GROUP, "", {}, REQUEST, "Default group resources are not allowed."),
        (
            GROUP,
            "g",
            {"consumer.session.timeout.ms": "1"},
            CONFIG,
            "consumer.session.timeout.ms must be greater than or equal to "
            "group.consumer.min.session.timeout.ms",
        ),
        (
            GROUP,
            "g",
            {"streams.num.standby.replicas": "9"},
            CONFIG,
            "streams.num.standby.replicas must be less than or equal to "
            "group.streams.max.standby.replicas",
        ),
        (
            GROUP,
            "g",
            {"share.isolation.level": "x"},
            CONFIG,
            "Invalid value x for configuration share.isolation.level: "
            "String must be one of: read_committed, read_uncommitted",
        ),
        (
            GROUP,
            "g",
            {"share.auto.offset.reset": "by_duration:-PT1H"},
            CONFIG,
            "Invalid value by_duration:-PT1H for configuration share.auto.offset.reset: Invalid "
            "value `by_duration:-PT1H` for configuration share.auto.offset.reset. The value must "
            "be either 'earliest', 'latest' or of the format 'by_duration:<PnDTnHnMn.nS>'.",
        ),
        (METRICS, "", {}, REQUEST, "Subscription name can't be empty"),
        (METRICS, "m", {"nope": "1"}, REQUEST, "Unknown client metrics configuration: nope"),
        (
            METRICS,
            "m",
            {"interval.ms": "1"},
            REQUEST,
            "Invalid value 1 for interval.ms, interval must be between 100 and 3600000 (1 hour)",
        ),
        (METRICS, "m", {"match": "a=b"}, CONFIG, "Illegal client matching pattern: a=b"),
        (
            METRICS,
            "m",
            {"match": "client_id="},
            CONFIG,
            "Illegal client matching pattern: client_id=",
        ),
        (
            METRICS,
            "m",
            {"match": "client_id=["},
            CONFIG,
            "Illegal client matching pattern: client_id=[",
        ),
        (99, "x", {}, REQUEST, "Unknown resource type 99"),
    ],
)
def test_invalid_values_are_refused_in_kafkas_words(
    resource_type: int, name: str, values: dict[str, str], code: ErrorCode, message: str
) -> None:
    problem = ConfigSchema(BrokerConfig()).check(resource_type, name, values)
    assert problem == ConfigProblem(code, message)


@pytest.mark.parametrize(
    ("resource_type", "key", "is_list"),
    [
        (TOPIC, "cleanup.policy", True),
        (TOPIC, "retention.ms", False),
        (TOPIC, "nope", False),
        (BROKER, "log.cleanup.policy", True),
        (METRICS, "match", True),
        (99, "x", False),
    ],
)
def test_only_lists_can_be_appended_to(resource_type: int, key: str, is_list: bool) -> None:
    assert ConfigSchema(BrokerConfig()).is_list(resource_type, key) is is_list


def test_a_brokers_values_are_judged_with_the_properties_file_beneath() -> None:
    schema = ConfigSchema(BrokerConfig({"log.retention.hours": "1"}))
    assert schema.check(BROKER, "", {"log.retention.ms": "1"}) is None


def test_the_overrides_of_a_new_topic_are_shown_as_they_were_given() -> None:
    given = {"retention.ms": " 5 ", "preallocate": "TRUE"}
    shown = {each.name: each.value for each in ConfigSchema(BrokerConfig()).effective_topic(given)}
    assert given.items() <= shown.items()
    assert shown["flush.ms"] == "9223372036854775807"
    assert list(shown) == sorted(shown)


def test_a_new_topic_shows_what_the_broker_has_by_then() -> None:
    broker = BrokerConfig()
    schema = ConfigSchema(broker)
    for defaults in ({}, {"log.retention.ms": "7", "log.flush.interval.ms": "8"}, {}):
        broker.update_dynamic(defaults, {})
        for values in ({}, {"flush.ms": "9"}):
            shown = schema.effective_topic(values)
            assert shown == ConfigSchema(broker).effective_topic(values)
            text = {each.name: each.value for each in shown}
            assert text["retention.ms"] == ("7" if defaults else "604800000")
            assert text["flush.ms"] == values.get(
                "flush.ms", "8" if defaults else "9223372036854775807"
            )


@pytest.mark.parametrize("pattern", ["(?<n>a)", r"\p{Alpha}+", "(?<!c)b", "a++"])
def test_a_pattern_of_java_is_taken(pattern: str) -> None:
    values = {"match": f"client_id={pattern}"}
    assert ConfigSchema(BrokerConfig()).check(METRICS, "m", values) is None


FROM_4_4 = [
    (BROKER, "", {"cordoned.log.dirs": "a,a"}, REQUEST, "duplicated"),
    (BROKER, "", {"log.cleanup.policy": "delete, delete"}, REQUEST, "duplicated"),
    (BROKER, "", {"log.cleanup.policy": ","}, REQUEST, "duplicated"),
    (
        GROUP,
        "g",
        {"consumer.session.timeout.ms": "44999"},
        CONFIG,
        "consumer.session.timeout.ms must be in the range 45000 to 60000 inclusive.",
    ),
    (
        GROUP,
        "g",
        {"consumer.session.timeout.ms": "60001"},
        CONFIG,
        "consumer.session.timeout.ms must be in the range 45000 to 60000 inclusive.",
    ),
    (
        GROUP,
        "g",
        {"streams.num.standby.replicas": "3"},
        CONFIG,
        "streams.num.standby.replicas must be less than or equal to 2",
    ),
    (
        GROUP,
        "g",
        {"streams.num.warmup.replicas": "21"},
        CONFIG,
        "streams.num.warmup.replicas must be less than or equal to 20",
    ),
    (
        GROUP,
        "g",
        {"streams.task.offset.interval.ms": "14999"},
        CONFIG,
        "streams.task.offset.interval.ms must be greater than or equal to 15000",
    ),
    (
        GROUP,
        "g",
        {"errors.deadletterqueue.topic.name": "__x"},
        CONFIG,
        "errors.deadletterqueue.topic.name: DLQ topic name must not start with '__'",
    ),
    (
        GROUP,
        "g",
        {"streams.assignor.name": "a,b"},
        CONFIG,
        "streams.assignor.name 'a,b' is not a registered task assignor. "
        "Registered assignors are: [sticky].",
    ),
    (
        GROUP,
        "g",
        {"streams.rack.aware.assignment.tags": "a,b, a"},
        CONFIG,
        "streams.rack.aware.assignment.tags must not contain duplicate tag keys.",
    ),
]


@pytest.mark.parametrize(("resource_type", "name", "values", "code", "message"), FROM_4_4)
def test_what_kafka_4_4_refuses(
    resource_type: int, name: str, values: dict[str, str], code: ErrorCode, message: str
) -> None:
    (key,) = values
    if message == "duplicated":
        message = f"Configuration '{key}' values must not be duplicated."
    schema = ConfigSchema(BrokerConfig(release=RELEASES["4.4"]))
    assert schema.check(resource_type, name, values) == ConfigProblem(code, message)
    before = ConfigSchema(BrokerConfig(release=RELEASES["4.3"])).check(resource_type, name, values)
    assert before != ConfigProblem(code, message)


@pytest.mark.parametrize(
    "values",
    [
        {"consumer.session.timeout.ms": "45000"},
        {"consumer.session.timeout.ms": "60000"},
        {"streams.num.standby.replicas": "2"},
        {"streams.num.warmup.replicas": "20"},
        {"streams.num.warmup.replicas": "0"},
        {"streams.task.offset.interval.ms": "15000"},
        {"errors.deadletterqueue.topic.name": "x__"},
        {"streams.assignor.name": "sticky"},
        {"streams.rack.aware.assignment.tags": "a,b"},
        {"streams.rack.aware.assignment.tags": ""},
    ],
)
def test_what_kafka_4_4_takes(values: dict[str, str]) -> None:
    schema = ConfigSchema(BrokerConfig(release=RELEASES["4.4"]))
    assert schema.check(GROUP, "g", values) is None
