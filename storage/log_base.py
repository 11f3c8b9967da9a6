"""What a log has and how it becomes durable: the state under `Log`, rolling and flushing.

Everything blocks and nothing is thread-safe, but for `FlushPlan.run`. Time comes in as an argument.
After a failed write or fsync the log is offline: what is on the disk is unknown (a second fsync may
report success for pages the first one dropped), so only a restart and its recovery may go on.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from .checkpoints import PARTITION_METADATA, read_partition_metadata, write_partition_metadata
from .errors import CorruptBatch, DiskError, DiskFull, UnknownFormat
from .leader_epochs import LeaderEpochCache
from .producer_replay import replay_producers
from .producer_state import ProducerState
from .segment import new_segment

if TYPE_CHECKING:
    from random import Random

    from .deletions import Deletions
    from .disk import Disk
    from .flush import Durability, FlushPlan
    from .log_config import LogConfig
    from .segments import Segments

logger = logging.getLogger(__name__)


class LogBase:
    """The segments of one partition and their account."""

    __slots__ = (
        "_deletions",
        "_disk",
        "_durability",
        "_epochs",
        "_is_tail_known",
        "_now_ms",
        "_offline",
        "_producers",
        "_rng",
        "_topic_id",
        "checkpoint_queue",
        "config",
        "directory",
        "last_append_bytes",
        "last_flush_ms",
        "log_end_offset",
        "log_start_offset",
        "partition",
        "segments",
        "topic",
    )

    def __init__(
        self,
        disk: Disk,
        directory: str,
        topic: str,
        partition: int,
        config: LogConfig,
        segments: Segments,
        *,
        log_start_offset: int,
        log_end_offset: int,
        durability: Durability,
        now_ms: int,
        rng: Random,
        deletions: Deletions,
        checkpoint_queue: set[LogBase],
        is_tail_known: bool,
        epochs: LeaderEpochCache | None,
        producers: ProducerState | None,
        topic_id: bytes | None = None,
    ) -> None:
        """Of what recovery found. `epochs` and `producers` are loaded when needed where None.

        Without `is_tail_known` the end offset comes from the checkpoint of a clean stop, and is
        compared with the segment when that is first used.
        """
        self._disk = disk
        self.directory = directory
        self.topic = topic
        self.partition = partition
        self.config = config
        self.segments = segments
        self.log_start_offset = log_start_offset
        self.log_end_offset = log_end_offset
        self.last_flush_ms = now_ms
        self.last_append_bytes = 0
        self._now_ms = now_ms
        self._rng = rng
        self._deletions = deletions
        self._epochs = epochs
        self._producers = producers
        self._topic_id = topic_id  # None until it is read
        self._is_tail_known = is_tail_known
        self._offline: DiskError | None = None
        self._durability = durability
        # It adds itself when its recovery point or log start offset may have changed.
        self.checkpoint_queue = checkpoint_queue

    def __repr__(self) -> str:
        return f"Log({self.directory}, [{self.log_start_offset}, {self.log_end_offset}))"

    # What it is.

    @property
    def log_dir(self) -> str:
        """The log directory this partition's directory lies in."""
        return os.path.dirname(self.directory)

    @property
    def size(self) -> int:
        """Bytes of batches."""
        return self.segments.size

    @property
    def recovery_point(self) -> int:
        """Up to where (exclusive) a power loss takes nothing."""
        return self._durability.recovery_point

    def checkpoint_offset(self) -> int:
        """The recovery point for the checkpoint, which the caller now writes.

        An append may let it rise by one record. That alone does not count as a change: it waits for
        the next flush, and recovery looks at one batch more meanwhile.
        """
        return self._durability.checkpoint_offset(self.segments, self.log_end_offset)

    @property
    def has_unsynced_names(self) -> bool:
        """Whether a power loss may undo a file's creation or deletion."""
        return self._durability.has_unsynced_names

    @property
    def unflushed_records(self) -> int:
        """How many a power loss could take (flush.messages goes by it)."""
        return self.log_end_offset - max(self.recovery_point, self.log_start_offset)

    @property
    def is_offline(self) -> bool:
        """Whether the disk failed under it; everything then raises DiskError."""
        return self._offline is not None

    @property
    def topic_id(self) -> bytes | None:
        """As partition.metadata has it: 16 bytes, None where there is no such file."""
        if self._topic_id is None:
            self._topic_id = read_partition_metadata(self._disk, self._path(PARTITION_METADATA))
        return self._topic_id

    def assign_topic_id(self, topic_id: bytes) -> None:
        """Write it down for a log that has none on the disk."""
        assert self._topic_id in (None, topic_id), f"{self} already has another topic id"
        if self._topic_id is None:
            path = self._path(PARTITION_METADATA)
            write_partition_metadata(self._disk, path, topic_id, sync=False)
            self._topic_id = topic_id
            self._note_unsynced(path)

    @property
    def epochs(self) -> LeaderEpochCache:
        """Where each leader epoch starts."""
        if self._epochs is None:
            self._epochs = LeaderEpochCache(self._disk, self.directory)
        return self._epochs

    @property
    def producers(self) -> ProducerState:
        """Idempotent and transactional producers, up to the log end offset."""
        if self._producers is None:
            self._verify_tail()
            producers = ProducerState(
                self._disk,
                self.directory,
                expiration_ms=self.config.producer_id_expiration_ms,
            )
            producers.snapshots.delete_stray(segment.base_offset for segment in self.segments)
            self._replay(producers)
            self._producers = producers
        return self._producers

    def update_config(self, config: LogConfig) -> None:
        """From the next decision on; an open segment keeps its index settings."""
        self.config = config
        if self._producers is not None:
            self._producers.expiration_ms = config.producer_id_expiration_ms

    # Rolling.

    def roll_if_needed(
        self,
        append_bytes: int,
        max_timestamp: int,
        last_offset: int,
        now_ms: int,
        *,
        first_offset: int = 0,
    ) -> bool:
        """Begin a segment where such an append does not belong into the active one; whether so."""
        active = self.segments.active
        if not active.should_roll(self.config, append_bytes, max_timestamp, last_offset, now_ms):
            return False
        return self.roll(now_ms, first_offset=first_offset)

    def roll(self, now_ms: int, *, first_offset: int = 0) -> bool:
        """Begin a segment at the log end, or at `first_offset` if that is higher; whether so.

        An empty active segment that would start there already stays.
        """
        base_offset = max(first_offset, self.log_end_offset)
        active = self.segments.active
        if active.base_offset == base_offset:
            assert not active.size, f"{self} has records at its end offset"
            return False
        try:
            active.deactivate()
            self._durability.sync_before_roll(active, base_offset)
            # Each mapping holds a descriptor; it comes back when it is needed.
            active.release_indexes()
            self._add_segment(base_offset, now_ms)
            if not active.size:
                # Given offsets are far ahead. An empty segment would look like one that lost all.
                self.segments.remove(active)
                active.unlink()
            producers = self.producers
            producers.map_end_offset = base_offset
            snapshot = producers.take_snapshot(sync=False)
            if snapshot is not None:
                self._note_unsynced(snapshot)
        except DiskFull:
            raise  # it may be tried again, be the segment begun or not
        except DiskError as error:
            self.fail(error)
            raise
        return True

    def _add_segment(self, base_offset: int, now_ms: int) -> None:
        segment = new_segment(
            self._disk, self.directory, base_offset, self.config, now_ms, self._rng
        )
        segment.create()
        self.segments.add(segment)
        self._note_names()

    def _note_unsynced(self, path: str) -> None:
        self._durability.note_file(path)
        self._note_names()

    def _note_names(self) -> None:
        self._durability.note_names(self.directory)
        self.checkpoint_queue.add(self)

    # Flushing.

    def begin_flush(self, up_to: int | None = None) -> FlushPlan:
        """What must be synced for all offsets below `up_to` (None: all) to survive a power loss.

        Between this and `finish_flush` the log may be used as usual. DiskError.
        """
        if self._offline is not None:
            raise self._offline
        end_offset = self.log_end_offset if up_to is None else min(up_to, self.log_end_offset)
        try:
            plan = self._durability.begin(self.segments, end_offset)
            if self._epochs is not None:
                # The file may lag behind the log only above the recovery point.
                plan.write_epochs = self._epochs.begin_flush(end_offset)
            return plan
        except DiskError as error:
            self.fail(error)
            raise

    def finish_flush(self, plan: FlushPlan, now_ms: int | None = None) -> None:
        """The plan has run: its offsets are safe, unless the log was truncated meanwhile."""
        self._durability.finish(plan)
        self.checkpoint_queue.add(self)
        self.last_flush_ms = self._now_ms if now_ms is None else now_ms

    def abandon_flush(self, plan: FlushPlan) -> None:
        """The plan was not run, or ended in DiskFull: the next flush syncs what it had to."""
        self._durability.take_back(plan)

    def flush(self, now_ms: int | None = None) -> None:
        """All three steps at once. DiskError; after DiskFull the log goes on."""
        plan = self.begin_flush()
        try:
            plan.run()
        except DiskFull:
            self.abandon_flush(plan)
            raise
        except DiskError as error:
            self.fail(error)
            raise
        self.finish_flush(plan, now_ms)

    def rename_directory(self, name: str) -> None:
        """Its directory gets this name; what is open stays open. DiskError.

        It is durable once the log directory is synced.
        """
        old, new = self.directory, f"{self.log_dir}/{name}"
        self._disk.rename(old, new)
        self.directory = new
        for segment in self.segments:
            segment.update_directory(new)
        if self._epochs is not None:
            self._epochs.update_directory(new)
        if self._producers is not None:
            self._producers.snapshots.update_directory(new)
        self._durability.update_directory(old, new)
        self.checkpoint_queue.add(self)

    def let_go(self) -> bool:
        """Give back the descriptors of its files until it is used again; whether there were any.

        DiskError.
        """
        opened = [segment for segment in self.segments if segment.is_open]
        for segment in opened:
            segment.let_go()
        return bool(opened)

    def fail(self, error: DiskError) -> None:
        """The disk failed: nothing is written or read here any more."""
        if self._offline is None:
            self._offline = DiskError(self.log_dir, f"{self.topic}-{self.partition}: {error}")
            for segment in self.segments:
                segment.release()

    # Helpers.

    def _verify_tail(self) -> None:
        """Look whether the log really ends where the checkpoint of the clean stop says."""
        if self._is_tail_known:
            return
        try:
            end_offset = self.segments.active.next_offset()
        except CorruptBatch as error:
            failure = DiskError(self.directory, f"{error}, although the last stop was clean")
            self.fail(failure)
            raise failure from error
        except UnknownFormat as error:
            self.fail(error)
            raise
        self._is_tail_known = True
        if end_offset == self.log_end_offset:
            return
        logger.warning(
            "%s ends at offset %d, but the last clean stop recorded %d",
            self.directory,
            end_offset,
            self.log_end_offset,
        )
        self.log_end_offset = end_offset
        self._durability.note_end(end_offset, self.segments.active.base_offset)
        self.log_start_offset = min(self.log_start_offset, end_offset)
        self.checkpoint_queue.add(self)
        self.epochs.truncate_from_end(end_offset)

    def _replay(self, producers: ProducerState) -> None:
        replay_producers(
            producers,
            self.segments,
            log_start_offset=self.log_start_offset,
            end_offset=self.log_end_offset,
            now_ms=self._now_ms,
        )

    def _path(self, name: str) -> str:
        return f"{self.directory}/{name}"
