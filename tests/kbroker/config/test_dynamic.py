"""DynamicConfigs follows the metadata image without work per request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbroker.config import BrokerConfig, DynamicConfigs

if TYPE_CHECKING:
    import pytest

TOPIC, BROKER, GROUP = 2, 4, 32
Values = dict[tuple[int, str], dict[str, str]]


def test_topics_without_overrides_share_one_configuration() -> None:
    configs = DynamicConfigs(BrokerConfig(), {})
    assert configs.topic("a") is configs.topic("b")


def test_a_topics_configuration_is_one_object_until_it_changes() -> None:
    values: Values = {(TOPIC, "t"): {"retention.ms": "5"}}
    configs = DynamicConfigs(BrokerConfig(), values)
    before = configs.topic("t")
    assert configs.topic("t") is before
    values[TOPIC, "t"]["retention.ms"] = "6"
    configs.apply([(TOPIC, "t")])
    assert before.retention_ms == 5
    assert configs.topic("t").retention_ms == 6


def test_a_recreated_topic_does_not_inherit() -> None:
    values: Values = {(TOPIC, "t"): {"retention.ms": "5"}}
    configs = DynamicConfigs(BrokerConfig(), values)
    assert configs.topic("t").retention_ms == 5
    del values[TOPIC, "t"]  # as the image does on deletion, without a word
    assert configs.topic("t").retention_ms == 604_800_000
    values[TOPIC, "t"] = {"retention.ms": "7"}
    assert configs.topic("t").retention_ms == 7


def test_a_change_of_the_brokers_defaults_reaches_all_topics() -> None:
    values: Values = {(TOPIC, "t"): {"segment.ms": "5"}}
    configs = DynamicConfigs(BrokerConfig(), values)
    assert configs.topic("t").retention_ms == 604_800_000
    values[BROKER, ""] = {"log.retention.ms": "9"}
    configs.apply([(BROKER, "")])
    assert configs.topic("t").retention_ms == 9
    assert configs.topic("other").retention_ms == 9
    assert configs.broker.log_retention_ms == 9


def test_another_brokers_values_are_not_ours() -> None:
    values: Values = {(BROKER, "2"): {"log.retention.ms": "9"}}
    configs = DynamicConfigs(BrokerConfig({"node.id": "1"}), values)
    configs.apply([(BROKER, "2")])
    assert configs.broker.log_retention_ms is None


def test_listeners_hear_what_changed() -> None:
    values: Values = {}
    configs = DynamicConfigs(BrokerConfig(), values)
    topics: list[str | None] = []
    keys: list[frozenset[str]] = []
    configs.on_topic_change(topics.append)
    configs.on_broker_change(keys.append)
    values[TOPIC, "t"] = {"retention.ms": "5"}
    configs.apply([(TOPIC, "t")])
    values[BROKER, "1"] = {"num.io.threads": "9"}
    configs.apply([(BROKER, "1")])
    assert topics == ["t"]
    assert keys == [{"num.io.threads"}]
    values[BROKER, ""] = {"log.segment.bytes": "5000000"}
    configs.apply([(BROKER, "")])
    assert topics == ["t", None]
    configs.apply([(BROKER, "")])
    assert keys == [{"num.io.threads"}, {"log.segment.bytes"}]


def test_values_that_this_version_refuses_leave_the_configuration_as_it_was() -> None:
    values: Values = {(BROKER, ""): {"log.segment.bytes": "1"}}
    configs = DynamicConfigs(BrokerConfig(), values)
    assert configs.broker.log_segment_bytes == 1 << 30


def test_groups_follow_the_image() -> None:
    values: Values = {(GROUP, "g"): {"consumer.session.timeout.ms": "50000"}}
    configs = DynamicConfigs(BrokerConfig({"group.consumer.heartbeat.interval.ms": "7000"}), values)
    assert configs.group("g").consumer_session_timeout_ms == 50_000
    assert configs.group("g").consumer_heartbeat_interval_ms == 7_000
    assert configs.group("other").consumer_session_timeout_ms == 45_000


def test_what_is_set_without_effect_is_told_once_a_key(caplog: pytest.LogCaptureFixture) -> None:
    values: Values = {(TOPIC, "old"): {"delete.retention.ms": "5", "retention.ms": "5"}}
    configs = DynamicConfigs(BrokerConfig(), values)
    values[TOPIC, "t"] = {"delete.retention.ms": "6", "min.compaction.lag.ms": "1"}
    values[TOPIC, "same"] = {"local.retention.ms": "-2"}  # as by default
    values[BROKER, ""] = {"num.io.threads": "5", "log.retention.ms": "5", "of.a.plugin": "x"}
    values[GROUP, "g"] = {"consumer.session.timeout.ms": "50000"}
    configs.apply(values)
    configs.apply(values)
    assert caplog.messages == [
        "these keys have no effect (first set on topic old): delete.retention.ms",
        "these keys have no effect (first set on topic t): min.compaction.lag.ms",
        "these keys have no effect (first set on all brokers): num.io.threads, of.a.plugin",
        "these keys have no effect (first set on group g): consumer.session.timeout.ms",
    ]


def test_values_of_a_kind_that_nobody_knows_are_told(caplog: pytest.LogCaptureFixture) -> None:
    """As a newer Kafka may have written them."""
    DynamicConfigs(BrokerConfig(), {(64, "x"): {"delete.retention.ms": "5"}})
    assert caplog.messages == [
        "these keys have no effect (first set on resource x of type 64): delete.retention.ms"
    ]


def test_a_topic_that_is_gone_is_told_nothing_of(caplog: pytest.LogCaptureFixture) -> None:
    DynamicConfigs(BrokerConfig(), {}).changed(TOPIC, "gone")
    assert not caplog.messages
