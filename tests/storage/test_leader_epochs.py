"""Leader epochs: where they start and end, truncation, the checkpoint file."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbroker.storage.errors import CorruptFile, DiskError
from kbroker.storage.leader_epochs import LeaderEpochCache
from tests.sim.disk import SimDisk

PATH = "/log/leader-epoch-checkpoint"


@pytest.fixture
def disk() -> SimDisk:
    disk = SimDisk(Random(1))
    disk.make_dir("/log")
    return disk


@pytest.fixture
def cache(disk: SimDisk) -> LeaderEpochCache:
    """Epochs 2, 4 and 7 from offsets 10, 20 and 35."""
    cache = LeaderEpochCache(disk, "/log")
    for epoch, start_offset in ((2, 10), (4, 20), (7, 35)):
        cache.assign(epoch, start_offset)
    return cache


def test_the_file_is_kafkas(disk: SimDisk, cache: LeaderEpochCache) -> None:
    assert disk.read_file(PATH) == b"0\n3\n2 10\n4 20\n7 35\n"
    assert LeaderEpochCache(disk, "/log").entries == [(2, 10), (4, 20), (7, 35)]


@pytest.mark.parametrize(
    ("requested", "expected"),
    [
        (-1, (-1, -1)),
        (0, (0, 10)),  # the requested epoch, not the one found
        (1, (1, 10)),
        (2, (2, 20)),
        (3, (2, 20)),
        (4, (4, 35)),
        (6, (4, 35)),
        (7, (7, 50)),
        (8, (-1, -1)),
    ],
)
def test_end_offset_for_an_epoch(
    cache: LeaderEpochCache, requested: int, expected: tuple[int, int]
) -> None:
    assert cache.end_offset_for(requested, 50) == expected


def test_without_epochs_every_end_is_undefined(disk: SimDisk) -> None:
    cache = LeaderEpochCache(disk, "/log")
    assert cache.latest_epoch is None
    for requested in (-1, 0, 5):
        assert cache.end_offset_for(requested, 50) == (-1, -1)


def test_the_epoch_of_an_offset(cache: LeaderEpochCache) -> None:
    expected = {9: None, 10: 2, 19: 2, 20: 4, 34: 4, 35: 7, 1000: 7}
    assert {offset: cache.epoch_for_offset(offset) for offset in expected} == expected
    assert cache.latest_epoch == 7
    assert [cache.previous_epoch(epoch) for epoch in (2, 3, 4, 7, 99)] == [None, 2, 2, 4, 7]


def test_the_latest_epoch_again_changes_nothing(disk: SimDisk, cache: LeaderEpochCache) -> None:
    disk.fail_next("open")
    cache.assign(7, 35)
    cache.assign(7, 90)
    assert cache.entries == [(2, 10), (4, 20), (7, 35)]


@pytest.mark.parametrize(
    ("epoch", "start_offset", "entries"),
    [
        (9, 35, [(2, 10), (4, 20), (9, 35)]),  # nothing was written in 7
        (9, 20, [(2, 10), (9, 20)]),
        (4, 25, [(2, 10), (4, 25)]),
        (3, 40, [(2, 10), (3, 40)]),
        (7, 30, [(2, 10), (4, 20), (7, 30)]),
        (2, 40, [(2, 40)]),
        (0, 0, [(0, 0)]),
    ],
)
def test_an_entry_replaces_those_it_contradicts(
    cache: LeaderEpochCache, epoch: int, start_offset: int, entries: list[tuple[int, int]]
) -> None:
    cache.assign(epoch, start_offset)
    assert cache.entries == entries


@pytest.mark.parametrize(
    ("end_offset", "entries"),
    [
        (36, [(2, 10), (4, 20), (7, 35)]),
        (35, [(2, 10), (4, 20)]),
        (20, [(2, 10)]),
        (10, []),
        (0, []),
        (-1, [(2, 10), (4, 20), (7, 35)]),
    ],
)
def test_truncation_from_the_end(
    disk: SimDisk, cache: LeaderEpochCache, end_offset: int, entries: list[tuple[int, int]]
) -> None:
    cache.truncate_from_end(end_offset)
    assert cache.entries == entries
    assert LeaderEpochCache(disk, "/log").entries == entries


@pytest.mark.parametrize(
    ("start_offset", "entries"),
    [
        (5, [(2, 10), (4, 20), (7, 35)]),
        (10, [(2, 10), (4, 20), (7, 35)]),
        (15, [(2, 15), (4, 20), (7, 35)]),
        (20, [(4, 20), (7, 35)]),
        (34, [(4, 34), (7, 35)]),
        (99, [(7, 99)]),
    ],
)
def test_truncation_from_the_start(
    disk: SimDisk, cache: LeaderEpochCache, start_offset: int, entries: list[tuple[int, int]]
) -> None:
    cache.truncate_from_start(start_offset)
    assert cache.entries == entries
    cache.flush(100)
    assert LeaderEpochCache(disk, "/log").entries == entries


def test_an_unwritten_epoch_is_written_by_the_flush(disk: SimDisk, cache: LeaderEpochCache) -> None:
    cache.assign(9, 60, write=False)
    assert cache.latest_epoch == 9
    assert LeaderEpochCache(disk, "/log").latest_epoch == 7
    cache.flush(100)
    assert LeaderEpochCache(disk, "/log").latest_epoch == 9
    disk.fsync_dir("/")
    disk.power_loss(Random(3))
    assert LeaderEpochCache(disk, "/log").latest_epoch == 9


def test_an_epoch_without_records_is_not_worth_a_write(
    disk: SimDisk, cache: LeaderEpochCache
) -> None:
    cache.assign(9, 60, write=False)
    disk.fail_next("fsync")
    cache.flush(60)  # does not raise: nothing was to be synced
    assert LeaderEpochCache(disk, "/log").latest_epoch == 7
    with pytest.raises(DiskError):
        cache.flush(61)


def test_a_cut_that_was_not_written_is_written_by_the_flush(
    disk: SimDisk, cache: LeaderEpochCache
) -> None:
    cache.truncate_from_end(20, write=False)
    assert LeaderEpochCache(disk, "/log").latest_epoch == 7
    cache.flush(20)
    assert LeaderEpochCache(disk, "/log").latest_epoch == 7  # still: it may be stale behind 20
    cache.flush(36)
    assert LeaderEpochCache(disk, "/log").entries == [(2, 10)]


def test_what_a_flush_writes_waits_for_who_runs_it(disk: SimDisk, cache: LeaderEpochCache) -> None:
    cache.assign(9, 60, write=False)
    calls = disk.calls
    write = cache.begin_flush(100)
    assert disk.calls == calls
    cache.assign(11, 70, write=False)
    assert write is not None
    write()
    assert LeaderEpochCache(disk, "/log").latest_epoch == 9
    assert cache.begin_flush(70) is None
    cache.flush(100)
    assert LeaderEpochCache(disk, "/log").latest_epoch == 11


def test_a_flush_that_comes_late_does_not_bring_cut_epochs_back(
    disk: SimDisk, cache: LeaderEpochCache
) -> None:
    cache.assign(9, 60, write=False)
    late = cache.begin_flush(100)
    assert late is not None
    cache.truncate_from_end(20)
    late()
    assert LeaderEpochCache(disk, "/log").entries == cache.entries == [(2, 10)]


def test_a_failed_flush_is_tried_again(disk: SimDisk, cache: LeaderEpochCache) -> None:
    cache.assign(9, 60, write=False)
    disk.fail_next("fsync")
    with pytest.raises(DiskError):
        cache.flush(100)
    cache.flush(100)
    assert LeaderEpochCache(disk, "/log").latest_epoch == 9


def test_clearing_empties_the_file(disk: SimDisk, cache: LeaderEpochCache) -> None:
    cache.clear()
    assert cache.entries == []
    assert disk.read_file(PATH) == b"0\n0\n"


@pytest.mark.parametrize(("epoch", "start_offset"), [(-1, 5), (3, -1)])
def test_negative_entries_are_refused(
    cache: LeaderEpochCache, epoch: int, start_offset: int
) -> None:
    with pytest.raises(ValueError, match="leader epoch"):
        cache.assign(epoch, start_offset)


def test_an_epoch_that_a_file_names_twice_begins_where_it_is_first(disk: SimDisk) -> None:
    disk.write_file_atomic(PATH, b"0\n3\n2 10\n4 20\n4 25\n")
    assert LeaderEpochCache(disk, "/log").entries == [(2, 10), (4, 20)]


@pytest.mark.parametrize(
    "content", [b"0\n1\n-1 5\n", b"0\n1\n5 -1\n", b"0\n1\n1\n", b"1\n0\n", b"\xff"]
)
def test_a_corrupt_file_is_named(disk: SimDisk, content: bytes) -> None:
    disk.write_file_atomic(PATH, content)
    with pytest.raises(CorruptFile, match=PATH):
        LeaderEpochCache(disk, "/log")


@given(
    appends=st.lists(st.tuples(st.integers(0, 3), st.integers(1, 5)), max_size=20),
    cut_end=st.integers(0, 100),
    cut_start=st.integers(0, 100),
)
def test_epochs_answer_as_a_walk_over_the_log_does(
    appends: list[tuple[int, int]], cut_end: int, cut_start: int
) -> None:
    """The plain reference is the list of each offset's epoch."""
    disk = SimDisk(Random(1))
    disk.make_dir("/log")
    cache = LeaderEpochCache(disk, "/log")
    log: list[int] = []
    epoch = 0
    for bump, count in appends:
        epoch += bump
        cache.assign(epoch, len(log), write=False)
        log += [epoch] * count
    end = min(cut_end, len(log))
    del log[end:]
    cache.truncate_from_end(end)
    start = min(cut_start, end)
    cache.truncate_from_start(start)
    for offset in range(start, end):
        assert cache.epoch_for_offset(offset) == log[offset]
    for requested in range(epoch + 2):
        later = [offset for offset in range(start, end) if log[offset] > requested]
        known = [entry for entry in log[start:end] if entry <= requested]
        if not log[start:end] or requested > log[-1]:
            continue
        expected = (known[-1] if known else requested, later[0] if later else end)
        assert cache.end_offset_for(requested, end) == expected
