"""How many connections a broker takes from real sockets, as its configuration says."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING

import pytest

from compat.brokers import API_VERSIONS_V0, Broker
from compat.load.broker_defaults import alter
from compat.raw import RawClient

if TYPE_CHECKING:
    from collections.abc import Iterator

    from compat.conftest import NewBroker

pytestmark = pytest.mark.ci

PATIENCE_S = 60.0
SILENCE_S = 1.0  # after which a visitor is one who has to wait


class Visitors:
    """Connections from addresses of the loopback network."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._sockets: list[socket.socket] = []

    def come(self, address: str) -> socket.socket:
        visitor = socket.create_connection(
            (self._broker.host, self._broker.port), PATIENCE_S, (address, 0)
        )
        self._sockets.append(visitor)
        return visitor

    def go(self) -> None:
        for each in self._sockets:
            each.close()


def is_served(visitor: socket.socket, patience_s: float = PATIENCE_S) -> bool:
    """Whether ApiVersions is answered; not where the broker closes or does not answer."""
    visitor.settimeout(patience_s)
    try:
        visitor.sendall(struct.pack(">i", len(API_VERSIONS_V0)) + API_VERSIONS_V0)
        size = visitor.recv(4, socket.MSG_WAITALL)
        return bool(size) and bool(visitor.recv(int.from_bytes(size, "big"), socket.MSG_WAITALL))
    except (TimeoutError, ConnectionError):
        return False


@pytest.fixture
def broker(new_broker: NewBroker) -> Broker:
    return new_broker(
        {
            "max.connections.per.ip": "3",
            "max.connections.per.ip.overrides": "127.0.0.2:1,127.0.0.3:0",
        }
    )


@pytest.fixture
def visitors(broker: Broker) -> Iterator[Visitors]:
    found = Visitors(broker)
    yield found
    found.go()


def test_an_address_has_its_own_limit_or_everybodys(visitors: Visitors) -> None:
    came = ["127.0.0.4"] * 4 + ["127.0.0.2"] * 2 + ["127.0.0.3", "127.0.0.5"]
    served = [is_served(visitors.come(address)) for address in came]
    assert served == [True, True, True, False, True, False, False, True]


def test_limits_change_while_the_broker_runs(visitors: Visitors, broker: Broker) -> None:
    with RawClient(broker.host, broker.port) as raw:
        alter(raw, {"max.connections.per.ip": "1", "max.connections": "3"})
        assert is_served(visitors.come("127.0.0.4"))
        assert not is_served(visitors.come("127.0.0.4"))
        assert is_served(visitors.come("127.0.0.5"))
        waiting = visitors.come("127.0.0.6")  # the fourth: it is connected, and not served
        assert not is_served(waiting, SILENCE_S)
        alter(raw, {"max.connections": "4"})
        waiting.settimeout(PATIENCE_S)
        size = waiting.recv(4, socket.MSG_WAITALL)
        assert int.from_bytes(size, "big") > 0
