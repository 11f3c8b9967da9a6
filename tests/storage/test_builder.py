"""Making record batches: byte for byte as Kafka, every codec, sizes known before."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbroker.storage.batch import (
    DELETE_HORIZON_MASK,
    HEADER,
    BatchHeader,
    ControlType,
    TimestampType,
    batches,
    control_key,
    control_type,
    end_transaction_value,
    records,
    verify_crc,
)
from kbroker.storage.builder import BatchBuilder, NewRecord, build_batch, encode_batch
from kbroker.storage.compression import Codec
from kbroker.storage.varint import append_varint, read_varint, varint_size

from .golden import BASE_OFFSET, BATCHES, RECORDS
from .logs import NOW_MS, as_read


def build_golden(codec: Codec) -> bytes:
    return build_batch(
        RECORDS,
        base_offset=BASE_OFFSET,
        leader_epoch=5,
        codec=codec,
        producer_id=99,
        producer_epoch=3,
        base_sequence=11,
    )


def test_an_uncompressed_batch_is_kafkas_byte_for_byte() -> None:
    assert build_golden(Codec.NONE) == BATCHES[Codec.NONE]


@pytest.mark.parametrize("codec", Codec)
def test_a_batch_differs_from_kafkas_in_the_compressed_bytes_alone(codec: Codec) -> None:
    ours, theirs = (BatchHeader(batch) for batch in (build_golden(codec), BATCHES[codec]))
    ours.length = theirs.length = ours.crc = theirs.crc = 0
    assert repr(ours) == repr(theirs)


new_records = st.builds(
    NewRecord,
    st.integers(-1, 2**62),
    st.none() | st.binary(max_size=100),
    st.none() | st.binary(max_size=300),
    st.lists(st.tuples(st.text(max_size=10), st.none() | st.binary(max_size=10)), max_size=3),
)


@pytest.mark.parametrize("codec", Codec)
@given(news=st.lists(new_records, min_size=1, max_size=20), base_offset=st.integers(0, 2**60))
def test_what_is_built_is_read_back(codec: Codec, news: list[NewRecord], base_offset: int) -> None:
    built = memoryview(build_batch(news, base_offset=base_offset, codec=codec))
    [(header, batch)] = batches(built, check_crc=True)
    assert list(records(batch, header)) == as_read(news, base_offset)
    assert header.max_timestamp == max(new.timestamp for new in news)
    assert header.last_offset_delta == len(news) - 1


@given(news=st.lists(new_records, min_size=1, max_size=20))
def test_sizes_are_known_before_a_record_is_added(news: list[NewRecord]) -> None:
    builder = BatchBuilder()
    for index, new in enumerate(news):
        expected = builder.size_with(new.timestamp, new.key, new.value, new.headers)
        assert builder.append(new.timestamp, new.key, new.value, new.headers) == index
        assert builder.size_bytes == expected
    assert len(builder.build()) == builder.size_bytes


def test_a_batch_needs_a_record() -> None:
    with pytest.raises(ValueError, match="at least one record"):
        build_batch([])


def test_log_append_time_takes_the_place_of_the_largest_timestamp() -> None:
    batch = build_batch(
        [NewRecord(1, None, b"v"), NewRecord(9, None, b"v")],
        timestamp_type=TimestampType.LOG_APPEND_TIME,
        append_time_ms=5,
    )
    header = BatchHeader(batch)
    assert (header.timestamp_type, header.max_timestamp) == (TimestampType.LOG_APPEND_TIME, 5)
    assert [record.timestamp for record in records(memoryview(batch))] == [5, 5]


def test_a_transaction_marker_is_a_control_batch() -> None:
    marker = memoryview(
        build_batch(
            [NewRecord(1, control_key(ControlType.COMMIT), end_transaction_value(3))],
            producer_id=1,
            producer_epoch=2,
            is_control=True,
            is_transactional=True,
        )
    )
    verify_crc(marker)
    header = BatchHeader(marker)
    assert header.is_control
    assert header.is_transactional
    assert control_type(next(records(marker)).key) is ControlType.COMMIT


@given(st.integers(-(2**63), 2**63 - 1))
def test_varints_are_read_back_and_their_size_is_known(value: int) -> None:
    out = bytearray()
    append_varint(out, value)
    assert len(out) == varint_size(value)
    assert read_varint(bytes(out), 0, 10) == (value, len(out))
    if -(2**31) <= value < 2**31:
        assert read_varint(bytes(out), 0) == (value, len(out))
    elif len(out) > 5:
        with pytest.raises(ValueError, match="varint"):
            read_varint(bytes(out), 0)


@pytest.mark.parametrize(
    ("written", "bytes_max", "value"),
    [
        (b"\xff\xff\xff\xff\x0f", 5, -(2**31)),
        (b"\xff\xff\xff\xff\x7f", 5, -(2**31)),
        (b"\x82\x80\x80\x80\x10", 5, 1),
        (b"\xfe" + b"\xff" * 8 + b"\x01", 10, 2**63 - 1),
        (b"\xfe" + b"\xff" * 8 + b"\x7f", 10, 2**63 - 1),
    ],
)
def test_bits_beyond_those_of_the_type_count_for_nothing(
    written: bytes, bytes_max: int, value: int
) -> None:
    """As in Java's ByteUtils, so that a batch that Apache Kafka takes is taken here."""
    assert read_varint(written, 0, bytes_max) == (value, bytes_max)


@pytest.mark.parametrize(("horizon_ms", "is_time"), [(NOW_MS, True), (0, True), (-1, False)])
def test_a_delete_horizon_is_a_time(horizon_ms: int, is_time: bool) -> None:
    built = build_batch([NewRecord(NOW_MS, None, b"v")])
    header = BatchHeader(built)

    def with_horizon() -> bytearray:
        return encode_batch(
            built[HEADER:],
            base_offset=0,
            leader_epoch=0,
            attributes=DELETE_HORIZON_MASK,
            codec=Codec.NONE,
            level=None,
            last_offset_delta=0,
            base_timestamp=horizon_ms,
            max_timestamp=NOW_MS,
            producer_id=-1,
            producer_epoch=-1,
            base_sequence=-1,
            record_count=header.record_count,
        )

    if is_time:
        assert BatchHeader(with_horizon()).base_timestamp == horizon_ms
    else:
        with pytest.raises(ValueError, match="delete horizon"):
            with_horizon()
