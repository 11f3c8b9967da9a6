"""Checks the batch that a leader is to append, and rewrites it if the topic's config demands that.

Kafka's ProduceRequest.validateRecords, UnifiedLog.analyzeAndValidateRecords and LogValidator, but
per batch. CRC and header are always checked. Records are checked only in three cases: a rule is
about each record (keys on a compacted topic, message.timestamp.before.max.ms), the header
contradicts itself, or the records are decompressed anyway because the topic has another codec. So a
batch with a right CRC and damaged records is stored, which Kafka refuses. It does no harm beyond
itself: its record count is bounded by its size, so it cannot use up offsets; recovery and producer
state read only headers; and a reader of its records gets InvalidRecord.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .batch import (
    CODEC_MASK,
    CONTROL_MASK,
    HEADER,
    INT64_MAX,
    INT64_MIN,
    LENGTH_AT,
    LOG_OVERHEAD,
    MAGIC,
    MAGIC_AT,
    NO_LEADER_EPOCH,
    NO_TIMESTAMP,
    TIMESTAMP_TYPE_MASK,
    TRANSACTIONAL_MASK,
    BatchHeader,
    TimestampType,
    payload,
    set_max_timestamp,
    verify_crc,
)
from .builder import BatchBuilder, encode_batch
from .compression import DECOMPRESSED_BYTES_MAX, Codec, codec_of
from .errors import (
    CorruptBatch,
    InvalidRecord,
    InvalidTimestamp,
    RecordError,
    RecordTooLarge,
)
from .legacy import LENGTH_MIN
from .origin import Origin
from .record import RECORD_BYTES_MIN, read_headers, spans
from .varint import read_varint

if TYPE_CHECKING:
    from .log_config import LogConfig

LOG_APPEND_TIME = "LogAppendTime"
PRODUCER = "producer"
_CODECS = {
    "uncompressed": Codec.NONE,
    "gzip": Codec.GZIP,
    "snappy": Codec.SNAPPY,
    "lz4": Codec.LZ4,
    "zstd": Codec.ZSTD,
}
_RECORD_ERRORS_MAX = 10_000
_RECORDS_MAX = DECOMPRESSED_BYTES_MAX // RECORD_BYTES_MIN


class Prepared:
    """A batch fit to be appended, once its base offset and leader epoch are set in place.

    `batch` is writable and exactly one batch, the caller's own bytes where nothing had to change in
    size; `header` is its header. `append_time_ms` is what LogAppendTime stamped, else -1.
    """

    __slots__ = ("append_time_ms", "batch", "header", "is_rebuilt")

    def __init__(
        self, batch: memoryview, header: BatchHeader, append_time_ms: int, is_rebuilt: bool
    ) -> None:
        self.batch = batch
        self.header = header
        self.append_time_ms = append_time_ms
        self.is_rebuilt = is_rebuilt


def prepare(
    view: memoryview,
    config: LogConfig,
    now_ms: int,
    *,
    origin: Origin = Origin.CLIENT,
) -> Prepared:
    """Check the one batch in `view` for an append by CLIENT or COORDINATOR.

    Raises CorruptBatch, InvalidRecord, InvalidTimestamp, RecordTooLarge, UnsupportedCompression, in
    Kafka's order of checks. What a Produce request must have beyond that, whatever the log, the
    handler of Produce checks: for it one batch fills `view`.
    """
    size = len(view)
    if size < HEADER:
        view = _only_batch(view)
    header = BatchHeader(view)
    if header.length + LOG_OVERHEAD != size or header.magic != MAGIC:
        view = _only_batch(view)
        size = len(view)
    attributes = header.attributes
    codec_id = attributes & CODEC_MASK
    is_client = origin is Origin.CLIENT
    if is_client and header.base_offset:
        raise InvalidRecord(f"the base offset of a batch must be 0, not {header.base_offset}")
    if size > config.max_message_bytes:
        raise _too_large(size, config)
    verify_crc(view)
    count = header.record_count
    if header.last_offset_delta != count - 1 or count <= 0:
        raise _wrong_count(header)
    if is_client:
        if attributes & (CONTROL_MASK | TRANSACTIONAL_MASK) or header.producer_id >= 0:
            _check_producer(header)
        if codec_id:
            codec_of(codec_id)
            if count > _RECORDS_MAX:
                raise InvalidRecord(f"{count} records are more than a batch may hold")
        else:
            _check_first_record(view, size, count)
    if view.readonly:
        view = memoryview(bytearray(view))

    codec_wanted = codec_id
    if config.compression_type != PRODUCER and not attributes & CONTROL_MASK:
        codec_wanted = _CODECS[config.compression_type]
    is_append_time = config.message_timestamp_type == LOG_APPEND_TIME
    max_timestamp = header.max_timestamp
    reads_records = codec_wanted != codec_id
    if is_client and not reads_records:
        if config.compacts or attributes & TIMESTAMP_TYPE_MASK:
            reads_records = True
        elif not is_append_time:
            reads_records = (
                max_timestamp > now_ms + config.message_timestamp_after_max_ms
                or max_timestamp < header.base_timestamp
                or max_timestamp < NO_TIMESTAMP
                or config.message_timestamp_before_max_ms != INT64_MAX
            )
    if reads_records:
        content = payload(view, header)
        found = _check_records(content, header, config, now_ms, is_client)
        max_timestamp = found.max_timestamp
        if codec_wanted != codec_id:
            view = _rebuild(content, header, config, Codec(codec_wanted), found)
            header = BatchHeader(view)
            if len(view) > config.max_message_bytes:
                raise _too_large(len(view), config)
    if is_append_time:
        set_max_timestamp(view, TimestampType.LOG_APPEND_TIME, now_ms)
        return Prepared(view, BatchHeader(view), now_ms, codec_wanted != codec_id)
    if header.attributes & TIMESTAMP_TYPE_MASK or header.max_timestamp != max_timestamp:
        set_max_timestamp(view, TimestampType.CREATE_TIME, max_timestamp)
        header = BatchHeader(view)
    return Prepared(view, header, NO_TIMESTAMP, codec_wanted != codec_id)


# The batch.


def _only_batch(view: memoryview) -> memoryview:
    """The one whole batch in `view`, which does not simply fill it.

    An incomplete batch behind it is left out, as Kafka does. Raises where there is none or another.
    """
    size = _whole_batch_size(view)
    if size is None:
        raise InvalidRecord("a produce request must have at least one record batch per partition")
    magic = view[MAGIC_AT]
    if magic != MAGIC:
        raise InvalidRecord(f"only record batches of magic 2 are allowed, not of magic {magic}")
    if size < HEADER:
        raise CorruptBatch(
            f"record batch size {size} is smaller than the minimum overhead {HEADER}"
        )
    if _whole_batch_size(view[size:]) is not None:
        raise InvalidRecord("a produce request must have exactly one record batch per partition")
    return view[:size]


def _whole_batch_size(view: memoryview) -> int | None:
    """The size of the first batch in `view`; None if it is cut off. CorruptBatch."""
    if len(view) < LOG_OVERHEAD:
        return None
    length = int.from_bytes(view[LENGTH_AT:LOG_OVERHEAD], "big", signed=True)
    if length < LENGTH_MIN:
        raise CorruptBatch(f"length {length} is less than the least of a record batch")
    if len(view) <= MAGIC_AT:
        return None
    if view[MAGIC_AT] > MAGIC:
        raise CorruptBatch(f"invalid magic in a record batch: {view[MAGIC_AT]}")
    size = length + LOG_OVERHEAD
    return size if size <= len(view) else None


def _too_large(size: int, config: LogConfig) -> RecordTooLarge:
    return RecordTooLarge(
        f"a record batch of {size} bytes exceeds the maximum of {config.max_message_bytes}"
    )


def _wrong_count(header: BatchHeader) -> InvalidRecord:
    return InvalidRecord(
        f"inconsistent record batch: {header.record_count} records, "
        f"last offset delta {header.last_offset_delta}"
    )


def _check_producer(header: BatchHeader) -> None:
    if header.is_control:
        raise InvalidRecord("clients are not allowed to write control records")
    if header.has_producer_id:
        if header.base_sequence < 0:
            raise InvalidRecord(
                f"invalid sequence number {header.base_sequence} of producer {header.producer_id}"
            )
    elif header.is_transactional:
        raise InvalidRecord("a transactional batch needs a producer id")


def _check_first_record(view: memoryview, size: int, count: int) -> None:
    """That `count` records fit in the uncompressed batch, and that the first ends where it may."""
    room = size - HEADER
    if count * RECORD_BYTES_MIN > room:
        raise InvalidRecord(f"{count} records do not fit in {room} bytes")
    first = view[HEADER]
    if first >= 0x80:
        try:
            first, start = read_varint(view, HEADER)
        except ValueError as error:
            raise InvalidRecord(f"the length of the first record: {error}") from error
        taken = start - HEADER + first
    else:
        taken = 1 + (first >> 1)
        first = (first >> 1) ^ -(first & 1)
    left = room - taken
    if first < RECORD_BYTES_MIN - 1 or left < (count - 1) * RECORD_BYTES_MIN:
        raise InvalidRecord(f"a first record of {first} bytes, with {room} bytes for {count}")
    if left and count == 1:
        raise InvalidRecord(f"{left} bytes after the only record of a batch")


# Records.


class _Found(NamedTuple):
    max_timestamp: int
    is_sequential: bool  # the offset deltas are 0, 1, 2, ...


def _check_records(
    content: bytes, header: BatchHeader, config: LogConfig, now_ms: int, is_client: bool
) -> _Found:
    """Walk the records; InvalidRecord or InvalidTimestamp with what is wrong with each."""
    base_timestamp = header.base_timestamp
    append_time = header.max_timestamp if header.attributes & TIMESTAMP_TYPE_MASK else None
    is_append_time = config.message_timestamp_type == LOG_APPEND_TIME
    before_max_ms = config.message_timestamp_before_max_ms
    earliest = INT64_MIN if before_max_ms == INT64_MAX else now_ms - before_max_ms
    latest = now_ms + config.message_timestamp_after_max_ms
    needs_key = is_client and config.compacts
    max_timestamp = NO_TIMESTAMP
    is_sequential = True
    errors: list[RecordError] = []
    has_timestamp_error = False
    for index, span in enumerate(spans(content, header.record_count)):
        offset_delta, timestamp_delta, _, key_size, *_ = span
        timestamp = base_timestamp + timestamp_delta if append_time is None else append_time
        if timestamp > max_timestamp:
            max_timestamp = timestamp
        if offset_delta != index:
            is_sequential = False
        error = None
        if needs_key and key_size < 0:
            error = "a compacted topic cannot accept a record without a key"
        elif not is_client:
            pass
        elif is_append_time or timestamp == NO_TIMESTAMP:
            if append_time is not None:
                error = "a producer must not set the timestamp type to LogAppendTime"
                has_timestamp_error = True
        elif not earliest <= timestamp <= latest:
            error = f"timestamp {timestamp} is not within [{earliest}, {latest}]"
            has_timestamp_error = True
        if error is not None and len(errors) < _RECORD_ERRORS_MAX:
            errors.append(RecordError(index, error))
    if errors:
        kind = InvalidTimestamp if has_timestamp_error else InvalidRecord
        shown = "; ".join(f"{error.batch_index}: {error.message}" for error in errors[:3])
        raise kind(f"records of a batch were rejected, the first being {shown}", errors)
    if max_timestamp > INT64_MAX:
        raise InvalidRecord(f"timestamp {max_timestamp} is out of range")
    return _Found(max_timestamp, is_sequential)


def _rebuild(
    content: bytes, header: BatchHeader, config: LogConfig, codec: Codec, found: _Found
) -> memoryview:
    """The batch with the topic's codec. Records go over as they are unless their deltas are off."""
    level = {
        Codec.GZIP: config.compression_gzip_level,
        Codec.LZ4: config.compression_lz4_level,
        Codec.ZSTD: config.compression_zstd_level,
    }.get(codec)
    attributes = header.attributes & TRANSACTIONAL_MASK
    base_timestamp = header.base_timestamp
    if not found.is_sequential or header.attributes & TIMESTAMP_TYPE_MASK:
        builder = BatchBuilder()
        append_time = header.max_timestamp if header.attributes & TIMESTAMP_TYPE_MASK else None
        for span in spans(content, header.record_count):
            _, timestamp_delta, key_at, key_size, value_at, value_size, headers_at, headers = span
            timestamp = base_timestamp + timestamp_delta if append_time is None else append_time
            first = builder.base_timestamp if builder.record_count else timestamp
            if timestamp < INT64_MIN or not INT64_MIN <= timestamp - first <= INT64_MAX:
                raise InvalidRecord(f"timestamp {timestamp} is out of range")
            builder.append(
                timestamp,
                content[key_at : key_at + key_size] if key_size >= 0 else None,
                content[value_at : value_at + value_size] if value_size >= 0 else None,
                read_headers(content, headers_at, headers),
            )
        content = bytes(builder.payload)
        base_timestamp = builder.base_timestamp
    return memoryview(
        encode_batch(
            content,
            base_offset=0,
            leader_epoch=NO_LEADER_EPOCH,
            attributes=attributes,
            codec=codec,
            level=level,
            last_offset_delta=header.last_offset_delta,
            base_timestamp=base_timestamp,
            max_timestamp=found.max_timestamp,
            producer_id=header.producer_id,
            producer_epoch=header.producer_epoch,
            base_sequence=header.base_sequence,
            record_count=header.record_count,
        )
    )
