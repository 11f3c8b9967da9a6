"""Reading record batches: headers, CRCs, walking batches and records, setting fields in place."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbroker.storage.batch import (
    CRC_AT,
    HEADER,
    BatchHeader,
    ControlType,
    TimestampType,
    batch_crc,
    batches,
    control_key,
    control_type,
    decrement_sequence,
    end_transaction_coordinator_epoch,
    end_transaction_value,
    increment_sequence,
    records,
    set_base_offset,
    set_leader_epoch,
    set_max_timestamp,
    timestamps,
    verify_crc,
)
from kbroker.storage.builder import NewRecord, build_batch
from kbroker.storage.compression import Codec
from kbroker.storage.errors import (
    CorruptBatch,
    InvalidRecord,
    UnsupportedCompression,
    UnsupportedForMessageFormat,
)

from .golden import BASE_OFFSET, BATCHES, RECORDS
from .logs import as_read


def batch_with(payload: bytes, record_count: int, codec: Codec = Codec.NONE) -> memoryview:
    """A batch with a right CRC around any payload."""
    batch = bytearray(build_batch([NewRecord(0, None, None)])[:HEADER] + payload)
    batch[8:12] = (len(batch) - 12).to_bytes(4, "big")
    batch[21:23] = int(codec).to_bytes(2, "big")
    batch[23:27] = (record_count - 1).to_bytes(4, "big", signed=True)
    batch[57:61] = record_count.to_bytes(4, "big", signed=True)
    batch[CRC_AT : CRC_AT + 4] = batch_crc(memoryview(batch)).to_bytes(4, "big")
    return memoryview(batch)


@pytest.mark.parametrize("codec", Codec)
def test_batches_of_apache_kafka_are_read(codec: Codec) -> None:
    view = memoryview(BATCHES[codec])
    [(header, batch)] = batches(view, check_crc=True)
    assert batch == view
    assert header.codec is codec
    assert (header.base_offset, header.last_offset, header.next_offset) == (7, 13, 14)
    assert (header.leader_epoch, header.record_count) == (5, 7)
    assert (header.base_timestamp, header.max_timestamp) == (1000, 1006)
    assert (header.producer_id, header.producer_epoch) == (99, 3)
    assert (header.base_sequence, header.last_sequence) == (11, 17)
    assert header.timestamp_type is TimestampType.CREATE_TIME
    assert header.has_producer_id
    assert not header.is_control
    assert not header.is_transactional
    assert header.is_compressed is (codec is not Codec.NONE)
    assert header.size_bytes == len(view)
    assert header.delete_horizon_ms is None
    assert list(records(batch)) == as_read(RECORDS, BASE_OFFSET)
    assert list(timestamps(batch)) == [(7 + index, 1000 + index) for index in range(7)]


def test_a_header_is_read_at_a_position() -> None:
    batch = build_batch([NewRecord(5, None, b"v")], base_offset=3)
    assert BatchHeader(b"garbage" + batch, 7).base_offset == 3


def test_batches_walks_to_the_end() -> None:
    joined = b"".join(
        build_batch([NewRecord(1, None, b"v" * size)], base_offset=size) for size in range(20)
    )
    walked = list(batches(memoryview(joined), check_crc=True))
    assert [header.base_offset for header, _ in walked] == list(range(20))
    assert b"".join(bytes(batch) for _, batch in walked) == joined


def test_a_partial_tail_is_corrupt_unless_allowed() -> None:
    whole = build_batch([NewRecord(1, None, b"v")])
    for size in range(1, len(whole)):
        view = memoryview(whole + whole[:size])
        assert len(list(batches(view, partial_tail=True))) == 1
        with pytest.raises(CorruptBatch):
            list(batches(view))


@pytest.mark.parametrize(
    ("position", "field", "error"),
    [
        (8, (48).to_bytes(4, "big"), CorruptBatch),
        (8, (-1).to_bytes(4, "big", signed=True), CorruptBatch),
        (8, (2**31 - 1).to_bytes(4, "big"), CorruptBatch),
        (16, b"\x00", UnsupportedForMessageFormat),
        (16, b"\x01", UnsupportedForMessageFormat),
        (16, b"\x03", CorruptBatch),
        (16, b"\xff", CorruptBatch),
        (40, b"\x55", CorruptBatch),
    ],
)
def test_a_broken_header_is_named(position: int, field: bytes, error: type[Exception]) -> None:
    broken = bytearray(build_batch([NewRecord(1, None, b"v")]))
    broken[position : position + len(field)] = field
    with pytest.raises(error):
        list(batches(memoryview(broken), check_crc=True))


def test_base_offset_and_leader_epoch_are_outside_of_the_crc() -> None:
    batch = memoryview(bytearray(BATCHES[Codec.NONE]))
    set_base_offset(batch, 1 << 40)
    set_leader_epoch(batch, 77)
    verify_crc(batch)
    header = BatchHeader(batch)
    assert (header.base_offset, header.leader_epoch) == (1 << 40, 77)
    assert next(records(batch)).offset == 1 << 40


def test_log_append_time_is_the_time_of_every_record() -> None:
    batch = memoryview(bytearray(BATCHES[Codec.ZSTD]))
    set_max_timestamp(batch, TimestampType.LOG_APPEND_TIME, 5555)
    verify_crc(batch)
    header = BatchHeader(batch)
    assert header.timestamp_type is TimestampType.LOG_APPEND_TIME
    assert {record.timestamp for record in records(batch)} == {5555}
    assert {timestamp for _, timestamp in timestamps(batch)} == {5555}
    set_max_timestamp(batch, TimestampType.CREATE_TIME, 1006)
    assert batch == BATCHES[Codec.ZSTD]


def test_an_unchanged_timestamp_leaves_the_crc_alone() -> None:
    batch = memoryview(bytearray(BATCHES[Codec.NONE]))
    batch[CRC_AT] ^= 0xFF
    before = bytes(batch)
    set_max_timestamp(batch, TimestampType.CREATE_TIME, 1006)
    assert batch == before


def test_sequences_wrap_after_the_largest_int32() -> None:
    assert increment_sequence(2**31 - 1, 1) == 0
    assert increment_sequence(2**31 - 3, 5) == 2
    assert decrement_sequence(2, 5) == 2**31 - 3
    assert decrement_sequence(0, 0) == 0


GOOD = bytes.fromhex("0c000000010100")  # null key, null value, no header


@pytest.mark.parametrize(
    ("payload", "count", "reason"),
    [
        (GOOD, 2, "ends before"),
        (GOOD + GOOD, 1, "after the last"),
        (GOOD, -1, "record count"),
        (GOOD, 2**31 - 1, "ends before"),
        (b"", 1, "ends before"),
        (b"\x0e" + GOOD[1:], 1, "left in its batch"),
        (b"\x0a" + GOOD[1:], 1, "its fields take"),
        (b"\x01" + GOOD[1:], 1, "record declares -1 bytes"),
        (b"\xff\xff\xff\xff\xff\x01" + GOOD, 1, "varint"),
        (b"\xff\xff\xff\xff\x7f" + GOOD, 1, "record declares -2147483648 bytes"),
        (bytes.fromhex("2000ffffffffffffffffffff0100010100"), 1, "varint"),
        # A key, a value, headers that pass the end of their record or of the batch.
        (bytes.fromhex("0c0000007e0100"), 1, "ends before"),
        (bytes.fromhex("0c000000020100") + GOOD, 2, "record headers: 6"),
        (bytes.fromhex("0c000000017e00") + bytes(80), 1, "fields take"),
        (bytes.fromhex("0c000000010101"), 1, "record headers: -1"),
        (bytes.fromhex("0c000000010102"), 1, "record headers: 1"),
        (bytes.fromhex("0c000000010180808080") + b"\x08", 1, "record headers"),
        (bytes.fromhex("100000000101020101"), 1, "header key size"),
        (bytes.fromhex("100000000101020400") + GOOD, 2, "exceeds the end"),
        (bytes.fromhex("100000000101020004") + GOOD, 2, "exceeds the end"),
    ],
)
@pytest.mark.parametrize("codec", [Codec.NONE, Codec.SNAPPY])
def test_broken_records_are_named(payload: bytes, count: int, reason: str, codec: Codec) -> None:
    from kbroker.storage.compression import compress

    batch = batch_with(compress(codec, payload), count, codec)
    verify_crc(batch)
    with pytest.raises(InvalidRecord, match=reason):
        list(records(batch))
    with pytest.raises(InvalidRecord, match=reason):
        list(timestamps(batch))


def test_a_timestamp_beyond_64_bits_is_refused() -> None:
    batch = batch_with(bytes.fromhex("1e00feffffffffffffffff0100010000"), 1)
    assert next(records(batch)).timestamp == 2**63 - 1
    batch[27:35] = (1).to_bytes(8, "big")
    with pytest.raises(InvalidRecord, match="out of range"):
        list(records(batch))
    with pytest.raises(InvalidRecord, match="out of range"):
        list(timestamps(batch))


def test_whole_records_before_a_broken_one_come_out() -> None:
    walk = records(batch_with(GOOD + b"\x01", 2))
    assert next(walk).offset == 0
    with pytest.raises(InvalidRecord):
        next(walk)


def test_a_batch_without_records_is_empty() -> None:
    # As the cleaner leaves one behind to keep a producer's last sequence.
    assert list(records(batch_with(b"", 0))) == []


def test_what_cannot_be_decompressed_is_an_invalid_record() -> None:
    with pytest.raises(InvalidRecord, match="gzip"):
        list(records(batch_with(b"not gzip", 1, Codec.GZIP)))
    with pytest.raises(InvalidRecord, match="more than 6 bytes"):
        list(records(batch_with(GOOD, 1), max_bytes=6))
    unknown = memoryview(bytearray(batch_with(GOOD, 1)))
    unknown[22] = 6
    with pytest.raises(InvalidRecord, match="unknown compression"):
        list(records(unknown))
    with pytest.raises(UnsupportedCompression):
        _ = BatchHeader(unknown).codec


def test_header_keys_that_are_not_utf8_survive() -> None:
    [record] = records(batch_with(bytes.fromhex("1200000001010202ff01"), 1))
    assert record.headers == (("\udcff", None),)
    rebuilt = build_batch([NewRecord(0, None, None, record.headers)])
    assert bytes.fromhex("02ff") in rebuilt[HEADER:]


@pytest.mark.parametrize("codec", Codec)
@given(data=st.data())
def test_damaged_batches_end_in_named_errors(codec: Codec, data: st.DataObject) -> None:
    batch = bytearray(BATCHES[codec])
    for _ in range(data.draw(st.integers(1, 5))):
        batch[data.draw(st.integers(0, len(batch) - 1))] = data.draw(st.integers(0, 255))
    with suppress(CorruptBatch, UnsupportedForMessageFormat, InvalidRecord):
        for header, view in batches(memoryview(batch), partial_tail=True):
            assert sum(1 for _ in records(view, header, 100_000)) == max(header.record_count, 0)


@given(st.binary(max_size=200))
def test_random_bytes_end_in_named_errors(data: bytes) -> None:
    with suppress(CorruptBatch, UnsupportedForMessageFormat):
        list(batches(memoryview(data)))


def test_control_keys_and_markers() -> None:
    for type_ in ControlType:
        if type_ is not ControlType.UNKNOWN:
            assert control_type(control_key(type_)) is type_
    assert control_key(ControlType.COMMIT) == b"\x00\x00\x00\x01"
    assert control_type(b"\x00\x05\x00\x63more") is ControlType.UNKNOWN
    assert end_transaction_value(7) == b"\x00\x00\x00\x00\x00\x07"
    assert end_transaction_coordinator_epoch(end_transaction_value(7)) == 7
    for key in (None, b"\x00\x00\x00", b"\xff\xff\x00\x01"):
        with pytest.raises(InvalidRecord):
            control_type(key)
    for value in (None, b"\x00\x00\x00\x00\x00", b"\xff\xff\x00\x00\x00\x00"):
        with pytest.raises(InvalidRecord):
            end_transaction_coordinator_epoch(value)
