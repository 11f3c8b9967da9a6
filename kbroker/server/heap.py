"""Returns memory to the system after many connections have closed.

glibc keeps memory that is freed in the middle of its heap. After a large number of connections that
may be hundreds of megabytes. `malloc_trim` gives it back; where it does not exist, nothing is done.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

# So many fewer connections than there were are worth a look at the heap, once no more go.
FEWER_MIN = 256
CALM_S = 2.0


class HeapTrimmer:
    """Told of each connection that comes or goes; `run` trims after many have gone."""

    def __init__(self, trim: Callable[[], Awaitable[None]] | None = None) -> None:
        self._trim = trim or _trim
        self._peak = 0
        self._count = 0
        self._many_gone = trio.Event()

    def count(self, connections: int) -> None:
        """There are so many connections now."""
        self._count = connections
        if connections > self._peak:
            self._peak = connections
        elif self._peak - connections >= FEWER_MIN:
            self._many_gone.set()

    async def run(self) -> None:
        while True:
            await self._many_gone.wait()
            count = self._count
            await trio.sleep(CALM_S)
            if self._count < count:
                continue  # they are still going
            self._many_gone = trio.Event()
            self._peak = self._count
            await self._trim()


async def _trim() -> None:
    await trio.to_thread.run_sync(_trim_heap)


def _trim_heap() -> None:
    if sys.platform != "linux":
        return
    import ctypes  # not at the top: a start does without it

    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
    if trim is not None:
        trim(0)
