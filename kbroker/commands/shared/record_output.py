"""How `consume` prints records: values, parts of a record, or lines of JSON."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from .output import is_terminal, printable
from .record_json import record_line
from .times import time_text

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from rich.console import Console

    from kbroker.client.records import ConsumedRecord


def add_format(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--json", action="store_true", help="print one line of JSON for each record"
    )
    parser.add_argument("--keys", action="store_true", help="also print keys")
    parser.add_argument("--headers", action="store_true", help="also print headers")
    parser.add_argument("--timestamps", action="store_true", help="also print timestamps")
    parser.add_argument("--offsets", action="store_true", help="also print partitions and offsets")
    parser.add_argument(
        "--verbose",
        action="store_true",
        help="print timestamps, partitions, offsets, headers and keys",
    )
    parser.add_argument(
        "--separator",
        metavar="TEXT",
        default="\t",
        help="the text between columns (default: a tab)",
    )


class RecordOutput:
    """Prints records and counts them."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.count = 0
        self.size_bytes = 0
        self._left: int | None = arguments.max
        self._as_json: bool = arguments.json
        self._separator: str = arguments.separator
        self._timestamps: bool = arguments.timestamps or arguments.verbose
        self._offsets: bool = arguments.offsets or arguments.verbose
        self._headers: bool = arguments.headers or arguments.verbose
        self._keys: bool = arguments.keys or arguments.verbose
        self._is_terminal = is_terminal()
        self._console: Console | None = None

    @property
    def is_done(self) -> bool:
        return self._left == 0

    def show(self, records: Sequence[ConsumedRecord]) -> Sequence[ConsumedRecord]:
        """Print as many as are still wanted, and return those."""
        if self._left is not None:
            records = records[: self._left]
            self._left -= len(records)
        self.count += len(records)
        if self._is_terminal and not self._as_json:
            self._draw(records)
            return records
        line = record_line if self._as_json else self._line
        lines = "".join(line(record) + "\n" for record in records)
        rest = memoryview(lines.encode("utf-8", "surrogateescape"))
        self.size_bytes += len(rest)
        while rest:  # with PYTHONUNBUFFERED there is no buffer, and a write may take a part
            rest = rest[sys.stdout.buffer.write(rest) :]
        return records

    def flush(self) -> None:
        sys.stdout.buffer.flush()

    def _line(self, record: ConsumedRecord) -> str:
        return self._separator.join(text for text, _ in self._cells(record))

    def _cells(self, record: ConsumedRecord) -> list[tuple[str, str]]:
        """Text and style."""
        cells = []
        if self._timestamps:
            cells.append((time_text(record.timestamp_ms), "dim"))
        if self._offsets:
            cells.append((f"{record.partition}:{record.offset}", "cyan"))
        if self._headers:
            headers = ",".join(f"{key}={_text(value)}" for key, value in record.headers)
            cells.append((headers or "-", "magenta"))
        if self._keys:
            cells.append((_text(record.key), "yellow"))
        cells.append((_text(record.value), ""))
        return cells

    def _draw(self, records: Sequence[ConsumedRecord]) -> None:
        from rich.console import Console
        from rich.text import Text

        if self._console is None:
            self._console = Console(highlight=False)
        for record in records:
            parts: list[tuple[str, str]] = []
            for text, style in self._cells(record):
                parts += [(self._separator, "")] if parts else []
                shown = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
                parts.append((printable(shown), style))
            self._console.print(Text.assemble(*parts), soft_wrap=True)


def _text(data: bytes | None) -> str:
    """UTF-8 as it is, any other bytes unchanged on their way out."""
    return "null" if data is None else data.decode("utf-8", "surrogateescape")
