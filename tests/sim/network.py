"""A network in memory. Fault model: bytes arrive whole, in order and in chunks of any size; a link
may be cut at any time; a receiver that does not read stops its sender at `WINDOW_BYTES`. No delay
of its own: virtual time does not pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from collections.abc import Callable

    from kbroker.server.transport import Transport
    from kbroker.storage.disk import File

WINDOW_BYTES = 64 * 1024


class _Pipe:
    """One direction of a link."""

    def __init__(self) -> None:
        self.content = bytearray()
        self.ended = False
        self._changed = trio.Event()

    def notify(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    async def wait(self) -> None:
        await self._changed.wait()


class MemoryTransport:
    """One end of a link; has the broker's transport surface."""

    def __init__(
        self, incoming: _Pipe, outgoing: _Pipe, local: tuple[str, int], peer: tuple[str, int]
    ) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._closed = False
        self.local_address = local
        self.peer_address = peer

    def receive_nowait(self, buffer: memoryview) -> int:
        self._check_open()
        content = self._incoming.content
        if not content:
            if self._incoming.ended:
                return 0
            raise BlockingIOError
        size = min(len(buffer), len(content))
        buffer[:size] = content[:size]
        del content[:size]
        self._incoming.notify()
        return size

    def send_nowait(self, data: bytes | memoryview, more: bool) -> int:
        self._check_open()
        if self._outgoing.ended:
            raise BrokenPipeError
        room = WINDOW_BYTES - len(self._outgoing.content)
        if room <= 0:
            raise BlockingIOError
        taken = min(room, len(data))
        self._outgoing.content += data[:taken]
        self._outgoing.notify()
        return taken

    def send_file_nowait(self, file: File, position: int, size: int) -> int:
        assert file.is_resident(position, size), "a sendfile that would wait for the disk"
        return self.send_nowait(file.read_at(position, min(size, WINDOW_BYTES)), False)

    async def wait_readable(self) -> None:
        await trio.lowlevel.checkpoint()
        while not self._incoming.content and not self._incoming.ended:
            self._check_open()
            await self._incoming.wait()

    async def wait_writable(self) -> None:
        await trio.lowlevel.checkpoint()
        while len(self._outgoing.content) >= WINDOW_BYTES and not self._outgoing.ended:
            self._check_open()
            await self._outgoing.wait()

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        for pipe in (self._incoming, self._outgoing):
            pipe.ended = True
            pipe.notify()

    def end(self) -> None:
        """Send no more. What the other side sends is still taken."""
        self._outgoing.ended = True
        self._outgoing.notify()

    def _check_open(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError


class MemoryStream(trio.abc.Stream):
    """A client's end, as a Trio stream."""

    def __init__(self, transport: MemoryTransport) -> None:
        self.transport = transport

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self.transport.send_nowait(rest, False) :]
            except BlockingIOError:
                await self.transport.wait_writable()
            except BrokenPipeError as error:
                raise trio.BrokenResourceError from error
        await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        buffer = memoryview(bytearray(max_bytes or WINDOW_BYTES))
        while True:
            await self.transport.wait_readable()
            try:
                return bytes(buffer[: self.transport.receive_nowait(buffer)])
            except BlockingIOError:
                continue

    async def wait_send_all_might_not_block(self) -> None:
        await self.transport.wait_writable()

    async def aclose(self) -> None:
        self.transport.close()
        await trio.lowlevel.checkpoint()

    def hang_up(self) -> None:
        """Go as a process does that ends having read all there was: the broker finds what was sent
        before, then the end, and notices nothing when it sends. `aclose` is a cut.
        """
        self.transport.end()


class MemoryListener:
    """A bound address of a `MemoryNetwork`."""

    def __init__(self, network: MemoryNetwork, address: tuple[str, int]) -> None:
        self.address = address
        self.started = False
        self._network = network
        self._offered = trio.Event()
        self._send, self._receive = trio.open_memory_channel[MemoryTransport](64)

    def start(self, backlog: int) -> None:
        self.started = True

    async def accept(self) -> Transport:
        await self._arrived()
        if self._network.accept_error is not None:
            raise self._network.accept_error
        return self._receive.receive_nowait()

    async def _arrived(self) -> None:
        while not self._receive.statistics().current_buffer_used:
            self._offered = trio.Event()
            await self._offered.wait()

    async def offer(self, transport: MemoryTransport) -> None:
        await self._send.send(transport)
        self._offered.set()

    def close(self) -> None:
        self._send.close()
        self._network.forget(self.address)


class MemoryNetwork:
    """Addresses and links of one simulation."""

    def __init__(self) -> None:
        self._listeners: dict[tuple[str, int], MemoryListener] = {}
        self._next_port = 40_000
        self.accept_error: OSError | None = None  # of every listener, while it is set
        # By host, what its look-up does; of all others the name is the address.
        self.names: dict[str, Callable[[], list[str]]] = {}

    def bind(self, host: str, port: int) -> list[MemoryListener]:
        if port == 0:
            port = self._next_port
            self._next_port += 1
        if (host, port) in self._listeners:
            raise OSError(98, "Address already in use")
        listener = self._listeners[(host, port)] = MemoryListener(self, (host, port))
        return [listener]

    def look_up(self, host: str) -> list[str]:
        return self.names[host]() if host in self.names else [host]

    def forget(self, address: tuple[str, int]) -> None:
        self._listeners.pop(address, None)

    async def connect(self, host: str, port: int, from_host: str = "client") -> MemoryStream:
        listener = self._listeners.get((host, port))
        if listener is None or not listener.started:
            raise ConnectionRefusedError(111, "Connection refused")
        client, server = link((host, port), (from_host, self._next_port))
        self._next_port += 1
        await listener.offer(server)
        return MemoryStream(client)


def link(
    server: tuple[str, int] = ("broker", 9092), client: tuple[str, int] = ("client", 1)
) -> tuple[MemoryTransport, MemoryTransport]:
    """The client's and the server's end."""
    up, down = _Pipe(), _Pipe()
    return MemoryTransport(down, up, client, server), MemoryTransport(up, down, server, client)
