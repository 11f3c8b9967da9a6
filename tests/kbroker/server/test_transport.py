"""Which addresses a listener takes, on real sockets."""

from __future__ import annotations

import errno
import socket
from contextlib import closing, suppress
from ipaddress import IPv6Address
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trio

from kbroker.server.binding import BoundListeners, ListenerSettings
from kbroker.server.transport import PORT_ATTEMPTS, SocketNetwork

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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


async def test_a_listener_is_known_by_the_first_of_its_addresses(
    means: Callable[..., None],
) -> None:
    means(HERE, HERE_TOO)
    bound = BoundListeners(SocketNetwork())
    try:
        host, port = bound.bind(ListenerSettings("PLAINTEXT", "several", 0, None))
        assert [listener.address for _, listener in bound] == [(HERE, port), (HERE_TOO, port)]
        assert host == HERE
    finally:
        bound.close()


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


@pytest.fixture
def racing(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """`racing(times)`: so often another takes the port at HERE_TOO just before we would."""
    genuine = socket.socket
    times_left = 0
    others: list[socket.socket] = []

    class Raced(genuine):  # type: ignore[valid-type, misc]
        def bind(self, address: tuple[str, int]) -> None:
            nonlocal times_left
            if address[0] == HERE_TOO and times_left:
                times_left -= 1
                others.append(genuine(socket.AF_INET, socket.SOCK_STREAM))
                others[-1].bind(address)
                others[-1].listen()
            super().bind(address)

    def race(times: int) -> None:
        nonlocal times_left
        times_left = times

    monkeypatch.setattr(socket, "socket", Raced)
    yield race
    assert times_left == 0
    for each in others:
        each.close()


@pytest.mark.parametrize("times", [1, PORT_ATTEMPTS - 1])
async def test_a_port_that_another_takes_at_the_second_address_is_given_up_for_the_next(
    means: Callable[..., None], racing: Callable[[int], None], times: int
) -> None:
    means(HERE, HERE_TOO)
    racing(times)
    listeners = SocketNetwork().bind("several", 0)
    assert [listener.address[0] for listener in listeners] == [HERE, HERE_TOO]
    assert listeners[0].address[1] == listeners[1].address[1]
    for listener in listeners:
        listener.close()


async def test_after_some_such_ports_it_gives_up(
    means: Callable[..., None], racing: Callable[[int], None]
) -> None:
    means(HERE, HERE_TOO)
    racing(PORT_ATTEMPTS)
    with pytest.raises(OSError, match="in use"):
        SocketNetwork().bind("several", 0)


async def test_where_there_is_no_ipv6_all_addresses_are_those_of_ipv4(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    genuine = socket.getaddrinfo

    def look_up(host: str | None, port: int, **hints: Any) -> list[Any]:
        return genuine(host, port, family=socket.AF_INET, **hints)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    (listener,) = SocketNetwork().bind("", 0)
    with closing(listener):
        assert listener.address[0] == "0.0.0.0"


SMALL = 1  # of which the system makes the least that it knows
SENT_BYTES_MAX = 4 << 20


async def taken_bytes(network: SocketNetwork, *, by_client: bool) -> int:
    """What one side sends before it has to wait for the other, which reads nothing."""
    (listener,) = network.bind(HERE, 0)
    with closing(listener), socket.socket() as client:
        listener.start(1)
        option = socket.SO_SNDBUF if by_client else socket.SO_RCVBUF
        client.setsockopt(socket.SOL_SOCKET, option, SMALL)
        client.connect(listener.address)
        client.setblocking(False)
        with closing(await listener.accept()) as transport:
            total = 0
            with suppress(BlockingIOError):
                while total < SENT_BYTES_MAX:
                    if by_client:
                        total += client.send(bytes(4096))
                    else:
                        total += transport.send_nowait(bytes(4096), False)
            return total


@pytest.mark.parametrize("name", ["send_buffer", "receive_buffer"])
async def test_buffers_are_as_large_as_is_asked_or_as_the_system_has_them(name: str) -> None:
    by_client = name == "receive_buffer"
    theirs = await taken_bytes(SocketNetwork(), by_client=by_client)
    least = await taken_bytes(SocketNetwork(**{name: SMALL}), by_client=by_client)
    assert 0 < least < 16_384
    assert 4 * least < theirs
