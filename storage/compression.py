"""The four codecs of record batches, in the framings Java clients and librdkafka read and write.

gzip: RFC 1952, members may be concatenated. snappy: snappy-java's stream (a header, then chunks of
at most 32 KiB, each with its length), or one bare snappy block, which librdkafka writes. lz4: the
frame format with independent 64 KiB blocks, no content checksum (Java reads no other). zstd: plain
frames. Codec libraries are imported when first used. Decompressing never yields over `max_bytes`.
"""

from __future__ import annotations

import zlib
from enum import IntEnum

from .errors import CompressionError, UnsupportedCompression

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


def decompress(codec: Codec, data: Buffer, max_bytes: int = DECOMPRESSED_BYTES_MAX) -> bytes:
    """`data` decompressed. CompressionError if corrupt, cut off, or larger than `max_bytes`."""
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
            return _decompress_lz4(data, max_bytes)
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


def _decompress_gzip(data: Buffer, max_bytes: int) -> bytes:
    chunks = []
    remaining = max_bytes
    source: Buffer = data
    while True:
        member = zlib.decompressobj(16 + zlib.MAX_WBITS)
        try:
            chunk = member.decompress(source, remaining + 1)
        except zlib.error as error:
            raise CompressionError(f"gzip: {error}") from error
        remaining -= len(chunk)
        if remaining < 0:
            raise _too_large(max_bytes)
        if not member.eof:
            raise CompressionError("gzip: the stream ends early")
        chunks.append(chunk)
        source = member.unused_data
        if not source:
            return b"".join(chunks)


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
    view = memoryview(data)
    if bytes(view[:8]) != _SNAPPY_MAGIC:
        return _decompress_snappy_block(view, max_bytes)
    out = []
    remaining = max_bytes
    position = 0
    size = len(view)
    while position < size:
        # Concatenated streams repeat the header between chunks.
        if bytes(view[position : position + 8]) == _SNAPPY_MAGIC:
            position += len(_SNAPPY_HEADER)
            if position > size:
                raise CompressionError("snappy: the stream ends inside its header")
            continue
        start = position + 4
        end = start + int.from_bytes(view[position:start], "big")
        if start > size or end > size:
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
        raise CompressionError("snappy: a block declares no valid size")
    if declared > remaining:
        raise _too_large(max_bytes or remaining)
    if declared > len(block) * _SNAPPY_RATIO_MAX:
        raise CompressionError(f"snappy: a block of {len(block)} bytes declares {declared}")
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


def _decompress_lz4(data: Buffer, max_bytes: int) -> bytes:
    import lz4.frame

    chunks: list[bytes] = []
    remaining = max_bytes
    source: Buffer = data
    while True:
        frame = lz4.frame.LZ4FrameDecompressor()
        pending: Buffer | None = source
        while not frame.eof:
            try:
                chunk = frame.decompress(pending, max_length=min(remaining + 1, _READ_BYTES))
            except RuntimeError as error:
                raise CompressionError(f"lz4: {error}") from error
            remaining -= len(chunk)
            if remaining < 0:
                raise _too_large(max_bytes)
            chunks.append(chunk)
            if not frame.eof and frame.needs_input:
                raise CompressionError("lz4: the stream ends early")
            pending = b""
        source = frame.unused_data or b""
        if not source:
            return b"".join(chunks)


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
    """Walk frame and block headers: the library's reader takes a cut-off stream for a short one."""
    import zstandard

    position = 0
    size = len(view)
    if not size:
        raise CompressionError("zstd: the stream ends early")
    while position < size:
        magic = int.from_bytes(view[position : position + 4], "little")
        if magic & 0xFFFF_FFF0 == 0x184D_2A50:  # a skippable frame: its size follows
            position += 8 + int.from_bytes(view[position + 4 : position + 8], "little")
        else:
            header = view[position : position + 18]  # the largest header
            parameters = zstandard.get_frame_parameters(header)
            position += zstandard.frame_header_size(header)
            is_last = False
            while not is_last and position < size:
                # RFC 8878, 3.1.1.2: a bit "last", two bits of type (1: a repeated byte), the size.
                block = int.from_bytes(view[position : position + 3], "little")
                is_last = bool(block & 1)
                position += 3 + (1 if block >> 1 & 3 == 1 else block >> 3)
            if not is_last:
                raise CompressionError("zstd: the stream ends early")
            position += 4 if parameters.has_checksum else 0
        if position > size:
            raise CompressionError("zstd: the stream ends early")
