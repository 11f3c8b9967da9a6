"""Read buffers, lent to connections only while bytes of theirs are at hand: an idle connection
holds none.
"""

from __future__ import annotations

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
