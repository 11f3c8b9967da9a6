"""The configuration of a client metrics subscription and its rules.

Source: KIP-714, ClientMetricsConfigs.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kbroker.config.keys.client_metrics import ClientMetricsKeys

from .errors import ConfigError
from .key import Key, T, keys_of

if TYPE_CHECKING:
    from collections.abc import Mapping

INTERVAL_MS_MIN = 100
INTERVAL_MS_MAX = 3_600_000
_MATCH_PARAMETERS = (
    "client_instance_id",
    "client_id",
    "client_software_name",
    "client_software_version",
    "client_source_address",
    "client_source_port",
)


class ClientMetricsConfig(ClientMetricsKeys):
    """The typed values of one subscription."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.overrides = values

    def resolve(self, key: Key[T]) -> T:
        text = self.overrides.get(key.name)
        return key.default if text is None else key.parse(text)


CLIENT_METRICS_KEYS = keys_of(ClientMetricsConfig)


def match_patterns(config: ClientMetricsConfig) -> dict[str, re.Pattern[str]]:
    """What a client must match wholly, by parameter. ConfigError unless every pattern is
    PARAMETER=REGULAR EXPRESSION.
    """
    found: dict[str, re.Pattern[str]] = {}
    for pattern in config.match:
        parameter, _, expression = pattern.partition("=")
        is_known = parameter.strip() in _MATCH_PARAMETERS
        if not is_known or not expression or "=" in expression or "(?P<" in expression:
            raise ConfigError(f"Illegal client matching pattern: {pattern}")
        try:
            found[parameter.strip()] = re.compile(_as_python(expression.strip()))
        except re.error as error:
            raise ConfigError(f"Illegal client matching pattern: {pattern}") from error
    return found


def _as_python(expression: str) -> str:
    """Java's form of what Python writes otherwise, or has not: named groups, character classes."""
    return (
        re.sub(r"\\P\{\w+\}", r"\\W", re.sub(r"\\p\{\w+\}", r"\\w", expression))
        .replace("(?<", "(?P<")
        .replace("(?P<=", "(?<=")
        .replace("(?P<!", "(?<!")
    )
