"""Logs errors of files. A shortage that affects all partitions is logged once."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from kbroker import descriptors
from kbroker.complaints import Complaints
from kbroker.storage.errors import DiskFull, OutOfDescriptors

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable

    from kbroker.clock import Clock
    from kbroker.storage.errors import StorageError

log = logging.getLogger("kbroker.logs")


class Trouble:
    """One broker's. Each trouble is told when it begins, and no more while it lasts."""

    def __init__(self, clock: Clock, log_dirs: Collection[str]) -> None:
        self._complaints = Complaints(lambda: clock.wall_ms() / 1000)
        self._log_dirs = sorted(log_dirs, key=len, reverse=True)

    def is_news(self, what: Hashable) -> bool:
        """As `Complaints`, for what others log."""
        return self._complaints.is_news(what)

    def tell(self, what: str, error: StorageError) -> None:
        """`what` begins the line."""
        if isinstance(error, OutOfDescriptors):
            if self._complaints.is_news(OutOfDescriptors):
                log.error(
                    "%s: %s. All %d file descriptors of this process are in use. Raise the limit "
                    "(ulimit -n, or LimitNOFILE= of systemd), or use fewer connections and "
                    "partitions. Requests that need a file descriptor fail until some are free.",
                    *(what, error, descriptors.limit()),
                )
        elif isinstance(error, DiskFull):
            directory = self._log_dir_of(error.log_dir)
            if self._complaints.is_news((DiskFull, directory)):
                log.error(
                    "%s: %s. %s is full. Nothing is written there until it has room.",
                    *(what, error, directory),
                )
        elif self._complaints.is_news((what, str(error))):
            log.error("%s: %s", what, error)

    def _log_dir_of(self, path: str) -> str:
        return next((each for each in self._log_dirs if path.startswith(f"{each}/")), path)
