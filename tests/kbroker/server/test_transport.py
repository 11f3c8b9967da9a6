"""Which addresses a listener takes, on real sockets."""

from __future__ import annotations

import errno
import socket
from contextlib import closing, suppress
from ipaddress import IPv6Address
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trio

from kbroker.server.transport import SocketNetwork

if TYPE_CHECKING:
    from collections.abc import Callable

HERE, HERE_TOO = "127.0.0.1", "127.0.0.2"
ELSEWHERE = "192.0.2.1"  # a network of documentation, which no machine has


@pytest.fixture
def means(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`means(*addresses)`: what the name "several" stands for."""
    genuine = socket.getaddrinfo

    def mean(*addresses: str) -> None:
        def look_up(host: str | None, *args: object, **kwargs: object) -> list[object]:
            hosts = addresses if host == "several" else (host,)
            return [one for each in hosts for one in genuine(each, *args, **kwargs)]  # type: ignore[arg-type]

        monkeypatch.setattr(socket, "getaddrinfo", look_up)

    return mean


async def test_a_name_is_listened_on_at_each_of_its_addresses(means: Callable[..., None]) -> None:
    means(HERE, ELSEWHERE, HERE_TOO, HERE)
    listeners = SocketNetwork().bind("several", 0)
    port = listeners[0].address[1]
    assert [listener.address for listener in listeners] == [(HERE, port), (HERE_TOO, port)]
    for listener in listeners:
        with closing(listener):
            listener.start(1)
            with trio.fail_after(5), socket.create_connection(listener.address):
                (await listener.accept()).close()


async def test_a_name_without_an_address_here_is_refused(means: Callable[..., None]) -> None:
    means(ELSEWHERE)
    with pytest.raises(OSError, match="assign") as caught:
        SocketNetwork().bind("several", 0)
    assert caught.value.errno == errno.EADDRNOTAVAIL


async def test_a_port_that_is_taken_at_one_address_is_not_taken_at_another(
    means: Callable[..., None],
) -> None:
    means(HERE, HERE_TOO)
    with socket.create_server((HERE_TOO, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            SocketNetwork().bind("several", port)
        with socket.create_server((HERE, port)):
            pass  # given back


def link_local() -> str:
    """An address of this machine that means nothing without its interface."""
    with suppress(FileNotFoundError):
        for line in Path("/proc/net/if_inet6").read_text().splitlines():
            digits, _, _, scope, _, interface = line.split()
            if scope == "20":
                return f"{IPv6Address(bytes.fromhex(digits))}%{interface}"
    pytest.skip("no interface here has a link-local address")


async def test_an_address_of_one_interface_is_listened_on_there() -> None:
    (listener,) = SocketNetwork().bind(link_local(), 0)
    with closing(listener):
        listener.start(1)
        host, port = listener.address
        assert host.startswith("fe80::")
        assert port > 0
