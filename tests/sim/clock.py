"""Virtual time, which does not depend on how fast the machine is."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import trio.abc
import trio.testing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class TickingClock(trio.abc.Clock):
    """Each look at it moves it on by `tick_s`, so that work takes time wherever it runs.

    Trio looks once or twice a turn of its loop, and whoever yields by time looks between two steps:
    so turns are as long as they are cut. What sleeps is woken when enough looks have been taken.
    """

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


# How long (of real time) the virtual time stands still for a worker thread: longer than any call
# takes on a busy machine, and short enough for tests that hold a thread up on purpose.
PATIENCE_S = 0.1


class BusyThreads:
    """The calls of `trio.to_thread.run_sync` that are running or waiting for their thread."""

    def __init__(self, run_sync: Callable[..., Awaitable[Any]]) -> None:
        self._run_sync = run_sync
        self._began: dict[object, float] = {}  # of each call: when, in real time

    async def run_sync(self, *args: Any, **kwargs: Any) -> Any:
        """In place of `trio.to_thread.run_sync`."""
        call = object()
        self._began[call] = time.monotonic()
        try:
            return await self._run_sync(*args, **kwargs)
        finally:
            del self._began[call]

    def may_be_done_soon(self) -> bool:
        """Whether there is a call that is not held up."""
        now = time.monotonic()
        return any(now - began < PATIENCE_S for began in self._began.values())


def patient_clock(threads: BusyThreads, autojump_threshold: float = 0) -> trio.testing.MockClock:
    """A clock that jumps when all tasks are blocked, but not while a worker thread is at work.

    Trio takes a task that waits for a thread for blocked, so on a busy machine its own clock would
    let every timeout expire before the thread has its turn.
    """
    clock = trio.testing.MockClock(autojump_threshold=autojump_threshold)
    jump = clock._autojump

    def jump_unless_busy() -> None:
        if threads.may_be_done_soon():
            time.sleep(0.0002)  # the thread needs the interpreter
        else:
            jump()

    clock._autojump = jump_unless_busy  # type: ignore[method-assign]
    return clock
