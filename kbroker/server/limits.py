"""Limits on connections: how many there may be, how fast they may come, how long one may be idle.

- `max.connections.per.ip` and its overrides: a connection over the limit is closed at once.
- `max.connections` of the broker or of a listener: the listener accepts nothing until a connection
  has closed.
- `max.connection.creation.rate`: the listener accepts nothing until the rate is low enough again.
- `connections.max.idle.ms`: a connection is closed if it has sent and received nothing for so long,
  even if a request of it still waits.

If there are several listeners, the limit of the whole broker does not hold back the listener that
brokers use among themselves. Source: ConnectionQuotas, Selector.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import trio

from kbroker.complaints import Complaints
from kbroker.config.broker import BrokerConfig

from .overrides import HostOverrides
from .rates import SampledRate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .connection import Connection

IDLE_POLL_S_MIN = 0.1
IDLE_POLL_S_MAX = 3600.0
_KEYS = frozenset(
    {
        "max.connections",
        "max.connections.per.ip",
        "max.connections.per.ip.overrides",
        "max.connection.creation.rate",
    }
)

log = logging.getLogger("kbroker.server")


class _ListenerLimits:
    """Count, limits and rate of one listener."""

    __slots__ = ("count", "is_protected", "most", "rate", "rate_most")

    def __init__(self, rate: SampledRate) -> None:
        self.count = 0
        self.rate = rate
        self.most = self.rate_most = 0
        self.is_protected = False


class ConnectionLimits:
    """The counts of one broker. `changed` takes over new values of the configuration."""

    def __init__(self, config: BrokerConfig, look_up: Callable[[str], Iterable[str]]) -> None:
        """`look_up`: the addresses of a host, as `Network.look_up`."""
        self._config = config
        self.overrides = HostOverrides(look_up)
        self._by_host: dict[str, int] = {}
        self._total = 0
        self._listeners: dict[str, _ListenerLimits] = {}
        self._rate = self._new_rate()
        self._may_have_room = trio.Event()
        self._complaints = Complaints(trio.current_time)
        self._read()

    def add_listener(self, name: str) -> None:
        self._listeners[name] = _ListenerLimits(self._new_rate())
        self._read()

    def changed(self, keys: Iterable[str]) -> None:
        """These keys, or those of a listener among them, have new values."""
        if any(key in _KEYS or key.startswith("listener.name.") for key in keys):
            self._read()
            self._may_have_room.set()

    async def wait_for_turn(self, listener: str) -> None:
        """Returns when one more connection that has been accepted there may be served."""
        limits = self._listeners[listener]
        now_s = trio.current_time()
        wait_s = self._delay_s(limits, now_s)
        if wait_s > 0:
            await trio.sleep_until(now_s + wait_s)
        while not self._has_room(limits):
            self._may_have_room = trio.Event()
            await self._may_have_room.wait()

    def admit(self, listener: str, host: str) -> bool:
        """Count a connection from `host` in; False: it is over max.connections.per.ip."""
        count = self._by_host.get(host, 0)
        if count >= self.overrides.get(host, self._config.max_connections_per_ip):
            if self._complaints.is_news(host):
                log.info("refusing connections from %s, which already has %d", host, count)
            return False
        self._by_host[host] = count + 1
        self._listeners[listener].count += 1
        self._total += 1
        return True

    def release(self, listener: str, host: str) -> None:
        """Count it out."""
        self._total -= 1
        self._listeners[listener].count -= 1
        self._by_host[host] -= 1
        if not self._by_host[host]:
            del self._by_host[host]
        self._may_have_room.set()

    def cut_excess(self, connections: Iterable[Connection]) -> None:
        """Close the longest idle where there are more than the broker may have: its limit was
        lowered, or brokers have come.
        """
        excess = self._total - self._config.max_connections
        if excess <= 0:
            return
        candidates = []
        for connection in connections:
            if connection.is_ending:
                excess -= 1
            elif not self._listeners[connection.info.listener].is_protected:
                candidates.append(connection)
        candidates.sort(key=lambda connection: connection.waits_since)
        closed = candidates[: max(excess, 0)]
        for connection in closed:
            connection.cut()
        if closed and self._complaints.is_news("max.connections"):
            log.info(
                "closing %d connections above max.connections, the longest idle first", len(closed)
            )

    async def close_idle(self, connections: Iterable[Connection]) -> None:
        """Close who is silent for too long, until cancelled."""
        while True:
            idle_s = self._config.connections_max_idle_ms / 1000
            if idle_s < 0:
                await trio.sleep(IDLE_POLL_S_MAX)
                continue
            limit = trio.current_time() - idle_s
            oldest = trio.current_time()
            closed = 0
            for connection in list(connections):
                since = connection.waits_since
                if since <= limit:
                    connection.cut()
                    closed += 1
                else:
                    oldest = min(oldest, since)
            if closed:
                log.info("closing %d idle connections", closed)
            wait_s = oldest + idle_s - trio.current_time()
            await trio.sleep(min(max(wait_s, IDLE_POLL_S_MIN), IDLE_POLL_S_MAX))

    def _delay_s(self, limits: _ListenerLimits, now_s: float) -> float:
        """How long a connection that comes now has to wait for the rates to be kept."""
        longest_s = float(self._config.quota_window_size_seconds)
        limits.rate.record(now_s)
        delay_s = limits.rate.delay_s(limits.rate_most, now_s, longest_s)
        if not limits.is_protected:
            self._rate.record(now_s)
            most = self._config.max_connection_creation_rate
            delay_s = max(delay_s, self._rate.delay_s(most, now_s, longest_s))
        return delay_s

    def _has_room(self, limits: _ListenerLimits) -> bool:
        if limits.count >= limits.most:
            return False
        return limits.is_protected or self._total < self._config.max_connections

    def _read(self) -> None:
        config = self._config
        between_brokers = config.inter_broker_listener_name or config.security_inter_broker_protocol
        for name, limits in self._listeners.items():
            limits.most = config.for_listener(name, BrokerConfig.max_connections)
            limits.rate_most = config.for_listener(name, BrokerConfig.max_connection_creation_rate)
            limits.is_protected = name == between_brokers.upper() and len(self._listeners) > 1
        self.overrides.set(config.max_connections_per_ip_overrides)

    def _new_rate(self) -> SampledRate:
        config = self._config
        return SampledRate(config.quota_window_num, config.quota_window_size_seconds)
