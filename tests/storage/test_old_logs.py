"""Logs with batches of formats 0 and 1: recovered, served, searched, retained, cut as any other."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from kbroker.storage import formats, names
from kbroker.storage.assigned_batches import append_assigned
from kbroker.storage.checkpoints import LEADER_EPOCH_CHECKPOINT, write_leader_epochs
from kbroker.storage.closing import close
from kbroker.storage.compression import Codec
from kbroker.storage.errors import UnexpectedAppendOffset
from kbroker.storage.origin import Origin
from kbroker.storage.retention import delete_old_segments
from kbroker.storage.timestamp_search import offset_for_timestamp, offset_of_max_timestamp
from kbroker.storage.truncation import (
    increment_log_start_offset,
    truncate_fully_and_start_at,
    truncate_to,
)
from tests.storage.logs import DIRECTORY, NOW_MS, SMALL, append, base_offsets, new_disk, open_at
from tests.storage.old_batches import OldRecord, old_message
from tests.storage.old_segments import (
    BATCHES,
    END,
    RECORDS,
    SEGMENTS,
    STAMP,
    OldBatch,
    OldSegment,
    old_segments,
)

if TYPE_CHECKING:
    from kbroker.storage.log import Log
    from kbroker.storage.record import Record
    from tests.sim.disk import SimDisk

FOREVER = replace(SMALL, retention_ms=-1)
INDEXES = (names.OFFSET_INDEX, names.TIME_INDEX)


def log_path(base_offset: int) -> str:
    return f"{DIRECTORY}/{names.file_name(base_offset, names.LOG)}"


def lay_out(segments: list[OldSegment], *, modified_ms: int = NOW_MS) -> SimDisk:
    disk = new_disk()
    disk.make_dir(DIRECTORY)
    disk.now_ms = modified_ms
    for segment in segments:
        disk.open(log_path(segment.base_offset), create=True).append(segment.content)
    disk.now_ms = NOW_MS
    return disk


def as_left(state: str, segments: list[OldSegment] = SEGMENTS) -> tuple[SimDisk, Log]:
    """The log after a clean stop or another, with its indexes or without."""
    disk = lay_out(segments)
    end = segments[-1].batches[-1].last_offset + 1
    if "with indexes" in state:
        close(open_at(disk, FOREVER))
    return disk, open_at(disk, FOREVER, clean="unclean" not in state, recovery_point=end)


STATES = [
    f"{stop}, {indexes}"
    for stop in ("clean", "unclean")
    for indexes in ("with indexes", "without indexes")
]


def records_of(log: Log, from_offset: int = 0) -> list[OldRecord]:
    def as_old(record: Record) -> OldRecord:
        return OldRecord(record.offset, record.timestamp, record.key, record.value)

    return [as_old(one) for batch in log.batches(from_offset) for one in formats.records(batch)]


@pytest.mark.parametrize("state", STATES)
def test_every_record_is_there_and_no_file_has_changed(state: str) -> None:
    disk, log = as_left(state)
    assert (log.log_start_offset, log.log_end_offset) == (0, END)
    assert records_of(log) == RECORDS
    assert append(log, leader_epoch=4).first_offset == END
    assert records_of(log)[:-1] == RECORDS
    for segment in SEGMENTS[:-1]:
        assert disk.read_file(log_path(segment.base_offset)) == segment.content


@pytest.mark.parametrize("state", STATES)
def test_a_read_begins_with_the_batch_that_holds_the_offset(state: str) -> None:
    _, log = as_left(state)
    for batch in BATCHES:
        for offset in range(batch.first_offset, batch.last_offset + 1):
            found = log.read(offset, 1).records
            assert found is not None
            assert found.read() == batch.content
    assert log.read(END, 1000).records is None


@pytest.mark.parametrize("state", STATES)
def test_a_recovery_from_any_point_keeps_all(state: str) -> None:
    for recovery_point in (0, 16, 17, 30, 49, 60, END):
        disk, _ = as_left(state)
        log = open_at(disk, FOREVER, recovery_point=recovery_point)
        assert records_of(log) == RECORDS, recovery_point


@pytest.mark.parametrize("count", range(1, len(BATCHES)))
def test_a_log_may_end_with_any_of_them(count: int) -> None:
    """In its one segment, whose last batch may be the smallest that there is."""
    segment = OldSegment(0, BATCHES[:count])
    for state in STATES:
        _, log = as_left(state, [segment])
        assert log.log_end_offset == segment.batches[-1].last_offset + 1, state
        last = log.read(log.log_end_offset - 1, 1).records
        assert last is not None
        assert last.read() == segment.batches[-1].content


@pytest.mark.parametrize("kind", INDEXES)
def test_indexes_are_rebuilt_as_apache_kafka_builds_them(kind: str) -> None:
    """LogSegment.recover: an entry where more than the interval has passed since the last one."""
    disk = lay_out(SEGMENTS)
    close(open_at(disk, FOREVER))
    for segment in SEGMENTS:
        offsets, times = b"", b""
        position = since = 0
        newest, newest_offset, last_stamp = -1, segment.base_offset, -1
        for batch in segment.batches:
            if batch.max_timestamp > newest:
                newest, newest_offset = batch.max_timestamp, batch.last_offset
            if position - since > FOREVER.index_interval_bytes:
                offsets += (batch.last_offset - segment.base_offset).to_bytes(4, "big")
                offsets += position.to_bytes(4, "big")
                if newest > last_stamp:
                    times += newest.to_bytes(8, "big")
                    times += (newest_offset - segment.base_offset).to_bytes(4, "big")
                    last_stamp = newest
                since = position
            position += len(batch.content)
        if newest > last_stamp:
            times += newest.to_bytes(8, "big")
            times += (newest_offset - segment.base_offset).to_bytes(4, "big")
        expected = {names.OFFSET_INDEX: offsets, names.TIME_INDEX: times}[kind]
        assert expected or segment.base_offset == 0
        found = disk.read_file(f"{DIRECTORY}/{names.file_name(segment.base_offset, kind)}")
        assert found == expected


@pytest.mark.parametrize("state", STATES)
def test_a_segment_without_timestamps_is_as_new_as_its_file(state: str) -> None:
    """Apache Kafka looks for a time in the first segment that is new enough, and in no other."""
    _, log = as_left(state)
    assert offset_for_timestamp(log, STAMP + 170) is None
    assert offset_for_timestamp(log, NOW_MS + 1) is None
    disk = lay_out(SEGMENTS, modified_ms=5000)
    log = open_at(disk, FOREVER, clean="unclean" not in state, recovery_point=END)
    assert offset_for_timestamp(log, 5000) is None
    stamps = [record.timestamp for record in RECORDS if record.timestamp > 0]
    for stamp in [5001, *stamps, *(stamp - 3 for stamp in stamps), *(s + 1 for s in stamps)]:
        found = offset_for_timestamp(log, stamp)
        wanted = next((r for r in RECORDS if r.timestamp >= stamp), None)
        if wanted is None:
            assert found is None
        else:
            assert found is not None
            assert (found.offset, found.timestamp) == (wanted.offset, wanted.timestamp)
            assert found.leader_epoch == (3 if _holder(wanted.offset).content[16] == 2 else -1)


def _holder(offset: int) -> OldBatch:
    return next(batch for batch in BATCHES if batch.last_offset >= offset)


def test_a_segment_below_the_log_start_is_looked_into_while_it_is_there() -> None:
    """As Apache Kafka does: it is new enough, and nothing in it is to be read."""
    _, log = as_left("clean, with indexes")
    increment_log_start_offset(log, 17)
    assert offset_for_timestamp(log, STAMP + 170) is None
    log.update_config(replace(SMALL, retention_ms=-1))
    assert delete_old_segments(log, NOW_MS) == 1
    assert offset_for_timestamp(log, STAMP + 170) == (17, STAMP + 170, -1)


def test_an_index_that_ends_with_the_smallest_batch_is_sound() -> None:
    disk = lay_out(SEGMENTS[:1])
    config = replace(FOREVER, index_interval_bytes=0)
    close(open_at(disk, config))
    disk.fail_next("truncate", path_part=names.OFFSET_INDEX)  # as a rebuilding would
    log = open_at(disk, config, clean=True, recovery_point=17)
    found = log.read(16, 1).records
    assert found is not None
    assert found.read() == SEGMENTS[0].batches[-1].content


@pytest.mark.parametrize(
    ("segments", "expected"),
    [
        (SEGMENTS, (83, STAMP + 830, 3)),
        (SEGMENTS[:3], (71, STAMP + 710, -1)),
        (SEGMENTS[:2], (49 - 4, STAMP + 455, -1)),
        (SEGMENTS[:1], None),
    ],
)
def test_the_largest_timestamp_is_found(
    segments: list[OldSegment], expected: tuple[int, int, int] | None
) -> None:
    for state in STATES:
        _, log = as_left(state, segments)
        assert offset_of_max_timestamp(log) == expected, state


def test_retention_goes_by_the_files_time_where_there_are_no_timestamps() -> None:
    disk = lay_out(SEGMENTS, modified_ms=NOW_MS - 10_000)
    open_at(disk, replace(FOREVER, preallocate=True))  # which has nothing to give back here
    log = open_at(disk, replace(SMALL, retention_ms=10_000), recovery_point=END)
    assert delete_old_segments(log, NOW_MS) == 0
    assert delete_old_segments(log, NOW_MS + 1) == 4
    assert log.log_start_offset == END


def test_retention_goes_by_timestamps_where_there_are_some() -> None:
    for _, log in map(as_left, STATES):
        log.update_config(replace(SMALL, retention_ms=1_000_000 - 496))
        assert delete_old_segments(log, NOW_MS) == 0  # the first is as new as its file
        increment_log_start_offset(log, 17)
        assert delete_old_segments(log, NOW_MS) == 2
        assert base_offsets(log) == [50, 72]


def test_retention_by_size() -> None:
    _, log = as_left("clean, without indexes")
    kept = sum(len(segment.content) for segment in SEGMENTS[2:])
    log.update_config(replace(SMALL, retention_ms=-1, retention_bytes=kept))
    assert delete_old_segments(log, NOW_MS) == 2
    assert base_offsets(log) == [50, 72]


@pytest.mark.parametrize("offset", range(END))
def test_a_log_is_cut_where_a_batch_begins(offset: int) -> None:
    held = _holder(offset)
    disk, log = as_left(STATES[offset % len(STATES)])
    assert truncate_to(log, offset, NOW_MS)
    assert log.log_end_offset == held.first_offset
    assert records_of(log) == [r for r in RECORDS if r.offset < held.first_offset]
    close(log)
    again = open_at(disk, FOREVER, recovery_point=0)
    assert again.log_end_offset == held.first_offset


def test_what_cannot_be_read_within_is_copied_and_cut() -> None:
    broken = old_message(1, OldRecord(9, 5, None, b"no gzip"), Codec.GZIP)
    copy = open_at(new_disk(), FOREVER)
    append_assigned(
        copy, memoryview(broken), leader_epoch=-1, now_ms=NOW_MS, origin=Origin.REPLICATION
    )
    assert (copy.log_end_offset, [bytes(batch) for batch in copy.batches(0)]) == (10, [broken])
    segment = OldSegment(0, [OldBatch(5, 9, broken, [], 5)])
    _, log = as_left("clean, without indexes", [segment])
    assert truncate_to(log, 7, NOW_MS)
    assert (log.size, log.log_end_offset) == (0, 7)


@pytest.mark.parametrize("offset", [2, 6, 16, 22, 37, 59, 62, 70])
def test_records_are_deleted_within_a_batch(offset: int) -> None:
    for state in STATES:
        disk, log = as_left(state)
        assert increment_log_start_offset(log, offset)
        found = log.read(offset, 1).records
        assert found is not None
        assert found.read() == _holder(offset).content
        close(log)
        log = open_at(disk, FOREVER, clean=True, recovery_point=END, log_start_offset=offset)
        assert log.log_start_offset == offset
        expected = [r for r in RECORDS if r.offset >= _holder(offset).first_offset]
        assert records_of(log, offset) == expected


@pytest.mark.parametrize("step", [1, 3, len(BATCHES)])
def test_a_copy_has_the_same_batches(step: int) -> None:
    """As between log directories: batches come with their offsets."""
    disk = new_disk()
    copy = open_at(disk, FOREVER)
    for start in range(0, len(BATCHES), step):
        content = b"".join(batch.content for batch in BATCHES[start : start + step])
        if len(content) > FOREVER.segment_bytes:
            copy.update_config(replace(FOREVER, segment_bytes=len(content)))
        append_assigned(
            copy, memoryview(content), leader_epoch=-1, now_ms=NOW_MS, origin=Origin.REPLICATION
        )
    assert records_of(copy) == RECORDS
    for segment in copy.segments:
        _, first = next(segment.batches(0))
        assert segment.base_offset <= formats.first_offset(first)
    assert b"".join(bytes(batch) for batch in copy.batches(0)) == b"".join(
        batch.content for batch in BATCHES
    )
    close(copy)
    assert open_at(disk, FOREVER).log_end_offset == END
    for batch in BATCHES:
        found = copy.read(batch.first_offset, 1).records
        assert found is not None
        assert found.read() == batch.content


def test_a_batch_that_begins_below_the_end_of_a_copy_is_refused() -> None:
    copy = open_at(new_disk(), FOREVER)
    truncate_fully_and_start_at(copy, 22, NOW_MS)
    held = _holder(22)
    assert held.first_offset < 22
    with pytest.raises(UnexpectedAppendOffset):
        append_assigned(
            copy,
            memoryview(held.content),
            leader_epoch=-1,
            now_ms=NOW_MS,
            origin=Origin.REPLICATION,
        )


def test_epochs_that_begin_behind_the_old_batches_are_kept() -> None:
    disk = lay_out(SEGMENTS)
    path = f"{DIRECTORY}/{LEADER_EPOCH_CHECKPOINT}"
    write_leader_epochs(disk, path, [(1, 50), (3, 54)])
    assert open_at(disk, FOREVER, recovery_point=END).epochs.entries == [(1, 50), (3, 54)]
    write_leader_epochs(disk, path, [(3, 64)])  # epoch 3 began before
    assert open_at(disk, FOREVER, recovery_point=END).epochs.entries == [(3, 54)]
    disk.unlink(path)
    assert open_at(disk, FOREVER, recovery_point=END).epochs.entries == [(3, 54)]


def damage(segment: int, batch: int) -> tuple[list[OldSegment], int]:
    """The segments with a byte wrong in one of their batches, and what is whole in that one."""
    segments = old_segments()
    found = segments[segment].batches[batch]
    content = found.content[:-1] + bytes([found.content[-1] ^ 1])
    segments[segment].batches[batch] = found._replace(content=content)
    size = sum(len(each.content) for each in segments[segment].batches[:batch])
    return segments, size


@pytest.mark.parametrize(("segment", "batch"), [(0, 1), (0, 5), (1, 0), (1, 7), (2, 1), (2, 6)])
def test_a_damaged_batch_ends_the_log_before_it(segment: int, batch: int) -> None:
    segments, size = damage(segment, batch)
    disk = lay_out(segments)
    log = open_at(disk, FOREVER)
    end = SEGMENTS[segment].batches[batch].first_offset
    assert records_of(log) == [r for r in RECORDS if r.offset < end]
    cut = f"{DIRECTORY}/aside-1-{names.file_name(segments[segment].base_offset, names.LOG)}-{size}"
    assert disk.read_file(cut) == segments[segment].content[size:]
    for behind in segments[segment + 1 :]:
        kept = f"{DIRECTORY}/aside-1-{names.file_name(behind.base_offset, names.LOG)}-0"
        assert disk.read_file(kept) == behind.content
