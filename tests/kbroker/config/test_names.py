"""Keys that are not known: mistakes, older Kafkas', plugins'; the files of other releases."""

from __future__ import annotations

import re

import pytest

from kbroker.config import BrokerConfig, ConfigError
from kbroker.config.listeners import advertised_listeners
from kbroker.config.names import check_names, notice
from kbroker.config.properties import parse_properties

COMMON = """
num.network.threads=3
num.io.threads=8
socket.send.buffer.bytes=102400
socket.receive.buffer.bytes=102400
socket.request.max.bytes=104857600
num.partitions=1
num.recovery.threads.per.data.dir=1
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
log.retention.hours=168
log.retention.check.interval.ms=300000
"""
# The keys of the files that releases come with.
OF_4 = (
    COMMON
    + """
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=localhost:9093
listeners=PLAINTEXT://:9092,CONTROLLER://:9093
inter.broker.listener.name=PLAINTEXT
advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,\\
    SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL
log.dirs=/tmp/kraft-combined-logs
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
log.segment.bytes=1073741824
"""
)
OF_3_KRAFT = OF_4.replace("bootstrap.servers=localhost", "voters=1@localhost")
OF_3_ZOOKEEPER = (
    COMMON
    + """
broker.id=0
log.dirs=/tmp/kafka-logs
zookeeper.connect=localhost:2181
zookeeper.connection.timeout.ms=18000
group.initial.rebalance.delay.ms=0
inter.broker.protocol.version=3.9
log.message.format.version=3.0
control.plane.listener.name=CONTROLLER
broker.id.generation.enable=true
"""
)


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("text", "node_id", "ignored"),
    [
        (
            OF_4,
            1,
            "these settings have no effect: keys that kbroker does not use: "
            "controller.quorum.bootstrap.servers, "
            "num.recovery.threads.per.data.dir, "
            "share.coordinator.state.topic.min.isr, "
            "share.coordinator.state.topic.replication.factor, transaction.state.log.min.isr, "
            "transaction.state.log.replication.factor; listeners that are not opened, because the "
            "controller is in this process: CONTROLLER://:9093",
        ),
        (OF_3_KRAFT, 1, "CONTROLLER://:9093"),
        (
            OF_3_ZOOKEEPER,
            0,
            "these settings have no effect: keys that kbroker does not use: "
            "num.recovery.threads.per.data.dir, "
            "transaction.state.log.min.isr, transaction.state.log.replication.factor; keys of "
            "older Kafka releases: broker.id.generation.enable, control.plane.listener.name, "
            "inter.broker.protocol.version, log.message.format.version, zookeeper.connect, "
            "zookeeper.connection.timeout.ms",
        ),
    ],
)
def test_the_files_of_other_releases_start(
    text: str, node_id: int, ignored: str, ends: str
) -> None:
    config = BrokerConfig(parse_properties(text.replace("\n", ends)))
    check_names(config)
    advertised_listeners(config)
    assert config.node_id == node_id
    said = notice(config)
    assert said is not None
    assert said.endswith(ignored)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            {"num.partitons": "3"},
            "Invalid value 3 for configuration num.partitons: no Kafka has this key; "
            "did you mean num.partitions?",
        ),
        (
            {"zookeeper.conect": "a"},
            "Invalid value a for configuration zookeeper.conect: no Kafka has this key; "
            "did you mean zookeeper.connect?",
        ),
        (
            {"ssl.key.pasword": "s3cret"},
            "Invalid value [hidden] for configuration ssl.key.pasword: no Kafka has this key; "
            "did you mean ssl.key.password?",
        ),
        (
            {"log.retention": "168"},
            "Invalid value 168 for configuration log.retention: no Kafka has this key; did you "
            "mean log.retention.bytes, log.retention.hours, log.retention.minutes or "
            "log.retention.ms?",
        ),
        (
            {"bootstrap.servers": "a:1"},
            "Invalid value a:1 for configuration bootstrap.servers: this key is for clients, and "
            "no broker uses it",
        ),
        (
            {"my.setting": "x"},
            "Invalid value x for configuration my.setting: no Kafka has this key",
        ),
        (
            {"metric.reporters": "com.acme.Reporter", "log.retention.mss": "5"},
            "Invalid value 5 for configuration log.retention.mss: no Kafka has this key; "
            "did you mean log.retention.ms?",
        ),
    ],
)
def test_a_key_that_no_kafka_knows_is_an_error(settings: dict[str, str], sentence: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(sentence) + "$"):
        check_names(BrokerConfig(settings))


@pytest.mark.parametrize(
    "settings",
    [
        {"confluent.support.metrics.enable": "false"},
        {"super.users": "User:a"},
        {"config.providers.file.class": "x"},
        {"listener.name.internal.ssl.keystore.location": "x"},
        {"listener.name.internal.plain.sasl.jaas.config": "x"},
        {"metric.reporters": "com.acme.Reporter", "my.reporter.interval": "5"},
        {"rsm.config.bucket": "x"},
    ],
)
def test_what_plugins_read_is_let_through(settings: dict[str, str]) -> None:
    check_names(BrokerConfig(settings))


def test_where_everything_has_effect_nothing_is_said() -> None:
    assert notice(BrokerConfig({"num.partitions": "3"})) is None
