"""Producers: sequences, epochs, duplicates, expiry, transactions, snapshots, replay."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kbroker.storage.batch import (
    BatchHeader,
    ControlType,
    control_key,
    end_transaction_value,
    increment_sequence,
)
from kbroker.storage.builder import NewRecord, build_batch
from kbroker.storage.errors import (
    CorruptSnapshot,
    InvalidProducerEpoch,
    InvalidRecord,
    InvalidTransactionState,
    OutOfOrderSequence,
    TransactionCoordinatorFenced,
)
from kbroker.storage.origin import Origin
from kbroker.storage.producer_checks import Duplicate, ProducerAppendInfo
from kbroker.storage.producer_snapshot import (
    SnapshotEntry,
    decode_snapshot,
    encode_snapshot,
    snapshot_name,
    snapshot_offset,
)
from kbroker.storage.producer_state import CompletedTransaction, ProducerState
from tests.sim.disk import SimDisk

INT32_MAX = 2**31 - 1
EXPIRATION_MS = 1000


@pytest.fixture
def disk() -> SimDisk:
    disk = SimDisk(Random(1))
    disk.make_dir("/log")
    return disk


@pytest.fixture
def state(disk: SimDisk) -> ProducerState:
    return ProducerState(disk, "/log", expiration_ms=EXPIRATION_MS)


def data_batch(
    sequence: int,
    count: int = 1,
    *,
    producer_id: int = 7,
    epoch: int = 0,
    timestamp: int = 100,
    transactional: bool = False,
) -> bytes:
    return build_batch(
        [NewRecord(timestamp, None, b"v")] * count,
        producer_id=producer_id,
        producer_epoch=epoch,
        base_sequence=sequence,
        is_transactional=transactional,
    )


def marker(
    type_: ControlType = ControlType.COMMIT,
    *,
    producer_id: int = 7,
    epoch: int = 0,
    coordinator_epoch: int = 0,
    timestamp: int = 100,
) -> bytes:
    value = end_transaction_value(coordinator_epoch)
    return build_batch(
        [NewRecord(timestamp, control_key(type_), value)],
        producer_id=producer_id,
        producer_epoch=epoch,
        is_control=True,
        is_transactional=True,
    )


def append(
    state: ProducerState,
    batch: bytes,
    origin: Origin = Origin.CLIENT,
    *,
    transaction_version: int = -1,
) -> Duplicate | CompletedTransaction | None:
    """Append at the end of what the state knows, as a log does."""
    header = BatchHeader(batch)
    prepared = state.check_and_prepare(
        header, origin, batch=memoryview(batch), transaction_version=transaction_version
    )
    if isinstance(prepared, Duplicate):
        return prepared
    completed = state.commit(prepared, state.map_end_offset + header.last_offset_delta)
    if completed is not None:
        state.complete_transaction(completed)
    return completed


def refused(state: ProducerState, batch: bytes, error: type[Exception]) -> None:
    before = state.map_end_offset
    with pytest.raises(error):
        append(state, batch)
    assert state.map_end_offset == before


def test_an_unknown_producer_may_start_anywhere(state: ProducerState) -> None:
    append(state, data_batch(1234, epoch=5))
    append(state, data_batch(1235, epoch=5))
    assert state.map_end_offset == 2


def test_a_gap_is_out_of_order(state: ProducerState) -> None:
    append(state, data_batch(0, 3))
    refused(state, data_batch(4), OutOfOrderSequence)
    refused(state, data_batch(2), OutOfOrderSequence)
    append(state, data_batch(3))


def test_a_duplicate_of_the_last_five_tells_where_it_is(state: ProducerState) -> None:
    for number in range(8):
        append(state, data_batch(number * 2, 2, timestamp=100 + number))
    for number in range(3, 8):
        duplicate = append(state, data_batch(number * 2, 2))
        assert isinstance(duplicate, Duplicate)
        assert (duplicate.first_offset, duplicate.last_offset) == (number * 2, number * 2 + 1)
        assert duplicate.timestamp == 100 + number
    refused(state, data_batch(4, 2), OutOfOrderSequence)
    assert state.map_end_offset == 16


def test_part_of_a_batch_is_no_duplicate(state: ProducerState) -> None:
    append(state, data_batch(0, 4))
    refused(state, data_batch(0, 3), OutOfOrderSequence)
    refused(state, data_batch(1, 3), OutOfOrderSequence)


def test_sequences_wrap(state: ProducerState) -> None:
    append(state, data_batch(INT32_MAX - 1, 4))  # 2^31-2, 2^31-1, 0, 1
    duplicate = append(state, data_batch(INT32_MAX - 1, 4))
    assert isinstance(duplicate, Duplicate)
    assert duplicate.first_offset == 0
    append(state, data_batch(2))


def test_the_last_sequence_may_be_the_largest(state: ProducerState) -> None:
    append(state, data_batch(INT32_MAX))
    refused(state, data_batch(1), OutOfOrderSequence)
    append(state, data_batch(0))


def test_a_new_epoch_starts_at_zero(state: ProducerState) -> None:
    append(state, data_batch(0, 3))
    refused(state, data_batch(3, epoch=1), OutOfOrderSequence)
    append(state, data_batch(0, epoch=1))
    refused(state, data_batch(3), InvalidProducerEpoch)
    assert isinstance(append(state, data_batch(0, epoch=1)), Duplicate)


def test_producers_do_not_mix(state: ProducerState) -> None:
    append(state, data_batch(0, producer_id=1))
    append(state, data_batch(50, producer_id=2))
    append(state, data_batch(1, producer_id=1))
    append(state, data_batch(51, producer_id=2))


def test_a_coordinator_needs_no_sequence_but_the_epoch(state: ProducerState) -> None:
    append(state, data_batch(-1, epoch=1), Origin.COORDINATOR)
    append(state, data_batch(-1, epoch=1), Origin.COORDINATOR)
    with pytest.raises(InvalidProducerEpoch):
        append(state, data_batch(-1, epoch=0), Origin.COORDINATOR)


def test_what_the_leader_sends_is_not_judged(state: ProducerState) -> None:
    state.update(BatchHeader(data_batch(9, epoch=4)))
    state.update(BatchHeader(data_batch(2, epoch=1)))
    assert state.producers[7].producer_epoch == 1


def test_nothing_is_known_before_the_commit(state: ProducerState) -> None:
    header = BatchHeader(data_batch(0))
    first = state.check_and_prepare(header)
    assert not state.producers
    assert isinstance(state.check_and_prepare(header), ProducerAppendInfo)
    assert isinstance(first, ProducerAppendInfo)
    state.commit(first, 0)
    assert isinstance(state.check_and_prepare(header), Duplicate)


def test_silent_producers_expire_and_may_come_back_anywhere(state: ProducerState) -> None:
    append(state, data_batch(0, producer_id=1, timestamp=100))
    append(state, data_batch(0, producer_id=2, timestamp=500))
    assert state.remove_expired(1099) == 0
    assert state.remove_expired(1100) == 1
    assert list(state.producers) == [2]
    append(state, data_batch(77, producer_id=1, timestamp=1100))
    assert state.remove_expired(1499) == 0
    assert state.remove_expired(5000) == 2
    append(state, data_batch(78, producer_id=1, epoch=0, timestamp=1100))


def test_a_producer_with_an_open_transaction_does_not_expire(state: ProducerState) -> None:
    append(state, data_batch(0, transactional=True, timestamp=100))
    append(state, data_batch(0, producer_id=8, timestamp=200))
    assert state.remove_expired(10_000) == 1
    assert list(state.producers) == [7]
    append(state, marker(timestamp=10_000))
    assert state.remove_expired(10_999) == 0
    assert state.remove_expired(11_000) == 1


# Transactions.


def test_a_transaction_is_unstable_until_the_high_watermark_passes_it(
    state: ProducerState,
) -> None:
    append(state, data_batch(0, producer_id=1))
    assert state.first_unstable_offset is None
    append(state, data_batch(0, 2, transactional=True))
    append(state, data_batch(2, 2, transactional=True))
    assert state.first_unstable_offset == state.first_undecided_offset == 1
    completed = append(state, marker(ControlType.ABORT))
    assert completed == CompletedTransaction(7, 1, 5, is_aborted=True)
    assert state.first_undecided_offset is None
    state.on_high_watermark(5)
    assert state.first_unstable_offset == 1
    state.on_high_watermark(6)
    assert state.first_unstable_offset is None


def test_the_last_stable_offset_goes_to_the_next_open_transaction(state: ProducerState) -> None:
    append(state, data_batch(0, producer_id=1, transactional=True))
    append(state, data_batch(0, producer_id=2, transactional=True))
    completed = state.update(BatchHeader(marker(producer_id=1)), memoryview(marker(producer_id=1)))
    assert completed is not None
    assert state.last_stable_offset(completed) == 1
    state.complete_transaction(completed)
    assert state.first_unstable_offset == 0
    last = append(state, marker(producer_id=2))
    assert isinstance(last, CompletedTransaction)
    assert state.last_stable_offset(last) == last.last_offset + 1


def test_a_marker_without_a_transaction_completes_nothing(state: ProducerState) -> None:
    assert append(state, marker()) is None
    assert append(state, marker(ControlType.ABORT, epoch=3)) is None
    assert state.producers[7].producer_epoch == 3
    append(state, data_batch(0, epoch=3, transactional=True))


def test_a_plain_write_within_a_transaction_is_refused(state: ProducerState) -> None:
    append(state, data_batch(0, transactional=True))
    refused(state, data_batch(1), InvalidTransactionState)
    append(state, marker())
    append(state, data_batch(1))


def test_an_old_marker_is_refused(state: ProducerState) -> None:
    append(state, marker(epoch=2, coordinator_epoch=5), Origin.COORDINATOR)
    with pytest.raises(TransactionCoordinatorFenced):
        append(state, marker(epoch=2, coordinator_epoch=4), Origin.COORDINATOR)
    with pytest.raises(InvalidProducerEpoch):
        append(state, marker(epoch=1, coordinator_epoch=5), Origin.COORDINATOR)


def test_version_2_markers_bump_the_epoch_and_may_be_repeated(state: ProducerState) -> None:
    append(state, data_batch(0, epoch=1, transactional=True))
    with pytest.raises(InvalidProducerEpoch):
        append(state, marker(epoch=1), Origin.COORDINATOR, transaction_version=2)
    done = append(state, marker(epoch=2), Origin.COORDINATOR, transaction_version=2)
    assert isinstance(done, CompletedTransaction)
    assert append(state, marker(epoch=2), Origin.COORDINATOR, transaction_version=2) is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (None, None),
        (b"\x00\x00", end_transaction_value(0)),
        (control_key(ControlType.LEADER_CHANGE), end_transaction_value(0)),
        (control_key(ControlType.COMMIT), b"\x00"),
        (control_key(ControlType.COMMIT), None),
    ],
)
def test_a_broken_marker_is_an_invalid_record(
    state: ProducerState, key: bytes | None, value: bytes | None
) -> None:
    broken = build_batch(
        [NewRecord(1, key, value)], producer_id=7, producer_epoch=0, is_control=True
    )
    with pytest.raises(InvalidRecord):
        state.update(BatchHeader(broken), memoryview(broken))


def test_a_transaction_left_behind_is_late(state: ProducerState) -> None:
    assert not state.has_late_transaction(10**9, 1000)
    append(state, data_batch(0, transactional=True, timestamp=100))
    assert not state.has_late_transaction(100 + 301_000, 1000)
    assert state.has_late_transaction(101 + 301_000, 1000)


# Snapshots.


GOLDEN_ENTRY = SnapshotEntry(7, 3, 42, 199, 39, 6000, 12, -1)


def test_a_snapshot_is_what_kafka_writes() -> None:
    # From ProducerStateManager.writeSnapshot of Apache Kafka 4.3.0.
    content = encode_snapshot([GOLDEN_ENTRY])
    assert content == bytes.fromhex(
        "0001" "d2e59f27" "00000001"
        "0000000000000007" "0003" "0000002a" "00000000000000c7" "00000027"
        "0000000000001770" "0000000c" "ffffffffffffffff"
    )  # fmt: skip
    assert decode_snapshot(content, "p") == [GOLDEN_ENTRY]
    assert decode_snapshot(encode_snapshot([]), "p") == []


def test_a_damaged_snapshot_is_named_at_every_byte() -> None:
    content = encode_snapshot([GOLDEN_ENTRY, GOLDEN_ENTRY])
    for position in range(len(content)):
        damaged = bytearray(content)
        damaged[position] ^= 0x40
        with pytest.raises(CorruptSnapshot, match="p: "):
            decode_snapshot(bytes(damaged), "p")
        with pytest.raises(CorruptSnapshot):
            decode_snapshot(content[:position], "p")


def test_names_of_snapshots() -> None:
    assert snapshot_name(42) == "00000000000000000042.snapshot"
    assert snapshot_offset(snapshot_name(2**63 - 1)) == 2**63 - 1
    for other in (
        "42.snapshot",
        "00000000000000000042",
        "00000000000000000042.log",
        "x" * 20 + ".snapshot",
        ".snapshot",
    ):
        assert snapshot_offset(other) is None


def reopened(disk: SimDisk, *, log_start: int = 0, log_end: int, now_ms: int = 0) -> ProducerState:
    state = ProducerState(disk, "/log", expiration_ms=EXPIRATION_MS)
    state.truncate_and_reload(log_start, log_end, now_ms)
    return state


def test_a_snapshot_brings_back_the_last_batch_of_each(disk: SimDisk, state: ProducerState) -> None:
    append(state, data_batch(0, 3))
    append(state, data_batch(3, 2, transactional=True))
    append(state, data_batch(0, producer_id=8, transactional=True))
    append(state, marker(producer_id=9, epoch=4, coordinator_epoch=6))
    path = state.take_snapshot()
    assert path == "/log/00000000000000000007.snapshot"
    assert state.take_snapshot() is None
    again = reopened(disk, log_end=7)
    assert again.map_end_offset == 7
    assert again.first_unstable_offset == 3
    duplicate = append(again, data_batch(3, 2, transactional=True))
    assert isinstance(duplicate, Duplicate)
    assert duplicate.first_offset == 3
    refused(again, data_batch(0, 3, transactional=True), OutOfOrderSequence)
    append(again, data_batch(5, transactional=True))
    assert again.producers[9].coordinator_epoch == 6
    assert again.producers[9].producer_epoch == 4


def test_expired_producers_are_not_loaded(disk: SimDisk, state: ProducerState) -> None:
    append(state, data_batch(0, timestamp=100))
    append(state, data_batch(0, producer_id=8, timestamp=900))
    state.take_snapshot()
    assert list(reopened(disk, log_end=2, now_ms=1100).producers) == [8]


def test_a_damaged_snapshot_gives_way_to_an_older_one(disk: SimDisk, state: ProducerState) -> None:
    for offset in range(3):
        append(state, data_batch(offset))
        state.take_snapshot()
    disk.write_file_atomic("/log/00000000000000000003.snapshot", b"")
    disk.write_file_atomic("/log/00000000000000000002.snapshot", b"torn")
    again = reopened(disk, log_end=3)
    assert again.map_end_offset == 1
    assert again.snapshots.offsets == (1,)
    assert disk.list_dir("/log") == ["00000000000000000001.snapshot"]


def test_truncation_drops_later_snapshots(disk: SimDisk, state: ProducerState) -> None:
    for offset in range(5):
        append(state, data_batch(offset))
        state.take_snapshot()
    state.truncate_and_reload(1, 3, 0)
    assert state.snapshots.offsets == (2, 3)
    assert state.map_end_offset == 3
    append(state, data_batch(3))
    state.truncate_fully_and_start_at(50)
    assert state.map_end_offset == 50
    assert not state.snapshots.offsets
    assert not state.producers
    assert disk.list_dir("/log") == []


def test_truncation_forgets_the_transactions_behind(state: ProducerState) -> None:
    append(state, data_batch(0))
    state.take_snapshot()
    append(state, data_batch(1, transactional=True))
    append(state, data_batch(0, producer_id=8, transactional=True))
    append(state, marker(producer_id=8))
    assert (state.first_unstable_offset, state.first_undecided_offset) == (1, 1)
    state.truncate_and_reload(0, 1, 0)
    assert (state.first_unstable_offset, state.first_undecided_offset) == (None, None)
    state.snapshots.delete(1)
    append(state, data_batch(1, transactional=True))
    append(state, data_batch(0, producer_id=8, transactional=True))
    append(state, marker(producer_id=8))
    state.truncate_and_reload(0, 2, 0)
    assert state.map_end_offset == 0
    assert (state.first_unstable_offset, state.first_undecided_offset) == (None, None)


def test_the_first_of_those_decided_in_any_order_is_unstable(state: ProducerState) -> None:
    append(state, data_batch(0, transactional=True))
    append(state, data_batch(0, producer_id=8, transactional=True))
    append(state, marker(producer_id=8))
    append(state, marker())
    assert state.first_unstable_offset == 0
    state.on_high_watermark(3)
    assert state.first_unstable_offset == 0
    state.on_high_watermark(4)
    assert state.first_unstable_offset is None


def test_starting_anew_forgets_every_transaction(state: ProducerState) -> None:
    append(state, data_batch(0, transactional=True))
    append(state, data_batch(0, producer_id=8, transactional=True))
    append(state, marker(producer_id=8))
    state.truncate_fully_and_start_at(50)
    assert (state.first_unstable_offset, state.first_undecided_offset) == (None, None)


def test_without_a_snapshot_the_whole_log_is_to_be_replayed(disk: SimDisk) -> None:
    assert reopened(disk, log_start=10, log_end=20).map_end_offset == 10


def test_reloading_at_the_same_end_keeps_what_is_known(state: ProducerState) -> None:
    append(state, data_batch(0))
    state.truncate_and_reload(0, 1, 0)
    assert list(state.producers) == [7]


def test_stray_snapshots_go_but_for_the_newest(disk: SimDisk, state: ProducerState) -> None:
    for offset in range(6):
        append(state, data_batch(offset))
        state.take_snapshot()
    state.snapshots.delete_stray([0, 3])
    assert list(state.snapshots.offsets) == [3, 6]
    state.snapshots.delete_stray([0, 3, 9])
    assert list(state.snapshots.offsets) == [3]
    assert disk.list_dir("/log") == ["00000000000000000003.snapshot"]


def test_snapshots_are_deleted_and_released_by_offset(disk: SimDisk, state: ProducerState) -> None:
    for offset in range(4):
        append(state, data_batch(offset))
        state.take_snapshot()
    state.snapshots.delete_before(2)
    assert state.snapshots.offsets == (2, 3, 4)
    state.snapshots.delete(99)
    assert state.snapshots.release(3) == "/log/00000000000000000003.snapshot"
    assert state.snapshots.release(3) is None
    assert len(disk.list_dir("/log")) == 3


def test_a_failed_snapshot_may_be_taken_again(disk: SimDisk, state: ProducerState) -> None:
    from kbroker.storage.errors import DiskError

    append(state, data_batch(0))
    disk.fail_next("fsync")
    with pytest.raises(DiskError):
        state.take_snapshot()
    assert state.snapshots.offsets == ()
    assert state.take_snapshot() is not None


# Whole histories.

sends = st.tuples(
    st.integers(1, 3),  # producer
    st.integers(1, 4),  # records
    st.integers(0, 6),  # how many batches back to repeat; 0 is a new one
    st.sampled_from(["plain", "bump"]),
)


@settings(max_examples=60)
@given(history=st.lists(sends, max_size=60), first=st.integers(0, INT32_MAX))
def test_retries_never_write_twice_nor_out_of_order(
    history: list[tuple[int, int, int, str]], first: int
) -> None:
    disk = SimDisk(Random(1))
    disk.make_dir("/log")
    state = ProducerState(disk, "/log", expiration_ms=EXPIRATION_MS)
    log: list[bytes] = []
    sent: dict[int, list[tuple[int, bytes]]] = {}
    cursor: dict[int, tuple[int, int]] = {}
    for producer_id, count, back, kind in history:
        batches = sent.setdefault(producer_id, [])
        if back and back <= len(batches):
            offset, batch = batches[-back]
            if back <= 5:
                duplicate = append(state, batch)
                assert isinstance(duplicate, Duplicate)
                assert duplicate.first_offset == offset
            else:
                refused(state, batch, OutOfOrderSequence)
            continue
        epoch, sequence = cursor.get(producer_id, (0, first))
        if kind == "bump" and batches:
            epoch, sequence = epoch + 1, 0
            batches.clear()
        batch = data_batch(sequence, count, producer_id=producer_id, epoch=epoch)
        batches.append((state.map_end_offset, batch))
        log.append(batch)
        assert append(state, batch) is None
        refused_sequence = increment_sequence(sequence, count + 1)
        refused(
            state,
            data_batch(refused_sequence, producer_id=producer_id, epoch=epoch),
            OutOfOrderSequence,
        )
        cursor[producer_id] = (epoch, increment_sequence(sequence, count))
    replayed = ProducerState(disk, "/log", expiration_ms=EXPIRATION_MS)
    for batch in log:
        header = BatchHeader(batch)
        header.base_offset = replayed.map_end_offset
        replayed.update(header)
    assert described(replayed) == described(state)
    if log:
        state.take_snapshot()
        loaded = reopened(disk, log_end=state.map_end_offset)
        assert described(loaded, batches=1) == described(state, batches=1)


def described(state: ProducerState, batches: int = 5) -> object:
    return state.map_end_offset, {
        entry.producer_id: (entry.producer_epoch, entry.last_timestamp, entry.batches[-batches:])
        for entry in state.producers.values()
    }
