"""A broker's configuration: the properties file, and dynamic values that override it.

`BrokerConfig` is live: after `update_dynamic`, its attributes have the new values. Code that reads
an attribute for each decision therefore follows dynamic changes. Precedence as in Kafka's
DynamicBrokerConfig: this broker's dynamic values, the cluster's dynamic defaults, the properties
file, the default.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, cast

from kbroker.config.keys.controller import ControllerKeys
from kbroker.config.keys.coordinator import CoordinatorKeys
from kbroker.config.keys.log import LogKeys
from kbroker.config.keys.remote import RemoteKeys
from kbroker.config.keys.security import SecurityKeys
from kbroker.config.keys.server import ServerKeys
from kbroker.releases.release import DEFAULT

from .checks import check_broker
from .errors import ConfigError
from .key import READ_ONLY, Key, T, keys_of, known_keys
from .values import Value, java_integer, text_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kbroker.releases.release import Release

# What Kafka requires to be set. Here they have defaults, which count as set in the properties file.
_REQUIRED = ("node.id", "process.roles", "controller.listener.names")

_LISTENER_PREFIX = "listener.name."
# Keys that carry a SASL mechanism between the listener prefix and their name.
_MECHANISM_KEYS = (
    "sasl.jaas.config",
    "sasl.login.callback.handler.class",
    "sasl.login.class",
    "sasl.server.callback.handler.class",
    "connections.max.reauth.ms",
)


class BrokerConfig(ServerKeys, ControllerKeys, LogKeys, CoordinatorKeys, SecurityKeys, RemoteKeys):
    """Typed values of every broker key; the constructor raises ConfigError."""

    def __init__(
        self, settings: Mapping[str, str] | None = None, *, release: Release | None = None
    ) -> None:
        """`release`: which release of Apache Kafka the broker answers as; None: `DEFAULT`."""
        static = dict(settings or {})
        self.release = release or DEFAULT
        self.keys = broker_keys(self.release)
        for name, synonym in (("node.id", "broker.id"), ("broker.id", "node.id")):
            if name not in static and synonym in static:
                static[name] = static[synonym]
        for name in _REQUIRED:
            static.setdefault(name, text_of(BROKER_KEYS[name].default) or "")
        static.setdefault("broker.id", static["node.id"])
        self.static = static  # the properties file, completed
        self.dynamic_defaults: Mapping[str, str] = {}
        self.dynamic: Mapping[str, str] = {}
        self.updates = 0  # how often dynamic values were taken over
        self._texts = static
        self._values = self._parse_all(static)
        self.check()

    def resolve(self, key: Key[T]) -> T:
        return cast("T", self._values.get(key.name, key.default))

    def value(self, name: str) -> Value:
        """The value of a key by Kafka's name."""
        return self.resolve(BROKER_KEYS[name])

    def for_listener(self, listener: str, key: Key[T]) -> T:
        """The key's value for one listener: its own, `listener.name.NAME.KEY`, or everybody's."""
        own = f"{_LISTENER_PREFIX}{listener.lower()}.{key.name}"
        return cast("T", self._values[own]) if own in self._values else self.resolve(key)

    def text(self, name: str) -> str | None:
        """What a key, known or not, is set to; None where it is not."""
        return self._texts.get(name)

    @staticmethod
    def is_required(name: str) -> bool:
        """Whether Kafka has no default for the key."""
        return name in _REQUIRED

    @property
    def set_names(self) -> tuple[str, ...]:
        """Every key that is set, statically or dynamically, known or not."""
        return tuple(self._texts)

    @property
    def unknown(self) -> tuple[str, ...]:
        """Keys of the properties file that the release does not know."""
        return tuple(name for name in self.static if self.find_key(name) is None)

    @property
    def without_effect(self) -> tuple[str, ...]:
        """Keys of the properties file that Kafka knows and that change nothing here."""
        return tuple(
            name
            for name, text in self.static.items()
            if (key := self.find_key(name)) is not None
            and not key.has_effect
            and self._values.get(name, text) != key.default
        )

    def update_dynamic(self, defaults: Mapping[str, str], own: Mapping[str, str]) -> frozenset[str]:
        """Take over the dynamic values; the names of the keys whose values changed, those of single
        listeners among them.

        An invalid value, which no controller stores, raises ConfigError and changes nothing.
        """
        texts = dict(self.static)
        for layer in (defaults, own):
            for name in layer:
                # A dynamic value wins over the static values of its synonyms too.
                for synonym in self.synonyms(name, match_listener=False):
                    texts.pop(synonym, None)
            texts.update(layer)
        values = self._parse_all(texts)
        changed = frozenset(
            name
            for name in values.keys() | self._values.keys()
            if values.get(name, _NOT_SET) != self._values.get(name, _NOT_SET)
        )
        self._texts, self._values = texts, values
        self.dynamic_defaults, self.dynamic = defaults, own
        self.updates += 1
        for name in changed:
            if name in BROKER_KEYS:
                self.__dict__.pop(BROKER_KEYS[name].attribute, None)
        return changed

    def find_key(self, name: str) -> Key[Value] | None:
        """The key that gives `name` its type: itself, or what a listener's key stands for."""
        key = self.keys.get(name)
        if key is None and name.startswith(_LISTENER_PREFIX):
            key = self.keys.get(_base_name(name))
        return key

    def synonyms(self, name: str, *, match_listener: bool = True) -> tuple[str, ...]:
        """The keys that are read for `name`, best first.

        Source: DynamicBrokerConfig.brokerConfigSynonyms.
        """
        key = self.keys.get(name)
        if key is not None:
            return tuple(synonym.name for synonym in key.synonyms) or (name,)
        if match_listener and name.startswith(_LISTENER_PREFIX):
            return (name, _base_name(name))
        return (name,)

    def is_dynamic(self, name: str) -> bool:
        """Whether the key can be set while the broker runs."""
        key = self.keys.get(name)
        return key is not None and key.scope is not READ_ONLY

    def _parse_all(self, texts: Mapping[str, str]) -> dict[str, Value]:
        return {
            name: key.parse(text)
            for name, text in texts.items()
            if (key := self.find_key(name)) is not None
        }

    def check(self) -> None:
        """ConfigError for values that do not go together."""
        check_broker(self)
        _check_built(self)


BROKER_KEYS = keys_of(BrokerConfig)  # of all releases
_NOT_SET = object()


@cache
def broker_keys(release: Release) -> Mapping[str, Key[Value]]:
    """The broker keys that a release has."""
    return known_keys(BROKER_KEYS, release, "BROKER")


def is_broker_key(name: str) -> bool:
    """Whether any release has the key, be it for one listener."""
    return name in BROKER_KEYS or (
        name.startswith(_LISTENER_PREFIX) and _base_name(name) in BROKER_KEYS
    )


def _base_name(name: str) -> str:
    """The key that `listener.name.NAME.[MECHANISM.]KEY` sets for one listener."""
    _, _, base = name.removeprefix(_LISTENER_PREFIX).partition(".")
    return next((key for key in _MECHANISM_KEYS if base.endswith(key)), base)


def _check_built(config: BrokerConfig) -> None:
    """What this broker cannot do yet, and where going on without it would be a lie."""
    if set(config.process_roles) != {"broker", "controller"}:
        raise ConfigError(
            f"process.roles={','.join(config.process_roles)} is not supported yet: a node must "
            "be both broker and controller."
        )
    voters = {java_integer(voter.partition("@")[0]) for voter in config.controller_quorum_voters}
    if voters and voters != {config.node_id}:
        raise ConfigError(
            f"controller.quorum.voters={','.join(config.controller_quorum_voters)} is not "
            f"supported yet: node {config.node_id} must be the only voter."
        )
    if config.authorizer_class_name:
        raise ConfigError(
            f"authorizer.class.name={config.authorizer_class_name} is not supported yet. "
            "kbroker refuses to start rather than run without the security you asked for."
        )
