"""The interface to the wall clock. Timers use Trio's clock; a test moves both together."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Wall time for record timestamps, retention and expiry."""

    def wall_ms(self) -> int:
        """Milliseconds since the Unix epoch."""
        ...


class SystemClock:
    """The machine's own time."""

    __slots__ = ()

    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000
