"""Cuts long work on the event loop into turns, so that requests are served in between."""

from __future__ import annotations

import trio


class Turn:
    """Lets others have theirs after so many steps."""

    __slots__ = ("_left", "_steps")

    def __init__(self, steps: int) -> None:
        self._left = self._steps = steps

    async def next(self) -> None:
        """Before each step."""
        if self._left == 0:
            self._left = self._steps
            await trio.lowlevel.checkpoint()
        self._left -= 1


class TimedTurn:
    """Lets others have theirs once so much time has gone by."""

    __slots__ = ("_ends", "_seconds")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._ends = trio.current_time() + seconds

    async def next(self) -> None:
        """Between steps, which should each take a small part of the time."""
        if trio.current_time() >= self._ends:
            await trio.lowlevel.checkpoint()
            self._ends = trio.current_time() + self._seconds
