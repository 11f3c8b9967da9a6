"""Walks a segment's file from batch to batch, whatever their formats are.

CorruptBatch if the bytes cannot be divided into batches, UnknownFormat if a batch is of a later
format. The contents of the batches are not checked.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from .batch import HEADER, LOG_OVERHEAD, MAGIC, BatchHeader
from .errors import CorruptBatch, UnknownFormat
from .formats import FRAME, SIZE_MIN, header_of, length_min
from .offset_index import MAX_RELATIVE_OFFSET

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .disk import File

# Headers are read one by one: small batches come many to a read.
SCAN_BYTES = 2048

_READ_BYTES = 128 * 1024
_LENGTH_MIN = HEADER - LOG_OVERHEAD
_FRAME = struct.Struct(">qi4xb")  # base offset, length, magic
_UP_TO_HEADER = bytes(HEADER)


def batches(
    file: File, position: int, end: int, base_offset: int
) -> Iterator[tuple[int, memoryview]]:
    """(position, whole batch) from `position` up to `end`, in a segment of this base offset."""
    while position < end:
        chunk = memoryview(file.read_at(position, min(_READ_BYTES, end - position)))
        at = 0
        while len(chunk) - at >= FRAME:
            _, length, magic = _FRAME.unpack_from(chunk, at)
            size = LOG_OVERHEAD + length
            if magic != MAGIC or length < _LENGTH_MIN or position + at + size > end:
                check_whole(file, chunk, at, position, end, base_offset)
            if at + size > len(chunk):
                if at:
                    break
                chunk = memoryview(file.read_at(position, size))
                if len(chunk) < size:
                    raise CorruptBatch(
                        f"{file.path}: the file ends within the batch at position {position}"
                    )
            yield position + at, chunk[at : at + size]
            at += size
        if not at:
            raise CorruptBatch(
                f"{file.path}: {len(chunk)} bytes at position {position} of {end} hold no whole "
                "batch"
            )
        position += at


def headers(
    file: File, position: int, end: int, base_offset: int
) -> Iterator[tuple[int, BatchHeader]]:
    """(position, header) of the batches, else as `batches`."""
    while position < end:
        chunk = file.read_at(position, min(SCAN_BYTES, end - position))
        limit = len(chunk) - HEADER
        if position + len(chunk) == end:
            # The last batch may be smaller than a header of format 2.
            limit = len(chunk) - SIZE_MIN
            chunk += _UP_TO_HEADER
        at = 0
        while at <= limit:
            header = BatchHeader(chunk, at)
            length = header.length
            if (
                header.magic != MAGIC
                or length < _LENGTH_MIN
                or position + at + LOG_OVERHEAD + length > end
            ):
                check_whole(file, chunk, at, position, end, base_offset)
                header = header_of(chunk, at)
            yield position + at, header
            at += header.size_bytes
        if not at:
            raise CorruptBatch(
                f"{file.path}: {end - position} bytes at position {position} of {end} hold no "
                "whole batch"
            )
        position += at


def check_whole(
    file: File, chunk: bytes | memoryview, at: int, position: int, end: int, base_offset: int
) -> None:
    """That a batch of a known format, which ends before `end`, begins `at` bytes into what was read
    at `position`.

    What is of no known format is damage, unless its offset and its length fit in there.
    """
    offset, length, magic = _FRAME.unpack_from(chunk, at)
    position += at
    size = LOG_OVERHEAD + length
    is_whole = length >= length_min(magic) and position + size <= end
    if 0 <= magic <= MAGIC:
        if not is_whole:
            raise CorruptBatch(
                f"{file.path}: invalid batch of {size} bytes at position {position} of {end}"
            )
        return
    if magic > MAGIC and is_whole and 0 <= offset - base_offset <= MAX_RELATIVE_OFFSET:
        raise UnknownFormat(file.path, position, magic)
    raise CorruptBatch(f"{file.path}: invalid magic {magic} at position {position}")
