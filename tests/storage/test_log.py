from __future__ import annotations

import errno
import struct
from dataclasses import replace
from functools import partial
from random import Random
from typing import TYPE_CHECKING

import pytest

from kbroker.storage import names
from kbroker.storage.batch import (
    BatchHeader,
    ControlType,
    control_key,
    end_transaction_value,
    records,
    set_base_offset,
)
from kbroker.storage.builder import NewRecord, build_batch
from kbroker.storage.closing import close, release_descriptors
from kbroker.storage.compression import Codec
from kbroker.storage.errors import (
    CorruptBatch,
    DiskError,
    DiskFull,
    InvalidRecord,
    OffsetOutOfRange,
    OutOfDescriptors,
    OutOfOrderSequence,
    RecordBatchTooLarge,
    RecordTooLarge,
)
from kbroker.storage.flush import flush
from kbroker.storage.leader_epochs import EpochEndOffset
from kbroker.storage.log_reader import aborted_transactions
from kbroker.storage.origin import Origin
from kbroker.storage.retention import delete_old_segments
from kbroker.storage.truncation import (
    increment_log_start_offset,
)
from kbroker.storage.txn_index import AbortedTransaction
from tests.sim.disk import SimFile
from tests.storage.logs import (
    DIRECTORY,
    NOW_MS,
    SMALL,
    append,
    assigned,
    base_offsets,
    batch_of,
    check_whole,
    fill,
    new_disk,
    offsets,
    open_at,
    replicate,
)

if TYPE_CHECKING:
    from kbroker.storage.log_config import LogConfig

ONE = len(batch_of())


# Appending.


def test_an_append_assigns_offsets_and_epoch_in_place() -> None:
    log = open_at(new_disk())
    first = append(log, 3, leader_epoch=4)
    second = append(log, 2, leader_epoch=5)
    assert (first.first_offset, first.last_offset) == (0, 2)
    assert (second.first_offset, second.last_offset) == (3, 4)
    assert log.log_end_offset == 5
    headers = [BatchHeader(batch) for batch in log.batches(0)]
    assert [(h.base_offset, h.leader_epoch, h.last_offset) for h in headers] == [
        (0, 4, 2),
        (3, 5, 4),
    ]
    assert log.last_append_bytes == len(batch_of(2))
    assert log.size == len(batch_of(3)) + len(batch_of(2))


def test_a_read_only_batch_is_copied() -> None:
    log = open_at(new_disk())
    append(log)
    batch = bytes(batch_of())
    info = log.append(memoryview(batch), leader_epoch=0, now_ms=NOW_MS)
    assert info.first_offset == 1
    assert BatchHeader(batch).base_offset == 0


def test_log_append_time_is_stamped_and_told() -> None:
    log = open_at(new_disk(), replace(SMALL, message_timestamp_type="LogAppendTime"))
    info = append(log, 2, now_ms=NOW_MS + 5, timestamp=7)
    assert info.append_time_ms == NOW_MS + 5
    (batch,) = log.batches(0)
    assert {record.timestamp for record in records(batch)} == {NOW_MS + 5}
    assert append(open_at(new_disk())).append_time_ms == -1


def test_the_topics_codec_is_applied() -> None:
    log = open_at(new_disk(), replace(SMALL, compression_type="gzip"))
    append(log, 3)
    (batch,) = log.batches(0)
    assert BatchHeader(batch).codec is Codec.GZIP
    assert len(list(records(batch))) == 3


@pytest.mark.parametrize(
    ("config", "error"),
    [
        (replace(SMALL, max_message_bytes=ONE - 1), RecordTooLarge),
        (replace(SMALL, segment_bytes=ONE - 1), RecordBatchTooLarge),
    ],
)
def test_what_is_too_large_is_refused(config: LogConfig, error: type[Exception]) -> None:
    log = open_at(new_disk(), config)
    with pytest.raises(error):
        append(log)
    assert log.log_end_offset == log.size == 0


def test_a_corrupt_batch_is_refused_and_leaves_no_trace() -> None:
    log = open_at(new_disk())
    batch = batch_of()
    batch[-1] ^= 1
    with pytest.raises(CorruptBatch):
        log.append(batch, leader_epoch=9, now_ms=NOW_MS)
    assert log.log_end_offset == log.size == 0
    assert log.epochs.latest_epoch is None


def test_a_repeated_sequence_is_answered_with_its_first_offsets() -> None:
    log = open_at(new_disk())
    for sequence in range(0, 12, 2):
        append(log, 2, producer_id=7, sequence=sequence)
    size = log.size
    info = append(log, 2, producer_id=7, sequence=2)
    assert (info.duplicate, info.first_offset, info.last_offset) == (True, 2, 3)
    assert (log.log_end_offset, log.size) == (12, size)
    # Only five batches are remembered.
    with pytest.raises(OutOfOrderSequence):
        append(log, 2, producer_id=7, sequence=0)
    with pytest.raises(OutOfOrderSequence):
        append(log, 2, producer_id=7, sequence=50)


def test_a_coordinator_appends_without_the_clients_rules() -> None:
    log = open_at(new_disk())
    batch = batch_of(2, base_offset=99)
    log.append(batch, leader_epoch=0, now_ms=NOW_MS, origin=Origin.COORDINATOR)
    assert log.log_end_offset == 2
    with pytest.raises(InvalidRecord):
        log.append(batch_of(base_offset=99), leader_epoch=0, now_ms=NOW_MS)


# Rolling.


def test_a_segment_rolls_before_it_gets_too_large() -> None:
    log = open_at(new_disk(), replace(SMALL, segment_bytes=3 * ONE))
    rolled = [append(log).rolled for _ in range(7)]
    assert rolled == [False, False, False, True, False, False, True]
    assert base_offsets(log) == [0, 3, 6]
    assert [segment.size for segment in log.segments] == [3 * ONE, 3 * ONE, ONE]


def test_a_segment_rolls_by_the_records_time_less_its_jitter() -> None:
    config = replace(SMALL, segment_bytes=100_000, segment_ms=1000)
    log = open_at(new_disk(), config)
    append(log, timestamp=NOW_MS)
    append(log, timestamp=NOW_MS + 1000)
    append(log, timestamp=NOW_MS + 1001)
    assert base_offsets(log) == [0, 2]
    jittery = open_at(new_disk(), replace(config, segment_jitter_ms=900))
    jitter_ms = jittery.segments.active.roll_jitter_ms
    assert 0 < jitter_ms < 900
    append(jittery, timestamp=NOW_MS)
    append(jittery, timestamp=NOW_MS + 1001 - jitter_ms)
    assert base_offsets(jittery) == [0, 1]


def test_a_segment_rolls_when_offsets_no_longer_fit_its_index() -> None:
    log = open_at(new_disk(), replace(SMALL, segment_bytes=100_000))
    far = (1 << 31) - 1
    replicate(log, assigned((0, 1, 0)))
    replicate(log, assigned((far, 1, 0)))
    assert base_offsets(log) == [0]
    replicate(log, assigned((far + 1, 1, 0)))
    assert base_offsets(log) == [0, far + 1]


def test_a_segment_rolls_when_an_index_is_full() -> None:
    config = replace(
        SMALL, segment_bytes=100_000, index_interval_bytes=0, segment_index_bytes=5 * 12
    )
    log = open_at(new_disk(), config)
    for i in range(20):
        append(log, timestamp=NOW_MS + i)
    assert len(base_offsets(log)) > 2
    for i in range(20):
        assert offsets(log.read(i, 1)) == [i]


def test_an_empty_segment_does_not_roll() -> None:
    log = open_at(new_disk())
    assert not log.roll(NOW_MS)
    append(log)
    assert log.roll(NOW_MS)
    assert not log.roll(NOW_MS)
    assert base_offsets(log) == [0, 1]


def test_a_roll_takes_a_producer_snapshot() -> None:
    disk = new_disk()
    log = open_at(disk)
    append(log, producer_id=7, sequence=0)
    log.roll(NOW_MS)
    assert disk.exists(f"{DIRECTORY}/{names.file_name(1, names.SNAPSHOT)}")


# Reading.


def test_an_offset_within_a_batch_gets_the_whole_batch() -> None:
    log = open_at(new_disk())
    fill(log, 4, count=5)
    assert offsets(log.read(7, 10_000))[0] == 5


def test_reading_goes_on_to_the_next_segment() -> None:
    log = open_at(new_disk(), replace(SMALL, segment_bytes=2 * ONE))
    fill(log, 5)
    assert [offsets(log.read(offset, 10_000)) for offset in range(6)] == [
        [0, 1],
        [1],
        [2, 3],
        [3],
        [4],
        [],
    ]


@pytest.mark.parametrize("offset", [-1, 4, 11])
def test_offsets_outside_of_the_log_are_refused(offset: int) -> None:
    log = open_at(new_disk())
    fill(log, 10)
    increment_log_start_offset(log, 5)
    with pytest.raises(OffsetOutOfRange) as raised:
        log.read(offset, 1000)
    assert (raised.value.log_start_offset, raised.value.log_end_offset) == (5, 10)
    assert log.read(10, 1000).records is None
    assert offsets(log.read(5, 1))[0] == 5


@pytest.mark.parametrize(
    ("max_bytes", "min_one", "size"),
    [
        (0, False, 0),
        (ONE - 1, False, 0),
        (0, True, ONE),
        (ONE - 1, True, ONE),
        (ONE, False, ONE),
        (2 * ONE + 10, True, 2 * ONE + 10),
        (100 * ONE, True, 4 * ONE),
    ],
)
def test_the_first_batch_comes_whole_or_not_at_all(
    max_bytes: int, min_one: bool, size: int
) -> None:
    log = open_at(new_disk())
    fill(log, 4)
    found = log.read(0, max_bytes, min_one=min_one).records
    assert (0 if found is None else len(found)) == size


def test_nothing_is_read_at_or_above_the_end_offset() -> None:
    log = open_at(new_disk(), replace(SMALL, segment_bytes=4 * len(batch_of(2))))
    fill(log, 10, count=2)
    for end_offset in range(0, 21, 2):
        for offset in range(end_offset):
            found = offsets(log.read(offset, 10_000, end_offset=end_offset))
            assert found[0] == offset // 2 * 2
            assert found[-1] + 2 <= end_offset
        assert log.read(end_offset, 10_000, end_offset=end_offset).records is None
    # An end within a batch leaves that batch out.
    assert offsets(log.read(0, 10_000, end_offset=5)) == [0, 2]
    assert log.read(4, 10_000, end_offset=5).records is None
    assert log.read(8, 10_000, end_offset=3).records is None


def test_what_was_read_outlives_the_segment() -> None:
    disk = new_disk()
    log = open_at(disk, replace(SMALL, segment_bytes=2 * ONE, retention_ms=1))
    fill(log, 5)
    found = log.read(0, 10_000)
    assert delete_old_segments(log, NOW_MS + 100_000) == 3
    for deletion in log.directory.deletions.take_expired(NOW_MS + 10_000_000):
        deletion.run(disk)
    assert offsets(found) == [0, 1]


def test_batches_come_in_order_between_two_offsets() -> None:
    log = open_at(new_disk())
    fill(log, 20, count=3)
    found = [BatchHeader(batch).base_offset for batch in log.batches(10, 40)]
    assert found == list(range(9, 39, 3))
    assert list(log.batches(60)) == []


# Epochs.


def test_each_epoch_ends_where_the_next_begins() -> None:
    log = open_at(new_disk())
    for epoch in (1, 1, 3, 7):
        append(log, 2, leader_epoch=epoch)
    assert log.epochs.end_offset_for(1, log.log_end_offset) == EpochEndOffset(1, 4)
    assert log.epochs.end_offset_for(2, log.log_end_offset) == EpochEndOffset(1, 4)
    assert log.epochs.end_offset_for(7, log.log_end_offset) == EpochEndOffset(7, 8)
    assert log.epochs.end_offset_for(8, log.log_end_offset) == EpochEndOffset(-1, -1)
    log.assign_epoch(9)
    assert log.epochs.end_offset_for(9, log.log_end_offset) == EpochEndOffset(9, 8)
    assert log.epochs.epoch_for_offset(5) == 3


# Shortages.


@pytest.mark.parametrize("operation", ["append", "write_at", "create", "truncate"])
@pytest.mark.parametrize("after", range(12))
def test_a_full_disk_refuses_appends_until_there_is_room_again(operation: str, after: int) -> None:
    """Be it the batch, an index entry, a new segment or a producer snapshot that has no room."""
    disk = new_disk()
    config = replace(SMALL, segment_bytes=3 * ONE + 10, index_interval_bytes=1)
    log = open_at(disk, config)
    for i in range(after):
        append(log, producer_id=7, sequence=i)
    disk.fail_next(operation, errno.ENOSPC, "/t-0/")
    refused = 0
    for i in range(after, after + 8):
        try:
            append(log, producer_id=7, sequence=i)
        except DiskFull:
            refused += 1
            assert not log.is_offline
            assert i == 0 or offsets(log.read(i - 1, 10_000)) == [i - 1]
            append(log, producer_id=7, sequence=i)
    assert refused <= 1
    flush(log)
    check_whole(log, after + 8)
    disk.power_loss(Random(after))
    check_whole(open_at(disk, config), after + 8)


def test_a_log_on_a_full_disk_gives_up_its_old_segments() -> None:
    disk = new_disk()
    log = open_at(disk, replace(SMALL, segment_bytes=2 * ONE, retention_bytes=2 * ONE))
    fill(log, 9)
    disk.fail_next("append", errno.ENOSPC, "leader-epoch-checkpoint")
    try:
        delete_old_segments(log, NOW_MS)
    except DiskFull:
        delete_old_segments(log, NOW_MS)
    assert not log.is_offline
    assert log.log_start_offset == 6
    assert len(log.segments) == 2


@pytest.mark.parametrize("operation", ["open", "create"])
@pytest.mark.parametrize("after", range(8))
def test_a_log_without_descriptors_waits_for_some(operation: str, after: int) -> None:
    disk = new_disk()
    config = replace(SMALL, segment_bytes=3 * ONE + 10, index_interval_bytes=1)
    log = open_at(disk, config)
    for i in range(after):
        append(log, producer_id=7, sequence=i)
    for i in range(after, after + 8):
        for use in (partial(append, log, producer_id=7, sequence=i), partial(log.read, i, 1)):
            release_descriptors(log)
            disk.fail_next(operation, errno.EMFILE, "/t-0/")
            try:
                use()
            except OutOfDescriptors:
                assert not log.is_offline
                use()
            disk.forget_failures()
    flush(log)
    check_whole(log, after + 8)
    disk.power_loss(Random(after))
    check_whole(open_at(disk, config), after + 8)


# Transactions.


def test_an_aborted_transaction_is_unstable_then_indexed() -> None:
    disk = new_disk()
    log = open_at(disk)
    append(log)
    batch = batch_of(2, producer_id=7, sequence=0, is_transactional=True)
    log.append(batch, leader_epoch=0, now_ms=NOW_MS)
    assert log.first_unstable_offset(3) == 1
    marker = build_batch(
        [NewRecord(NOW_MS, control_key(ControlType.ABORT), end_transaction_value(3))],
        producer_id=7,
        producer_epoch=0,
        is_control=True,
        is_transactional=True,
    )
    log.append(memoryview(marker), leader_epoch=0, now_ms=NOW_MS, origin=Origin.COORDINATOR)
    assert log.first_unstable_offset(3) == 1
    assert log.first_unstable_offset(4) is None
    aborted = AbortedTransaction(7, 1, 3, 4)
    fetched = log.read(0, 10_000)
    assert aborted_transactions(log.segments, 0, fetched, 4) == [aborted]
    path = f"{DIRECTORY}/{names.file_name(0, names.TXN_INDEX)}"
    assert disk.read_file(path) == struct.pack(">hqqqq", 0, *aborted)
    # After a crash the index follows from the markers.
    close(log)
    disk.unlink(path)
    assert aborted_transactions(open_at(disk).segments, 0, fetched, 4) == [aborted]


def test_a_disk_that_is_full_in_the_middle_of_an_append_takes_the_log_offline() -> None:
    """What is in the log already must not get its offsets twice."""
    disk = new_disk()
    log = open_at(disk)
    batch = batch_of(2, producer_id=7, sequence=0, is_transactional=True)
    log.append(batch, leader_epoch=0, now_ms=NOW_MS)
    marker = build_batch(
        [NewRecord(NOW_MS, control_key(ControlType.ABORT), end_transaction_value(3))],
        producer_id=7,
        producer_epoch=0,
        is_control=True,
        is_transactional=True,
    )
    disk.fail_next("append", errno.ENOSPC, names.TXN_INDEX)
    with pytest.raises(DiskFull):
        log.append(memoryview(marker), leader_epoch=0, now_ms=NOW_MS, origin=Origin.COORDINATOR)
    assert log.is_offline
    assert open_at(disk).log_end_offset == 3


def test_a_transaction_that_begins_within_what_was_read_is_among_the_aborted() -> None:
    log = open_at(new_disk(), replace(SMALL, segment_bytes=100_000, index_interval_bytes=1))
    fill(log, 10)
    batch = batch_of(2, producer_id=7, sequence=0, is_transactional=True)
    log.append(batch, leader_epoch=0, now_ms=NOW_MS)
    marker = build_batch(
        [NewRecord(NOW_MS, control_key(ControlType.ABORT), end_transaction_value(3))],
        producer_id=7,
        producer_epoch=0,
        is_control=True,
        is_transactional=True,
    )
    log.append(memoryview(marker), leader_epoch=0, now_ms=NOW_MS, origin=Origin.COORDINATOR)
    fill(log, 10)
    aborted = AbortedTransaction(7, 10, 12, 13)
    for start, size, expected in (
        (9, 2 * ONE, [aborted]),
        (5, ONE, []),
        (12, ONE, [aborted]),
        (13, ONE, []),
        (2, 12 * ONE, [aborted]),
    ):
        fetched = log.read(start, size)
        assert aborted_transactions(log.segments, start, fetched, 23) == expected, start


# Settings and the unexpected.


def test_a_config_counts_from_the_next_append_on() -> None:
    log = open_at(new_disk(), replace(SMALL, segment_bytes=100_000))
    fill(log, 4)
    log.update_config(replace(SMALL, segment_bytes=2 * ONE))
    fill(log, 4)
    assert base_offsets(log) == [0, 4, 6]


def test_a_topic_id_is_safe_with_the_next_flush() -> None:
    disk = new_disk()
    log = open_at(disk)
    flush(log)
    log.directory.assign_topic_id(bytes(range(16)))
    flush(log)
    for seed in range(20):
        disk.power_loss(Random(seed))
        assert open_at(disk).directory.topic_id == bytes(range(16))


def test_a_topic_id_is_written_once() -> None:
    log = open_at(new_disk())
    assert log.directory.topic_id is None
    log.directory.assign_topic_id(bytes(range(16)))
    log.directory.assign_topic_id(bytes(range(16)))
    assert log.directory.topic_id == bytes(range(16))
    with pytest.raises(AssertionError):
        log.directory.assign_topic_id(bytes(range(1, 17)))


def test_set_base_offset_is_outside_of_the_crc() -> None:
    batch = batch_of()
    set_base_offset(batch, 12345)
    log = open_at(new_disk())
    replicate(log, batch)
    assert log.log_end_offset == 12346


@pytest.mark.parametrize("is_written", [False, True])
def test_an_append_that_ends_in_the_unexpected_takes_the_log_offline(
    monkeypatch: pytest.MonkeyPatch, is_written: bool
) -> None:
    """Or the next batch would lie behind one that nobody knows of, at the same offset."""
    disk = new_disk()
    log = open_at(disk)
    append(log)
    write = SimFile.append

    def write_and_fail(file: SimFile, chunk: bytes) -> int:
        if is_written:
            write(file, chunk)
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(SimFile, "append", write_and_fail)
        with pytest.raises(MemoryError):
            append(log)
    assert log.is_offline
    with pytest.raises(DiskError):
        append(log)
    again = open_at(disk)
    append(again)
    expected = [0, 1, 2] if is_written else [0, 1]
    assert [BatchHeader(batch).base_offset for batch in again.batches(0)] == expected
