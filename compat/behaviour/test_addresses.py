"""A name that has an IPv4 and an IPv6 address is served on both."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from compat.brokers import Kbroker
from compat.raw import RawClient
from kbroker.wire.messages.metadata import MetadataRequest, MetadataResponse

if TYPE_CHECKING:
    from pathlib import Path

    from compat.brokers import Broker

pytestmark = [pytest.mark.ci, pytest.mark.item(31)]


def addresses(host: str, port: int) -> set[str]:
    """What the name stands for, of what this machine has at all."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return {str(address[0]) for *_, address in found if _usable(str(address[0]))}


def _usable(address: str) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((address, 9))
        except OSError:
            return False
    return True


def assert_served(host: str, port: int) -> None:
    for address in addresses(host, port):
        with RawClient(address, port) as raw:
            raw.ask(MetadataRequest(topics=[]), 4, MetadataResponse)


def test_every_advertised_address_is_served(raw: RawClient) -> None:
    brokers = raw.ask(MetadataRequest(topics=[]), 4, MetadataResponse).brokers
    assert brokers
    for one in brokers:
        assert addresses(one.host, one.port), f"{one.host} has no address here"
        assert_served(one.host, one.port)


@pytest.mark.own_broker
def test_localhost_is_listened_on_with_both(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Where one listens on the name; Apache Kafka takes one address of it, and is not asked."""
    if request.config.getoption("broker") != "kbroker":
        pytest.skip("of kbroker alone")
    broker: Broker = Kbroker(tmp_path / "broker")
    broker.host = "localhost"
    assert isinstance(broker, Kbroker)
    broker.start()
    try:
        assert_served("localhost", broker.port)
    finally:
        broker.wipe()
