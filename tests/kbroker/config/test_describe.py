"""Sources and synonyms, as Apache Kafka 4.3.0 answered them."""

from __future__ import annotations

import pytest

from kbroker.config import BrokerConfig, DynamicConfigs
from kbroker.config.client_metrics import ClientMetricsConfig
from kbroker.config.describe import (
    DescribedConfig,
    describe_broker,
    describe_client_metrics,
    describe_cluster_default,
    describe_group,
    describe_topic,
)

STATIC = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "listeners": "PLAINTEXT://127.0.0.1:29092,CONTROLLER://127.0.0.1:29093",
    "controller.listener.names": "CONTROLLER",
    "log.dirs": "/data",
    "offsets.topic.replication.factor": "1",
    "ssl.key.password": "secret",
    "my.own.key": "x",
}
VALUES = {
    (4, ""): {"log.retention.ms": "777000", "min.insync.replicas": "1"},
    (4, "1"): {"log.cleaner.threads": "2", "leader.replication.throttled.rate": "5"},
    (2, "t"): {"retention.ms": "1000", "cleanup.policy": "delete,compact,delete"},
    (32, "g"): {"consumer.session.timeout.ms": "50000", "share.isolation.level": "read_committed"},
}


def shown(entry: DescribedConfig) -> str:
    synonyms = " ".join(f"{s.source.name}|{s.name}={s.value}" for s in entry.synonyms)
    flags = "SENS " * entry.is_sensitive + "RO " * entry.is_read_only
    return f"{entry.name} = {entry.value} {entry.source.name} {flags}{entry.type.name} [{synonyms}]"


def described() -> dict[str, dict[str, str]]:
    broker = BrokerConfig(STATIC)
    configs = DynamicConfigs(broker, VALUES)
    return {
        what: {entry.name: shown(entry) for entry in entries}
        for what, entries in {
            "topic": describe_topic(configs.topic("t")),
            "broker": describe_broker(broker),
            "cluster": describe_cluster_default(broker),
            "group": describe_group(configs.group("g")),
            "metrics": describe_client_metrics(ClientMetricsConfig({"interval.ms": "1000"})),
        }.items()
    }


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        (
            "topic",
            "retention.ms = 1000 DYNAMIC_TOPIC_CONFIG LONG [DYNAMIC_TOPIC_CONFIG|retention.ms=1000 "
            "DYNAMIC_DEFAULT_BROKER_CONFIG|log.retention.ms=777000 "
            "DEFAULT_CONFIG|log.retention.hours=168]",
        ),
        (
            "topic",
            "cleanup.policy = delete,compact DYNAMIC_TOPIC_CONFIG LIST "
            "[DYNAMIC_TOPIC_CONFIG|cleanup.policy=delete,compact "
            "DEFAULT_CONFIG|log.cleanup.policy=delete]",
        ),
        ("topic", "segment.ms = 604800000 DEFAULT_CONFIG LONG []"),
        ("topic", "flush.ms = 9223372036854775807 DEFAULT_CONFIG LONG []"),
        (
            "topic",
            "min.insync.replicas = 1 DYNAMIC_DEFAULT_BROKER_CONFIG INT "
            "[DYNAMIC_DEFAULT_BROKER_CONFIG|min.insync.replicas=1 "
            "DEFAULT_CONFIG|min.insync.replicas=1]",
        ),
        ("topic", "remote.storage.enable = false DEFAULT_CONFIG BOOLEAN []"),
        ("topic", "leader.replication.throttled.replicas =  DEFAULT_CONFIG LIST []"),
        (
            "topic",
            "min.cleanable.dirty.ratio = 0.5 DEFAULT_CONFIG DOUBLE "
            "[DEFAULT_CONFIG|log.cleaner.min.cleanable.ratio=0.5]",
        ),
        (
            "broker",
            "log.retention.ms = 777000 DYNAMIC_DEFAULT_BROKER_CONFIG LONG "
            "[DYNAMIC_DEFAULT_BROKER_CONFIG|log.retention.ms=777000 "
            "DEFAULT_CONFIG|log.retention.hours=168]",
        ),
        ("broker", "node.id = 1 STATIC_BROKER_CONFIG RO INT [STATIC_BROKER_CONFIG|node.id=1]"),
        (
            "broker",
            "broker.id = 1 STATIC_BROKER_CONFIG RO INT "
            "[STATIC_BROKER_CONFIG|broker.id=1 DEFAULT_CONFIG|broker.id=-1]",
        ),
        ("broker", "log.roll.ms = None DEFAULT_CONFIG LONG []"),
        (
            "broker",
            "log.cleaner.io.max.bytes.per.second = 1.7976931348623157E308 DEFAULT_CONFIG DOUBLE "
            "[DEFAULT_CONFIG|log.cleaner.io.max.bytes.per.second=1.7976931348623157E308]",
        ),
        (
            "broker",
            "ssl.key.password = None STATIC_BROKER_CONFIG SENS PASSWORD "
            "[STATIC_BROKER_CONFIG|ssl.key.password=None]",
        ),
        (
            "broker",
            "my.own.key = None STATIC_BROKER_CONFIG SENS RO UNKNOWN "
            "[STATIC_BROKER_CONFIG|my.own.key=None]",
        ),
        (
            "broker",
            "log.cleaner.threads = 2 DYNAMIC_BROKER_CONFIG INT "
            "[DYNAMIC_BROKER_CONFIG|log.cleaner.threads=2 DEFAULT_CONFIG|log.cleaner.threads=1]",
        ),
        (
            "broker",
            "leader.replication.throttled.rate = 5 DYNAMIC_BROKER_CONFIG LONG "
            "[DYNAMIC_BROKER_CONFIG|leader.replication.throttled.rate=5]",
        ),
        (
            "cluster",
            "log.retention.ms = 777000 DYNAMIC_DEFAULT_BROKER_CONFIG LONG "
            "[DYNAMIC_DEFAULT_BROKER_CONFIG|log.retention.ms=777000]",
        ),
        (
            "group",
            "consumer.session.timeout.ms = 50000 DYNAMIC_GROUP_CONFIG INT "
            "[DYNAMIC_GROUP_CONFIG|consumer.session.timeout.ms=50000 "
            "DEFAULT_CONFIG|group.consumer.session.timeout.ms=45000]",
        ),
        (
            "group",
            "share.isolation.level = read_committed DYNAMIC_GROUP_CONFIG STRING "
            "[DYNAMIC_GROUP_CONFIG|share.isolation.level=read_committed "
            "DEFAULT_CONFIG|share.isolation.level=read_uncommitted]",
        ),
        (
            "group",
            "share.auto.offset.reset = latest DEFAULT_CONFIG STRING "
            "[DEFAULT_CONFIG|share.auto.offset.reset=latest]",
        ),
        (
            "metrics",
            "interval.ms = 1000 DYNAMIC_CLIENT_METRICS_CONFIG INT "
            "[DYNAMIC_CLIENT_METRICS_CONFIG|interval.ms=1000]",
        ),
        ("metrics", "match =  DEFAULT_CONFIG LIST []"),
    ],
)
def test_an_entry_is_as_kafka_shows_it(what: str, expected: str) -> None:
    name = expected.split(" ", 1)[0]
    assert described()[what][name] == expected


def test_every_public_key_is_there_and_internal_ones_only_where_set() -> None:
    entries = described()
    assert len(entries["topic"]) == 33
    assert "internal.segment.bytes" not in entries["topic"]
    # 339 public ones, broker.id among them, our own key and a throttle.
    assert len(entries["broker"]) == 342
    assert set(entries["cluster"]) == {"log.retention.ms", "min.insync.replicas"}
    topic = DynamicConfigs(BrokerConfig(), {(2, "t"): {"internal.segment.bytes": "9"}}).topic("t")
    assert "internal.segment.bytes" in {entry.name for entry in describe_topic(topic)}


def test_only_what_is_wanted_is_described() -> None:
    entries = list(describe_broker(BrokerConfig(), {"num.partitions", "nope"}))
    assert [entry.name for entry in entries] == ["num.partitions"]
