"""Limits of connections that one key cannot say alone: per host, and per listener.

Rules and sentences follow KafkaConfig (`maxConnectionsPerIpOverrides`, `validateValues`) and
SocketServer.ListenerConnectionQuota.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .errors import ConfigError
from .values import INT_MAX

if TYPE_CHECKING:
    from .broker import BrokerConfig

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
        if not (limit.isascii() and limit.isdigit() and int(limit) <= INT_MAX):
            raise ConfigError(f"{OVERRIDES}: {limit!r} of {host} is no number of connections")
        limits[host] = int(limit)
    return limits


def check_connections(config: BrokerConfig) -> None:
    """What Kafka checks between these keys; ConfigError."""
    limits = host_limits(config.max_connections_per_ip_overrides)
    if config.max_connections_per_ip == 0 and not limits:
        raise ConfigError(
            f"max.connections.per.ip can be set to zero only if {OVERRIDES} property is set."
        )
    if 0 < config.queued_max_request_bytes < config.socket_request_max_bytes:
        raise ConfigError(
            "queued.max.request.bytes must be larger or equal to socket.request.max.bytes"
        )
