"""Takes log directories offline that fail while the broker runs.

A file that fails takes its partition offline, and its log directory is examined: something is
written to it and read back. If that fails too, the directory is offline, with all that is in it,
until the next start. Kafka's LogDirFailureHandler takes it offline at once. The broker stops if the
directory of the metadata log fails, or the last directory that worked.
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


class FailureWatch:
    """One broker's. It examines the directories of which the store has reports."""

    def __init__(
        self,
        disk: Disk,
        store: LogStore,
        table: PartitionTable,
        moves: Moves,
        config: BrokerConfig,
        on_failure: Callable[[bytes], None],
    ) -> None:
        """`on_failure` is called with the id of a directory that has failed."""
        self._disk = disk
        self._store = store
        self._table = table
        self._moves = moves
        self._config = config
        self._on_failure = on_failure

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled; DiskError when the broker cannot go on."""
        task_status.started()
        while True:
            with trio.move_on_after(
                min(self._config.replica_high_watermark_checkpoint_interval_ms / 1000, NEVER_S)
            ):
                await self._store.failures.wait()
            reported = self._store.failures.take()
            for directory in self._store.directories:
                if self._is_suspect(directory, reported):
                    await self._examine(directory)

    def _is_suspect(self, directory: LogDir, reported: set[str]) -> bool:
        """Whether a failure was reported there, or somebody has unmounted or removed the directory,
        which shows in no report while nothing is written to it.
        """
        root = os.path.abspath(directory.path)
        return any(
            path == root or path.startswith(f"{root}/") for path in map(os.path.abspath, reported)
        ) or not self._disk.exists(f"{directory.path}/{META_PROPERTIES}")

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
        for partition in affected:
            partition.go_offline()
        self._moves.on_directory_failed(directory)
        if not self._store.directories:
            raise DiskError(directory.path, f"{error.reason}, and no other log directory is left")
        assert directory.meta.directory_id is not None
        self._on_failure(directory.meta.directory_id)
