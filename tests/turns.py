"""Holds the tests to short turns of the event loop: whatever a task of ours does between two
checkpoints, nobody else is served.

A turn is too long at 100 ms of CPU time, which other processes on a busy machine do not lengthen;
the garbage collector's share, which is the whole test session's, does not count. What waits instead
of computing shows in no CPU time, so the calls that may wait are not made at all in such a turn:
name look-ups, fsyncs, sleeps, other processes. Reads and writes of files are, for they meet the
page cache; so is all that a task of a test does itself.

With KBROKER_TURNS=wall a turn of 100 ms by the clock on the wall is too long as well. That takes a
machine on which nothing else runs.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio

from kbroker.storage.os_disk import OsDisk, OsFile

from .sim.disk import SimDisk, SimFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

TURN_S_MAX = 0.1
WALL = os.environ.get("KBROKER_TURNS") == "wall"
OFF = os.environ.get("KBROKER_TURNS") == "off"
ROOT = str(Path(__file__).parent.parent)
OURS = tuple(f"{ROOT}/{folder}/" for folder in ("kbroker", "wire", "storage", "controller"))
# Tasks that hold up nobody but themselves: a command's, and that in which a broker starts and ends.
ALONE = tuple(f"{ROOT}/kbroker/{name}" for name in ("client/", "commands/", "testing/"))
# Events of sys.addaudithook.
WAITING_EVENTS = frozenset(
    (
        *("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"),
        *("socket.getnameinfo", "subprocess.Popen", "os.system", "os.posix_spawn"),
        *("os.fork", "shutil.rmtree", "urllib.Request"),
    )
)
# What no audit hook is told of. Of disks the methods, so that a simulated one waits as a real one.
WAITING_FUNCTIONS = (
    (time, "sleep"),
    *((OsFile, "fsync"), (OsDisk, "fsync_dir")),
    *((SimFile, "fsync"), (SimDisk, "fsync_dir")),
)
# Where a call may wait all the same: below these functions, or all of a file.
MAY_WAIT = frozenset(
    (
        # Before anybody is served: logs are opened after a crash.
        *("storage/log_opening.py", "storage/log_dir.py:LogDir.promote_found_future"),
        # Once, where a segment follows one that a crash had mended.
        "storage/durability.py:Durability.sync_before_roll",
        "kbroker/log_dirs/moves.py:Moves.resume",
        # A copy takes its log's place between two requests, and may begin anew once.
        "kbroker/log_dirs/moves.py:Moves._exchange",
        "storage/truncation.py:truncate_fully_and_start_at",
    )
)


class _Turn(threading.local):
    """The turn that this thread is in, if it is one of a task of ours."""

    task: trio.lowlevel.Task | None = None
    collecting_s = 0.0
    collecting_since = 0.0


class Turns(trio.abc.Instrument):
    """What was wrong, of all event loops of the session; `watch` puts it to use."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self._turn = _Turn()
        self._started = threading.local()

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if is_ours(task):
            turn = self._turn
            turn.task = task
            turn.collecting_s = 0.0
            self._started.wall, self._started.cpu = time.perf_counter(), time.thread_time()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        turn = self._turn
        if turn.task is None:
            return
        turn.task = None
        cpu_s = time.thread_time() - self._started.cpu - turn.collecting_s
        wall_s = time.perf_counter() - self._started.wall - turn.collecting_s
        if cpu_s > TURN_S_MAX or (WALL and wall_s > TURN_S_MAX):
            self.faults.append(
                f"{task.name}: a turn of {cpu_s * 1000:.0f} ms of CPU time and "
                f"{wall_s * 1000:.0f} ms in all"
            )

    def waits(self, what: str) -> None:
        """Something is about to be called that may wait."""
        task = self._turn.task
        if task is not None:
            self._turn.task = None  # what this calls is of the test
            frames = _frames()
            if not any(MAY_WAIT & {path, f"{path}:{name}"} for path, name, _ in frames):
                callers = " < ".join(f"{path}:{line} {name}" for path, name, line in frames[:8])
                self.faults.append(f"{task.name} calls {what}: {callers}")
            self._turn.task = task

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in WAITING_EVENTS and self._turn.task is not None:
            self.waits(f"{event}{arguments!r:.80}")

    def _collects(self, phase: str, info: dict[str, int]) -> None:
        turn = self._turn
        if phase == "start":
            turn.collecting_since = time.thread_time()
        else:
            turn.collecting_s += time.thread_time() - turn.collecting_since

    def watch(self) -> None:
        """Every event loop that this process starts from here on. For good: an audit hook stays."""
        if OFF:
            return
        run: Callable[..., Any] = trio.run

        def run_watched(*args: Any, instruments: Any = (), **options: Any) -> Any:
            return run(*args, instruments=[*instruments, self], **options)

        trio.run = run_watched  # type: ignore[assignment]
        sys.addaudithook(self._audit)
        gc.callbacks.append(self._collects)
        for owner, name in WAITING_FUNCTIONS:
            setattr(owner, name, self._told(name, getattr(owner, name)))

    def _told(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            self.waits(name)
            return function(*args)

        return call


def is_ours(task: trio.lowlevel.Task) -> bool:
    """Whether the task runs a function of the product, and not one of a test."""
    code = getattr(task.coro, "cr_code", None)
    if code is None:
        return False
    path = _path(code.co_filename)
    return path.startswith(OURS) and not path.startswith(ALONE)


@cache
def _path(file_name: str) -> str:
    return os.path.realpath(file_name)  # kbroker/storage is a link


def _frames() -> list[tuple[str, str, int]]:
    """Path, function and line of our frames on this thread's stack, innermost first."""
    frame: FrameType | None = sys._getframe()
    found = []
    while frame is not None:
        path = _path(frame.f_code.co_filename)
        if path.startswith(OURS):
            found.append((path.removeprefix(f"{ROOT}/"), frame.f_code.co_qualname, frame.f_lineno))
        frame = frame.f_back
    return found
