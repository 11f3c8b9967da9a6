"""Tables for a terminal, and what a run comes to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Verdict:
    """One thing that a run is to show, whether it did, and with which figures."""

    title: str
    holds: bool
    figures: str


def table(lines: Sequence[Sequence[str]]) -> str:
    """The first line is the header; columns but the first are set to the right."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    rows = [
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    return "\n".join([rows[0], "-" * (sum(widths) + 2 * (len(widths) - 1)), *rows[1:]])


def verdicts(found: Sequence[Verdict]) -> str:
    return "\n".join(
        f"{'yes' if each.holds else 'NO ':4} {each.title}: {each.figures}" for each in found
    )
