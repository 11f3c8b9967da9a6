"""Prints a report in sections, once or repeatedly until Ctrl-C."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import trio

from .output import (
    Column,
    is_terminal,
    json_line,
    print_heading,
    print_table,
    printable,
    rich_table,
    table_lines,
)
from .times import now_ms, time_text

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from rich.console import RenderableType

    from .output import Json


class Section(NamedTuple):
    """A table; one with a title begins something new."""

    title: str | None
    columns: Sequence[Column]
    rows: Sequence[Mapping[str, Json]]


class Report(NamedTuple):
    """The same for people and for programs."""

    sections: Sequence[Section]
    shape: Json


def print_sections(sections: Sequence[Section]) -> None:
    for position, section in enumerate(sections):
        if section.title is not None:
            if position:
                print()
            print_heading(section.title)
        if section.rows:
            print_table(section.columns, section.rows)


async def watch(look: Callable[[], Awaitable[Report]], every_s: float, *, as_json: bool) -> None:
    """At a terminal one picture that changes, elsewhere one report after the other."""
    if as_json:
        while True:
            report = await look()
            print(json_line({"time": time_text(now_ms()), "report": report.shape}), flush=True)
            await trio.sleep(every_s)
    elif not is_terminal():
        while True:
            report = await look()
            lines = [time_text(now_ms())]
            for section in report.sections:
                lines += [section.title] if section.title is not None else []
                lines += table_lines(section.columns, section.rows) if section.rows else []
            print("\n".join(lines), end="\n\n", flush=True)
            await trio.sleep(every_s)
    else:
        from rich.live import Live

        with Live(auto_refresh=False) as live:
            while True:
                report = await look()
                live.update(_picture(report.sections, every_s), refresh=True)
                await trio.sleep(every_s)


def _picture(sections: Sequence[Section], every_s: float) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = [
        Text(f"{time_text(now_ms())}, refreshed every {every_s:g} s, Ctrl-C stops", style="dim")
    ]
    for section in sections:
        if section.title is not None:
            parts += [Text(), Text(printable(section.title), style="bold")]
        if section.rows:
            parts.append(rich_table(section.columns, section.rows))
    return Group(*parts)
