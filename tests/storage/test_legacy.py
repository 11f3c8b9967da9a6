"""Formats 0 and 1: what Apache Kafka wrote of them, what an independent builder writes, garbage."""

from __future__ import annotations

import struct
import zlib
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kbroker.storage import formats
from kbroker.storage.batch import INT64_MAX, MAGIC, TimestampType
from kbroker.storage.builder import NewRecord, build_batch
from kbroker.storage.compression import Codec
from kbroker.storage.errors import (
    CorruptBatch,
    InvalidRecord,
    StorageError,
    UnsupportedForMessageFormat,
)
from kbroker.storage.record import Record
from tests.storage.old_batches import (
    GOLDEN,
    LAST_OFFSET,
    RECORDS,
    STAMP,
    OldRecord,
    old_message,
    old_set,
    wrapped,
)

CODECS = (Codec.GZIP, Codec.SNAPPY, Codec.LZ4)
FIRST_OFFSET = LAST_OFFSET - len(RECORDS) + 1
SMALLEST = old_message(0, OldRecord(3, -1, None, None))


def read(content: bytes) -> list[Record]:
    return [
        record
        for header, batch in formats.batches(memoryview(content), check_crc=True)
        for record in formats.records(batch, header, check_crc=True)
    ]


@pytest.mark.parametrize("kind", GOLDEN, ids=str)
def test_what_apache_kafka_wrote_is_read(kind: tuple[int, Codec, TimestampType]) -> None:
    _, codec, timestamp_type = kind
    content = GOLDEN[kind]
    found = list(formats.batches(memoryview(content), check_crc=True))
    assert len(found) == (len(RECORDS) if codec is Codec.NONE else 1)
    stamps = [STAMP + index for index in range(len(RECORDS))]
    if timestamp_type is TimestampType.NO_TIMESTAMP_TYPE:
        stamps = [-1] * len(RECORDS)
    elif timestamp_type is TimestampType.LOG_APPEND_TIME:
        stamps = [STAMP] * len(RECORDS)
    expected = [
        Record(FIRST_OFFSET + index, stamp, *record)
        for index, (stamp, record) in enumerate(zip(stamps, RECORDS, strict=True))
    ]
    assert read(content) == expected
    for header, batch in found:
        assert (header.magic, header.codec, header.timestamp_type) == kind
        assert header.size_bytes == len(batch)
        assert (header.leader_epoch, header.producer_id, header.base_sequence) == (-1, -1, -1)
        assert not header.is_control
        assert not header.is_transactional
    last, batch = found[-1]
    assert (last.last_offset, last.next_offset) == (LAST_OFFSET, LAST_OFFSET + 1)
    assert last.max_timestamp == stamps[-1]
    within = expected[-len(list(formats.records(batch, last))) :]
    assert formats.first_offset(batch) == within[0].offset
    assert list(formats.timestamps(batch)) == [(r.offset, r.timestamp) for r in within]


old_records = st.lists(
    st.tuples(
        st.integers(1, 5),
        st.integers(-1, INT64_MAX),
        st.none() | st.binary(max_size=20),
        st.none() | st.binary(max_size=60),
    ),
    min_size=1,
    max_size=6,
)


@given(
    magic=st.sampled_from((0, 1)),
    codec=st.sampled_from((Codec.NONE, *CODECS)),
    start=st.integers(0, 1 << 40),
    drawn=old_records,
    append_time=st.none() | st.integers(0, INT64_MAX),
    key=st.none() | st.binary(max_size=5),
)
def test_what_the_builder_writes_is_read(
    magic: int,
    codec: Codec,
    start: int,
    drawn: list[tuple[int, int, bytes | None, bytes | None]],
    append_time: int | None,
    key: bytes | None,
) -> None:
    records = []
    offset = start
    for step, stamp, record_key, value in drawn:
        offset += step  # compaction leaves gaps
        records.append(OldRecord(offset, stamp if magic else -1, record_key, value))
    if magic == 0 or codec is Codec.NONE:
        append_time = None
    if codec is Codec.NONE:
        content = old_set(magic, records)
    else:
        content = wrapped(magic, codec, records, append_time=append_time, key=key)
    stamps = [append_time if append_time is not None else r.timestamp for r in records]
    expected = [
        Record(record.offset, stamp, record.key, record.value)
        for record, stamp in zip(records, stamps, strict=True)
    ]
    assert read(content) == expected
    batch = memoryview(content)
    if codec is not Codec.NONE:
        assert formats.header_of(batch).last_offset == offset
        assert formats.first_offset(batch) == records[0].offset


def test_batches_of_all_formats_follow_each_other() -> None:
    new = build_batch([NewRecord(5, b"k", b"v")], base_offset=20)
    content = SMALLEST + wrapped(1, Codec.GZIP, [OldRecord(9, 7, None, b"x")]) + new + SMALLEST
    view = memoryview(content)
    assert [header.magic for header, _ in formats.batches(view)] == [0, 1, 2, 0]
    assert [record.offset for record in read(content)] == [3, 9, 20, 3]
    for size in range(1, len(content)):
        whole = list(formats.batches(view[:size], partial_tail=True))
        if sum(header.size_bytes for header, _ in whole) < size:
            with pytest.raises(CorruptBatch):
                list(formats.batches(view[:size]))


def test_the_smallest_batch_has_26_bytes() -> None:
    assert len(SMALLEST) == formats.SIZE_MIN == 26
    assert read(SMALLEST) == [Record(3, -1, None, None)]


@pytest.mark.parametrize("magic", [0, 1])
@pytest.mark.parametrize("at", [12, 16 + 1, -1])
def test_a_wrong_crc_is_corrupt(magic: int, at: int) -> None:
    content = bytearray(old_message(magic, OldRecord(0, 5, b"key", b"value")))
    content[at] ^= 1
    with pytest.raises(CorruptBatch, match="stored crc"):
        read(bytes(content))


def test_a_wrong_crc_within_is_found_where_it_is_asked_for() -> None:
    inner = bytearray(old_set(1, [OldRecord(0, 5, b"k", b"v")]))
    inner[-1] ^= 1
    content = _wrapper(1, bytes(inner))
    batch = memoryview(content)
    assert len(list(formats.records(batch))) == 1
    with pytest.raises(CorruptBatch, match="stored crc"):
        list(formats.records(batch, check_crc=True))


def _wrapper(magic: int, inner: bytes, *, offset: int = 9, attributes: int = Codec.GZIP) -> bytes:
    content = zlib.compress(inner, wbits=31)
    return old_message(magic, OldRecord(offset, 5, None, content), attributes)


ONE = OldRecord(0, 5, b"k", b"v")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (old_message(1, OldRecord(0, 5, None, None), Codec.GZIP), "without a value"),
        (old_message(1, OldRecord(0, 5, None, b"garbage"), Codec.GZIP), "failed to decompress"),
        (old_message(1, OldRecord(0, 5, None, b"x"), Codec.ZSTD), "with zstd"),
        (old_message(1, OldRecord(0, 5, None, b"x"), 5), "unknown compression type"),
        (_wrapper(1, b""), "contains no message"),
        (_wrapper(1, old_message(1, ONE)[:-1]), "contains no message"),
        (_wrapper(1, struct.pack(">qi", 0, 13) + bytes(13)), "13 bytes"),
        (_wrapper(1, old_message(1, ONE) + struct.pack(">qi", 1, 13)), "13 bytes"),
        (
            _wrapper(1, struct.pack(">qiIbB", 0, 21, 0, 1, 0) + bytes(15)),
            "magic 1 has only 21 bytes",
        ),
        (_wrapper(1, old_message(1, ONE, Codec.SNAPPY)), "a compressed message is inside"),
        (_wrapper(1, old_message(2, ONE)), "magic 2"),
        (_wrapper(1, old_message(1, ONE, offset=10)), "offset 9"),
        (wrapped(1, Codec.LZ4, [ONE], lz4_header_is_wrong=True), "checksum of the frame"),
    ],
)
def test_what_is_broken_within_is_no_record(content: bytes, reason: str) -> None:
    batch = memoryview(content)
    with pytest.raises(InvalidRecord, match=reason):
        list(formats.records(batch))
    with pytest.raises(InvalidRecord, match=reason):
        list(formats.timestamps(batch))


def test_a_message_that_is_cut_off_within_is_left_out() -> None:
    inner = old_set(1, [ONE, ONE._replace(offset=1)])
    whole = memoryview(_wrapper(1, inner))
    cut = memoryview(_wrapper(1, inner[:-1]))
    assert [record.offset for record in formats.records(whole)] == [8, 9]
    assert [record.offset for record in formats.records(cut)] == [9]


def test_offsets_of_format_0_are_absolute_and_of_an_old_librdkafka_count_from_0() -> None:
    inner = old_set(0, [ONE._replace(offset=40), ONE._replace(offset=44)])
    assert [r.offset for r in formats.records(memoryview(_wrapper(0, inner)))] == [40, 44]
    inner = old_set(1, [ONE, ONE._replace(offset=1)])
    found = formats.records(memoryview(_wrapper(1, inner, offset=0)))
    assert [record.offset for record in found] == [0, 1]


def test_a_message_of_format_0_within_format_1_has_no_timestamp() -> None:
    inner = old_message(0, ONE) + old_message(1, ONE._replace(offset=1))
    for attributes, stamps in ((Codec.GZIP, [-1, 5]), (Codec.GZIP | 8, [-1, 5])):
        batch = memoryview(_wrapper(1, inner, attributes=attributes))
        assert [record.timestamp for record in formats.records(batch)] == stamps


@pytest.mark.parametrize(("magic", "length"), [(0, 13), (1, 21)])
def test_a_length_below_the_least_is_corrupt(magic: int, length: int) -> None:
    content = struct.pack(">qiIbB", 0, length, 0, magic, 0) + bytes(length - 6 + 20)
    with pytest.raises(CorruptBatch, match=f"has {length} bytes"):
        list(formats.batches(memoryview(content)))


@pytest.mark.parametrize("magic", [3, 127, 128, 255])
def test_another_format_is_not_read(magic: int) -> None:
    content = bytearray(build_batch([NewRecord(5, b"k", b"v")]))
    content[16] = magic
    with pytest.raises((CorruptBatch, UnsupportedForMessageFormat)):
        list(formats.batches(memoryview(content)))


@pytest.mark.parametrize("size", [-(2**31), -2, 15, 2**31 - 1])
def test_sizes_that_leave_the_message_are_refused(size: int) -> None:
    content = bytearray(old_message(0, OldRecord(0, -1, b"key", b"value")))
    struct.pack_into(">i", content, 18, size)
    batch = memoryview(content)
    if size < 0:
        # No key, and its bytes are then taken for the value's size.
        with suppress(InvalidRecord):
            assert all(record.key is None for record in formats.records(batch))
        return
    with pytest.raises(InvalidRecord):
        list(formats.records(batch))


def _take(content: bytes) -> None:
    """Only what storage raises may come out, and only so many records as there are bytes."""
    try:
        for header, batch in formats.batches(memoryview(content), partial_tail=True):
            with suppress(StorageError):
                assert sum(1 for _ in formats.records(batch, header, 100_000)) <= 10_000
            with suppress(StorageError):
                formats.first_offset(batch, header)
    except StorageError:
        pass


@given(st.binary(max_size=300))
def test_garbage_gives_the_errors_of_storage(content: bytes) -> None:
    _take(content)


@given(
    head=st.integers(0, INT64_MAX),
    magic=st.sampled_from((0, 1, MAGIC, 3, 255)),
    attributes=st.integers(0, 255),
    body=st.binary(min_size=13, max_size=120),
)
@example(head=0, magic=1, attributes=0, body=bytes(13))
def test_garbage_in_a_frame_gives_the_errors_of_storage(
    head: int, magic: int, attributes: int, body: bytes
) -> None:
    crc = zlib.crc32(bytes([magic, attributes]) + body)
    content = struct.pack(">IBB", crc, magic, attributes) + body
    _take(struct.pack(">qi", head, len(content)) + content)


@given(data=st.data())
def test_damage_gives_the_errors_of_storage(data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from(sorted(GOLDEN.values()))))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    _take(bytes(content))
    inner = bytes(content[: data.draw(st.integers(0, len(content)))])
    _take(_wrapper(data.draw(st.sampled_from((0, 1))), inner))
