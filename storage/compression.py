"""The four codecs of record batches, in the framings that Java clients and librdkafka use.

gzip: RFC 1952, and members may be concatenated. snappy: the stream of snappy-java (a header, then
chunks of at most 32 KiB, each with its length), or one bare snappy block, which librdkafka writes.
lz4: one frame with independent blocks (`lz4_frame`). zstd: plain frames. Codec libraries are
imported when they are first used. Decompression never returns more than `max_bytes`.

The classes that Apache Kafka reads with differ in what they accept behind a stream, and in where a
stream may be cut off. Each codec here accepts what its class does.
"""

from __future__ import annotations

import struct
import zlib
from enum import IntEnum
from typing import TYPE_CHECKING

from . import lz4_frame
from .errors import CompressionError, UnsupportedCompression

if TYPE_CHECKING:
    from collections.abc import Iterable

Buffer = bytes | bytearray | memoryview

# What one uncompressed produce request could hold at most (socket.request.max.bytes, its default).
DECOMPRESSED_BYTES_MAX = 104_857_600

GZIP_LEVEL_DEFAULT = -1
LZ4_LEVEL_DEFAULT = 9
ZSTD_LEVEL_DEFAULT = 3

_SNAPPY_MAGIC = b"\x82SNAPPY\x00"
_SNAPPY_HEADER = _SNAPPY_MAGIC + b"\x00\x00\x00\x01\x00\x00\x00\x01"  # version 1, readable by 1
_SNAPPY_CHUNK_BYTES = 32 * 1024
_SNAPPY_RATIO_MAX = 22  # its densest element makes 64 bytes of 3
_READ_BYTES = 1 << 20

_GZIP_HEADER = struct.Struct("<HBB6x")
_GZIP_MAGIC = 0x8B1F
_GZIP_DEFLATE = 8
_GZIP_HEADER_CRC, _GZIP_EXTRA, _GZIP_NAME, _GZIP_COMMENT = 2, 4, 8, 16
_GZIP_TRAILER = struct.Struct("<II")
# So few bytes behind a member cannot be another one, and GZIPInputStream does not look at them.
_GZIP_IGNORED_MAX = 18

_ZSTD_MAGIC = 0xFD2F_B528
_ZSTD_SKIPPABLE = 0x184D_2A50
# What the first bytes of a frame must be a beginning of: those bytes, and the bits that count.
_ZSTD_MAGICS = (
    (_ZSTD_MAGIC.to_bytes(4, "little"), _ZSTD_MAGIC, 0xFFFF_FFFF),
    (_ZSTD_SKIPPABLE.to_bytes(4, "little"), _ZSTD_SKIPPABLE, 0xFFFF_FFF0),
)
_ZSTD_FILL_BYTES = (1 << 17) + 3  # what zstd-jni reads of its source at once


class Codec(IntEnum):
    """The codec bits of a batch's attributes."""

    NONE = 0
    GZIP = 1
    SNAPPY = 2
    LZ4 = 3
    ZSTD = 4


def compress(codec: Codec, data: Buffer, level: int | None = None) -> bytes:
    """`data` compressed; `level` as in compression.<codec>.level, None for Kafka's default."""
    match codec:
        case Codec.NONE:
            return bytes(data)
        case Codec.GZIP:
            compressor = zlib.compressobj(
                GZIP_LEVEL_DEFAULT if level is None else level, zlib.DEFLATED, 16 + zlib.MAX_WBITS
            )
            return compressor.compress(data) + compressor.flush()
        case Codec.SNAPPY:
            return _compress_snappy(data)
        case Codec.LZ4:
            return _compress_lz4(data, LZ4_LEVEL_DEFAULT if level is None else level)
        case Codec.ZSTD:
            import zstandard

            zstd = zstandard.ZstdCompressor(level=ZSTD_LEVEL_DEFAULT if level is None else level)
            return zstd.compress(data)


def decompress(
    codec: Codec,
    data: Buffer,
    max_bytes: int = DECOMPRESSED_BYTES_MAX,
    *,
    checks_lz4_header: bool = True,
) -> bytes:
    """`data` decompressed. CompressionError if corrupt, cut off, or larger than `max_bytes`.

    Without `checks_lz4_header` the checksum of an lz4 frame's header may be wrong.
    """
    match codec:
        case Codec.NONE:
            if len(data) > max_bytes:
                raise _too_large(max_bytes)
            return bytes(data)
        case Codec.GZIP:
            return _decompress_gzip(data, max_bytes)
        case Codec.SNAPPY:
            return _decompress_snappy(data, max_bytes)
        case Codec.LZ4:
            found = lz4_frame.blocks(memoryview(data), checks_header=checks_lz4_header)
            return _joined(found, max_bytes)
        case Codec.ZSTD:
            return _decompress_zstd(data, max_bytes)


def codec_of(codec_id: int) -> Codec:
    """The codec of a batch's attribute bits. UnsupportedCompression for 5, 6 and 7."""
    try:
        return Codec(codec_id)
    except ValueError:
        raise UnsupportedCompression(f"unknown compression type id: {codec_id}") from None


def _too_large(max_bytes: int) -> CompressionError:
    return CompressionError(f"decompresses to more than {max_bytes} bytes")


def _joined(chunks: Iterable[bytes], max_bytes: int) -> bytes:
    kept = []
    remaining = max_bytes
    for chunk in chunks:
        remaining -= len(chunk)
        if remaining < 0:
            raise _too_large(max_bytes)
        kept.append(chunk)
    return b"".join(kept)


def _decompress_gzip(data: Buffer, max_bytes: int) -> bytes:
    """As java.util.zip.GZIPInputStream: members, up to what does not begin like one."""
    chunks = []
    remaining = max_bytes
    source = memoryview(data)
    start = _end_of_gzip_header(source)
    while True:
        member = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            chunk = member.decompress(source[start:], remaining + 1)
        except zlib.error as error:
            raise CompressionError(f"gzip: {error}") from error
        remaining -= len(chunk)
        if remaining < 0:
            raise _too_large(max_bytes)
        behind = memoryview(member.unused_data)
        if not member.eof or len(behind) < _GZIP_TRAILER.size:
            raise CompressionError("gzip: the stream ends early")
        if _GZIP_TRAILER.unpack_from(behind) != (zlib.crc32(chunk), len(chunk)):
            raise CompressionError("gzip: the checksum or the size of a member is wrong")
        chunks.append(chunk)
        source = behind[_GZIP_TRAILER.size :]
        if len(source) <= _GZIP_IGNORED_MAX:
            break
        try:
            start = _end_of_gzip_header(source)
        except CompressionError:
            break
    return b"".join(chunks)


def _end_of_gzip_header(source: memoryview) -> int:
    """Where the header of the member ends. CompressionError."""
    position = _GZIP_HEADER.size
    if len(source) < position:
        raise CompressionError("gzip: the stream ends early")
    magic, method, flags = _GZIP_HEADER.unpack_from(source)
    if magic != _GZIP_MAGIC or method != _GZIP_DEFLATE:
        raise CompressionError("gzip: the data is not a gzip member")
    if flags & _GZIP_EXTRA:
        position += 2 + int.from_bytes(source[position : position + 2], "little")
    for flag in (_GZIP_NAME, _GZIP_COMMENT):
        if flags & flag:
            position = bytes(source).find(b"\0", position) + 1 or len(source) + 1
    if flags & _GZIP_HEADER_CRC:
        stored = int.from_bytes(source[position : position + 2], "little")
        if stored != zlib.crc32(source[:position]) & 0xFFFF:
            raise CompressionError("gzip: the checksum of a header is wrong")
        position += 2
    if position > len(source):
        raise CompressionError("gzip: the stream ends early")
    return position


def _compress_snappy(data: Buffer) -> bytes:
    import snappy

    view = memoryview(data)
    out = [_SNAPPY_HEADER]
    for start in range(0, len(view), _SNAPPY_CHUNK_BYTES):
        chunk: bytes = snappy.compress(bytes(view[start : start + _SNAPPY_CHUNK_BYTES]))
        out.append(len(chunk).to_bytes(4, "big"))
        out.append(chunk)
    return b"".join(out)


def _decompress_snappy(data: Buffer, max_bytes: int) -> bytes:
    """As SnappyInputStream: up to where no length of a chunk is left."""
    view = memoryview(data)
    if view[:8] != _SNAPPY_MAGIC:
        return _decompress_snappy_block(view, max_bytes)
    out = []
    remaining = max_bytes
    position = len(_SNAPPY_HEADER)
    size = len(view)
    if position > size:
        raise CompressionError("snappy: the stream ends inside its header")
    while position + 4 <= size:
        start = position + 4
        if view[position:start] == _SNAPPY_MAGIC[:4]:
            # Concatenated streams repeat the header between chunks. It is skipped, whatever it is,
            # but for one of an old version.
            end = position + len(_SNAPPY_HEADER)
            if end > size:
                raise CompressionError("snappy: the stream ends inside its header")
            version = int.from_bytes(view[position + 8 : position + 12], "big", signed=True)
            if version < 1 and view[position : position + 8] == _SNAPPY_MAGIC:
                raise CompressionError(f"snappy: unsupported stream version {version}")
            position = end
            continue
        end = start + int.from_bytes(view[position:start], "big")
        if end > size:
            raise CompressionError("snappy: the stream ends early")
        block = _decompress_snappy_block(view[start:end], remaining, max_bytes)
        remaining -= len(block)
        out.append(block)
        position = end
    return b"".join(out)


def _decompress_snappy_block(block: memoryview, remaining: int, max_bytes: int = 0) -> bytes:
    """One bare block; the size it declares is checked before anything is allocated."""
    import snappy

    declared = shift = 0
    for byte in block[:5]:
        declared |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
    else:
        raise CompressionError("snappy: a block declares an invalid size")
    if declared > remaining:
        raise _too_large(max_bytes or remaining)
    if declared > len(block) * _SNAPPY_RATIO_MAX:
        raise CompressionError(
            f"snappy: a block of {len(block)} bytes declares {declared} bytes of content"
        )
    try:
        result: bytes = snappy.uncompress(bytes(block))
    except snappy.UncompressError as error:
        raise CompressionError("snappy: a block is corrupt") from error
    return result


def _compress_lz4(data: Buffer, level: int) -> bytes:
    import lz4.frame

    # Kafka's default, 9, means lz4's fast compressor; every other level its high compressor, whose
    # lowest is 3 in liblz4 and whose highest is 12.
    native_level = 0 if level == LZ4_LEVEL_DEFAULT else min(max(level, 3), 12)
    result: bytes = lz4.frame.compress(
        data,
        compression_level=native_level,
        block_size=lz4.frame.BLOCKSIZE_MAX64KB,
        block_linked=False,
        store_size=False,
    )
    return result


def _decompress_zstd(data: Buffer, max_bytes: int) -> bytes:
    import zstandard

    chunks = []
    remaining = max_bytes
    try:
        _check_zstd_complete(memoryview(data))
        with zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True) as reader:
            while chunk := reader.read(min(remaining + 1, _READ_BYTES)):
                remaining -= len(chunk)
                if remaining < 0:
                    raise _too_large(max_bytes)
                chunks.append(chunk)
    except zstandard.ZstdError as error:
        raise CompressionError(f"zstd: {error}") from error
    return b"".join(chunks)


def _check_zstd_complete(view: memoryview) -> None:
    """Walk the frames: the library's reader takes a cut-off stream for a short one.

    So does zstd-jni, where a frame ended in what it read last of its source.
    """
    position = 0
    size = len(view)
    while position < size:
        end = _end_of_zstd_frame(view, position)
        if end > size:
            last_fill = (size - 1) // _ZSTD_FILL_BYTES * _ZSTD_FILL_BYTES
            if position > last_fill:
                return
            raise CompressionError("zstd: the stream ends early")
        position = end


def _end_of_zstd_frame(view: memoryview, position: int) -> int:
    """Where the frame ends, or a position behind the end of `view` if it is cut off."""
    import zstandard

    cut_off = len(view) + 1
    head = bytes(view[position : position + 18])  # the largest header
    if not any(
        (int.from_bytes(head[:4] + magic[len(head[:4]) :], "little") ^ number) & mask == 0
        for magic, number, mask in _ZSTD_MAGICS
    ):
        raise CompressionError("zstd: the data is not a zstd frame")
    if len(head) < 5:
        return cut_off
    if int.from_bytes(head[:4], "little") != _ZSTD_MAGIC:  # a skippable frame: its size follows
        return position + 8 + int.from_bytes(head[4:8], "little") if len(head) >= 8 else cut_off
    header_size = zstandard.frame_header_size(head)
    if header_size > len(head):
        return cut_off
    parameters = zstandard.get_frame_parameters(head)
    position += header_size
    is_last = False
    while not is_last:
        if position + 3 > len(view):
            return cut_off
        # RFC 8878, 3.1.1.2: a bit "last", two bits of type (1: a repeated byte), the size.
        block = int.from_bytes(view[position : position + 3], "little")
        is_last = bool(block & 1)
        position += 3 + (1 if block >> 1 & 3 == 1 else block >> 3)
    return position + 4 if parameters.has_checksum else position
