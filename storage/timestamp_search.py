"""Finds offsets by timestamp, for ListOffsets (KIP-79, KIP-734).

The time index of one segment leads to a batch, which is read record by record. Kafka picks the
first segment that is new enough and looks no further. A segment without timestamps (format 0)
counts as new as its file, and records behind it are then not found
(UnifiedLog.searchOffsetInLocalLog).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .formats import header_of, timestamps

if TYPE_CHECKING:
    from .log import Log
    from .segment import LogSegment
    from .segments import Segments


class TimestampOffset(NamedTuple):
    """A record: its offset, its timestamp and the epoch of its batch (-1: none)."""

    offset: int
    timestamp: int
    leader_epoch: int


def offset_for_timestamp(
    log: Log, timestamp: int, end_offset: int | None = None
) -> TimestampOffset | None:
    """The first record at or after `timestamp` (KIP-79).

    None if none is below `end_offset` (None: the log end).
    """
    log.verify_tail()
    for segment in log.segments:
        if segment.largest_timestamp() >= timestamp:
            found = _find_in_segment(segment, timestamp, log.log_start_offset)
            return _below(log, found, end_offset)
    return None


def offset_of_max_timestamp(log: Log, end_offset: int | None = None) -> TimestampOffset | None:
    """The first record that has the largest timestamp of all, which is -1 where none has any.

    None as above.
    """
    log.verify_tail()
    return _below(log, _find_max(log.segments), end_offset)


def _below(
    log: Log, found: TimestampOffset | None, end_offset: int | None
) -> TimestampOffset | None:
    limit = log.log_end_offset if end_offset is None else end_offset
    return found if found is not None and found.offset < limit else None


def _find_in_segment(
    segment: LogSegment, timestamp: int, from_offset: int
) -> TimestampOffset | None:
    # The entry tells an offset up to which all timestamps are below or at its own.
    known_offset = segment.time_index.lookup(timestamp)[1]
    position = segment.offset_index.lookup(max(known_offset, from_offset))[1]
    for at, header in segment.headers(position):
        if header.max_timestamp < timestamp or header.last_offset < from_offset:
            continue
        batch = memoryview(segment.file.read_at(at, header.size_bytes))
        for offset, record_timestamp in timestamps(batch, header):
            if record_timestamp >= timestamp and offset >= from_offset:
                return TimestampOffset(offset, record_timestamp, header.leader_epoch)
    return None


def _find_max(segments: Segments) -> TimestampOffset | None:
    newest = max(segments, key=lambda segment: segment.max_timestamp_and_offset()[0])
    _, last_offset = newest.max_timestamp_and_offset()
    found = newest.locate(last_offset)
    if found is None:
        return None
    batch = memoryview(newest.file.read_at(*found))
    header = header_of(batch)
    if not header.magic:
        return None  # it has no timestamp at all
    best = max(timestamps(batch, header), key=lambda record: (record[1], -record[0]))
    return TimestampOffset(best[0], best[1], header.leader_epoch)
