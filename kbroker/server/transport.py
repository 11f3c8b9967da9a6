"""The interface to the network: byte transports and listeners.

A `Transport` never buffers. Its `*_nowait` calls do what the operating system can do at once and
raise `BlockingIOError` otherwise; its `wait_*` calls wait. `tests/sim/network.py` implements it in
memory.
"""

from __future__ import annotations

import errno
import os
import socket
from typing import TYPE_CHECKING, Protocol

import trio

from kbroker import descriptors

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kbroker.storage.disk import File

PORT_ATTEMPTS = 10
# A name may stand for other machines too, or for a family of addresses that is off here.
NOT_HERE = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
_MSG_MORE: int = getattr(socket, "MSG_MORE", 0)  # Linux


class Transport(Protocol):
    """One connection's bytes, both ways."""

    local_address: tuple[str, int]
    peer_address: tuple[str, int]

    def receive_nowait(self, buffer: memoryview) -> int:
        """Bytes put into `buffer`; 0 at end of stream. BlockingIOError if there are none yet."""
        ...

    def send_nowait(self, data: bytes | memoryview, more: bool) -> int:
        """Bytes taken from `data`; `more` says that further bytes follow at once."""
        ...

    def send_file_nowait(self, file: File, position: int, size: int) -> int:
        """Bytes of `file` taken, without passing through this process where the system can."""
        ...

    async def wait_readable(self) -> None: ...

    async def wait_writable(self) -> None: ...

    def close(self) -> None:
        """Idempotent; wakes tasks that wait on this transport with trio.ClosedResourceError."""
        ...


class Listener(Protocol):
    """A bound address that accepts transports once it is started: until then they are refused."""

    address: tuple[str, int]

    def start(self, backlog: int) -> None:
        """Let clients in. OSError."""
        ...

    async def accept(self) -> Transport: ...

    def close(self) -> None: ...


class Network(Protocol):
    """Where listeners come from."""

    def bind(self, host: str, port: int) -> Sequence[Listener]:
        """Take the address now (port 0 takes a free one), with one listener for each that a name
        stands for, all of one port; OSError if it cannot be had.
        """
        ...

    def look_up(self, host: str) -> Iterable[str]:
        """The addresses of a host, as those of peers are written. Blocks; OSError: it has none."""
        ...


class SocketTransport:
    """A TCP connection."""

    __slots__ = ("_fd", "_socket", "local_address", "peer_address")

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._socket = sock
        self._fd = sock.fileno()
        self.local_address = _host_port(sock.getsockname())
        self.peer_address = _host_port(sock.getpeername())

    def receive_nowait(self, buffer: memoryview) -> int:
        return self._socket.recv_into(buffer)

    def send_nowait(self, data: bytes | memoryview, more: bool) -> int:
        return self._socket.send(data, _MSG_MORE if more else 0)

    def send_file_nowait(self, file: File, position: int, size: int) -> int:
        return os.sendfile(self._fd, file.fileno(), position, size)

    async def wait_readable(self) -> None:
        await trio.lowlevel.wait_readable(self._fd)

    async def wait_writable(self) -> None:
        await trio.lowlevel.wait_writable(self._fd)

    def close(self) -> None:
        if self._socket.fileno() >= 0:
            trio.lowlevel.notify_closing(self._fd)
            self._socket.close()


class SocketListener:
    """A listening TCP socket."""

    __slots__ = ("_descriptors_max", "_send_buffer", "_socket", "address")

    def __init__(self, sock: socket.socket, send_buffer: int) -> None:
        self._socket = sock
        self._send_buffer = send_buffer
        self._descriptors_max = descriptors.limit()
        self.address = _host_port(sock.getsockname())

    def start(self, backlog: int) -> None:
        self._descriptors_max = int(descriptors.limit() * descriptors.CONNECTIONS_SHARE_MAX)
        self._socket.listen(backlog)

    async def accept(self) -> Transport:
        while True:
            try:
                sock, _ = self._socket.accept()
            except BlockingIOError:
                await trio.lowlevel.wait_readable(self._socket)
                continue
            except OSError as error:
                # The peer went away before it was accepted: nobody's fault, take the next one.
                if error.errno in (errno.ECONNABORTED, errno.EPROTO):
                    continue
                raise
            if sock.fileno() >= self._descriptors_max:
                sock.close()
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            try:
                if self._send_buffer > 0:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._send_buffer)
                return SocketTransport(sock)
            except OSError:
                sock.close()  # reset between accept and here

    def close(self) -> None:
        if self._socket.fileno() >= 0:
            trio.lowlevel.notify_closing(self._socket)
            self._socket.close()


class SocketNetwork:
    """TCP on this machine. Buffer sizes in bytes; -1 leaves them to the operating system."""

    __slots__ = ("_receive_buffer", "_send_buffer")

    def __init__(self, *, send_buffer: int = -1, receive_buffer: int = -1) -> None:
        self._send_buffer = send_buffer
        self._receive_buffer = receive_buffer

    def bind(self, host: str, port: int) -> list[Listener]:
        """A name that has several addresses here, as `localhost` may, is had at each of them."""
        attempts = PORT_ATTEMPTS if port == 0 else 1
        while True:
            try:
                return self._bind_all(host, port)
            except OSError as error:
                # The port that one address gave may be taken at another.
                attempts -= 1
                if error.errno != errno.EADDRINUSE or not attempts:
                    raise

    def look_up(self, host: str) -> Iterable[str]:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        return dict.fromkeys(plain_address(str(address[0])) for *_, address in found)

    def _bind_all(self, host: str, port: int) -> list[Listener]:
        found = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        addresses = dict.fromkeys((family, address) for family, *_, address in found)
        bound: list[Listener] = []
        absent: OSError | None = None
        try:
            for family, address in list(addresses) if host else list(addresses)[:1]:
                try:
                    listener = self._bind_one(host, family, (address[0], port, *address[2:]))
                except OSError as error:
                    if error.errno not in NOT_HERE:
                        raise
                    absent = error
                    continue
                bound.append(listener)
                port = listener.address[1]
            if absent and not bound:
                raise absent
        except OSError:
            for listener in bound:
                listener.close()
            raise
        return bound

    def _bind_one(self, host: str, family: int, address: tuple[object, ...]) -> Listener:
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            if os.name == "posix":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6 and host in ("", "::"):
                # The wildcard serves both families, as a Java server socket does.
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            if self._receive_buffer > 0:
                # Before connections come: they inherit it, and a window is agreed on to match.
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer)
            sock.bind(address)
        except OSError:
            sock.close()
            raise
        return SocketListener(sock, self._send_buffer)


def _host_port(address: tuple[str, int] | tuple[str, int, int, int]) -> tuple[str, int]:
    return (plain_address(address[0]), address[1])


def plain_address(host: str) -> str:
    """An address as it is told: a dual-stack socket shows IPv4 peers as ::ffff:a.b.c.d."""
    return host.removeprefix("::ffff:") if "." in host else host
