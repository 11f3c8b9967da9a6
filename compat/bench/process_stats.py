"""CPU time and resident memory of a process with its children, from /proc."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

_LOOK_S = 0.5
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")

# Fields of /proc/PID/stat after the command's closing parenthesis, counted from 0 (proc(5) has +3).
_PARENT = 1
_UTIME, _STIME, _CHILD_UTIME, _CHILD_STIME = 11, 12, 13, 14


def cpu_s(pid: int) -> float:
    """Seconds of CPU that the process, its living children and those it has reaped have used."""
    return sum(_own_cpu_s(member) for member in _family(pid))


def rss_bytes(pid: int) -> int:
    """Resident memory of the process and its living children."""
    return sum(_own_rss_bytes(member) for member in _family(pid))


class RssOverTime:
    """Looks how much memory a process has, for as long as this is entered."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.points: list[tuple[float, float]] = []  # (seconds, MB)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._done.set()
        self._thread.join()

    def _look(self) -> None:
        began = time.monotonic()
        while not self._done.is_set():
            self.points.append((time.monotonic() - began, rss_bytes(self._pid) / 1e6))
            self._done.wait(_LOOK_S)


def _own_cpu_s(pid: int) -> float:
    fields = _stat(pid)
    ticks = sum(int(fields[i]) for i in (_UTIME, _STIME, _CHILD_UTIME, _CHILD_STIME))
    return ticks / _TICKS_PER_S


def _own_rss_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"/proc/{pid}/status has no VmRSS")


def _family(pid: int) -> list[int]:
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int(_stat(int(entry.name))[_PARENT])
            except (FileNotFoundError, ProcessLookupError):
                continue  # it ended while we looked
    family = [pid]
    for member in family:  # grows while it is walked
        family += [child for child, parent in parents.items() if parent == member]
    return family


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
