from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbroker.storage.time_index import TimeIndex
from tests.storage.logs import new_disk

PATH = "/data/00000000000000000100.timeindex"


def filled(entries: list[tuple[int, int]], max_bytes: int = 4096) -> TimeIndex:
    index = TimeIndex(new_disk(), PATH, 100, max_bytes)
    for timestamp, offset in entries:
        index.maybe_append(timestamp, offset)
    return index


@given(st.sets(st.integers(0, 10_000), max_size=100), st.integers(0, 11_000))
def test_a_lookup_finds_the_last_entry_at_or_below(timestamps: set[int], target: int) -> None:
    entries = [(timestamp, 100 + i) for i, timestamp in enumerate(sorted(timestamps))]
    expected = max((entry for entry in entries if entry[0] <= target), default=(-1, 100))
    assert filled(entries).lookup(target) == expected


def test_entries_are_in_kafkas_format() -> None:
    disk = new_disk()
    index = TimeIndex(disk, PATH, 100, 4096)
    index.maybe_append(1_700_000_000_000, 105)
    index.maybe_append(1_700_000_000_001, 110)
    index.close()
    expected = struct.pack(">qiqi", 1_700_000_000_000, 5, 1_700_000_000_001, 10)
    assert disk.read_file(PATH) == expected


def test_a_timestamp_that_is_no_larger_adds_nothing() -> None:
    index = filled([(10, 101), (10, 102), (9, 103), (11, 104)])
    assert index.entries == 2
    assert index.last_entry() == (11, 104)


def test_the_last_slot_is_kept_for_the_roll() -> None:
    index = filled([(1, 101), (2, 102)], max_bytes=36)
    assert index.is_full
    index.maybe_append(3, 103)
    assert index.last_entry() == (3, 103)


@pytest.mark.parametrize(("offset", "kept"), [(101, 0), (102, 1), (103, 1), (104, 2)])
def test_truncating_drops_the_entries_at_or_above(offset: int, kept: int) -> None:
    index = filled([(1, 101), (5, 103)])
    index.truncate_to(offset)
    assert index.entries == kept


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"1234", "not a multiple"),
        (struct.pack(">qiqi", 9, 5, 8, 6), "below the first"),
        (struct.pack(">qi", 9, -5), "below the base"),
    ],
)
def test_a_damaged_file_is_seen(content: bytes, reason: str) -> None:
    disk = new_disk()
    disk.open(PATH, create=True).append(content)
    defect = TimeIndex(disk, PATH, 100, 4096).defect()
    assert defect is not None
    assert reason in defect
