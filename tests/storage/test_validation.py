"""What a leader accepts for an append, and what it makes of it.

The tables were compared with Apache Kafka 4.3.0's ProduceRequest.validateRecords and LogValidator.
"""

from __future__ import annotations

import pytest

from kbroker.storage.batch import (
    ATTRIBUTES_AT,
    BASE_TIMESTAMP_AT,
    CRC_AT,
    HEADER,
    LAST_OFFSET_DELTA_AT,
    LENGTH_AT,
    LOG_OVERHEAD,
    MAX_TIMESTAMP_AT,
    RECORD_COUNT_AT,
    BatchHeader,
    Record,
    TimestampType,
    batch_crc,
    records,
    verify_crc,
)
from kbroker.storage.builder import NewRecord, build_batch
from kbroker.storage.compression import Codec
from kbroker.storage.errors import (
    CorruptBatch,
    InvalidRecord,
    InvalidTimestamp,
    RecordTooLarge,
    UnsupportedCompression,
)
from kbroker.storage.log_config import LogConfig
from kbroker.storage.origin import Origin
from kbroker.storage.validation import Prepared, prepare
from kbroker.storage.varint import append_varint

from .golden import RECORDS
from .logs import as_read

NOW_MS = 2000
CONFIG = LogConfig()
COMPACTED = LogConfig(cleanup_policy=frozenset({"compact"}))
APPEND_TIME = LogConfig(message_timestamp_type="LogAppendTime")
STORED_AS = {
    "uncompressed": Codec.NONE,
    "gzip": Codec.GZIP,
    "snappy": Codec.SNAPPY,
    "lz4": Codec.LZ4,
    "zstd": Codec.ZSTD,
}
BASE = build_batch(RECORDS)
SINGLE = build_batch([NewRecord(1000, None, b"value")])


def patch(batch: bytes, position: int, value: int, size: int, *, fix_crc: bool = True) -> bytes:
    """`batch` with one header field replaced, and a CRC that fits."""
    out = bytearray(batch)
    out[position : position + size] = (value & (1 << 8 * size) - 1).to_bytes(size, "big")
    if fix_crc:
        out[CRC_AT : CRC_AT + 4] = batch_crc(memoryview(out)).to_bytes(4, "big")
    return bytes(out)


def accept(batch: bytes, config: LogConfig = CONFIG, now_ms: int = NOW_MS) -> Prepared:
    prepared = prepare(memoryview(bytearray(batch)), config, now_ms)
    verify_crc(prepared.batch)
    assert repr(BatchHeader(prepared.batch)) == repr(prepared.header)
    assert prepared.header.size_bytes == len(prepared.batch)
    return prepared


def contents(batch: memoryview | bytes) -> list[Record]:
    return list(records(memoryview(batch)))


@pytest.mark.parametrize("codec", Codec)
def test_a_plain_batch_is_taken_as_it_is(codec: Codec) -> None:
    batch = build_batch(RECORDS, codec=codec, producer_id=1, producer_epoch=0, base_sequence=0)
    given = memoryview(bytearray(batch))
    prepared = prepare(given, CONFIG, NOW_MS)
    assert prepared.batch is given
    assert given == batch
    assert prepared.append_time_ms == -1
    assert prepared.header.max_timestamp == 1006
    assert not prepared.is_rebuilt


def test_a_read_only_batch_is_copied_for_the_offsets_to_be_set() -> None:
    prepared = prepare(memoryview(BASE), CONFIG, NOW_MS)
    assert not prepared.batch.readonly
    assert prepared.batch == BASE


@pytest.mark.parametrize("size", [0, 1, 11, 12, 16, 17, 60, 61, len(BASE) - 1])
def test_a_cut_off_batch_is_none(size: int) -> None:
    with pytest.raises(InvalidRecord, match="at least one"):
        accept(BASE[:size])


@pytest.mark.parametrize("origin", [Origin.CLIENT, Origin.COORDINATOR])
def test_a_batch_of_no_records_is_refused(origin: Origin) -> None:
    empty = patch(patch(BASE, LAST_OFFSET_DELTA_AT, -1, 4), RECORD_COUNT_AT, 0, 4)
    with pytest.raises(InvalidRecord):
        prepare(memoryview(bytearray(empty)), CONFIG, NOW_MS, origin=origin)


@pytest.mark.parametrize("tail", [b"x", bytes(11), BASE[:12], BASE[:60], BASE[:-1]])
def test_an_incomplete_second_batch_is_left_out(tail: bytes) -> None:
    assert accept(BASE + tail).batch == BASE


@pytest.mark.parametrize(
    ("tail", "error"),
    [
        (BASE, InvalidRecord),
        (SINGLE + b"x", InvalidRecord),
        (bytes(12), CorruptBatch),
        (patch(BASE, 16, 7, 1, fix_crc=False), CorruptBatch),
    ],
)
def test_a_second_batch_is_refused(tail: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        accept(BASE + tail)


@pytest.mark.parametrize(
    ("magic", "error"),
    [
        (0, InvalidRecord),
        (1, InvalidRecord),
        (3, CorruptBatch),
        (127, CorruptBatch),
        (255, CorruptBatch),
    ],
)
def test_another_magic_is_refused(magic: int, error: type[Exception]) -> None:
    with pytest.raises(error, match="magic"):
        accept(patch(BASE, 16, magic, 1, fix_crc=False))


@pytest.mark.parametrize("length", [-1, 0, 13, 14, 40, 48, 49])
def test_a_length_too_small_is_corrupt(length: int) -> None:
    with pytest.raises(CorruptBatch):
        accept(patch(BASE, 8, length, 4, fix_crc=False))


def test_a_wrong_crc_is_corrupt() -> None:
    with pytest.raises(CorruptBatch, match="crc"):
        accept(BASE[:-1] + b"!")


def test_a_base_offset_is_refused() -> None:
    with pytest.raises(InvalidRecord, match="base offset"):
        accept(patch(BASE, 0, 1, 8))


@pytest.mark.parametrize("count", [-1, 0, 6, 8, 2**31 - 1])
def test_a_count_that_is_not_the_offset_range_is_refused(count: int) -> None:
    with pytest.raises(InvalidRecord, match="inconsistent"):
        accept(patch(BASE, RECORD_COUNT_AT, count, 4))
    with pytest.raises(InvalidRecord, match="inconsistent"):
        accept(patch(BASE, LAST_OFFSET_DELTA_AT, count - 1, 4))


@pytest.mark.parametrize("codec", [Codec.NONE, Codec.GZIP])
@pytest.mark.parametrize("count", [2**31 - 1, 20_000_000])
def test_a_count_beyond_what_fits_is_refused(codec: Codec, count: int) -> None:
    lying = patch(build_batch(RECORDS, codec=codec), LAST_OFFSET_DELTA_AT, count - 1, 4)
    with pytest.raises(InvalidRecord):
        accept(patch(lying, RECORD_COUNT_AT, count, 4))


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize(
    "length",
    [
        b"\xff" * 10,  # never ends
        b"\xff\xff\xff\xff\x7f",  # more than 32 bits
        b"\x80\x80\x80\x80\x10",
        b"\xff\xff\xff\xff\x0f",  # -2^31
        b"\xfe\xff\xff\xff\x0f",  # 2^31 - 1
        b"\x81\x00",  # -1
        b"\x80\x80\x00",  # 0
        b"\xc8\x01",  # 100
    ],
)
@pytest.mark.parametrize(
    "config", [CONFIG, COMPACTED, APPEND_TIME, LogConfig(compression_type="gzip")]
)
def test_a_first_record_has_a_length_that_can_be(
    length: bytes, count: int, config: LogConfig
) -> None:
    batch = bytearray(build_batch([NewRecord(1000, b"k", b"value")] * count))
    batch[61:62] = length
    patched = patch(bytes(batch), LENGTH_AT, len(batch) - LOG_OVERHEAD, 4)
    with pytest.raises(InvalidRecord):
        accept(patched, config)


@pytest.mark.parametrize("length", [0x01, 0x00, 0x0A, 0x14, 0x18, 0x7E])
def test_a_single_record_must_fill_its_batch(length: int) -> None:
    with pytest.raises(InvalidRecord):
        accept(patch(SINGLE, 61, length, 1))


@pytest.mark.parametrize("count", [1, 2, 100])
@pytest.mark.parametrize("content", [b"", b"\x00", b"\x0c", b"\x0c" + bytes(5)])
def test_records_must_have_room(count: int, content: bytes) -> None:
    batch = patch(SINGLE[:HEADER] + content, LENGTH_AT, HEADER - LOG_OVERHEAD + len(content), 4)
    batch = patch(patch(batch, RECORD_COUNT_AT, count, 4), LAST_OFFSET_DELTA_AT, count - 1, 4)
    with pytest.raises(InvalidRecord, match=f"{count} records do not fit in {len(content)} bytes"):
        accept(batch)


def test_a_first_record_must_leave_room_for_the_others() -> None:
    two = build_batch([NewRecord(0, None, None), NewRecord(0, None, None)])
    accept(two)
    for length in (0x0A, 0x0E, 0x1A, 0x80):
        with pytest.raises(InvalidRecord):
            accept(patch(two, 61, length, 1))


def test_clients_write_no_control_records_but_coordinators_do() -> None:
    control = build_batch(RECORDS[:1], is_control=True, producer_id=1, producer_epoch=1)
    with pytest.raises(InvalidRecord, match="control"):
        accept(control)
    gzipping = LogConfig(compression_type="gzip")
    prepared = prepare(memoryview(control), gzipping, NOW_MS, origin=Origin.COORDINATOR)
    assert prepared.batch == control


@pytest.mark.parametrize("sequence", [-1, -2])
def test_a_producer_needs_a_sequence(sequence: int) -> None:
    batch = build_batch(RECORDS, producer_id=1, producer_epoch=0, base_sequence=sequence)
    with pytest.raises(InvalidRecord, match="sequence"):
        accept(batch)
    prepare(memoryview(batch), CONFIG, NOW_MS, origin=Origin.COORDINATOR)


def test_a_transaction_needs_a_producer() -> None:
    with pytest.raises(InvalidRecord, match="producer id"):
        accept(build_batch(RECORDS, is_transactional=True))


def test_max_message_bytes_holds_for_the_batch() -> None:
    accept(BASE, LogConfig(max_message_bytes=len(BASE)))
    with pytest.raises(RecordTooLarge):
        accept(BASE, LogConfig(max_message_bytes=len(BASE) - 1))


def test_max_message_bytes_holds_before_and_after_recompression() -> None:
    zeros = [NewRecord(1000, None, bytes(30_000))]
    small = LogConfig(max_message_bytes=3000, compression_type="uncompressed")
    with pytest.raises(RecordTooLarge):
        accept(build_batch(zeros, codec=Codec.GZIP), small)
    with pytest.raises(RecordTooLarge):
        accept(build_batch(zeros), LogConfig(max_message_bytes=3000, compression_type="gzip"))


@pytest.mark.parametrize("codec_id", [5, 6, 7])
def test_an_unknown_codec_is_refused(codec_id: int) -> None:
    with pytest.raises(UnsupportedCompression):
        accept(patch(BASE, ATTRIBUTES_AT, codec_id, 2))


@pytest.mark.parametrize("source", Codec)
@pytest.mark.parametrize("wanted", [*STORED_AS, "producer"])
@pytest.mark.parametrize("config_type", ["CreateTime", "LogAppendTime"])
def test_the_topics_codec_is_what_is_stored(source: Codec, wanted: str, config_type: str) -> None:
    batch = build_batch(
        RECORDS,
        codec=source,
        producer_id=9,
        producer_epoch=2,
        base_sequence=4,
        is_transactional=True,
    )
    config = LogConfig(compression_type=wanted, message_timestamp_type=config_type)
    prepared = accept(batch, config)
    target = STORED_AS.get(wanted, source)
    header = prepared.header
    assert header.codec is target
    assert prepared.is_rebuilt is (target is not source)
    assert (header.producer_id, header.producer_epoch, header.base_sequence) == (9, 2, 4)
    assert header.is_transactional
    assert header.record_count == len(RECORDS)
    stored = contents(prepared.batch)
    assert [record.value for record in stored] == [record.value for record in RECORDS]
    if config_type == "LogAppendTime":
        assert {record.timestamp for record in stored} == {NOW_MS}
    else:
        assert stored == contents(BASE)


def test_levels_of_the_topic_are_used() -> None:
    text = [NewRecord(1, None, b"".join(b"line %d\n" % line for line in range(4000)))]
    sizes = {
        level: len(
            accept(
                build_batch(text),
                LogConfig(compression_type="gzip", compression_gzip_level=level),
            ).batch
        )
        for level in (1, 9)
    }
    assert sizes[9] < sizes[1]


def test_offset_deltas_that_do_not_count_up_are_put_right_when_rebuilding() -> None:
    two = bytearray(build_batch([NewRecord(1, b"a", None), NewRecord(2, b"b", None)]))
    position = two.index(b"b") - 2
    assert two[position] == 2  # the varint of 1
    off = patch(bytes(two), position, 10, 1)
    stored = contents(accept(off, LogConfig(compression_type="gzip")).batch)
    assert [(record.offset, record.key) for record in stored] == [(0, b"a"), (1, b"b")]


def test_what_is_rebuilt_keeps_empty_keys_and_values_apart_from_none() -> None:
    sent = [
        NewRecord(1, b"", b""),
        NewRecord(2, None, b"v", [("h", b""), ("n", None)]),
        NewRecord(3, b"k", None),
        NewRecord(4, b"", None),
    ]
    batch = bytearray(build_batch(sent))
    delta_of_last = len(build_batch(sent[:-1])) + 3  # behind length, attributes and timestamp
    assert batch[delta_of_last] == 6  # the varint of 3
    off = patch(bytes(batch), delta_of_last, 10, 1)
    stored = contents(accept(off, LogConfig(compression_type="gzip")).batch)
    assert stored == as_read(sent)


def test_what_cannot_be_decompressed_cannot_be_recompressed() -> None:
    broken = bytearray(build_batch(RECORDS, codec=Codec.GZIP))
    broken[80] ^= 0xFF
    with pytest.raises(InvalidRecord, match="gzip"):
        accept(patch(bytes(broken), 0, 0, 8), LogConfig(compression_type="zstd"))


@pytest.mark.parametrize("codec", Codec)
def test_a_compacted_topic_names_the_records_without_a_key(codec: Codec) -> None:
    keyed = [NewRecord(1000, b"k" if index % 2 else None, b"v") for index in range(6)]
    with pytest.raises(InvalidRecord) as refused:
        accept(build_batch(keyed, codec=codec), COMPACTED)
    assert not isinstance(refused.value, InvalidTimestamp)
    assert [error.batch_index for error in refused.value.record_errors] == [0, 2, 4]
    accept(build_batch([NewRecord(1000, b"", None)], codec=codec), COMPACTED)


@pytest.mark.parametrize("codec", Codec)
def test_records_too_old_or_too_new_are_named(codec: Codec) -> None:
    news = [NewRecord(stamp, b"k", b"v") for stamp in (5, 10**6, -1, 3, 10**7)]
    batch = build_batch(news, codec=codec)
    after = LogConfig(message_timestamp_after_max_ms=1000)
    with pytest.raises(InvalidTimestamp) as refused:
        accept(batch, after, now_ms=10**6)
    assert [error.batch_index for error in refused.value.record_errors] == [4]
    both = LogConfig(message_timestamp_before_max_ms=1000, message_timestamp_after_max_ms=1000)
    with pytest.raises(InvalidTimestamp) as refused:
        accept(batch, both, now_ms=10**6)
    assert [error.batch_index for error in refused.value.record_errors] == [0, 3, 4]
    accept(build_batch(news[1:3], codec=codec), both, now_ms=10**6)


def test_a_missing_key_counts_before_a_wrong_time() -> None:
    news = [NewRecord(1, None, b"v"), NewRecord(2, b"k", b"v")]
    config = LogConfig(cleanup_policy=frozenset({"compact"}), message_timestamp_before_max_ms=10)
    with pytest.raises(InvalidTimestamp) as refused:
        accept(build_batch(news), config)
    first, second = refused.value.record_errors
    assert "key" in first.message
    assert "timestamp" in second.message


def test_a_maximum_below_the_first_timestamp_is_put_right() -> None:
    prepared = accept(patch(BASE, MAX_TIMESTAMP_AT, 3, 8))
    assert prepared.batch == BASE
    assert prepared.header.max_timestamp == 1006


def test_a_maximum_too_far_ahead_is_put_right_where_no_record_is() -> None:
    assert accept(patch(BASE, MAX_TIMESTAMP_AT, 10**12, 8)).batch == BASE


def test_a_maximum_before_all_time_counts_as_none() -> None:
    before = patch(patch(BASE, BASE_TIMESTAMP_AT, -100, 8), MAX_TIMESTAMP_AT, -94, 8)
    assert accept(before).header.max_timestamp == -1


def test_records_without_timestamp_are_taken() -> None:
    batch = build_batch([NewRecord(-1, None, b"v")])
    assert accept(batch, now_ms=10**12).batch == batch


def test_a_timestamp_beyond_64_bits_is_refused() -> None:
    with pytest.raises(InvalidRecord):
        accept(patch(BASE, BASE_TIMESTAMP_AT, 2**63 - 3, 8))


def record(timestamp_delta: int, offset_delta: int) -> bytes:
    body, out = bytearray(1), bytearray()
    append_varint(body, timestamp_delta)
    append_varint(body, offset_delta)
    body += b"\x01\x02v\x00"
    append_varint(out, len(body))
    return bytes(out + body)


@pytest.mark.parametrize(
    ("base_timestamp", "deltas"),
    [(-(2**63), [-1]), (2**63 - 1, [1]), (-1, [-(2**63) + 1, 2**63 - 1])],
)
def test_a_batch_made_anew_has_no_timestamp_beyond_64_bits(
    base_timestamp: int, deltas: list[int]
) -> None:
    """LogAppendTime asks no record for its time; offset deltas that are off have to be put
    right.
    """
    count = len(deltas)
    batch = bytearray(SINGLE[:HEADER])
    batch += b"".join(record(delta, 7 + index) for index, delta in enumerate(deltas))
    for position, value, size in (
        (LENGTH_AT, len(batch) - LOG_OVERHEAD, 4),
        (BASE_TIMESTAMP_AT, base_timestamp, 8),
        (LAST_OFFSET_DELTA_AT, count - 1, 4),
        (RECORD_COUNT_AT, count, 4),
    ):
        batch[:] = patch(bytes(batch), position, value, size)
    recompressing = LogConfig(compression_type="gzip", message_timestamp_type="LogAppendTime")
    with pytest.raises(InvalidRecord, match="out of range"):
        accept(bytes(batch), recompressing)


@pytest.mark.parametrize("codec", Codec)
def test_log_append_time_is_stamped(codec: Codec) -> None:
    prepared = accept(build_batch(RECORDS, codec=codec), APPEND_TIME, now_ms=10**9)
    assert prepared.append_time_ms == 10**9
    assert prepared.header.timestamp_type is TimestampType.LOG_APPEND_TIME
    assert {record.timestamp for record in contents(prepared.batch)} == {10**9}


def test_a_producer_must_not_claim_log_append_time() -> None:
    claiming = patch(BASE, ATTRIBUTES_AT, 8, 2)
    with pytest.raises(InvalidTimestamp) as refused:
        accept(claiming, APPEND_TIME)
    assert len(refused.value.record_errors) == len(RECORDS)
    # On a topic of CreateTime only the flag goes.
    assert accept(claiming).batch == BASE


def test_attributes_without_a_meaning_go_where_the_timestamp_changes() -> None:
    odd = patch(BASE, ATTRIBUTES_AT, 0x0180, 2)
    assert accept(odd).header.attributes == 0x0180
    assert accept(odd, APPEND_TIME).header.attributes == 8


def test_lies_inside_a_batch_are_not_looked_for() -> None:
    """The price of no work per record: such a batch is stored, and harms whoever reads it."""
    lying = patch(patch(BASE, RECORD_COUNT_AT, 6, 4), LAST_OFFSET_DELTA_AT, 5, 4)
    stored = accept(lying).batch
    with pytest.raises(InvalidRecord):
        contents(stored)
    with pytest.raises(InvalidRecord):
        accept(lying, LogConfig(compression_type="gzip"))
