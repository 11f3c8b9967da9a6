"""Settings in environment variables, and values that stand in files and variables."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from kbroker.config import BrokerConfig, ConfigError
from kbroker.config.environment import read_environment
from kbroker.config.listeners import advertised_listeners, client_listeners
from kbroker.config.providers import resolve

if TYPE_CHECKING:
    from pathlib import Path

CLASSES = "org.apache.kafka.common.config.provider."


@pytest.mark.parametrize(
    ("variable", "text", "key", "value"),
    [
        ("KAFKA_LOG_RETENTION_MS", "5", "log.retention.ms", "5"),
        ("KAFKA_CFG_NODE_ID", "7", "node.id", "7"),
        ("KAFKA_ZOOKEEPER_CONNECT", "zk:2181", "zookeeper.connect", "zk:2181"),
        ("KAFKA_ZOOKEEPER_CLIENTCNXNSOCKET", "x", "zookeeper.clientCnxnSocket", "x"),
        ("KAFKA_CFG_ZOOKEEPER_CLIENTCNXNSOCKET", "x", "zookeeper.clientCnxnSocket", "x"),
        ("KAFKA_CONFLUENT_SUPPORT__ID", "x", "confluent.support_id", "x"),
        ("KAFKA_CONFLUENT_SUPPORT___ID", "x", "confluent.support-id", "x"),
        (
            "KAFKA_LISTENER_NAME_A___B_SSL_KEY_PASSWORD",
            "s",
            "listener.name.a-b.ssl.key.password",
            "s",
        ),
        ("KAFKA_SUPER_USERS", "User:a", "super.users", "User:a"),
        ("KAFKA_LOG_DIRS", "  /a\\u0020b ", "log.dirs", "/a b "),
        ("KAFKA_LOG_DIRS", "", "log.dirs", ""),
        ("KAFKA_HEAP_OPTS", "-Xmx1G", None, None),
        ("KAFKA_LOG4J_ROOT_LOGLEVEL", "WARN", None, None),
        ("KAFKA_JMX_PORT", "9999", None, None),
        ("KAFKA_BOOTSTRAP_SERVERS", "a:1", None, None),
        ("LOG_RETENTION_MS", "5", None, None),
        ("kafka_log_retention_ms", "5", None, None),
    ],
)
def test_variables(variable: str, text: str, key: str | None, value: str | None) -> None:
    found = read_environment({variable: text}).settings
    assert found == ({} if key is None else {key: value})


def test_what_came_from_where_is_told() -> None:
    found = read_environment({"KAFKA_NODE_ID": "1", "KAFKA_BROKERS": "a:1", "KAFKA_OPTS": ""})
    assert found.variables == {"node.id": "KAFKA_NODE_ID"}
    assert found.ignored == ("KAFKA_BROKERS",)


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        ("KAFKA_LISTENRS", "KAFKA_LISTENRS (did you mean KAFKA_LISTENERS?)"),
        ("KAFKA_CFG_LISTENRS", "KAFKA_CFG_LISTENRS (did you mean KAFKA_CFG_LISTENERS?)"),
        ("KAFKA_SSL_KEY_PASSWRD", "KAFKA_SSL_KEY_PASSWRD (did you mean KAFKA_SSL_KEY_PASSWORD?)"),
        (
            "KAFKA_LOG_RETENTION",
            "KAFKA_LOG_RETENTION (did you mean KAFKA_LOG_RETENTION_BYTES, "
            "KAFKA_LOG_RETENTION_HOURS, KAFKA_LOG_RETENTION_MINUTES or KAFKA_LOG_RETENTION_MS?)",
        ),
        ("KAFKA_GROUP_ID", "KAFKA_GROUP_ID"),
        ("KAFKA_CLUSTERS_0_BOOTSTRAPSERVERS", "KAFKA_CLUSTERS_0_BOOTSTRAPSERVERS"),
    ],
)
def test_a_variable_that_names_no_key_is_ignored_with_what_was_meant(
    variable: str, said: str
) -> None:
    found = read_environment({variable: "secret", "KAFKA_NODE_ID": "1"})
    assert found.ignored == (said,)
    assert found.settings == {"node.id": "1"}


MAP = "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"


@pytest.mark.parametrize(
    ("variables", "listeners"),
    [
        ({"KAFKA_ADVERTISED_LISTENERS": "PLAINTEXT://localhost:9092"}, "PLAINTEXT://0.0.0.0:9092"),
        (
            {"KAFKA_CFG_ADVERTISED_LISTENERS": "PLAINTEXT://kafka:19092"},
            "PLAINTEXT://0.0.0.0:19092",
        ),
        (
            {
                "KAFKA_ADVERTISED_LISTENERS": "PLAINTEXT://broker:29092,"
                "PLAINTEXT_HOST://localhost:9092",
                MAP: "PLAINTEXT:PLAINTEXT,PLAINTEXT_HOST:PLAINTEXT",
            },
            "PLAINTEXT://0.0.0.0:29092,PLAINTEXT_HOST://0.0.0.0:9092",
        ),
        (
            {
                "KAFKA_ADVERTISED_LISTENERS": "INTERNAL://kafka.svc.cluster.local:9093, "
                "EXTERNAL://203.0.113.7:9094",
                MAP: "INTERNAL:PLAINTEXT,EXTERNAL:PLAINTEXT",
                "KAFKA_INTER_BROKER_LISTENER_NAME": "INTERNAL",
            },
            "INTERNAL://0.0.0.0:9093,EXTERNAL://0.0.0.0:9094",
        ),
        ({"KAFKA_ADVERTISED_LISTENERS": "PLAINTEXT://[2001:db8::1]:9092"}, "PLAINTEXT://[::]:9092"),
        ({"KAFKA_ADVERTISED_LISTENERS": "PLAINTEXT://:9092"}, "PLAINTEXT://0.0.0.0:9092"),
        (
            {"KAFKA_ADVERTISED_LISTENERS": "PLAINTEXT://a:1", "KAFKA_LISTENERS": ""},
            "PLAINTEXT://0.0.0.0:1",
        ),
        (
            {
                "KAFKA_ADVERTISED_LISTENERS": "PLAINTEXT://a:1",
                "KAFKA_LISTENERS": "PLAINTEXT://127.0.0.1:2",
            },
            None,
        ),
        ({"KAFKA_ADVERTISED_LISTENERS": ""}, None),
        ({"KAFKA_ADVERTISED_LISTENERS": "localhost:9092"}, None),
        ({"KAFKA_NODE_ID": "1"}, None),
    ],
)
def test_listeners_are_derived_from_what_is_advertised(
    variables: dict[str, str], listeners: str | None
) -> None:
    """As the scripts of the images do before they start Kafka."""
    found = read_environment(variables)
    assert found.listeners == listeners
    if listeners is None:
        return
    assert "listeners" not in found.settings
    config = BrokerConfig({**found.settings, "listeners": listeners})
    advertised = advertised_listeners(config)
    assert [each.name for each in client_listeners(config)] == list(advertised)
    for each in client_listeners(config):
        assert advertised[each.name].port == each.port


def test_variables_are_replaced(tmp_path: Path) -> None:
    (tmp_path / "values").write_text("parts=3")
    settings = {
        "config.providers": "f,e",
        "config.providers.f.class": CLASSES + "FileConfigProvider",
        "config.providers.e.class": CLASSES + "EnvVarConfigProvider",
        "num.partitions": f"${{f:{tmp_path}/values:parts}}",
        "broker.rack": "${e:RACK}-${e:NONE}",
    }
    found = resolve(settings, {"RACK": "r1"})
    assert found["num.partitions"] == "3"
    assert found["broker.rack"] == "r1-${e:NONE}"


def test_without_providers_a_variable_is_text() -> None:
    assert resolve({"broker.rack": "${env:HOME}"}, {"HOME": "/"}) == {"broker.rack": "${env:HOME}"}


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            {"config.providers": "v", "config.providers.v.class": "com.acme.Vault"},
            "Invalid value com.acme.Vault for configuration config.providers.v.class",
        ),
        (
            {
                "config.providers": "f",
                "config.providers.f.class": CLASSES + "FileConfigProvider",
                "broker.rack": "${f:/no/such/file:a}",
            },
            "Cannot read /no/such/file",
        ),
        (
            {
                "config.providers": "e",
                "config.providers.e.class": CLASSES + "EnvVarConfigProvider",
                "broker.rack": "${e:path:a}",
            },
            "Path is not supported for EnvVarConfigProvider, invalid value 'path'",
        ),
    ],
)
def test_a_provider_that_cannot_be_is_named(settings: dict[str, str], sentence: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        resolve(settings, {})
