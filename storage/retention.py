"""Which segments of a log have outlived their topic's settings.

Kafka's UnifiedLog.deleteOldSegments: by the log start offset always, by size and by time where
`cleanup.policy` has `delete`. Oldest first, up to the first that stays; nothing at or above the
high watermark goes. Time is the segment's largest timestamp, be it in the future, else when the
file was last written. An active segment that goes is rolled first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from .log import Log
    from .segment import LogSegment

    Rule = Callable[[Log, int], Callable[[LogSegment], bool]]


def delete_old_segments(log: Log, now_ms: int, high_watermark: int) -> int:
    """Take them out of the log; how many."""
    count = 0
    for rule in _rules(log):
        deletable = _outlived(log, rule(log, now_ms), high_watermark)
        if deletable:
            log.remove_segments(deletable, now_ms)
        count += len(deletable)
    return count


def has_old_segments(log: Log, now_ms: int, high_watermark: int) -> bool:
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
