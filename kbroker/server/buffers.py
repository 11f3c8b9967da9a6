"""Memory for requests: a pool of read buffers, and the limit on bytes that are half received.

A connection holds a buffer only while it has bytes to read; an idle one holds none.
"""

from __future__ import annotations

import trio

POOLED_BUFFER_BYTES = 256 * 1024
POOLED_BUFFERS_MAX = 8
# With more lent out, whoever waits for the rest of a request keeps what there is of it, no more.
LENT_BUFFERS_MAX = 32


class BufferPool:
    """Buffers of one size. What is returned beyond a few is left to the garbage collector."""

    __slots__ = ("_free", "lent")

    def __init__(self) -> None:
        self._free: list[bytearray] = []
        self.lent = 0

    @property
    def is_scarce(self) -> bool:
        """Whether a buffer is not to be kept over a wait."""
        return self.lent > LENT_BUFFERS_MAX

    def take(self) -> bytearray:
        self.lent += 1
        return self._free.pop() if self._free else bytearray(POOLED_BUFFER_BYTES)

    def give_back(self, buffer: bytearray) -> None:
        """A buffer that nothing refers to any more. One that is not of the pool is left alone."""
        if len(buffer) != POOLED_BUFFER_BYTES:
            return
        self.lent -= 1
        if len(self._free) < POOLED_BUFFERS_MAX:
            self._free.append(buffer)


class RequestMemory:
    """`queued.max.request.bytes`, as Kafka's SimpleMemoryPool: a request that has begun to arrive
    takes its whole size, which is granted where anything at all is left. So whoever was granted it
    can go on to the end, and all together are over the limit by one request at most.

    A request that comes whole, or in one go, is handled where it is and takes nothing.
    """

    __slots__ = ("_left", "_some_left", "is_limited")

    def __init__(self, bytes_max: int) -> None:
        self.is_limited = bytes_max > 0
        self._left = bytes_max
        self._some_left = trio.Event()

    async def take(self, size: int) -> None:
        """Wait for memory for a request, which `give_back` must return."""
        while self._left <= 0:
            await self._some_left.wait()
        self._left -= size

    def give_back(self, size: int) -> None:
        self._left += size
        if self._left > 0:
            self._some_left.set()
            self._some_left = trio.Event()
