"""A client metrics subscription's keys and their rules (ClientMetricsConfigs, KIP-714)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .client_metrics_keys import ClientMetricsKeys
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


def check_match(config: ClientMetricsConfig) -> None:
    """Every pattern is PARAMETER=REGULAR EXPRESSION; ConfigError."""
    for pattern in config.match:
        parameter, equals, expression = pattern.partition("=")
        if parameter.strip() not in _MATCH_PARAMETERS or not equals or "=" in expression:
            raise ConfigError(f"Illegal client matching pattern: {pattern}")
        try:
            re.compile(expression.strip())
        except re.error as error:
            raise ConfigError(f"Illegal client matching pattern: {pattern}") from error
