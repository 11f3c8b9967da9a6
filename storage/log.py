"""The log of one partition. This class appends, reads and rolls.

Kafka's UnifiedLog. A log is a directory of segments, of which the last is active, plus the leader
epochs and the producers' state. `log_start_offset` is the first offset that may be read,
`log_end_offset` the next that is written. The high watermark belongs to the partition and is passed
in, and so is the time. The rarer operations are functions of other modules: `assigned_batches`,
`flush`, `truncation`, `retention`, `timestamp_search`, `closing`.

Every call blocks. Only `FlushPlan.run` is thread-safe. After a failed write or fsync the log is
offline, because what is on the disk is unknown: a second fsync may succeed although the first one
dropped pages. Only a restart with its recovery can go on.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .append_info import AppendInfo
from .batch import NO_PRODUCER_ID, set_base_offset, set_leader_epoch
from .errors import (
    CorruptBatch,
    DiskError,
    DiskFull,
    OffsetOutOfRange,
    RecordBatchTooLarge,
    UnknownFormat,
)
from .leader_epochs import LeaderEpochCache
from .log_reader import read_batches, read_slice
from .origin import Origin
from .producer_checks import Duplicate
from .producer_replay import replay_producers
from .producer_state import ProducerState
from .validation import prepare

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .disk import Disk
    from .durability import Durability
    from .log_config import LogConfig
    from .log_reader import FetchSlice
    from .partition_directory import PartitionDirectory
    from .segments import Segments

logger = logging.getLogger(__name__)


class Log:
    """One partition's log. `log_opening.open_log` makes it."""

    __slots__ = (
        "_disk",
        "checkpoint_queue",
        "config",
        "directory",
        "durability",
        "is_tail_known",
        "last_append_bytes",
        "last_flush_ms",
        "loaded_epochs",
        "loaded_producers",
        "log_end_offset",
        "log_start_offset",
        "now_ms",
        "offline_error",
        "partition",
        "segments",
        "topic",
    )

    def __init__(
        self,
        disk: Disk,
        directory: PartitionDirectory,
        topic: str,
        partition: int,
        config: LogConfig,
        segments: Segments,
        *,
        log_start_offset: int,
        log_end_offset: int,
        durability: Durability,
        now_ms: int,
        checkpoint_queue: set[Log],
        is_tail_known: bool,
        epochs: LeaderEpochCache | None,
        producers: ProducerState | None,
    ) -> None:
        """Of what recovery found. `epochs` and `producers` are loaded when needed where None.

        Without `is_tail_known` the end offset comes from the checkpoint of a clean stop, and is
        compared with the segment when that is first used.
        """
        self.directory = directory
        self.topic = topic
        self.partition = partition
        self.config = config
        self.segments = segments
        self.log_start_offset = log_start_offset
        self.log_end_offset = log_end_offset
        self.durability = durability
        self.last_flush_ms = now_ms
        self.last_append_bytes = 0
        # It adds itself when its recovery point or its log start offset may have changed.
        self.checkpoint_queue = checkpoint_queue
        self.is_tail_known = is_tail_known
        self.now_ms = now_ms  # at the last append
        self.loaded_epochs = epochs
        self.loaded_producers = producers
        self.offline_error: DiskError | None = None
        self._disk = disk

    def __repr__(self) -> str:
        return f"Log({self.directory.path}, [{self.log_start_offset}, {self.log_end_offset}))"

    @property
    def size(self) -> int:
        """Bytes of batches."""
        return self.segments.size

    @property
    def recovery_point(self) -> int:
        """Up to where (exclusive) a power loss takes nothing."""
        return self.durability.recovery_point

    @property
    def unflushed_records(self) -> int:
        """How many a power loss could take (flush.messages goes by it)."""
        return self.log_end_offset - max(self.recovery_point, self.log_start_offset)

    @property
    def is_offline(self) -> bool:
        """Whether the disk failed under it; everything then raises DiskError."""
        return self.offline_error is not None

    @property
    def epochs(self) -> LeaderEpochCache:
        """Where each leader epoch starts."""
        if self.loaded_epochs is None:
            self.loaded_epochs = LeaderEpochCache(self._disk, self.directory.path)
        return self.loaded_epochs

    @property
    def producers(self) -> ProducerState:
        """Idempotent and transactional producers, up to the log end offset."""
        if self.loaded_producers is None:
            self.verify_tail()
            producers = ProducerState(
                self._disk,
                self.directory.path,
                expiration_ms=self.config.producer_id_expiration_ms,
            )
            producers.snapshots.delete_stray(segment.base_offset for segment in self.segments)
            self.replay(producers)
            self.loaded_producers = producers
        return self.loaded_producers

    def update_config(self, config: LogConfig) -> None:
        """From the next decision on; an open segment keeps its index settings."""
        self.config = config
        if self.loaded_producers is not None:
            self.loaded_producers.expiration_ms = config.producer_id_expiration_ms

    # Appending.

    def append(
        self,
        records: memoryview,
        *,
        leader_epoch: int,
        now_ms: int,
        origin: Origin = Origin.CLIENT,
        transaction_version: int = -1,
    ) -> AppendInfo:
        """Append as the leader: one batch, which gets its offsets and the epoch in place.

        `records` is checked as `origin` demands, and must be writable (a read-only one is copied).
        Raises what `validation.prepare` and `ProducerState.check_and_prepare` raise,
        RecordBatchTooLarge and DiskError. Nothing has been appended then, and after DiskFull the
        log goes on. After any other exception in the middle of a write it is offline.
        `assigned_batches` appends batches that have their offsets already.
        """
        if self.offline_error is not None:
            raise self.offline_error
        if not self.is_tail_known:
            self.verify_tail()
        self.now_ms = now_ms
        first_offset = self.log_end_offset
        prepared = prepare(records, self.config, now_ms, origin=origin)
        batch = prepared.batch
        header = prepared.header
        size = len(batch)
        if size > self.config.segment_bytes:
            partition = f"{self.topic}-{self.partition}"
            raise RecordBatchTooLarge(size, partition, self.config.segment_bytes)
        producer = None
        if header.producer_id != NO_PRODUCER_ID:
            checked = self.producers.check_and_prepare(
                header, origin, batch=batch, transaction_version=transaction_version
            )
            if isinstance(checked, Duplicate):
                return AppendInfo(
                    checked.first_offset,
                    checked.last_offset,
                    checked.timestamp,
                    self.log_start_offset,
                    duplicate=True,
                )
            producer = checked
        last_offset = first_offset + header.last_offset_delta
        set_base_offset(batch, first_offset)
        set_leader_epoch(batch, leader_epoch)
        is_written = False
        try:
            epochs = self.loaded_epochs or self.epochs
            if epochs.latest_epoch != leader_epoch:
                epochs.assign(leader_epoch, first_offset, write=False)
            segment = self.segments.active
            rolled = False
            if segment.should_roll(self.config, size, header.max_timestamp, last_offset, now_ms):
                rolled = self.roll(now_ms)
                segment = self.segments.active
            segment.append(batch, last_offset, header.max_timestamp, last_offset)
            is_written = True
            self.log_end_offset = last_offset + 1
            self.last_append_bytes = size
            producers = self.loaded_producers or self.producers
            if producer is None:
                producers.map_end_offset = last_offset + 1
            else:
                completed = producers.commit(producer, last_offset)
                if completed is not None:
                    producers.complete_transaction(completed, segment.txn_index)
        except DiskError as error:
            if is_written or not isinstance(error, DiskFull):
                self.fail(error)
            raise
        except Exception as error:
            # Nobody knows what of it was done, and the next batch must not get its offsets again.
            self.fail(DiskError(self.directory.log_dir, f"an append ended in {error!r}"))
            raise
        return AppendInfo(
            first_offset, last_offset, prepared.append_time_ms, self.log_start_offset, rolled=rolled
        )

    def assign_epoch(self, leader_epoch: int) -> None:
        """A leader begins: its epoch starts at the log end, though nothing is written yet."""
        if self.epochs.latest_epoch != leader_epoch:
            self.epochs.assign(leader_epoch, self.log_end_offset, write=False)

    # Reading.

    def read(
        self,
        offset: int,
        max_bytes: int,
        *,
        end_offset: int | None = None,
        min_one: bool = True,
    ) -> FetchSlice:
        """Batches from the one that holds `offset` on, which may begin below it.

        Nothing at or above `end_offset` (exclusive; None: the log end), about `max_bytes`: the last
        batch may be cut. With `min_one` the first batch comes whole even if it is larger; without,
        nothing comes then (KIP-74). OffsetOutOfRange, DiskError.
        """
        if self.offline_error is not None:
            raise self.offline_error
        if not self.is_tail_known:
            self.verify_tail()
        log_end_offset = self.log_end_offset
        if offset < self.log_start_offset or offset > log_end_offset:
            raise OffsetOutOfRange(offset, self.log_start_offset, log_end_offset)
        if end_offset is None or end_offset > log_end_offset:
            end_offset = log_end_offset
        try:
            return read_slice(
                self.segments,
                offset,
                max_bytes,
                end_offset=end_offset,
                log_end_offset=log_end_offset,
                min_one=min_one,
            )
        except DiskFull:
            raise  # there is no descriptor for it now
        except DiskError as error:
            self.fail(error)
            raise

    def batches(self, from_offset: int, end_offset: int | None = None) -> Iterator[memoryview]:
        """Whole raw batches that have offsets in [from_offset, end_offset), read ahead in pieces.

        Begins at the log start where that is higher. The log must not be truncated meanwhile.
        """
        if self.offline_error is not None:
            raise self.offline_error
        self.verify_tail()
        end = self.log_end_offset if end_offset is None else min(end_offset, self.log_end_offset)
        return read_batches(self.segments, max(from_offset, self.log_start_offset), end)

    def first_unstable_offset(self, high_watermark: int) -> int | None:
        """Where the first transaction begins that is not decided below the high watermark
        (exclusive), which never goes back.
        """
        producers = self.producers  # which may be loaded only now, with all that is decided
        producers.on_high_watermark(high_watermark)
        offset = producers.first_unstable_offset
        return offset if offset is None else max(offset, self.log_start_offset)

    def remove_expired_producers(self, now_ms: int) -> int:
        """Forget the producers that `producer.id.expiration.ms` rules out; how many. Cheap."""
        return 0 if self.loaded_producers is None else self.loaded_producers.remove_expired(now_ms)

    def roll(self, now_ms: int, *, first_offset: int = 0) -> bool:
        """Begin a segment at the log end, or at `first_offset` if that is higher; whether so.

        An empty active segment that would start there already stays. DiskError.
        """
        base_offset = max(first_offset, self.log_end_offset)
        active = self.segments.active
        if active.base_offset == base_offset:
            assert not active.size, f"{self} has records at its end offset"
            return False
        # After DiskFull it may be tried again, whether the segment has been begun or not.
        with self.offline_after_error(but_disk_full=True):
            self.checkpoint_queue.add(self)
            self.directory.roll(self.segments, base_offset, self.config, now_ms)
            producers = self.producers
            producers.map_end_offset = base_offset
            snapshot = producers.take_snapshot(sync=False)
            if snapshot is not None:
                self.directory.note_unsynced(snapshot)
        return True

    def note_end(self, end_offset: int) -> None:
        """The log was cut to end here. DiskError."""
        self.log_end_offset = end_offset
        self.durability.note_end(end_offset, self.segments.active.base_offset)
        self.log_start_offset = min(self.log_start_offset, end_offset)
        self.checkpoint_queue.add(self)
        self.epochs.truncate_from_end(end_offset)

    def replay(self, producers: ProducerState) -> None:
        """Bring the producers to the log end offset."""
        replay_producers(
            producers,
            self.segments,
            log_start_offset=self.log_start_offset,
            end_offset=self.log_end_offset,
            now_ms=self.now_ms,
        )

    def verify_tail(self) -> None:
        """Check, once, that the log ends where the checkpoint of the clean stop says. DiskError."""
        if self.is_tail_known:
            return
        try:
            end_offset = self.segments.active.next_offset()
        except CorruptBatch as error:
            failure = DiskError(self.directory.path, f"{error}, although the last stop was clean")
            self.fail(failure)
            raise failure from error
        except UnknownFormat as error:
            self.fail(error)
            raise
        self.is_tail_known = True
        if end_offset != self.log_end_offset:
            logger.warning(
                "%s ends at offset %d, but the last clean stop recorded %d",
                self.directory.path,
                end_offset,
                self.log_end_offset,
            )
            self.note_end(end_offset)

    # Failure.

    def fail(self, error: DiskError) -> None:
        """The disk failed: nothing is written or read here any more."""
        if self.offline_error is None:
            what = f"{self.topic}-{self.partition}: {error}"
            self.offline_error = DiskError(self.directory.log_dir, what)
            for segment in self.segments:
                segment.release()

    @contextmanager
    def offline_after_error(self, *, but_disk_full: bool = False) -> Iterator[None]:
        """A DiskError takes the log offline; with `but_disk_full`, a DiskFull does not."""
        try:
            yield
        except DiskError as error:
            if not (but_disk_full and isinstance(error, DiskFull)):
                self.fail(error)
            raise
