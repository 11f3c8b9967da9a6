"""What recovery takes out of a log lies beside it, and what it does not know stays as it is."""

from __future__ import annotations

import errno
import logging
from contextlib import suppress
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

import pytest

from kbroker.storage import names
from kbroker.storage.aside import KEPT_RECOVERIES
from kbroker.storage.assigned_batches import append_assigned
from kbroker.storage.checkpoints import (
    LEADER_EPOCH_CHECKPOINT,
    LOG_START_OFFSET_CHECKPOINT,
    PARTITION_METADATA,
    RECOVERY_POINT_CHECKPOINT,
    MetaProperties,
    has_clean_shutdown,
)
from kbroker.storage.closing import close
from kbroker.storage.errors import DiskError, DiskFull, UnknownFormat
from kbroker.storage.log_dir_opening import open_log_dir
from kbroker.storage.origin import Origin
from kbroker.storage.truncation import increment_log_start_offset, truncate_to
from tests.sim.disk import PowerLoss
from tests.storage.logs import (
    DIRECTORY,
    NOW_MS,
    SMALL,
    append,
    base_offsets,
    batch_of,
    fill,
    new_disk,
    open_at,
)

if TYPE_CHECKING:
    from tests.sim.disk import SimDisk

ONE = len(batch_of())
PAIRS = replace(SMALL, segment_bytes=2 * ONE)
LONG = replace(SMALL, segment_bytes=100_000)
TOPIC_ID = bytes(range(16))


def path(offset: int, suffix: str) -> str:
    return f"{DIRECTORY}/{names.file_name(offset, suffix)}"


def aside(file: str, number: int = 1, position: int = 0) -> str:
    return f"{DIRECTORY}/aside-{number}-{file}-{position}"


def closed(batches: int) -> SimDisk:
    """A log of two batches a segment, closed in order."""
    disk = new_disk()
    log = open_at(disk, PAIRS)
    fill(log, batches)
    close(log)
    return disk


def files(disk: SimDisk) -> dict[str, bytes]:
    return {name: disk.read_file(f"{DIRECTORY}/{name}") for name in disk.list_dir(DIRECTORY)}


def put_aside(disk: SimDisk) -> dict[str, bytes]:
    return {name: content for name, content in files(disk).items() if name.startswith("aside-")}


def overwrite(disk: SimDisk, file: str, at: int, content: bytes) -> None:
    disk.open(file).write_at(at, content)


# What is cut.


@pytest.mark.parametrize("size", [1, 5, 16, 17, 30, ONE - 1])
def test_a_torn_batch_is_kept(size: int, caplog: pytest.LogCaptureFixture) -> None:
    disk = closed(1)
    torn = bytes(batch_of(base_offset=1, leader_epoch=0))[:size] + b"\x01"
    disk.open(path(0, names.LOG)).append(torn)
    log = open_at(disk, PAIRS)
    assert (log.log_end_offset, log.size) == (1, ONE)
    kept = aside(names.file_name(0, names.LOG), position=ONE)
    assert put_aside(disk) == {kept.rpartition("/")[2]: torn}
    (warning,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    for part in (path(0, names.LOG), f"{len(torn)} bytes from position {ONE} on", "offset 1", kept):
        assert part in warning.getMessage()


def test_segments_behind_a_damaged_one_are_kept_with_all_their_files() -> None:
    disk = closed(7)
    before = files(disk)
    overwrite(disk, path(2, names.LOG), ONE + 30, b"damage")
    end = disk.read_file(path(2, names.LOG))[ONE:]
    log = open_at(disk, PAIRS)
    assert (log.log_end_offset, base_offsets(log)) == (3, [0, 2])
    expected = {aside(names.file_name(2, names.LOG), position=ONE).rpartition("/")[2]: end}
    for base in (4, 6):
        for kind in names.SEGMENT_SUFFIXES:
            name = names.file_name(base, kind)
            if before.get(name):
                expected[f"aside-1-{name}-0"] = before[name]
    assert len(expected) > 5
    assert put_aside(disk) == expected


def test_empty_files_are_not_kept() -> None:
    disk = closed(3)
    overwrite(disk, path(0, names.LOG), 30, b"damage")
    disk.open(path(2, names.LOG)).truncate(0)
    disk.open(path(2, names.OFFSET_INDEX)).truncate(0)
    disk.open(path(2, names.OFFSET_INDEX)).append(bytes(80))
    disk.write_file_atomic(f"{DIRECTORY}/{PARTITION_METADATA}", b"")
    assert open_at(disk, PAIRS).log_end_offset == 0
    assert list(put_aside(disk)) == [f"aside-1-{names.file_name(0, names.LOG)}-0"]


def test_what_is_kept_is_safe_before_anything_is_cut() -> None:
    """The power goes in any call of the recovery: each byte is in the log, or beside it."""
    for crash in range(1, 60):
        disk = closed(7)
        overwrite(disk, path(2, names.LOG), ONE + 30, b"damage")
        whole = {base: disk.read_file(path(base, names.LOG)) for base in (0, 2, 4, 6)}
        for base in whole:
            disk.open(path(base, names.LOG)).fsync()
        disk.fsync_dir(DIRECTORY)
        disk.crash_at = disk.calls + crash
        is_done = False
        with suppress(PowerLoss):
            open_at(disk, PAIRS)
            is_done = True
        disk.power_loss(Random(crash))
        open_at(disk, PAIRS)
        found = files(disk)
        for base, content in whole.items():
            name = names.file_name(base, names.LOG)
            there = {found.get(name, b"")}
            there |= {kept for file, kept in found.items() if name in file}
            tails = {part for part in there if part and content.endswith(part)}
            heads = {part for part in there if part and content.startswith(part)}
            assert content in there or any(h + t == content for h in heads for t in tails), crash
        if is_done:
            return
    raise AssertionError("the recovery never ended")


def test_zeros_are_not_kept(caplog: pytest.LogCaptureFixture) -> None:
    disk = closed(1)
    disk.open(path(0, names.LOG)).append(bytes(50_000))
    log = open_at(disk, PAIRS)
    assert (log.log_end_offset, log.size) == (1, ONE)
    assert put_aside(disk) == {}
    assert "They are all zeros" in caplog.text


def test_of_zeros_behind_a_torn_batch_a_page_is_kept() -> None:
    disk = closed(1)
    disk.open(path(0, names.LOG)).append(b"torn" + bytes(3_000_000))
    assert open_at(disk, PAIRS).log_end_offset == 1
    assert list(put_aside(disk).values()) == [b"torn" + bytes(4096 - ONE - 4)]


def test_a_log_that_ends_below_its_start_is_kept() -> None:
    disk = closed(7)
    before = files(disk)
    assert open_at(disk, PAIRS, log_start_offset=50).log_end_offset == 50
    kept = put_aside(disk)
    for base in (0, 2, 4, 6):
        name = names.file_name(base, names.LOG)
        assert kept[f"aside-1-{name}-0"] == before[name]


@pytest.mark.parametrize("file", [LEADER_EPOCH_CHECKPOINT, PARTITION_METADATA])
def test_a_file_that_must_go_is_kept(file: str) -> None:
    disk = closed(3)
    disk.write_file_atomic(f"{DIRECTORY}/{file}", b"damage")
    assert open_at(disk, PAIRS).log_end_offset == 3
    assert put_aside(disk) == {f"aside-1-{file}-0": b"damage"}


def test_a_checkpoint_that_cannot_be_read_is_kept_when_it_is_written_anew() -> None:
    disk = new_disk()
    file = f"/data/{LOG_START_OFFSET_CHECKPOINT}"
    first = open_log_dir(disk, "/data", rng=Random(1), now_ms=NOW_MS)
    first.format(MetaProperties("cluster", 1, TOPIC_ID))
    first.close()
    disk.write_file_atomic(file, b"damage")
    again = open_log_dir(disk, "/data", rng=Random(1), now_ms=NOW_MS)
    assert disk.read_file(file) == b"damage"
    again.open_log("t", 0, SMALL, now_ms=NOW_MS)
    fill(again.logs.opened["t", 0], 1)
    increment_log_start_offset(again.logs.opened["t", 0], 1)
    again.checkpoints.write_offsets()
    assert disk.read_file(f"/data/aside-1-{LOG_START_OFFSET_CHECKPOINT}-0") == b"damage"
    assert b"t 0 1" in disk.read_file(file)


# How much is kept.


def test_recoveries_without_end_keep_so_much_and_no_more(
    caplog: pytest.LogCaptureFixture,
) -> None:
    disk = closed(1)
    for number in range(1, 2 * KEPT_RECOVERIES + 1):
        disk.open(path(0, names.LOG)).append(b"torn %d" % number)
        close(open_at(disk, PAIRS))
        assert len(put_aside(disk)) == min(number, KEPT_RECOVERIES)
    kept = put_aside(disk)
    numbers = range(KEPT_RECOVERIES + 1, 2 * KEPT_RECOVERIES + 1)
    name = names.file_name(0, names.LOG)
    assert kept == {f"aside-{n}-{name}-{ONE}": b"torn %d" % n for n in numbers}
    gone = [record.getMessage() for record in caplog.records if "deleting " in record.getMessage()]
    assert len(gone) == KEPT_RECOVERIES
    assert f"aside-1-{name}-{ONE}" in gone[0]


def test_one_recovery_keeps_all_that_it_takes() -> None:
    disk = new_disk()
    log = open_at(disk, PAIRS)
    fill(log, 4 * KEPT_RECOVERIES)
    close(log)
    overwrite(disk, path(0, names.LOG), 30, b"damage")
    assert open_at(disk, PAIRS).log_end_offset == 0
    logs = [name for name in put_aside(disk) if names.LOG in name]
    assert len(logs) == 2 * KEPT_RECOVERIES


def test_nothing_is_cut_where_there_is_no_room_to_keep_it() -> None:
    disk = closed(3)
    disk.open(path(2, names.LOG)).append(b"torn")
    content = disk.read_file(path(2, names.LOG))
    disk.limit(DIRECTORY, disk.used(DIRECTORY))
    with pytest.raises(DiskFull):
        open_at(disk, PAIRS)
    assert disk.read_file(path(2, names.LOG)) == content
    assert put_aside(disk) == {}
    disk.limit(DIRECTORY, None)
    assert open_at(disk, PAIRS).log_end_offset == 3
    assert list(put_aside(disk).values()) == [b"torn"]


# What was synced.


@pytest.mark.parametrize("missing", [names.OFFSET_INDEX, names.TIME_INDEX])
@pytest.mark.parametrize("recovery_point", [6, None])
def test_a_damaged_segment_without_its_index_takes_no_synced_one_away(
    missing: str, recovery_point: int | None
) -> None:
    """After a clean stop, or below the recovery point."""
    disk = closed(7)
    overwrite(disk, path(2, names.LOG), ONE + 8, b"\0\0\0\1")
    disk.unlink(path(2, missing))
    is_clean = recovery_point is None
    log = open_at(disk, PAIRS, clean=is_clean, recovery_point=7 if is_clean else recovery_point)
    assert base_offsets(log) == [0, 2, 4, 6]
    assert log.log_end_offset == 7
    assert [batch[7] for batch in log.batches(0)] == [0, 1, 2, 4, 5, 6]
    assert len(put_aside(disk)) == 1


@pytest.mark.parametrize("lost", [0, 2, 4])
def test_a_copy_ends_where_offsets_are_missing(lost: int) -> None:
    """It is to take the place of a log that has them: they are copied again."""
    disk = new_disk()
    log_dir = open_log_dir(disk, "/data", rng=Random(1), now_ms=NOW_MS)
    log_dir.format(MetaProperties("cluster", 1, TOPIC_ID))
    copy = log_dir.open_future("t", 0, PAIRS, now_ms=NOW_MS, topic_id=TOPIC_ID)
    for offset in range(7):
        batch = batch_of(base_offset=offset, leader_epoch=0)
        append_assigned(copy, batch, leader_epoch=-1, now_ms=NOW_MS, origin=Origin.REPLICATION)
    log_dir.close()
    disk.unlink("/data/.kafka_cleanshutdown")
    disk.write_file_atomic(f"/data/{RECOVERY_POINT_CHECKPOINT}", b"0\n0\n")
    disk.open(f"{copy.directory.path}/{names.file_name(lost, names.LOG)}").truncate(0)
    again = open_log_dir(disk, "/data", rng=Random(1), now_ms=NOW_MS)
    found = again.open_future("t", 0, PAIRS, now_ms=NOW_MS, topic_id=TOPIC_ID)
    assert found.log_end_offset == lost
    assert [batch[7] for batch in found.batches(0)] == list(range(lost))


# What is not known.


def with_magic(magic: int, base: int, batch: int) -> SimDisk:
    disk = closed(7)
    overwrite(disk, path(base, names.LOG), batch * ONE + 16, bytes([magic]))
    return disk


def unchanged(disk: SimDisk, before: dict[str, bytes]) -> bool:
    """Whether all batches are where they were, in files that were not written since."""
    logs = {name: content for name, content in before.items() if name.endswith(names.LOG)}
    now = files(disk)
    return all(now[name] == content for name, content in logs.items()) and not put_aside(disk)


@pytest.mark.parametrize("magic", [3, 4, 67, 127])
@pytest.mark.parametrize(("base", "batch"), [(0, 0), (2, 1), (4, 0), (6, 0)])
def test_a_later_format_is_left_as_it_is_after_a_crash(magic: int, base: int, batch: int) -> None:
    disk = with_magic(magic, base, batch)
    before = files(disk)
    for recovery_point in (0, base):
        with pytest.raises(UnknownFormat, match=f"format {magic}, written by newer software"):
            open_at(disk, PAIRS, recovery_point=recovery_point)
        assert unchanged(disk, before)


@pytest.mark.parametrize("missing", [names.OFFSET_INDEX, names.TIME_INDEX])
def test_a_later_format_is_left_as_it_is_where_an_index_is_missing(missing: str) -> None:
    disk = with_magic(3, 2, 1)
    disk.unlink(path(2, missing))
    before = files(disk)
    for clean in (True, False):
        with pytest.raises(UnknownFormat):
            open_at(disk, PAIRS, clean=clean, recovery_point=7)
        assert unchanged(disk, before)


def test_a_later_format_at_the_end_takes_the_log_offline_at_first_use() -> None:
    disk = with_magic(3, 6, 0)
    before = files(disk)
    log = open_at(disk, PAIRS, clean=True, recovery_point=7)
    for _ in range(2):
        with pytest.raises(DiskError, match="format 3"):
            append(log)
    assert log.is_offline
    close(log)
    assert unchanged(disk, before)


def test_a_later_format_within_takes_the_log_offline_when_it_is_met() -> None:
    for use in ("read", "truncate"):
        disk = with_magic(3, 2, 0)
        before = files(disk)
        log = open_at(disk, PAIRS, clean=True, recovery_point=7)
        assert log.read(1, 10_000).records is not None
        with pytest.raises(UnknownFormat):
            log.read(2, 10_000) if use == "read" else truncate_to(log, 2, NOW_MS)
        assert log.is_offline
        if use == "read":
            assert unchanged(disk, before)
        assert disk.read_file(path(2, names.LOG)) == before[names.file_name(2, names.LOG)]


@pytest.mark.parametrize("magic", [3, 128, 255])
def test_what_only_looks_like_another_format_is_damage(magic: int) -> None:
    """Its offset or its length cannot be those of a batch there, or no format has such a number."""
    torn = bytearray(batch_of(base_offset=1, leader_epoch=0))
    torn[16] = magic
    if magic < 128:
        torn[0] = 1
    disk = closed(1)
    disk.open(path(0, names.LOG)).append(torn)
    assert open_at(disk, PAIRS).log_end_offset == 1
    assert list(put_aside(disk).values()) == [bytes(torn)]


def test_a_batch_of_a_later_format_that_is_cut_off_is_damage() -> None:
    torn = bytearray(batch_of(base_offset=1, leader_epoch=0))
    torn[16] = 3
    disk = closed(1)
    disk.open(path(0, names.LOG)).append(torn[:-1])
    assert open_at(disk, PAIRS).log_end_offset == 1
    assert list(put_aside(disk).values()) == [bytes(torn[:-1])]


# The marker of a clean stop.


@pytest.mark.parametrize("is_mended", [True, False])
def test_no_clean_stop_while_a_log_waits_to_be_recovered(is_mended: bool) -> None:
    disk = new_disk()
    log_dir = open_log_dir(disk, "/data", rng=Random(1), now_ms=NOW_MS)
    log_dir.format(MetaProperties("cluster", 1, TOPIC_ID))
    fill(log_dir.open_log("t", 0, LONG, now_ms=NOW_MS), 2)
    log_dir.close()
    disk.unlink("/data/.kafka_cleanshutdown")
    overwrite(disk, path(0, names.LOG), ONE + 16, b"\x03")
    log_dir = open_log_dir(disk, "/data", rng=Random(1), now_ms=NOW_MS)
    with pytest.raises(UnknownFormat):
        log_dir.open_log("t", 0, LONG, now_ms=NOW_MS)
    if is_mended:
        overwrite(disk, path(0, names.LOG), ONE + 16, b"\x02")
        assert log_dir.open_log("t", 0, LONG, now_ms=NOW_MS).log_end_offset == 2
    log_dir.close()
    assert has_clean_shutdown(disk, "/data") == is_mended


def test_a_full_disk_below_a_log_is_an_error_of_the_disk() -> None:
    disk = closed(3)
    disk.open(path(2, names.LOG)).append(b"torn")
    disk.fail_next("append", errno.EIO, "aside-")
    with pytest.raises(DiskError):
        open_at(disk, PAIRS)
    assert put_aside(disk) == {}
    assert disk.size(path(2, names.LOG)) == ONE + 4
