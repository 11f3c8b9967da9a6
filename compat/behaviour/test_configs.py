"""DescribeConfigs and IncrementalAlterConfigs: every key, sources, synonyms, operations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from compat.late import comes_to
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResourceResult,
    DescribeConfigsResponse,
    DescribeConfigsResult,
)
from kbroker.wire.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)

from .asking import assert_error, assert_none, describe, make_topic

if TYPE_CHECKING:
    from collections.abc import Callable

    from compat.raw import RawClient

pytestmark = [pytest.mark.ci, pytest.mark.item(26)]

TOPIC, BROKER = 2, 4
SET, DELETE, APPEND, SUBTRACT = 0, 1, 2, 3
DYNAMIC_TOPIC, DYNAMIC_DEFAULT_BROKER, DEFAULT = 1, 3, 5

# What Apache Kafka 4.3.0 describes of a topic: key -> (default value, type).
BOOLEAN, STRING, INT, _SHORT, LONG, DOUBLE, LIST = range(1, 8)
TOPIC_CONFIGS: dict[str, tuple[str | None, int]] = {
    "cleanup.policy": ("delete", LIST),
    "compression.gzip.level": ("-1", INT),
    "compression.lz4.level": ("9", INT),
    "compression.type": ("producer", STRING),
    "compression.zstd.level": ("3", INT),
    "delete.retention.ms": ("86400000", LONG),
    "file.delete.delay.ms": ("60000", LONG),
    "flush.messages": ("9223372036854775807", LONG),
    "flush.ms": ("9223372036854775807", LONG),
    "follower.replication.throttled.replicas": ("", LIST),
    "index.interval.bytes": ("4096", INT),
    "leader.replication.throttled.replicas": ("", LIST),
    "local.retention.bytes": ("-2", LONG),
    "local.retention.ms": ("-2", LONG),
    "max.compaction.lag.ms": ("9223372036854775807", LONG),
    "max.message.bytes": ("1048588", INT),
    "message.timestamp.after.max.ms": ("3600000", LONG),
    "message.timestamp.before.max.ms": ("9223372036854775807", LONG),
    "message.timestamp.type": ("CreateTime", STRING),
    "min.cleanable.dirty.ratio": ("0.5", DOUBLE),
    "min.compaction.lag.ms": ("0", LONG),
    "min.insync.replicas": ("1", INT),
    "preallocate": ("false", BOOLEAN),
    "remote.log.copy.disable": ("false", BOOLEAN),
    "remote.log.delete.on.disable": ("false", BOOLEAN),
    "remote.storage.enable": ("false", BOOLEAN),
    "retention.bytes": ("-1", LONG),
    "retention.ms": ("604800000", LONG),
    "segment.bytes": ("1073741824", INT),
    "segment.index.bytes": ("10485760", INT),
    "segment.jitter.ms": ("0", LONG),
    "segment.ms": ("604800000", LONG),
    "unclean.leader.election.enable": ("false", BOOLEAN),
}


@pytest.fixture
def topic(raw: RawClient, unique: Callable[[str], str]) -> str:
    name = unique("configs")
    make_topic(raw, name)
    return name


def ask(
    raw: RawClient,
    resource: str,
    kind: int = TOPIC,
    keys: list[str] | None = None,
    *,
    version: int = 4,
    documentation: bool = False,
) -> DescribeConfigsResult:
    wanted = DescribeConfigsResource(
        resource_type=kind, resource_name=resource, configuration_keys=keys
    )
    request = DescribeConfigsRequest(
        resources=[wanted],
        include_synonyms=True,
        include_documentation=documentation and version >= 3,
    )
    return raw.ask(request, version, DescribeConfigsResponse).results[0]


def one(raw: RawClient, topic: str, key: str) -> DescribeConfigsResourceResult:
    (config,) = ask(raw, topic, keys=[key]).configs
    return config


def alter(
    raw: RawClient,
    resource: str,
    *changes: tuple[str, int, str | None],
    kind: int = TOPIC,
    validate_only: bool = False,
    version: int = 1,
) -> tuple[int, str | None]:
    """Error and message."""
    configs = [AlterableConfig(name=k, config_operation=o, value=v) for k, o, v in changes]
    wanted = AlterConfigsResource(resource_type=kind, resource_name=resource, configs=configs)
    request = IncrementalAlterConfigsRequest(resources=[wanted], validate_only=validate_only)
    (answer,) = raw.ask(request, version, IncrementalAlterConfigsResponse).responses
    return answer.error_code, answer.error_message


def test_every_topic_config_has_its_value_type_and_source(raw: RawClient, topic: str) -> None:
    found = {config.name: config for config in ask(raw, topic).configs}
    values = {name: (config.value, config.config_type) for name, config in found.items()}
    # This key is internal to Apache Kafka's tests, and described all the same.
    values.pop("internal.segment.bytes", None)
    assert values == TOPIC_CONFIGS
    for name, config in found.items():
        # With eligible leader replicas (KIP-966) the cluster's default of this key is explicit.
        expected = DYNAMIC_DEFAULT_BROKER if name == "min.insync.replicas" else DEFAULT
        assert config.config_source == expected, name
        assert (config.read_only, config.is_sensitive) == (False, False), name


def test_synonyms_tell_where_a_value_comes_from(raw: RawClient, topic: str) -> None:
    before = one(raw, topic, "max.message.bytes")
    assert before.config_source == DEFAULT
    assert [(s.name, s.value, s.source) for s in before.synonyms] == [
        ("message.max.bytes", "1048588", DEFAULT)
    ]
    assert_none(alter(raw, topic, ("max.message.bytes", SET, "2000"))[0])
    after = await_value(raw, topic, "max.message.bytes", "2000")
    assert after.config_source == DYNAMIC_TOPIC
    assert [(s.name, s.value, s.source) for s in after.synonyms] == [
        ("max.message.bytes", "2000", DYNAMIC_TOPIC),
        ("message.max.bytes", "1048588", DEFAULT),
    ]
    assert_none(alter(raw, topic, ("max.message.bytes", DELETE, None))[0])
    comes_to(lambda: one(raw, topic, "max.message.bytes"), before)


@pytest.mark.parametrize("version", range(1, 5))
def test_every_version_describes(raw: RawClient, topic: str, version: int) -> None:
    result = ask(raw, topic, keys=["retention.ms", "no.such.key"], version=version)
    assert_none(result.error_code)
    (config,) = result.configs
    assert (config.name, config.value, config.config_source) == (
        "retention.ms",
        "604800000",
        DEFAULT,
    )
    assert config.config_type == (LONG if version >= 3 else 0)


def test_documentation_is_given_when_asked(raw: RawClient, topic: str) -> None:
    documented, plain = ask(raw, topic, documentation=True).configs, ask(raw, topic).configs
    assert len(documented) == len(plain) > 0
    assert all(config.documentation for config in documented)
    assert not any(config.documentation for config in plain)


def test_an_unknown_topic_is_an_error(raw: RawClient, unique: Callable[[str], str]) -> None:
    result = ask(raw, unique("absent"))
    assert_error(result.error_code, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    assert ask(raw, "no/slash").error_code == ErrorCode.INVALID_TOPIC_EXCEPTION


@pytest.mark.item(27)
def test_operations(raw: RawClient, topic: str) -> None:
    def value(key: str) -> str | None:
        return one(raw, topic, key).value

    assert_none(alter(raw, topic, ("cleanup.policy", APPEND, "compact"))[0])
    comes_to(lambda: value("cleanup.policy"), "delete,compact")
    assert_none(alter(raw, topic, ("cleanup.policy", APPEND, "compact"))[0])
    comes_to(lambda: value("cleanup.policy"), "delete,compact")
    assert_none(alter(raw, topic, ("cleanup.policy", SUBTRACT, "delete"))[0])
    comes_to(lambda: value("cleanup.policy"), "compact")
    both = (("retention.ms", SET, "1"), ("segment.bytes", SET, "1048576"))
    assert_none(alter(raw, topic, *both)[0])
    comes_to(lambda: (value("retention.ms"), value("segment.bytes")), ("1", "1048576"))
    assert_none(alter(raw, topic, ("retention.ms", DELETE, None))[0])
    comes_to(lambda: (value("retention.ms"), value("segment.bytes")), ("604800000", "1048576"))


@pytest.mark.item(27)
@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ([("no.such.key", SET, "1")], ErrorCode.INVALID_CONFIG),
        ([("retention.ms", SET, "soon")], ErrorCode.INVALID_CONFIG),
        ([("retention.ms", SET, None)], ErrorCode.INVALID_REQUEST),
        ([("cleanup.policy", SET, "shred")], ErrorCode.INVALID_CONFIG),
        ([("retention.ms", APPEND, "1")], ErrorCode.INVALID_CONFIG),
        ([("retention.ms", SET, "1"), ("retention.ms", SET, "2")], ErrorCode.INVALID_REQUEST),
        ([("retention.ms", SET, "5"), ("no.such.key", SET, "1")], ErrorCode.INVALID_CONFIG),
    ],
)
def test_changes_that_are_refused_change_nothing(
    raw: RawClient, topic: str, changes: list[tuple[str, int, str | None]], error: ErrorCode
) -> None:
    code, message = alter(raw, topic, *changes)
    assert_error(code, error)
    assert message
    configs = ask(raw, topic).configs
    assert configs
    assert all(config.config_source != DYNAMIC_TOPIC for config in configs)


@pytest.mark.item(27)
def test_an_unknown_operation_is_an_error(raw: RawClient, topic: str) -> None:
    code, _ = alter(raw, topic, ("retention.ms", 9, "1"))
    # Apache Kafka's parser throws; to name the fault is allowed, and better.
    assert code in (ErrorCode.UNKNOWN_SERVER_ERROR, ErrorCode.INVALID_REQUEST)


@pytest.mark.item(27)
def test_validate_only_changes_nothing(raw: RawClient, topic: str) -> None:
    change = ("retention.ms", SET, "77")
    assert_none(alter(raw, topic, change, validate_only=True, version=0)[0])
    assert one(raw, topic, "retention.ms").value == "604800000"
    bad = ("retention.ms", SET, "soon")
    assert alter(raw, topic, bad, validate_only=True)[0] == ErrorCode.INVALID_CONFIG


@pytest.mark.item(27)
def test_configs_of_an_unknown_topic_cannot_change(
    raw: RawClient, unique: Callable[[str], str]
) -> None:
    code, _ = alter(raw, unique("absent"), ("retention.ms", SET, "1"))
    assert_error(code, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)


def test_the_clusters_default_reaches_topics(raw: RawClient, topic: str) -> None:
    change = ("log.retention.ms", SET, "12345678")
    assert_none(alter(raw, "", change, kind=BROKER)[0])
    try:
        found = await_value(raw, topic, "retention.ms", "12345678")
        assert found.config_source == DYNAMIC_DEFAULT_BROKER
        assert (found.synonyms[0].name, found.synonyms[0].source) == (
            "log.retention.ms",
            DYNAMIC_DEFAULT_BROKER,
        )
    finally:
        assert_none(alter(raw, "", ("log.retention.ms", DELETE, None), kind=BROKER)[0])
    assert await_value(raw, topic, "retention.ms", "604800000").config_source == DEFAULT


def await_value(raw: RawClient, topic: str, key: str, value: str) -> DescribeConfigsResourceResult:
    """Apache Kafka answers before its broker has applied the change."""
    comes_to(lambda: one(raw, topic, key).value, value)
    return one(raw, topic, key)


def test_the_brokers_own_configs(raw: RawClient, topic: str) -> None:
    node = str(describe(raw, topic).partitions[0].leader_id)
    result = ask(raw, node, BROKER)
    assert_none(result.error_code)
    found = {config.name: config for config in result.configs}
    assert found["log.retention.hours"].value == "168"
    assert found["num.partitions"].value == "1"
    assert found["num.partitions"].read_only
    assert not found["message.max.bytes"].read_only
    assert found["offsets.topic.num.partitions"].value == "50"
    code, _ = alter(raw, node, ("num.partitions", SET, "3"), kind=BROKER)
    assert_error(code, ErrorCode.INVALID_REQUEST)
    code = ask(raw, "999", BROKER).error_code
    assert_error(code, ErrorCode.INVALID_REQUEST)
    code = ask(raw, "x", BROKER).error_code
    assert_error(code, ErrorCode.INVALID_REQUEST)
