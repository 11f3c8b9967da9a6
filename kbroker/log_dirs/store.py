"""All log directories of a broker: which of them holds which log.

A log stays in its directory. A new one goes to the directory that AlterReplicaLogDirs asked for, or
that the metadata name, or that has the fewest logs. Of a directory that has failed, only the path
is known until the next start. Source: LogManager.
"""

from __future__ import annotations

import logging
import os
from functools import partial
from typing import TYPE_CHECKING, Final

import trio

from kbroker import descriptors
from kbroker.config import log_config
from kbroker.controller.model import UNASSIGNED_DIRECTORY
from kbroker.controller.topic_names import CLUSTER_METADATA
from kbroker.storage.closing import close, release_descriptors
from kbroker.storage.errors import DiskError, OutOfDescriptors
from kbroker.storage.names import STRAY_DIR

from .failure_reports import FailureReports
from .trouble import Trouble

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kbroker.clock import Clock
    from kbroker.config import DynamicConfigs
    from kbroker.partitions.partition import Partition
    from kbroker.storage.errors import StorageError
    from kbroker.storage.log import Log
    from kbroker.storage.log_dir import LogDir

# Closing a log waits for the disk several times. Several that wait together take hardly longer.
CLOSE_THREADS_MAX: Final = 8
LOGS_A_THREAD: Final = 16
RELEASED_LOGS_MAX: Final = 100  # each has a descriptor or three
# Partitions that are not there yet and were given a directory to come to; the oldest is forgotten.
PREFERENCES_MAX: Final = 10_000
EVERY_DIRECTORY: Final = "*"  # of cordoned.log.dirs

logger = logging.getLogger("kbroker.logs")


class UnknownLogDir(Exception):
    """The path is none of `log.dirs`."""


class OfflineLogDir(Exception):
    """The log directory has failed, or one has that may hold the log in question."""


class LogStore:
    """Opens, checkpoints and deletes the logs of one broker's partitions."""

    def __init__(
        self,
        directories: Sequence[LogDir],
        clock: Clock,
        *,
        quorum: LogDir | None = None,
        offline: Sequence[str] = (),
        cordoned: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        """`directories` in the order of `log.dirs`. `quorum` holds the metadata log, and may be one
        of them. `offline` are the paths of those that could not be opened.
        """
        self._online = {os.path.abspath(each.path): each for each in directories}
        self._by_path = {each.path: each for each in directories}  # as their logs have it
        self._offline = [os.path.abspath(path) for path in offline]
        self._quorum = quorum
        self._clock = clock
        self.trouble = Trouble(clock, [each.path for each in self._all()])
        self._cordoned = cordoned
        self._preferred: dict[tuple[str, int], str] = {}
        self._released_to = 0
        # Checkpoints are written in threads, in the order in which they were made.
        self.checkpoint_limiter = trio.CapacityLimiter(1)
        # Partitions whose high watermark is not checkpointed yet. They add themselves, so that a
        # checkpoint need not ask all of them.
        self.unsaved_high_watermarks: set[Partition] = set()
        self.failures = FailureReports()

    # The directories.

    @property
    def directories(self) -> list[LogDir]:
        """Those that work, in the order of `log.dirs`."""
        return list(self._online.values())

    @property
    def offline_paths(self) -> list[str]:
        """Those that have failed."""
        return list(self._offline)

    @property
    def directory_ids(self) -> list[bytes]:
        """Of those that work."""
        return [_id(each) for each in self._online.values()]

    @property
    def cordoned_ids(self) -> list[bytes]:
        """Of those that take no new logs (KIP-1066)."""
        return [_id(each) for each in self._online.values() if self.is_cordoned(each)]

    def directory(self, path: str) -> LogDir:
        """By its absolute path. UnknownLogDir, OfflineLogDir."""
        found = self._online.get(path)
        if found is not None:
            return found
        if path in self._offline:
            raise OfflineLogDir(f"log directory {path} is offline")
        raise UnknownLogDir(f"log directory {path} is not in log.dirs")

    def directory_of(self, log: Log) -> LogDir | None:
        """Where the log lies; None once that has failed."""
        return self._by_path.get(log.directory.log_dir)

    def directory_id_of(self, log: Log) -> bytes:
        """Of the directory that works and holds the log."""
        directory = self.directory_of(log)
        assert directory is not None, f"{log} lies in a directory that has failed"
        return _id(directory)

    def report_failure(self, path: str) -> None:
        """A call failed on this path, in or of a log directory, which is now examined."""
        self.failures.report(path)

    def report_holder(self, topic: str, index: int) -> None:
        """The same, of the directory that holds a log that could not be opened."""
        directory = self.holder(topic, index)
        if directory is not None:
            self.failures.report(directory.path)

    def report_trouble(self, what: str, error: StorageError) -> None:
        """Log what went wrong, as `Trouble.tell`."""
        self.trouble.tell(what, error)

    def holds_quorum(self, directory: LogDir) -> bool:
        """Whether the metadata log lies there, without which no broker can go on."""
        return directory is self._quorum

    def fail(self, directory: LogDir, error: DiskError) -> None:
        """The directory is used no more, and everything in it is let go."""
        path = os.path.abspath(directory.path)
        del self._online[path], self._by_path[directory.path]
        self._offline.append(path)
        directory.fail(error)

    def is_cordoned(self, directory: LogDir) -> bool:
        """Whether it takes no new logs."""
        path = os.path.abspath(directory.path)
        return any(
            each == EVERY_DIRECTORY or os.path.abspath(each) == path for each in self._cordoned()
        )

    # The logs.

    def holder(self, topic: str, index: int) -> LogDir | None:
        """The directory in which the partition's log lies, opened or not."""
        for directory in self._online.values():
            if directory.logs.holds(topic, index):
                return directory
        return None

    def prefer(self, topic: str, index: int, directory: LogDir) -> None:
        """Should the partition be made, it shall lie there."""
        self._preferred.pop((topic, index), None)
        if len(self._preferred) == PREFERENCES_MAX:
            del self._preferred[next(iter(self._preferred))]
        self._preferred[topic, index] = os.path.abspath(directory.path)

    def open(
        self, topic: str, index: int, topic_id: bytes, configs: DynamicConfigs, assigned: bytes
    ) -> Log:
        """The log that is there, or a new one; `assigned` is the directory the metadata name.

        OfflineLogDir where it may lie in one that has failed. DiskError, CorruptFile.
        """
        directory = self.holder(topic, index) or self._place(topic, index, assigned)
        self._preferred.pop((topic, index), None)
        return self._with_descriptors(
            partial(
                directory.open_log,
                topic,
                index,
                log_config(configs.topic(topic)),
                now_ms=self._clock.wall_ms(),
                topic_id=topic_id,
            )
        )

    def open_future(self, partition: Partition, directory: LogDir) -> Log:
        """The copy of the partition's log that is on its way to the directory, or a new one.

        DiskError, CorruptFile.
        """
        log = partition.log
        return self._with_descriptors(
            partial(
                directory.open_future,
                partition.topic,
                partition.index,
                log.config,
                now_ms=self._clock.wall_ms(),
                topic_id=partition.topic_id,
                start_offset=log.log_start_offset,
            )
        )

    def _place(self, topic: str, index: int, assigned: bytes) -> LogDir:
        """Where a log goes that lies in no directory that works."""
        by_id = {_id(each): each for each in self._online.values()}
        target = by_id.get(assigned)
        has_copy = target is not None and target.futures.holds(topic, index)
        if self._offline and (has_copy or (target is None and assigned != UNASSIGNED_DIRECTORY)):
            raise OfflineLogDir(f"the log may be in {' or '.join(self._offline)}, which has failed")
        if target is not None and has_copy:
            # A crash came in the midst of the exchange: what was copied is all there is, and the
            # controller has been told.
            target.promote_found_future(topic, index)
            return target
        preferred = self._online.get(self._preferred.get((topic, index), ""))
        return preferred or target or self._emptiest()

    def _emptiest(self) -> LogDir:
        usable = [each for each in self._online.values() if not self.is_cordoned(each)]
        return min(usable or self._online.values(), key=_count)

    def _with_descriptors(self, open_log: Callable[[], Log]) -> Log:
        if descriptors.is_short():
            self.release_descriptors()
        try:
            return open_log()
        except OutOfDescriptors:
            if not self.release_descriptors():
                raise
            return open_log()

    def release_descriptors(self) -> bool:
        """Have some logs give back the descriptors of their files; whether any had some.

        Those that are used again take them again. Each call begins where the one before ended.
        """
        logs = [
            log
            for directory in self._online.values()
            for key, log in directory.logs.opened.items()
            if key[0] != CLUSTER_METADATA
        ]
        start = self._released_to % max(len(logs), 1)
        released = 0
        for log in logs[start:] + logs[:start]:
            self._released_to += 1
            try:
                released += release_descriptors(log)
            except DiskError as error:
                what = f"{log.topic}-{log.partition} cannot close its files"
                self.trouble.tell(what, error)
            if released == RELEASED_LOGS_MAX:
                break
        return released > 0

    def high_watermark(self, log: Log) -> int:
        """As last checkpointed; 0 where it is not known."""
        directory = self.directory_of(log)
        return (
            0
            if directory is None
            else directory.checkpoints.high_watermark(log.topic, log.partition)
        )

    def delete(self, partition: Partition) -> None:
        """Set its directory aside; it goes after file.delete.delay.ms. DiskError.

        The caller has the log directory sync its names.
        """
        self.unsaved_high_watermarks.discard(partition)
        directory = self.directory_of(partition.log)
        if directory is not None:
            directory.delete_log(partition.topic, partition.index, self._clock.wall_ms())

    def exchange(self, partition: Partition, future: Log) -> None:
        """The copy takes the place of the partition's log, which it equals and which goes.

        The old one is set aside first: after a crash there are never two. DiskError: before that,
        nothing has changed; after it, the partition's log is the copy at the next start.
        """
        topic, index = partition.topic, partition.index
        source, target = self.directory_of(partition.log), self.directory_of(future)
        assert source is not None, f"{partition.log} has failed"
        assert target is not None, f"{future} has failed"
        source.set_log_aside(topic, index, self._clock.wall_ms())
        target.promote_future(topic, index)

    def drop_future(self, topic: str, index: int, directory: LogDir, delay_ms: int) -> None:
        """The partition moves no more. DiskError.

        The caller has the log directory sync its names.
        """
        if directory in self._online.values() and directory.futures.holds(topic, index):
            directory.drop_future(topic, index, self._clock.wall_ms(), delay_ms)

    def set_strays_aside(self, is_ours: Callable[[str, int], bool]) -> None:
        """Rename what lies here and belongs to no partition of this broker. DiskError.

        What is ours and could not be opened stays where it is, for somebody to mend.
        """
        for directory in self._online.values():
            for topic, index in directory.logs.partitions():
                if topic != CLUSTER_METADATA and not is_ours(topic, index):
                    directory.set_aside(topic, index, STRAY_DIR)
            for topic, index in directory.futures.partitions():
                if not is_ours(topic, index):
                    self.drop_future(topic, index, directory, 0)

    # What happens by and by.

    def take_expired_deletions(self, now_ms: int) -> list[Callable[[], None]]:
        """Removals that are due; each blocks and may be run in a thread. DiskError."""
        return [
            removal
            for directory in self._all()
            for removal in directory.take_expired_deletions(now_ms)
        ]

    def note_offsets(self, most: int) -> int:
        """Take up the offsets of as many changed logs for the next checkpoints; how many it was."""
        count = 0
        for directory in self._all():
            count += directory.checkpoints.note_offsets(most - count)
        return count

    def note_high_watermarks(self, most: int) -> int:
        """The same of high watermarks."""
        count = min(most, len(self.unsaved_high_watermarks))
        for _ in range(count):
            partition = self.unsaved_high_watermarks.pop()
            directory = self.directory_of(partition.log)
            if directory is not None and not partition.removed:
                directory.checkpoints.note_high_watermark(
                    partition.topic, partition.index, partition.high_watermark
                )
        return count

    def offset_checkpoints(self) -> list[Callable[[], None]]:
        """Writes of the recovery points and log start offsets, where they changed. DiskError."""
        return [
            write for directory in self._all() for write in directory.checkpoints.offset_writes()
        ]

    def high_watermark_checkpoints(self) -> list[Callable[[], None]]:
        """Writes of the high watermarks, where they changed. DiskError."""
        self.note_high_watermarks(len(self.unsaved_high_watermarks))
        return [
            write
            for directory in self._all()
            for write in directory.checkpoints.high_watermark_writes()
        ]

    async def close(self, broker_epoch: int) -> None:
        """Flush and close every log, leave the clean-shutdown markers.

        DiskError, when all logs have had their turn: there is no marker then.
        """
        failures: list[DiskError] = []
        logs = [log for directory in self._all() for log in directory.all_logs()]
        if len(logs) > LOGS_A_THREAD:
            limiter = trio.CapacityLimiter(CLOSE_THREADS_MAX)

            async def close(some: list[Log]) -> None:
                failures.extend(await trio.to_thread.run_sync(_close, some, limiter=limiter))

            async with trio.open_nursery() as nursery:
                for start in range(0, len(logs), LOGS_A_THREAD):
                    nursery.start_soon(close, logs[start : start + LOGS_A_THREAD])
        self.note_high_watermarks(len(self.unsaved_high_watermarks))
        for directory in self._all():
            closing = partial(directory.close, broker_epoch=broker_epoch)
            try:
                await trio.to_thread.run_sync(closing)
            except DiskError as error:
                failures.append(error)
        if failures:
            raise failures[0]

    def _all(self) -> list[LogDir]:
        """Those that work, with that of the metadata log."""
        directories = self.directories
        if self._quorum is not None and self._quorum not in directories:
            directories.append(self._quorum)
        return directories


def _id(directory: LogDir) -> bytes:
    assert directory.meta is not None, f"{directory.path} is not formatted"
    assert directory.meta.directory_id is not None, f"{directory.path} has no directory id"
    return directory.meta.directory_id


def _count(directory: LogDir) -> int:
    """How many logs lie there, with the copies on their way. The metadata log is none of them."""
    return directory.log_count - directory.logs.holds(CLUSTER_METADATA, 0)


def _close(logs: list[Log]) -> list[DiskError]:
    """What went wrong. A log that could not be closed is offline: it keeps the marker away."""
    failures = []
    for log in logs:
        try:
            close(log, sync_log_dir=False)
        except DiskError as error:
            failures.append(error)
    return failures
