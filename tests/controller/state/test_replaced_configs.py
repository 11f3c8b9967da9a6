"""AlterConfigs, the one that replaces: Kafka's answers, as Apache Kafka 4.3.0 gave them."""

from __future__ import annotations

import pytest

from kbroker.controller.state.configs import decide_alter_configs
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.alter_configs import (
    AlterableConfig,
    AlterConfigsRequest,
    AlterConfigsResource,
)
from kbroker.wire.records.clear_elr_record import ClearElrRecord
from kbroker.wire.records.config_record import ConfigRecord
from tests.controller.parts import Cluster, topic

TOPIC, BROKER, LOGGER, METRICS, GROUP = 2, 4, 8, 16, 32


def resource(kind: int, name: str, *values: tuple[str, str | None]) -> AlterConfigsResource:
    return AlterConfigsResource(
        resource_type=kind,
        resource_name=name,
        configs=[AlterableConfig(name=key, value=value) for key, value in values],
    )


@pytest.fixture
def cluster() -> Cluster:
    made = Cluster()
    made.create(topic("t"), topic("u"))
    return made


def alter(
    cluster: Cluster, *resources: AlterConfigsResource, validate_only: bool = False
) -> list[tuple[int, str | None]]:
    result = decide_alter_configs(
        cluster.context(),
        AlterConfigsRequest(resources=list(resources), validate_only=validate_only),
    )
    cluster.commit(result.records)
    asked = [(each.resource_type, each.resource_name) for each in resources]
    answered = [(each.resource_type, each.resource_name) for each in result.response.responses]
    assert answered == asked
    return [(each.error_code, each.error_message) for each in result.response.responses]


def test_what_is_not_given_goes(cluster: Cluster) -> None:
    alter(cluster, resource(TOPIC, "t", ("retention.ms", "5"), ("segment.ms", "6")))
    alter(cluster, resource(TOPIC, "t", ("segment.ms", "6"), ("flush.ms", "7")))
    assert cluster.image.configs[TOPIC, "t"] == {"segment.ms": "6", "flush.ms": "7"}
    assert alter(cluster, resource(TOPIC, "t")) == [(0, None)]
    assert not cluster.image.configs.get((TOPIC, "t"))


def test_what_stays_the_same_is_not_written_but_for_brokers(cluster: Cluster) -> None:
    for kind, name, key, value, written in (
        (TOPIC, "t", "retention.ms", "5", 0),
        (BROKER, "1", "log.cleaner.threads", "2", 1),
    ):
        asked = resource(kind, name, (key, value))
        assert alter(cluster, asked) == [(0, None)]
        request = AlterConfigsRequest(resources=[asked])
        again = decide_alter_configs(cluster.context(), request)
        assert len(again.records) == written


def test_validation_alone_changes_nothing(cluster: Cluster) -> None:
    before = dict(cluster.image.configs)
    good = resource(TOPIC, "t", ("retention.ms", "5"))
    bad = resource(TOPIC, "u", ("retention.ms", "x"))
    answers = alter(cluster, good, bad, validate_only=True)
    assert [code for code, _ in answers] == [0, ErrorCode.INVALID_CONFIG]
    assert cluster.image.configs == before


def test_resources_stand_alone(cluster: Cluster) -> None:
    twice = (ErrorCode.INVALID_REQUEST, "Each resource must appear at most once.")
    assert alter(
        cluster,
        resource(TOPIC, "t", ("retention.ms", "5")),
        resource(TOPIC, "u", ("retention.ms", "6")),
        resource(TOPIC, "t", ("retention.ms", "7")),
    ) == [twice, (0, None), twice]
    assert cluster.image.configs[TOPIC, "u"] == {"retention.ms": "6"}
    assert (TOPIC, "t") not in cluster.image.configs


def test_another_minimum_of_the_isr_clears_who_is_eligible(cluster: Cluster) -> None:
    asked = resource(TOPIC, "t", ("min.insync.replicas", "1"))
    for request in (asked, resource(TOPIC, "t")):
        result = decide_alter_configs(cluster.context(), AlterConfigsRequest(resources=[request]))
        assert [type(record) for record in result.records] == [ConfigRecord, ClearElrRecord]
        cluster.commit(result.records)


REFUSED = [
    (
        resource(TOPIC, "absent"),
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        "The topic 'absent' does not exist.",
    ),
    (
        resource(TOPIC, "", ("retention.ms", "1")),
        ErrorCode.INVALID_REQUEST,
        "Default topic resources are not allowed.",
    ),
    (
        resource(TOPIC, "t", ("nope", "1"), ("nope2", "1")),
        ErrorCode.INVALID_CONFIG,
        "Unknown topic config name: nope",
    ),
    (
        resource(TOPIC, "t", ("retention.ms", "")),
        ErrorCode.INVALID_CONFIG,
        "Invalid value  for configuration retention.ms: Not a number of type LONG",
    ),
    (
        resource(TOPIC, "t", ("retention.ms", None), ("segment.ms", "1000000"), ("flush.ms", None)),
        ErrorCode.INVALID_REQUEST,
        "Null value not supported for : retention.ms, flush.ms",
    ),
    (
        resource(TOPIC, "t", ("retention.ms", "1"), ("retention.ms", "2")),
        ErrorCode.INVALID_REQUEST,
        "Error due to duplicate config keys",
    ),
    (
        resource(TOPIC, "t", ("min.compaction.lag.ms", "100"), ("max.compaction.lag.ms", "10")),
        ErrorCode.INVALID_CONFIG,
        "conflict topic config setting min.compaction.lag.ms (100) > max.compaction.lag.ms (10)",
    ),
    (
        resource(BROKER, "", ("log.retention.ms", "9999999")),
        ErrorCode.INVALID_CONFIG,
        "Cluster-level min.insync.replicas cannot be removed while ELR is enabled.",
    ),
    (
        resource(BROKER, "", ("log.retention.ms", "q")),
        ErrorCode.INVALID_REQUEST,
        "Invalid value q for configuration log.retention.ms: Not a number of type LONG",
    ),
    (
        resource(BROKER, "", ("node.id", "1")),
        ErrorCode.INVALID_REQUEST,
        "Cannot update these configs dynamically: [node.id]",
    ),
    (
        resource(BROKER, "1", ("min.insync.replicas", "1")),
        ErrorCode.INVALID_CONFIG,
        "Broker-level min.insync.replicas cannot be altered while ELR is enabled.",
    ),
    (
        resource(BROKER, "9", ("log.cleaner.threads", "2")),
        ErrorCode.BROKER_ID_NOT_REGISTERED,
        "No node with id 9 found.",
    ),
    (
        resource(LOGGER, "1", ("root", "INFO")),
        ErrorCode.INVALID_REQUEST,
        "Unknown resource type 8",
    ),
    (resource(127, "x"), ErrorCode.INVALID_REQUEST, "Unknown resource type 127"),
    (
        resource(METRICS, "m", ("interval.ms", "1")),
        ErrorCode.INVALID_REQUEST,
        "Invalid value 1 for interval.ms, interval must be between 100 and 3600000 (1 hour)",
    ),
    (
        resource(GROUP, "g", ("consumer.session.timeout.ms", "1")),
        ErrorCode.INVALID_CONFIG,
        "consumer.session.timeout.ms must be greater than or equal to "
        "group.consumer.min.session.timeout.ms",
    ),
]


@pytest.mark.parametrize(("asked", "code", "message"), REFUSED, ids=lambda value: str(value)[:70])
def test_a_refused_resource_has_kafkas_error_and_is_left_alone(
    cluster: Cluster, asked: AlterConfigsResource, code: ErrorCode, message: str
) -> None:
    before = dict(cluster.image.configs)
    assert alter(cluster, asked) == [(code, message)]
    assert cluster.image.configs == before
