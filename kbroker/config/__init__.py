"""Kafka's configuration keys and their values: broker, topic, group, client metrics subscription.

Every start imports this package, so defining a key must cost no more than creating an object.
"""

from __future__ import annotations

from .broker import BROKER_KEYS, BrokerConfig
from .dynamic import DynamicConfigs
from .errors import ConfigError
from .schema import ConfigProblem, ConfigSchema
from .topic import TOPIC_KEYS, GroupConfig, TopicConfig, log_config

__all__ = [
    "BROKER_KEYS",
    "TOPIC_KEYS",
    "BrokerConfig",
    "ConfigError",
    "ConfigProblem",
    "ConfigSchema",
    "DynamicConfigs",
    "GroupConfig",
    "TopicConfig",
    "log_config",
]
