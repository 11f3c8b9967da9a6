"""The fsyncs of one flush, which may run in a thread."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from .errors import DiskError, DiskFull, OutOfDescriptors

if TYPE_CHECKING:
    from collections.abc import Callable

    from .disk import Disk, File


class FlushPlan:
    """What to sync so that all offsets below `end_offset` survive a power loss."""

    __slots__ = (
        "_disk",
        "active_base_offset",
        "directories",
        "end_offset",
        "error",
        "files",
        "is_done",
        "paths",
        "truncations",
        "write_epochs",
    )

    def __init__(
        self, disk: Disk, end_offset: int, active_base_offset: int, truncations: int
    ) -> None:
        """`truncations`: how often the log had been truncated when this was planned."""
        self._disk = disk
        self.end_offset = end_offset
        self.active_base_offset = active_base_offset
        self.truncations = truncations
        self.files: list[File] = []  # open ones
        self.paths: list[str] = []  # files to open for it; one that is gone needs no sync
        self.directories: list[str] = []
        self.write_epochs: Callable[[], None] | None = None  # where the file lags
        self.error: DiskError | None = None
        self.is_done = False

    def run(self) -> None:
        """Sync. DiskError.

        After DiskFull (OutOfDescriptors is one) no sync has failed: call `flush.abandon_flush`, and
        flush again later. After any other the log must be told (`Log.fail`).
        """
        try:
            if self.write_epochs is not None:
                with suppress(FileNotFoundError):
                    self.write_epochs()
            self._sync()
        except DiskFull:
            raise  # the file of epochs is as it was
        except DiskError as error:
            self.error = error
            raise
        self.is_done = True

    def _sync(self) -> None:
        try:
            for file in self.files:
                file.fsync()
            for path in self.paths:
                with suppress(FileNotFoundError):
                    self._disk.open(path).fsync()
            for path in self.directories:
                with suppress(FileNotFoundError):
                    self._disk.fsync_dir(path)
        except OutOfDescriptors:
            raise  # a file could not be opened
        except DiskFull as error:
            # No room for what was written before: unlike a refused write, it may have lost that.
            raise DiskError(error.log_dir, error.reason) from error
