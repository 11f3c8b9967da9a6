from __future__ import annotations

import errno

import pytest

from kbroker.storage import names
from kbroker.storage.assigned_batches import append_assigned
from kbroker.storage.batch import (
    BatchHeader,
    ControlType,
    control_key,
    end_transaction_value,
)
from kbroker.storage.builder import NewRecord, build_batch
from kbroker.storage.errors import (
    CorruptBatch,
    DiskFull,
    InvalidRecord,
    OffsetsOutOfOrder,
    UnexpectedAppendOffset,
)
from kbroker.storage.origin import Origin
from tests.storage.logs import (
    NOW_MS,
    assigned,
    batch_of,
    fill,
    new_disk,
    offsets,
    open_at,
    replicate,
)


def test_a_follower_takes_the_leaders_offsets_gaps_and_epochs() -> None:
    log = open_at(new_disk())
    info = append_assigned(
        log,
        assigned((5, 2, 1), (7, 1, 2), (20, 3, 2), tail=b"x" * 30),
        leader_epoch=-1,
        now_ms=NOW_MS,
        origin=Origin.REPLICATION,
    )
    assert (info.first_offset, info.last_offset) == (5, 22)
    assert log.log_end_offset == 23
    assert log.epochs.entries == [(1, 5), (2, 7)]
    assert [BatchHeader(batch).base_offset for batch in log.batches(0)] == [5, 7, 20]
    assert offsets(log.read(12, 10_000)) == [20]


@pytest.mark.parametrize(
    ("content", "origin", "error"),
    [
        (assigned((1, 1, 3)), Origin.REPLICATION, UnexpectedAppendOffset),
        (assigned((9, 2, 3), (10, 1, 3)), Origin.REPLICATION, OffsetsOutOfOrder),
        (assigned((9, 1, 2)), Origin.RAFT_LEADER, InvalidRecord),
    ],
    ids=["below the end", "overlapping", "of another epoch"],
)
def test_assigned_offsets_must_fit(
    content: memoryview, origin: Origin, error: type[Exception]
) -> None:
    log = open_at(new_disk())
    fill(log, 2)
    with pytest.raises(error):
        replicate(log, content, origin)
    assert log.log_end_offset == 2


def test_a_disk_that_is_full_in_the_middle_of_an_append_takes_the_log_offline() -> None:
    disk = new_disk()
    log = open_at(disk)
    replicate(log, batch_of(2, producer_id=7, sequence=0, is_transactional=True))
    marker = build_batch(
        [NewRecord(NOW_MS, control_key(ControlType.ABORT), end_transaction_value(3))],
        base_offset=2,
        leader_epoch=0,
        producer_id=7,
        producer_epoch=0,
        is_control=True,
        is_transactional=True,
    )
    disk.fail_next("append", errno.ENOSPC, names.TXN_INDEX)
    with pytest.raises(DiskFull):
        replicate(log, memoryview(marker))
    assert log.is_offline
    assert open_at(disk).log_end_offset == 3


def test_a_follower_checks_the_crc() -> None:
    content = bytearray(assigned((0, 1, 0)))
    content[-1] ^= 1
    with pytest.raises(CorruptBatch):
        replicate(open_at(new_disk()), memoryview(content))


def test_no_whole_batch_appends_nothing() -> None:
    log = open_at(new_disk())
    info = append_assigned(
        log, memoryview(b"short"), leader_epoch=0, now_ms=NOW_MS, origin=Origin.REPLICATION
    )
    assert (info.first_offset, info.last_offset) == (0, -1)
