"""Data directories with segments of formats 0 and 1, made by Kafka's own classes."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from compat import apache
from compat.line_process import LineProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = Path(__file__).parent / "java" / "OldFormats.java"
OLD_CODECS = ("none", "gzip", "snappy", "lz4")
STAMP = 1_600_000_000_000
MODIFIED_S = 1_500_000_000  # of the files: before all timestamps
NO_EPOCH = -1
_SEGMENT_FILE = re.compile(r"\d{20}\..+")


class Written(NamedTuple):
    """Records of one kind, which are one batch where they are compressed."""

    magic: int
    codec: str
    timestamp_type: str
    first_offset: int
    records: int


class Maker(LineProcess):
    """The Java program of java/OldFormats.java."""

    def __init__(self, classes: Path) -> None:
        super().__init__(apache.java_command("OldFormats", classes=classes))

    def write(self, file: Path, written: Written) -> None:
        stamp = -1 if written.magic == 0 else STAMP + 10 * written.first_offset
        epoch = 0 if written.magic == 2 else NO_EPOCH
        self._ask(
            f"write {file} {written.magic} {written.codec} {written.timestamp_type} {stamp} "
            f"{written.first_offset} {written.records} {epoch}"
        )

    def read(self, file: Path) -> list[str]:
        """Each batch of a file: base and last offset, size, magic, largest timestamp, records."""
        return self._ask(f"read {file}").split("|")

    def _ask(self, question: str) -> str:
        verdict, _, rest = self.ask_line(question).rstrip("\n").partition(" ")
        assert verdict == "ok", rest
        return rest


def old_segments() -> dict[int, list[Written]]:
    """By base offset: format 0, format 1, all three mixed, format 2."""
    offset = 0

    def written(magic: int, codec: str, count: int, kind: str = "CreateTime") -> Written:
        nonlocal offset
        offset += count
        return Written(magic, codec, kind, offset - count, count)

    def mixed() -> Iterator[Written]:
        for codec in OLD_CODECS:
            for magic in (0, 1, 2):
                yield written(magic, codec, 20)

    kinds = ("CreateTime", "LogAppendTime")
    segments = (
        [written(0, codec, 40) for codec in OLD_CODECS],
        [written(1, codec, 40, kind) for kind in kinds for codec in OLD_CODECS],
        list(mixed()),
        [written(2, codec, 40) for codec in (*OLD_CODECS, "zstd")],
    )
    return {parts[0].first_offset: parts for parts in segments}


def lay_out(maker: Maker, folder: Path, segments: dict[int, list[Written]]) -> None:
    """In place of what the partition's folder has of segments. There are no indexes."""
    for file in folder.iterdir():
        if _SEGMENT_FILE.fullmatch(file.name):
            file.unlink()
    for base_offset, parts in segments.items():
        file = folder / f"{base_offset:020d}.log"
        for part in parts:
            maker.write(file, part)
        os.utime(file, (MODIFIED_S, MODIFIED_S))
