"""Files and directories that wait to be removed. Kafka deletes in two steps.

What is no longer part of a log is renamed at once (`.deleted`, `-delete`), and removed after
`file.delete.delay.ms` by the caller of `take_expired`. So a fetch that is reading the file can end.
After a crash in between, the next start finds the names and removes the files.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from .disk import Disk


class Deletion(NamedTuple):
    """One file or directory tree to remove. `run` blocks and may be called in a thread."""

    due_ms: int
    path: str
    is_dir: bool

    def run(self, disk: Disk) -> None:
        """Remove it; it may be gone already. DiskError."""
        if self.is_dir:
            disk.remove_tree(self.path)
        else:
            disk.unlink(self.path)


class Deletions:
    """The waiting ones of any number of logs, soonest first."""

    __slots__ = ("_heap",)

    def __init__(self) -> None:
        self._heap: list[Deletion] = []

    def __len__(self) -> int:
        return len(self._heap)

    @property
    def next_due_ms(self) -> int | None:
        """When `take_expired` will have something, None if nothing waits."""
        return self._heap[0].due_ms if self._heap else None

    def add(self, path: str, due_ms: int, *, is_dir: bool = False) -> None:
        heapq.heappush(self._heap, Deletion(due_ms, path, is_dir))

    def take_expired(self, now_ms: int) -> list[Deletion]:
        """Those that are due, soonest first. They are the caller's to `run`."""
        expired = []
        while self._heap and self._heap[0].due_ms <= now_ms:
            expired.append(heapq.heappop(self._heap))
        return expired
