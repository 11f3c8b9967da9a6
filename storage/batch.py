"""Record batches of format 2 (magic 2): a view of the header, the CRC, and how to walk them.

Layout (KIP-98, DefaultRecordBatch): a header of 61 bytes, then the records, compressed as a whole
or not. The CRC-32C covers everything from the attributes on, so base offset, length, leader epoch
and magic can be set in place. A number in a batch is checked against the bytes that are there
before memory is allocated by it.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import TYPE_CHECKING

from .compression import DECOMPRESSED_BYTES_MAX, Codec, codec_of, decompress
from .crc import crc32c
from .errors import (
    CompressionError,
    CorruptBatch,
    InvalidRecord,
    UnsupportedCompression,
    UnsupportedForMessageFormat,
)
from .record import Record as Record
from .record import read_headers, spans

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .compression import Buffer

HEADER = 61  # bytes before the records
LOG_OVERHEAD = 12  # base offset and length, which the length does not count
MAGIC = 2

# Where each field starts.
BASE_OFFSET_AT = 0
LENGTH_AT = 8
LEADER_EPOCH_AT = 12
MAGIC_AT = 16
CRC_AT = 17
ATTRIBUTES_AT = 21  # the CRC covers from here to the end
LAST_OFFSET_DELTA_AT = 23
BASE_TIMESTAMP_AT = 27
MAX_TIMESTAMP_AT = 35
PRODUCER_ID_AT = 43
PRODUCER_EPOCH_AT = 51
BASE_SEQUENCE_AT = 53
RECORD_COUNT_AT = 57

CODEC_MASK = 0x07
TIMESTAMP_TYPE_MASK = 0x08
TRANSACTIONAL_MASK = 0x10
CONTROL_MASK = 0x20
DELETE_HORIZON_MASK = 0x40
_OTHER_ATTRIBUTES = CODEC_MASK | TRANSACTIONAL_MASK | CONTROL_MASK | DELETE_HORIZON_MASK

NO_TIMESTAMP = -1
NO_PRODUCER_ID = -1
NO_PRODUCER_EPOCH = -1
NO_SEQUENCE = -1
NO_LEADER_EPOCH = -1

INT32_MAX = 2**31 - 1
INT64_MAX = 2**63 - 1
INT64_MIN = -(2**63)

HEADER_STRUCT = struct.Struct(">qiibIhiqqqhii")
_unpack_header = HEADER_STRUCT.unpack_from
_LENGTH = struct.Struct(">i")
_BASE_OFFSET = struct.Struct(">q")
_LEADER_EPOCH = struct.Struct(">i")
_CRC = struct.Struct(">I")
_ATTRIBUTES = struct.Struct(">h")
_MAX_TIMESTAMP = struct.Struct(">q")


class TimestampType(IntEnum):
    """What a batch's timestamps are (message.timestamp.type)."""

    NO_TIMESTAMP_TYPE = -1  # there are no timestamps: format 0
    CREATE_TIME = 0
    LOG_APPEND_TIME = 1


class ControlType(IntEnum):
    """The type in a control record's key (Kafka's ControlRecordType)."""

    UNKNOWN = -1
    ABORT = 0
    COMMIT = 1
    LEADER_CHANGE = 2
    SNAPSHOT_HEADER = 3
    SNAPSHOT_FOOTER = 4
    KRAFT_VERSION = 5
    KRAFT_VOTERS = 6


class BatchHeader:
    """The 61 bytes in front of a batch's records, read at `position`.

    struct.error if fewer are there. Nothing else is checked: see `check_header`.
    """

    __slots__ = (
        "attributes",
        "base_offset",
        "base_sequence",
        "base_timestamp",
        "crc",
        "last_offset_delta",
        "leader_epoch",
        "length",
        "magic",
        "max_timestamp",
        "producer_epoch",
        "producer_id",
        "record_count",
    )

    base_offset: int
    length: int
    leader_epoch: int
    magic: int
    crc: int
    attributes: int
    last_offset_delta: int
    base_timestamp: int
    max_timestamp: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    record_count: int

    def __init__(self, view: Buffer, position: int = 0) -> None:
        (
            self.base_offset,
            self.length,
            self.leader_epoch,
            self.magic,
            self.crc,
            self.attributes,
            self.last_offset_delta,
            self.base_timestamp,
            self.max_timestamp,
            self.producer_id,
            self.producer_epoch,
            self.base_sequence,
            self.record_count,
        ) = _unpack_header(view, position)

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={getattr(self, name)}" for name in BatchHeader.__slots__)
        return f"{type(self).__name__}({fields})"

    @property
    def size_bytes(self) -> int:
        """Of the whole batch, header included."""
        return self.length + LOG_OVERHEAD

    @property
    def last_offset(self) -> int:
        """Inclusive."""
        return self.base_offset + self.last_offset_delta

    @property
    def next_offset(self) -> int:
        """The offset after this batch."""
        return self.base_offset + self.last_offset_delta + 1

    @property
    def codec(self) -> Codec:
        """UnsupportedCompression for codec bits that name none."""
        return codec_of(self.attributes & CODEC_MASK)

    @property
    def is_compressed(self) -> bool:
        return self.attributes & CODEC_MASK != 0

    @property
    def timestamp_type(self) -> TimestampType:
        if self.attributes & TIMESTAMP_TYPE_MASK:
            return TimestampType.LOG_APPEND_TIME
        return TimestampType.CREATE_TIME

    @property
    def is_transactional(self) -> bool:
        return self.attributes & TRANSACTIONAL_MASK != 0

    @property
    def is_control(self) -> bool:
        return self.attributes & CONTROL_MASK != 0

    @property
    def has_producer_id(self) -> bool:
        return self.producer_id > NO_PRODUCER_ID

    @property
    def delete_horizon_ms(self) -> int | None:
        """When the cleaner may drop the tombstones (KIP-534); stored as the base timestamp."""
        return self.base_timestamp if self.attributes & DELETE_HORIZON_MASK else None

    @property
    def last_sequence(self) -> int:
        """Sequence of the last record, wrapping after 2^31-1; NO_SEQUENCE where there is none."""
        if self.base_sequence == NO_SEQUENCE:
            return NO_SEQUENCE
        return increment_sequence(self.base_sequence, self.last_offset_delta)


def increment_sequence(sequence: int, increment: int) -> int:
    """Sequences run 0..2^31-1 and start again at 0."""
    return (sequence + increment) & INT32_MAX


def decrement_sequence(sequence: int, decrement: int) -> int:
    """The sequence `decrement` before `sequence`."""
    return (sequence - decrement) & INT32_MAX


def batch_crc(batch: memoryview) -> int:
    """The CRC that `batch` (exactly one) ought to carry."""
    return crc32c(batch[ATTRIBUTES_AT:])


def verify_crc(batch: memoryview) -> None:
    """CorruptBatch unless the stored CRC of `batch` (exactly one) is right."""
    computed = crc32c(batch[ATTRIBUTES_AT:])
    (stored,) = _CRC.unpack_from(batch, CRC_AT)
    if computed != stored:
        raise CorruptBatch(
            f"record batch is corrupt (stored crc = {stored}, computed crc = {computed})"
        )


def check_header(header: BatchHeader) -> None:
    """That the length and the magic can be a batch's: CorruptBatch, UnsupportedForMessageFormat."""
    if header.magic != MAGIC:
        if header.magic in (0, 1):
            raise UnsupportedForMessageFormat(
                f"record batches of magic {header.magic} are not supported"
            )
        raise CorruptBatch(f"invalid magic in a record batch: {header.magic}")
    if header.length < HEADER - LOG_OVERHEAD:
        raise CorruptBatch(
            f"record batch size {header.size_bytes} is smaller than the minimum overhead {HEADER}"
        )


def batches(
    view: memoryview, *, check_crc: bool = False, partial_tail: bool = False
) -> Iterator[tuple[BatchHeader, memoryview]]:
    """Each batch of consecutive ones in `view`: its header and exactly its bytes.

    CorruptBatch where a length or magic is wrong, or (check_crc) a CRC is. Bytes after the last
    whole batch are CorruptBatch too, unless `partial_tail`: a fetch may end inside a batch.
    """
    position = 0
    size = len(view)
    while position < size:
        if size - position < HEADER:
            if partial_tail:
                return
            raise CorruptBatch(f"{size - position} bytes after the last record batch")
        header = BatchHeader(view, position)
        check_header(header)
        end = position + header.length + LOG_OVERHEAD
        if end > size:
            if partial_tail:
                return
            raise cut_off(header, size - position)
        batch = view[position:end]
        if check_crc:
            verify_crc(batch)
        yield header, batch
        position = end


def cut_off(header: BatchHeader, size: int) -> CorruptBatch:
    """Of a batch only `size` bytes are there."""
    return CorruptBatch(f"record batch of {header.size_bytes} bytes is cut off after {size}")


# Setting fields in place. `batch` is writable and starts at the batch's first byte.


def set_base_offset(batch: memoryview | bytearray, base_offset: int) -> None:
    """Outside of the CRC."""
    _BASE_OFFSET.pack_into(batch, BASE_OFFSET_AT, base_offset)


def set_leader_epoch(batch: memoryview | bytearray, leader_epoch: int) -> None:
    """Outside of the CRC."""
    _LEADER_EPOCH.pack_into(batch, LEADER_EPOCH_AT, leader_epoch)


def set_max_timestamp(batch: memoryview, timestamp_type: TimestampType, max_timestamp: int) -> None:
    """Set type and maximum of the timestamps.

    Only where one of them changes, the CRC is computed anew, and attributes without a meaning are
    cleared, as Kafka does.
    """
    (attributes,) = _ATTRIBUTES.unpack_from(batch, ATTRIBUTES_AT)
    (current,) = _MAX_TIMESTAMP.unpack_from(batch, MAX_TIMESTAMP_AT)
    flag = TIMESTAMP_TYPE_MASK if timestamp_type is TimestampType.LOG_APPEND_TIME else 0
    if attributes & TIMESTAMP_TYPE_MASK == flag and current == max_timestamp:
        return
    _ATTRIBUTES.pack_into(batch, ATTRIBUTES_AT, attributes & _OTHER_ATTRIBUTES | flag)
    _MAX_TIMESTAMP.pack_into(batch, MAX_TIMESTAMP_AT, max_timestamp)
    _CRC.pack_into(batch, CRC_AT, batch_crc(batch))


# Records.


def payload(
    batch: memoryview, header: BatchHeader, max_bytes: int = DECOMPRESSED_BYTES_MAX
) -> bytes:
    """The records section of `batch`, decompressed.

    InvalidRecord if its codec is unknown, its stream broken, or it takes over `max_bytes`.
    """
    try:
        return decompress(header.codec, batch[HEADER : header.size_bytes], max_bytes)
    except (CompressionError, UnsupportedCompression) as error:
        raise InvalidRecord(f"failed to decompress a record batch: {error}") from error


def records(
    batch: memoryview,
    header: BatchHeader | None = None,
    max_bytes: int = DECOMPRESSED_BYTES_MAX,
) -> Iterator[Record]:
    """The records of `batch` (exactly one), in order, decompressed first where need be.

    With LogAppendTime every record has the batch's maximum timestamp. InvalidRecord where a record
    or the compressed stream is broken, or where that takes over `max_bytes` of memory; whole
    records before a broken one come out.
    """
    if header is None:
        header = BatchHeader(batch)
    data = payload(batch, header, max_bytes)
    base_offset = header.base_offset
    base_timestamp, append_time = _time_base(header)
    for (
        offset_delta,
        timestamp_delta,
        key_at,
        key_size,
        value_at,
        value_size,
        headers_at,
        header_count,
    ) in spans(data, header.record_count):
        timestamp = base_timestamp + timestamp_delta if append_time is None else append_time
        if not INT64_MIN <= timestamp <= INT64_MAX:
            raise InvalidRecord(f"timestamp {timestamp} of a record is out of range")
        yield Record(
            base_offset + offset_delta,
            timestamp,
            data[key_at : key_at + key_size] if key_size >= 0 else None,
            data[value_at : value_at + value_size] if value_size >= 0 else None,
            read_headers(data, headers_at, header_count) if header_count else (),
        )


def timestamps(
    batch: memoryview,
    header: BatchHeader | None = None,
    max_bytes: int = DECOMPRESSED_BYTES_MAX,
) -> Iterator[tuple[int, int]]:
    """(offset, timestamp) of each record of `batch`, without keys and values; else as `records`."""
    if header is None:
        header = BatchHeader(batch)
    base_offset = header.base_offset
    base_timestamp, append_time = _time_base(header)
    for span in spans(payload(batch, header, max_bytes), header.record_count):
        timestamp = base_timestamp + span[1] if append_time is None else append_time
        if not INT64_MIN <= timestamp <= INT64_MAX:
            raise InvalidRecord(f"timestamp {timestamp} of a record is out of range")
        yield base_offset + span[0], timestamp


KeyValue = tuple[int, bytes | None, bytes | None]  # offset, key, value


def key_values(data: bytes, header: BatchHeader) -> Iterator[KeyValue]:
    """(offset, key, value) of each record in the payload of a batch, without times and headers;
    else as `records`.
    """
    base_offset = header.base_offset
    for offset_delta, _, key_at, key_size, value_at, value_size, _, _ in spans(
        data, header.record_count
    ):
        yield (
            base_offset + offset_delta,
            data[key_at : key_at + key_size] if key_size >= 0 else None,
            data[value_at : value_at + value_size] if value_size >= 0 else None,
        )


def _time_base(header: BatchHeader) -> tuple[int, int | None]:
    """What timestamp deltas count from, and the one time of all records with LogAppendTime."""
    if header.attributes & TIMESTAMP_TYPE_MASK:
        return header.base_timestamp, header.max_timestamp
    return header.base_timestamp, None


# Control records.

_CONTROL_KEY = struct.Struct(">hh")  # version, type
_END_TRANSACTION_VALUE = struct.Struct(">hi")  # version, coordinator epoch


def control_type(key: bytes | None) -> ControlType:
    """The type in a control record's key. InvalidRecord if the key is none."""
    if key is None or len(key) < _CONTROL_KEY.size:
        raise InvalidRecord("the key of a control record is too short")
    version, type_id = _CONTROL_KEY.unpack_from(key)
    if version < 0:
        raise InvalidRecord(f"invalid version of a control record: {version}")
    try:
        return ControlType(type_id)
    except ValueError:
        return ControlType.UNKNOWN


def control_key(type_: ControlType) -> bytes:
    """The key of a control record."""
    return _CONTROL_KEY.pack(0, type_)


def end_transaction_value(coordinator_epoch: int) -> bytes:
    """The value of a COMMIT or ABORT marker (EndTxnMarker version 0)."""
    return _END_TRANSACTION_VALUE.pack(0, coordinator_epoch)


def end_transaction_coordinator_epoch(value: bytes | None) -> int:
    """The coordinator epoch in a marker's value. InvalidRecord if the value is none."""
    if value is None or len(value) < _END_TRANSACTION_VALUE.size:
        raise InvalidRecord("the value of a transaction marker is too short")
    version, coordinator_epoch = _END_TRANSACTION_VALUE.unpack_from(value)
    if version < 0:
        raise InvalidRecord(f"invalid version of a transaction marker: {version}")
    return int(coordinator_epoch)
