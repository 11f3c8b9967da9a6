"""The listeners of one broker and the connections they accept."""

from __future__ import annotations

import errno
import logging
from typing import TYPE_CHECKING

import trio

from kbroker.complaints import Complaints
from kbroker.requests.services import ConnectionInfo

from .buffers import BufferPool, RequestMemory
from .connection import Connection
from .heap import HeapTrimmer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .binding import BoundListeners, ListenerSettings
    from .dispatch import Dispatcher
    from .limits import ConnectionLimits
    from .transport import Listener, Transport

log = logging.getLogger("kbroker.server")

# Out of descriptors or memory: what is there is served, and accepting goes on when some has come
# back.
ACCEPT_RETRY_ERRORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
ACCEPT_RETRY_S = 0.1
# What to do about it.
HINTS = {
    errno.EMFILE: "; raise the limit (ulimit -n, or LimitNOFILE= of systemd)",
    errno.ENFILE: "; raise the limit of the whole system (fs.file-max)",
}
# Accepted in a row before those who are connected have their turn: a storm of clients must not
# outrun socket.listen.backlog.size, or who is dropped there tries again a second later.
ACCEPTS_A_TURN_MAX = 32
# Reads of what is to be sent and not in memory. More at once do not make a disk faster, and each
# has its share of the interpreter's lock.
DISK_THREADS_MAX = 8


class Server:
    """Accepts the clients of one broker, and serves each connection in a task of its own."""

    def __init__(
        self,
        listeners: BoundListeners,
        dispatcher: Dispatcher,
        limits: ConnectionLimits,
        *,
        grace_s: float,
        queued_request_bytes_max: int = -1,
        heap: HeapTrimmer | None = None,
    ) -> None:
        self._listeners = listeners
        self._dispatcher = dispatcher
        self._limits = limits
        self._grace_s = grace_s
        self._buffers = BufferPool()
        self._memory = RequestMemory(queued_request_bytes_max)
        self._disk_threads = trio.CapacityLimiter(DISK_THREADS_MAX)
        self._connections: set[Connection] = set()
        self._heap = heap or HeapTrimmer()
        self._stopping = trio.Event()
        self._accepted = 0
        for settings, _ in listeners:
            limits.add_listener(settings.name)

    def limits_changed(self, keys: Iterable[str]) -> None:
        """These keys of the configuration have new values: who is over a lower limit goes."""
        self._limits.changed(keys)
        self._limits.cut_excess(self._connections)

    def stop(self) -> None:
        """Accept no one, take no request more; `run` ends when those in flight are answered."""
        self._stopping.set()

    async def run(
        self, backlog: int, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Serve until `stop`. OSError if an address that was bound cannot be listened on."""
        try:
            await self._limits.overrides.settle()
            for _, listener in self._listeners:
                listener.start(backlog)
            async with trio.open_nursery() as connections:
                async with trio.open_nursery() as accepting:
                    accepting.start_soon(self._limits.close_idle, self._connections)
                    accepting.start_soon(self._limits.overrides.run)
                    accepting.start_soon(self._heap.run)
                    for settings, listener in self._listeners:
                        accepting.start_soon(self._accept, settings, listener, connections)
                    task_status.started()
                    await self._stopping.wait()
                    accepting.cancel_scope.cancel()
                self._listeners.close()
                for connection in self._connections:
                    connection.stop()
                connections.cancel_scope.deadline = trio.current_time() + self._grace_s
        finally:
            self._listeners.close()

    async def _accept(
        self, settings: ListenerSettings, listener: Listener, connections: trio.Nursery
    ) -> None:
        limits = self._limits
        complaints = Complaints(trio.current_time)
        in_a_row = 0
        while True:
            try:
                transport = await listener.accept()
            except OSError as error:
                if error.errno not in ACCEPT_RETRY_ERRORS:
                    raise
                if complaints.is_news(error.errno):
                    log.warning(
                        "cannot accept connections to %s now: %s%s",
                        *(settings.name, error.strerror, HINTS.get(error.errno or 0, "")),
                    )
                await trio.sleep(ACCEPT_RETRY_S)
                continue
            try:
                await limits.wait_for_turn(settings.name)
            except trio.Cancelled:
                transport.close()
                raise
            if limits.admit(settings.name, transport.peer_address[0]):
                connections.start_soon(self._serve, settings, transport)
                limits.cut_excess(self._connections)
            else:
                transport.close()
            in_a_row += 1
            if in_a_row == ACCEPTS_A_TURN_MAX:
                in_a_row = 0
                await trio.lowlevel.checkpoint()

    async def _serve(self, settings: ListenerSettings, transport: Transport) -> None:
        host, port = transport.local_address
        peer_host, peer_port = transport.peer_address
        self._accepted += 1
        info = ConnectionInfo(
            connection_id=f"{host}:{port}-{peer_host}:{peer_port}-{self._accepted}",
            listener=settings.name,
            local_host=host,
            local_port=port,
            peer_host=peer_host,
            advertised=settings.advertised or (host, port),
            peer_port=peer_port,
        )
        connection = Connection(
            transport, info, self._dispatcher, self._buffers, self._memory, self._disk_threads
        )
        self._connections.add(connection)
        self._heap.count(len(self._connections))
        try:
            await connection.run()
        finally:
            self._connections.discard(connection)
            if info.on_close is not None:
                info.on_close()
            self._heap.count(len(self._connections))
            self._limits.release(settings.name, peer_host)
