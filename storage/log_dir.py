"""A log directory, one of `log.dirs`: its owner, its logs, and whether it was closed cleanly.

Kafka's LogManager, for one directory. To open a directory takes its lock, checks `meta.properties`
and removes the clean-shutdown marker. Logs are opened when they are asked for. `close` writes the
marker last, when everything that it vouches for is synced.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from . import closing, names
from .checkpoints import (
    META_PROPERTIES,
    PARTITION_METADATA,
    MetaProperties,
    read_partition_metadata,
    write_clean_shutdown,
    write_meta_properties,
)
from .deletions import Deletions
from .errors import CorruptFile, DiskError, DiskFull, StorageError
from .log_opening import open_log
from .offset_checkpoints import OffsetCheckpoints

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from .checkpoints import Partition
    from .disk import DirectoryLock, Disk
    from .hosted_logs import HostedLogs
    from .log import Log
    from .log_config import LogConfig

logger = logging.getLogger(__name__)

# Written to see whether the directory still works.
PROBE_FILE: Final = ".probe"
PROBE: Final = b"kbroker\n"


class LogDir:
    """One log directory, opened and locked for this broker by `open_log_dir`."""

    def __init__(
        self,
        disk: Disk,
        path: str,
        lock: DirectoryLock,
        meta: MetaProperties | None,
        rng: Random,
        *,
        logs: HostedLogs,
        futures: HostedLogs,
        is_clean: bool,
        closed_epoch: int | None,
    ) -> None:
        self.path = path
        self.meta = meta  # None until `format`
        self.is_clean = is_clean  # how it was left
        # By the broker of which epoch it was left clean, None where that is not known (KIP-966).
        self.closed_epoch = closed_epoch
        self.logs = logs
        self.futures = futures  # copies of logs of other directories, on their way into this one
        self.checkpoints = OffsetCheckpoints(disk, path, logs, futures)
        self.deletions = Deletions()
        self._disk = disk
        self._lock = lock
        self._rng = rng

    def format(self, meta: MetaProperties) -> None:
        """Make a fresh directory this broker's."""
        assert self.meta is None, f"{self.path} is formatted already"
        write_meta_properties(self._disk, self.path, meta)
        self.meta = meta

    def assign_directory_id(self, directory_id: bytes) -> None:
        """Give an id to a directory of Kafka 3.3 to 3.6, which had none. DiskError."""
        assert self.meta is not None, f"{self.path} is not formatted"
        meta = self.meta._replace(directory_id=directory_id)
        write_meta_properties(self._disk, self.path, meta)
        self.meta = meta

    # Partitions.

    @property
    def log_count(self) -> int:
        """How many logs are here, opened or not, with the copies on their way here."""
        return len(self.logs) + len(self.futures)

    def all_logs(self) -> list[Log]:
        """Those that are open, with the copies on their way here."""
        return [*self.logs.opened.values(), *self.futures.opened.values()]

    def topic_id(self, topic: str, partition: int) -> bytes | None:
        """What the partition's directory says it belongs to. CorruptFile."""
        opened = self.logs.opened.get((topic, partition))
        if opened is not None:
            return opened.directory.topic_id
        name = names.partition_dir(topic, partition)
        return read_partition_metadata(self._disk, f"{self.path}/{name}/{PARTITION_METADATA}")

    def open_log(
        self,
        topic: str,
        partition: int,
        config: LogConfig,
        *,
        now_ms: int,
        topic_id: bytes | None = None,
        keeps_synced: bool = False,
    ) -> Log:
        """The partition's log, made if there is none. `keeps_synced` as in `log_opening.open_log`.

        A directory of the same name that belongs to another topic id is set aside, not deleted.
        DiskError, CorruptFile.
        """
        key = (topic, partition)
        assert key not in self.logs.opened, f"{key} is open already"
        is_identified = False
        if topic_id is not None and key in self.logs.found:
            stored = self.stored_topic_id(topic, partition)
            is_identified = stored == topic_id
            if stored not in (None, topic_id):
                self.set_aside(topic, partition, names.STRAY_DIR)
        if key not in self.logs.found and self.checkpoints.knows(key):
            # These are offsets of a log that is gone. A crash must not apply them to this one.
            self.checkpoints.write_offsets()
        path = f"{self.path}/{names.partition_dir(topic, partition)}"
        try:
            log = self._open(
                path,
                key,
                config,
                now_ms=now_ms,
                topic_id=topic_id,
                is_identified=is_identified,
                keeps_synced=keeps_synced,
            )
        except StorageError:
            if self._disk.is_dir(path):
                self.logs.found[key] = path  # so that no other directory gets one
            raise
        self.logs.add(log)
        self._check_recovery_point(key, log)
        return log

    # Copies on their way between directories.

    def open_future(
        self,
        topic: str,
        partition: int,
        config: LogConfig,
        *,
        now_ms: int,
        topic_id: bytes,
        start_offset: int = 0,
    ) -> Log:
        """The copy of the partition's log that was begun here, or a new one from `start_offset` on.

        One that belongs to another topic id goes. The caller writes the offset checkpoints before
        it appends to a new one: they may tell of a log that lay here before. DiskError,
        CorruptFile.
        """
        key = (topic, partition)
        assert not self.logs.holds(topic, partition), f"{key} is in {self.path} itself"
        assert key not in self.futures.opened, f"{key} is open already"
        path = self.futures.found.get(key)
        if path is not None and self._topic_id_in(path) not in (None, topic_id):
            self.drop_future(topic, partition, now_ms, 0)
            path = None
        is_new = path is None
        if path is None:
            name = names.marked_dir(topic, partition, self._rng.randbytes(16), names.FUTURE_DIR)
            path = f"{self.path}/{name}"
            self.checkpoints.forget_gone()
        try:
            log = self._open(
                path,
                key,
                config,
                now_ms=now_ms,
                topic_id=topic_id,
                start_offset=start_offset,
                is_copy=True,
            )
        except StorageError:
            if is_new:
                self.deletions.add(path, now_ms, is_dir=True)  # what there is of it
            raise
        self.futures.add(log)
        self._check_recovery_point(key, log)
        return log

    def _open(
        self,
        path: str,
        key: Partition,
        config: LogConfig,
        *,
        now_ms: int,
        topic_id: bytes | None,
        start_offset: int = 0,
        is_identified: bool = False,
        keeps_synced: bool = False,
        is_copy: bool = False,
    ) -> Log:
        """With the offsets in the checkpoints; `start_offset` is for a log without one there."""
        checkpoints = self.checkpoints
        log_start_offset = checkpoints.log_start_offset(key)
        log = open_log(
            self._disk,
            path,
            config,
            now_ms=now_ms,
            rng=self._rng,
            clean=self.is_clean,
            recovery_point=checkpoints.recovery_point(key),
            log_start_offset=start_offset if log_start_offset is None else log_start_offset,
            topic_id=topic_id,
            is_identified=is_identified,
            deletions=self.deletions,
            checkpoint_queue=checkpoints.queue,
            keeps_synced=keeps_synced,
            is_copy=is_copy,
        )
        checkpoints.queue.add(log)
        return log

    def _check_recovery_point(self, key: Partition, log: Log) -> None:
        """What is appended from now on must not pass for synced after the next crash."""
        if (self.checkpoints.recovery_point(key) or 0) > log.log_end_offset:
            self.checkpoints.write_offsets()

    def promote_future(self, topic: str, partition: int) -> Log:
        """The copy is the partition's log from now on: all others must be set aside. DiskError."""
        key = (topic, partition)
        log = self.futures.opened[key]
        closing.rename_directory(log, names.partition_dir(topic, partition))
        self._disk.fsync_dir(self.path)
        self.logs.opened[key] = self.futures.opened.pop(key)
        return log

    def promote_found_future(self, topic: str, partition: int) -> None:
        """As `promote_future`, of one that is not open: a crash came in between."""
        key = (topic, partition)
        new = f"{self.path}/{names.partition_dir(topic, partition)}"
        old = self.futures.found[key]
        logger.warning("%s replaces the log that it was copied from", old)
        self._disk.rename(old, new)
        self._disk.fsync_dir(self.path)
        self.logs.found[key] = new
        del self.futures.found[key]

    def drop_future(self, topic: str, partition: int, now_ms: int, delay_ms: int) -> None:
        """Remove the copy, opened or not, after so long.

        A power loss may undo it until `sync_names`. DiskError.
        """
        key = (topic, partition)
        self.checkpoints.note_directory_removed(key)
        log = self.futures.opened.pop(key, None)
        if log is not None:
            closing.delete(log, now_ms, self._rng.randbytes(16))
            self.checkpoints.queue.discard(log)
            return
        old = self.futures.found.pop(key)
        unique = self._rng.randbytes(16)
        new = f"{self.path}/{names.marked_dir(topic, partition, unique, names.DELETE_DIR)}"
        self._disk.rename(old, new)
        self.deletions.add(new, now_ms + delay_ms, is_dir=True)

    def set_log_aside(self, topic: str, partition: int, now_ms: int) -> None:
        """Another directory's log takes the place of this one. DiskError."""
        log = self.logs.opened.pop((topic, partition))
        self.checkpoints.note_log_removed((topic, partition))
        closing.set_aside(log, now_ms, self._rng.randbytes(16))
        self.checkpoints.queue.discard(log)

    def delete_log(self, topic: str, partition: int, now_ms: int) -> None:
        """Remove the partition: set aside now, off the disk after `file.delete.delay.ms`.

        A power loss may undo it until `sync_names`. DiskError.
        """
        log = self.logs.opened.pop((topic, partition))
        self.checkpoints.note_log_removed((topic, partition))
        self.checkpoints.queue.discard(log)
        closing.delete(log, now_ms, self._rng.randbytes(16))

    def sync_names(self) -> None:
        """Make renames in this directory durable. Blocks; may be run in a thread. DiskError."""
        self._disk.fsync_dir(self.path)

    def set_aside(self, topic: str, partition: int, mark: str) -> str:
        """Rename the directory of a partition that is not open; its new path."""
        old = self.logs.found.pop((topic, partition))
        self.checkpoints.note_log_removed((topic, partition))
        new = f"{self.path}/{names.marked_dir(topic, partition, self._rng.randbytes(16), mark)}"
        logger.warning("%s belongs to no partition of this broker, moving it to %s", old, new)
        self._disk.rename(old, new)
        self._disk.fsync_dir(self.path)
        return new

    def stored_topic_id(self, topic: str, partition: int) -> bytes | None:
        """As `topic_id`, of a log that is here and not open. After an unclean stop, None if it
        cannot be read. CorruptFile.
        """
        return self._topic_id_in(self.logs.found[topic, partition])

    def _topic_id_in(self, path: str) -> bytes | None:
        try:
            return read_partition_metadata(self._disk, f"{path}/{PARTITION_METADATA}")
        except CorruptFile:
            if self.is_clean:
                raise
            return None  # recovery sees to it

    def probe(self) -> None:
        """Write something and read it back. DiskError, but DiskFull does not count.

        Blocks; may be run in a thread.
        """
        path = f"{self.path}/{PROBE_FILE}"
        with suppress(DiskFull):
            self._disk.write_file_atomic(path, PROBE)
            if self._disk.read_file(path) != PROBE:
                raise DiskError(
                    self.path, "the data that was read back differs from what was written"
                )
            self._disk.unlink(path)
        # A directory made anew under the same name is not the one that was locked and checked.
        if self.meta is not None and not self._disk.exists(f"{self.path}/{META_PROPERTIES}"):
            raise DiskError(self.path, "its files are missing")

    def fail(self, error: DiskError) -> None:
        """The directory has failed: release all files and the lock. Only the next start uses it."""
        for log in self.all_logs():
            log.fail(error)
        self.logs.clear()
        self.futures.clear()
        self.deletions = Deletions()
        self._lock.release()

    def space(self) -> tuple[int, int]:
        """Bytes of the file system, and of these what this process may still write. DiskError."""
        return self._disk.space(self.path)

    # Deletions.

    def take_expired_deletions(self, now_ms: int) -> list[Callable[[], None]]:
        """Removals that are due. Each blocks, may be run in a thread, and may raise DiskError."""
        expired = self.deletions.take_expired(now_ms)
        return [partial(deletion.run, self._disk) for deletion in expired]

    # The end.

    def close(self, *, broker_epoch: int = -1) -> None:
        """Close every log, write the checkpoints, leave the marker, release the lock.

        Blocks for the fsyncs of what was written; may be run in a thread. The first DiskError is
        raised when all logs have had their turn: the marker is not written then.
        """
        failure: DiskError | None = None
        try:
            logs = self.all_logs()
            for log in logs:
                try:
                    closing.close(log, sync_log_dir=False)
                except DiskError as error:
                    failure = failure or error
            # What a crash left and could not be opened has still to be recovered.
            is_whole = self.is_clean or not (self.logs.found or self.futures.found)
            if failure is None and is_whole and not any(log.is_offline for log in logs):
                self._disk.fsync_dir(self.path)
                self.checkpoints.write_offsets()
                for write in self.checkpoints.high_watermark_writes():
                    write()
                if self.meta is not None:
                    write_clean_shutdown(self._disk, self.path, broker_epoch)
        finally:
            self._lock.release()
        if failure is not None:
            raise failure

    def abandon(self) -> None:
        """Release it as it was found, for a caller that has opened it and cannot use it.

        Nothing has been appended to its logs. DiskError.
        """
        try:
            if self.is_clean:
                epoch = -1 if self.closed_epoch is None else self.closed_epoch
                write_clean_shutdown(self._disk, self.path, epoch)
        finally:
            self._lock.release()
