"""The configuration of a topic: its own values over the broker's defaults; its log settings."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, cast

from kbroker.config.keys.group import GroupKeys
from kbroker.config.keys.topic import TopicKeys
from kbroker.storage.log_config import LogConfig

from .broker import BROKER_KEYS, BrokerConfig
from .errors import ConfigError
from .key import STRING, Key, Keyed, T, keys_of, known_keys

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kbroker.releases.release import Release

    from .values import Value


class Overrides(Keyed):
    """A resource's own values over the broker's keys that are their synonyms, over the defaults."""

    def __init__(self, overrides: Mapping[str, str], broker: BrokerConfig) -> None:
        self.overrides = overrides
        self.broker = broker

    def resolve(self, key: Key[T]) -> T:
        text = self.overrides.get(key.name)
        if text is not None:
            return key.parse(text)
        for synonym in key.synonyms:
            value = self.broker.resolve(BROKER_KEYS[synonym.name])
            if value is None:
                continue
            if synonym.factor != 1:
                assert isinstance(value, int)
                value *= synonym.factor
            return cast("T", value)
        return key.default


class TopicConfig(Overrides, TopicKeys):
    """The typed values of one topic's keys; made anew when they or the broker's change."""

    def resolve(self, key: Key[T]) -> T:
        value = super().resolve(key)
        if key.name == "retention.ms" and isinstance(value, int) and value < 0:
            return cast("T", -1)  # log.retention.hours=-1 is -3600000 ms: all negatives are "never"
        return value


class GroupConfig(Overrides, GroupKeys):
    """The typed values of one group's keys."""

    def resolve(self, key: Key[T]) -> T:
        value = super().resolve(key)
        if key.type is STRING and isinstance(value, tuple):
            return cast("T", value[0] if value else None)  # the first of the broker's list
        return value


TOPIC_KEYS = keys_of(TopicConfig)  # of all releases
GROUP_KEYS = keys_of(GroupConfig)


@cache
def topic_keys(release: Release) -> Mapping[str, Key[Value]]:
    """The keys of topics that a release has."""
    return known_keys(TOPIC_KEYS, release, "TOPIC")


@cache
def group_keys(release: Release) -> Mapping[str, Key[Value]]:
    """The keys of groups that a release has."""
    return known_keys(GROUP_KEYS, release, "GROUP")


def check_topic(config: TopicConfig) -> None:
    """What Kafka checks between a topic's keys; ConfigError."""
    low, high = config.min_compaction_lag_ms, config.max_compaction_lag_ms
    if low > high:
        raise ConfigError(
            f"conflict topic config setting min.compaction.lag.ms ({low}) > "
            f"max.compaction.lag.ms ({high})"
        )


def log_config(topic: TopicConfig) -> LogConfig:
    """The settings of the topic's logs."""
    internal = topic.internal_segment_bytes
    return LogConfig(
        cleanup_policy=frozenset(topic.cleanup_policy),
        compression_type=topic.compression_type,
        compression_gzip_level=topic.compression_gzip_level,
        compression_lz4_level=topic.compression_lz4_level,
        compression_zstd_level=topic.compression_zstd_level,
        delete_retention_ms=topic.delete_retention_ms,
        file_delete_delay_ms=topic.file_delete_delay_ms,
        flush_messages=topic.flush_messages,
        flush_ms=topic.flush_ms,
        index_interval_bytes=topic.index_interval_bytes,
        max_compaction_lag_ms=topic.max_compaction_lag_ms,
        max_message_bytes=topic.max_message_bytes,
        message_timestamp_type=topic.message_timestamp_type,
        message_timestamp_before_max_ms=topic.message_timestamp_before_max_ms,
        message_timestamp_after_max_ms=topic.message_timestamp_after_max_ms,
        min_cleanable_dirty_ratio=topic.min_cleanable_dirty_ratio,
        min_compaction_lag_ms=topic.min_compaction_lag_ms,
        min_insync_replicas=topic.min_insync_replicas,
        preallocate=topic.preallocate,
        producer_id_expiration_ms=topic.broker.producer_id_expiration_ms,
        retention_bytes=topic.retention_bytes,
        retention_ms=topic.retention_ms,
        segment_bytes=topic.segment_bytes if internal is None else internal,
        segment_index_bytes=topic.segment_index_bytes,
        segment_jitter_ms=topic.segment_jitter_ms,
        segment_ms=topic.segment_ms,
        unclean_leader_election_enable=topic.unclean_leader_election_enable,
    )
