"""Cuts a log at either end: what a leader tells a follower to drop, and what is deleted.

Kafka's UnifiedLog.truncateTo, truncateFullyAndStartAt and maybeIncrementLogStartOffset. Leader
epochs and producers follow from what is left. A cut at the end is synced before the caller can
append again: what was cut off must not come back behind newer batches, be it as bytes of the file,
or as a segment or a snapshot whose removal the disk forgot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import OffsetOutOfRange

if TYPE_CHECKING:
    from .log import Log
    from .segment import LogSegment


def truncate_to(log: Log, offset: int, now_ms: int) -> bool:
    """Drop the batches that end at or above `offset`; False if the log ends there or before.

    The caller writes the recovery point checkpoint before it appends again. DiskError.
    """
    if log.offline_error is not None:
        raise log.offline_error
    log.verify_tail()
    if offset >= log.log_end_offset:
        # An epoch that began here without a record may contradict the leader's.
        log.epochs.truncate_from_end(log.log_end_offset)
        return False
    if offset < log.segments.first.base_offset:
        truncate_fully_and_start_at(log, offset, now_ms)
        return True
    with log.offline_after_error():
        _cut(log, offset, now_ms)
    return True


def _cut(log: Log, offset: int, now_ms: int) -> None:
    producers = log.producers  # loaded while all segments are there
    behind = [segment for segment in log.segments if segment.base_offset > offset]
    for segment in reversed(behind):
        discard_segment(log, segment, now_ms)
    if behind:
        # If one came back it could hide from recovery that the segment before was cut.
        log.directory.sync()
    active = log.segments.active
    log.note_end(active.truncate_to(offset, now_ms))
    active.file.fsync()
    log.replay(producers)
    log.directory.sync()


def truncate_fully_and_start_at(
    log: Log, offset: int, now_ms: int, *, log_start_offset: int | None = None
) -> None:
    """Drop everything; the next record gets `offset`. DiskError."""
    if log.offline_error is not None:
        raise log.offline_error
    with log.offline_after_error():
        for segment in reversed(list(log.segments)):
            discard_segment(log, segment, now_ms)
        log.epochs.clear()
        log.producers.truncate_fully_and_start_at(offset)
        log.segments.add(log.directory.create_segment(offset, log.config, now_ms))
        log.log_start_offset = offset if log_start_offset is None else log_start_offset
        log.log_end_offset = offset
        log.is_tail_known = True
        log.directory.sync()
        log.durability.note_start(offset)
        log.checkpoint_queue.add(log)


def increment_log_start_offset(log: Log, offset: int) -> bool:
    """Records below `offset` are no longer readable (DeleteRecords); whether that is news.

    The caller holds it to the high watermark. OffsetOutOfRange above the log end; DiskError.
    """
    if log.offline_error is not None:
        raise log.offline_error
    log.verify_tail()
    if offset > log.log_end_offset:
        raise OffsetOutOfRange(offset, log.log_start_offset, log.log_end_offset)
    if offset <= log.log_start_offset:
        return False
    log.log_start_offset = offset
    log.checkpoint_queue.add(log)
    # The recovery point stays: segments that go have gone for good only after a flush, and if a
    # power loss brings one back, it must be checked.
    log.epochs.truncate_from_start(offset)
    log.producers.on_log_start_offset_incremented(offset)
    return True


def discard_segment(log: Log, segment: LogSegment, now_ms: int) -> None:
    """Take it out of the log. Its files are removed after `file.delete.delay.ms`. DiskError."""
    log.segments.remove(segment)
    due_ms = now_ms + log.config.file_delete_delay_ms
    log.checkpoint_queue.add(log)
    log.directory.discard_segment(segment, due_ms)
    snapshot = log.producers.snapshots.release(segment.base_offset)
    if snapshot is not None:
        log.directory.discard_snapshot(snapshot, due_ms)
