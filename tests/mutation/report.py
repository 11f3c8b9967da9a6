"""The verdicts as a table, a row for each package."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .sample import Mutant

_PACKAGES = (
    "kbroker/partitions",
    "kbroker/log_dirs",
    "kbroker/coordinators",
    "kbroker/server",
    "kbroker/handlers",
)


def table(verdicts: list[tuple[Mutant, str]], equivalent: Mapping[str, str]) -> str:
    """Markdown: the counts of each package and of all, then who lives, then the equivalent."""
    counts: dict[str, Counter[str]] = {}
    living, named = [], []
    for mutant, verdict in verdicts:
        if verdict != "passed":
            kind = "found"
        elif mutant.key in equivalent:
            kind = "equivalent"
            named.append(f"- `{mutant.key}`: {equivalent[mutant.key]}")
        else:
            kind = "lives"
            living.append(f"- `{mutant.key}`")
        for row in (_package(mutant.path), "all"):
            counts.setdefault(row, Counter())[kind] += 1
    lines = ["| package | mutants | found | live | equivalent | found of the others |"]
    lines.append("|---|---|---|---|---|---|")
    for row in sorted(counts, key=lambda name: (name == "all", name)):
        lines.append(_row(row, counts[row]))
    if living:
        lines += ["", "Live:", *sorted(living)]
    if named:
        lines += ["", "Equivalent:", *sorted(named)]
    return "\n".join(lines)


def _package(path: str) -> str:
    return next((p for p in _PACKAGES if path.startswith(f"{p}/")), path.partition("/")[0])


def _row(name: str, count: Counter[str]) -> str:
    judged = count["found"] + count["lives"]
    share = f"{100 * count['found'] / judged:.1f} %" if judged else "-"
    return (
        f"| {name} | {count.total()} | {count['found']} | {count['lives']} "
        f"| {count['equivalent']} | {share} |"
    )
