from __future__ import annotations

import errno
import threading
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kbroker.storage.checkpoints import (
    LOG_START_OFFSET_CHECKPOINT,
    RECOVERY_POINT_CHECKPOINT,
    REPLICATION_OFFSET_CHECKPOINT,
    read_offsets,
)
from kbroker.storage.disk import TEMPORARY_SUFFIX
from kbroker.storage.errors import DiskError
from kbroker.storage.flush import flush
from kbroker.storage.log_dir_opening import open_log_dir
from kbroker.storage.os_disk import OsDisk
from kbroker.storage.retention import delete_old_segments
from kbroker.storage.truncation import increment_log_start_offset, truncate_to
from tests.storage.log_dirs import ID, META, PAIRS, start
from tests.storage.logs import NOW_MS, append, fill, new_disk

if TYPE_CHECKING:
    from pathlib import Path

    from kbroker.storage.log_dir import LogDir
    from tests.sim.disk import SimDisk


def test_a_damaged_checkpoint_is_as_none() -> None:
    disk = new_disk()
    log_dir = start(disk)
    fill(log_dir.open_log("t", 0, PAIRS, now_ms=NOW_MS), 5)
    log_dir.close()
    disk.write_file_atomic(f"/data/{RECOVERY_POINT_CHECKPOINT}", b"0\nx\n")
    assert start(disk).open_log("t", 0, PAIRS, now_ms=NOW_MS).log_end_offset == 5


def test_checkpoints_are_written_where_they_changed() -> None:
    disk = new_disk()
    log_dir = start(disk)
    log = log_dir.open_log("t", 0, PAIRS, now_ms=NOW_MS)
    fill(log, 4)
    log_dir.checkpoints.write_offsets()
    assert log_dir.checkpoints.offset_writes() == []
    flush(log)
    # Below the end of the active segment, whose indexes are not synced.
    log_dir.checkpoints.write_offsets()
    assert read_offsets(disk, f"/data/{RECOVERY_POINT_CHECKPOINT}") == {("t", 0): 3}
    assert log_dir.checkpoints.offset_writes() == []
    increment_log_start_offset(log, 1)
    (write,) = log_dir.checkpoints.offset_writes()
    write()
    assert read_offsets(disk, f"/data/{LOG_START_OFFSET_CHECKPOINT}") == {("t", 0): 1}
    log_dir.checkpoints.note_high_watermark("t", 0, 2)
    (write,) = log_dir.checkpoints.high_watermark_writes()
    write()
    assert read_offsets(disk, f"/data/{REPLICATION_OFFSET_CHECKPOINT}") == {("t", 0): 2}
    log_dir.checkpoints.note_high_watermark("t", 0, 2)
    assert log_dir.checkpoints.high_watermark_writes() == []


def test_two_writes_of_one_checkpoint_take_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One in a thread and one in line have the same temporary file, and the newer one stays."""
    log_dir = open_log_dir(OsDisk(), str(tmp_path), rng=Random(1), now_ms=NOW_MS)
    log_dir.format(META)
    log_dir.open_log("t", 0, PAIRS, now_ms=NOW_MS)
    begun, go_on = threading.Event(), threading.Event()
    write_file = OsDisk.write_file_atomic

    def slowly(self: OsDisk, path: str, content: bytes, *, sync: bool = True) -> None:
        if not begun.is_set():
            begun.set()
            go_on.wait(60)
        assert not self.exists(path + TEMPORARY_SUFFIX)
        write_file(self, path, content, sync=sync)

    monkeypatch.setattr(OsDisk, "write_file_atomic", slowly)
    with ThreadPoolExecutor() as pool:
        log_dir.checkpoints.note_high_watermark("t", 0, 1)
        (older,) = log_dir.checkpoints.high_watermark_writes()
        log_dir.checkpoints.note_high_watermark("t", 0, 2)
        (newer,) = log_dir.checkpoints.high_watermark_writes()
        first = pool.submit(older)
        assert begun.wait(60)
        second = pool.submit(newer)
        with pytest.raises(TimeoutError):
            second.result(0.05)
        go_on.set()
        first.result(60)
        second.result(60)
    path = f"{tmp_path}/{REPLICATION_OFFSET_CHECKPOINT}"
    assert read_offsets(OsDisk(), path) == {("t", 0): 2}
    assert log_dir.checkpoints.high_watermark_writes() == []


def test_a_copy_enters_itself_for_the_checkpoints() -> None:
    disk = new_disk()
    log_dir = start(disk)
    future = log_dir.open_future("t", 0, PAIRS, now_ms=NOW_MS, topic_id=ID)
    log_dir.checkpoints.write_offsets()
    fill(future, 6)
    increment_log_start_offset(future, 5)
    flush(future)
    log_dir.checkpoints.write_offsets()
    assert read_offsets(disk, f"/data/{LOG_START_OFFSET_CHECKPOINT}") == {("t", 0): 5}
    assert read_offsets(disk, f"/data/{RECOVERY_POINT_CHECKPOINT}")["t", 0] > 0


OPERATIONS = ("append", "flush", "roll", "delete_records", "retain", "truncate", "delete", "close")


@given(st.lists(st.tuples(st.sampled_from(OPERATIONS), st.integers(0, 2), st.booleans())))
@settings(deadline=None)
def test_checkpoints_say_what_the_logs_say_though_only_those_that_changed_are_asked(
    operations: list[tuple[str, int, bool]],
) -> None:
    """After any operations: each log's own offsets, and nothing of those that are gone."""
    disk = new_disk()
    log_dir = start(disk)
    now_ms = NOW_MS
    for operation, index, is_checkpointed in operations:
        now_ms += 1
        if ("t", index) not in log_dir.logs.opened:
            log_dir.open_log("t", index, PAIRS, now_ms=now_ms, topic_id=ID)
        log = log_dir.logs.opened["t", index]
        match operation:
            case "append":
                append(log, 2)
            case "flush":
                flush(log)
            case "roll":
                log.roll(now_ms)
            case "delete_records":
                increment_log_start_offset(
                    log, (log.log_start_offset + log.log_end_offset + 1) // 2
                )
            case "retain":
                delete_old_segments(log, now_ms)
            case "truncate":
                truncate_to(log, (log.log_start_offset + log.log_end_offset) // 2, now_ms)
            case "delete":
                log_dir.delete_log("t", index, now_ms)
            case "close":
                log_dir.close()
                log_dir = start(disk)
        if is_checkpointed or operation == "close":
            log_dir.checkpoints.write_offsets()
            check_offset_checkpoints(disk, log_dir)


def check_offset_checkpoints(disk: SimDisk, log_dir: LogDir) -> None:
    points = read_offsets(disk, f"/data/{RECOVERY_POINT_CHECKPOINT}")
    starts = read_offsets(disk, f"/data/{LOG_START_OFFSET_CHECKPOINT}")
    assert points.keys() >= log_dir.logs.opened.keys()
    assert points.keys() | starts.keys() <= set(log_dir.logs.partitions())
    for key, log in log_dir.logs.opened.items():
        # What an append alone lets rise, by its one record, waits for a flush.
        point = log.durability.checkpoint_offset(log.segments, log.log_end_offset)
        assert points[key] == point or points[key] == point - 1 == log.recovery_point - 1
        if log.log_start_offset > log.segments.first.base_offset:
            assert starts[key] == log.log_start_offset
        else:
            assert starts.get(key, log.log_start_offset) == log.log_start_offset


def test_a_checkpoint_that_was_not_written_is_written_the_next_time() -> None:
    disk = new_disk()
    log_dir = start(disk)
    log = log_dir.open_log("t", 0, PAIRS, now_ms=NOW_MS)
    fill(log, 4)
    flush(log)
    increment_log_start_offset(log, 1)
    log_dir.checkpoints.note_high_watermark("t", 0, 4)
    disk.fail_next("append", errno.ENOSPC, RECOVERY_POINT_CHECKPOINT)
    with pytest.raises(DiskError):
        log_dir.checkpoints.write_offsets()
    disk.fail_next("rename", errno.EIO, REPLICATION_OFFSET_CHECKPOINT)
    (write,) = log_dir.checkpoints.high_watermark_writes()
    with pytest.raises(DiskError):
        write()
    assert len(log_dir.checkpoints.offset_writes()) == 2  # taken, and never run
    for again in log_dir.checkpoints.offset_writes() + log_dir.checkpoints.high_watermark_writes():
        again()
    assert read_offsets(disk, f"/data/{RECOVERY_POINT_CHECKPOINT}") == {("t", 0): 3}
    assert read_offsets(disk, f"/data/{LOG_START_OFFSET_CHECKPOINT}") == {("t", 0): 1}
    assert read_offsets(disk, f"/data/{REPLICATION_OFFSET_CHECKPOINT}") == {("t", 0): 4}
    assert log_dir.checkpoints.offset_writes() + log_dir.checkpoints.high_watermark_writes() == []


def test_a_checkpoint_that_comes_late_leaves_a_newer_one_alone() -> None:
    disk = new_disk()
    log_dir = start(disk)
    log_dir.open_log("t", 0, PAIRS, now_ms=NOW_MS)
    late = log_dir.checkpoints.offset_writes()
    log_dir.delete_log("t", 0, NOW_MS)
    log_dir.checkpoints.write_offsets()
    for write in late:
        write()
    assert read_offsets(disk, f"/data/{RECOVERY_POINT_CHECKPOINT}") == {}


def test_a_log_that_is_made_again_has_not_the_high_watermark_of_the_one_before() -> None:
    log_dir = start(new_disk())
    log_dir.open_log("t", 0, PAIRS, now_ms=NOW_MS)
    log_dir.checkpoints.note_high_watermark("t", 0, 7)
    log_dir.delete_log("t", 0, NOW_MS)
    log_dir.open_log("t", 0, PAIRS, now_ms=NOW_MS)
    assert log_dir.checkpoints.high_watermark("t", 0) == 0
