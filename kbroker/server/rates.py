"""How often something happens, measured as Kafka's metrics measure it, because quotas limit it.

`SampledRate` counts in windows, each of which begins with its first event, over the last `windows`
of them. Time is an argument. Source: org.apache.kafka.common.metrics.stats, SampledStat and Rate.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass


@dataclass(slots=True)
class _Window:
    started_s: float
    last_s: float
    count: int = 0


class SampledRate:
    """Events a second. At most `windows` counters, whatever the rate."""

    def __init__(self, windows: int, window_s: float) -> None:
        self._windows = windows
        self._window_s = window_s
        self._samples: deque[_Window] = deque(maxlen=windows)

    def record(self, now_s: float) -> None:
        """Something has happened."""
        samples = self._samples
        if not samples or now_s - samples[-1].started_s >= self._window_s:
            samples.append(_Window(now_s, now_s))
        samples[-1].count += 1
        samples[-1].last_s = now_s

    def delay_s(self, bound: float, now_s: float, longest_s: float) -> float:
        """How long nothing may happen for the rate to come down to `bound` (QuotaUtils)."""
        count, elapsed_s = self._measure(now_s)
        if count <= bound * elapsed_s:
            return 0.0
        if not bound:
            return longest_s
        return min(count / bound - elapsed_s, longest_s)

    def _measure(self, now_s: float) -> tuple[int, float]:
        """What is counted, and the seconds it is counted over: all windows but one at the least."""
        expired_s = now_s - self._windows * self._window_s
        valid = [each for each in self._samples if each.last_s > expired_s]
        if not valid:
            return 0, self._window_s
        shortest_s = (self._windows - 1) * self._window_s
        elapsed_s = now_s - valid[0].started_s
        if elapsed_s < shortest_s:
            # Kafka adds whole windows to those that have begun.
            full = int(elapsed_s / self._window_s)
            elapsed_s += shortest_s - full * self._window_s
        return sum(each.count for each in valid), elapsed_s or self._window_s
