"""Compressed streams, and what Apache Kafka's readers get of them: its classes were asked.

`compat/codecs` asks them again. Behind a stream may stand padding, garbage or another stream; it
may be cut off; and its header may say what hardly any writer says. None: it cannot be read.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from typing import TYPE_CHECKING, NamedTuple

import lz4.frame
import snappy
import zstandard

from kbroker.storage.compression import Codec
from kbroker.storage.lz4_frame import xxh32

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FIRST, SECOND = b"first " * 30, b"second " * 20
BOTH = FIRST + SECOND
SNAPPY_HEADER = b"\x82SNAPPY\0\0\0\0\1\0\0\0\1"
GZIP_HEADER = b"\x1f\x8b\x08\0\0\0\0\0\0\0"


class Case(NamedTuple):
    name: str
    codec: Codec
    stream: bytes
    content: bytes | None


def gzip_stream(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


def gzip_member(content: bytes, flags: int = 0, extra: bytes = b"", method: int = 8) -> bytes:
    """With flags in its header, and what these announce."""
    raw = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    deflated = raw.compress(content) + raw.flush()
    head = b"\x1f\x8b" + bytes([method, flags]) + bytes(6) + extra
    return head + deflated + struct.pack("<II", zlib.crc32(content), len(content))


def checked_gzip_member(content: bytes, *, wrong: int = 0) -> bytes:
    """With a checksum of its header."""
    head = b"\x1f\x8b\x08\x02" + bytes(6)
    checksum = struct.pack("<H", zlib.crc32(head) & 0xFFFF ^ wrong)
    return head + checksum + gzip_member(content)[10:]


def lz4_stream(content: bytes, **options: object) -> bytes:
    settings: dict[str, object] = {
        "block_size": lz4.frame.BLOCKSIZE_MAX64KB,
        "block_linked": False,
        "store_size": False,
    }
    made: bytes = lz4.frame.compress(content, **{**settings, **options})
    return made


def lz4_with_header(flags: int, block_size: int, blocks: bytes | None = None) -> bytes:
    """A frame of FIRST with these two bytes in its header, and the right checksum of it."""
    described = bytes([flags, block_size])
    rest = lz4_stream(FIRST)[7:] if blocks is None else blocks
    return b"\x04\x22\x4d\x18" + described + bytes([xxh32(described) >> 8 & 0xFF]) + rest


def zstd_stream(content: bytes, *, checksum: bool = False, names_size: bool = True) -> bytes:
    compressor = zstandard.ZstdCompressor(write_checksum=checksum, write_content_size=names_size)
    return compressor.compress(content)


def zstd_skippable(content: bytes) -> bytes:
    return struct.pack("<II", 0x184D_2A53, len(content)) + content


def snappy_chunk(content: bytes) -> bytes:
    block: bytes = snappy.compress(content)
    return struct.pack(">i", len(block)) + block


def snappy_stream(content: bytes) -> bytes:
    return SNAPPY_HEADER + snappy_chunk(content)


MAKERS: dict[Codec, Callable[[bytes], bytes]] = {
    Codec.GZIP: gzip_stream,
    Codec.SNAPPY: snappy_stream,
    Codec.LZ4: lz4_stream,
    Codec.ZSTD: zstd_stream,
}


def flipped(stream: bytes, at: int) -> bytes:
    broken = bytearray(stream)
    broken[at] ^= 1
    return bytes(broken)


def cases() -> list[Case]:
    return [*_behind(), *_cut_off(), *_gzip(), *_lz4(), *_zstd(), *_snappy()]


def _behind() -> Iterator[Case]:
    """Padding, garbage and other streams behind a stream."""
    for codec, make in MAKERS.items():
        first, second = make(FIRST), make(SECOND)
        follows = {Codec.LZ4: FIRST}.get(codec, BOTH)  # a second stream
        ignores = {Codec.GZIP: FIRST, Codec.LZ4: FIRST}.get(codec)  # what is no stream
        yield Case("alone", codec, first, FIRST)
        for count in (1, 2, 3, 4, 7, 8, 16, 17, 18, 19, 20, 26, 27, 64, 9000):
            # snappy-java wants four bytes for the size of a chunk, and ends where fewer are left.
            found = FIRST if codec is Codec.SNAPPY and count < 4 else ignores
            yield Case(f"{count} zeros behind", codec, first + bytes(count), found)
            yield Case(f"garbage of {count}", codec, first + (b"garbage" * count)[:count], found)
        yield Case("two", codec, first + second, follows)
        yield Case("two, padded", codec, first + second + bytes(16), follows if ignores else None)
        yield Case("padding between", codec, first + bytes(16) + second, ignores)
        yield Case("padding of 64 between", codec, first + bytes(64) + second, ignores)
        yield Case("nothing in it", codec, make(b""), b"")
        nothing = b"" if codec is Codec.LZ4 else SECOND
        yield Case("nothing in the first", codec, make(b"") + second, nothing)


def _cut_off() -> Iterator[Case]:
    for codec, make in MAKERS.items():
        first, second = make(FIRST), make(SECOND)
        yield Case("no byte", codec, b"", b"" if codec is Codec.ZSTD else None)
        for cut in (1, 3, 4, 8, len(first) // 3):
            yield Case(f"cut by {cut}", codec, first[:-cut], None)
        # zstd-jni has then seen the end of a frame in what it read last.
        lost = {Codec.LZ4: FIRST, Codec.ZSTD: FIRST}.get(codec)
        for cut in (1, 3):
            yield Case(f"the second cut by {cut}", codec, first + second[:-cut], lost)
        for size in (1, 2, 3, 4, 5, 8):
            found = None if codec is Codec.SNAPPY and size > 3 else FIRST
            yield Case(f"{size} bytes of a second", codec, first + second[:size], found)


def _gzip() -> Iterator[Case]:
    codec = Codec.GZIP
    first = gzip_stream(FIRST)
    for name, flags, extra in (
        ("text", 1, b""),
        ("an extra field", 4, b"\x03\0abc"),
        ("a name", 8, b"name\0"),
        ("a comment", 16, b"comment\0"),
        ("all of these", 29, b"\x03\0abcname\0comment\0"),
        ("a reserved flag", 0x20, b""),
        ("another reserved flag", 0x80, b""),
    ):
        yield Case(name, codec, gzip_member(FIRST, flags, extra), FIRST)
        yield Case(f"a second, {name}", codec, first + gzip_member(SECOND, flags, extra), BOTH)
    for method in (7, 9):
        other = gzip_member(SECOND, method=method)
        yield Case(f"method {method}", codec, other, None)
        yield Case(f"a second, method {method}", codec, first + other, FIRST)
    yield Case("a name without an end", codec, gzip_member(FIRST, 8)[:10] + b"name", None)
    yield Case(
        "a second, name without an end", codec, first + GZIP_HEADER[:3] + b"\x08" * 40, FIRST
    )
    yield Case("a checked header", codec, checked_gzip_member(FIRST), FIRST)
    yield Case("a wrongly checked header", codec, checked_gzip_member(FIRST, wrong=1), None)
    yield Case("a second, checked", codec, first + checked_gzip_member(SECOND), BOTH)
    wrong = checked_gzip_member(SECOND, wrong=1)
    yield Case("a second, wrongly checked", codec, first + wrong, FIRST)
    for at, name in ((-8, "checksum"), (-1, "size")):
        yield Case(f"a wrong {name}", codec, flipped(first, at), None)
        yield Case(f"a second, wrong {name}", codec, first + flipped(gzip_stream(SECOND), at), None)
    yield Case("a second that is none", codec, first + GZIP_HEADER + b"\xff" * 30, None)
    yield Case("18 bytes that begin like one", codec, first + GZIP_HEADER + bytes(8), FIRST)
    yield Case("19 bytes that begin like one", codec, first + GZIP_HEADER + bytes(9), None)


def _lz4() -> Iterator[Case]:
    codec = Codec.LZ4
    large = bytes(range(256)) * 300
    yield Case("linked blocks", codec, lz4_stream(large, block_linked=True), None)
    yield Case("several blocks", codec, lz4_stream(large), large)
    checked = lz4_stream(FIRST, content_checksum=True)
    yield Case("content checksum", codec, checked, FIRST)
    yield Case("content checksum and padding", codec, checked + b"tt", FIRST)
    yield Case("wrong content checksum", codec, flipped(checked, -1), FIRST)
    yield Case("content checksum cut", codec, checked[:-1], None)
    yield Case("content checksum missing", codec, checked[:-4], None)
    checked = lz4_stream(large, block_checksum=True)
    yield Case("block checksums", codec, checked, large)
    yield Case("wrong block checksum", codec, flipped(checked, -5), None)
    sized = lz4_stream(FIRST, store_size=True)
    yield Case("content size", codec, sized, FIRST)
    yield Case("no end mark", codec, lz4_stream(FIRST)[:-4], None)
    yield Case("wrong checksum of the header", codec, flipped(lz4_stream(FIRST), 6), None)
    yield Case("wrong checksum of a header with a size", codec, flipped(sized, 14), None)
    yield Case("skippable before", codec, zstd_skippable(b"abc") + lz4_stream(FIRST), None)
    yield Case("skippable behind", codec, lz4_stream(FIRST) + zstd_skippable(b"abc"), FIRST)
    for block_size in (0x40, 0x50, 0x60, 0x70):
        yield Case(f"blocks of {block_size:#x}", codec, lz4_with_header(0x60, block_size), FIRST)
    for flags, block_size in (
        *((0x60, wrong) for wrong in (0x30, 0x80, 0x41, 0xC0)),
        *((wrong, 0x40) for wrong in (0x61, 0x62, 0x20, 0xA0, 0x40)),
    ):
        header = f"header {flags:#x} {block_size:#x}"
        yield Case(header, codec, lz4_with_header(flags, block_size), None)
    plain = (len(FIRST) | 1 << 31).to_bytes(4, "little") + FIRST
    yield Case("a block as it is", codec, lz4_with_header(0x60, 0x40, plain + bytes(4)), FIRST)
    end = (1 << 31).to_bytes(4, "little")
    yield Case("an end mark as it is", codec, lz4_with_header(0x60, 0x40, plain + end), FIRST)
    nothing = b"\x01\0\0\0\0"
    blocks = plain + nothing + plain + bytes(4)
    yield Case("a block of nothing", codec, lz4_with_header(0x60, 0x40, blocks), FIRST)
    too_long = ((1 << 16) + 1 | 1 << 31).to_bytes(4, "little") + bytes((1 << 16) + 1)
    yield Case("a block too long", codec, lz4_with_header(0x60, 0x40, too_long + bytes(4)), None)


def _zstd() -> Iterator[Case]:
    codec = Codec.ZSTD
    first = zstd_stream(FIRST)
    checked = zstd_stream(FIRST, checksum=True)
    yield Case("checksum", codec, checked, FIRST)
    yield Case("wrong checksum", codec, flipped(checked, -1), None)
    yield Case("a second, checksum cut", codec, first + checked[:-1], FIRST + FIRST)
    yield Case("unknown size", codec, zstd_stream(FIRST, names_size=False), FIRST)
    yield Case("skippable before", codec, zstd_skippable(b"abc") + first, FIRST)
    yield Case("skippable behind", codec, first + zstd_skippable(b"abc"), FIRST)
    yield Case("skippable cut behind", codec, first + zstd_skippable(bytes(30))[:-9], FIRST)
    yield Case("skippable alone", codec, zstd_skippable(b"abc"), b"")
    yield Case("skippable alone, cut", codec, zstd_skippable(b"abc")[:-1], None)
    # What zstd-jni reads at once ends within the second frame: of that it has seen no end.
    filling = zstd_skippable(bytes((1 << 17) - 15 - len(first)))
    yield Case("cut behind what is read", codec, first + filling + first[:-1], None)
    seen = zstd_skippable(bytes((1 << 17) + 3 - 8))
    yield Case("cut behind what was read", codec, seen + first[:-1], None)
    yield Case("cut in what is read", codec, seen + first + first[:-1], FIRST)


def _snappy() -> Iterator[Case]:
    codec = Codec.SNAPPY
    first = snappy_stream(FIRST)
    bare: bytes = snappy.compress(FIRST)
    yield Case("a bare block", codec, bare, FIRST)
    yield Case("a bare block, padded", codec, bare + bytes(1), None)
    yield Case("a bare block twice", codec, bare * 2, None)
    yield Case("header alone", codec, SNAPPY_HEADER, b"")
    yield Case("two chunks", codec, first + snappy_chunk(SECOND), BOTH)
    for version in (b"\0\0\0\2\0\0\0\1", b"\0\0\0\2\0\0\0\2", bytes(8)):
        named = f"version {version.hex()}"
        stream = SNAPPY_HEADER[:8] + version + snappy_chunk(FIRST)
        yield Case(named, codec, stream, FIRST)
        both = None if version == bytes(8) else FIRST + FIRST
        yield Case(f"a second of {named}", codec, first + stream, both)
    other = b"\x82SNAPPX" + SNAPPY_HEADER[7:] + snappy_chunk(SECOND)
    yield Case("a second of another name", codec, first + other, BOTH)
    yield Case("a first of another name", codec, other, None)
    yield Case("a negative size", codec, SNAPPY_HEADER + b"\xff" * 4 + snappy_chunk(FIRST), None)
    yield Case("a chunk of nothing", codec, SNAPPY_HEADER + snappy_chunk(b"") + first, FIRST)
    yield Case("a second header cut", codec, first + SNAPPY_HEADER[:12], None)
    yield Case("a chunk and more", codec, SNAPPY_HEADER + struct.pack(">i", 3) + b"abc", None)
