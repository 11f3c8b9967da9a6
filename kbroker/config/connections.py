"""Parses `max.connections.per.ip.overrides`: hosts with a limit of their own.

Rules and messages follow KafkaConfig (`maxConnectionsPerIpOverrides`).
"""

from __future__ import annotations

import re

from .errors import ConfigError
from .values import java_integer

OVERRIDES = "max.connections.per.ip.overrides"
_HOST = r"[0-9a-zA-Z\-%._:]+"  # Utils.validHostPattern


def host_limits(text: str) -> dict[str, int]:
    """Host, as it is written, to its most connections; ConfigError."""
    limits: dict[str, int] = {}
    for entry in filter(None, map(str.strip, text.split(","))):
        # The host may be an IPv6 address: the last colon counts.
        host, _, limit = (part.strip() for part in entry.rpartition(":"))
        if not re.fullmatch(_HOST, host):
            raise ConfigError(f"{OVERRIDES} contains invalid addresses : {host or entry}")
        number = java_integer(limit) if limit.isascii() and limit.isdigit() else None
        if number is None:
            raise ConfigError(f"{OVERRIDES}: {limit!r} for {host} is not a number of connections")
        limits[host] = number
    return limits
