"""One segment of a log: the file of record batches and its three indexes.

Kafka's LogSegment. The base offset is a lower bound of the offsets in it. A segment opens its file,
and reads its size and its indexes, only when they are needed. So a broker with 10,000 partitions
starts without touching them. The callers are responsible for offsets, rolls and recovery.
"""

from __future__ import annotations

import struct
from contextlib import suppress
from typing import TYPE_CHECKING

from . import names, walk
from .batch import HEADER, LAST_OFFSET_DELTA_AT, LOG_OVERHEAD, MAGIC
from .errors import CorruptBatch
from .formats import SIZE_MIN, first_offset, length_min, read_header
from .offset_index import MAX_RELATIVE_OFFSET, OffsetIndex
from .time_index import TimeIndex
from .txn_index import TransactionIndex

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from .batch import BatchHeader
    from .disk import Disk, File
    from .log_config import LogConfig


# Base offset, length, magic, and the last offset delta, which only format 2 has.
_SEARCHED = struct.Struct(">qi4xb6xi")
_SEARCHED_BYTES = LAST_OFFSET_DELTA_AT + 4
_MIN_LENGTH = HEADER - LOG_OVERHEAD


class LogSegment:
    """Not thread-safe."""

    __slots__ = (
        "_bytes_since_index_entry",
        "_config",
        "_disk",
        "_file",
        "_first_timestamp",
        "_is_sane",
        "_max_timestamp",
        "_size",
        "base_offset",
        "created_ms",
        "directory",
        "is_written",
        "offset_index",
        "roll_jitter_ms",
        "suffix",
        "time_index",
        "txn_index",
    )

    def __init__(
        self,
        disk: Disk,
        directory: str,
        base_offset: int,
        config: LogConfig,
        *,
        created_ms: int,
        roll_jitter_ms: int = 0,
        suffix: str = "",
    ) -> None:
        """`created_ms` decides about rolling while no batch with a timestamp is in it."""
        self._disk = disk
        self._config = config
        self._file: File | None = None
        self._size = -1  # not known yet
        self._bytes_since_index_entry = 0
        self._first_timestamp: int | None = None
        self._max_timestamp: tuple[int, int] | None = None
        self._is_sane = False  # whether the indexes have been looked at
        self.base_offset = base_offset
        self.is_written = False  # since it was opened: a close has something to do
        self.created_ms = created_ms
        self.directory = directory
        self.roll_jitter_ms = roll_jitter_ms
        self.suffix = suffix
        index_bytes = config.segment_index_bytes
        self.offset_index = OffsetIndex(
            disk, self.path(names.OFFSET_INDEX), base_offset, index_bytes
        )
        self.time_index = TimeIndex(disk, self.path(names.TIME_INDEX), base_offset, index_bytes)
        self.txn_index = TransactionIndex(disk, self.path(names.TXN_INDEX), base_offset)

    def path(self, suffix: str) -> str:
        """Where the file of this kind lies."""
        return f"{self.directory}/{names.file_name(self.base_offset, suffix)}{self.suffix}"

    def create(self, *, in_new_directory: bool = False) -> None:
        """Make the files of a new segment; what lies there under their names goes.

        The time index is made before the first batch. Every file costs an inode, and Kafka makes
        the one that is missing by itself, as long as the offset index is there.
        """
        if not in_new_directory:
            for suffix in names.SEGMENT_SUFFIXES:
                self._disk.unlink(self.path(suffix))
        self._file = self._disk.open(self.path(names.LOG), create=True)
        self._size = 0
        self._is_sane = True
        if self._config.preallocate:
            self._file.reserve(self._config.segment_bytes)
            self.is_written = True  # a close has to give back what was reserved
        # Kafka takes a log file without its offset index for a crashed one.
        self._disk.open(self.path(names.OFFSET_INDEX), create=True)

    @property
    def file(self) -> File:
        """The batches. Whoever holds it keeps it open."""
        if self._file is None:
            self._file = self._disk.open(self.path(names.LOG))
            if self._size < 0:
                self._size = self._file.size
            self._file.size = self._size  # behind it there is only what was reserved
            if not self._is_sane:
                self._check_indexes()
        return self._file

    @property
    def size(self) -> int:
        """Bytes of batches."""
        if self._size < 0:
            self._size = self._disk.size(self.path(names.LOG))
        return self._size

    @property
    def is_open(self) -> bool:
        """Whether its log file is open here."""
        return self._file is not None

    def append(
        self,
        batches: memoryview | bytes,
        last_offset: int,
        max_timestamp: int,
        offset_of_max_timestamp: int,
    ) -> int:
        """Write whole batches; the position of the first. DiskError: nothing was appended.

        `max_timestamp` is the largest of them, `offset_of_max_timestamp` the last offset of the
        first batch that holds it. The offsets must fit the segment (`fits`).
        """
        file = self._file or self.file
        # Before batches are written that get an entry: once they are, nothing may fail.
        gets_entry = self._reserve_entry()
        if not self._size:
            self._disk.open(self.path(names.TIME_INDEX), create=True)
        position = file.append(batches)
        size = len(batches)
        self._size = position + size
        self.is_written = True
        if not position:
            self._first_timestamp = max_timestamp
        self._note(position, size, last_offset, max_timestamp, offset_of_max_timestamp, gets_entry)
        return position

    def _reserve_entry(self) -> bool:
        """Whether it is time for an entry, and there is room for it in both indexes. DiskError."""
        return (
            self._bytes_since_index_entry > self._config.index_interval_bytes
            and self.offset_index.reserve()
            and self.time_index.reserve()
        )

    def _note(
        self,
        position: int,
        size: int,
        last_offset: int,
        max_timestamp: int,
        offset_of_max_timestamp: int,
        gets_entry: bool,
    ) -> None:
        """Take batches at `position` into the indexes, as an entry that is reserved or without."""
        largest = self._max_timestamp or self.max_timestamp_and_offset()
        if max_timestamp > largest[0]:
            largest = self._max_timestamp = (max_timestamp, offset_of_max_timestamp)
        if gets_entry:
            self.offset_index.append(last_offset, position)
            self.time_index.maybe_append(*largest)
            self._bytes_since_index_entry = 0
        self._bytes_since_index_entry += size

    def fits(self, last_offset: int) -> bool:
        """Whether the offset can be told relative to the base, in 31 bits."""
        return 0 <= last_offset - self.base_offset <= MAX_RELATIVE_OFFSET

    def should_roll(
        self,
        config: LogConfig,
        append_bytes: int,
        max_timestamp: int,
        last_offset: int,
        now_ms: int,
    ) -> bool:
        """Whether an append of these batches belongs into a new segment (Kafka's shouldRoll)."""
        size = self.size
        if size > config.segment_bytes - append_bytes:
            return True
        if size > 0:
            first_timestamp = self._first_timestamp
            if first_timestamp is None or first_timestamp < 0:
                waited_ms = self.waited_ms(now_ms, max_timestamp)
            else:
                waited_ms = max_timestamp - first_timestamp
            if waited_ms > config.segment_ms - self.roll_jitter_ms:
                return True
        return (
            self.offset_index.is_full
            or self.time_index.is_full
            or not 0 <= last_offset - self.base_offset <= MAX_RELATIVE_OFFSET
        )

    def waited_ms(self, now_ms: int, max_timestamp: int) -> int:
        """How long the segment has waited to be rolled.

        By the first batch's timestamp where it has one, else by the clock since it was made.
        """
        first_timestamp = self.first_timestamp()
        if first_timestamp is not None and first_timestamp >= 0:
            return max_timestamp - first_timestamp
        return now_ms - self.created_ms

    def first_timestamp(self) -> int | None:
        """The largest timestamp of the first batch, None in an empty segment."""
        if self._first_timestamp is None and self.size >= SIZE_MIN:
            self._first_timestamp = read_header(self.file.read_at(0, HEADER)).max_timestamp
        return self._first_timestamp

    def max_timestamp_and_offset(self) -> tuple[int, int]:
        """The largest timestamp so far and the last offset of its batch; (-1, base offset)."""
        if self._max_timestamp is None:
            self._max_timestamp = self.time_index.last_entry()
        return self._max_timestamp

    def largest_timestamp(self) -> int:
        """What retention judges by: of the records, else when the file was last written."""
        timestamp = self.max_timestamp_and_offset()[0]
        return timestamp if timestamp >= 0 else self._disk.modified_ms(self.path(names.LOG))

    def locate(self, offset: int) -> tuple[int, int] | None:
        """(position, size) of the first batch that ends at or above `offset`; None past the end.

        CorruptBatch, UnknownFormat.
        """
        file = self._file or self.file
        position = self.offset_index.lookup(offset)[1]
        end = self._size
        while position + _SEARCHED_BYTES <= end:
            chunk = file.read_at(position, walk.SCAN_BYTES)
            at = 0
            limit = min(len(chunk), end - position) - _SEARCHED_BYTES
            while at <= limit:
                last_offset, length, magic, delta = _SEARCHED.unpack_from(chunk, at)
                if magic == MAGIC:
                    last_offset += delta
                elif not 0 <= magic < MAGIC:
                    walk.check_whole(file, chunk, at, position, end, self.base_offset)
                if last_offset >= offset:
                    return position + at, LOG_OVERHEAD + length
                if length < _MIN_LENGTH and length < length_min(magic):
                    raise CorruptBatch(
                        f"{file.path}: invalid batch length {length} at position {position + at}"
                    )
                at += LOG_OVERHEAD + length
            if not at:
                raise CorruptBatch(
                    f"{file.path}: {len(chunk)} bytes at position {position} of {end} hold no "
                    "whole batch"
                )
            position += at
        if position + SIZE_MIN == end:
            # The smallest batch that there is, of format 0, is a byte short of what is read above.
            for at, header in self.headers(position):
                if header.last_offset >= offset:
                    return at, header.size_bytes
        return None

    def batches(self, position: int, end: int | None = None) -> Iterator[tuple[int, memoryview]]:
        """(position, whole batch) from `position` up to `end`, or what is now the segment's.

        Reads ahead a bounded buffer, or one batch where it is larger. CorruptBatch where the bytes
        cannot be cut into batches, UnknownFormat; the batches themselves are not checked.
        """
        file = self._file or self.file
        return walk.batches(file, position, self._size if end is None else end, self.base_offset)

    def headers(
        self, position: int = 0, end: int | None = None
    ) -> Iterator[tuple[int, BatchHeader]]:
        """(position, header) of the batches from `position` up to `end`, else as `batches`."""
        file = self._file or self.file
        return walk.headers(file, position, self._size if end is None else end, self.base_offset)

    def next_offset(self) -> int:
        """One above the last offset in it, or its base. Reads from the last index entry on."""
        file = self.file
        next_offset = self.base_offset
        assert file.size >= self._size
        for _, header in self.headers(self.offset_index.last_entry()[1]):
            next_offset = header.next_offset
        return next_offset

    def deactivate(self) -> None:
        """It is written no more: note its largest timestamp for retention, trim what is
        reserved.
        """
        if self.max_timestamp_and_offset()[0] >= 0:
            self.time_index.maybe_append(*self.max_timestamp_and_offset())
        self.offset_index.trim()
        self.time_index.trim()
        if self._config.preallocate and self._disk.size(self.path(names.LOG)) > self.size:
            self.file.truncate(self.size)  # only then: retention may go by the time of its change

    def truncate_to(self, offset: int, now_ms: int) -> int:
        """Drop the batches that end at or above `offset`; the end offset of what is left.

        That is `offset`, or the base offset of a batch that held `offset` further in.
        """
        found = self.locate(offset)
        self.offset_index.truncate_to(offset)
        self.time_index.truncate_to(offset)
        self.txn_index.truncate_to(offset)
        if found is not None:
            batch = memoryview(self.file.read_at(*found))
            offset = min(offset, first_offset(batch))
            self.cut(found[0])
        if not self._size:
            self.created_ms = now_ms
            self._first_timestamp = None
        self._bytes_since_index_entry = 0
        self._max_timestamp = self._scanned_max_timestamp()
        return offset

    def release(self) -> None:
        """Let go of the files without writing: the disk has failed, or they are to go."""
        self.release_indexes()
        self._file = None

    def release_descriptors(self) -> None:
        """Give its descriptors back; it takes them again when it is used. DiskError."""
        self._file = None  # first of all: trimming the indexes needs a descriptor
        self.offset_index.close()
        self.time_index.close()
        self.txn_index.release()

    def release_indexes(self) -> None:
        """Unmap the indexes; they load again when they are used."""
        self.offset_index.release()
        self.time_index.release()
        self.txn_index.release()

    def index_paths(self) -> list[str]:
        """What a flush must sync beside the log file, if it is there."""
        return [self.offset_index.path, self.time_index.path, self.txn_index.path]

    def rename(self, suffix: str) -> list[str]:
        """Give its files another suffix behind their names (`.deleted`, none); the new paths."""
        old = [self.path(kind) for kind in names.SEGMENT_SUFFIXES]
        self.suffix = suffix
        renamed = []
        for kind, before in zip(names.SEGMENT_SUFFIXES, old, strict=True):
            with suppress(FileNotFoundError):  # there may be no transaction index
                self._disk.rename(before, self.path(kind))
                renamed.append(self.path(kind))
        self._moved()
        return renamed

    def update_directory(self, directory: str) -> None:
        """The partition's directory has been renamed."""
        self.directory = directory
        self._moved()

    def unlink(self) -> None:
        """Remove its files. Readers that hold the log file can still read it."""
        self.release()
        for suffix in names.SEGMENT_SUFFIXES:
            self._disk.unlink(self.path(suffix))

    def _moved(self) -> None:
        if self._file is not None:
            self._file.path = self.path(names.LOG)
        self.offset_index.path = self.path(names.OFFSET_INDEX)
        self.time_index.path = self.path(names.TIME_INDEX)
        self.txn_index.path = self.path(names.TXN_INDEX)

    def _scanned_max_timestamp(self) -> tuple[int, int]:
        """As the index has it, or larger behind the index's last entry."""
        largest = self.time_index.last_entry()
        for _, header in self.headers(self.offset_index.lookup(largest[1])[1]):
            if header.max_timestamp > largest[0]:
                largest = (header.max_timestamp, header.last_offset)
        return largest

    def _check_indexes(self) -> None:
        if (
            self.offset_index.defect() is not None
            or self.time_index.defect() is not None
            or self.offset_index.last_entry()[1] > max(self._size - SIZE_MIN, 0)
        ):
            self.rebuild_indexes()
        self._is_sane = True

    def reset_indexes(self) -> None:
        """Empty, to be filled again batch by batch (`reindex`)."""
        self._is_sane = True
        self.is_written = True
        self.offset_index.reset()
        if self.size or self._disk.exists(self.time_index.path):
            self.time_index.reset()
        self._bytes_since_index_entry = 0
        self._max_timestamp = None

    def reindex(self, position: int, header: BatchHeader) -> None:
        """Take the batch at `position` into the emptied indexes."""
        last_offset = header.last_offset
        # There may be no room: appends count anew from each opening, and want fewer entries.
        gets_entry = self._reserve_entry()
        self._note(
            position,
            header.size_bytes,
            last_offset,
            header.max_timestamp,
            last_offset,
            gets_entry,
        )

    def rebuild_indexes(self) -> None:
        """Make offset and time index anew from the headers of the batches."""
        self.reset_indexes()
        for position, header in self.headers():
            self.reindex(position, header)
        self.deactivate()

    def cut(self, position: int) -> None:
        """End the log file here: recovery found nothing valid behind."""
        self.file.truncate(position)
        self._size = position
        self.is_written = True


def new_segment(
    disk: Disk,
    directory: str,
    base_offset: int,
    config: LogConfig,
    now_ms: int,
    rng: Random,
    *,
    suffix: str = "",
) -> LogSegment:
    """A segment of a log, with its share of the roll jitter; its files are not made here."""
    jitter_ms = min(config.segment_jitter_ms, config.segment_ms)
    return LogSegment(
        disk,
        directory,
        base_offset,
        config,
        created_ms=now_ms,
        roll_jitter_ms=rng.randrange(jitter_ms) if jitter_ms > 0 else 0,
        suffix=suffix,
    )
