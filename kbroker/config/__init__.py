"""Kafka's configuration keys and their values: broker, topic, group, client metrics subscription.

Imported at every start: a key costs no more than an object.
"""

from __future__ import annotations

from .broker import BROKER_KEYS, BrokerConfig
from .errors import ConfigError
from .topic import TOPIC_KEYS, GroupConfig, TopicConfig, log_config

__all__ = [
    "BROKER_KEYS",
    "TOPIC_KEYS",
    "BrokerConfig",
    "ConfigError",
    "GroupConfig",
    "TopicConfig",
    "log_config",
]
