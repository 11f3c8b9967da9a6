"""LZ4 frames as Kafka's Java reader takes them (Lz4BlockInputStream): one frame, and no more.

A frame must have independent blocks and an end mark. The checksums of the header and of the blocks
are checked; the size of the content and its checksum are not, and nothing behind the frame is
looked at. Producers of format 0 wrote a wrong checksum of the header (KAFKA-3160), so there it is
not checked.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from .errors import CompressionError

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAGIC = b"\x04\x22\x4d\x18"
_VERSION = 0x40
_VERSION_MASK = 0xC0
_INDEPENDENT_BLOCKS = 0x20
_BLOCK_CHECKSUMS = 0x10
_CONTENT_SIZE = 0x08
_CONTENT_CHECKSUM = 0x04
_RESERVED = 0x03
_BLOCK_BYTES_MAX = {0x40: 1 << 16, 0x50: 1 << 18, 0x60: 1 << 20, 0x70: 1 << 22}
_UNCOMPRESSED = 0x8000_0000

# xxHash, 32 bits.
_PRIMES = (2654435761, 2246822519, 3266489917, 668265263, 374761393)
_MASK = 0xFFFF_FFFF
_STRIPE = 16


def blocks(view: memoryview, *, checks_header: bool = True) -> Iterator[bytes]:
    """What each block of the frame at the beginning holds. CompressionError."""
    flags, block_bytes_max, position = _read_header(view, checks_header)
    has_checksums = flags & _BLOCK_CHECKSUMS
    while True:
        start = position + 4
        field = int.from_bytes(view[position:start], "little")
        size = field & ~_UNCOMPRESSED
        end = start + size
        if start > len(view) or end > len(view):
            raise CompressionError("lz4: the stream ends early")
        if not size:
            if flags & _CONTENT_CHECKSUM and start + 4 > len(view):
                raise CompressionError("lz4: the stream ends early")
            return
        if size > block_bytes_max:
            raise CompressionError(
                f"lz4: a block of {size} bytes exceeds the maximum of {block_bytes_max}"
            )
        block = view[start:end]
        content = bytes(block) if field & _UNCOMPRESSED else _decompress(block, block_bytes_max)
        position = end
        if has_checksums:
            position += 4
            if position > len(view):
                raise CompressionError("lz4: the stream ends early")
            if int.from_bytes(view[end:position], "little") != xxh32(block):
                raise CompressionError("lz4: the checksum of a block is wrong")
        if not content:
            return  # which Java's readers take for the end
        yield content


def _read_header(view: memoryview, checks_checksum: bool) -> tuple[int, int, int]:
    """Flags, the most that a block holds, and where the first block begins."""
    if len(view) < 6:
        raise CompressionError("lz4: the stream ends early")
    if view[:4] != _MAGIC:
        raise CompressionError("lz4: the data is not an lz4 frame")
    flags, block_size = view[4], view[5]
    if flags & _VERSION_MASK != _VERSION or flags & _RESERVED:
        raise CompressionError(f"lz4: unknown flags {flags:#x} of a frame")
    if not flags & _INDEPENDENT_BLOCKS:
        raise CompressionError("lz4: blocks that depend on each other are not supported")
    block_bytes_max = _BLOCK_BYTES_MAX.get(block_size)
    if block_bytes_max is None:
        raise CompressionError(f"lz4: unknown block size {block_size:#x} of a frame")
    end = 14 if flags & _CONTENT_SIZE else 6
    if len(view) <= end:
        raise CompressionError("lz4: the stream ends early")
    if checks_checksum and view[end] != _header_checksum(bytes(view[4:end])):
        raise CompressionError("lz4: the checksum of the frame's header is wrong")
    return flags, block_bytes_max, end + 1


@lru_cache(maxsize=64)
def _header_checksum(described: bytes) -> int:
    """Of the two bytes that nearly all headers are, it is asked for again and again."""
    return xxh32(described) >> 8 & 0xFF


def _decompress(block: memoryview, bytes_max: int) -> bytes:
    import lz4.block

    try:
        content: bytes = lz4.block.decompress(block, uncompressed_size=bytes_max)
    except lz4.block.LZ4BlockError as error:
        raise CompressionError(f"lz4: {error}") from error
    return content


def xxh32(data: bytes | memoryview) -> int:
    """The 32-bit xxHash with seed 0. Slow: for headers, and for blocks that have checksums, which
    no client of Kafka writes by default.
    """
    first, second, third, fourth, fifth = _PRIMES
    size = len(data)
    position = 0
    value = fifth
    if size >= _STRIPE:
        lanes = [(first + second) & _MASK, second, 0, -first & _MASK]
        while position <= size - _STRIPE:
            for index in range(4):
                word = int.from_bytes(data[position : position + 4], "little")
                lanes[index] = _rotate(lanes[index] + word * second, 13) * first & _MASK
                position += 4
        value = sum(_rotate(lane, bits) for lane, bits in zip(lanes, (1, 7, 12, 18), strict=True))
    value += size
    while position <= size - 4:
        word = int.from_bytes(data[position : position + 4], "little")
        value = _rotate(value + word * third, 17) * fourth
        position += 4
    for byte in data[position:]:
        value = _rotate(value + byte * fifth, 11) * first
    value &= _MASK
    value = (value ^ value >> 15) * second & _MASK
    value = (value ^ value >> 13) * third & _MASK
    return value ^ value >> 16


def _rotate(value: int, bits: int) -> int:
    value &= _MASK
    return (value << bits | value >> 32 - bits) & _MASK
