"""Settings in environment variables, in the forms that the container images accept.

KAFKA_LOG_RETENTION_MS is log.retention.ms: `_` stands for a dot, `__` for an underscore and `___`
for a dash (KafkaDockerWrapper). The prefix KAFKA_CFG_, of another image, means the same as KAFKA_.
CLUSTER_ID is the cluster id for a new data directory.

If only KAFKA_ADVERTISED_LISTENERS is set, `listeners` is derived from it, as the images do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kbroker.config.keys.former import FORMER_KEYS

from .likeness import meant, nearest
from .names import is_known, is_of_plugin
from .properties import parse_properties

if TYPE_CHECKING:
    from collections.abc import Mapping

CLUSTER_ID = "CLUSTER_ID"
_PREFIX = "KAFKA_"
_EVERY_IPV4, _EVERY_IPV6 = "0.0.0.0", "[::]"  # the latter is both
_OTHER_PREFIX = "KAFKA_CFG_"
# What the images' scripts, JVMs and clients read, and no broker.
_NOT_KEYS = (
    *("KAFKA_BOOTSTRAP_SERVERS", "KAFKA_CLUSTER_ID", "KAFKA_DEBUG", "KAFKA_GC_LOG_OPTS"),
    *("KAFKA_HEAP_OPTS", "KAFKA_HOME", "KAFKA_JVM_PERFORMANCE_OPTS", "KAFKA_OPTS", "KAFKA_VERSION"),
)
_CAPITALS = {key.lower(): key for key in FORMER_KEYS if key != key.lower()}
_NOT_KEYS_PREFIXES = ("KAFKA_JMX_", "KAFKA_LOG4J_", "KAFKA_TOOLS_LOG4J_")


class Environment(NamedTuple):
    """What the variables say."""

    settings: dict[str, str]
    variables: dict[str, str]  # by key, the name of the variable it came from
    listeners: str | None  # derived, where `listeners` is not set and what is advertised is
    ignored: tuple[str, ...]  # variables that are like settings, and name no key; what was meant


def read_environment(environment: Mapping[str, str]) -> Environment:
    """A variable whose key no Kafka knows is no error: it may be an application's, whose container
    has them all. ConfigError for a value that is no text of a properties file.
    """
    settings: dict[str, str] = {}
    variables: dict[str, str] = {}
    ignored: list[str] = []
    for variable, text in sorted(environment.items()):
        if not variable.startswith(_PREFIX) or variable in _NOT_KEYS:
            continue
        if variable.startswith(_NOT_KEYS_PREFIXES):
            continue
        prefix = _OTHER_PREFIX if variable.startswith(_OTHER_PREFIX) else _PREFIX
        key = _key(variable.removeprefix(prefix))
        if is_known(key) or is_of_plugin(key):
            settings[key] = _value(text)
            variables[key] = variable
            continue
        question = meant(tuple(prefix + _variable(near) for near in nearest(key)))
        ignored.append(f"{variable} ({question})" if question else variable)
    listeners = None
    if not settings.get("listeners", "").strip():
        listeners = derived_listeners(settings.get("advertised.listeners", ""))
        if listeners is not None:
            settings.pop("listeners", None)
            variables.pop("listeners", None)
    return Environment(settings, variables, listeners, tuple(ignored))


def derived_listeners(advertised: str) -> str | None:
    """The names and ports of what is advertised, on every interface: its hosts need not be ours.

    None where that is no list of listeners.
    """
    derived = []
    for entry in filter(None, (part.strip() for part in advertised.split(","))):
        name, separator, address = entry.partition("://")
        host, colon, port = address.rpartition(":")
        if not (separator and colon):
            return None
        derived.append(f"{name}://{_EVERY_IPV6 if host.startswith('[') else _EVERY_IPV4}:{port}")
    return ",".join(derived) or None


def _key(name: str) -> str:
    key = name.lower().replace("_", ".").replace("...", "-").replace("..", "_")
    return _CAPITALS.get(key, key)


def _variable(key: str) -> str:
    return key.replace("_", "__").replace("-", "___").replace(".", "_").upper()


def _value(text: str) -> str:
    """As the image writes it into a properties file: with its escapes."""
    if "\n" in text or "\r" in text:
        return text
    return parse_properties("value=" + text)["value"]
