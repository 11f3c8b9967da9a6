"""The error that this package raises: one sentence with the key, its value and what is wrong."""

from __future__ import annotations


class ConfigError(ValueError):
    """A configuration that cannot be used. `str(error)` is Kafka's sentence where Kafka has one."""


def invalid_value(name: str, shown: str, reason: str) -> ConfigError:
    """Kafka's ConfigException(name, value, message)."""
    return ConfigError(f"Invalid value {shown} for configuration {name}: {reason}")
