"""What is suggested to who wrote a key that no Kafka knows: the right one, or none."""

from __future__ import annotations

import pytest

from kbroker.config.broker import BROKER_KEYS
from kbroker.config.keys.client import CLIENT_KEYS
from kbroker.config.likeness import meant, nearest
from kbroker.config.names import is_known


@pytest.mark.parametrize(
    ("name", "key"),
    [
        # Letters.
        ("listenrs", "listeners"),
        ("lsteners", "listeners"),
        ("advertized.listeners", "advertised.listeners"),
        ("num.partitons", "num.partitions"),
        ("zookeeper.conect", "zookeeper.connect"),
        ("zookeeper.connnect", "zookeeper.connect"),
        ("ssl.key.pasword", "ssl.key.password"),
        ("log.retension.hours", "log.retention.hours"),
        ("log.retention.mss", "log.retention.ms"),
        ("group.max.sesion.timeout.ms", "group.max.session.timeout.ms"),
        # Endings.
        ("listener", "listeners"),
        ("logs.dirs", "log.dirs"),
        ("process.role", "process.roles"),
        ("advertised.listener", "advertised.listeners"),
        ("auto.create.topics.enabled", "auto.create.topics.enable"),
        ("offset.topic.replication.factor", "offsets.topic.replication.factor"),
        ("log.retention.check.intervals.ms", "log.retention.check.interval.ms"),
        ("message.max.byte", "message.max.bytes"),
        # Separators, capitals and the order of words.
        ("brokerid", "broker.id"),
        ("node_id", "node.id"),
        ("NUM.PARTITIONS", "num.partitions"),
        ("min.in.sync.replicas", "min.insync.replicas"),
        ("listeners.", "listeners"),
        ("topics.auto.create.enable", "auto.create.topics.enable"),
        # A word too few.
        ("auto.create.topics", "auto.create.topics.enable"),
        ("group.initial.rebalance.delay", "group.initial.rebalance.delay.ms"),
        ("inter.broker.listener", "inter.broker.listener.name"),
        ("retention.hours", "log.retention.hours"),
        ("network.threads", "num.network.threads"),
        # Keys of topics, which brokers have under another name.
        ("retention.ms", "log.retention.ms"),
        ("segment.ms", "log.roll.ms"),
        ("max.message.bytes", "message.max.bytes"),
        ("delete.retention.ms", "log.cleaner.delete.retention.ms"),
    ],
)
def test_what_was_meant(name: str, key: str) -> None:
    assert not is_known(name)
    assert is_known(key)
    assert nearest(name) == (key,)


def test_what_is_cut_short_may_stand_for_several() -> None:
    units = ("bytes", "hours", "minutes", "ms")
    assert nearest("log.retention") == tuple(f"log.retention.{unit}" for unit in units)
    assert meant(nearest("log.roll")) == "did you mean log.roll.hours or log.roll.ms?"
    assert meant(()) == ""


@pytest.mark.parametrize(
    "name",
    [
        # Another word is another meaning.
        *("advertised.host", "fetch.min.bytes", "log.retention.days", "message.max.size"),
        *("tls.client.auth", "zookeeper.quorum", "min.isr", "data.dir", "create.topics"),
        *("sasl.protocol", "zookeeper.connect.timeout.ms"),
        # Of clients, well written or not.
        *("bootstrap.server", "boostrap.servers", "group.ids", "partiton.assignment.strategy"),
        # Of other software, and of applications that have their variables beside these.
        *("kafkastore.bootstrap.servers", "schema.registry.url", "offset.storage.topic"),
        *("dataDir", "clientPort", "clusters.0.bootstrapservers", "port.9092.tcp.addr"),
        *("broker", "brokers", "broker.list", "topic", "host", "password", "sasl.username"),
        *("service.port", "ssl.keystore.filename", "kraft.cluster.id", "my.setting", "x", ""),
    ],
)
def test_nothing_is_better_than_what_was_not_meant(name: str) -> None:
    assert nearest(name) == ()


@pytest.mark.parametrize("name", sorted(CLIENT_KEYS))
def test_a_key_of_clients_is_no_mistake_for_one_of_brokers(name: str) -> None:
    assert nearest(name) == ()
    assert name not in BROKER_KEYS
