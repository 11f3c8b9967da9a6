from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from kbroker.storage import names
from kbroker.storage.batch import MAGIC_AT, BatchHeader, set_base_offset
from kbroker.storage.errors import CorruptBatch, UnknownFormat
from kbroker.storage.log_config import LogConfig
from kbroker.storage.segment import LogSegment
from tests.storage.logs import NOW_MS, batch_of, new_disk

if TYPE_CHECKING:
    from tests.sim.disk import SimDisk

CONFIG = LogConfig(index_interval_bytes=300, segment_index_bytes=4096, segment_bytes=10_000)


def new_segment(disk: SimDisk, config: LogConfig = CONFIG, base_offset: int = 100) -> LogSegment:
    disk.make_dir("/data/t-0")
    segment = LogSegment(disk, "/data/t-0", base_offset, config, created_ms=NOW_MS)
    segment.create()
    return segment


def put(segment: LogSegment, base_offset: int, count: int = 1, timestamp: int = NOW_MS) -> int:
    batch = batch_of(count, timestamp=timestamp)
    set_base_offset(batch, base_offset)
    last_offset = base_offset + count - 1
    return segment.append(batch, last_offset, timestamp, last_offset)


def reopened(disk: SimDisk) -> LogSegment:
    return LogSegment(disk, "/data/t-0", 100, CONFIG, created_ms=NOW_MS)


def test_batches_are_located_by_any_offset_they_hold() -> None:
    segment = new_segment(new_disk())
    places = [(offset, put(segment, offset, 5)) for offset in range(100, 200, 5)]
    assert segment.offset_index.entries > 3
    for base_offset, position in places:
        for offset in range(base_offset, base_offset + 5):
            found = segment.locate(offset)
            assert found is not None
            assert found[0] == position
    assert segment.locate(200) is None
    assert segment.next_offset() == 200


def test_an_offset_in_a_gap_is_answered_by_the_batch_behind_it() -> None:
    segment = new_segment(new_disk())
    put(segment, 100)
    position = put(segment, 150)
    assert segment.locate(120) == segment.locate(150)
    assert segment.locate(120) == (position, len(batch_of()))


def test_entries_point_at_batches_and_hold_their_last_offset() -> None:
    segment = new_segment(new_disk())
    places = {put(segment, offset, 5): offset + 4 for offset in range(100, 200, 5)}
    for slot in range(segment.offset_index.entries):
        offset, position = segment.offset_index.lookup(100 + 5 * 20)
        assert places[position] == offset
        segment.offset_index.truncate_to(offset)
        assert segment.offset_index.entries < 20 - slot


def test_batches_larger_than_the_read_buffer_come_whole() -> None:
    segment = new_segment(new_disk())
    large = batch_of(1, value=b"x" * 300_000)
    for offset in (100, 101, 102):
        set_base_offset(large, offset)
        segment.append(large, offset, NOW_MS, offset)
        put(segment, offset)
    sizes = [len(batch) for _, batch in segment.batches(0)]
    assert sizes == [len(large), len(batch_of())] * 3
    assert [header.size_bytes for _, header in segment.headers()] == sizes


@pytest.mark.parametrize("removed", [1, 40, 70, 100])
def test_a_cut_off_batch_is_told_apart(removed: int) -> None:
    segment = new_segment(new_disk())
    put(segment, 100)
    position = put(segment, 101)
    segment.cut(segment.size - removed)
    assert [at for at, _ in segment.batches(0, position)] == [0]
    for walk in (segment.batches(0), segment.headers()):
        assert next(walk)[0] == 0
        with pytest.raises(CorruptBatch):
            next(walk)


@pytest.mark.parametrize("rest", [1, 20, 60])
def test_a_batch_that_goes_on_behind_the_given_end_is_told_apart(rest: int) -> None:
    segment = new_segment(new_disk())
    put(segment, 100)
    end = put(segment, 101) + rest
    for walk in (segment.batches(0, end), segment.headers(0, end)):
        assert next(walk)[0] == 0
        with pytest.raises(CorruptBatch):
            next(walk)


@pytest.mark.parametrize(
    ("offset", "magic", "error"),
    [
        (99, 3, CorruptBatch),
        (100, 3, UnknownFormat),
        (100, 127, UnknownFormat),
        (100, 128, CorruptBatch),
        (100, 255, CorruptBatch),
        (100 + 2**31 - 1, 3, UnknownFormat),
        (100 + 2**31, 3, CorruptBatch),
    ],
)
def test_a_later_format_is_known_by_an_offset_that_fits(
    offset: int, magic: int, error: type[Exception]
) -> None:
    disk = new_disk()
    segment = new_segment(disk)
    put(segment, 100)
    batch = batch_of()
    set_base_offset(batch, offset)
    batch[MAGIC_AT] = magic
    disk.open(segment.path(names.LOG)).append(batch)
    segment = reopened(disk)
    for walk in (segment.batches(0), segment.headers()):
        assert next(walk)[0] == 0
        with pytest.raises(error):
            next(walk)


def test_the_largest_timestamp_survives_a_clean_end() -> None:
    disk = new_disk()
    segment = new_segment(disk)
    put(segment, 100, timestamp=NOW_MS)
    put(segment, 101, timestamp=NOW_MS + 50)
    put(segment, 102, timestamp=NOW_MS + 20)
    segment.deactivate()
    segment.release()
    again = reopened(disk)
    assert again.max_timestamp_and_offset() == (NOW_MS + 50, 101)
    assert again.largest_timestamp() == NOW_MS + 50
    assert again.first_timestamp() == NOW_MS
    assert disk.size(again.path(names.TIME_INDEX)) == 12


def test_a_timestamp_of_0_is_one() -> None:
    disk = new_disk()
    segment = new_segment(disk)
    put(segment, 100, timestamp=0)
    segment.deactivate()
    segment.release()
    assert reopened(disk).max_timestamp_and_offset() == (0, 100)
    assert reopened(disk).largest_timestamp() == 0


def test_without_timestamps_the_file_time_counts() -> None:
    disk = new_disk()
    segment = new_segment(disk)
    put(segment, 100, timestamp=-1)
    assert segment.largest_timestamp() == disk.now_ms


@pytest.mark.parametrize(
    ("now_ms", "max_timestamp", "waited_ms"),
    [(NOW_MS + 7, NOW_MS + 100, 100), (NOW_MS + 1000, NOW_MS - 5, -5)],
)
def test_rolling_by_time_goes_by_the_first_batch(
    now_ms: int, max_timestamp: int, waited_ms: int
) -> None:
    segment = new_segment(new_disk())
    put(segment, 100, timestamp=NOW_MS)
    assert segment.waited_ms(now_ms, max_timestamp) == waited_ms


def test_rolling_by_time_goes_by_the_clock_without_a_timestamp() -> None:
    segment = new_segment(new_disk())
    assert segment.waited_ms(NOW_MS + 30, NOW_MS + 9999) == 30
    put(segment, 100, timestamp=-1)
    assert segment.waited_ms(NOW_MS + 30, NOW_MS + 9999) == 30


def test_truncating_cuts_the_batch_that_holds_the_offset() -> None:
    disk = new_disk()
    segment = new_segment(disk)
    for offset in range(100, 150, 5):
        put(segment, offset, 5, timestamp=NOW_MS + offset)
    size = segment.size
    assert segment.truncate_to(127, NOW_MS) == 125
    assert size - segment.size == 5 * len(batch_of(5))
    assert segment.next_offset() == 125
    assert segment.max_timestamp_and_offset() == (NOW_MS + 120, 124)
    put(segment, 125, 5)
    assert [header.base_offset for _, header in segment.headers()] == list(range(100, 130, 5))


def test_truncating_everything_makes_it_new() -> None:
    segment = new_segment(new_disk())
    put(segment, 100)
    assert segment.truncate_to(100, NOW_MS + 77) == 100
    assert segment.size == 0
    assert segment.first_timestamp() is None
    assert segment.created_ms == NOW_MS + 77
    assert segment.max_timestamp_and_offset() == (-1, 100)


@pytest.mark.parametrize("damage", [b"123", b"\xff" * 8, b"\0\0\0\1\x7f\0\0\0"])
def test_a_damaged_offset_index_is_rebuilt_when_the_segment_is_used(damage: bytes) -> None:
    disk = new_disk()
    segment = new_segment(disk)
    for offset in range(100, 150):
        put(segment, offset)
    segment.deactivate()
    good = disk.read_file(segment.path(names.OFFSET_INDEX))
    segment.release()
    disk.write_file_atomic(segment.path(names.OFFSET_INDEX), damage)
    again = reopened(disk)
    assert again.locate(130) == segment.locate(130)
    assert disk.read_file(again.path(names.OFFSET_INDEX)) == good


def test_a_full_index_takes_no_more_and_asks_for_a_roll() -> None:
    config = LogConfig(index_interval_bytes=0, segment_index_bytes=40, segment_bytes=10_000)
    segment = new_segment(new_disk(), config)
    assert not segment.should_roll(config, 100, NOW_MS, 100, NOW_MS)
    for i in range(10):
        put(segment, 100 + i, timestamp=NOW_MS + i)
    assert segment.should_roll(config, 100, NOW_MS, 100, NOW_MS)
    assert segment.locate(109) is not None


@pytest.mark.parametrize("preallocate", [False, True])
def test_a_new_segment_is_empty_and_has_a_time_index_with_its_first_batch(
    preallocate: bool,
) -> None:
    disk = new_disk()
    config = replace(CONFIG, preallocate=preallocate)
    segment = new_segment(disk, config)
    assert segment.size == 0
    assert list(segment.headers()) == []
    assert segment.locate(100) is None
    files = {names.file_name(100, names.LOG), names.file_name(100, names.OFFSET_INDEX)}
    assert set(disk.list_dir("/data/t-0")) == files
    put(segment, 100)
    assert segment.size == len(batch_of())
    assert set(disk.list_dir("/data/t-0")) == {*files, names.file_name(100, names.TIME_INDEX)}


def test_preallocated_space_is_given_back() -> None:
    disk = new_disk()
    config = LogConfig(preallocate=True, segment_bytes=10_000, segment_index_bytes=4096)
    segment = new_segment(disk, config)
    path = segment.path(names.LOG)
    assert disk.size(path) == 10_000
    put(segment, 100)
    put(segment, 101)
    assert disk.size(path) == 10_000
    assert [header.base_offset for _, header in segment.headers()] == [100, 101]
    segment.deactivate()
    assert disk.size(path) == segment.size == 2 * len(batch_of())


def test_renaming_keeps_open_readers() -> None:
    disk = new_disk()
    segment = new_segment(disk)
    put(segment, 100)
    file = segment.file
    renamed = segment.rename(names.DELETED)
    assert sorted(renamed) == [f"/data/t-0/{name}" for name in disk.list_dir("/data/t-0")]
    segment.unlink()
    assert disk.list_dir("/data/t-0") == []
    assert BatchHeader(file.read_at(0, 61)).base_offset == 100
