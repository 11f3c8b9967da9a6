"""What a scenario finds: a value for each of its rows, and series for the plots."""

from __future__ import annotations

from dataclasses import dataclass, field

Point = tuple[float, float]

PERCENTILES = (1, 5, 10, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 99.99)


@dataclass(slots=True)
class Findings:
    """`values`: row name -> value. `series`: name -> points (x, y)."""

    values: dict[str, float] = field(default_factory=dict)
    series: dict[str, list[Point]] = field(default_factory=dict)

    def add(self, other: Findings) -> None:
        self.values |= other.values
        self.series |= other.series


def percentile(times: list[float], percent: float) -> float:
    """Of times in any order."""
    ordered = sorted(times)
    return ordered[min(int(len(ordered) * percent / 100), len(ordered) - 1)]


def distribution(times: list[float]) -> list[Point]:
    """(percentile, time), for each of PERCENTILES."""
    return [(percent, percentile(times, percent)) for percent in PERCENTILES]


def at(points: list[Point], x: float) -> float:
    """The y of a point that is there."""
    return dict(points)[x]
