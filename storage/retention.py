"""Deletes the segments of a log that have outlived their topic's settings.

Kafka's UnifiedLog.deleteOldSegments. The log start offset always counts; size and time count if
`cleanup.policy` has `delete`. Segments are deleted oldest first, up to the first that stays, and
none at or above the high watermark. The time of a segment is its largest timestamp, even one in the
future; without timestamps it is when the file was last written. An active segment is rolled before
it is deleted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .truncation import discard_segment, increment_log_start_offset

if TYPE_CHECKING:
    from collections.abc import Callable

    from .log import Log
    from .segment import LogSegment

    Rule = Callable[[Log, int], Callable[[LogSegment], bool]]


def delete_old_segments(log: Log, now_ms: int, high_watermark: int | None = None) -> int:
    """Drop the segments that retention or the log start offset rule out; how many.

    Only whole segments below the high watermark (None: the log end) go. DiskError; after DiskFull
    the next call gets further.
    """
    if log.offline_error is not None:
        raise log.offline_error
    limit = log.log_end_offset if high_watermark is None else high_watermark
    with log.offline_after_error(but_disk_full=True):
        if not log.is_tail_known:
            # To verify it opens the log, and a pass over all logs must not open every one.
            if not _has_outlived(log, now_ms, limit):
                return 0
            log.verify_tail()
            limit = min(limit, log.log_end_offset)
        count = 0
        for rule in _rules(log):
            outlived = _outlived(log, rule(log, now_ms), limit)
            if outlived:
                _remove(log, outlived, now_ms)
            count += len(outlived)
        return count


def _remove(log: Log, segments: list[LogSegment], now_ms: int) -> None:
    """Take the oldest segments out of the log; the log starts behind them."""
    if len(segments) == len(log.segments):
        log.roll(now_ms)
    behind = log.segments.after(segments[-1])
    assert behind is not None
    increment_log_start_offset(log, behind.base_offset)
    for segment in segments:
        discard_segment(log, segment, now_ms)


def _has_outlived(log: Log, now_ms: int, high_watermark: int) -> bool:
    """Whether there is any to be taken out. Leaves closed what is."""
    return any(_outlived(log, rule(log, now_ms), high_watermark) for rule in _rules(log))


def _rules(log: Log) -> tuple[Rule, ...]:
    if log.config.deletes:
        return (_below_log_start, _over_size, _over_age)
    return (_below_log_start,)


def _outlived(
    log: Log, is_outlived: Callable[[LogSegment], bool], high_watermark: int
) -> list[LogSegment]:
    """The oldest segments, as far as the rule says so of each."""
    deletable: list[LogSegment] = []
    for segment in log.segments:
        behind = log.segments.after(segment)
        end_offset = log.log_end_offset if behind is None else behind.base_offset
        if end_offset > high_watermark or not is_outlived(segment):
            break
        if behind is None and not segment.size:
            break
        deletable.append(segment)
    return deletable


def _below_log_start(log: Log, now_ms: int) -> Callable[[LogSegment], bool]:
    def is_outlived(segment: LogSegment) -> bool:
        behind = log.segments.after(segment)
        return behind is not None and behind.base_offset <= log.log_start_offset

    return is_outlived


def _over_size(log: Log, now_ms: int) -> Callable[[LogSegment], bool]:
    limit = log.config.retention_bytes
    excess = log.size - limit if limit >= 0 else -1

    def is_outlived(segment: LogSegment) -> bool:
        nonlocal excess
        if excess < segment.size:
            return False
        excess -= segment.size
        return True

    return is_outlived


def _over_age(log: Log, now_ms: int) -> Callable[[LogSegment], bool]:
    retention_ms = log.config.retention_ms

    def is_outlived(segment: LogSegment) -> bool:
        if retention_ms < 0:
            return False
        was_open = segment.is_open
        age_ms = now_ms - segment.largest_timestamp()
        if not was_open:
            segment.release()  # a look at each log must not leave all of them open
        return age_ms > retention_ms

    return is_outlived
