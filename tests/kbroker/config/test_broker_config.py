"""BrokerConfig: values, errors, what is unknown or without effect, dynamic updates."""

from __future__ import annotations

import pytest

from kbroker.config import BrokerConfig, ConfigError


def test_without_settings_every_key_has_its_default() -> None:
    config = BrokerConfig()
    assert config.num_partitions == 1
    assert config.node_id == 1
    assert config.process_roles == ("broker", "controller")
    assert config.log_retention_ms is None
    assert config.listeners == ("PLAINTEXT://:9092",)
    assert not config.unknown
    assert not config.without_effect


def test_settings_are_parsed() -> None:
    config = BrokerConfig({"num.partitions": "3", "log.cleaner.min.cleanable.ratio": "0.25"})
    assert config.num_partitions == 3
    assert config.log_cleaner_min_cleanable_ratio == 0.25


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            {"num.partitions": "0"},
            "Invalid value 0 for configuration num.partitions: Value must be at least 1",
        ),
        (
            {"listeners": ""},
            "Configuration 'listeners' must not be empty. "
            "Valid values include: any non-empty value",
        ),
        (
            {"process.roles": "king"},
            "Invalid value king for configuration process.roles: "
            "String must be one of: broker, controller",
        ),
        (
            {"compression.gzip.level": "0"},
            "Invalid value 0 for configuration compression.gzip.level: "
            "Value must be between 1 and 9 or equal to -1",
        ),
        (
            {"group.consumer.migration.policy": "x"},
            "Invalid value x for configuration group.consumer.migration.policy: String must be one "
            "of (case insensitive): DISABLED, DOWNGRADE, UPGRADE, BIDIRECTIONAL",
        ),
        (
            {"log.cleaner.min.cleanable.ratio": "2"},
            "Invalid value 2.0 for configuration log.cleaner.min.cleanable.ratio: "
            "Value must be no more than 1",
        ),
        (
            {"remote.log.storage.manager.class.name": ""},
            "Invalid value  for configuration remote.log.storage.manager.class.name: "
            "String must be non-empty",
        ),
        (
            {"controller.quorum.voters": "1@x"},
            "Failed to parse host name from entry 1@x for the configuration "
            "controller.quorum.voters. Each entry should be in the form `{id}@{host}:{port}`.",
        ),
        (
            {"controller.quorum.bootstrap.servers": "x"},
            "Failed to parse host name from x for the configuration "
            'controller.quorum.bootstrap.servers. Each entry should be in the form "{host}:{port}"',
        ),
        (
            {"node.id": "1", "broker.id": "2"},
            "You must set `node.id` to the same value as `broker.id`.",
        ),
        (
            {"log.retention.hours": "0"},
            "log.retention.ms must be unlimited (-1) or, greater than or equal to 1",
        ),
        ({"log.roll.ms": "0"}, "log.roll.ms must be greater than or equal to 1"),
        (
            {"process.roles": "broker"},
            "process.roles=broker is not supported yet: a node must be both broker and controller.",
        ),
        (
            {"controller.quorum.voters": "1@a:1,2@b:2"},
            "controller.quorum.voters=1@a:1,2@b:2 is not supported yet: node 1 must be "
            "the only voter.",
        ),
        (
            {"authorizer.class.name": "Foo"},
            "authorizer.class.name=Foo is not supported yet. "
            "kbroker refuses to start rather than run without the security you asked for.",
        ),
        (
            {"replica.fetch.wait.max.ms": "40000"},
            "replica.socket.timeout.ms should always be at least replica.fetch.wait.max.ms"
            " to prevent unnecessary socket timeouts",
        ),
        ({"offsets.topic.compression.codec": "5"}, "Unknown compression type id: 5"),
        (
            {"group.coordinator.rebalance.protocols": "consumer"},
            "Disabling the 'classic' protocol is not supported.",
        ),
        (
            {"group.consumer.max.session.timeout.ms": "5"},
            "group.consumer.max.session.timeout.ms must be greater than or equal to "
            "group.consumer.min.session.timeout.ms",
        ),
        (
            {"group.streams.num.standby.replicas": "3"},
            "group.streams.num.standby.replicas must be less than or equal to "
            "group.streams.max.standby.replicas",
        ),
        (
            {"group.share.max.share.sessions": "3"},
            "group.share.max.share.sessions must be greater than or equal to group.share.max.size",
        ),
        (
            {"max.connections.per.ip.overrides": "a"},
            "max.connections.per.ip.overrides contains invalid addresses : a",
        ),
        (
            {"max.connections.per.ip.overrides": "[::1]:5"},
            "max.connections.per.ip.overrides contains invalid addresses : [::1]",
        ),
        (
            {"connections.max.idle.ms": "100"},
            "connection.failed.authentication.delay.ms=100 should always be less than "
            "connections.max.idle.ms=100 to prevent failed authentication responses from timing "
            "out",
        ),
        (
            {"log.cleaner.threads": "128"},
            "log.cleaner.dedupe.buffer.size must be at least 1MB per cleaner thread.",
        ),
        (
            {"cordoned.log.dirs": "/a,/b", "log.dirs": "/a"},
            "All entries in cordoned.log.dirs must be present in log.dirs or log.dir. "
            "Missing entries : /b",
        ),
    ],
)
def test_a_setting_that_cannot_be_is_said_in_one_sentence(
    settings: dict[str, str], sentence: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        BrokerConfig(settings)
    assert str(raised.value) == sentence


def test_unknown_keys_are_named() -> None:
    config = BrokerConfig({"num.partitons": "3", "listener.name.x.ssl.key.password": "p"})
    assert config.unknown == ("num.partitons",)


def test_keys_that_change_nothing_here_are_named_unless_they_say_the_default() -> None:
    config = BrokerConfig({"num.io.threads": "3", "num.network.threads": "3"})
    assert config.without_effect == ("num.io.threads",)


@pytest.mark.parametrize("key", ["node.id", "broker.id"])
def test_node_id_and_broker_id_are_one(key: str) -> None:
    config = BrokerConfig({key: "7"})
    assert (config.node_id, config.broker_id) == (7, 7)


def test_this_brokers_dynamic_values_go_before_the_clusters_and_the_files() -> None:
    config = BrokerConfig({"log.segment.bytes": "2000000", "message.max.bytes": "100"})
    changed = config.update_dynamic(
        {"log.segment.bytes": "3000000", "message.max.bytes": "200"},
        {"log.segment.bytes": "4000000"},
    )
    assert changed == {"log.segment.bytes", "message.max.bytes"}
    assert config.log_segment_bytes == 4_000_000
    assert config.message_max_bytes == 200


def test_a_deleted_dynamic_value_gives_way_to_what_is_below() -> None:
    config = BrokerConfig({"message.max.bytes": "100"})
    config.update_dynamic({}, {"message.max.bytes": "300"})
    assert config.message_max_bytes == 300
    assert config.update_dynamic({}, {}) == {"message.max.bytes"}
    assert config.message_max_bytes == 100


def test_a_dynamic_value_wins_over_a_static_synonym_of_more_precedence() -> None:
    config = BrokerConfig({"log.flush.scheduler.interval.ms": "5", "log.roll.hours": "1"})
    config.update_dynamic({"log.roll.ms": "7"}, {})
    assert config.log_roll_ms == 7
    assert config.log_roll_hours == 168  # Kafka drops the static synonym
    assert config.log_flush_scheduler_interval_ms == 5


def test_an_invalid_dynamic_value_changes_nothing() -> None:
    config = BrokerConfig()
    with pytest.raises(ConfigError):
        config.update_dynamic({"message.max.bytes": "x"}, {})
    assert config.message_max_bytes == 1_048_588
    assert not config.dynamic_defaults


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"max.connections.per.ip.overrides": "a"}, "contains invalid addresses : a"),
        ({"max.connections.per.ip.overrides": "a!:1"}, "contains invalid addresses : a!"),
        ({"max.connections.per.ip.overrides": "a:b"}, "'b' for a is not a number of connections"),
        ({"max.connections.per.ip": "0"}, "can be set to zero only if"),
        ({"queued.max.request.bytes": "1000"}, "must be larger or equal to"),
        ({"listener.name.x.max.connections": "many"}, "Not a number of type INT"),
    ],
)
def test_limits_of_connections_are_checked_at_start(
    settings: dict[str, str], sentence: str
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        BrokerConfig(settings)


def test_a_listener_has_its_own_value_or_everybodys() -> None:
    config = BrokerConfig({"max.connections": "5", "listener.name.x.max.connections": "3"})
    assert config.for_listener("X", BrokerConfig.max_connections) == 3
    assert config.for_listener("Y", BrokerConfig.max_connections) == 5
    changed = config.update_dynamic({"listener.name.y.max.connections": "4"}, {})
    assert changed == {"listener.name.y.max.connections"}
    assert config.for_listener("Y", BrokerConfig.max_connections) == 4
