"""Checks and mends a log after a crash.

Kafka's LogLoader and LogSegment.recover. Every batch from the recovery point's segment on is
checked (header, CRC, offsets, epochs). The log is cut at the first byte that is not right, and
later segments go. Indexes, producers and leader epochs follow from what is left. Offsets below the
recovery point were synced before it moved there. What is cut and what goes is set aside (`aside`).
Only what follows from the batches anyway is overwritten or removed: indexes, and the snapshots of
producers.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from . import names
from .aside import Aside
from .checkpoints import PARTITION_METADATA, read_partition_metadata
from .errors import CorruptBatch, CorruptFile, InvalidRecord
from .formats import check_header, header_of, verify_crc
from .leader_epochs import LeaderEpochCache
from .producer_replay import replay_producers
from .producer_state import ProducerState
from .segments import Segments

if TYPE_CHECKING:
    from .batch import BatchHeader
    from .disk import Disk
    from .segment import LogSegment
    from .segment_loading import FoundSegments

logger = logging.getLogger(__name__)


class Recovery:
    """The recovery of one log. `epochs` and `producers` are what it has found, None before."""

    def __init__(
        self,
        disk: Disk,
        directory: str,
        found: FoundSegments,
        *,
        now_ms: int,
        producer_expiration_ms: int,
        synced_to: int,
        drops_from: int,
        may_lack_offsets: bool,
    ) -> None:
        """`found` is changed. Nothing is cut below the offset `synced_to`: that is an error.

        If a segment from `drops_from` on is cut, those behind it go. Without `may_lack_offsets` the
        log ends where offsets are missing.
        """
        self._disk = disk
        self._directory = directory
        self._found = found
        self._now_ms = now_ms
        self._producer_expiration_ms = producer_expiration_ms
        self._synced_to = synced_to
        self._drops_from = drops_from
        self._may_lack_offsets = may_lack_offsets
        self._aside = Aside(disk, directory)
        self.epochs: LeaderEpochCache | None = None
        self.producers: ProducerState | None = None

    def recover(self, recovery_point: int, log_start_offset: int) -> int:
        """Check from the recovery point's segment on, cut what is not right; the end offset."""
        self._drop_corrupt_topic_id()
        suspects = Segments(self._found.segments).from_offset(recovery_point)
        epochs = self.epochs = self._load_epochs(log_start_offset, suspects[0].base_offset)
        # From here on the batches themselves say it.
        epochs.truncate_from_end(suspects[0].base_offset, write=False)
        producers = self.producers = ProducerState(
            self._disk, self._directory, expiration_ms=self._producer_expiration_ms
        )
        end_offset = suspects[0].base_offset
        self._found.indexed_to = min(self._found.indexed_to, end_offset)
        try:
            self._replay(log_start_offset, end_offset)
        except CorruptBatch as error:
            # No crash does this to what was synced: leave it for somebody to look at.
            raise CorruptFile(
                self._directory, f"the log is damaged below the recovery point: {error}"
            ) from error
        for slot, segment in enumerate(suspects):
            if slot:
                if segment.base_offset != end_offset:
                    reason = (
                        f"the segment begins at offset {segment.base_offset}, but {end_offset} "
                        "comes next"
                    )
                    if not self._may_lack_offsets:
                        self._end_at(end_offset, reason)
                        self._drop(suspects[slot:], reason)
                        break
                    logger.warning("%s: %s", segment.path(names.LOG), reason)
                producers.map_end_offset = segment.base_offset
                producers.take_snapshot()
            end_offset = self._recover_segment(segment, suspects[slot + 1 :], log_start_offset)
            if segment is self._found.segments[-1]:
                break
        producers.map_end_offset = end_offset
        producers.snapshots.delete_stray(segment.base_offset for segment in self._found.segments)
        epochs.truncate_from_start(log_start_offset)
        return end_offset

    def _end_at(self, end_offset: int, reason: object) -> None:
        """The log is to end here: CorruptFile where it was synced further."""
        if end_offset < self._synced_to:
            raise CorruptFile(
                self._directory, f"the log is damaged below the recovery point: {reason}"
            )

    def _replay(self, log_start_offset: int, end_offset: int) -> None:
        assert self.producers is not None
        replay_producers(
            self.producers,
            Segments(self._found.segments),
            log_start_offset=log_start_offset,
            end_offset=end_offset,
            now_ms=self._now_ms,
        )

    def _recover_segment(
        self, segment: LogSegment, behind: list[LogSegment], log_start_offset: int
    ) -> int:
        """Cut off what is not right, index the rest anew; the offset that comes next.

        Where something is cut, `behind` goes too, unless that is known to be synced.
        """
        assert self.epochs is not None
        assert self.producers is not None
        segment.reset_indexes()
        segment.txn_index.reset()
        end_offset = segment.base_offset
        end_position = 0
        leader_epoch = -1
        try:
            for position, batch in segment.batches(0):
                header = header_of(batch)
                self._check(segment, header, batch, end_offset, leader_epoch)
                if header.last_offset >= log_start_offset:
                    self._update_producers(segment, header, batch)
                if header.leader_epoch > leader_epoch:
                    leader_epoch = header.leader_epoch
                    self._assign_epoch(self.epochs, header)
                segment.reindex(position, header)
                end_offset = header.next_offset
                end_position = position + header.size_bytes
        except (CorruptBatch, InvalidRecord) as error:
            self._end_at(end_offset, error)
            # In this order: were the end cut first, a crash could leave what lies behind it.
            if segment.base_offset >= self._drops_from:
                self._drop(behind, f"the log is cut at offset {end_offset}")
            self._aside.copy_end(segment.file, end_position, end_offset, error)
            self._disk.fsync_dir(self._directory)
            segment.cut(end_position)
        segment.deactivate()
        return end_offset

    def _update_producers(
        self, segment: LogSegment, header: BatchHeader, batch: memoryview
    ) -> None:
        assert self.producers is not None
        completed = self.producers.update(header, batch)
        if completed is not None:
            self.producers.complete_transaction(completed, segment.txn_index)

    def _check(
        self,
        segment: LogSegment,
        header: BatchHeader,
        batch: memoryview,
        end_offset: int,
        leader_epoch: int,
    ) -> None:
        check_header(header)
        verify_crc(batch)
        if header.base_offset < end_offset or header.last_offset_delta < 0:
            raise CorruptBatch(
                f"the batch has offset {header.base_offset}, but {end_offset} comes next"
            )
        if not segment.fits(header.last_offset):
            raise CorruptBatch(
                f"offset {header.last_offset} does not fit into segment {segment.base_offset}"
            )
        if 0 <= header.leader_epoch < leader_epoch:
            # Left behind by a truncation whose disk forgot it.
            raise CorruptBatch(
                f"leader epoch {header.leader_epoch} follows leader epoch {leader_epoch}"
            )

    def _load_epochs(self, log_start_offset: int, checked_from: int) -> LeaderEpochCache:
        """The epochs of the segments before `checked_from`, at least."""
        try:
            epochs = LeaderEpochCache(self._disk, self._directory)
        except CorruptFile as error:
            self._aside.move(error.path, f"{error.reason}. The file is rebuilt")
            epochs = LeaderEpochCache(self._disk, self._directory)
        start_offset = max(log_start_offset, self._found.segments[0].base_offset)
        if not epochs.entries or epochs.entries[0][1] > start_offset:
            # Lost, or cut at a log start that a checkpoint did not keep; or there are none at
            # first, in batches of the older formats.
            found = LeaderEpochCache(self._disk, self._directory, is_new=True)
            for segment in self._found.segments:
                if segment.base_offset < checked_from:
                    self._assign_epochs(found, segment)
            known = epochs.entries
            if found.entries and (not known or known[0][1] > found.entries[0][1]):
                epochs.clear()
                for epoch, offset in found.entries:
                    epochs.assign(epoch, offset, write=False)
        return epochs

    def _assign_epochs(self, epochs: LeaderEpochCache, segment: LogSegment) -> None:
        try:
            for _, header in segment.headers():
                self._assign_epoch(epochs, header)
        except CorruptBatch as error:
            logger.warning("%s: %s", segment.path(names.LOG), error)

    def _assign_epoch(self, epochs: LeaderEpochCache, header: BatchHeader) -> None:
        latest = epochs.latest_epoch
        if header.leader_epoch >= 0 and (latest is None or header.leader_epoch > latest):
            epochs.assign(header.leader_epoch, header.base_offset, write=False)

    def _drop_corrupt_topic_id(self) -> None:
        path = self._path(PARTITION_METADATA)
        try:
            read_partition_metadata(self._disk, path)
        except CorruptFile as error:
            self._aside.move(path, error.reason)

    def _drop(self, segments: list[LogSegment], reason: str) -> None:
        """Set segments aside, last first; empty ones go, and the snapshots taken at their start."""
        assert self.producers is not None
        for segment in reversed(segments):
            self._found.segments.remove(segment)
            if segment.size:
                segment.release()
                for kind in names.SEGMENT_SUFFIXES:
                    self._aside.move(segment.path(kind), reason)
            else:
                segment.unlink()
            self.producers.snapshots.delete(segment.base_offset)

    def drop_all(self, base_offset: int, reason: str) -> None:
        """Set everything aside and start at `base_offset`."""
        if self.producers is None:
            self.producers = ProducerState(
                self._disk, self._directory, expiration_ms=self._producer_expiration_ms
            )
        if self.epochs is None:
            self.epochs = self._load_epochs(base_offset, 0)
        self._drop(list(self._found.segments), reason)
        self.epochs.clear()
        self.producers.truncate_fully_and_start_at(base_offset)
        self._found.add_empty(base_offset)
        self._disk.fsync_dir(self._directory)

    def _path(self, file: str) -> str:
        return f"{self._directory}/{file}"
