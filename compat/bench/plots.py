"""Draws what a run has measured, for the README: one SVG a subject.

On a transparent ground and in colours that can be read on white as on black. The same results give
the same bytes: no dates, no random ids, text as text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from compat.bench.rows import OURS, PEER

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

    from compat.bench.findings import Point

Results = dict[str, Any]  # what --json wrote

_INK = "#7d8590"
_COLOURS = {PEER: "#db6d28", OURS: "#2f81f7"}
_LABELS = {PEER: "Apache Kafka", OURS: "kbroker"}
_BAR = 0.38
_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "kbroker",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "grid.color": _INK,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}
_RATES = {
    "produce.fresh.rate": "produce 1 KB, first GB",
    "produce.warm.rate": "produce 1 KB, fourth GB",
    "small.fresh.rate": "produce 100 B",
    "small.again.rate": "produce 100 B, once more",
    "consume.rate": "consume 1 KB",
}
_STARTS = {
    "start": "empty",
    "start-10k.clean": "10,000 partitions,\nafter a clean stop",
    "start-10k.killed": "10,000 partitions,\nafter kill -9",
}
_GROWTHS = {
    "growth-log": "GB in the log",
    "growth-partitions": "partitions",
    "growth-connections": "connections",
}


def draw(results: Results, folder: Path) -> None:
    """Write the plots for which there are results; the others stay as they are."""
    folder.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(_STYLE):
        for name, figure in {
            "throughput": _bars(results, _RATES, "MB/s (more is better)"),
            "latency": _latency(results),
            "memory": _memory(results),
            "growth": _growth(results),
            "start": _bars(results, _STARTS, "seconds to start (less is better)"),
        }.items():
            if figure is not None:
                figure.savefig(folder / f"{name}.svg", bbox_inches="tight", metadata={"Date": None})


def _brokers(results: Results) -> list[str]:
    return [name for name in (PEER, OURS) if name in results["medians"]]


def _bars(results: Results, titles: dict[str, str], unit: str) -> Figure | None:
    """Each row's medians side by side."""
    rows = [row for row in titles if all(row in each for each in results["medians"].values())]
    if not rows:
        return None
    figure = Figure(figsize=(7, 0.6 + 0.6 * len(rows)))
    axes = figure.subplots()
    for slot, broker in enumerate(_brokers(results)):
        values = [results["medians"][broker].get(row, 0) for row in rows]
        places = [index + (slot - 0.5) * _BAR for index in range(len(rows))]
        bars = axes.barh(places, values, height=_BAR, color=_COLOURS[broker], label=_LABELS[broker])
        axes.bar_label(bars, [_short(value) for value in values], padding=3, color=_INK)
    axes.set_yticks(range(len(rows)), [titles[row] for row in rows])
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(unit)
    axes.margins(x=0.12)
    axes.legend(loc="best")
    return figure


def _latency(results: Results) -> Figure | None:
    """Times by percentile, the axis stretched towards the last ones."""
    found = _series(results, "latency")
    if not found:
        return None
    figure = Figure(figsize=(7, 3))
    axes = figure.subplots()
    for broker, points in found.items():
        axes.plot(
            [1 / (1 - percent / 100) for percent, _ in points],
            [ms for _, ms in points],
            color=_COLOURS[broker],
            label=_LABELS[broker],
            marker=".",
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    shown = (50, 90, 99, 99.9, 99.99)
    axes.set_xticks([1 / (1 - percent / 100) for percent in shown], [f"{p}%" for p in shown])
    axes.xaxis.set_minor_formatter(NullFormatter())
    _plain(axes)
    axes.set_xlabel("of the requests took at most")
    axes.set_ylabel("ms, one record at a time, acks=1")
    axes.grid(axis="y")
    axes.legend(loc="best")
    return figure


def _memory(results: Results) -> Figure | None:
    """Resident memory while GB after GB goes through."""
    found = _series(results, "memory")
    if not found:
        return None
    figure = Figure(figsize=(7, 2.6))
    axes = figure.subplots()
    for broker, points in found.items():
        axes.plot(*zip(*points, strict=True), color=_COLOURS[broker], label=_LABELS[broker])
    axes.set_ylim(bottom=0)
    axes.set_xlim(left=0)
    axes.set_xlabel("seconds, while 4 GB are written and 1 GB is read")
    axes.set_ylabel("MB resident")
    axes.grid(axis="y")
    axes.legend(loc="best")
    return figure


def _growth(results: Results) -> Figure | None:
    """What a batch takes while something grows, beside each other on one scale."""
    groups = [group for group in _GROWTHS if _series(results, f"{group}.append")]
    if not groups:
        return None
    figure = Figure(figsize=(2.9 * len(groups) + 0.6, 3))
    all_axes = figure.subplots(1, len(groups), sharey=True, squeeze=False)[0]
    for axes, group in zip(all_axes, groups, strict=True):
        for what, line in (("append", "-"), ("fetch", ":")):
            for broker, points in _series(results, f"{group}.{what}").items():
                label = f"{_LABELS[broker]}, {what}"
                x, y = zip(*points, strict=True)
                axes.plot(x, y, line, color=_COLOURS[broker], label=label, marker=".")
        if group != "growth-log":
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
        axes.set_ylim(bottom=0)
        axes.set_xlabel(_GROWTHS[group])
        axes.grid(axis="y")
    all_axes[0].set_ylabel("ms a batch of 64 KB")
    handles, labels = all_axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=4, bbox_to_anchor=(0.5, 0.9))
    return figure


def _series(results: Results, name: str) -> dict[str, list[Point]]:
    series = results.get("series", {})
    return {
        broker: series[broker][name]
        for broker in _brokers(results)
        if name in series.get(broker, {})
    }


def _plain(axes: Axes) -> None:
    """Numbers, not powers of ten."""
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
