"""A log directory: whose it is, which partitions lie in it, its checkpoints, a clean or unclean
end.

Kafka's LogManager, for one of `log.dirs`. Opening takes the lock, looks at `meta.properties` and
takes away the clean-shutdown marker; logs are opened as they are asked for. The marker comes back
at the very end of `close`, when everything it vouches for is synced.
"""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from . import names
from .aside import Aside
from .checkpoints import (
    LOG_START_OFFSET_CHECKPOINT,
    META_PROPERTIES,
    PARTITION_METADATA,
    RECOVERY_POINT_CHECKPOINT,
    REPLICATION_OFFSET_CHECKPOINT,
    MetaProperties,
    delete_clean_shutdown,
    has_clean_shutdown,
    read_clean_shutdown_epoch,
    read_meta_properties,
    read_offsets,
    read_partition_metadata,
    write_clean_shutdown,
    write_meta_properties,
    write_offsets,
)
from .deletions import Deletions
from .directory_contents import ForeignLogDir, check_contents
from .errors import CorruptFile, DiskError, DiskFull, StorageError
from .recovery import open_log

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random

    from .disk import DirectoryLock, Disk
    from .log import Log
    from .log_base import LogBase
    from .log_config import LogConfig

logger = logging.getLogger(__name__)

Partition = tuple[str, int]

# Written to see whether the directory still works.
PROBE_FILE: Final = ".probe"
PROBE: Final = b"kbroker\n"
_CHECKPOINTS: Final = (
    RECOVERY_POINT_CHECKPOINT,
    LOG_START_OFFSET_CHECKPOINT,
    REPLICATION_OFFSET_CHECKPOINT,
)


class LogDir:
    """One log directory, opened and locked for this broker. `open_log_dir` makes it."""

    def __init__(
        self,
        disk: Disk,
        path: str,
        lock: DirectoryLock,
        meta: MetaProperties | None,
        rng: Random,
        *,
        is_clean: bool,
        found: dict[Partition, str],
        found_futures: dict[Partition, str],
        closed_epoch: int | None = None,
    ) -> None:
        self.path = path
        self.meta = meta  # None until `format`
        self.is_clean = is_clean  # how it was left
        # By the broker of which epoch it was left clean, None where that is not known (KIP-966).
        self.closed_epoch = closed_epoch
        self.logs: dict[Partition, Log] = {}
        # Copies of logs that lie in another directory, on their way into this one.
        self.futures: dict[Partition, Log] = {}
        self.deletions = Deletions()
        self._disk = disk
        self._lock = lock
        self._rng = rng
        self._found = found
        self._found_futures = found_futures
        self._unreadable: set[str] = set()  # checkpoints that are to be set aside, not overwritten
        self._recovery_points = self._read_checkpoint(RECOVERY_POINT_CHECKPOINT)
        self._log_start_offsets = self._read_checkpoint(LOG_START_OFFSET_CHECKPOINT)
        self._high_watermarks = self._read_checkpoint(REPLICATION_OFFSET_CHECKPOINT)
        # Of each checkpoint, how often its entries have changed, and the changes its file holds: it
        # is written where these differ, so that a write that failed or never ran is repeated.
        self._changes = dict.fromkeys(_CHECKPOINTS, 0)
        self._written = dict.fromkeys(_CHECKPOINTS, 0)
        # A write in a thread may be overtaken by one in line, with the same temporary file.
        self._writing = threading.Lock()
        if not disk.exists(f"{path}/{LOG_START_OFFSET_CHECKPOINT}"):
            # Which Kafka writes even where nothing stands in it.
            self._changes[LOG_START_OFFSET_CHECKPOINT] = 1
        # Logs whose entries may have changed, which enter by themselves, and partitions that may
        # lie here no more: a checkpoint costs what changed since the last one, but for the file.
        self._changed: set[LogBase] = set()
        self._gone: set[Partition] = set()
        for checkpoint in (self._recovery_points, self._log_start_offsets, self._high_watermarks):
            self._gone.update(key for key in checkpoint if not self._has_directory(key))

    def format(self, meta: MetaProperties) -> None:
        """Make a fresh directory this broker's."""
        assert self.meta is None, f"{self.path} is formatted already"
        write_meta_properties(self._disk, self.path, meta)
        self.meta = meta

    def identify(self, directory_id: bytes) -> None:
        """Give an id to a directory of Kafka 3.3 to 3.6, which had none. DiskError."""
        assert self.meta is not None, f"{self.path} is not formatted"
        meta = self.meta._replace(directory_id=directory_id)
        write_meta_properties(self._disk, self.path, meta)
        self.meta = meta

    # Partitions.

    @property
    def log_count(self) -> int:
        """How many logs lie here, opened or not, with the copies on their way here."""
        return len(self.logs) + len(self.futures) + len(self._found) + len(self._found_futures)

    def partitions(self) -> list[Partition]:
        """Those that have a directory here, opened or not."""
        return sorted(self._found.keys() | self.logs.keys())

    def all_logs(self) -> list[Log]:
        """Those that are open, with the copies on their way here."""
        return [*self.logs.values(), *self.futures.values()]

    def holds(self, topic: str, partition: int) -> bool:
        """Whether the partition's log lies here, opened or not."""
        return (topic, partition) in self.logs or (topic, partition) in self._found

    def holds_future(self, topic: str, partition: int) -> bool:
        """Whether a copy of the partition's log is on its way here."""
        return (topic, partition) in self.futures or (topic, partition) in self._found_futures

    def future_partitions(self) -> list[Partition]:
        """Those of which a copy is on its way here, opened or not."""
        return sorted(self._found_futures.keys() | self.futures.keys())

    def topic_id(self, topic: str, partition: int) -> bytes | None:
        """What the partition's directory says it belongs to. CorruptFile."""
        opened = self.logs.get((topic, partition))
        if opened is not None:
            return opened.topic_id
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
        """The partition's log, made where there is none. `keeps_synced` as in `recovery.open_log`.

        A directory of the same name that belongs to another topic id is set aside, not deleted.
        DiskError, CorruptFile.
        """
        key = (topic, partition)
        assert key not in self.logs, f"{key} is open already"
        is_identified = False
        if topic_id is not None and key in self._found:
            stored = self.stored_topic_id(topic, partition)
            is_identified = stored == topic_id
            if stored not in (None, topic_id):
                self.set_aside(topic, partition, names.STRAY_DIR)
        if key not in self._found and (
            key in self._recovery_points or key in self._log_start_offsets
        ):
            # What the checkpoints say was of a log that is gone: a crash must not apply it here.
            self.write_offset_checkpoints()
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
                self._found[key] = path  # what there is of it, so that no other directory gets one
            raise
        self.logs[key] = log
        self._found.pop(key, None)
        self._watch(log)
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
        assert not self.holds(topic, partition), f"{key} lies in {self.path} itself"
        assert key not in self.futures, f"{key} is open already"
        path = self._found_futures.get(key)
        if path is not None and self._topic_id_in(path) not in (None, topic_id):
            self.drop_future(topic, partition, now_ms, 0)
            path = None
        is_new = path is None
        if path is None:
            name = names.marked_dir(topic, partition, self._rng.randbytes(16), names.FUTURE_DIR)
            path = f"{self.path}/{name}"
            self._forget_gone()
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
        self.futures[key] = log
        self._found_futures.pop(key, None)
        self._watch(log)
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
        """With what the checkpoints say; `start_offset` is for one that they do not know."""
        return open_log(
            self._disk,
            path,
            config,
            now_ms=now_ms,
            rng=self._rng,
            clean=self.is_clean,
            recovery_point=self._recovery_points.get(key),
            log_start_offset=self._log_start_offsets.get(key, start_offset),
            topic_id=topic_id,
            is_identified=is_identified,
            deletions=self.deletions,
            keeps_synced=keeps_synced,
            is_copy=is_copy,
        )

    def _watch(self, log: Log) -> None:
        log.changed = self._changed
        self._changed.add(log)

    def _check_recovery_point(self, key: Partition, log: Log) -> None:
        """What is appended from now on must not pass for synced after the next crash."""
        if self._recovery_points.get(key, 0) > log.log_end_offset:
            self.write_offset_checkpoints()

    def promote_future(self, topic: str, partition: int) -> Log:
        """The copy is the partition's log from now on: all others must be set aside. DiskError."""
        key = (topic, partition)
        log = self.futures[key]
        log.rename_directory(names.partition_dir(topic, partition))
        self._disk.fsync_dir(self.path)
        self.logs[key] = self.futures.pop(key)
        return log

    def promote_found_future(self, topic: str, partition: int) -> None:
        """As `promote_future`, of one that is not open: a crash came in between."""
        key = (topic, partition)
        new = f"{self.path}/{names.partition_dir(topic, partition)}"
        old = self._found_futures[key]
        logger.warning("%s replaces the log that it was copied from", old)
        self._disk.rename(old, new)
        self._disk.fsync_dir(self.path)
        self._found[key] = new
        del self._found_futures[key]

    def drop_future(self, topic: str, partition: int, now_ms: int, delay_ms: int) -> None:
        """Remove the copy, opened or not, after so long.

        A power loss may undo it until `sync_names`. DiskError.
        """
        key = (topic, partition)
        self._gone.add(key)
        log = self.futures.pop(key, None)
        if log is not None:
            log.delete(now_ms, self._rng.randbytes(16))
            self._changed.discard(log)
            return
        old = self._found_futures.pop(key)
        unique = self._rng.randbytes(16)
        new = f"{self.path}/{names.marked_dir(topic, partition, unique, names.DELETE_DIR)}"
        self._disk.rename(old, new)
        self.deletions.add(new, now_ms + delay_ms, is_dir=True)

    def set_log_aside(self, topic: str, partition: int, now_ms: int) -> None:
        """Another directory's log takes the place of this one. DiskError."""
        log = self.logs.pop((topic, partition))
        self._note_gone((topic, partition))
        log.set_aside(now_ms, self._rng.randbytes(16))
        self._changed.discard(log)

    def delete_log(self, topic: str, partition: int, now_ms: int) -> None:
        """Remove the partition: set aside now, off the disk after `file.delete.delay.ms`.

        A power loss may undo it until `sync_names`. DiskError.
        """
        log = self.logs.pop((topic, partition))
        self._note_gone((topic, partition))
        self._changed.discard(log)
        log.delete(now_ms, self._rng.randbytes(16))

    def sync_names(self) -> None:
        """Make what was renamed here last. Blocks; may be run in a thread. DiskError."""
        self._disk.fsync_dir(self.path)

    def set_aside(self, topic: str, partition: int, mark: str) -> str:
        """Rename the directory of a partition that is not open; where it lies now."""
        old = self._found.pop((topic, partition))
        self._note_gone((topic, partition))
        new = f"{self.path}/{names.marked_dir(topic, partition, self._rng.randbytes(16), mark)}"
        logger.warning("%s belongs to no partition of this broker, moving it to %s", old, new)
        self._disk.rename(old, new)
        self._disk.fsync_dir(self.path)
        return new

    def stored_topic_id(self, topic: str, partition: int) -> bytes | None:
        """As `topic_id`, of one that lies here and is not open. After an unclean end None where it
        makes no sense. CorruptFile.
        """
        return self._topic_id_in(self._found[topic, partition])

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
        """It has failed: let go of every file, and of the lock. Only the next start uses it."""
        for log in self.all_logs():
            log.fail(error)
        self.logs.clear()
        self.futures.clear()
        self._found.clear()
        self._found_futures.clear()
        self.deletions = Deletions()
        self._lock.release()

    def space(self) -> tuple[int, int]:
        """Bytes of the file system, and of these what this process may still write. DiskError."""
        return self._disk.space(self.path)

    # What happens by and by.

    def take_expired_deletions(self, now_ms: int) -> list[Callable[[], None]]:
        """Removals that are due. Each blocks, may be run in a thread, and may raise DiskError."""
        expired = self.deletions.take_expired(now_ms)
        return [partial(deletion.run, self._disk) for deletion in expired]

    def note_offsets(self, most: int) -> int:
        """Take up the offsets of as many logs at most, of those that may have changed; how many
        there were. For who writes checkpoints and has much to take up, and others wait.
        """
        count = min(most, len(self._changed))
        for _ in range(count):
            self._note(self._changed.pop())
        return count

    def _note(self, log: LogBase) -> None:
        key = (log.topic, log.partition)
        if self.logs.get(key) is not log and self.futures.get(key) is not log:
            return
        recovery_point = log.checkpoint_offset()
        if self._recovery_points.get(key) != recovery_point:
            self._recovery_points[key] = recovery_point
            self._changes[RECOVERY_POINT_CHECKPOINT] += 1
        # A log that starts with its first segment needs no telling (as Kafka's has it), once the
        # segments before that cannot come back.
        if log.log_start_offset > log.segments.first.base_offset or (
            key in self._log_start_offsets and log.has_unsynced_names
        ):
            if self._log_start_offsets.get(key) != log.log_start_offset:
                self._log_start_offsets[key] = log.log_start_offset
                self._changes[LOG_START_OFFSET_CHECKPOINT] += 1
        elif self._log_start_offsets.pop(key, None) is not None:
            self._changes[LOG_START_OFFSET_CHECKPOINT] += 1

    def _note_gone(self, key: Partition) -> None:
        """Its log lies here no more. The next one of that name must not get its high watermark."""
        self._gone.add(key)
        if self._high_watermarks.pop(key, None) is not None:
            self._changes[REPLICATION_OFFSET_CHECKPOINT] += 1

    def _forget_gone(self) -> None:
        for key in self._gone:
            if not self._has_directory(key):
                for name, offsets in (
                    (RECOVERY_POINT_CHECKPOINT, self._recovery_points),
                    (LOG_START_OFFSET_CHECKPOINT, self._log_start_offsets),
                    (REPLICATION_OFFSET_CHECKPOINT, self._high_watermarks),
                ):
                    if offsets.pop(key, None) is not None:
                        self._changes[name] += 1
        self._gone.clear()

    def _has_directory(self, key: Partition) -> bool:
        return self.holds(*key) or self.holds_future(*key)

    def offset_checkpoints(self) -> list[Callable[[], None]]:
        """Writes of the recovery points and log start offsets, where they have changed.

        Of this moment's offsets: each write blocks and may be run in a thread. It costs as much as
        there are partitions, since each file names all of them.
        """
        self.note_offsets(len(self._changed))
        self._forget_gone()
        return [
            *self._write_of(RECOVERY_POINT_CHECKPOINT, self._recovery_points),
            *self._write_of(LOG_START_OFFSET_CHECKPOINT, self._log_start_offsets),
        ]

    def write_offset_checkpoints(self) -> None:
        """Now: after a truncation, before the log is appended to again. DiskError."""
        for write in self.offset_checkpoints():
            write()

    def high_watermark(self, topic: str, partition: int) -> int:
        """As checkpointed, 0 where it is not known."""
        return self._high_watermarks.get((topic, partition), 0)

    def note_high_watermark(self, topic: str, partition: int, high_watermark: int) -> None:
        """For the next checkpoint."""
        key = (topic, partition)
        if self._high_watermarks.get(key) != high_watermark:
            self._high_watermarks[key] = high_watermark
            self._changes[REPLICATION_OFFSET_CHECKPOINT] += 1

    def high_watermark_checkpoint(self) -> list[Callable[[], None]]:
        """The write of the high watermarks as noted, as `offset_checkpoints`."""
        self._forget_gone()
        return self._write_of(REPLICATION_OFFSET_CHECKPOINT, self._high_watermarks)

    def _write_of(self, name: str, offsets: Mapping[Partition, int]) -> list[Callable[[], None]]:
        """The write of a checkpoint, if its file does not say what it should."""
        changes = self._changes[name]
        if changes == self._written[name]:
            return []
        return [partial(self._write_checkpoint, name, dict(offsets), changes)]

    def _write_checkpoint(self, name: str, offsets: Mapping[Partition, int], changes: int) -> None:
        with self._writing:
            if (
                changes > self._written[name]
            ):  # else somebody was faster, with newer offsets perhaps
                if name in self._unreadable:
                    Aside(self._disk, self.path).move(
                        f"{self.path}/{name}", "the file cannot be read"
                    )
                    self._unreadable.discard(name)
                write_offsets(self._disk, f"{self.path}/{name}", offsets)
                self._written[name] = changes

    def _read_checkpoint(self, name: str) -> dict[Partition, int]:
        path = f"{self.path}/{name}"
        try:
            return read_offsets(self._disk, path)
        except CorruptFile as error:
            # As if it were not there: every log is checked from its beginning.
            logger.warning("%s. Continuing without this file", error)
            self._unreadable.add(name)
            return {}

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
                    log.close(sync_log_dir=False)
                except DiskError as error:
                    failure = failure or error
            # What a crash left and could not be opened has still to be recovered.
            is_whole = self.is_clean or not (self._found or self._found_futures)
            if failure is None and is_whole and not any(log.is_offline for log in logs):
                self._disk.fsync_dir(self.path)
                for write in self.offset_checkpoints() + self.high_watermark_checkpoint():
                    write()
                if self.meta is not None:
                    write_clean_shutdown(self._disk, self.path, broker_epoch)
        finally:
            self._lock.release()
        if failure is not None:
            raise failure

    def abandon(self) -> None:
        """Let go of it, as it was found: for whoever has opened it and can do nothing with it.

        Nothing has been appended to its logs. DiskError.
        """
        try:
            if self.is_clean:
                epoch = -1 if self.closed_epoch is None else self.closed_epoch
                write_clean_shutdown(self._disk, self.path, epoch)
        finally:
            self._lock.release()


def open_log_dir(
    disk: Disk,
    path: str,
    *,
    rng: Random,
    now_ms: int,
    node_id: int | None = None,
    cluster_id: str | None = None,
    deletion_delay_ms: int = 60_000,
) -> LogDir:
    """Take the directory into use; it is made where it is not there.

    Where it has a meta.properties, that must agree with `node_id` and `cluster_id` (None: any).
    Raises LogDirLocked, ForeignLogDir, CorruptFile, DiskError, and has changed nothing then.
    """
    if not disk.is_dir(path):
        if disk.exists(path):
            raise DiskError(path, "it is not a directory")
        disk.make_dir(path)
    check_contents(disk, path)
    lock = disk.lock(path)
    try:
        meta = read_meta_properties(disk, path)
        contents = disk.list_dir(path)
        if meta is not None:
            _check_owner(path, meta, node_id, cluster_id)
        elif META_PROPERTIES in contents:
            raise ForeignLogDir(
                path, f"its {META_PROPERTIES} is a link to a file that does not exist"
            )
        found: dict[Partition, str] = {}
        found_futures: dict[Partition, str] = {}
        leftovers = []
        for name in contents:
            parsed = names.parse_partition_dir(name)
            if parsed is None or not disk.is_dir(f"{path}/{name}"):
                continue
            if not parsed.mark:
                found[parsed.topic, parsed.partition] = f"{path}/{name}"
            elif parsed.mark == names.FUTURE_DIR:
                key = (parsed.topic, parsed.partition)
                if found_futures.setdefault(key, f"{path}/{name}") != f"{path}/{name}":
                    leftovers.append(f"{path}/{name}")
            elif parsed.mark == names.DELETE_DIR:
                leftovers.append(f"{path}/{name}")
        log_dir = LogDir(
            disk,
            path,
            lock,
            meta,
            rng,
            is_clean=has_clean_shutdown(disk, path),
            found=found,
            closed_epoch=read_clean_shutdown_epoch(disk, path),
            found_futures=found_futures,
        )
        for leftover in leftovers:
            log_dir.deletions.add(leftover, now_ms + deletion_delay_ms, is_dir=True)
        if log_dir.is_clean:
            delete_clean_shutdown(disk, path)
    except StorageError:
        lock.release()
        raise
    return log_dir


def _check_owner(
    path: str, meta: MetaProperties, node_id: int | None, cluster_id: str | None
) -> None:
    if meta.node_id is None or meta.cluster_id is None:
        missing = "cluster.id" if meta.cluster_id is None else "broker.id"
        raise ForeignLogDir(path, f"its {META_PROPERTIES} has no {missing}")
    if node_id not in (None, meta.node_id):
        raise ForeignLogDir(path, f"it belongs to node {meta.node_id}, but this is node {node_id}")
    if cluster_id not in (None, meta.cluster_id):
        raise ForeignLogDir(
            path, f"it belongs to cluster {meta.cluster_id}, but this is cluster {cluster_id}"
        )
