"""The offset checkpoints of a log directory: recovery points, log start offsets, high watermarks.

Each is one file with an offset for every partition of the directory, so a write costs as much as
there are partitions. It is therefore done seldom, and only if an offset has changed. To find out
which have changed costs only what has changed: a log puts itself into `queue` when its recovery
point or its log start offset may have moved, and the high watermarks are reported by their owner.

Writes may run in threads. They are taken as callables, each with the offsets of the moment at which
it was taken.
"""

from __future__ import annotations

import logging
import threading
from functools import partial
from typing import TYPE_CHECKING

from .aside import Aside
from .checkpoints import (
    LOG_START_OFFSET_CHECKPOINT,
    RECOVERY_POINT_CHECKPOINT,
    REPLICATION_OFFSET_CHECKPOINT,
    read_offsets,
    write_offsets,
)
from .errors import CorruptFile

if TYPE_CHECKING:
    from collections.abc import Callable

    from .checkpoints import Partition
    from .disk import Disk
    from .hosted_logs import HostedLogs
    from .log import Log

logger = logging.getLogger(__name__)


class OffsetCheckpoints:
    """The three files, and the offsets that their next writes contain."""

    def __init__(self, disk: Disk, directory: str, logs: HostedLogs, futures: HostedLogs) -> None:
        """`directory` is the log directory, `logs` and `futures` what it holds."""
        self._logs = logs
        self._futures = futures
        # A write in a thread and one on the event loop may overlap. Both use the same temporary
        # file.
        lock = threading.Lock()
        self._recovery_points = _OffsetCheckpoint(disk, directory, RECOVERY_POINT_CHECKPOINT, lock)
        self._log_start_offsets = _OffsetCheckpoint(
            disk, directory, LOG_START_OFFSET_CHECKPOINT, lock
        )
        self._high_watermarks = _OffsetCheckpoint(
            disk, directory, REPLICATION_OFFSET_CHECKPOINT, lock
        )
        self._files = (self._recovery_points, self._log_start_offsets, self._high_watermarks)
        if not disk.exists(f"{directory}/{LOG_START_OFFSET_CHECKPOINT}"):
            self._log_start_offsets.note_change()  # Kafka writes this file even if it is empty
        # Logs whose offsets may have changed since they were last taken up here.
        self.queue: set[Log] = set()
        # Partitions that may no longer have a directory here.
        self._gone: set[Partition] = set()
        for file in self._files:
            self._gone.update(key for key in file.offsets if not self._has_directory(key))

    # What the files said at the start, and since.

    def knows(self, key: Partition) -> bool:
        """Whether the next write would contain offsets of this partition's log."""
        return key in self._recovery_points.offsets or key in self._log_start_offsets.offsets

    def recovery_point(self, key: Partition) -> int | None:
        """None if it is not known."""
        return self._recovery_points.offsets.get(key)

    def log_start_offset(self, key: Partition) -> int | None:
        """None if the log starts with its first segment, or if it is not known."""
        return self._log_start_offsets.offsets.get(key)

    def high_watermark(self, topic: str, partition: int) -> int:
        """0 if it is not known."""
        return self._high_watermarks.offsets.get((topic, partition), 0)

    # What changes.

    def note_high_watermark(self, topic: str, partition: int, high_watermark: int) -> None:
        """The next write of the high watermarks contains this one."""
        self._high_watermarks.set((topic, partition), high_watermark)

    def note_offsets(self, most: int) -> int:
        """Take up the offsets of up to `most` queued logs; how many it was.

        A caller that lets others run in between can thus take up many logs in steps.
        """
        count = min(most, len(self.queue))
        for _ in range(count):
            self._note(self.queue.pop())
        return count

    def note_log_removed(self, key: Partition) -> None:
        """Its log is here no longer. The next one of its name must not get its high watermark."""
        self.note_directory_removed(key)
        self._high_watermarks.remove(key)

    def note_directory_removed(self, key: Partition) -> None:
        """A directory of the partition has gone, be it its log or a future log."""
        self._gone.add(key)

    def forget_gone(self) -> None:
        """The next writes contain nothing of partitions that have no directory here any more."""
        for key in self._gone:
            if not self._has_directory(key):
                for file in self._files:
                    file.remove(key)
        self._gone.clear()

    # Writing.

    def offset_writes(self) -> list[Callable[[], None]]:
        """The writes of recovery points and log start offsets, if they have changed.

        Each blocks, may be run in a thread, and may raise DiskError.
        """
        self.note_offsets(len(self.queue))
        self.forget_gone()
        return [*self._recovery_points.writes(), *self._log_start_offsets.writes()]

    def high_watermark_writes(self) -> list[Callable[[], None]]:
        """The write of the high watermarks, as `offset_writes`."""
        self.forget_gone()
        return self._high_watermarks.writes()

    def write_offsets(self) -> None:
        """Write at once: after a truncation, before the log is appended to again. DiskError."""
        for write in self.offset_writes():
            write()

    def _note(self, log: Log) -> None:
        if not self._logs.has_open(log) and not self._futures.has_open(log):
            return
        key = (log.topic, log.partition)
        recovery_point = log.durability.checkpoint_offset(log.segments, log.log_end_offset)
        self._recovery_points.set(key, recovery_point)
        # As in Kafka, a log that starts with its first segment has no entry, but only once the
        # segments before that one cannot come back.
        if log.log_start_offset > log.segments.first.base_offset or (
            key in self._log_start_offsets.offsets and log.durability.has_unsynced_names
        ):
            self._log_start_offsets.set(key, log.log_start_offset)
        else:
            self._log_start_offsets.remove(key)

    def _has_directory(self, key: Partition) -> bool:
        return self._logs.holds(*key) or self._futures.holds(*key)


class _OffsetCheckpoint:
    """One of the files, and the offsets that its next write contains."""

    __slots__ = (
        "_changes",
        "_directory",
        "_disk",
        "_is_unreadable",
        "_lock",
        "_name",
        "_written",
        "offsets",
    )

    def __init__(self, disk: Disk, directory: str, name: str, lock: threading.Lock) -> None:
        """`lock` is held by a write."""
        self._disk = disk
        self._directory = directory
        self._name = name
        self._lock = lock
        # How often `offsets` has changed, and how many of these changes the file contains. The two
        # are compared, so a write that failed or was never run is repeated.
        self._changes = 0
        self._written = 0
        self._is_unreadable = False  # the file is then kept under another name, not overwritten
        self.offsets = self._read()

    def set(self, key: Partition, offset: int) -> None:
        if self.offsets.get(key) != offset:
            self.offsets[key] = offset
            self._changes += 1

    def remove(self, key: Partition) -> None:
        if self.offsets.pop(key, None) is not None:
            self._changes += 1

    def note_change(self) -> None:
        """The file is to be written, whatever its offsets are."""
        self._changes += 1

    def writes(self) -> list[Callable[[], None]]:
        """The write of the offsets of this moment; none if the file contains them."""
        if self._changes == self._written:
            return []
        return [partial(self._write, dict(self.offsets), self._changes)]

    def _write(self, offsets: dict[Partition, int], changes: int) -> None:
        with self._lock:
            if changes <= self._written:
                return  # another write was faster, perhaps with newer offsets
            path = f"{self._directory}/{self._name}"
            if self._is_unreadable:
                Aside(self._disk, self._directory).move(path, "the file cannot be read")
                self._is_unreadable = False
            write_offsets(self._disk, path, offsets)
            self._written = changes

    def _read(self) -> dict[Partition, int]:
        try:
            return read_offsets(self._disk, f"{self._directory}/{self._name}")
        except CorruptFile as error:
            # As if it were not there: every log is checked from its beginning.
            logger.warning("%s. Continuing without this file", error)
            self._is_unreadable = True
            return {}
