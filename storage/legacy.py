"""Record batches of the formats before 2 (magic 0 and 1), as Kafka wrote them before 0.11.

Such a batch is one message: offset, length, CRC-32 of all that follows, magic, attributes, from
format 1 on a timestamp, then key and value, each after its size (LegacyRecord). If the attributes
name a codec, the value is compressed messages, and the batch has the offset of the last of them
(AbstractLegacyRecordBatch). In format 0 these have offsets of their own. In format 1 theirs count
from the first one's, and with LogAppendTime all have the timestamp of the batch. Such batches are
read and served, but never written.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, NamedTuple

from .batch import (
    CODEC_MASK,
    LOG_OVERHEAD,
    NO_LEADER_EPOCH,
    NO_PRODUCER_EPOCH,
    NO_PRODUCER_ID,
    NO_SEQUENCE,
    NO_TIMESTAMP,
    TIMESTAMP_TYPE_MASK,
    BatchHeader,
    TimestampType,
)
from .compression import DECOMPRESSED_BYTES_MAX, Codec, decompress
from .errors import CompressionError, CorruptBatch, InvalidRecord, UnsupportedCompression
from .record import Record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .compression import Buffer

LENGTH_MIN = 14  # of format 0, without key and value
SIZE_MIN = LOG_OVERHEAD + LENGTH_MIN
NO_COUNT = -1  # of records: a batch does not say how many it holds

_MAGIC_AT = 16
_TIMESTAMP_AT = 18
_KEY_SIZE_AT = (18, 26)  # by magic
_LENGTHS_MIN = (14, 22)

_HEADER = struct.Struct(">qiIbB")
_OFFSET_LENGTH = struct.Struct(">qi")
_CRC = struct.Struct(">I")
_CRC_AT = 12
_TIMESTAMP = struct.Struct(">q")
_SIZE = struct.Struct(">i")


class LegacyHeader(BatchHeader):
    """What a batch of format 0 or 1 says of itself, as a BatchHeader.

    `base_offset` is the offset of its last record, which is the only one it names: `first_offset`
    looks inside. There is no producer and no epoch. struct.error if the header is cut off.
    """

    __slots__ = ()

    def __init__(self, view: Buffer, position: int = 0) -> None:
        self.base_offset, self.length, self.crc, self.magic, self.attributes = _HEADER.unpack_from(
            view, position
        )
        self.base_timestamp = NO_TIMESTAMP
        if self.magic:
            (self.base_timestamp,) = _TIMESTAMP.unpack_from(view, position + _TIMESTAMP_AT)
        self.attributes &= CODEC_MASK | TIMESTAMP_TYPE_MASK
        self.max_timestamp = self.base_timestamp
        self.last_offset_delta = 0
        self.leader_epoch = NO_LEADER_EPOCH
        self.producer_id = NO_PRODUCER_ID
        self.producer_epoch = NO_PRODUCER_EPOCH
        self.base_sequence = NO_SEQUENCE
        self.record_count = NO_COUNT

    @property
    def timestamp_type(self) -> TimestampType:
        if not self.magic:
            return TimestampType.NO_TIMESTAMP_TYPE
        return super().timestamp_type


def is_legacy(view: Buffer, position: int = 0) -> bool:
    """Whether the batch there, of which 17 bytes are at hand, is of format 0 or 1."""
    return view[position + _MAGIC_AT] < 2


def check_header(header: BatchHeader) -> None:
    """That the length can be that of a batch of its format, 0 or 1. CorruptBatch."""
    if header.length < _LENGTHS_MIN[header.magic]:
        raise CorruptBatch(
            f"a batch of magic {header.magic} has {header.length} bytes, but needs at least "
            f"{_LENGTHS_MIN[header.magic]}"
        )


def verify_crc(batch: memoryview) -> None:
    """CorruptBatch unless the stored CRC of `batch` (exactly one) is right."""
    computed = zlib.crc32(batch[_MAGIC_AT:])
    (stored,) = _CRC.unpack_from(batch, _CRC_AT)
    if computed != stored:
        raise CorruptBatch(
            f"record batch is corrupt (stored crc = {stored}, computed crc = {computed})"
        )


def records(
    batch: memoryview,
    header: BatchHeader,
    max_bytes: int = DECOMPRESSED_BYTES_MAX,
    *,
    check_crc: bool = False,
) -> Iterator[Record]:
    """The records of `batch` (exactly one), in order, decompressed first where need be.

    InvalidRecord where a message or the compressed stream is broken, or where that takes over
    `max_bytes` of memory. With `check_crc` those of the messages within are checked: CorruptBatch.
    """
    for message in _messages(batch, header, max_bytes):
        if check_crc:
            verify_crc(message.bytes)
        key, value = _key_and_value(message.bytes)
        yield Record(message.offset, message.timestamp, key, value)


def timestamps(
    batch: memoryview, header: BatchHeader, max_bytes: int = DECOMPRESSED_BYTES_MAX
) -> Iterator[tuple[int, int]]:
    """(offset, timestamp) of each record of `batch`; else as `records`."""
    for message in _messages(batch, header, max_bytes):
        yield message.offset, message.timestamp


def first_offset(batch: memoryview, header: BatchHeader) -> int:
    """The offset of the first record. InvalidRecord."""
    return next(timestamps(batch, header))[0]


class _Message(NamedTuple):
    """One message; `bytes` from its offset field on."""

    offset: int
    timestamp: int
    bytes: memoryview


def _messages(batch: memoryview, header: BatchHeader, max_bytes: int) -> list[_Message]:
    codec = _codec(header)
    if codec is Codec.NONE:
        return [_Message(header.base_offset, header.max_timestamp, batch)]
    _, value = _key_and_value(batch)
    if value is None:
        raise InvalidRecord("a compressed batch without a value")
    try:
        content = decompress(codec, value, max_bytes, checks_lz4_header=header.magic > 0)
    except CompressionError as error:
        raise InvalidRecord(f"failed to decompress a record batch: {error}") from error
    inner = list(_inner(memoryview(content), header))
    if not inner:
        raise InvalidRecord("a compressed batch contains no message")
    if not header.magic:
        return inner
    # Old librdkafka wrote 0 there, and the offsets then count from 0.
    shift = header.base_offset and header.base_offset - inner[-1].offset
    if shift < 0:
        raise InvalidRecord(
            f"a compressed batch has offset {header.base_offset}, but its last message has "
            f"offset {inner[-1].offset}"
        )
    return [message._replace(offset=message.offset + shift) for message in inner]


def _codec(header: BatchHeader) -> Codec:
    try:
        codec = header.codec
    except UnsupportedCompression as error:
        raise InvalidRecord(f"failed to decompress a record batch: {error}") from error
    if codec is Codec.ZSTD:
        raise InvalidRecord(f"a batch of magic {header.magic} cannot be compressed with zstd")
    return codec


def _inner(content: memoryview, wrapper: BatchHeader) -> Iterator[_Message]:
    """The messages as they say; one that is cut off at the end is left out, as Java leaves it."""
    is_append_time = wrapper.timestamp_type is TimestampType.LOG_APPEND_TIME
    position = 0
    while len(content) - position >= LOG_OVERHEAD:
        offset, length = _OFFSET_LENGTH.unpack_from(content, position)
        if length < LENGTH_MIN:
            raise InvalidRecord(f"a message has {length} bytes, but needs at least {LENGTH_MIN}")
        end = position + LOG_OVERHEAD + length
        if end > len(content):
            return
        message = content[position:end]
        magic = message[_MAGIC_AT]
        if magic > 1:
            raise InvalidRecord(
                f"a message of magic {magic} is in a batch of magic {wrapper.magic}"
            )
        if message[_MAGIC_AT + 1] & CODEC_MASK:
            raise InvalidRecord("a compressed message is inside a compressed batch")
        timestamp = NO_TIMESTAMP
        if magic:
            if length < _LENGTHS_MIN[1]:
                raise InvalidRecord(f"a message of magic 1 has only {length} bytes")
            (timestamp,) = _TIMESTAMP.unpack_from(message, _TIMESTAMP_AT)
            if is_append_time:
                timestamp = wrapper.max_timestamp
        yield _Message(offset, timestamp, message)
        position = end


def _key_and_value(message: memoryview) -> tuple[bytes | None, bytes | None]:
    """Of a message from its offset field on. InvalidRecord where they do not fit in it."""
    key, position = _sized(message, _KEY_SIZE_AT[message[_MAGIC_AT]])
    value, _ = _sized(message, position)
    return key, value


def _sized(message: memoryview, position: int) -> tuple[bytes | None, int]:
    """What lies behind its size (negative: null), and the position after it."""
    start = position + _SIZE.size
    if start > len(message):
        raise InvalidRecord(f"a message of {len(message)} bytes ends within a size field")
    (size,) = _SIZE.unpack_from(message, position)
    if size < 0:
        return None, start
    end = start + size
    if end > len(message):
        raise InvalidRecord(
            f"a field of {size} bytes at position {start} exceeds a message of {len(message)} bytes"
        )
    return bytes(message[start:end]), end
