"""Finds batches in the segments of a log, and the aborted transactions among them.

Kafka's LocalLog.read. A fetch gets a slice of a file; other readers get batches one by one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .disk import FileRange

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .segment import LogSegment
    from .segments import Segments
    from .txn_index import AbortedTransaction


class FetchSlice(NamedTuple):
    """What a read found: `records` is None where there is nothing to read yet.

    `segment_base_offset` and `position` tell where the first batch lies, as Kafka's
    LogOffsetMetadata does.
    """

    records: FileRange | None
    segment_base_offset: int
    position: int


def read_slice(
    segments: Segments,
    offset: int,
    max_bytes: int,
    *,
    end_offset: int,
    log_end_offset: int,
    min_one: bool,
) -> FetchSlice:
    """As `Log.read`, for an offset within the log and `end_offset` <= `log_end_offset`."""
    active = segments.active
    if offset < end_offset:
        segment: LogSegment | None = active
        if offset < active.base_offset:
            segment = segments.floor(offset) or segments.first
        while segment is not None:
            found = segment.locate(offset)
            if found is not None:
                position, batch_size = found
                end = segment.size
                if end_offset != log_end_offset:
                    end = end_position(segments, segment, end_offset)
                wanted = max_bytes
                if wanted < batch_size:
                    wanted = batch_size if min_one else 0
                size = min(end - position, wanted)
                records = FileRange(segment.file, position, size) if size > 0 else None
                return FetchSlice(records, segment.base_offset, position)
            # The rest of the segment was compacted away: go on with the next.
            segment = segments.after(segment)
    return FetchSlice(None, active.base_offset, active.size)


def end_position(segments: Segments, segment: LogSegment, end_offset: int) -> int:
    """Up to where in this segment the batches end below or at `end_offset` (exclusive)."""
    behind = segments.after(segment)
    if behind is not None and behind.base_offset <= end_offset:
        return segment.size
    found = segment.locate(end_offset)
    return segment.size if found is None else found[0]


def read_batches(segments: Segments, from_offset: int, end_offset: int) -> Iterator[memoryview]:
    """Whole batches that have offsets in [from_offset, end_offset), read ahead in pieces."""
    for segment in segments.from_offset(from_offset):
        if segment.base_offset >= end_offset:
            return
        found = segment.locate(from_offset)
        if found is not None:
            end = end_position(segments, segment, end_offset)
            for _, batch in segment.batches(found[0], end):
                yield batch


def aborted_transactions(
    segments: Segments, offset: int, fetched: FetchSlice, end_offset: int
) -> list[AbortedTransaction]:
    """Those that overlap with what `read_slice` found from `offset` on."""
    found: list[AbortedTransaction] = []
    if fetched.records is None:
        return found
    segment = segments.floor(fetched.segment_base_offset) or segments.first
    behind = segments.after(segment)
    upper = segment.offset_index.upper_bound(fetched.position + len(fetched.records))
    if upper is None:
        upper = end_offset if behind is None else behind.base_offset
    candidate: LogSegment | None = segment
    while candidate is not None:
        aborted, is_complete = candidate.txn_index.collect(offset, upper)
        found += aborted
        if is_complete:
            break
        candidate = segments.after(candidate)
    return found
