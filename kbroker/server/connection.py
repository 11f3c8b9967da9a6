"""One client connection: reads requests and writes the answers in the order of the requests.

The reader takes every whole frame that has arrived, gives each to dispatch, and sends the answers
together. If an answer must wait (a coroutine), the reader stops, as Kafka mutes a channel. If the
API is pipelined (Produce), the answer waits in a task of its own, the reader goes on, and later
answers queue behind it. While an answer cannot be sent, or too many wait, nothing is read.
Limits: `PENDING_MAX`, `socket.request.max.bytes` and `queued.max.request.bytes`.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import trio

from kbroker.requests.services import CloseConnection
from kbroker.storage.disk import FileRange
from kbroker.storage.errors import DiskError

from .buffers import POOLED_BUFFER_BYTES
from .dispatch import Deferred

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from kbroker.requests.services import ConnectionInfo
    from kbroker.storage.disk import File

    from .buffers import BufferPool, RequestMemory
    from .dispatch import Answer, Dispatcher
    from .transport import Transport

    # Of one turn: bytes consumed, answers to be sent at once, what comes after them and may have to
    # wait, and whether there is no whole frame left.
    _Taken = tuple[int, list[bytes], Answer | Deferred | CloseConnection | None, bool]

# Answers of one connection that wait. Java's producer keeps 5 in flight.
PENDING_MAX = 100
FILE_SEND_BYTES_MAX = 1 << 18
# What is looked for in the page cache, and read into it, at a time: what is there must be sent
# before it goes again.
READ_AHEAD_BYTES_MAX = 1 << 20
# A client that has not read for longer may find that it went.
RESIDENT_S = 1.0
# What is answered of one packet before it is sent and other connections have their turn: small
# requests may have large answers.
REQUESTS_A_TURN_MAX = 64
ANSWERED_BYTES_MAX = 64 * 1024
_REQUEST_SHARE = ANSWERED_BYTES_MAX // REQUESTS_A_TURN_MAX
CLOSED = (trio.BrokenResourceError, trio.ClosedResourceError, OSError)

log = logging.getLogger("kbroker.connection")


class _Slot:
    """The place in line of an answer that is not there yet."""

    __slots__ = ("answer", "ready")

    def __init__(self) -> None:
        self.ready = False
        self.answer: Answer | None = None


class Connection:
    """Serves one transport until either side ends it. `run` closes the transport."""

    __slots__ = (
        "_buffers",
        "_disk_threads",
        "_dispatcher",
        "_drained",
        "_is_parked",
        "_memory",
        "_nursery",
        "_queue",
        "_read_scope",
        "_sending",
        "_stopping",
        "_taken_bytes",
        "_transport",
        "info",
        "waits_since",
    )

    def __init__(
        self,
        transport: Transport,
        info: ConnectionInfo,
        dispatcher: Dispatcher,
        buffers: BufferPool,
        memory: RequestMemory,
        disk_threads: trio.CapacityLimiter,
    ) -> None:
        """`disk_threads`: of those that read what is to be sent from the disk."""
        self.info = info
        self._disk_threads = disk_threads
        self._transport = transport
        self._dispatcher = dispatcher
        self._buffers = buffers
        self._memory = memory
        self._taken_bytes = 0  # of `memory`, for the request that is half received
        self._queue: list[_Slot] = []  # short, and most often empty: less memory than a deque
        self._sending = False
        self._drained: trio.Event | None = None  # of a reader that waits for a shorter line
        self._is_parked = False  # the reader waits for bytes
        self._stopping = False
        self._read_scope = trio.CancelScope()
        self._nursery: trio.Nursery | None = None
        # Since when (Trio's time) it waits, be it for a request, an answer, or for the client to
        # read: of someone who waits now.
        self.waits_since = trio.current_time()

    @property
    def is_ending(self) -> bool:
        """Whether it was told to stop, or is cut."""
        return self._stopping

    def stop(self) -> None:
        """Take no further request; requests in flight are still answered."""
        self._stopping = True
        if self._is_parked:
            self._read_scope.cancel()

    def cut(self) -> None:
        """End it now, whatever is still to be answered."""
        self._stopping = True
        if self._nursery is not None:
            self._nursery.cancel_scope.cancel()

    async def run(self) -> None:
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                with self._read_scope:
                    await self._read()
                if not self._stopping:
                    nursery.cancel_scope.cancel()  # the peer is gone: nobody waits for answers
        except* CLOSED:
            pass  # the peer cut the connection, which is its right at any time
        except* CloseConnection as group:
            log.info("closing the connection %s: %s", self.info.connection_id, group.exceptions[0])
        finally:
            self._transport.close()

    async def _read(self) -> None:
        transport, pool = self._transport, self._buffers
        receive = transport.receive_nowait
        while not self._stopping:
            await self._park()
            buffer = pool.take()
            view = memoryview(buffer)
            end = 0
            try:
                while True:
                    if end == len(view):
                        buffer = self._larger(buffer)
                        view = memoryview(buffer)
                    try:
                        received = receive(view[end:])
                    except BlockingIOError:
                        received = -1
                    if received == 0:
                        return
                    is_done = received < 0
                    end += max(received, 0)
                    while not is_done:
                        consumed, ready, last, is_done = self._take_frames(view, end)
                        end -= consumed
                        if consumed:
                            if end:
                                view[:end] = view[consumed : consumed + end]
                            if self._taken_bytes:
                                self._give_memory_back()
                        if pool.is_scarce and end < len(view) == POOLED_BUFFER_BYTES:
                            buffer = self._smaller(buffer, end)
                            view = memoryview(buffer)
                        await self._answer_all(ready, last)
                        if self._stopping:
                            return
                        if last is None and not is_done:
                            await trio.lowlevel.checkpoint()
                    if not end:
                        break  # nothing half received: wait without a buffer
                    if pool.is_scarce and end < len(view) == POOLED_BUFFER_BYTES:
                        buffer = self._smaller(buffer, end)
                        view = memoryview(buffer)
                    if self._memory.is_limited and end >= 4 and not self._taken_bytes:
                        await self._take_memory(_frame_size(buffer))
                    await self._park()
            finally:
                pool.give_back(buffer)
                if self._taken_bytes:
                    self._give_memory_back()

    async def _take_memory(self, size: int) -> None:
        self.waits_since = trio.current_time()
        self._is_parked = True
        await self._memory.take(size)
        self._is_parked = False
        self._taken_bytes = size

    def _give_memory_back(self) -> None:
        self._memory.give_back(self._taken_bytes)
        self._taken_bytes = 0

    def _smaller(self, buffer: bytearray, end: int) -> bytearray:
        """What has come of a request; the pool gets its buffer back."""
        kept = buffer[:end]
        self._buffers.give_back(buffer)
        return kept

    def _larger(self, full: bytearray) -> bytearray:
        """A buffer with the same begin of a frame, and room for more of it.

        It grows as bytes arrive, so that a claimed size alone costs no memory.
        """
        end = len(full)
        if end < POOLED_BUFFER_BYTES:
            larger = self._buffers.take()
        else:
            larger = bytearray(min(_frame_size(full), 2 * end))
        larger[:end] = full
        self._buffers.give_back(full)
        return larger

    async def _park(self) -> None:
        self.waits_since = trio.current_time()
        self._is_parked = True
        await self._transport.wait_readable()
        self._is_parked = False

    def _take_frames(self, view: memoryview, end: int) -> _Taken:
        """Handle the whole frames in view[:end], as many as belong to one turn."""
        start = 0
        ready: list[bytes] = []
        room = ANSWERED_BYTES_MAX
        dispatch = self._dispatcher.dispatch
        request_bytes_max = self._dispatcher.request_bytes_max
        queue = self._queue
        while end - start >= 4:
            size = int.from_bytes(view[start : start + 4], "big", signed=True)
            stop = start + 4 + size
            if not 0 <= size <= request_bytes_max:
                return start, ready, CloseConnection(_bad_size(size, request_bytes_max)), False
            if stop > end:
                break
            try:
                answer = dispatch(view[start + 4 : stop], self.info)
            except CloseConnection as error:
                return start, ready, error, False
            start = stop
            room -= _REQUEST_SHARE
            if type(answer) is bytes and not queue:
                ready.append(answer)
                room -= len(answer)
            elif answer is not None:
                return start, ready, answer, False
            if room <= 0:
                return start, ready, None, False
        return start, ready, None, True

    async def _answer_all(
        self, ready: list[bytes], last: Answer | Deferred | CloseConnection | None
    ) -> None:
        """Send what is ready, then see to the last."""
        if ready:
            try:
                await self._send_bytes(ready[0] if len(ready) == 1 else b"".join(ready), False)
            except BaseException:
                if isinstance(last, Deferred):
                    # Its request has been handled as far as it goes without waiting. Now it begins
                    # to wait, and is cancelled with this connection.
                    assert self._nursery is not None
                    self._nursery.start_soon(_wait_in_vain, last.coroutine)
                raise
        if last is None:
            return
        if isinstance(last, CloseConnection):
            raise last
        if isinstance(last, Deferred):
            self.waits_since = trio.current_time()
            if last.pipelined:
                await self._enqueue(last.coroutine)
                return
            answer = await last.coroutine
            if answer is None:
                return
            last = answer
        await self._answer(last)

    async def _answer(self, answer: Answer) -> None:
        if not self._queue:
            await self._send(answer)
            return
        slot = _Slot()
        slot.answer, slot.ready = answer, True
        await self._line_up(slot)

    async def _enqueue(self, coroutine: Awaitable[Answer | None]) -> None:
        slot = _Slot()
        assert self._nursery is not None
        self._nursery.start_soon(self._resolve, coroutine, slot)
        await self._line_up(slot)

    async def _line_up(self, slot: _Slot) -> None:
        self._queue.append(slot)
        while len(self._queue) >= PENDING_MAX:
            self._drained = trio.Event()
            await self._drained.wait()

    async def _resolve(self, coroutine: Awaitable[Answer | None], slot: _Slot) -> None:
        slot.answer = await coroutine
        slot.ready = True
        if self._sending or not self._queue[0].ready:
            return
        self._sending = True
        try:
            while self._queue and self._queue[0].ready:
                # Taken from the line only once it is sent: the reader sends by itself when the line
                # is empty.
                answer = self._queue[0].answer
                if answer is not None:
                    await self._send(answer)
                self._queue.pop(0)
                if self._drained is not None:
                    self._drained.set()
        finally:
            self._sending = False

    async def _send(self, answer: Answer) -> None:
        if isinstance(answer, bytes):
            await self._send_bytes(answer, False)
            return
        last = len(answer) - 1
        for i, chunk in enumerate(answer):
            if isinstance(chunk, FileRange):
                await self._send_file(chunk)
            else:
                assert isinstance(chunk, bytes | memoryview)
                await self._send_bytes(chunk, i < last)

    async def _send_bytes(self, data: bytes | memoryview, more: bool) -> None:
        transport = self._transport
        try:
            sent = transport.send_nowait(data, more)
        except BlockingIOError:
            sent = 0
        if sent == len(data):
            return
        rest = memoryview(data)[sent:]
        while rest:
            self.waits_since = trio.current_time()
            await transport.wait_writable()
            try:
                rest = rest[transport.send_nowait(rest, more) :]
            except BlockingIOError:
                continue

    async def _send_file(self, chunk: FileRange) -> None:
        """In pieces, and never waiting for the disk but in a thread: others have their turn."""
        transport, file = self._transport, chunk.file
        position, end = chunk.position, chunk.position + chunk.size
        resident_to = position
        while position < end:
            if position >= resident_to:
                resident_to = min(end, position + READ_AHEAD_BYTES_MAX)
                await self._read_ahead(file, position, resident_to - position)
            size = min(resident_to - position, FILE_SEND_BYTES_MAX)
            try:
                sent = transport.send_file_nowait(file, position, size)
            except BlockingIOError:
                since = self.waits_since = trio.current_time()
                await transport.wait_writable()
                if trio.current_time() > since + RESIDENT_S:
                    resident_to = position
                continue
            if not sent:
                # The log promised these bytes; without them the frame cannot be completed.
                missing = end - position
                raise CloseConnection(
                    f"{missing} bytes are missing at position {position} of {file.path}"
                )
            position += sent
            if position < end:
                await trio.lowlevel.checkpoint()

    async def _read_ahead(self, file: File, position: int, size: int) -> None:
        if file.is_resident(position, size):
            return
        self.waits_since = trio.current_time()
        try:
            await trio.to_thread.run_sync(file.warm, position, size, limiter=self._disk_threads)
        except DiskError as error:
            raise CloseConnection(str(error)) from error


async def _wait_in_vain(coroutine: Awaitable[object]) -> None:
    await coroutine


def _bad_size(size: int, request_bytes_max: int) -> str:
    return (
        f"the request has an invalid size of {size} bytes "
        f"(socket.request.max.bytes={request_bytes_max})"
    )


def _frame_size(buffer: bytearray) -> int:
    """Bytes of the frame at the start of `buffer`, its size field included."""
    return 4 + int.from_bytes(buffer[:4], "big")
