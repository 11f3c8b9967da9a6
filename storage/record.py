"""Records inside an uncompressed batch payload: walks them and checks every size.

A record has its length, attributes (none in use), timestamp delta, offset delta, key, value and
headers. All sizes are zigzag varints, and -1 is null (DefaultRecord).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import InvalidRecord
from .varint import VARLONG_BYTES_MAX, read_varint

if TYPE_CHECKING:
    from collections.abc import Iterator

# Seven varints of one byte: the least a record takes.
RECORD_BYTES_MIN = 7


class Record:
    """One record; header keys that are not UTF-8 carry surrogate escapes."""

    __slots__ = ("headers", "key", "offset", "timestamp", "value")

    def __init__(
        self,
        offset: int,
        timestamp: int,
        key: bytes | None,
        value: bytes | None,
        headers: tuple[tuple[str, bytes | None], ...] = (),
    ) -> None:
        self.offset = offset
        self.timestamp = timestamp
        self.key = key
        self.value = value
        self.headers = headers

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Record):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return (
            f"Record(offset={self.offset}, timestamp={self.timestamp}, key={self.key!r}, "
            f"value={self.value!r}, headers={self.headers!r})"
        )


# What `spans` tells of a record: offset delta, timestamp delta, where the key starts and its size,
# where the value starts and its size, where the first header starts and how many there are.
Span = tuple[int, int, int, int, int, int, int, int]


def spans(data: bytes, record_count: int) -> Iterator[Span]:
    """Walk `record_count` records over an uncompressed payload; sizes of -1 are null.

    InvalidRecord where a size, a varint or a header count is wrong, a record overlaps the next one,
    or bytes remain after the last. The walk ends with the payload, whatever `record_count` claims.
    """
    if record_count < 0:
        raise InvalidRecord(f"invalid record count {record_count} in a record batch")
    position = 0
    size = len(data)
    try:
        # One-byte varints, nearly all there are, are read in line: this loop is what a walk costs.
        for _ in range(record_count):
            body_size = data[position]
            if body_size < 0x80:
                position += 1
                body_size = (body_size >> 1) ^ -(body_size & 1)
            else:
                body_size, position = read_varint(data, position)
            end = position + body_size
            if body_size < 0 or end > size:
                raise InvalidRecord(
                    f"a record declares {body_size} bytes, but {size - position} bytes are left in "
                    "its batch"
                )
            position += 1  # the attributes
            timestamp_delta = data[position]
            if timestamp_delta < 0x80:
                position += 1
                timestamp_delta = (timestamp_delta >> 1) ^ -(timestamp_delta & 1)
            else:
                timestamp_delta, position = read_varint(data, position, VARLONG_BYTES_MAX)
            offset_delta = data[position]
            if offset_delta < 0x80:
                position += 1
                offset_delta = (offset_delta >> 1) ^ -(offset_delta & 1)
            else:
                offset_delta, position = read_varint(data, position)
            key_size = data[position]
            if key_size < 0x80:
                key_at = position + 1
                key_size = (key_size >> 1) ^ -(key_size & 1)
            else:
                key_size, key_at = read_varint(data, position)
            position = key_at + key_size if key_size > 0 else key_at
            value_size = data[position]
            if value_size < 0x80:
                value_at = position + 1
                value_size = (value_size >> 1) ^ -(value_size & 1)
            else:
                value_size, value_at = read_varint(data, position)
            position = value_at + value_size if value_size > 0 else value_at
            header_count = data[position]
            if header_count:
                header_count, headers_at = read_varint(data, position)
                position = _skip_headers(data, headers_at, header_count, end)
            else:
                position = headers_at = position + 1
            if position != end:
                raise InvalidRecord(
                    f"a record declares {body_size} bytes, but its fields take "
                    f"{body_size + position - end}"
                )
            yield (
                offset_delta,
                timestamp_delta,
                key_at,
                key_size,
                value_at,
                value_size,
                headers_at,
                header_count,
            )
    except IndexError:
        raise InvalidRecord("a record batch ends before its last record") from None
    except ValueError as error:
        raise InvalidRecord(f"invalid record structure: {error}") from error
    if record_count and position != size:
        raise InvalidRecord(f"{size - position} bytes after the last record of a batch")


def _skip_headers(data: bytes, position: int, header_count: int, end: int) -> int:
    """The position after `header_count` headers, none of which passes `end`."""
    if header_count < 0 or header_count > end - position:
        raise InvalidRecord(f"invalid number of record headers: {header_count}")
    for _ in range(header_count):
        size, position = read_varint(data, position)
        if size < 0:
            raise InvalidRecord(f"invalid header key size: {size}")
        position += size
        size, position = read_varint(data, position)
        if size > 0:
            position += size
        if position > end:
            raise InvalidRecord("a record header exceeds the end of its record")
    return position


def read_headers(
    data: bytes, position: int, header_count: int
) -> tuple[tuple[str, bytes | None], ...]:
    """The headers at `position`, which `spans` has checked."""
    headers = []
    for _ in range(header_count):
        size, position = read_varint(data, position)
        key = data[position : position + size].decode("utf-8", "surrogateescape")
        position += size
        size, position = read_varint(data, position)
        value = None
        if size >= 0:
            value = data[position : position + size]
            position += size
        headers.append((key, value))
    return tuple(headers)
