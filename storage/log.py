"""The log of one partition: append, read, roll, flush, truncate.

Kafka's UnifiedLog and LocalLog. A log is a directory of segments, of which the last is active, plus
the leader epochs and the producers' state. Offsets: `log_start_offset` is the first that may be
read, `log_end_offset` (exclusive) the next to be written, `recovery_point` (exclusive) up to where
a power loss takes nothing. The high watermark is the partition's and comes in as an argument.

`LogBase` has the state, rolling and flushing; here is what changes and finds records.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from . import names
from .batch import NO_PRODUCER_ID, NO_TIMESTAMP, set_base_offset, set_leader_epoch
from .errors import DiskError, DiskFull, OffsetOutOfRange, RecordBatchTooLarge
from .given_batches import check_given
from .log_base import LogBase
from .log_reader import FetchSlice as FetchSlice
from .log_reader import aborted_transactions, read_batches, read_slice
from .origin import Origin
from .producer_state import Duplicate
from .retention import delete_old_segments, has_old_segments
from .timestamp_search import TimestampOffset, find_max_timestamp, find_timestamp
from .txn_index import AbortedTransaction
from .validation import prepare

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .leader_epochs import EpochEndOffset
    from .producer_state import CompletedTransaction
    from .segment import LogSegment


class AppendInfo:
    """What an append did. Offsets are inclusive; a duplicate's are those of its first append."""

    __slots__ = (
        "append_time_ms",
        "duplicate",
        "first_offset",
        "last_offset",
        "log_start_offset",
        "rolled",
    )

    def __init__(
        self,
        first_offset: int,
        last_offset: int,
        append_time_ms: int,
        log_start_offset: int,
        *,
        duplicate: bool = False,
        rolled: bool = False,
    ) -> None:
        self.first_offset = first_offset
        self.last_offset = last_offset
        self.append_time_ms = append_time_ms  # -1 unless the topic stamps with LogAppendTime
        self.log_start_offset = log_start_offset
        self.duplicate = duplicate  # nothing was written
        self.rolled = rolled  # a segment was finished: time to flush it


class Log(LogBase):
    """One partition's log. `recovery.open_log` makes it."""

    __slots__ = ()

    # Appending.

    def append(
        self,
        records: memoryview,
        *,
        leader_epoch: int,
        now_ms: int,
        origin: Origin = Origin.CLIENT,
        allow_zstd: bool = True,
        transaction_version: int = -1,
    ) -> AppendInfo:
        """Append as the leader: one batch, which gets its offsets and the epoch in place.

        `records` is checked as `origin` demands, and must be writable (a read-only one is copied).
        Batches of REPLICATION and RAFT_LEADER, any number, have their offsets already.
        Raises what `validation.prepare` and `ProducerState.check_and_prepare` raise,
        RecordBatchTooLarge, OffsetsOutOfOrder and UnexpectedAppendOffset for given offsets, and
        DiskError. Nothing has been appended then, and after DiskFull the log goes on. After any
        other exception in the middle of a write it is offline.
        """
        if self._offline is not None:
            raise self._offline
        if not self._is_tail_known:
            self._verify_tail()
        self._now_ms = now_ms
        if origin is Origin.REPLICATION or origin is Origin.RAFT_LEADER:
            return self._append_given(records, leader_epoch, now_ms, origin)
        first_offset = self.log_end_offset
        prepared = prepare(records, self.config, now_ms, origin=origin, allow_zstd=allow_zstd)
        batch = prepared.batch
        header = prepared.header
        size = len(batch)
        if size > self.config.segment_bytes:
            raise self._too_large(size)
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
            epochs = self.epochs
            if epochs.latest_epoch != leader_epoch:
                epochs.assign(leader_epoch, first_offset, write=False)
            rolled = self.roll_if_needed(size, header.max_timestamp, last_offset, now_ms)
            self.segments.active.append(batch, last_offset, header.max_timestamp, last_offset)
            is_written = True
            self.log_end_offset = last_offset + 1
            self.last_append_bytes = size
            producers = self._producers or self.producers
            if producer is None:
                producers.map_end_offset = last_offset + 1
            else:
                self._complete(producers.commit(producer, last_offset))
        except DiskError as error:
            if is_written or not isinstance(error, DiskFull):
                self.fail(error)
            raise
        except Exception as error:
            # Nobody knows what of it was done, and the next batch must not get its offsets again.
            self.fail(DiskError(self.log_dir, f"an append ended in {error!r}"))
            raise
        return AppendInfo(
            first_offset,
            last_offset,
            prepared.append_time_ms,
            self.log_start_offset,
            rolled=rolled,
        )

    def _append_given(
        self, records: memoryview, leader_epoch: int, now_ms: int, origin: Origin
    ) -> AppendInfo:
        given = check_given(records, origin, leader_epoch, self.log_end_offset)
        if given is None:
            end_offset = self.log_end_offset
            return AppendInfo(end_offset, end_offset - 1, NO_TIMESTAMP, self.log_start_offset)
        if given.size > self.config.segment_bytes and len(given.batches) > 1:
            raise self._too_large(given.size)  # one alone has been let into a log already
        producers = self._producers or self.producers
        is_written = False
        try:
            for header, _ in given.batches:
                if header.leader_epoch >= 0 and self.epochs.latest_epoch != header.leader_epoch:
                    self.epochs.assign(header.leader_epoch, header.base_offset, write=False)
            last_offset = given.end_offset - 1
            rolled = self.roll_if_needed(
                given.size,
                given.max_timestamp,
                last_offset,
                now_ms,
                first_offset=given.first_offset,
            )
            self.segments.active.append(
                records[: given.size],
                last_offset,
                given.max_timestamp,
                given.offset_of_max_timestamp,
            )
            is_written = True
            self.log_end_offset = given.end_offset
            self.last_append_bytes = given.size
            for header, batch in given.batches:
                self._complete(producers.update(header, batch))
        except DiskError as error:
            if is_written or not isinstance(error, DiskFull):
                self.fail(error)
            raise
        return AppendInfo(
            given.first_offset, last_offset, NO_TIMESTAMP, self.log_start_offset, rolled=rolled
        )

    def _complete(self, completed: CompletedTransaction | None) -> None:
        if completed is None:
            return
        producers = self.producers
        if completed.is_aborted:
            aborted = AbortedTransaction(
                completed.producer_id,
                completed.first_offset,
                completed.last_offset,
                producers.last_stable_offset(completed),
            )
            self.segments.active.txn_index.append(aborted)
        producers.complete_transaction(completed)

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
        if self._offline is not None:
            raise self._offline
        if not self._is_tail_known:
            self._verify_tail()
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
        if self._offline is not None:
            raise self._offline
        self._verify_tail()
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
        return 0 if self._producers is None else self._producers.remove_expired(now_ms)

    def aborted_transactions(
        self, offset: int, fetched: FetchSlice, end_offset: int
    ) -> list[AbortedTransaction]:
        """What a read_committed consumer must skip in what `read(offset)` returned."""
        return aborted_transactions(self.segments, offset, fetched, end_offset)

    # Epochs and timestamps.

    def end_offset_for_epoch(self, leader_epoch: int) -> EpochEndOffset:
        """The largest known epoch <= leader_epoch and its end offset, exclusive (KIP-101)."""
        return self.epochs.end_offset_for(leader_epoch, self.log_end_offset)

    def epoch_for_offset(self, offset: int) -> int | None:
        """The leader epoch that `offset` was written in."""
        return self.epochs.epoch_for_offset(offset)

    def offset_for_timestamp(
        self, timestamp: int, end_offset: int | None = None
    ) -> TimestampOffset | None:
        """The first record at or after `timestamp` (KIP-79); None if none lies below end_offset."""
        self._verify_tail()
        found = find_timestamp(self.segments, timestamp, self.log_start_offset)
        return found if found is not None and self._is_below(found.offset, end_offset) else None

    def offset_of_max_timestamp(self, end_offset: int | None = None) -> TimestampOffset | None:
        """The first record with the largest timestamp (ListOffsets -3); None as above."""
        self._verify_tail()
        found = find_max_timestamp(self.segments)
        return found if found is not None and self._is_below(found.offset, end_offset) else None

    def _is_below(self, offset: int, end_offset: int | None) -> bool:
        return offset < (self.log_end_offset if end_offset is None else end_offset)

    # Cutting.

    def truncate_to(self, offset: int, now_ms: int) -> bool:
        """Drop the batches that end at or above `offset`; False if the log ends there or before.

        The caller writes the recovery point checkpoint before it appends again.
        """
        if self._offline is not None:
            raise self._offline
        self._verify_tail()
        if offset >= self.log_end_offset:
            # An epoch that began here without a record may contradict the leader's.
            self.epochs.truncate_from_end(self.log_end_offset)
            return False
        if offset < self.segments.first.base_offset:
            self.truncate_fully_and_start_at(offset, now_ms)
            return True
        try:
            self._cut(offset, now_ms)
        except DiskError as error:
            self.fail(error)
            raise
        return True

    def _cut(self, offset: int, now_ms: int) -> None:
        producers = self.producers
        behind = [segment for segment in self.segments if segment.base_offset > offset]
        for segment in reversed(behind):
            self._discard(segment, now_ms)
        if behind:
            # If one came back it could hide from recovery that the segment before was cut.
            self._disk.fsync_dir(self.directory)
        active = self.segments.active
        offset = active.truncate_to(offset, now_ms)
        self._durability.note_end(offset, active.base_offset)
        self.log_start_offset = min(self.log_start_offset, offset)
        self.log_end_offset = offset
        self.checkpoint_queue.add(self)
        self.epochs.truncate_from_end(offset)
        # What was cut off must not come back behind what is appended next, be it as bytes of the
        # file or as a segment or snapshot whose removal the disk forgot.
        active.file.fsync()
        self._replay(producers)
        self._disk.fsync_dir(self.directory)

    def truncate_fully_and_start_at(
        self, offset: int, now_ms: int, *, log_start_offset: int | None = None
    ) -> None:
        """Drop everything; the next record gets `offset`."""
        if self._offline is not None:
            raise self._offline
        try:
            for segment in reversed(list(self.segments)):
                self._discard(segment, now_ms)
            self.epochs.clear()
            self.producers.truncate_fully_and_start_at(offset)
            self._add_segment(offset, now_ms)
            self.log_start_offset = offset if log_start_offset is None else log_start_offset
            self.log_end_offset = offset
            self._is_tail_known = True
            self._disk.fsync_dir(self.directory)
            self._durability.note_start(offset)
            self.checkpoint_queue.add(self)
        except DiskError as error:
            self.fail(error)
            raise

    def increment_log_start_offset(self, offset: int) -> bool:
        """Records below `offset` are no longer readable (DeleteRecords); whether that is news.

        The caller holds it to the high watermark. OffsetOutOfRange above the log end.
        """
        if self._offline is not None:
            raise self._offline
        self._verify_tail()
        if offset > self.log_end_offset:
            raise OffsetOutOfRange(offset, self.log_start_offset, self.log_end_offset)
        if offset <= self.log_start_offset:
            return False
        self.log_start_offset = offset
        self.checkpoint_queue.add(self)
        # The recovery point stays: segments that go have gone for good only after a flush, and if
        # a power loss brings one back, it must be checked.
        self.epochs.truncate_from_start(offset)
        self.producers.on_log_start_offset_incremented(offset)
        return True

    def delete_old_segments(self, now_ms: int, high_watermark: int | None = None) -> int:
        """Drop the segments that retention or the log start offset rule out; how many.

        Only whole segments below the high watermark (None: the log end) go.
        """
        if self._offline is not None:
            raise self._offline
        limit = self.log_end_offset if high_watermark is None else high_watermark
        try:
            if not self._is_tail_known:
                # To verify it opens the log, and a pass over all logs must not open every one.
                if not has_old_segments(self, now_ms, limit):
                    return 0
                self._verify_tail()
                limit = min(limit, self.log_end_offset)
            return delete_old_segments(self, now_ms, limit)
        except DiskFull:
            raise  # the next time it gets further
        except DiskError as error:
            self.fail(error)
            raise

    def remove_segments(self, segments: list[LogSegment], now_ms: int) -> None:
        """Take the oldest segments out of the log; the log starts behind them."""
        if len(segments) == len(self.segments):
            self.roll(now_ms)
        behind = self.segments.after(segments[-1])
        assert behind is not None
        self.increment_log_start_offset(behind.base_offset)
        for segment in segments:
            self._discard(segment, now_ms)

    def _discard(self, segment: LogSegment, now_ms: int) -> None:
        self.segments.remove(segment)
        due_ms = now_ms + self.config.file_delete_delay_ms
        segment.release()
        for path in segment.rename(names.DELETED):
            self._deletions.add(path, due_ms)
        snapshot = self.producers.snapshots.release(segment.base_offset)
        if snapshot is not None:
            self._disk.rename(snapshot, snapshot + names.DELETED)
            self._deletions.add(snapshot + names.DELETED, due_ms)
        self._note_names()

    # Ends.

    def close(self, *, sync_log_dir: bool = True) -> None:
        """Flush all and let go of the files, so that a clean stop needs no recovery. DiskError.

        What was not touched since it was opened costs nothing. Whoever closes many logs may sync
        the log directory, for those that are new, once by itself.
        """
        if self._offline is not None:
            return
        try:
            active = self.segments.active
            paths = []
            if active.is_written:
                active.deactivate()
                paths = active.index_paths()
            if self._producers is not None:
                snapshot = self._producers.take_snapshot(sync=False)
                if snapshot is not None:
                    self._note_unsynced(snapshot)
            plan = self.begin_flush()
            plan.paths += paths
            if not sync_log_dir:
                plan.directories = [path for path in plan.directories if path != self.log_dir]
            plan.run()
            self.finish_flush(plan)
            self._durability.closed(self.log_end_offset)
            self.checkpoint_queue.add(self)
            active.is_written = False
        except DiskError as error:
            self.fail(error)
            raise
        for segment in self.segments:
            segment.release()

    def delete(self, now_ms: int, unique: bytes) -> None:
        """The partition is gone: its directory is set aside and removed after the usual delay.

        `unique`: 16 random bytes. The log is not used any more. It lasts once the log directory is
        synced, which the caller does, once for all that go.
        """
        name = names.marked_dir(self.topic, self.partition, unique, names.DELETE_DIR)
        path = f"{self.log_dir}/{name}"
        for segment in self.segments:
            segment.release()
        with suppress(FileNotFoundError):  # somebody was faster
            self._disk.rename(self.directory, path)
            self._deletions.add(path, now_ms + self.config.file_delete_delay_ms, is_dir=True)
        self._offline = DiskError(self.log_dir, f"{self.topic}-{self.partition} was deleted")

    def set_aside(self, now_ms: int, unique: bytes) -> None:
        """Another log has taken its place: as `delete`, but who reads here may go on doing so."""
        name = names.marked_dir(self.topic, self.partition, unique, names.DELETE_DIR)
        with suppress(FileNotFoundError):  # somebody was faster
            self.rename_directory(name)
            self._disk.fsync_dir(self.log_dir)
            due_ms = now_ms + self.config.file_delete_delay_ms
            self._deletions.add(self.directory, due_ms, is_dir=True)

    def _too_large(self, size: int) -> RecordBatchTooLarge:
        return RecordBatchTooLarge(
            f"an append of {size} bytes to {self.topic}-{self.partition}, which exceeds the "
            f"segment size of {self.config.segment_bytes}"
        )
