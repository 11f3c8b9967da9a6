"""Shows the progress of long work on standard error, if nothing else writes to that terminal."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.progress import Progress, TaskID

DELAY_S = 0.5  # what is done sooner needs no picture
EVERY_S = 0.1


class Meter:
    """Tells of records and bytes; draws nothing until the work is long."""

    def __init__(self, what: str, total: int | None, is_shown: bool) -> None:
        """`total`: of what `done` counts, None where nobody knows."""
        self._what = what
        self._total = total
        self._due_at = time.monotonic() + DELAY_S if is_shown else None
        self._drawn: tuple[Progress, TaskID] | None = None

    def update(self, done: int, records: int, size_bytes: int) -> None:
        if self._due_at is None or time.monotonic() < self._due_at:
            return
        self._due_at = time.monotonic() + EVERY_S
        if self._drawn is None:
            self._drawn = self._draw()
        progress, task = self._drawn
        progress.update(
            task, completed=done, records=f"{records:,} records", size=_megabytes(size_bytes)
        )
        progress.refresh()

    def _draw(self) -> tuple[Progress, TaskID]:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        columns = [
            TextColumn(self._what),
            *((BarColumn(),) if self._total is not None else ()),
            *((TextColumn("{task.percentage:>3.0f} %"),) if self._total is not None else ()),
            TextColumn("{task.fields[records]}"),
            TextColumn("{task.fields[size]}"),
            TimeElapsedColumn(),
        ]
        progress = Progress(*columns, console=Console(stderr=True), auto_refresh=False)
        task = progress.add_task(self._what, total=self._total, records="", size="")
        progress.start()
        return progress, task

    def stop(self) -> None:
        if self._drawn is not None:
            self._drawn[0].stop()


@contextmanager
def meter(what: str, total: int | None, *, other_is_terminal: bool) -> Iterator[Meter]:
    """`other_is_terminal`: a person types or reads there, and a picture would be in the way."""
    shown = Meter(what, total, sys.stderr.isatty() and not other_is_terminal)
    try:
        yield shown
    finally:
        shown.stop()


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:,.1f} MB"
