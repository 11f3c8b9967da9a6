"""Checks dynamic values before the controller stores them.

Rules and messages are those of ControllerConfigurationValidator, LogConfig.validate,
GroupConfig.validate, ClientMetricsConfigs.validate and DynamicBrokerConfig.validate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kbroker.controller.state.config_schema import EffectiveConfig
from kbroker.wire.codes import CLUSTER_DEFAULT, ResourceType
from kbroker.wire.errors import ErrorCode

from .broker import BrokerConfig
from .checks import check_update
from .client_metrics import (
    CLIENT_METRICS_KEYS,
    INTERVAL_MS_MAX,
    INTERVAL_MS_MIN,
    ClientMetricsConfig,
    match_patterns,
)
from .describe import ALL, describe_topic
from .errors import ConfigError
from .key import PER_BROKER, READ_ONLY, Key
from .topic import (
    GROUP_KEYS,
    TOPIC_KEYS,
    GroupConfig,
    TopicConfig,
    check_topic,
    group_keys,
    topic_keys,
)
from .values import ConfigType, Value, java_integer, text_of

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

# Kafka opens and closes listeners while it runs; here they are those of the start.
_FIXED_AT_START = ("listeners", "listener.security.protocol.map")
# What SslConfigs calls reconfigurable: a listener's stores, which the whole broker does not have.
_PER_LISTENER = (
    *("ssl.key.password", "ssl.keystore.certificate.chain", "ssl.keystore.key"),
    *("ssl.keystore.location", "ssl.keystore.password", "ssl.keystore.type"),
    *("ssl.truststore.certificates", "ssl.truststore.location", "ssl.truststore.password"),
    *("ssl.truststore.type",),
)


class ConfigProblem(NamedTuple):
    """Why values are refused."""

    error_code: ErrorCode
    message: str


class ConfigSchema:
    """Validates dynamic values against the keys and against the broker's own configuration."""

    def __init__(self, broker: BrokerConfig) -> None:
        self._broker = broker
        self._keys: Mapping[int, Mapping[str, Key[Value]]] = {
            ResourceType.TOPIC: topic_keys(broker.release),
            ResourceType.BROKER: broker.keys,
            ResourceType.GROUP: group_keys(broker.release),
            ResourceType.CLIENT_METRICS: CLIENT_METRICS_KEYS,
        }
        # What a topic has that sets nothing, in the order of names, and since which update of the
        # broker's values.
        self._plain_topic: dict[str, EffectiveConfig] = {}
        self._plain_topic_since = -1

    def is_list(self, resource_type: int, key: str) -> bool:
        """Whether APPEND and SUBTRACT work on the key."""
        found = self._keys.get(resource_type, {}).get(key)
        return found is not None and found.type is ConfigType.LIST

    def default_text(self, resource_type: int, key: str) -> str | None:
        """What the key has where nothing is set, as text: what APPEND and SUBTRACT start from."""
        found = self._keys.get(resource_type, {}).get(key)
        if resource_type == ResourceType.TOPIC and found is not None:
            return text_of(TopicConfig({}, self._broker).resolve(found))
        return None if found is None else text_of(found.default)

    def effective_topic(self, values: Mapping[str, str]) -> list[EffectiveConfig]:
        """All keys of a topic with these overrides, sorted by name.

        An override's text is as it was given, blanks and capitals and all (KafkaConfigSchema).
        """
        if self._plain_topic_since != self._broker.updates:
            self._plain_topic = self._effective({})
            self._plain_topic_since = self._broker.updates
        if not values:
            return list(self._plain_topic.values())
        return sorted((self._plain_topic | self._effective(values, values)).values())

    def _effective(
        self, values: Mapping[str, str], wanted: Container[str] | None = None
    ) -> dict[str, EffectiveConfig]:
        topic = TopicConfig(values, self._broker)
        return {
            each.name: EffectiveConfig(
                each.name,
                values.get(each.name, each.value),
                each.source,
                each.is_sensitive,
                each.is_read_only,
            )
            for each in sorted(describe_topic(topic, ALL if wanted is None else wanted))
        }

    def topic_value(self, values: Mapping[str, str], key: str) -> str:
        """The text of one key of a topic with these overrides."""
        return text_of(TopicConfig(values, self._broker).resolve(TOPIC_KEYS[key])) or ""

    def check(
        self, resource_type: int, resource_name: str, values: Mapping[str, str]
    ) -> ConfigProblem | None:
        """What is wrong with the values that a resource would have, all together; None: nothing."""
        try:
            match resource_type:
                case ResourceType.TOPIC:
                    return self._check_topic(values)
                case ResourceType.BROKER:
                    return self._check_broker(resource_name, values)
                case ResourceType.GROUP:
                    return self._check_group(resource_name, values)
                case ResourceType.CLIENT_METRICS:
                    return self._check_client_metrics(resource_name, values)
                case _:
                    return _invalid_request(f"Unknown resource type {resource_type}")
        except ConfigError as error:
            return ConfigProblem(ErrorCode.INVALID_CONFIG, str(error))

    def _check_topic(self, values: Mapping[str, str]) -> ConfigProblem | None:
        for name in values:
            if name not in self._keys[ResourceType.TOPIC]:
                raise ConfigError(f"Unknown topic config name: {name}")
        config = TopicConfig(values, self._broker)
        for name in values:
            config.resolve(TOPIC_KEYS[name])
        check_topic(config)
        if config.remote_storage_enable and not self._broker.remote_log_storage_system_enable:
            raise ConfigError(
                "Tiered Storage functionality is disabled in the broker. "
                "Topic cannot be configured with remote log storage."
            )
        return None

    def _check_broker(self, name: str, values: Mapping[str, str]) -> ConfigProblem | None:
        if name != CLUSTER_DEFAULT:
            node_id = java_integer(name)
            if node_id is None:
                return _invalid_request("Unable to parse broker name as a base 10 number.")
            if node_id < 0:
                return _invalid_request("Invalid negative broker ID.")
        keys = self._broker.keys
        known = [key for key in values if key in keys]
        fixed = [key for key in known if keys[key].scope is READ_ONLY]
        if fixed:
            return _not_dynamic(fixed)
        security = [key for key in known if key in _PER_LISTENER]
        if security:
            return _invalid_request(
                "These security configs can be dynamically updated only per-listener using the "
                f"listener prefix: [{', '.join(security)}]"
            )
        try:
            for key in known:
                if self._broker.release.behaviour.refuses_repeated_entries:
                    _check_repeated(keys[key], values[key])
                keys[key].parse(values[key])
            own = [key for key in known if keys[key].scope is PER_BROKER]
            if own and name == CLUSTER_DEFAULT:
                return _invalid_request(
                    "Cannot update these configs at default cluster level, broker id must be "
                    f"specified: [{', '.join(own)}]"
                )
            fixed = [key for key in known if key in _FIXED_AT_START]
            if fixed:
                return _not_dynamic(fixed)
            trial = BrokerConfig(self._broker.static, release=self._broker.release)
            if name == CLUSTER_DEFAULT:
                trial.update_dynamic(values, {})
            else:
                trial.update_dynamic(self._broker.dynamic_defaults, values)
            trial.check()
            check_update(trial, known)
        except ConfigError as error:
            return _invalid_request(str(error))
        return None

    def _check_group(self, name: str, values: Mapping[str, str]) -> ConfigProblem | None:
        if not name:
            return _invalid_request("Default group resources are not allowed.")
        for key in values:
            if key not in self._keys[ResourceType.GROUP]:
                raise ConfigError(f"Unknown group config name: {key}")
        config = GroupConfig(values, self._broker)
        for key in values:
            _check_group_bounds(self._broker, key, config.resolve(GROUP_KEYS[key]))
        _check_group_lists(config)
        for kind in ("consumer", "share", "streams"):
            session, heartbeat = f"{kind}.session.timeout.ms", f"{kind}.heartbeat.interval.ms"
            session_ms = config.resolve(GROUP_KEYS[session])
            heartbeat_ms = config.resolve(GROUP_KEYS[heartbeat])
            assert isinstance(session_ms, int)
            assert isinstance(heartbeat_ms, int)
            if session_ms <= heartbeat_ms:
                raise ConfigError(f"{session} must be greater than {heartbeat}")
        return None

    def _check_client_metrics(self, name: str, values: Mapping[str, str]) -> ConfigProblem | None:
        if not name:
            return _invalid_request("Subscription name can't be empty")
        for key in values:
            if key not in CLIENT_METRICS_KEYS:
                return _invalid_request(f"Unknown client metrics configuration: {key}")
        config = ClientMetricsConfig(values)
        for key in values:
            config.resolve(CLIENT_METRICS_KEYS[key])
        if not INTERVAL_MS_MIN <= config.interval_ms <= INTERVAL_MS_MAX:
            return _invalid_request(
                f"Invalid value {config.interval_ms} for interval.ms, interval must be between "
                f"{INTERVAL_MS_MIN} and {INTERVAL_MS_MAX} (1 hour)"
            )
        match_patterns(config)
        return None


def _check_group_bounds(broker: BrokerConfig, key: str, value: Value) -> None:
    """The broker's minimum and maximum for a group's key, where it has them."""
    kind, _, rest = key.partition(".")
    if rest in ("num.standby.replicas", "num.warmup.replicas"):
        rest = rest.removeprefix("num.")
    low, high = f"group.{kind}.min.{rest}", f"group.{kind}.max.{rest}"
    if not isinstance(value, int) or isinstance(value, bool):
        return
    minimum = broker.value(low) if low in broker.keys else None
    maximum = broker.value(high) if high in broker.keys else None
    is_low = isinstance(minimum, int) and value < minimum
    is_high = isinstance(maximum, int) and value > maximum
    if not is_low and not is_high:
        return
    if not broker.release.behaviour.shows_bounds_of_group_keys:
        relation, bound = ("greater", low) if is_low else ("less", high)
        raise ConfigError(f"{key} must be {relation} than or equal to {bound}")
    if minimum is None or maximum is None:
        relation, limit = ("greater", minimum) if is_low else ("less", maximum)
        raise ConfigError(f"{key} must be {relation} than or equal to {limit}")
    raise ConfigError(f"{key} must be in the range {minimum} to {maximum} inclusive.")


def _check_group_lists(config: GroupConfig) -> None:
    """Names that a group may not have in keys of Kafka 4.4. Source: GroupConfig.validate."""
    if config.errors_deadletterqueue_topic_name.startswith("__"):
        raise ConfigError(
            "errors.deadletterqueue.topic.name: DLQ topic name must not start with '__'"
        )
    name, known = config.streams_assignor_name, config.broker.group_streams_assignors
    if "streams.assignor.name" in config.overrides and name not in known:
        raise ConfigError(
            f"streams.assignor.name '{name}' is not a registered task assignor. "
            f"Registered assignors are: [{', '.join(known)}]."
        )
    tags = config.overrides.get("streams.rack.aware.assignment.tags", "")
    if _has_repeated(tags):
        raise ConfigError("streams.rack.aware.assignment.tags must not contain duplicate tag keys.")


def _check_repeated(key: Key[Value], text: str) -> None:
    if key.type is ConfigType.LIST and _has_repeated(text):
        raise ConfigError(f"Configuration '{key.name}' values must not be duplicated.")


def _has_repeated(text: str) -> bool:
    entries = [each.strip() for each in text.split(",")]
    return len(set(entries)) < len(entries)


def _not_dynamic(keys: list[str]) -> ConfigProblem:
    return _invalid_request(f"Cannot update these configs dynamically: [{', '.join(keys)}]")


def _invalid_request(message: str) -> ConfigProblem:
    return ConfigProblem(ErrorCode.INVALID_REQUEST, message)
