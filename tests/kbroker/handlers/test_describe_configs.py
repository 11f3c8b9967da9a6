"""DescribeConfigs: resources, errors, what is asked for and what is kept back."""

from __future__ import annotations

import logging

import pytest

from kbroker.handlers import describe_configs
from kbroker.wire import codec
from kbroker.wire.errors import ErrorCode, RequestError
from kbroker.wire.messages.describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResourceResult,
    DescribeConfigsResponse,
    DescribeConfigsResult,
)

from .cluster_rig import ClusterRig

TOPIC, BROKER, LOGGER, METRICS, GROUP = 2, 4, 8, 16, 32
LATEST = 4


def ask(
    rig: ClusterRig,
    resource_type: int,
    name: str,
    *,
    keys: list[str] | None = None,
    synonyms: bool = False,
    documentation: bool = False,
    version: int = LATEST,
) -> DescribeConfigsResult:
    request = DescribeConfigsRequest(
        resources=[
            DescribeConfigsResource(
                resource_type=resource_type, resource_name=name, configuration_keys=keys
            )
        ],
        include_synonyms=synonyms,
        include_documentation=documentation,
    )
    response = describe_configs.handle(request, rig.context(version))
    decoded = codec.decode(DescribeConfigsResponse, version, codec.encode(response, version))
    (result,) = decoded.results
    assert (result.resource_type, result.resource_name) == (resource_type, name)
    return result


def by_name(result: DescribeConfigsResult) -> dict[str, DescribeConfigsResourceResult]:
    assert result.error_code == 0
    return {config.name: config for config in result.configs}


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_a_topics_values_and_sources(version: int) -> None:
    rig = ClusterRig()
    rig.add_topic("t")
    rig.set_config(TOPIC, "t", "retention.ms", "5")
    configs = by_name(ask(rig, TOPIC, "t", version=version))
    assert len(configs) == 33
    retention, policy = configs["retention.ms"], configs["cleanup.policy"]
    assert (retention.value, retention.config_source, retention.read_only) == ("5", 1, False)
    assert (policy.value, policy.config_source) == ("delete", 5)
    if version >= 3:
        assert (retention.config_type, policy.config_type) == (5, 7)


def test_synonyms_only_where_asked() -> None:
    rig = ClusterRig()
    rig.add_topic("t")
    rig.set_config(TOPIC, "t", "max.message.bytes", "5")
    silent = by_name(ask(rig, TOPIC, "t"))["max.message.bytes"]
    assert silent.synonyms == []
    entry = by_name(ask(rig, TOPIC, "t", synonyms=True))["max.message.bytes"]
    assert [(s.name, s.value, s.source) for s in entry.synonyms] == [
        ("max.message.bytes", "5", 1),
        ("message.max.bytes", "1048588", 5),
    ]


def test_documentation_only_where_asked() -> None:
    rig = ClusterRig()
    assert by_name(ask(rig, BROKER, "1"))["num.partitions"].documentation is None
    configs = by_name(ask(rig, BROKER, "1", documentation=True))
    assert configs["num.partitions"].documentation
    assert configs["num.io.threads"].documentation == describe_configs.NO_EFFECT


def test_only_the_keys_that_are_asked_for() -> None:
    rig = ClusterRig()
    rig.add_topic("t")
    assert set(by_name(ask(rig, TOPIC, "t", keys=["retention.ms", "nope"]))) == {"retention.ms"}
    assert len(by_name(ask(rig, TOPIC, "t", keys=[]))) == 33


@pytest.mark.parametrize(
    ("resource_type", "name", "code", "message"),
    [
        (TOPIC, "nope", ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ""),
        (
            TOPIC,
            "a b",
            ErrorCode.INVALID_TOPIC_EXCEPTION,
            "Topic name is invalid: 'a b' contains one or more characters other than "
            "ASCII alphanumerics, '.', '_' and '-'",
        ),
        (
            BROKER,
            "7",
            ErrorCode.INVALID_REQUEST,
            "Unexpected broker id, expected 1 or empty string, but received 7",
        ),
        (BROKER, "x", ErrorCode.INVALID_REQUEST, "Broker id must be an integer, but it is: x"),
        (BROKER, "0_1", ErrorCode.INVALID_REQUEST, "Broker id must be an integer, but it is: 0_1"),
        (LOGGER, " 1", ErrorCode.INVALID_REQUEST, "Broker id must be an integer, but it is:  1"),
        (
            BROKER,
            "4294967297",
            ErrorCode.INVALID_REQUEST,
            "Broker id must be an integer, but it is: 4294967297",
        ),
        (LOGGER, "", ErrorCode.INVALID_REQUEST, "Broker id must not be empty"),
        (
            LOGGER,
            "2",
            ErrorCode.INVALID_REQUEST,
            "Unexpected broker id, expected 1 but received 2",
        ),
        (
            METRICS,
            "",
            ErrorCode.INVALID_REQUEST,
            "Client metrics subscription name must not be empty",
        ),
        (GROUP, "", ErrorCode.INVALID_REQUEST, "Group name must not be empty"),
    ],
)
def test_a_resource_that_cannot_be_described(
    resource_type: int, name: str, code: ErrorCode, message: str
) -> None:
    result = ask(ClusterRig(), resource_type, name)
    assert (result.error_code, result.error_message, result.configs) == (code, message, [])


def test_an_unknown_resource_type_refuses_the_whole_request() -> None:
    with pytest.raises(RequestError) as raised:
        ask(ClusterRig(), 99, "x")
    assert raised.value.code == ErrorCode.INVALID_REQUEST


def test_this_broker() -> None:
    rig = ClusterRig({"num.partitions": "3", "ssl.key.password": "secret"})
    rig.set_config(BROKER, "", "message.max.bytes", "77")
    configs = by_name(ask(rig, BROKER, "1"))
    partitions, password = configs["num.partitions"], configs["ssl.key.password"]
    assert (partitions.value, partitions.config_source, partitions.read_only) == ("3", 4, True)
    assert (password.value, password.is_sensitive) == (None, True)
    assert (configs["message.max.bytes"].value, configs["message.max.bytes"].config_source) == (
        "77",
        3,
    )
    assert set(by_name(ask(rig, BROKER, ""))) == {"message.max.bytes"}


def test_loggers_have_kafkas_levels() -> None:
    logging.getLogger("kbroker.some.part").setLevel(logging.WARNING)
    configs = by_name(ask(ClusterRig(), LOGGER, "1"))
    assert "root" in configs
    entry = configs["kbroker.some.part"]
    assert (entry.value, entry.config_source, entry.read_only) == ("WARN", 6, False)


@pytest.mark.parametrize("documentation", [False, True])
def test_loggers_have_empty_documentation_asked_for_or_not(documentation: bool) -> None:
    (root,) = ask(ClusterRig(), LOGGER, "1", keys=["root"], documentation=documentation).configs
    (key,) = ask(ClusterRig(), BROKER, "1", keys=["node.id"], documentation=documentation).configs
    assert root.documentation == ""
    assert (key.documentation is not None) == documentation


def test_groups_and_client_metrics() -> None:
    rig = ClusterRig()
    rig.set_config(GROUP, "g", "consumer.session.timeout.ms", "50000")
    rig.set_config(METRICS, "m", "interval.ms", "1000")
    group = by_name(ask(rig, GROUP, "g"))["consumer.session.timeout.ms"]
    assert (group.value, group.config_source) == ("50000", 8)
    assert len(by_name(ask(rig, GROUP, "unknown"))) == 17
    metrics = by_name(ask(rig, METRICS, "m"))
    assert (metrics["interval.ms"].value, metrics["interval.ms"].config_source) == ("1000", 7)
    assert (metrics["match"].value, metrics["match"].config_source) == ("", 5)
