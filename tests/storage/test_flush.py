from __future__ import annotations

import errno
from dataclasses import replace
from functools import partial
from random import Random

import pytest

from kbroker.storage import names
from kbroker.storage.closing import close
from kbroker.storage.errors import (
    DiskError,
    DiskFull,
    OutOfDescriptors,
)
from kbroker.storage.flush import begin_flush, finish_flush, flush
from kbroker.storage.retention import delete_old_segments
from kbroker.storage.truncation import (
    truncate_fully_and_start_at,
    truncate_to,
)
from tests.storage.logs import (
    DIRECTORY,
    NOW_MS,
    SMALL,
    append,
    batch_of,
    check_whole,
    fill,
    new_disk,
    open_at,
)

ONE = len(batch_of())


def test_a_flush_moves_the_recovery_point_to_where_it_began() -> None:
    log = open_at(new_disk())
    fill(log, 3)
    plan = begin_flush(log)
    fill(log, 2)
    plan.run()
    assert log.recovery_point == 0
    finish_flush(log, plan, NOW_MS + 9)
    assert (log.recovery_point, log.unflushed_records) == (3, 2)
    assert log.last_flush_ms == NOW_MS + 9
    flush(log)
    assert log.unflushed_records == 0


def test_an_active_segment_costs_one_fsync_and_idle_logs_none() -> None:
    disk = new_disk()
    log = open_at(disk)
    append(log)
    flush(log)
    append(log)
    before = len(disk.trace)
    flush(log)
    assert [call.split()[1] for call in disk.trace[before:]] == ["append", "fsync"][1:]
    before = len(disk.trace)
    flush(log)
    assert len(disk.trace) == before


def test_a_rolled_segment_is_synced_with_its_indexes() -> None:
    disk = new_disk()
    log = open_at(disk, replace(SMALL, segment_bytes=2 * ONE))
    fill(log, 3)
    before = len(disk.trace)
    flush(log)
    synced = {call.split()[2].rsplit("/", 1)[1] for call in disk.trace[before:] if "fsync " in call}
    assert {
        names.file_name(0, names.LOG),
        names.file_name(0, names.OFFSET_INDEX),
        names.file_name(0, names.TIME_INDEX),
        names.file_name(2, names.LOG),
        names.file_name(2, names.SNAPSHOT),
    } <= synced


@pytest.mark.parametrize(("recovery_point", "waits"), [(3, False), (4, True), (5, True)])
def test_a_segment_is_synced_before_the_next_one_where_a_recovery_would_begin_behind_it(
    recovery_point: int, waits: bool
) -> None:
    disk = new_disk()
    config = replace(SMALL, segment_bytes=100_000)
    log = open_at(disk, config)
    fill(log, 4)
    close(log)
    path = f"{DIRECTORY}/{names.file_name(0, names.LOG)}"
    disk.open(path).truncate(3 * ONE)
    log = open_at(disk, config, recovery_point=recovery_point)
    append(log)
    disk.trace.clear()
    assert log.roll(NOW_MS)
    calls = [call.split() for call in disk.trace]
    begun = next(index for index, call in enumerate(calls) if "0004." in call[2])
    synced = {path for _, operation, path in calls[:begun] if operation == "fsync"}
    kinds = (names.LOG, names.OFFSET_INDEX, names.TIME_INDEX) if waits else ()
    assert synced == {f"{DIRECTORY}/{names.file_name(0, kind)}" for kind in kinds}


@pytest.mark.parametrize("fully", [False, True])
def test_a_flush_that_began_before_a_truncation_proves_nothing(fully: bool) -> None:
    log = open_at(new_disk())
    fill(log, 5)
    plan = begin_flush(log)
    plan.run()
    if fully:
        truncate_fully_and_start_at(log, 2, NOW_MS)
    else:
        truncate_to(log, 2, NOW_MS)
    fill(log, 5)
    finish_flush(log, plan)
    assert log.recovery_point <= 2


def test_a_failed_fsync_takes_the_log_offline_for_good() -> None:
    disk = new_disk()
    log = open_at(disk)
    append(log)
    plan = begin_flush(log)
    disk.fail_next("fsync", path_part=".log")
    with pytest.raises(DiskError) as raised:
        plan.run()
    log.fail(raised.value)
    assert log.is_offline
    for call in (
        lambda: append(log),
        lambda: log.read(0, 100),
        partial(begin_flush, log),
        lambda: log.batches(0),
        lambda: truncate_to(log, 0, NOW_MS),
        lambda: delete_old_segments(log, NOW_MS),
    ):
        with pytest.raises(DiskError, match="t-0"):
            call()


SHORTAGES = [
    ("append", errno.ENOSPC, "leader-epoch-checkpoint", DiskFull),
    ("create", errno.EMFILE, "leader-epoch-checkpoint", OutOfDescriptors),
    ("open", errno.EMFILE, ".timeindex", OutOfDescriptors),
    ("fsync_dir", errno.EMFILE, "/t-0", OutOfDescriptors),
]


@pytest.mark.parametrize(("operation", "error", "part", "kind"), SHORTAGES)
@pytest.mark.parametrize("seed", range(5))
def test_a_flush_that_found_no_room_owes_all_of_it(
    operation: str, error: int, part: str, kind: type[DiskError], seed: int
) -> None:
    disk = new_disk()
    log = open_at(disk, replace(SMALL, segment_bytes=3 * ONE + 10))
    for i in range(8):
        append(log, producer_id=7, sequence=i)
    disk.fail_next(operation, error, part)
    with pytest.raises(kind):
        flush(log)
    assert not log.is_offline
    assert log.recovery_point == 0
    flush(log)
    assert log.recovery_point == 8
    disk.power_loss(Random(seed))
    check_whole(open_at(disk, log.config, recovery_point=8), 8)


@pytest.mark.parametrize("part", [".log", ".timeindex"])
def test_a_sync_that_finds_no_room_takes_the_log_offline(part: str) -> None:
    disk = new_disk()
    log = open_at(disk, replace(SMALL, segment_bytes=3 * ONE + 10))
    for i in range(8):
        append(log, producer_id=7, sequence=i)
    disk.fail_next("fsync", errno.ENOSPC, part)
    with pytest.raises(DiskError, match="No space left") as caught:
        flush(log)
    assert not isinstance(caught.value, DiskFull)
    assert log.is_offline
