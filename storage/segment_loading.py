"""Finds the segments in a partition's directory, before anything in them is checked.

Kafka's LogLoader. What an interrupted deletion or compaction left behind is cleared away, and
missing indexes are rebuilt. Otherwise nothing is read but the directory.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from . import names
from .disk import TEMPORARY_SUFFIX
from .errors import CorruptBatch, UnknownFormat
from .segment import LogSegment, new_segment
from .segments import Segments

if TYPE_CHECKING:
    from random import Random

    from .disk import Disk
    from .log_config import LogConfig

logger = logging.getLogger(__name__)

# KRaft's snapshots lie in the same directory under a name of their own; Raft sees to them.
_RAFT_SNAPSHOT_DELETED = ".checkpoint.deleted"

# What something that was cut short leaves behind.
_LEFT_BEHIND = (names.DELETED, TEMPORARY_SUFFIX, names.CLEANED, names.SWAP)


class FoundSegments:
    """The segments of one log that is being opened, ascending by base offset."""

    def __init__(
        self, disk: Disk, directory: str, config: LogConfig, now_ms: int, rng: Random
    ) -> None:
        """Empty; `load` looks into the directory."""
        self._disk = disk
        self._directory = directory
        self._config = config
        self._now_ms = now_ms
        self._rng = rng
        self.segments: list[LogSegment] = []
        # Where a segment begins whose indexes only a recovery can mend.
        self.suspect_offset: int | None = None
        # Segments from here on may have been cut or indexed anew, which is not synced.
        self.indexed_to = 0

    @property
    def last_base_offset(self) -> int:
        return self.segments[-1].base_offset

    def add_empty(self, base_offset: int, *, in_new_directory: bool = False) -> None:
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

    def load(self) -> None:
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
