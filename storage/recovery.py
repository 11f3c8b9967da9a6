"""Opens a log: what a clean stop left is taken as it is, what a crash left is checked and mended.

Kafka's LogLoader. After a clean stop nothing is read but the directory. Otherwise every batch from
the recovery point's segment on is checked (header, CRC, offsets, epochs), the log is cut at the
first byte that is not right, later segments go, and indexes, producers and leader epochs follow
from what is left. Offsets below the recovery point were synced before it moved there. What is cut
and what goes is set aside (`aside`), and batches of a later format are never touched: the log is
not opened (UnknownFormat). Only what follows from the batches anyway is written over or removed:
indexes, and the snapshots of producers.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from . import names
from .aside import Aside
from .checkpoints import PARTITION_METADATA, read_partition_metadata
from .closing import release_descriptors
from .deletions import Deletions
from .disk import TEMPORARY_SUFFIX
from .durability import Durability
from .errors import CorruptBatch, CorruptFile, InvalidRecord, StorageError, UnknownFormat
from .formats import check_header, header_of, verify_crc
from .leader_epochs import LeaderEpochCache
from .log import Log
from .partition_directory import PartitionDirectory
from .producer_replay import replay_producers
from .producer_state import ProducerState
from .segment import LogSegment, new_segment
from .segments import Segments

if TYPE_CHECKING:
    from random import Random

    from .batch import BatchHeader
    from .disk import Disk
    from .log_config import LogConfig

logger = logging.getLogger(__name__)

# KRaft's snapshots lie in the same directory under a name of their own; Raft sees to them.
_RAFT_SNAPSHOT_DELETED = ".checkpoint.deleted"

# What something that was cut short leaves behind.
_LEFT_BEHIND = (names.DELETED, TEMPORARY_SUFFIX, names.CLEANED, names.SWAP)


class UnknownLogDirectory(StorageError):
    """A directory's name is not that of a partition."""


def open_log(
    disk: Disk,
    directory: str,
    config: LogConfig,
    *,
    now_ms: int,
    rng: Random,
    clean: bool = False,
    recovery_point: int | None = None,
    log_start_offset: int = 0,
    topic_id: bytes | None = None,
    is_identified: bool = False,
    deletions: Deletions | None = None,
    checkpoint_queue: set[Log] | None = None,
    keeps_synced: bool = False,
    is_copy: bool = False,
) -> Log:
    """The log in `directory` (`.../topic-3`), made if it is not there.

    `clean`: the log directory was closed in order; `recovery_point` and `log_start_offset` are what
    the checkpoints say, None where they say nothing. `topic_id` is written to a new log; with
    `is_identified` the caller has read there that it is this one. What is deleted waits in
    `deletions`, which logs may share. The log adds itself to `checkpoint_queue` when its recovery
    point or its log start offset may have changed. `keeps_synced`: damage below the recovery point,
    which no crash does, is an error; otherwise the log is cut there, as Kafka does. After a crash a
    log goes on behind missing offsets, as Kafka's does, but for one with `keeps_synced`, and for a
    copy that is to take the place of the log that has them: these end there.
    DiskError, CorruptFile.
    """
    log_dir, _, name = directory.rpartition("/")
    parsed = names.parse_partition_dir(name)
    if parsed is None:
        raise UnknownLogDirectory(f"{directory} is not the directory of a partition")
    written_down = recovery_point or 0
    loader = _Loader(disk, directory, config, now_ms, rng)
    if keeps_synced:
        loader.synced_to = written_down
    loader.may_lack_offsets = not (keeps_synced or is_copy)
    is_new = not disk.is_dir(directory)
    if is_new:
        disk.make_dir(directory)
        loader.add_empty_segment(log_start_offset, in_new_directory=True)
        loader.epochs = LeaderEpochCache(disk, directory, is_new=True)
    else:
        loader.load_segments()
        if not loader.segments:
            loader.add_empty_segment(log_start_offset)
        if loader.suspect_offset is not None:
            # What was synced behind it is not given up for what may be wrong there.
            loader.drops_from = loader.unsynced_base(recovery_point or 0, clean=clean)
            clean = False
            recovery_point = min(recovery_point or 0, loader.suspect_offset)
    if is_new:
        end_offset = recovery_point = log_start_offset
    elif clean and recovery_point is not None and loader.may_end_at(recovery_point):
        end_offset = recovery_point
    elif clean:
        end_offset = recovery_point = loader.read_end_offset()
    else:
        end_offset = loader.recover(recovery_point or 0, log_start_offset)
        recovery_point = min(recovery_point or 0, end_offset)
    if end_offset < log_start_offset:
        logger.warning(
            "%s ends at offset %d, before its start offset %d; restarting the log there",
            directory,
            end_offset,
            log_start_offset,
        )
        loader.drop_all(log_start_offset, f"the log ends at {end_offset}")
        end_offset = recovery_point = log_start_offset
    segments = Segments(loader.segments)
    durability = Durability(
        disk, recovery_point, indexed_to=loader.indexed_to, written_down=written_down
    )
    if is_new or not clean:
        durability.note_names(directory)
    if is_new:
        durability.note_names(log_dir)
    partition_directory = PartitionDirectory(
        disk,
        directory,
        durability=durability,
        deletions=Deletions() if deletions is None else deletions,
        rng=rng,
        topic_id=topic_id if is_identified else None,
    )
    log = Log(
        disk,
        partition_directory,
        parsed.topic,
        parsed.partition,
        config,
        segments,
        log_start_offset=max(log_start_offset, segments.first.base_offset),
        log_end_offset=end_offset,
        durability=durability,
        now_ms=now_ms,
        checkpoint_queue=set() if checkpoint_queue is None else checkpoint_queue,
        is_tail_known=is_new or not clean,
        epochs=loader.epochs,
        producers=loader.producers,
    )
    if not clean and not is_new:
        # Every log of the broker has been read, few of them will be used at once.
        release_descriptors(log)
    if (
        topic_id is not None
        and not is_identified
        and (is_new or partition_directory.topic_id is None)
    ):
        partition_directory.assign_topic_id(topic_id)
    return log


class _Loader:
    """The segments of one directory while they are found, checked and mended."""

    def __init__(
        self, disk: Disk, directory: str, config: LogConfig, now_ms: int, rng: Random
    ) -> None:
        self._disk = disk
        self._directory = directory
        self._config = config
        self._now_ms = now_ms
        self._rng = rng
        self.segments: list[LogSegment] = []
        self.epochs: LeaderEpochCache | None = None
        self.producers: ProducerState | None = None
        # Below this offset nothing is cut: what is not right there is left for somebody to look at.
        self.synced_to = 0
        self.may_lack_offsets = True
        # Where a segment from here on is cut, those behind it go.
        self.drops_from = 0
        self._aside = Aside(disk, directory)
        # Where a segment begins whose indexes only a recovery can mend.
        self.suspect_offset: int | None = None
        # Segments from here on may have been cut or indexed anew, which is not synced.
        self.indexed_to = 0

    @property
    def last_base_offset(self) -> int:
        return self.segments[-1].base_offset

    def add_empty_segment(self, base_offset: int, *, in_new_directory: bool = False) -> None:
        segment = self._segment(base_offset)
        segment.create(in_new_directory=in_new_directory)
        self.segments.append(segment)

    def unsynced_base(self, recovery_point: int, *, clean: bool) -> int:
        """Where the first segment begins that need not be synced; behind all after a clean stop."""
        if clean:
            return self.last_base_offset + 1
        return Segments(self.segments).from_offset(recovery_point)[0].base_offset

    def may_end_at(self, offset: int) -> bool:
        """Whether the log may end there, by what a look at the last segment says."""
        last = self.segments[-1]
        return offset > last.base_offset or (offset == last.base_offset and not last.size)

    def read_end_offset(self) -> int:
        """One above the last record's offset."""
        return self.segments[-1].next_offset()

    def load_segments(self) -> None:
        """Clear away what an interrupted deletion or compaction left, and note the segments."""
        files = self._finish_swaps()
        parsed = {file: names.parse_file_name(file) for file in files}
        bases = {found[0] for found in parsed.values() if found and found[1] == names.LOG}
        for file, found in parsed.items():
            if found is None or found[1] in (names.LOG, names.SNAPSHOT):
                continue
            if found[0] not in bases:
                logger.warning(
                    "%s: removing this index, because it has no segment", self._path(file)
                )
                self._disk.unlink(self._path(file))
        self.indexed_to = max(bases, default=0)
        for base_offset in sorted(bases):
            segment = self._segment(base_offset)
            self.segments.append(segment)
            missing = {names.OFFSET_INDEX, names.TIME_INDEX} - {
                kind
                for kind in names.SEGMENT_SUFFIXES
                if names.file_name(base_offset, kind) in parsed
            }
            if missing and segment.size:
                logger.warning(
                    "%s: rebuilding the missing indexes %s",
                    segment.path(names.LOG),
                    sorted(missing),
                )
                self._rebuild_indexes(segment)
            if names.file_name(base_offset, names.TXN_INDEX) in parsed:
                defect = segment.txn_index.defect()
                if defect is not None:
                    logger.warning("%s: rebuilding the index: %s", segment.txn_index.path, defect)
                    self._suspect(segment)

    def _rebuild_indexes(self, segment: LogSegment) -> None:
        self.indexed_to = min(self.indexed_to, segment.base_offset)
        try:
            segment.rebuild_indexes()
        except CorruptBatch:
            self._suspect(segment)
        except UnknownFormat:
            segment.release_indexes()
            for path in (segment.offset_index.path, segment.time_index.path):
                self._disk.unlink(path)  # so that the next start looks here again
            raise

    def _suspect(self, segment: LogSegment) -> None:
        if self.suspect_offset is None:
            self.suspect_offset = segment.base_offset

    def _finish_swaps(self) -> list[str]:
        """Remove `.deleted`, `.cleaned` and temporary files; carry through complete swaps.

        Returns the names that are there then.
        """
        swaps: list[str] = []
        cleaned_offsets = []
        files = self._disk.list_dir(self._directory)
        if not any(file.endswith(_LEFT_BEHIND) for file in files):
            return files
        for file in files:
            base, dot, mark = file.rpartition(".")
            mark = dot + mark
            if file.endswith(_RAFT_SNAPSHOT_DELETED):
                continue
            if mark in (names.DELETED, TEMPORARY_SUFFIX):
                self._disk.unlink(self._path(file))
            elif mark == names.CLEANED:
                found = names.parse_file_name(base)
                if found is not None:
                    cleaned_offsets.append(found[0])
                self._disk.unlink(self._path(file))
            elif mark == names.SWAP and names.parse_file_name(base) is not None:
                swaps.append(base)
        # A `.cleaned` file tells of a split or compaction that had not finished writing: swaps at
        # or above it belong to that.
        complete = []
        for base in swaps:
            found = names.parse_file_name(base)
            assert found is not None
            if cleaned_offsets and found[0] >= min(cleaned_offsets):
                self._disk.unlink(self._path(base + names.SWAP))
            else:
                complete.append(base)
        if complete:
            self._swap_in(complete)
        return self._disk.list_dir(self._directory)

    def _swap_in(self, files: list[str]) -> None:
        lowest = highest = None
        for file in files:
            found = names.parse_file_name(file)
            assert found is not None
            base_offset, kind = found
            if kind == names.LOG:
                swapped = self._segment(base_offset, names.SWAP)
                end = swapped.next_offset()
                swapped.release()
                lowest = base_offset if lowest is None else min(lowest, base_offset)
                highest = end if highest is None else max(highest, end)
        if lowest is not None and highest is not None:
            for file in self._disk.list_dir(self._directory):
                found = names.parse_file_name(file)
                if found is not None and lowest <= found[0] < highest:
                    self._disk.unlink(self._path(file))
        for file in files:
            self._disk.rename(self._path(file + names.SWAP), self._path(file))
        self._disk.fsync_dir(self._directory)

    # After a crash.

    def recover(self, recovery_point: int, log_start_offset: int) -> int:
        """Check from the recovery point's segment on, cut what is not right; the end offset."""
        self._drop_corrupt_topic_id()
        suspects = Segments(self.segments).from_offset(recovery_point)
        epochs = self.epochs = self._load_epochs(log_start_offset, suspects[0].base_offset)
        # From here on the batches themselves say it.
        epochs.truncate_from_end(suspects[0].base_offset, write=False)
        producers = self.producers = ProducerState(
            self._disk, self._directory, expiration_ms=self._config.producer_id_expiration_ms
        )
        end_offset = suspects[0].base_offset
        self.indexed_to = min(self.indexed_to, end_offset)
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
                    if not self.may_lack_offsets:
                        self._end_at(end_offset, reason)
                        self._drop(suspects[slot:], reason)
                        break
                    logger.warning("%s: %s", segment.path(names.LOG), reason)
                producers.map_end_offset = segment.base_offset
                producers.take_snapshot()
            end_offset = self._recover_segment(segment, suspects[slot + 1 :], log_start_offset)
            if segment is self.segments[-1]:
                break
        producers.map_end_offset = end_offset
        producers.snapshots.delete_stray(segment.base_offset for segment in self.segments)
        epochs.truncate_from_start(log_start_offset)
        return end_offset

    def _end_at(self, end_offset: int, reason: object) -> None:
        """The log is to end here: CorruptFile where it was synced further."""
        if end_offset < self.synced_to:
            raise CorruptFile(
                self._directory, f"the log is damaged below the recovery point: {reason}"
            )

    def _replay(self, log_start_offset: int, end_offset: int) -> None:
        assert self.producers is not None
        replay_producers(
            self.producers,
            Segments(self.segments),
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
            if segment.base_offset >= self.drops_from:
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
        start_offset = max(log_start_offset, self.segments[0].base_offset)
        if not epochs.entries or epochs.entries[0][1] > start_offset:
            # Lost, or cut at a log start that a checkpoint did not keep; or there are none at
            # first, in batches of the older formats.
            found = LeaderEpochCache(self._disk, self._directory, is_new=True)
            for segment in self.segments:
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
            self.segments.remove(segment)
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
                self._disk, self._directory, expiration_ms=self._config.producer_id_expiration_ms
            )
        if self.epochs is None:
            self.epochs = self._load_epochs(base_offset, 0)
        self._drop(list(self.segments), reason)
        self.epochs.clear()
        self.producers.truncate_fully_and_start_at(base_offset)
        self.add_empty_segment(base_offset)
        self._disk.fsync_dir(self._directory)

    def _segment(self, base_offset: int, suffix: str = "") -> LogSegment:
        return new_segment(
            self._disk,
            self._directory,
            base_offset,
            self._config,
            self._now_ms,
            self._rng,
            suffix=suffix,
        )

    def _path(self, file: str) -> str:
        return f"{self._directory}/{file}"
