"""Reads batches of one plain record each, many at once: a coordinator's log is made of them.

A replay walks a million of them, so header and record are read in one step. This reads only
batches of which it knows every byte: format 2, one record, not compressed, no control batch, no
producer, no headers. It stops before any other batch. `batch` reads that, and says what is wrong
with it.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from .batch import CODEC_MASK, CONTROL_MASK, HEADER, LOG_OVERHEAD, MAGIC, NO_PRODUCER_ID
from .record import RECORD_BYTES_MIN

if TYPE_CHECKING:
    from .batch import KeyValue

# Base offset, length, magic, attributes, last offset delta, producer id, record count.
_unpack_header = struct.Struct(">qi4xb4xhi16xq6xi").unpack_from
_SPECIAL = CODEC_MASK | CONTROL_MASK
_BATCH_BYTES_MIN = HEADER + RECORD_BYTES_MIN
_NULL_SIZE = 1  # -1 as a zigzag varint
_SIZE_MAX = 0x3FFF  # of a varint of two bytes


class LoneRecords(NamedTuple):
    """What `lone_records` found, and where it stopped."""

    found: list[KeyValue]
    position: int  # of the first byte that was not taken
    next_offset: int  # after the last batch that was; as given, where none was


def lone_records(chunk: bytes, position: int, next_offset: int, count_max: int) -> LoneRecords:
    """Up to `count_max` records of `chunk`, which are consecutive batches, from `position` on."""
    found: list[KeyValue] = []
    last_position = len(chunk) - _BATCH_BYTES_MIN
    try:
        while position <= last_position and len(found) < count_max:
            base_offset, length, magic, attributes, last_delta, producer_id, count = _unpack_header(
                chunk, position
            )
            end = position + LOG_OVERHEAD + length
            if (
                count != 1
                or magic != MAGIC
                or attributes & _SPECIAL
                or producer_id != NO_PRODUCER_ID
                or end > len(chunk)
            ):
                break
            # Sizes of up to two bytes, which is why none within may be of more; all else but them
            # is of one, and the deltas are zero.
            at = position + HEADER
            size = chunk[at]
            if size >= 0x80:
                at += 1
                size = size & 0x7F | chunk[at] << 7
                if size > _SIZE_MAX:
                    break
            if size & 1 or at + 1 + (size >> 1) != end or chunk[at + 2] or chunk[at + 3]:
                break
            at += 4
            size = chunk[at]
            if size >= 0x80:
                at += 1
                size = size & 0x7F | chunk[at] << 7
            key_at = at + 1
            at = key_at + (size >> 1)
            if size & 1 or at >= end:
                break
            key = chunk[key_at:at]
            size = chunk[at]
            if size >= 0x80:
                at += 1
                size = size & 0x7F | chunk[at] << 7
            at += 1
            if size == _NULL_SIZE:
                value = None
            elif size & 1:
                break
            else:
                value = chunk[at : at + (size >> 1)]
                at += size >> 1
            if at + 1 != end or chunk[at]:
                break
            found.append((base_offset, key, value))
            position = end
            next_offset = base_offset + last_delta + 1
    except IndexError:
        pass  # a size that leads out of the chunk
    return LoneRecords(found, position, next_offset)
