from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbroker.storage import names
from kbroker.storage.assigned_batches import append_assigned
from kbroker.storage.batch import BatchHeader, set_base_offset, set_leader_epoch
from kbroker.storage.checkpoints import LEADER_EPOCH_CHECKPOINT, PARTITION_METADATA
from kbroker.storage.closing import close
from kbroker.storage.errors import CorruptFile, DiskError, OffsetOutOfRange, StorageError
from kbroker.storage.flush import flush
from kbroker.storage.log_opening import UnknownLogDirectory
from kbroker.storage.origin import Origin
from kbroker.storage.truncation import increment_log_start_offset
from tests.storage.logs import (
    DIRECTORY,
    NOW_MS,
    SMALL,
    append,
    base_offsets,
    batch_of,
    fill,
    new_disk,
    offsets,
    open_at,
)

if TYPE_CHECKING:
    from tests.sim.disk import SimDisk

ONE = len(batch_of())
PAIRS = replace(SMALL, segment_bytes=2 * ONE)


def path(offset: int, suffix: str) -> str:
    return f"{DIRECTORY}/{names.file_name(offset, suffix)}"


def closed(batches: int, *, count: int = 1) -> SimDisk:
    """A disk with a log of two batches a segment that was closed in order."""
    disk = new_disk()
    log = open_at(disk, PAIRS)
    for i in range(batches):
        append(log, count, producer_id=7, sequence=i * count, leader_epoch=i // 3)
    close(log)
    return disk


def overwrite(disk: SimDisk, file: str, at: int, content: bytes) -> None:
    disk.open(file).write_at(at, content)


def test_after_a_clean_stop_no_segment_is_opened() -> None:
    disk = closed(7)
    disk.fail_next("open", path_part=".log")
    disk.fail_next("open", path_part="index")
    log = open_at(disk, PAIRS, clean=True, recovery_point=7)
    assert (log.log_start_offset, log.log_end_offset, log.recovery_point) == (0, 7, 7)
    assert base_offsets(log) == [0, 2, 4, 6]


def test_after_a_clean_stop_the_producers_come_from_the_snapshot() -> None:
    disk = closed(7)
    log = open_at(disk, PAIRS, clean=True, recovery_point=7)
    assert disk.exists(path(7, names.SNAPSHOT))
    assert append(log, producer_id=7, sequence=6).duplicate
    assert append(log, producer_id=7, sequence=7).first_offset == 7


def test_a_clean_stop_without_a_checkpoint_reads_the_end() -> None:
    assert open_at(closed(7), PAIRS, clean=True).log_end_offset == 7


def test_a_segment_that_should_be_empty_and_is_not_is_read() -> None:
    """Somebody has put it there: its records are seen at once."""
    disk = closed(1)
    assert open_at(disk, PAIRS, clean=True, recovery_point=0).log_end_offset == 1
    assert open_at(closed(7), PAIRS, clean=True, recovery_point=6).log_end_offset == 7


@pytest.mark.parametrize("recovery_point", [6, 8, 100])
def test_an_end_that_is_not_where_the_checkpoint_says_is_found_at_first_use(
    recovery_point: int,
) -> None:
    log = open_at(closed(7), PAIRS, clean=True, recovery_point=recovery_point)
    assert append(log).first_offset == 7
    log = open_at(closed(7), PAIRS, clean=True, recovery_point=recovery_point)
    assert increment_log_start_offset(log, 7)
    assert (log.log_start_offset, log.log_end_offset) == (7, 7)
    log = open_at(closed(7), PAIRS, clean=True, recovery_point=recovery_point)
    with pytest.raises(OffsetOutOfRange):
        increment_log_start_offset(log, 8)


@pytest.mark.parametrize("keeps_synced", [False, True])
def test_without_a_checkpoint_nothing_is_known_to_be_synced(keeps_synced: bool) -> None:
    disk = closed(1)
    disk.open(path(0, names.LOG)).truncate(ONE - 1)
    log = open_at(disk, PAIRS, keeps_synced=keeps_synced)
    assert (log.log_start_offset, log.log_end_offset) == (0, 0)


def test_a_crash_keeps_all_that_is_whole() -> None:
    log = open_at(closed(7), PAIRS)
    assert log.log_end_offset == 7
    assert log.epochs.entries == [(0, 0), (1, 3), (2, 6)]
    assert append(log, producer_id=7, sequence=6).duplicate


@pytest.mark.parametrize("log_start_offset", [0, 2, 5, 7])
def test_after_a_crash_the_producers_are_known_to_the_end(log_start_offset: int) -> None:
    log = open_at(closed(7), PAIRS, log_start_offset=log_start_offset)
    assert (log.log_end_offset, log.producers.map_end_offset) == (7, 7)
    append(log, producer_id=7, sequence=7)
    assert log.producers.map_end_offset == 8


@given(cut=st.integers(1, 4 * ONE - 1))
def test_a_torn_end_is_cut_at_the_last_whole_batch(cut: int) -> None:
    disk = new_disk()
    log = open_at(disk, replace(SMALL, segment_bytes=10_000))
    fill(log, 4)
    close(log)
    disk.open(path(0, names.LOG)).truncate(cut)
    log = open_at(disk)
    assert log.log_end_offset == cut // ONE
    assert log.size == cut // ONE * ONE
    assert append(log).first_offset == cut // ONE


@pytest.mark.parametrize("at", [0, 9, 18, 22, 26, 58, 100])
def test_a_flipped_byte_ends_the_log_before_its_batch(at: int) -> None:
    disk = closed(7)
    content = disk.read_file(path(2, names.LOG))
    overwrite(disk, path(2, names.LOG), ONE + at, bytes([content[ONE + at] ^ 0x41]))
    log = open_at(disk, PAIRS)
    assert log.log_end_offset == 3
    assert base_offsets(log) == [0, 2]
    assert not disk.exists(path(4, names.LOG))
    assert log.producers.producers[7].last_sequence == 2
    assert log.epochs.entries == [(0, 0)]


@pytest.mark.parametrize(
    ("base_offset", "leader_epoch"),
    [(1, 0), (3, -1), (2**40, 0)],
    ids=["offset goes back", "", "offset too far"],
)
def test_a_whole_batch_that_does_not_fit_ends_the_log(base_offset: int, leader_epoch: int) -> None:
    disk = new_disk()
    log = open_at(disk, replace(SMALL, segment_bytes=10_000))
    fill(log, 3)
    close(log)
    foreign = batch_of()
    set_base_offset(foreign, base_offset)
    set_leader_epoch(foreign, leader_epoch)
    disk.open(path(0, names.LOG)).append(foreign)
    assert open_at(disk).log_end_offset == (4 if base_offset == 3 else 3)


def test_a_batch_of_an_older_epoch_ends_the_log() -> None:
    disk = new_disk()
    log = open_at(disk, replace(SMALL, segment_bytes=10_000))
    append(log, leader_epoch=5)
    close(log)
    stale = batch_of()
    set_base_offset(stale, 1)
    set_leader_epoch(stale, 4)
    disk.open(path(0, names.LOG)).append(stale)
    assert open_at(disk).log_end_offset == 1


def test_only_segments_from_the_recovery_point_on_are_checked() -> None:
    disk = closed(7)
    overwrite(disk, path(0, names.LOG), 80, b"damage")
    log = open_at(disk, PAIRS, recovery_point=2)
    assert log.log_end_offset == 7
    assert log.recovery_point == 2


def test_missing_batches_between_segments_take_nothing_else_away() -> None:
    """Apache Kafka keeps what lies behind them, and so do we."""
    disk = closed(7)
    disk.open(path(2, names.LOG)).truncate(ONE)
    log = open_at(disk, PAIRS)
    assert log.log_end_offset == 7
    assert offsets(log.read(3, 10_000)) == [4, 5]
    assert [BatchHeader(batch).base_offset for batch in log.batches(0)] == [0, 1, 2, 4, 5, 6]
    assert log.epochs.entries == [(0, 0), (1, 4), (2, 6)]
    assert append(log, producer_id=7, sequence=7).first_offset == 7


@pytest.mark.parametrize("clean", [True, False])
@pytest.mark.parametrize("missing", [0, 2, 4])
def test_a_missing_segment_takes_no_other_away(missing: int, clean: bool) -> None:
    disk = closed(7)
    for suffix in names.SEGMENT_SUFFIXES:
        disk.unlink(path(missing, suffix))
    log = open_at(disk, PAIRS, clean=clean, recovery_point=7 if clean else 0)
    assert base_offsets(log) == [base for base in (0, 2, 4, 6) if base != missing]
    there = [offset for offset in range(7) if offset not in (missing, missing + 1)]
    assert [BatchHeader(batch).base_offset for batch in log.batches(0)] == there
    assert (log.log_start_offset, log.log_end_offset) == (there[0], 7)
    assert append(log).first_offset == 7


def test_a_log_that_keeps_what_is_synced_ends_where_offsets_are_missing() -> None:
    """Raft's: records behind missing ones mean nothing."""
    disk = closed(7)
    disk.open(path(2, names.LOG)).truncate(ONE)
    behind = disk.read_file(path(4, names.LOG))
    log = open_at(disk, PAIRS, recovery_point=3, keeps_synced=True)
    assert (log.log_end_offset, base_offsets(log)) == (3, [0, 2])
    assert disk.read_file(f"{DIRECTORY}/aside-1-{names.file_name(4, names.LOG)}-0") == behind
    disk = closed(7)
    for suffix in names.SEGMENT_SUFFIXES:
        disk.unlink(path(2, suffix))
    with pytest.raises(CorruptFile, match="below the recovery point"):
        open_at(disk, PAIRS, recovery_point=3, keeps_synced=True)
    assert disk.read_file(path(4, names.LOG)) == behind


def test_segments_that_overlap_are_kept() -> None:
    disk = closed(7)
    content = disk.read_file(path(2, names.LOG))
    disk.open(path(3, names.LOG), create=True).append(content[ONE:])
    log = open_at(disk, PAIRS)
    assert base_offsets(log) == [0, 2, 3, 4, 6]
    assert log.log_end_offset == 7


def test_a_gap_behind_a_segment_that_has_gaps_itself_is_no_loss() -> None:
    disk = new_disk()
    log = open_at(disk, PAIRS)
    for base in (0, 5, 20, 25, 40):
        batch = batch_of(base_offset=base, leader_epoch=0)
        append_assigned(log, batch, leader_epoch=0, now_ms=NOW_MS, origin=Origin.REPLICATION)
    close(log)
    log = open_at(disk, PAIRS)
    assert log.log_end_offset == 41
    assert base_offsets(log) == [0, 20, 40]


def test_offsets_far_ahead_leave_no_empty_segment_behind() -> None:
    disk = new_disk()
    log = open_at(disk, PAIRS)
    batch = batch_of(base_offset=2**40, leader_epoch=0)
    append_assigned(log, batch, leader_epoch=0, now_ms=NOW_MS, origin=Origin.REPLICATION)
    assert base_offsets(log) == [2**40]
    close(log)
    assert open_at(disk, PAIRS).log_end_offset == 2**40 + 1


def test_a_torn_end_after_a_clean_stop_takes_the_log_offline() -> None:
    disk = closed(7)
    disk.open(path(6, names.LOG)).truncate(ONE - 5)
    log = open_at(disk, PAIRS, clean=True, recovery_point=7)
    with pytest.raises(DiskError, match="although the last stop was clean"):
        append(log)
    assert log.is_offline


@pytest.mark.parametrize("suffix", [names.OFFSET_INDEX, names.TIME_INDEX])
@pytest.mark.parametrize("clean", [True, False])
def test_a_missing_index_is_rebuilt(suffix: str, clean: bool) -> None:
    disk = new_disk()
    log = open_at(disk, replace(SMALL, segment_bytes=6 * ONE))
    for i in range(15):
        append(log, timestamp=NOW_MS + i)
    close(log)
    before = disk.read_file(path(0, suffix))
    assert before
    disk.unlink(path(0, suffix))
    log = open_at(disk, clean=clean, recovery_point=15)
    assert [offsets(log.read(i, 1)) for i in range(15)] == [[i] for i in range(15)]
    assert disk.read_file(path(0, suffix)) == before


def test_an_empty_log_has_no_time_index_and_needs_none() -> None:
    disk = new_disk()
    close(open_at(disk))
    bare = [names.file_name(0, names.OFFSET_INDEX), names.file_name(0, names.LOG)]
    assert disk.list_dir(DIRECTORY) == bare
    for clean in (True, False):
        close(open_at(disk, clean=clean, recovery_point=0))
        assert disk.list_dir(DIRECTORY) == bare
    log = open_at(disk, clean=True, recovery_point=0)
    append(log)
    assert names.file_name(0, names.TIME_INDEX) in disk.list_dir(DIRECTORY)


@pytest.mark.parametrize("timestamp", [NOW_MS, -1])
def test_what_a_clean_stop_synced_needs_no_rebuilding(
    timestamp: int, caplog: pytest.LogCaptureFixture
) -> None:
    disk = new_disk()
    log = open_at(disk)
    flush(log)  # of the names as they are before the first batch
    append(log, timestamp=timestamp)
    close(log)
    disk.power_loss(Random(1))
    assert open_at(disk, clean=True, recovery_point=1).read(0, 1).records is not None
    assert names.file_name(0, names.TIME_INDEX) in disk.list_dir(DIRECTORY)
    assert not caplog.records


def test_a_damaged_txn_index_is_rebuilt_from_its_segment_on() -> None:
    disk = closed(7)
    disk.open(path(2, names.TXN_INDEX), create=True).append(b"12345")
    log = open_at(disk, PAIRS, clean=True, recovery_point=7)
    assert log.log_end_offset == 7
    assert disk.size(path(2, names.TXN_INDEX)) == 0


@pytest.mark.parametrize(
    "content", [b"", b"garbage", b"0\n1\n0 zero\n", b"0\n9\n0 0\n", b"\xff\xfe"]
)
def test_damaged_or_lost_epochs_follow_from_the_batches(content: bytes) -> None:
    disk = closed(7)
    disk.write_file_atomic(f"{DIRECTORY}/{LEADER_EPOCH_CHECKPOINT}", content)
    log = open_at(disk, PAIRS, recovery_point=5)
    assert log.epochs.entries == [(0, 0), (1, 3), (2, 6)]


def test_epochs_of_records_that_are_gone_go() -> None:
    disk = closed(7)
    disk.open(path(6, names.LOG)).truncate(0)
    assert open_at(disk, PAIRS, recovery_point=4).epochs.latest_epoch == 1


@pytest.mark.parametrize("damage", [b"", b"x" * 40])
def test_a_damaged_snapshot_is_replaced_by_an_older_one_and_the_log(
    damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    disk = closed(7)
    for offset in (4, 6, 7):
        disk.write_file_atomic(path(offset, names.SNAPSHOT), damage)
    log = open_at(disk, PAIRS, recovery_point=6)
    assert log.producers.producers[7].last_sequence == 6
    assert path(6, names.SNAPSHOT) in caplog.text


def test_a_damaged_topic_id_goes_after_a_crash_and_is_an_error_after_a_clean_stop() -> None:
    disk = closed(3)
    disk.write_file_atomic(f"{DIRECTORY}/{PARTITION_METADATA}", b"damage")
    clean = open_at(disk, PAIRS, clean=True, recovery_point=3)
    with pytest.raises(StorageError):
        _ = clean.directory.topic_id
    assert open_at(disk, PAIRS).directory.topic_id is None


def test_damage_below_the_recovery_point_is_left_for_somebody_to_look_at() -> None:
    disk = closed(7)
    # No snapshot tells of the producers there, and the batches cannot be walked.
    for offset in (2, 4, 6, 7):
        disk.unlink(path(offset, names.SNAPSHOT))
    overwrite(disk, path(2, names.LOG), 8, b"\0\0\0\0")
    with pytest.raises(CorruptFile, match="below the recovery point"):
        open_at(disk, PAIRS, recovery_point=6)
    assert disk.exists(path(6, names.LOG))


def test_no_snapshots_are_taken_below_the_log_start() -> None:
    disk = closed(9)
    for name in disk.list_dir(DIRECTORY):
        if name.endswith(names.SNAPSHOT):
            disk.unlink(f"{DIRECTORY}/{name}")
    log = open_at(disk, PAIRS, log_start_offset=5)
    assert base_offsets(log) == [0, 2, 4, 6, 8]
    assert log.producers.snapshots.offsets == (6, 8)


def test_a_log_that_ends_below_its_start_starts_afresh() -> None:
    disk = closed(7)
    log = open_at(disk, PAIRS, log_start_offset=50)
    assert (log.log_start_offset, log.log_end_offset) == (50, 50)
    assert base_offsets(log) == [50]
    assert log.epochs.entries == []
    assert append(log).first_offset == 50


def test_the_log_start_is_that_of_the_checkpoint_or_of_the_first_segment() -> None:
    assert open_at(closed(7), PAIRS, log_start_offset=3).log_start_offset == 3
    disk = closed(7)
    for suffix in names.SEGMENT_SUFFIXES:
        disk.unlink(path(0, suffix))
    assert open_at(disk, PAIRS, log_start_offset=1).log_start_offset == 2


def test_leftovers_go() -> None:
    disk = closed(5)
    gone = [
        names.file_name(0, names.LOG) + names.DELETED,
        names.file_name(2, names.LOG) + names.CLEANED,
        names.file_name(4, names.LOG) + names.SWAP,
        names.file_name(4, names.SNAPSHOT) + ".tmp",
        names.file_name(9, names.OFFSET_INDEX),
        names.file_name(9, names.TIME_INDEX),
    ]
    kept = ["00000000000000000004-0000000001.checkpoint.deleted", "unknown.file"]
    for name in gone + kept:
        disk.open(f"{DIRECTORY}/{name}", create=True)
    log = open_at(disk, PAIRS)
    assert log.log_end_offset == 5
    left = disk.list_dir(DIRECTORY)
    assert not set(gone) & set(left)
    assert set(kept) < set(left)


def test_a_finished_compaction_leaves_the_segments_before_and_behind_it_alone() -> None:
    disk = closed(9)
    # Segments 2 and 4 have become one that lacks offset 2.
    content = disk.read_file(path(2, names.LOG))[ONE:] + disk.read_file(path(4, names.LOG))
    disk.open(path(2, names.LOG) + names.SWAP, create=True).append(content)
    compacted = replace(PAIRS, cleanup_policy=frozenset(("compact",)))
    log = open_at(disk, compacted, clean=True, recovery_point=9)
    assert base_offsets(log) == [0, 2, 6, 8]
    found = [BatchHeader(batch).base_offset for batch in log.batches(0)]
    assert found == [0, 1, 3, 4, 5, 6, 7, 8]
    for offset in found:
        assert offsets(log.read(offset, 1))[0] == offset


def test_a_finished_compaction_is_carried_through() -> None:
    disk = closed(7)
    # Segments 0 and 2 have become one that lacks offset 1.
    content = disk.read_file(path(0, names.LOG))[:ONE] + disk.read_file(path(2, names.LOG))
    disk.open(path(0, names.LOG) + names.SWAP, create=True).append(content)
    log = open_at(disk, replace(PAIRS, cleanup_policy=frozenset(("compact",))))
    assert base_offsets(log) == [0, 4, 6]
    found = [BatchHeader(batch).base_offset for batch in log.batches(0)]
    assert found == [0, 2, 3, 4, 5, 6]


def test_an_empty_directory_is_an_empty_log() -> None:
    disk = new_disk()
    disk.make_dir(DIRECTORY)
    log = open_at(disk, log_start_offset=12)
    assert (log.log_start_offset, log.log_end_offset) == (12, 12)
    assert append(log).first_offset == 12


def test_a_strange_directory_is_no_log() -> None:
    with pytest.raises(UnknownLogDirectory):
        open_at(new_disk(), directory="/data/nonsense")
