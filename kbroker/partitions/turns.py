"""Long work on the event loop, cut so that requests have their turn."""

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
