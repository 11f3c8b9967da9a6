"""TopicConfig: overrides over broker keys over defaults."""

from __future__ import annotations

import pytest

from kbroker.config import BrokerConfig, TopicConfig, log_config
from kbroker.config.broker import BROKER_KEYS
from kbroker.config.topic import TOPIC_KEYS
from kbroker.config.values import text_of
from kbroker.releases.release import NEWEST
from kbroker.storage.log_config import LogConfig


@pytest.mark.parametrize(
    ("broker", "key", "value"),
    [
        ({"log.retention.hours": "2"}, "retention.ms", 7_200_000),
        ({"log.retention.minutes": "3", "log.retention.hours": "2"}, "retention.ms", 180_000),
        ({"log.retention.ms": "5", "log.retention.minutes": "3"}, "retention.ms", 5),
        ({"log.retention.hours": "-1"}, "retention.ms", -1),
        ({"log.roll.hours": "1"}, "segment.ms", 3_600_000),
        ({"log.roll.ms": "9", "log.roll.hours": "1"}, "segment.ms", 9),
        ({"log.roll.jitter.hours": "1"}, "segment.jitter.ms", 3_600_000),
        ({"log.flush.scheduler.interval.ms": "8"}, "flush.ms", 8),
        ({"log.flush.interval.ms": "4", "log.flush.scheduler.interval.ms": "8"}, "flush.ms", 4),
        ({"log.cleaner.delete.retention.ms": "6"}, "delete.retention.ms", 6),
        ({"message.max.bytes": "77"}, "max.message.bytes", 77),
        ({"log.cleanup.policy": "compact,delete"}, "cleanup.policy", ("compact", "delete")),
        ({"log.index.size.max.bytes": "44"}, "segment.index.bytes", 44),
    ],
)
def test_a_topic_takes_its_default_from_the_broker(
    broker: dict[str, str], key: str, value: object
) -> None:
    assert TopicConfig({}, BrokerConfig(broker)).resolve(TOPIC_KEYS[key]) == value


def test_an_override_goes_before_the_broker() -> None:
    broker = BrokerConfig({"log.retention.hours": "2"})
    assert TopicConfig({"retention.ms": "5"}, broker).retention_ms == 5


@pytest.mark.parametrize("key", TOPIC_KEYS)
def test_a_broker_without_settings_gives_kafkas_topic_defaults(key: str) -> None:
    assert TopicConfig({}, BrokerConfig()).resolve(TOPIC_KEYS[key]) == TOPIC_KEYS[key].default


@pytest.mark.parametrize("key", [k for k, v in TOPIC_KEYS.items() if v.synonyms])
def test_every_synonym_reaches_its_topic_key(key: str) -> None:
    for synonym in TOPIC_KEYS[key].synonyms:
        other = {"STRING": "LogAppendTime", "LIST": "compact", "BOOLEAN": "true", "DOUBLE": "0.25"}
        text = other.get(BROKER_KEYS[synonym.name].type.name, "5000000")
        if key == "compression.type":
            text = "zstd"
        elif key.startswith("compression."):
            text = "7"
        broker = BrokerConfig({synonym.name: text}, release=NEWEST)
        value = TopicConfig({}, broker).resolve(TOPIC_KEYS[key])
        expected = str(int(text) * synonym.factor) if synonym.factor != 1 else text
        assert text_of(value) == expected


def test_the_log_settings_of_a_topic_without_overrides_are_the_logs_own_defaults() -> None:
    assert log_config(TopicConfig({}, BrokerConfig())) == LogConfig()


def test_log_settings_follow_the_overrides() -> None:
    overrides = {
        "cleanup.policy": "compact,delete",
        "internal.segment.bytes": "500",
        "preallocate": "true",
        "message.timestamp.type": "LogAppendTime",
    }
    config = log_config(TopicConfig(overrides, BrokerConfig({"producer.id.expiration.ms": "9"})))
    assert config.cleanup_policy == {"compact", "delete"}
    assert config.segment_bytes == 500
    assert config.preallocate
    assert config.message_timestamp_type == "LogAppendTime"
    assert config.producer_id_expiration_ms == 9
