"""A clock that each look moves on, so that work takes time wherever it runs.

Trio looks once or twice a turn of its loop, and whoever yields by time looks between two steps: so
turns are as long as they are cut, whatever machine the test runs on. What sleeps is woken when
enough looks have been taken.
"""

from __future__ import annotations

import trio.abc


class TickingClock(trio.abc.Clock):
    """`tick_s` a look."""

    def __init__(self, tick_s: float) -> None:
        self.tick_s = tick_s
        self.looks = 0

    def start_clock(self) -> None:
        pass

    def current_time(self) -> float:
        self.looks += 1
        return self.looks * self.tick_s

    def deadline_to_sleep_time(self, deadline: float) -> float:
        return 0  # look again
