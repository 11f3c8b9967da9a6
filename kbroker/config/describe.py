"""Every key of a resource with its value, the source of the value, and its synonyms.

The order is that of Kafka's ConfigHelper: the resource's own value, this broker's dynamic values,
the cluster's, the properties file, the default. The first that is set is the source.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kbroker.wire.codes import ConfigSource

from .client_metrics import CLIENT_METRICS_KEYS, ClientMetricsConfig
from .keys.quotas import QUOTA_KEYS
from .topic import group_keys, topic_keys
from .values import ConfigType, text_of

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from .broker import BrokerConfig
    from .topic import GroupConfig, TopicConfig


class SynonymValue(NamedTuple):
    """One place where a value is set; None for a sensitive one."""

    name: str
    value: str | None
    source: ConfigSource


class DescribedConfig(NamedTuple):
    """One key as DescribeConfigs shows it; `value` is None where it is sensitive or not set."""

    name: str
    value: str | None
    source: ConfigSource
    type: ConfigType
    is_sensitive: bool
    is_read_only: bool
    synonyms: list[SynonymValue]
    doc: str


class _All:
    def __contains__(self, name: object) -> bool:
        return True


ALL: Container[str] = _All()


def describe_topic(topic: TopicConfig, wanted: Container[str] = ALL) -> Iterator[DescribedConfig]:
    """A topic's keys; internal ones only where they are set."""
    for name, key in topic_keys(topic.broker.release).items():
        if name not in wanted or (key.internal and name not in topic.overrides):
            continue
        value = text_of(topic.resolve(key))
        synonyms = (
            _broker_synonyms(topic.broker, key.synonyms[0].name, False) if key.synonyms else []
        )
        if name in topic.overrides:
            synonyms.insert(0, SynonymValue(name, value, ConfigSource.DYNAMIC_TOPIC_CONFIG))
        yield _described(name, value, key.type, synonyms, key.doc)


def describe_group(group: GroupConfig, wanted: Container[str] = ALL) -> Iterator[DescribedConfig]:
    """A group's keys."""
    for name, key in group_keys(group.broker.release).items():
        if name not in wanted:
            continue
        value = text_of(group.resolve(key))
        if key.synonyms:
            synonyms = _broker_synonyms(group.broker, key.synonyms[0].name, False)
        else:
            default = text_of(key.default)
            synonyms = [SynonymValue(name, default, ConfigSource.DEFAULT_CONFIG)]
        if name in group.overrides:
            synonyms.insert(0, SynonymValue(name, value, ConfigSource.DYNAMIC_GROUP_CONFIG))
        yield _described(name, value, key.type, synonyms, key.doc)


def describe_client_metrics(
    subscription: ClientMetricsConfig, wanted: Container[str] = ALL
) -> Iterator[DescribedConfig]:
    """A subscription's keys."""
    for name, key in CLIENT_METRICS_KEYS.items():
        if name not in wanted:
            continue
        value = text_of(subscription.resolve(key))
        own = SynonymValue(name, value, ConfigSource.DYNAMIC_CLIENT_METRICS_CONFIG)
        synonyms = [own] if name in subscription.overrides else []
        yield _described(name, value, key.type, synonyms, key.doc)


def describe_broker(
    config: BrokerConfig, wanted: Container[str] = ALL
) -> Iterator[DescribedConfig]:
    """This broker's keys: every public one, and whatever else is set."""
    names = {name: None for name, key in config.keys.items() if not key.internal}
    names.update(dict.fromkeys(config.set_names))
    for name in names:
        if name in wanted:
            yield _describe_broker_key(config, name)


def describe_cluster_default(
    config: BrokerConfig, wanted: Container[str] = ALL
) -> Iterator[DescribedConfig]:
    """The dynamic values that count for every broker."""
    for name in config.dynamic_defaults:
        if name in wanted:
            described = _describe_broker_key(config, name)
            source = ConfigSource.DYNAMIC_DEFAULT_BROKER_CONFIG
            synonyms = [s for s in described.synonyms if s.source == source]
            value = None if described.is_sensitive else config.dynamic_defaults[name]
            yield described._replace(value=value, source=source, synonyms=synonyms)


def _describe_broker_key(config: BrokerConfig, name: str) -> DescribedConfig:
    key = config.find_key(name)
    if key is not None:
        config_type = key.type
    else:
        config_type = ConfigType.LONG if name in QUOTA_KEYS else ConfigType.UNKNOWN
    # What cannot be told to be harmless is kept back, as Kafka does.
    sensitive = config_type in (ConfigType.PASSWORD, ConfigType.UNKNOWN)
    if sensitive:
        value = None
    elif name in config.keys:
        value = text_of(config.value(name))
    else:
        value = config.text(name)
    synonyms = _broker_synonyms(config, name, sensitive)
    return _described(
        name,
        value,
        config_type,
        synonyms,
        "" if key is None else key.doc,
        is_sensitive=sensitive,
        is_read_only=not (config.is_dynamic(name) or name in QUOTA_KEYS),
    )


def _broker_synonyms(config: BrokerConfig, name: str, sensitive: bool) -> list[SynonymValue]:
    """Where the broker key or its synonyms are set; nothing that ranks before `name` itself is."""
    names = config.synonyms(name)
    found: list[SynonymValue] = []
    for values, source in (
        (config.dynamic, ConfigSource.DYNAMIC_BROKER_CONFIG),
        (config.dynamic_defaults, ConfigSource.DYNAMIC_DEFAULT_BROKER_CONFIG),
        (config.static, ConfigSource.STATIC_BROKER_CONFIG),
    ):
        found += [SynonymValue(n, values[n], source) for n in names if n in values]
    for synonym in names:
        key = config.keys.get(synonym)
        if key is not None and key.default is not None and not config.is_required(synonym):
            default = text_of(key.default)
            found.append(SynonymValue(synonym, default, ConfigSource.DEFAULT_CONFIG))
    if sensitive:
        found = [synonym._replace(value=None) for synonym in found]
    first = next((i for i, synonym in enumerate(found) if synonym.name == name), len(found))
    return found[first:]


def _described(
    name: str,
    value: str | None,
    config_type: ConfigType,
    synonyms: list[SynonymValue],
    doc: str,
    *,
    is_sensitive: bool = False,
    is_read_only: bool = False,
) -> DescribedConfig:
    source = synonyms[0].source if synonyms else ConfigSource.DEFAULT_CONFIG
    return DescribedConfig(
        name, value, source, config_type, is_sensitive, is_read_only, synonyms, doc
    )
