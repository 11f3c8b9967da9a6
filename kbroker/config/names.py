"""Names of keys that this broker does not know: of older Kafkas, of plugins, or mistakes.

A mistake ends the start, because otherwise a setting would have no effect and nobody would notice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbroker.config.keys.client import CLIENT_KEYS
from kbroker.config.keys.former import FORMER_KEYS

from .broker import BROKER_KEYS, is_broker_key
from .errors import invalid_value
from .keys.quotas import QUOTA_KEYS
from .likeness import meant, nearest
from .listeners import controller_listeners

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .broker import BrokerConfig

# Keys that Kafka's own plugins, and those that are met most, read from a broker's configuration.
_PLUGIN_KEYS = ("super.users", "allow.everyone.if.no.acl.found")
_PLUGIN_PREFIXES = (
    *("config.providers.", "rsm.config.", "rlmm.config.", "listener.name."),
    *("confluent.", "cruise.control.", "strimzi.", "kafka.", "metrics.jmx.", "com.", "io.", "org."),
)
# Where one of these names a class, unknown keys may be that class's.
_PLUGIN_CLASSES = (
    *("alter.config.policy.class.name", "client.quota.callback.class", "config.providers"),
    *("create.topic.policy.class.name", "kafka.metrics.reporters", "metric.reporters"),
    *("principal.builder.class", "replica.selector.class", "security.providers"),
    *("remote.log.storage.manager.class.name", "remote.log.metadata.manager.class.name"),
    *("ssl.engine.factory.class",),
)
_SECRETS = ("password", "secret", "jaas", "token", "credential", "key")


def is_known(name: str) -> bool:
    """Whether some Kafka, or a plugin that comes with it, knows the key."""
    return is_broker_key(name) or name in FORMER_KEYS or name in QUOTA_KEYS or name in _PLUGIN_KEYS


def is_of_plugin(name: str) -> bool:
    """Whether the key's prefix says that it is a plugin's."""
    return name.startswith(_PLUGIN_PREFIXES)


def _shown_value(name: str, text: str) -> str:
    """The value of an unknown key, for a message: it may be a secret."""
    return "[hidden]" if any(part in name for part in _SECRETS) else text


def check_names(config: BrokerConfig) -> None:
    """ConfigError for a key that is a mistake, with its value and the key that it is most like."""
    has_plugins = any(config.value(name) != BROKER_KEYS[name].default for name in _PLUGIN_CLASSES)
    for name, text in config.static.items():
        if is_known(name):
            continue
        near = nearest(name)
        if not near and (has_plugins or is_of_plugin(name)):
            continue
        if name in CLIENT_KEYS:
            why = "this key is for clients, and no broker uses it"
        else:
            why = "; ".join(filter(None, ("no Kafka has this key", meant(near))))
        raise invalid_value(name, _shown_value(name, text), why)


def notice(config: BrokerConfig) -> str | None:
    """What is set and changes nothing here, in one sentence; None: nothing is."""
    parts = [f"{what}: {', '.join(sorted(names))}" for what, names in _ignored(config) if names]
    return f"these settings have no effect: {'; '.join(parts)}" if parts else None


def _ignored(config: BrokerConfig) -> Iterator[tuple[str, list[str]]]:
    unknown = config.unknown
    yield "keys that kbroker does not use", list(config.without_effect)
    yield "keys of older Kafka releases", [name for name in unknown if name in FORMER_KEYS]
    later = [name for name in unknown if is_broker_key(name)]
    yield f"keys of Kafka releases after {config.release.name}", later
    others = [name for name in unknown if name not in FORMER_KEYS and not is_broker_key(name)]
    yield "keys of plugins", others
    yield (
        "listeners that are not opened, because the controller is in this process",
        list(controller_listeners(config)),
    )
