"""Codecs: round trips, foreign framings, concatenations, damage, bombs."""

from __future__ import annotations

import gzip
from contextlib import suppress

import lz4.frame
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbroker.storage.compression import (
    GZIP_LEVEL_DEFAULT,
    Codec,
    codec_of,
    compress,
    decompress,
)
from kbroker.storage.errors import CompressionError, UnsupportedCompression
from tests.storage.streams import Case, cases, flipped, lz4_stream

COMPRESSED = [Codec.GZIP, Codec.SNAPPY, Codec.LZ4, Codec.ZSTD]
TEXT = b"".join(b"line %d of a text that compresses\n" % number for number in range(5000))


@pytest.mark.parametrize("codec", Codec)
@pytest.mark.parametrize("data", [b"", b"x", TEXT, bytes(range(256)) * 3])
def test_decompress_gives_back_what_was_compressed(codec: Codec, data: bytes) -> None:
    assert decompress(codec, compress(codec, data)) == data
    assert decompress(codec, memoryview(compress(codec, memoryview(data)))) == data


@pytest.mark.parametrize(
    ("codec", "level"),
    [
        (Codec.GZIP, GZIP_LEVEL_DEFAULT),
        (Codec.GZIP, 1),
        (Codec.GZIP, 9),
        (Codec.LZ4, 1),
        (Codec.LZ4, 9),
        (Codec.LZ4, 17),
        (Codec.ZSTD, -131072),
        (Codec.ZSTD, 1),
        (Codec.ZSTD, 22),
    ],
)
def test_every_level_that_kafka_takes_works(codec: Codec, level: int) -> None:
    assert decompress(codec, compress(codec, TEXT, level)) == TEXT


@pytest.mark.parametrize(("codec", "level"), [(Codec.GZIP, -1), (Codec.LZ4, 9), (Codec.ZSTD, 3)])
def test_the_level_is_kafkas_unless_another_is_asked_for(codec: Codec, level: int) -> None:
    text = " ".join(str(number * number % 7919) for number in range(20_000)).encode()
    by_level = {each: compress(codec, text, each) for each in (2, 4, level)}
    assert len(set(by_level.values())) == 3
    assert compress(codec, text) == by_level[level]


def test_a_higher_level_compresses_more() -> None:
    for codec, low, high in ((Codec.GZIP, 1, 9), (Codec.LZ4, 9, 12), (Codec.ZSTD, 1, 19)):
        assert len(compress(codec, TEXT, high)) < len(compress(codec, TEXT, low))


@pytest.mark.parametrize("case", cases(), ids=lambda case: f"{case.codec.name}: {case.name}")
def test_streams_are_read_as_apache_kafka_reads_them(case: Case) -> None:
    if case.content is None:
        with pytest.raises(CompressionError):
            decompress(case.codec, case.stream)
    else:
        assert decompress(case.codec, case.stream) == case.content
        assert decompress(case.codec, memoryview(case.stream)) == case.content


def test_the_checksum_of_an_lz4_header_need_not_be_looked_at() -> None:
    stream = flipped(compress(Codec.LZ4, TEXT), 6)
    assert decompress(Codec.LZ4, stream, checks_lz4_header=False) == TEXT


@pytest.mark.parametrize("size", [*range(70), 1000, 65536])
@pytest.mark.parametrize("flag", ["block_checksum", "store_size"])
def test_checksums_of_lz4_are_those_of_its_library(size: int, flag: str) -> None:
    content = bytes(index * 7 & 0xFF for index in range(size))
    assert decompress(Codec.LZ4, lz4_stream(content, **{flag: True})) == content


def test_a_bare_snappy_block_is_read() -> None:
    import snappy

    assert decompress(Codec.SNAPPY, snappy.compress(TEXT)) == TEXT


def test_snappy_is_written_as_snappy_java_does() -> None:
    stream = compress(Codec.SNAPPY, bytes(70_000))
    assert stream.startswith(b"\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01")
    sizes = []
    position = 16
    while position < len(stream):
        size = int.from_bytes(stream[position : position + 4], "big")
        sizes.append(len(decompress(Codec.SNAPPY, stream[position + 4 : position + 4 + size])))
        position += 4 + size
    assert sizes == [32768, 32768, 4464]


def test_lz4_is_written_in_the_only_form_java_reads() -> None:
    # Version 1, independent blocks, no checksums, no content size; blocks of 64 KiB.
    assert compress(Codec.LZ4, TEXT)[:6] == b"\x04\x22\x4d\x18\x60\x40"


def test_zstd_with_checksum_unknown_size_and_skippable_frame_is_read() -> None:
    import zstandard

    compressor = zstandard.ZstdCompressor(write_checksum=True).compressobj()
    stream = compressor.compress(TEXT) + compressor.flush()
    skippable = b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc"
    assert decompress(Codec.ZSTD, skippable + stream) == TEXT


@pytest.mark.parametrize("codec", COMPRESSED)
def test_a_cut_off_stream_is_refused_at_every_byte(codec: Codec) -> None:
    stream = compress(codec, TEXT[:3000])
    # Without chunks, or in the size of the first, a snappy stream is whole, and so is no zstd.
    whole = {Codec.SNAPPY: range(16, 20), Codec.ZSTD: range(1)}.get(codec, range(0))
    for size in range(len(stream)):
        if size in whole:
            assert decompress(codec, stream[:size]) == b""
            continue
        with pytest.raises(CompressionError):
            decompress(codec, stream[:size])


@pytest.mark.parametrize("codec", COMPRESSED)
@given(data=st.data())
def test_damage_ends_in_the_named_error_or_in_bounded_data(
    codec: Codec, data: st.DataObject
) -> None:
    stream = bytearray(compress(codec, TEXT[:500]))
    for _ in range(data.draw(st.integers(1, 4))):
        stream[data.draw(st.integers(0, len(stream) - 1))] = data.draw(st.integers(0, 255))
    with suppress(CompressionError):
        assert len(decompress(codec, stream, 10_000)) <= 10_000


@pytest.mark.parametrize("codec", COMPRESSED)
@given(stream=st.binary(max_size=200))
def test_random_bytes_end_in_the_named_error_or_in_bounded_data(
    codec: Codec, stream: bytes
) -> None:
    with suppress(CompressionError):
        assert len(decompress(codec, stream, 1000)) <= 1000


@pytest.mark.parametrize("codec", Codec)
def test_more_than_max_bytes_is_refused(codec: Codec) -> None:
    stream = compress(codec, bytes(100_000))
    assert len(decompress(codec, stream, 100_000)) == 100_000
    with pytest.raises(CompressionError, match="more than 99999 bytes"):
        decompress(codec, stream, 99_999)


@pytest.mark.parametrize("codec", COMPRESSED)
def test_a_bomb_is_refused_before_it_is_held(codec: Codec) -> None:
    import resource

    megabyte = bytes(1 << 20)
    bomb = BOMBS[codec]() if codec in BOMBS else compress(codec, megabyte) * 300
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(CompressionError):
        decompress(codec, bomb, 4 << 20)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert after - before < 40 * 1024  # KiB; the bomb holds 300 MiB


def _zstd_bomb() -> bytes:
    """One frame of repeated-byte blocks: 4 bytes for each 128 KiB."""
    header = b"\x28\xb5\x2f\xfd\x00\x58"  # window of 2 MiB, size unknown
    block = ((128 * 1024) << 3 | 1 << 1).to_bytes(3, "little") + b"\x00"
    last = (0 << 3 | 1).to_bytes(3, "little")
    return header + block * 2400 + last


def _lz4_bomb() -> bytes:
    """One frame of 4 MiB blocks."""
    frame = lz4_stream(bytes(4 << 20), block_size=lz4.frame.BLOCKSIZE_MAX4MB)
    return frame[:7] + frame[7:-4] * 75 + frame[-4:]


BOMBS = {Codec.ZSTD: _zstd_bomb, Codec.LZ4: _lz4_bomb}


def test_gzip_of_the_standard_library_is_read() -> None:
    assert decompress(Codec.GZIP, gzip.compress(TEXT)) == TEXT


@pytest.mark.parametrize("codec_id", [5, 6, 7])
def test_an_unknown_codec_has_its_own_error(codec_id: int) -> None:
    with pytest.raises(UnsupportedCompression):
        codec_of(codec_id)
