"""Prints the output of commands: tables and sentences for people, JSON for programs.

A listing is a list of rows. Each row is a JSON object; the table shows some of its fields. If
standard output is a terminal, rich draws the table, coloured and as wide as the terminal. Otherwise
it is plain text, aligned and never cut. NO_COLOR is obeyed. rich is imported only when it draws.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, NamedTuple, Union

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from rich.table import Table

Json = Union[None, bool, int, float, str, "Sequence[Json]", "Mapping[str, Json]"]
Row = "Mapping[str, Json]"

# At a terminal nothing that comes from elsewhere may move the cursor or change the colours.
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if code != 9}

GOOD, WARNING, BAD, FAINT = "green", "yellow", "bold red", "dim"


def plain(value: Json) -> str:
    """No style of its own."""
    return ""


class Column(NamedTuple):
    """A column of a table; `style` gives a cell's style at a terminal, by its value."""

    heading: str
    field: str
    style: Callable[[Json], str] = plain


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--json", action="store_true", help="print JSON; docs/cli.md describes its shape"
    )


def is_terminal() -> bool:
    return sys.stdout.isatty()


def print_json(value: Json) -> None:
    """One document."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def json_line(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def printable(text: str) -> str:
    """The text with control characters spelled out."""
    return text.translate(_CONTROLS)


def print_heading(text: str) -> None:
    """A line over a table, in bold at a terminal."""
    if not is_terminal():
        print(text)
        return
    from rich.console import Console

    Console().print(printable(text), style="bold", markup=False, highlight=False, soft_wrap=True)


def print_table(columns: Sequence[Column], rows: Iterable[Mapping[str, Json]]) -> None:
    """Aligned columns; numbers to the right."""
    shown = list(rows)
    if not is_terminal():
        for line in table_lines(columns, shown):
            print(line)
        return
    from rich.console import Console

    Console().print(rich_table(columns, shown))


def table_lines(columns: Sequence[Column], rows: Sequence[Mapping[str, Json]]) -> list[str]:
    """The table as plain text."""
    texts = [[column.heading for column in columns]]
    texts += [[cell_text(row.get(column.field)) for column in columns] for row in rows]
    numeric = [_is_numeric(column, rows) for column in columns]
    widths = [max(len(row[i]) for row in texts) for i in range(len(columns))]
    return [
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        ).rstrip()
        for row in texts
    ]


def rich_table(columns: Sequence[Column], rows: Sequence[Mapping[str, Json]]) -> Table:
    """The same for a terminal: what does not fit into its width goes on in the next line."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold cyan")
    for column in columns:
        right = _is_numeric(column, rows)
        table.add_column(column.heading, justify="right" if right else "left", overflow="fold")
    for row in rows:
        values = [(column, row.get(column.field)) for column in columns]
        table.add_row(
            *(
                Text(printable(cell_text(v)), style=column.style(v) if v is not None else FAINT)
                for column, v in values
            )
        )
    return table


def _is_numeric(column: Column, rows: Iterable[Mapping[str, Json]]) -> bool:
    """Numbers, and perhaps cells without one."""
    kinds = {type(row.get(column.field)) for row in rows} - {type(None)}
    return bool(kinds) and kinds <= {int, float}


def cell_text(value: Json) -> str:
    if value is None or value == "" or value == []:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ",".join(map(cell_text, value))
    return str(value)


def count_text(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def size_text(size_bytes: float) -> str:
    """1536 -> 1.5 KiB."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size_bytes < 1024:
            return f"{size_bytes:.0f} B" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1024
    return f"{size_bytes:.1f} TiB"
