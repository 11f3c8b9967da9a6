"""The rate that connections are held to."""

from __future__ import annotations

import pytest

from kbroker.server.rates import SampledRate

LONGEST_S = 1.0


def delay_after(
    times_s: list[float], bound: float, windows: int = 11, window_s: float = 1.0
) -> float:
    rate = SampledRate(windows, window_s)
    for now_s in times_s:
        rate.record(now_s)
    return rate.delay_s(bound, times_s[-1], LONGEST_S)


@pytest.mark.parametrize(
    ("times_s", "bound", "delay_s"),
    [
        ([0.0] * 100, 10, 0.0),  # ten windows of one second count at the least
        ([0.0] * 101, 10, 0.1),
        ([0.0] * 105, 10, 0.5),
        ([0.0] * 200, 10, LONGEST_S),
        ([float(second) for second in range(100) for _ in range(9)], 10, 0.0),
        ([float(second) for second in range(100) for _ in range(12)], 10, LONGEST_S),
        ([0.0] * 1000 + [20.0], 10, 0.0),  # forgotten
        ([0.0], 0, LONGEST_S),
    ],
)
def test_what_is_over_the_rate_has_to_wait(
    times_s: list[float], bound: float, delay_s: float
) -> None:
    assert delay_after(times_s, bound) == pytest.approx(delay_s)


@pytest.mark.parametrize(
    ("times_s", "delay_s"),
    [
        ([0.0] * 100, 0.0),  # five windows of two seconds count at the least
        ([0.0] * 101, 0.1),
        ([0.0] * 120 + [1.9], 0.2),  # five more than the one that has begun
        ([0.0] * 100 + [2.0], 0.1),  # two: the first is over, and counts as it was
        ([0.0] * 100 + [3.0] * 11, 0.1),  # one second of the second has gone
        ([0.0] * 1000 + [12.0], 0.0),  # six windows later it is forgotten
        ([0.0] * 120 + [11.9], 0.2),  # and until then it is not
    ],
)
def test_windows_are_as_long_as_they_are(times_s: list[float], delay_s: float) -> None:
    assert delay_after(times_s, 10, 6, 2.0) == pytest.approx(delay_s)
