"""One flush of a log, in three steps, so that the fsyncs can run beside the event loop.

`Log.begin_flush` notes what must be synced for everything appended so far; `FlushPlan.run` does
the fsyncs and nothing else, in a thread if the caller likes; `Log.finish_flush` moves the recovery
point. Whoever waits for an offset below `end_offset` is served by this one flush.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from .errors import DiskError

if TYPE_CHECKING:
    from .disk import Disk, File


class FlushPlan:
    """What to sync so that all offsets below `end_offset` survive a power loss."""

    __slots__ = (
        "_disk",
        "directories",
        "end_offset",
        "error",
        "files",
        "history",
        "is_done",
        "paths",
    )

    def __init__(self, disk: Disk, end_offset: int, history: int) -> None:
        """`history`: how often the log had been truncated when this was planned."""
        self._disk = disk
        self.end_offset = end_offset
        self.history = history
        self.files: list[File] = []  # open ones
        self.paths: list[str] = []  # files to open for it; one that is gone needs no sync
        self.directories: list[str] = []
        self.error: DiskError | None = None
        self.is_done = False

    def run(self) -> None:
        """Sync. After a DiskError the log must be told (`Log.fail`) and the plan not be run
        again.
        """
        try:
            for file in self.files:
                file.fsync()
            for path in self.paths:
                with suppress(FileNotFoundError):
                    self._disk.open(path).fsync()
            for path in self.directories:
                with suppress(FileNotFoundError):
                    self._disk.fsync_dir(path)
        except DiskError as error:
            self.error = error
            raise
        self.is_done = True
