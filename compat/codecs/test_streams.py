"""What Apache Kafka's readers get of compressed streams, and what we get: the same.

Both of the table that the unit tests go by, and of streams that are joined, padded, cut and broken
at random. KBROKER_CODEC_SEED repeats a run (a failure prints its seed).
"""

from __future__ import annotations

import os
import random
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from compat import apache
from compat.line_process import LineProcess
from kbroker.storage.compression import Codec, decompress
from kbroker.storage.errors import CompressionError
from tests.storage.streams import (
    MAKERS,
    Case,
    cases,
    gzip_member,
    lz4_stream,
    snappy_chunk,
    zstd_skippable,
    zstd_stream,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.ci, pytest.mark.java]

SEED = int(os.environ.get("KBROKER_CODEC_SEED", time.time_ns()))
STREAMS = 1500
SIZES = (0, 1, 5, 50, 300, 300, 3000, 9000, 70_000, 140_000)
OTHERS: list[tuple[Codec, Callable[[bytes], bytes]]] = [
    *MAKERS.items(),
    (Codec.GZIP, lambda content: gzip_member(content, 8, b"name\0")),
    (Codec.GZIP, lambda content: gzip_member(content, 0x20)),
    (Codec.LZ4, lambda content: lz4_stream(content, content_checksum=True)),
    (Codec.LZ4, lambda content: lz4_stream(content, block_checksum=True)),
    (Codec.LZ4, lambda content: lz4_stream(content, store_size=True)),
    (Codec.LZ4, lambda content: lz4_stream(content, block_size=7)),
    (Codec.ZSTD, lambda content: zstd_stream(content, checksum=True)),
    (Codec.ZSTD, lambda content: zstd_stream(content, names_size=False)),
    (Codec.ZSTD, zstd_skippable),
    (Codec.SNAPPY, snappy_chunk),
    (Codec.SNAPPY, lambda content: snappy_chunk(content)[4:]),
]


class Readers(LineProcess):
    """The Java program of java/Streams.java."""

    def read(self, codec: Codec, stream: bytes) -> bytes | None:
        """What Java gets; None if it cannot read the stream."""
        answer = self.ask_line(f"{codec.name.lower()} 2 {stream.hex()}")
        verdict, _, rest = answer.rstrip("\n").partition(" ")
        assert verdict in ("ok", "error"), answer
        return bytes.fromhex(rest) if verdict == "ok" else None


@pytest.fixture(scope="module")
def java(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Readers]:
    source = Path(__file__).parent / "java" / "Streams.java"
    classes = apache.compile_java([source], tmp_path_factory.mktemp("streams"))
    with Readers(apache.java_command("Streams", classes=classes)) as readers:
        yield readers


@pytest.mark.parametrize("case", cases(), ids=lambda case: f"{case.codec.name}: {case.name}")
def test_the_table_says_what_java_says(java: Readers, case: Case) -> None:
    assert java.read(case.codec, case.stream) == case.content


def test_streams_made_at_random(java: Readers) -> None:
    rng = random.Random(SEED)
    read = 0
    for number in range(STREAMS):
        codec = rng.choice(list(MAKERS))
        stream = any_stream(rng, codec)
        theirs = java.read(codec, stream)
        assert ours(codec, stream) == theirs, f"seed {SEED}, number {number}: {stream.hex()}"
        read += theirs is not None
    assert STREAMS // 4 < read < STREAMS


def ours(codec: Codec, stream: bytes) -> bytes | None:
    try:
        return decompress(codec, stream)
    except CompressionError:
        return None


def any_stream(rng: random.Random, codec: Codec) -> bytes:
    makers = [make for each, make in OTHERS if each is codec]
    stream = b""
    for _ in range(rng.choice((1, 1, 2, 2, 3))):
        size = rng.choice(SIZES)
        dense = rng.random() < 0.5
        content = rng.randbytes(size) if dense else (rng.randbytes(7) * (size // 7 + 1))[:size]
        stream += rng.choice(makers)(content)
    match rng.randrange(4):
        case 0:
            return stream[: max(0, len(stream) - rng.randrange(60))]
        case 1:
            few = rng.randrange(40)
            return stream + rng.choice((bytes(few), rng.randbytes(few), stream[:few]))
        case 2:
            broken = bytearray(stream)
            for _ in range(rng.randint(1, 2)):
                at = rng.randrange(min(len(broken), 40) if rng.random() < 0.6 else len(broken))
                broken[at] ^= 1 << rng.randrange(8)
            return bytes(broken)
        case _:
            return stream
