from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbroker.storage.errors import DiskError
from kbroker.storage.offset_index import OffsetIndex
from tests.storage.logs import new_disk

PATH = "/data/00000000000000000100.index"


def filled(entries: list[tuple[int, int]], max_bytes: int = 4096) -> OffsetIndex:
    index = OffsetIndex(new_disk(), PATH, 100, max_bytes)
    for offset, position in entries:
        index.append(offset, position)
    return index


@given(st.sets(st.integers(0, 10_000), max_size=200), st.integers(0, 11_000))
def test_a_lookup_finds_the_last_entry_at_or_below(relative: set[int], target: int) -> None:
    entries = [(100 + offset, offset * 7) for offset in sorted(relative)]
    expected = max((entry for entry in entries if entry[0] <= target), default=(100, 0))
    assert filled(entries).lookup(target) == expected


def test_entries_are_in_kafkas_format() -> None:
    disk = new_disk()
    index = OffsetIndex(disk, PATH, 100, 4096)
    index.append(105, 1000)
    index.append(200, 70_000)
    index.close()
    assert disk.read_file(PATH) == struct.pack(">iiii", 5, 1000, 100, 70_000)


def test_the_file_is_preallocated_while_it_grows_and_trimmed_at_the_end() -> None:
    disk = new_disk()
    index = OffsetIndex(disk, PATH, 100, 4095)
    assert not disk.exists(PATH)
    index.append(105, 1000)
    assert disk.size(PATH) == 4088
    index.trim()
    assert disk.size(PATH) == 8
    index.append(106, 2000)
    assert disk.size(PATH) == 4088
    index.close()
    assert disk.size(PATH) == 16
    assert index.last_entry() == (106, 2000)


def test_an_index_is_full_when_its_bytes_are_used() -> None:
    index = filled([(100 + i, i) for i in range(4)], max_bytes=39)
    assert index.is_full
    assert index.entries == 4


def test_nothing_is_read_before_it_is_used() -> None:
    disk = new_disk()
    disk.open(PATH, create=True).append(struct.pack(">ii", 5, 1000))
    disk.fail_next("open")
    index = OffsetIndex(disk, PATH, 100, 4096)
    with pytest.raises(DiskError):
        index.lookup(105)
    assert index.lookup(105) == (105, 1000)


@pytest.mark.parametrize(
    ("offset", "kept"), [(99, 0), (105, 0), (106, 1), (110, 1), (111, 2), (500, 3)]
)
def test_truncating_drops_the_entries_at_or_above(offset: int, kept: int) -> None:
    entries = [(105, 1), (110, 2), (120, 3)]
    index = filled(entries)
    index.truncate_to(offset)
    assert index.entries == kept
    assert index.last_entry() == ([(100, 0), *entries][kept])


@pytest.mark.parametrize(
    ("position", "offset"), [(0, 105), (1, 105), (2, 110), (3, 120), (4, None)]
)
def test_the_upper_bound_lies_behind_what_is_read(position: int, offset: int | None) -> None:
    assert filled([(105, 1), (110, 2), (120, 3)]).upper_bound(position) == offset


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"123", "not a multiple"), (struct.pack(">ii", -5, 0), "below the base")],
)
def test_a_damaged_file_is_seen(content: bytes, reason: str) -> None:
    disk = new_disk()
    disk.open(PATH, create=True).append(content)
    defect = OffsetIndex(disk, PATH, 100, 4096).defect()
    assert defect is not None
    assert reason in defect


def test_a_full_disk_fails_the_append_and_keeps_the_entries() -> None:
    disk = new_disk()
    index = OffsetIndex(disk, PATH, 100, 3 * 4096)
    for i in range(512):
        index.append(100 + i, i)
    disk.fail_next("write_at")
    with pytest.raises(DiskError):
        index.append(1000, 1000)
    assert index.entries == 512
