"""Logs trouble that lasts only once, when it begins.

It does not matter how many requests, connections or partitions meet it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

# Trouble that nobody has met for so long is over; what comes then is told again.
CALM_S: Final = 60.0
KEPT_MAX: Final = 1000


class Complaints:
    """Remembers what was told; `now_s` is any clock that goes forward."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._met_s: dict[Hashable, float] = {}  # whatever was met last is last

    def is_news(self, what: Hashable) -> bool:
        """Somebody meets it now: whether it is to be told."""
        now_s = self._now_s()
        met_s = self._met_s.pop(what, None)
        if met_s is None and len(self._met_s) >= KEPT_MAX:
            del self._met_s[next(iter(self._met_s))]
        self._met_s[what] = now_s
        return met_s is None or now_s - met_s >= CALM_S
