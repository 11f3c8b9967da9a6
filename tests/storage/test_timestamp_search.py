from __future__ import annotations

from dataclasses import replace

import pytest

from kbroker.storage.builder import NewRecord, build_batch
from kbroker.storage.compression import Codec
from kbroker.storage.timestamp_search import (
    TimestampOffset,
    offset_for_timestamp,
    offset_of_max_timestamp,
)
from kbroker.storage.truncation import (
    increment_log_start_offset,
)
from tests.storage.logs import (
    NOW_MS,
    SMALL,
    append,
    new_disk,
    open_at,
)


@pytest.mark.parametrize("codec", list(Codec))
def test_the_first_record_at_or_after_a_timestamp_is_found_within_its_batch(codec: Codec) -> None:
    log = open_at(new_disk(), replace(SMALL, segment_bytes=600, index_interval_bytes=1))
    stamps = [100, 103, 101, 200, 150, 210, 205, 300]
    for base in range(0, 8, 2):
        new = [NewRecord(stamp, None, b"v" * 50) for stamp in stamps[base : base + 2]]
        batch = memoryview(build_batch(new, codec=codec))
        log.append(batch, leader_epoch=base // 4, now_ms=NOW_MS)
    for wanted in range(90, 301):
        offset = next(i for i, stamp in enumerate(stamps) if stamp >= wanted)
        expected = TimestampOffset(offset, stamps[offset], offset // 4)
        assert offset_for_timestamp(log, wanted) == expected
    assert offset_for_timestamp(log, 301) is None
    assert offset_for_timestamp(log, 300, end_offset=7) is None
    assert offset_of_max_timestamp(log) == TimestampOffset(7, 300, 1)
    assert offset_of_max_timestamp(log, end_offset=7) is None


def test_a_search_by_timestamp_begins_at_the_log_start() -> None:
    log = open_at(new_disk())
    for i in range(6):
        append(log, timestamp=1000 + i)
    increment_log_start_offset(log, 3)
    assert offset_for_timestamp(log, 0) == TimestampOffset(3, 1003, 0)


def test_without_timestamps_the_first_record_has_the_largest() -> None:
    log = open_at(new_disk())
    append(log, 2, timestamp=-1)
    append(log, timestamp=-1)
    assert offset_of_max_timestamp(log) == TimestampOffset(0, -1, 0)


def test_the_first_of_equal_largest_timestamps_is_found() -> None:
    log = open_at(new_disk())
    assert offset_of_max_timestamp(log) is None
    append(log, 3, timestamp=500)
    append(log, 3, timestamp=900)
    append(log, 3, timestamp=900)
    assert offset_of_max_timestamp(log) == TimestampOffset(3, 900, 0)
