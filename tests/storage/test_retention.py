from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from kbroker import descriptors
from kbroker.storage import names
from kbroker.storage.closing import close
from kbroker.storage.errors import DiskError
from kbroker.storage.os_disk import OsDisk
from kbroker.storage.retention import delete_old_segments
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
    open_at,
)

if TYPE_CHECKING:
    from pathlib import Path

ONE = len(batch_of())
PAIRS = replace(SMALL, segment_bytes=2 * ONE, retention_ms=-1)
ONLY_COMPACT = frozenset(("compact",))


def test_segments_go_whose_largest_timestamp_is_too_old() -> None:
    log = open_at(new_disk(), replace(PAIRS, retention_ms=1000))
    for timestamp in (10, 500, 501, 300, 700, 900, 950):
        append(log, timestamp=timestamp)
    assert delete_old_segments(log, 1500) == 0
    assert delete_old_segments(log, 1501) == 1
    assert log.log_start_offset == 2
    assert delete_old_segments(log, 1502) == 1
    assert base_offsets(log) == [4, 6]
    assert log.epochs.entries == [(0, 4)]


def test_a_timestamp_in_the_future_keeps_its_segment_and_all_behind() -> None:
    log = open_at(new_disk(), replace(PAIRS, retention_ms=1000))
    for timestamp in (1, 1, 10**12, 1, 1, 1):
        append(log, timestamp=timestamp)
    assert delete_old_segments(log, 10**9) == 1
    assert base_offsets(log) == [2, 4]


def test_an_old_active_segment_is_rolled_and_goes() -> None:
    log = open_at(new_disk(), replace(PAIRS, retention_ms=1000))
    append(log, timestamp=1)
    assert delete_old_segments(log, 5000) == 1
    assert base_offsets(log) == [1]
    assert (log.log_start_offset, log.log_end_offset) == (1, 1)
    assert delete_old_segments(log, 10**12) == 0
    assert append(log).first_offset == 1


def test_without_timestamps_the_file_time_counts() -> None:
    disk = new_disk()
    log = open_at(disk, replace(PAIRS, retention_ms=1000))
    append(log, timestamp=-1)
    assert delete_old_segments(log, disk.now_ms + 1000) == 0
    assert delete_old_segments(log, disk.now_ms + 1001) == 1


@pytest.mark.parametrize(
    ("retention_bytes", "left"),
    [
        (-1, [0, 2, 4, 6]),
        (7 * ONE, [0, 2, 4, 6]),
        (6 * ONE, [0, 2, 4, 6]),
        (5 * ONE, [2, 4, 6]),
        (2 * ONE, [4, 6]),
        (ONE, [6]),
        (0, [7]),
    ],
)
def test_the_oldest_segments_go_while_the_rest_is_large_enough(
    retention_bytes: int, left: list[int]
) -> None:
    log = open_at(new_disk(), replace(PAIRS, retention_bytes=retention_bytes))
    fill(log, 7)
    delete_old_segments(log, NOW_MS)
    assert base_offsets(log) == left


def test_nothing_at_or_above_the_high_watermark_goes() -> None:
    log = open_at(new_disk(), replace(PAIRS, retention_ms=1000))
    for _ in range(6):
        append(log, timestamp=1)
    assert delete_old_segments(log, 10**9, high_watermark=3) == 1
    assert delete_old_segments(log, 10**9, high_watermark=4) == 1
    assert base_offsets(log) == [4]
    assert delete_old_segments(log, 10**9, high_watermark=5) == 0


@pytest.mark.parametrize("policy", [frozenset(("delete",)), ONLY_COMPACT])
def test_segments_below_the_log_start_go_whatever_the_policy(policy: frozenset[str]) -> None:
    log = open_at(new_disk(), replace(PAIRS, cleanup_policy=policy))
    fill(log, 7)
    increment_log_start_offset(log, 5)
    assert delete_old_segments(log, NOW_MS) == 2
    assert base_offsets(log) == [4, 6]
    assert log.log_start_offset == 5


def test_a_compacted_topic_keeps_what_is_old_and_large() -> None:
    config = replace(PAIRS, cleanup_policy=ONLY_COMPACT, retention_ms=1, retention_bytes=1)
    log = open_at(new_disk(), config)
    fill(log, 7)
    assert delete_old_segments(log, NOW_MS + 10**9) == 0


def test_files_are_renamed_at_once_and_unlinked_after_the_delay() -> None:
    disk = new_disk()
    log = open_at(disk, replace(PAIRS, file_delete_delay_ms=500))
    for i in range(5):
        append(log, producer_id=7, sequence=i)
    increment_log_start_offset(log, 4)
    delete_old_segments(log, NOW_MS)
    deleted = [name for name in disk.list_dir(DIRECTORY) if name.endswith(names.DELETED)]
    assert names.file_name(0, names.LOG) + names.DELETED in deleted
    assert names.file_name(2, names.SNAPSHOT) + names.DELETED in deleted
    waiting = log.directory.deletions
    assert waiting.next_due_ms == NOW_MS + 500
    assert waiting.take_expired(NOW_MS + 499) == []
    for deletion in waiting.take_expired(NOW_MS + 500):
        deletion.run(disk)
    assert len(waiting) == 0
    assert not any(name.endswith(names.DELETED) for name in disk.list_dir(DIRECTORY))


def test_a_look_at_an_idle_log_leaves_no_file_open() -> None:
    disk = new_disk()
    log = open_at(disk, PAIRS)
    fill(log, 5)
    close(log)
    log = open_at(
        disk, replace(PAIRS, retention_ms=1000), clean=True, recovery_point=5, now_ms=NOW_MS
    )
    assert delete_old_segments(log, NOW_MS) == 0
    assert not any(segment.is_open for segment in log.segments)
    assert delete_old_segments(log, NOW_MS + 1001) == 3
    assert base_offsets(log) == [5]


def test_a_failing_disk_takes_the_log_offline() -> None:
    disk = new_disk()
    log = open_at(disk, replace(PAIRS, retention_ms=1000))
    fill(log, 5)
    disk.fail_next("rename", path_part=names.LOG)
    with pytest.raises(DiskError):
        delete_old_segments(log, NOW_MS + 1001)
    assert log.is_offline


def test_a_look_at_idle_logs_leaves_no_index_mapped(tmp_path: Path) -> None:
    """A mapping has a descriptor, and there are more logs than a process may have of those."""
    disk = OsDisk()
    paths = [str(tmp_path / f"t-{index}") for index in range(40)]
    for path in paths:
        log = open_at(disk, PAIRS, directory=path)
        fill(log, 3)
        close(log)
    config = replace(PAIRS, retention_ms=1000)
    logs = [
        open_at(disk, config, directory=path, clean=True, recovery_point=3, now_ms=NOW_MS)
        for path in paths
    ]
    before = descriptors.in_use()
    for log in logs:
        assert delete_old_segments(log, NOW_MS) == 0
    with open(os.devnull):  # takes the lowest that is free: what others have now counts
        assert descriptors.in_use() - before < len(logs) / 2
