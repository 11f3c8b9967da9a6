"""Settings in environment variables, as the container images take them.

KAFKA_LOG_RETENTION_MS is log.retention.ms: `_` stands for a dot, `__` for an underscore and `___`
for a dash (KafkaDockerWrapper). KAFKA_CFG_, the prefix of another image, is KAFKA_.
CLUSTER_ID is the cluster's id where the data directory is new.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .errors import ConfigError
from .names import is_known, is_of_plugin, nearest, shown_value
from .properties import parse_properties

if TYPE_CHECKING:
    from collections.abc import Mapping

CLUSTER_ID = "CLUSTER_ID"
_PREFIX = "KAFKA_"
_OTHER_PREFIX = "KAFKA_CFG_"
# What the images' scripts, JVMs and clients read, and no broker.
_NOT_KEYS = (
    *("KAFKA_BOOTSTRAP_SERVERS", "KAFKA_CLUSTER_ID", "KAFKA_DEBUG", "KAFKA_GC_LOG_OPTS"),
    *("KAFKA_HEAP_OPTS", "KAFKA_HOME", "KAFKA_JVM_PERFORMANCE_OPTS", "KAFKA_OPTS", "KAFKA_VERSION"),
)
_NOT_KEYS_PREFIXES = ("KAFKA_JMX_", "KAFKA_LOG4J_", "KAFKA_TOOLS_LOG4J_")


class Environment(NamedTuple):
    """What the variables say."""

    settings: dict[str, str]
    variables: dict[str, str]  # by key, the name of the variable it came from
    ignored: tuple[str, ...]  # variables that are like settings, and name no key


def read_environment(environment: Mapping[str, str]) -> Environment:
    """ConfigError for a variable whose key no Kafka knows, and which looks like one that is."""
    settings: dict[str, str] = {}
    variables: dict[str, str] = {}
    ignored: list[str] = []
    for variable, text in sorted(environment.items()):
        if not variable.startswith(_PREFIX) or variable in _NOT_KEYS:
            continue
        if variable.startswith(_NOT_KEYS_PREFIXES):
            continue
        key = _key(variable)
        near = None if is_known(key) else nearest(key)
        if near is not None:
            raise ConfigError(
                f"{variable}={shown_value(key, text)}: no Kafka knows the key {key}; "
                f"did you mean {_variable(near)}?"
            )
        if is_known(key) or is_of_plugin(key):
            settings[key] = _value(text)
            variables[key] = variable
        else:
            ignored.append(variable)
    return Environment(settings, variables, tuple(ignored))


def _key(variable: str) -> str:
    prefix = _OTHER_PREFIX if variable.startswith(_OTHER_PREFIX) else _PREFIX
    name = variable.removeprefix(prefix).lower().replace("_", ".")
    return name.replace("...", "-").replace("..", "_")


def _variable(key: str) -> str:
    name = key.replace("_", "__").replace("-", "___").replace(".", "_")
    return _PREFIX + name.upper()


def _value(text: str) -> str:
    """As the image writes it into a properties file: with its escapes."""
    if "\n" in text or "\r" in text:
        return text
    return parse_properties("value=" + text)["value"]
