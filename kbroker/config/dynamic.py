"""The configuration in effect: dynamic values of the metadata image over the broker's own.

When metadata records are applied, `apply` is called with the resources whose values they changed.
So no request has to look up, parse or compare anything.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from kbroker.wire.codes import CLUSTER_DEFAULT, ResourceType

from .client_metrics import CLIENT_METRICS_KEYS
from .errors import ConfigError
from .topic import TOPIC_KEYS, GroupConfig, TopicConfig, group_keys, topic_keys
from .values import text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from .broker import BrokerConfig
    from .key import Key
    from .values import Value

logger = logging.getLogger(__name__)

# Exists only as a dynamic value, as other throttles do, and is read by whoever moves partitions
# between log directories.
MOVE_RATE = "replica.alter.log.dirs.io.max.bytes.per.second"

_NOTHING: Mapping[str, str] = {}
# The broker keys that give topics their defaults.
_TOPIC_DEFAULTS = frozenset(s.name for key in TOPIC_KEYS.values() for s in key.synonyms)

_KINDS: Mapping[int, str] = {kind: kind.name.lower().replace("_", " ") for kind in ResourceType}


class DynamicConfigs:
    """Effective topic, group and broker configuration of one broker.

    `values` is the image's `configs`: (resource type code, resource name) to keys and values, live.
    """

    def __init__(
        self,
        broker: BrokerConfig,
        values: Mapping[tuple[int, str], Mapping[str, str]] = {},
    ) -> None:
        self.broker = broker
        self._values = values
        # With the image's own values, whose identity tells a topic from a later one of its name.
        self._topics: dict[str, tuple[Mapping[str, str], TopicConfig]] = {}
        self._topic_default = TopicConfig(_NOTHING, broker)
        self._topic_listeners: list[Callable[[str | None], None]] = []
        self._broker_listeners: list[Callable[[frozenset[str]], None]] = []
        self._told: set[tuple[int, str]] = set()
        self._update_broker()
        for resource_type, name in values:
            self._tell_without_effect(resource_type, name)

    def overrides(self, resource_type: int, name: str) -> Mapping[str, str]:
        """The dynamic values of one resource; empty where it has none."""
        return self._values.get((resource_type, name), _NOTHING)

    def topic(self, name: str) -> TopicConfig:
        """The topic's configuration: one object until it changes, shared where nothing is set."""
        overrides = self._values.get((ResourceType.TOPIC, name))
        if not overrides:
            self._topics.pop(name, None)
            return self._topic_default
        known = self._topics.get(name)
        if known is not None and known[0] is overrides:
            return known[1]
        config = TopicConfig(dict(overrides), self.broker)
        self._topics[name] = overrides, config
        return config

    def group(self, group_id: str) -> GroupConfig:
        """The group's configuration, made anew on each call."""
        return GroupConfig(self.overrides(ResourceType.GROUP, group_id), self.broker)

    def on_topic_change(self, listener: Callable[[str | None], None]) -> None:
        """`listener(topic)` after a topic's configuration changed; None: after any may have."""
        self._topic_listeners.append(listener)

    def on_broker_change(self, listener: Callable[[frozenset[str]], None]) -> None:
        """`listener(keys)` after broker keys took new values."""
        self._broker_listeners.append(listener)

    def apply(self, resources: Iterable[tuple[int, str]]) -> None:
        """The image's values of these resources (type code, name) have changed."""
        for resource_type, name in resources:
            self.changed(resource_type, name)

    def changed(self, resource_type: int, name: str) -> None:
        """The image's values of a resource have changed (or its topic is gone)."""
        self._tell_without_effect(resource_type, name)
        if resource_type == ResourceType.TOPIC:
            self._topics.pop(name, None)
            self._tell_topics(name)
        elif resource_type == ResourceType.BROKER and name in (CLUSTER_DEFAULT, self._node):
            changed = self._update_broker()
            if changed & _TOPIC_DEFAULTS or "producer.id.expiration.ms" in changed:
                self._topics.clear()
                self._topic_default = TopicConfig(_NOTHING, self.broker)
                self._tell_topics(None)
            if changed:
                for listener in self._broker_listeners:
                    listener(changed)

    @property
    def _node(self) -> str:
        return str(self.broker.node_id)

    def _update_broker(self) -> frozenset[str]:
        defaults = dict(self.overrides(ResourceType.BROKER, CLUSTER_DEFAULT))
        own = dict(self.overrides(ResourceType.BROKER, self._node))
        try:
            return self.broker.update_dynamic(defaults, own)
        except ConfigError as error:
            # Another version of Kafka may have stored what this one refuses: serve as before.
            logger.error("Dynamic broker configuration is not applied: %s", error)
            return frozenset()

    def _tell_without_effect(self, resource_type: int, name: str) -> None:
        """Warn of keys that are set and change nothing here, of each key of a type once."""
        found = []
        for key_name, text in self.overrides(resource_type, name).items():
            key = self._find(resource_type, key_name)
            is_idle = key is None or (not key.has_effect and text != text_of(key.default))
            if key_name == MOVE_RATE:
                is_idle = False
            if is_idle and (resource_type, key_name) not in self._told:
                self._told.add((resource_type, key_name))
                found.append(key_name)
        if found:
            where, keys = _resource_text(resource_type, name), ", ".join(sorted(found))
            logger.warning("these keys have no effect (first set on %s): %s", where, keys)

    def _find(self, resource_type: int, name: str) -> Key[Value] | None:
        match resource_type:
            case ResourceType.TOPIC:
                return topic_keys(self.broker.release).get(name)
            case ResourceType.GROUP:
                return group_keys(self.broker.release).get(name)
            case ResourceType.CLIENT_METRICS:
                return CLIENT_METRICS_KEYS.get(name)
            case ResourceType.BROKER:
                return self.broker.find_key(name)
            case _:
                return None

    def _tell_topics(self, name: str | None) -> None:
        for listener in self._topic_listeners:
            listener(name)


def _resource_text(resource_type: int, name: str) -> str:
    if (resource_type, name) == (ResourceType.BROKER, CLUSTER_DEFAULT):
        return "all brokers"
    if resource_type not in _KINDS:
        return f"resource {name} of type {resource_type}"
    return f"{_KINDS[resource_type]} {name}"
