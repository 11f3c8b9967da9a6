"""Sees to log directories that fail while the broker runs.

A file that fails takes its partition offline, and its log directory comes under suspicion:
something is written to it and read back. If that fails too, the directory is offline with all that
is in it until the next start (Kafka's LogDirFailureHandler, which does not try). Without the
directory of the metadata log, or without any, no broker goes on.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Final

import trio

from kbroker.storage.checkpoints import META_PROPERTIES
from kbroker.storage.errors import DiskError, DiskFull

if TYPE_CHECKING:
    from collections.abc import Callable

    from kbroker.config import BrokerConfig
    from kbroker.partitions.table import PartitionTable
    from kbroker.storage.disk import Disk
    from kbroker.storage.log_dir import LogDir

    from .moves import Moves
    from .store import LogStore

NEVER_S: Final = 10.0 * 365 * 86_400

log = logging.getLogger("kbroker.logs")


class DirectoryWatch:
    """One broker's. It is what the store calls for a suspicion."""

    def __init__(
        self,
        disk: Disk,
        store: LogStore,
        table: PartitionTable,
        moves: Moves,
        config: BrokerConfig,
        on_failure: Callable[[bytes], None],
    ) -> None:
        """`on_failure` is told the id of a directory that has failed."""
        self._disk = disk
        self._store = store
        self._table = table
        self._moves = moves
        self._config = config
        self._on_failure = on_failure
        self._suspects: set[LogDir] = set()
        self._suspected = trio.Event()
        store.suspect = self.suspect

    def suspect(self, path: str) -> None:
        """Something failed at this path, in or of a log directory."""
        path = os.path.abspath(path)
        for directory in self._store.directories:
            root = os.path.abspath(directory.path)
            if path == root or path.startswith(f"{root}/"):
                self._suspects.add(directory)
                self._suspected.set()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled; DiskError when the broker cannot go on."""
        task_status.started()
        while True:
            with trio.move_on_after(
                min(self._config.replica_high_watermark_checkpoint_interval_ms / 1000, NEVER_S)
            ):
                await self._suspected.wait()
            self._suspected = trio.Event()
            self._look_around()
            while self._suspects:
                await self._examine(self._suspects.pop())

    def _look_around(self) -> None:
        """Somebody may have unmounted or removed a directory that nothing is written to."""
        for directory in self._store.directories:
            if not self._disk.exists(f"{directory.path}/{META_PROPERTIES}"):
                self._suspects.add(directory)

    async def _examine(self, directory: LogDir) -> None:
        try:
            await trio.to_thread.run_sync(directory.probe)
        except DiskFull as error:
            log.warning("cannot examine %s: %s", directory.path, error)
        except DiskError as error:
            self._fail(directory, error)

    def _fail(self, directory: LogDir, error: DiskError) -> None:
        assert directory.meta is not None
        log.error("log directory %s is offline: %s", directory.path, error)
        if self._store.holds_quorum(directory):
            reason = f"{error.reason}, and this directory holds the metadata log"
            raise DiskError(directory.path, reason) from error
        affected = [
            partition
            for partition in self._table
            if self._store.directory_of(partition.log) is directory
        ]
        self._store.fail(directory, error)
        self._suspects.discard(directory)  # it may have come under suspicion once more meanwhile
        for partition in affected:
            partition.go_offline()
        self._moves.on_directory_failed(directory)
        if not self._store.directories:
            raise DiskError(directory.path, f"{error.reason}, and no other log directory is left")
        assert directory.meta.directory_id is not None
        self._on_failure(directory.meta.directory_id)
