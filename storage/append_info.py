"""The result of an append to a log (Kafka's LogAppendInfo)."""

from __future__ import annotations


class AppendInfo:
    """Offsets are inclusive; a duplicate's are those of its first append."""

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
