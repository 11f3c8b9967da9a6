"""Read buffers, lent to connections only while bytes of theirs are at hand: an idle connection
holds none.
"""

from __future__ import annotations

POOLED_BUFFER_BYTES = 256 * 1024
POOLED_BUFFERS_MAX = 8


class BufferPool:
    """Buffers of one size. What is returned beyond a few is left to the garbage collector."""

    __slots__ = ("_free",)

    def __init__(self) -> None:
        self._free: list[bytearray] = []

    def take(self) -> bytearray:
        return self._free.pop() if self._free else bytearray(POOLED_BUFFER_BYTES)

    def give_back(self, buffer: bytearray) -> None:
        """Only buffers that nothing refers to any more."""
        if len(buffer) == POOLED_BUFFER_BYTES and len(self._free) < POOLED_BUFFERS_MAX:
            self._free.append(buffer)
