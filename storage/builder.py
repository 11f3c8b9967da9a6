"""Makes record batches of format 2: for what the broker writes, for recompression, for the tools.

`build_batch` takes all records at once. `BatchBuilder` collects records up to a size. Control
batches (leader change, snapshot header and footer, transaction markers) are ordinary batches with
`is_control` and keys from `batch.control_key`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .batch import (
    ATTRIBUTES_AT,
    CONTROL_MASK,
    DELETE_HORIZON_MASK,
    HEADER,
    HEADER_STRUCT,
    INT32_MAX,
    LOG_OVERHEAD,
    MAGIC,
    NO_LEADER_EPOCH,
    NO_PRODUCER_EPOCH,
    NO_PRODUCER_ID,
    NO_SEQUENCE,
    NO_TIMESTAMP,
    TIMESTAMP_TYPE_MASK,
    TRANSACTIONAL_MASK,
    TimestampType,
)
from .compression import Codec, compress
from .crc import crc32c
from .varint import append_varint, varint_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .compression import Buffer


class NewRecord:
    """A record to be written; its offset follows from its place in the batch."""

    __slots__ = ("headers", "key", "timestamp", "value")

    def __init__(
        self,
        timestamp: int,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes | None]] = (),
    ) -> None:
        self.timestamp = timestamp
        self.key = key
        self.value = value
        self.headers = headers


def record_size(
    offset_delta: int,
    timestamp_delta: int,
    key: bytes | None,
    value: bytes | None,
    headers: Sequence[tuple[str, bytes | None]] = (),
) -> int:
    """Bytes the record takes in an uncompressed batch."""
    size = 1 + varint_size(timestamp_delta) + varint_size(offset_delta)
    size += _sized_length(key) + _sized_length(value) + varint_size(len(headers))
    for header_key, header_value in headers:
        size += _sized_length(header_key.encode("utf-8", "surrogateescape"))
        size += _sized_length(header_value)
    return varint_size(size) + size


def _sized_length(data: bytes | None) -> int:
    return 1 if data is None else varint_size(len(data)) + len(data)


def _append_sized(out: bytearray, data: bytes | None) -> None:
    if data is None:
        out.append(1)  # the varint of -1
    else:
        append_varint(out, len(data))
        out += data


class BatchBuilder:
    """Collects the records of one batch. `size_bytes` is the batch's size so far, uncompressed."""

    __slots__ = ("base_timestamp", "max_timestamp", "payload", "record_count")

    def __init__(self) -> None:
        self.payload = bytearray()
        self.base_timestamp = NO_TIMESTAMP
        self.max_timestamp = NO_TIMESTAMP
        self.record_count = 0

    @property
    def size_bytes(self) -> int:
        return HEADER + len(self.payload)

    def size_with(
        self,
        timestamp: int,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes | None]] = (),
    ) -> int:
        """`size_bytes` as it would be with this record in it."""
        delta = timestamp - self.base_timestamp if self.record_count else 0
        return self.size_bytes + record_size(self.record_count, delta, key, value, headers)

    def append(
        self,
        timestamp: int,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes | None]] = (),
    ) -> int:
        """Add a record; the offset delta it gets."""
        offset_delta = self.record_count
        if offset_delta == INT32_MAX:
            raise ValueError("a batch is full")
        if not offset_delta:
            self.base_timestamp = timestamp
        if timestamp > self.max_timestamp:
            self.max_timestamp = timestamp
        body = bytearray(1)  # attributes
        append_varint(body, timestamp - self.base_timestamp)
        append_varint(body, offset_delta)
        _append_sized(body, key)
        _append_sized(body, value)
        append_varint(body, len(headers))
        for header_key, header_value in headers:
            _append_sized(body, header_key.encode("utf-8", "surrogateescape"))
            _append_sized(body, header_value)
        append_varint(self.payload, len(body))
        self.payload += body
        self.record_count = offset_delta + 1
        return offset_delta

    def build(
        self,
        *,
        base_offset: int = 0,
        leader_epoch: int = NO_LEADER_EPOCH,
        codec: Codec = Codec.NONE,
        level: int | None = None,
        timestamp_type: TimestampType = TimestampType.CREATE_TIME,
        append_time_ms: int | None = None,
        producer_id: int = NO_PRODUCER_ID,
        producer_epoch: int = NO_PRODUCER_EPOCH,
        base_sequence: int = NO_SEQUENCE,
        is_control: bool = False,
        is_transactional: bool = False,
    ) -> bytes:
        """The batch. ValueError without a record.

        `append_time_ms` becomes the maximum timestamp, all that a reader of LogAppendTime looks at.
        """
        if not self.record_count:
            raise ValueError("a batch needs at least one record")
        attributes = 0
        if timestamp_type is TimestampType.LOG_APPEND_TIME:
            attributes |= TIMESTAMP_TYPE_MASK
        if is_control:
            attributes |= CONTROL_MASK
        if is_transactional:
            attributes |= TRANSACTIONAL_MASK
        batch = encode_batch(
            self.payload,
            base_offset=base_offset,
            leader_epoch=leader_epoch,
            attributes=attributes,
            codec=codec,
            level=level,
            last_offset_delta=self.record_count - 1,
            base_timestamp=self.base_timestamp,
            max_timestamp=self.max_timestamp if append_time_ms is None else append_time_ms,
            producer_id=producer_id,
            producer_epoch=producer_epoch,
            base_sequence=base_sequence,
            record_count=self.record_count,
        )
        return bytes(batch)


def build_batch(
    records: Iterable[NewRecord],
    *,
    base_offset: int = 0,
    leader_epoch: int = NO_LEADER_EPOCH,
    codec: Codec = Codec.NONE,
    level: int | None = None,
    timestamp_type: TimestampType = TimestampType.CREATE_TIME,
    append_time_ms: int | None = None,
    producer_id: int = NO_PRODUCER_ID,
    producer_epoch: int = NO_PRODUCER_EPOCH,
    base_sequence: int = NO_SEQUENCE,
    is_control: bool = False,
    is_transactional: bool = False,
) -> bytes:
    """One batch with `records`, offsets from `base_offset` on. ValueError without a record."""
    builder = BatchBuilder()
    for record in records:
        builder.append(record.timestamp, record.key, record.value, record.headers)
    return builder.build(
        base_offset=base_offset,
        leader_epoch=leader_epoch,
        codec=codec,
        level=level,
        timestamp_type=timestamp_type,
        append_time_ms=append_time_ms,
        producer_id=producer_id,
        producer_epoch=producer_epoch,
        base_sequence=base_sequence,
        is_control=is_control,
        is_transactional=is_transactional,
    )


def encode_batch(
    payload: Buffer,
    *,
    base_offset: int,
    leader_epoch: int,
    attributes: int,
    codec: Codec,
    level: int | None,
    last_offset_delta: int,
    base_timestamp: int,
    max_timestamp: int,
    producer_id: int,
    producer_epoch: int,
    base_sequence: int,
    record_count: int,
) -> bytearray:
    """A batch around an uncompressed payload of records; `attributes` without the codec's bits."""
    if attributes & DELETE_HORIZON_MASK and base_timestamp < 0:
        raise ValueError("a delete horizon is a time")
    body = compress(codec, payload, level) if codec else payload
    batch = bytearray(HEADER)
    batch += body
    view = memoryview(batch)

    def write_header(crc: int) -> None:
        HEADER_STRUCT.pack_into(
            batch,
            0,
            base_offset,
            len(batch) - LOG_OVERHEAD,
            leader_epoch,
            MAGIC,
            crc,
            attributes | codec,
            last_offset_delta,
            base_timestamp,
            max_timestamp,
            producer_id,
            producer_epoch,
            base_sequence,
            record_count,
        )

    write_header(0)
    write_header(crc32c(view[ATTRIBUTES_AT:]))
    return batch
