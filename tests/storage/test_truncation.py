from __future__ import annotations

from dataclasses import replace

import pytest

from kbroker.storage import names
from kbroker.storage.batch import (
    BatchHeader,
)
from kbroker.storage.closing import close
from kbroker.storage.errors import (
    OffsetOutOfRange,
)
from kbroker.storage.truncation import (
    increment_log_start_offset,
    truncate_fully_and_start_at,
    truncate_to,
)
from tests.storage.logs import (
    DIRECTORY,
    NOW_MS,
    SMALL,
    append,
    assigned,
    base_offsets,
    batch_of,
    fill,
    new_disk,
    offsets,
    open_at,
    replicate,
)

ONE = len(batch_of())


def test_truncating_drops_records_epochs_and_producers_behind() -> None:
    log = open_at(new_disk(), replace(SMALL, segment_bytes=2 * ONE))
    for i in range(10):
        append(log, producer_id=7, sequence=i, leader_epoch=i // 3)
    assert truncate_to(log, 4, NOW_MS)
    assert log.log_end_offset == 4
    assert log.epochs.entries == [(0, 0), (1, 3)]
    assert log.producers.producers[7].last_sequence == 3
    assert base_offsets(log) == [0, 2, 4]
    append(log, producer_id=7, sequence=4, leader_epoch=9)
    assert [BatchHeader(batch).base_offset for batch in log.batches(0)] == [0, 1, 2, 3, 4]


def test_truncating_to_the_end_or_behind_only_drops_epochs_without_records() -> None:
    log = open_at(new_disk())
    fill(log, 3)
    log.assign_epoch(5)
    assert not truncate_to(log, 3, NOW_MS)
    assert not truncate_to(log, 7, NOW_MS)
    assert log.epochs.entries == [(0, 0)]
    assert log.log_end_offset == 3


@pytest.mark.parametrize("offset", [4, 2, 0])
def test_a_cut_log_enters_itself_for_the_checkpoints(offset: int) -> None:
    log = open_at(new_disk(), replace(SMALL, segment_bytes=2 * ONE))
    fill(log, 3)
    increment_log_start_offset(log, 1)
    fill(log, 2)
    log.checkpoint_queue.clear()
    truncate_to(log, offset, NOW_MS)
    assert log.checkpoint_queue == {log}
    assert (log.log_start_offset, log.log_end_offset) == (min(1, offset), offset)


def test_truncating_below_the_log_starts_it_anew() -> None:
    log = open_at(new_disk())
    replicate(log, assigned((50, 3, 0)))
    truncate_fully_and_start_at(log, 100, NOW_MS)
    assert (log.log_start_offset, log.log_end_offset) == (100, 100)
    append(log)
    assert truncate_to(log, 20, NOW_MS)
    assert (log.log_start_offset, log.log_end_offset) == (20, 20)
    assert base_offsets(log) == [20]


def test_starting_anew_forgets_everything() -> None:
    disk = new_disk()
    log = open_at(disk, replace(SMALL, segment_bytes=2 * ONE))
    for i in range(5):
        append(log, producer_id=7, sequence=i)
    truncate_fully_and_start_at(log, 40, NOW_MS, log_start_offset=30)
    assert (log.log_start_offset, log.log_end_offset, log.recovery_point) == (30, 40, 40)
    assert log.epochs.entries == []
    assert not log.producers.producers
    assert log.read(30, 1000).records is None
    append(log, producer_id=7, sequence=77)
    assert offsets(log.read(30, 1000)) == [40]
    left = [name for name in disk.list_dir(DIRECTORY) if name.endswith(names.LOG)]
    assert left == [names.file_name(40, names.LOG)]


def test_the_log_start_only_moves_forward() -> None:
    log = open_at(new_disk())
    for i in range(6):
        append(log, leader_epoch=i)
    assert increment_log_start_offset(log, 4)
    assert not increment_log_start_offset(log, 4)
    assert not increment_log_start_offset(log, 2)
    assert log.log_start_offset == 4
    assert log.epochs.entries == [(4, 4), (5, 5)]
    with pytest.raises(OffsetOutOfRange):
        increment_log_start_offset(log, 7)


def test_a_log_emptied_to_its_end_has_no_producers_to_save() -> None:
    """As on Apache Kafka: what would be in the snapshot is behind the log start."""
    disk = new_disk()
    log = open_at(disk)
    append(log, producer_id=7, sequence=0)
    append(log, producer_id=7, sequence=1)
    increment_log_start_offset(log, 2)
    close(log)
    assert not any(name.endswith(names.SNAPSHOT) for name in disk.list_dir(DIRECTORY))
