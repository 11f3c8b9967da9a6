"""IncrementalAlterConfigs: Kafka's answers, as Apache Kafka 4.3.0 gave them."""

from __future__ import annotations

import pytest

from kbroker.controller.state.configs import decide_incremental_alter_configs
from kbroker.wire.codes import ConfigOperation
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
)
from kbroker.wire.records.clear_elr_record import ClearElrRecord
from tests.controller.parts import Cluster, topic

TOPIC, BROKER, LOGGER, METRICS, GROUP = 2, 4, 8, 16, 32
SET, DELETE, APPEND, SUBTRACT = ConfigOperation
Change = tuple[str, int, str | None]


def resource(kind: int, name: str, *changes: Change) -> AlterConfigsResource:
    return AlterConfigsResource(
        resource_type=kind,
        resource_name=name,
        configs=[
            AlterableConfig(name=key, config_operation=operation, value=value)
            for key, operation, value in changes
        ],
    )


@pytest.fixture
def cluster() -> Cluster:
    made = Cluster()
    made.create(topic("t"), topic("u"))
    return made


def alter(
    cluster: Cluster, *resources: AlterConfigsResource, validate_only: bool = False
) -> list[tuple[int, str | None]]:
    result = decide_incremental_alter_configs(
        cluster.context(),
        IncrementalAlterConfigsRequest(resources=list(resources), validate_only=validate_only),
    )
    cluster.commit(result.records)
    asked = [(each.resource_type, each.resource_name) for each in resources]
    answered = [(each.resource_type, each.resource_name) for each in result.response.responses]
    assert answered == asked
    return [(each.error_code, each.error_message) for each in result.response.responses]


REFUSED = [
    (
        resource(TOPIC, "absent", ("retention.ms", SET, "5")),
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        "The topic 'absent' does not exist.",
    ),
    (
        resource(TOPIC, "", ("retention.ms", SET, "5")),
        ErrorCode.INVALID_REQUEST,
        "Default topic resources are not allowed.",
    ),
    (
        resource(TOPIC, "a b", ("retention.ms", SET, "5")),
        ErrorCode.INVALID_TOPIC_EXCEPTION,
        "Topic name is invalid: 'a b' contains one or more characters other than ASCII "
        "alphanumerics, '.', '_' and '-'",
    ),
    (
        resource(TOPIC, "t", ("nope", SET, "5")),
        ErrorCode.INVALID_CONFIG,
        "Unknown topic config name: nope",
    ),
    (
        resource(TOPIC, "t", ("retention.ms", SET, "x")),
        ErrorCode.INVALID_CONFIG,
        "Invalid value x for configuration retention.ms: Not a number of type LONG",
    ),
    (
        resource(TOPIC, "t", ("retention.ms", SET, None)),
        ErrorCode.INVALID_REQUEST,
        "Null value not supported for : retention.ms",
    ),
    (
        resource(TOPIC, "t", ("retention.ms", SET, "5"), ("retention.ms", SET, "6")),
        ErrorCode.INVALID_REQUEST,
        "Error due to duplicate config keys",
    ),
    (
        resource(TOPIC, "t", ("retention.ms", APPEND, "1")),
        ErrorCode.INVALID_CONFIG,
        "Can't APPEND to key retention.ms because its type is not LIST.",
    ),
    (
        resource(TOPIC, "t", ("nope", SUBTRACT, "1")),
        ErrorCode.INVALID_CONFIG,
        "Can't SUBTRACT to key nope because its type is not LIST.",
    ),
    (
        resource(TOPIC, "t", ("cleanup.policy", APPEND, "delete,foo")),
        ErrorCode.INVALID_CONFIG,
        "Invalid value foo for configuration cleanup.policy: String must be one of: compact, "
        "delete",
    ),
    (
        resource(TOPIC, "t", ("retention.ms", 7, "5")),
        ErrorCode.INVALID_REQUEST,
        "Unknown operations type 7",
    ),
    (
        resource(TOPIC, "t", ("retention.ms", SET, "5" * 32_768)),
        ErrorCode.INVALID_CONFIG,
        "The configuration value cannot be added because it exceeds the maximum value size of "
        "32767 bytes.",
    ),
    (
        resource(TOPIC, "t", ("retention.ms", SET, "ü" * 16_384)),
        ErrorCode.INVALID_CONFIG,
        "The configuration value cannot be added because it exceeds the maximum value size of "
        "32767 bytes.",
    ),
    (
        resource(BROKER, "9", ("log.cleaner.threads", SET, "2")),
        ErrorCode.BROKER_ID_NOT_REGISTERED,
        "No node with id 9 found.",
    ),
    (
        resource(BROKER, "1", ("log.cleaner.threads", APPEND, "2")),
        ErrorCode.INVALID_CONFIG,
        "Config value append is not allowed for config key: log.cleaner.threads",
    ),
    (
        resource(BROKER, "1", ("log.dirs", SET, "/x")),
        ErrorCode.INVALID_REQUEST,
        "Cannot update these configs dynamically: [log.dirs]",
    ),
    (
        resource(BROKER, "1", ("min.insync.replicas", SET, "2")),
        ErrorCode.INVALID_CONFIG,
        "Broker-level min.insync.replicas cannot be altered while ELR is enabled.",
    ),
    (
        resource(BROKER, "", ("min.insync.replicas", DELETE, None)),
        ErrorCode.INVALID_CONFIG,
        "Cluster-level min.insync.replicas cannot be removed while ELR is enabled.",
    ),
    (
        resource(GROUP, "", ("consumer.session.timeout.ms", SET, "50000")),
        ErrorCode.INVALID_REQUEST,
        "Default group resources are not allowed.",
    ),
    (
        resource(GROUP, "g", ("nope", SET, "1")),
        ErrorCode.INVALID_CONFIG,
        "Unknown group config name: nope",
    ),
    (
        resource(METRICS, "m", ("metrics", APPEND, "a,b")),
        ErrorCode.INVALID_CONFIG,
        "Can't APPEND to key metrics because its type is not LIST.",
    ),
    (
        resource(METRICS, "", ("interval.ms", SET, "1000")),
        ErrorCode.INVALID_REQUEST,
        "Subscription name can't be empty",
    ),
    (
        resource(LOGGER, "1", ("root", SET, "INFO")),
        ErrorCode.INVALID_REQUEST,
        "Unknown resource type 8",
    ),
    (
        resource(64, "x", ("a", SET, None)),
        ErrorCode.INVALID_REQUEST,
        "Null value not supported for : a",
    ),
    (resource(64, "x", ("a", SET, "1")), ErrorCode.INVALID_REQUEST, "Unknown resource type 64"),
]


@pytest.mark.parametrize(("asked", "code", "message"), REFUSED, ids=lambda value: str(value)[:70])
def test_a_refused_resource_has_kafkas_error_and_is_left_alone(
    cluster: Cluster, asked: AlterConfigsResource, code: ErrorCode, message: str
) -> None:
    before = dict(cluster.image.configs)
    assert alter(cluster, asked) == [(code, message)]
    assert cluster.image.configs == before


@pytest.mark.parametrize(
    ("changes", "value"),
    [
        ([("retention.ms", SET, "5")], "5"),
        ([("retention.ms", SET, "5"), ("retention.ms", DELETE, None)], None),
        ([("cleanup.policy", APPEND, "compact")], "delete,compact"),
        ([("cleanup.policy", APPEND, "delete")], "delete"),
        (
            [("cleanup.policy", APPEND, "compact"), ("cleanup.policy", SUBTRACT, "delete")],
            "compact",
        ),
        (
            [("cleanup.policy", SET, "compact,delete"), ("cleanup.policy", SUBTRACT, "nothing")],
            "compact,delete",
        ),
    ],
)
def test_operations_follow_each_other(
    cluster: Cluster, changes: list[Change], value: str | None
) -> None:
    for change in changes:
        assert alter(cluster, resource(TOPIC, "t", change)) == [(0, None)], change
    assert cluster.image.configs.get((TOPIC, "t"), {}).get(changes[0][0]) == value


def test_deleting_what_is_not_set_is_fine_even_if_nobody_knows_it(cluster: Cluster) -> None:
    assert alter(cluster, resource(TOPIC, "t", ("nope", DELETE, None))) == [(0, None)]
    assert alter(cluster, resource(TOPIC, "t")) == [(0, None)]


def test_a_resource_that_comes_twice_is_refused_twice(cluster: Cluster) -> None:
    twice = [resource(TOPIC, "t", ("retention.ms", SET, value)) for value in ("5", "6")]
    other = resource(TOPIC, "u", ("retention.ms", SET, "7"))
    refusal = (ErrorCode.INVALID_REQUEST, "Each resource must appear at most once.")
    assert alter(cluster, *twice, other) == [refusal, refusal, (0, None)]
    assert cluster.image.configs[TOPIC, "u"] == {"retention.ms": "7"}


def test_validate_only_changes_nothing(cluster: Cluster) -> None:
    asked = [
        resource(TOPIC, "t", ("retention.ms", SET, "5")),
        resource(TOPIC, "u", ("retention.ms", SET, "y")),
    ]
    answers = alter(cluster, *asked, validate_only=True)
    assert [code for code, _ in answers] == [0, ErrorCode.INVALID_CONFIG]
    assert (TOPIC, "t") not in cluster.image.configs


def test_groups_metrics_and_brokers_have_configs_too(cluster: Cluster) -> None:
    asked = [
        resource(GROUP, "g", ("consumer.session.timeout.ms", SET, "50000")),
        resource(METRICS, "m", ("interval.ms", SET, "1000")),
        resource(BROKER, "", ("log.retention.ms", SET, "100000")),
        resource(BROKER, "1", ("log.cleaner.threads", SET, "2")),
    ]
    assert alter(cluster, *asked) == [(0, None)] * 4
    assert cluster.image.configs[GROUP, "g"] == {"consumer.session.timeout.ms": "50000"}
    assert cluster.image.configs[BROKER, "1"] == {"log.cleaner.threads": "2"}


def test_values_between_keys_are_checked_together_with_those_already_set(cluster: Cluster) -> None:
    alter(cluster, resource(TOPIC, "t", ("max.compaction.lag.ms", SET, "5")))
    assert alter(cluster, resource(TOPIC, "t", ("min.compaction.lag.ms", SET, "10"))) == [
        (
            ErrorCode.INVALID_CONFIG,
            "conflict topic config setting min.compaction.lag.ms (10) > max.compaction.lag.ms (5)",
        )
    ]


def test_an_unchanged_value_is_written_again_only_for_a_broker(cluster: Cluster) -> None:
    asked = [
        resource(TOPIC, "t", ("retention.ms", SET, "5")),
        resource(BROKER, "1", ("log.cleaner.threads", SET, "2")),
    ]
    alter(cluster, *asked)
    length = len(cluster.log)
    alter(cluster, *asked)
    assert len(cluster.log) == length + 1


def test_another_min_isr_clears_the_eligible_leaders(cluster: Cluster) -> None:
    alter(cluster, resource(TOPIC, "t", ("min.insync.replicas", SET, "2")))
    assert cluster.log[-1] == ClearElrRecord(topic_name="t")
    alter(cluster, resource(BROKER, "", ("min.insync.replicas", SET, "2")))
    assert cluster.log[-1] == ClearElrRecord(topic_name="")


@pytest.mark.parametrize("operation", [SET, DELETE])
def test_directories_are_cordoned_only_where_records_can_say_it(operation: ConfigOperation) -> None:
    cluster = Cluster(levels={"metadata.version": 29})
    assert alter(cluster, resource(BROKER, "1", ("cordoned.log.dirs", operation, ""))) == [
        (
            ErrorCode.INVALID_CONFIG,
            "The cordoned.log.dirs configuration value cannot be set because it requires "
            "metadata.version >= 4.3-IV0",
        )
    ]
    assert cluster.image.configs == {}


def test_without_eligible_leader_replicas_a_broker_has_its_own_min_isr() -> None:
    cluster = Cluster(levels={"metadata.version": 30})
    for name in ("", "1"):
        for operation, value in ((SET, "2"), (DELETE, None)):
            change = ("min.insync.replicas", operation, value)
            assert alter(cluster, resource(BROKER, name, change)) == [(ErrorCode.NONE, None)]
    assert not any(isinstance(record, ClearElrRecord) for record in cluster.log)
