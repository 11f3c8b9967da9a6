"""How many connections there may be, and for how long one may be silent.

Kafka's ConnectionQuotas and the idle expiry of its Selector: `max.connections.per.ip` (with
overrides) closes what is over it at once, `max.connections` stops accepting until one is gone,
`connections.max.idle.ms` closes who has neither sent nor taken anything for that long, be it that a
request of theirs still waits.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kbroker.config import BrokerConfig

    from .connection import Connection

IDLE_POLL_S_MIN = 0.1
IDLE_POLL_S_MAX = 3600.0

log = logging.getLogger("kbroker.server")


class ConnectionLimits:
    """The counts of one broker. Limits are read from the configuration as they apply."""

    def __init__(self, config: BrokerConfig) -> None:
        self._config = config
        self._by_host: dict[str, int] = {}
        self._total = 0
        self._one_left = trio.Event()

    async def wait_for_room(self) -> None:
        """Returns when max.connections allows one more."""
        while self._total >= self._config.max_connections:
            self._one_left = trio.Event()
            await self._one_left.wait()

    def admit(self, host: str) -> bool:
        """Count a connection from `host` in; False: it is over max.connections.per.ip."""
        count = self._by_host.get(host, 0)
        if count >= self._per_host(host):
            log.info("refusing a connection from %s: it has %d already", host, count)
            return False
        self._by_host[host] = count + 1
        self._total += 1
        return True

    def release(self, host: str) -> None:
        """Count it out."""
        self._total -= 1
        self._by_host[host] -= 1
        if not self._by_host[host]:
            del self._by_host[host]
        self._one_left.set()

    def _per_host(self, host: str) -> int:
        for override in self._config.max_connections_per_ip_overrides.split(","):
            name, _, limit = override.strip().rpartition(":")
            if name == host:
                return int(limit)
        return self._config.max_connections_per_ip

    async def close_idle(self, connections: Iterable[Connection]) -> None:
        """Close who is silent for too long, until cancelled."""
        while True:
            idle_s = self._config.connections_max_idle_ms / 1000
            if idle_s < 0:
                await trio.sleep(IDLE_POLL_S_MAX)
                continue
            limit = trio.current_time() - idle_s
            oldest = trio.current_time()
            for connection in list(connections):
                since = connection.waits_since
                if since <= limit:
                    log.info("closing %s: idle", connection.info.connection_id)
                    connection.cut()
                else:
                    oldest = min(oldest, since)
            wait_s = oldest + idle_s - trio.current_time()
            await trio.sleep(min(max(wait_s, IDLE_POLL_S_MIN), IDLE_POLL_S_MAX))
