"""Record batches of every format that a log may contain: 2, and before it 0 and 1.

Code that reads a log, or what a fetch brought, reads through this module. Producers send format 2
alone, and code that appends uses `batch`. Of a later format only the magic is known.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from . import batch as batch_format
from . import legacy
from .batch import HEADER, MAGIC, MAGIC_AT, BatchHeader
from .compression import DECOMPRESSED_BYTES_MAX
from .errors import InvalidRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .batch import KeyValue
    from .compression import Buffer
    from .record import Record

SIZE_MIN = legacy.SIZE_MIN  # the least that a batch of any format takes
FRAME = MAGIC_AT + 1  # bytes that have the same meaning in all formats


def header_of(view: Buffer, position: int = 0) -> BatchHeader:
    """The header of the batch there, which is whole or has SIZE_MIN bytes at least. Not checked."""
    if legacy.is_legacy(view, position):
        return legacy.LegacyHeader(view, position)
    return BatchHeader(view, position)


def read_header(content: bytes) -> BatchHeader:
    """As `header_of`, of what was read where a batch begins, be it cut off. Not checked."""
    return header_of(content.ljust(HEADER, b"\0"))


def check_header(header: BatchHeader) -> None:
    """That length and magic can be a batch's. CorruptBatch."""
    if _is_legacy(header):
        legacy.check_header(header)
    else:
        batch_format.check_header(header)


def length_min(magic: int) -> int:
    """The least that the length field of a batch can say, of a later format too."""
    return HEADER - batch_format.LOG_OVERHEAD if magic == MAGIC else legacy.LENGTH_MIN


def verify_crc(batch: memoryview) -> None:
    """CorruptBatch unless the stored CRC of `batch` (exactly one) is right."""
    if legacy.is_legacy(batch):
        legacy.verify_crc(batch)
    else:
        batch_format.verify_crc(batch)


def batches(
    view: memoryview, *, check_crc: bool = False, partial_tail: bool = False
) -> Iterator[tuple[BatchHeader, memoryview]]:
    """Each batch of consecutive ones of any format in `view`, as `batch.batches`."""
    while view:
        if len(view) >= SIZE_MIN and legacy.is_legacy(view):
            header: BatchHeader = legacy.LegacyHeader(view)
            legacy.check_header(header)
            if header.size_bytes > len(view):
                if partial_tail:
                    return
                raise batch_format.cut_off(header, len(view))
            batch = view[: header.size_bytes]
            if check_crc:
                legacy.verify_crc(batch)
        else:
            walk = batch_format.batches(view, check_crc=check_crc, partial_tail=partial_tail)
            found = next(walk, None)
            if found is None:
                return
            header, batch = found
        yield header, batch
        view = view[len(batch) :]


def records(
    batch: memoryview,
    header: BatchHeader | None = None,
    max_bytes: int = DECOMPRESSED_BYTES_MAX,
    *,
    check_crc: bool = False,
) -> Iterator[Record]:
    """The records of `batch` (exactly one), as `batch.records`.

    `check_crc` checks what has a CRC of its own within the batch: CorruptBatch.
    """
    if header is None:
        header = header_of(batch)
    if _is_legacy(header):
        return legacy.records(batch, header, max_bytes, check_crc=check_crc)
    return batch_format.records(batch, header, max_bytes)


def key_values(batch: memoryview, header: BatchHeader) -> Iterator[KeyValue]:
    """(offset, key, value) of each record of `batch` (exactly one), which is decompressed before
    this returns. InvalidRecord.
    """
    if _is_legacy(header):
        return iter([(each.offset, each.key, each.value) for each in legacy.records(batch, header)])
    return batch_format.key_values(batch_format.payload(batch, header), header)


def timestamps(batch: memoryview, header: BatchHeader | None = None) -> Iterator[tuple[int, int]]:
    """(offset, timestamp) of each record of `batch`, as `batch.timestamps`."""
    if header is None:
        header = header_of(batch)
    if _is_legacy(header):
        return legacy.timestamps(batch, header)
    return batch_format.timestamps(batch, header)


def first_offset(batch: memoryview, header: BatchHeader | None = None) -> int:
    """The offset where the batch at the beginning of `batch` begins.

    Of a compressed one of an older format only its inside tells; where that is broken, the last.
    """
    if header is None:
        header = header_of(batch)
    if _is_legacy(header):
        with suppress(InvalidRecord):
            return legacy.first_offset(batch, header)
    return header.base_offset


def _is_legacy(header: BatchHeader) -> bool:
    return 0 <= header.magic < MAGIC
