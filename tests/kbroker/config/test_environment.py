"""Settings in environment variables, and values that stand in files and variables."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from kbroker.config import ConfigError
from kbroker.config.environment import read_environment
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
        ("KAFKA_ZOOKEEPER_CLIENTCNXNSOCKET", "x", None, None),
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
    try:
        found = read_environment({variable: text}).settings
    except ConfigError:
        assert key is None
        return
    assert found == ({} if key is None else {key: value})


def test_what_came_from_where_is_told() -> None:
    found = read_environment({"KAFKA_NODE_ID": "1", "KAFKA_BROKERS": "a:1", "KAFKA_OPTS": ""})
    assert found.variables == {"node.id": "KAFKA_NODE_ID"}
    assert found.ignored == ("KAFKA_BROKERS",)


@pytest.mark.parametrize(
    ("variable", "sentence"),
    [
        (
            "KAFKA_LOG_RETENTION_MSS",
            "KAFKA_LOG_RETENTION_MSS=5: no Kafka knows the key log.retention.mss; "
            "did you mean KAFKA_LOG_RETENTION_MS?",
        ),
        (
            "KAFKA_SSL_KEY_PASSWRD",
            "KAFKA_SSL_KEY_PASSWRD=[hidden]: no Kafka knows the key ssl.key.passwrd; "
            "did you mean KAFKA_SSL_KEY_PASSWORD?",
        ),
    ],
)
def test_a_variable_that_is_nearly_a_key_is_an_error(variable: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        read_environment({variable: "5"})


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
