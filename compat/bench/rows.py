"""The rows of the report: what is measured, in which unit, and what kbroker has to reach."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

PEER = "apache"
OURS = "kbroker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure. `limit` binds kbroker's own value, `ratio` binds kbroker's over the peer's."""

    name: str
    group: str  # what --rows selects
    title: str
    unit: str
    digits: int = 2
    limit: float | None = None
    ratio: float | None = None
    more_is_better: bool = False

    @property
    def target(self) -> str:
        sign = ">=" if self.more_is_better else "<="
        parts = []
        if self.limit is not None:
            parts.append(f"{sign} {self.limit:,g} {self.unit}")
        if self.ratio is not None:
            parts.append(f"{sign} {self.ratio:.3g} x")
        return ", ".join(parts)

    def met(self, ours: float, peer: float | None) -> bool | None:
        """Whether the target is reached; None for no target, or no peer to compare with."""
        if not self.is_bound:
            return None
        reached: Callable[[float, float], bool]
        reached = operator.ge if self.more_is_better else operator.le
        if self.limit is not None and not reached(ours, self.limit):
            return False
        if self.ratio is None:
            return True
        return None if not peer else reached(ours / peer, self.ratio)

    @property
    def is_bound(self) -> bool:
        """Whether there is a target at all."""
        return self.limit is not None or self.ratio is not None


def _rate_and_cpu(group: str, name: str, title: str, *, rate: float, cpu: float) -> tuple[Row, Row]:
    return (
        Row(
            name=f"{name}.rate",
            group=group,
            title=f"{title}: rate",
            unit="MB/s",
            digits=1,
            ratio=rate,
            more_is_better=True,
        ),
        Row(name=f"{name}.cpu", group=group, title=f"{title}: CPU", unit="s/GB", ratio=cpu),
    )


FLAT = 1.25  # at the end over the beginning: what two runs of the same differ by


def _growth(group: str, title: str) -> tuple[Row, ...]:
    rows: list[Row] = []
    for what in ("append", "fetch"):
        rows += (
            Row(
                name=f"{group}.{what}",
                group=group,
                title=f"{what} a batch, {title}: growth",
                unit="x",
                limit=FLAT,
            ),
            Row(
                name=f"{group}.{what}.ms",
                group=group,
                title=f"{what} a batch, {title}",
                unit="ms",
                digits=3,
            ),
        )
    return tuple(rows)


def _cold(what: str) -> tuple[Row, Row]:
    return (
        Row(
            name=f"cold.{what}",
            group="cold",
            title=f"{what} p99 while another reads cold data: growth",
            unit="x",
            limit=2,
        ),
        Row(
            name=f"cold.{what}.ms",
            group="cold",
            title=f"{what} p99 while another reads cold data",
            unit="ms",
            digits=3,
        ),
    )


def _seconds(name: str, group: str, title: str, limit: float | None) -> Row:
    return Row(name=name, group=group, title=title, unit="s", limit=limit)


# "Figures" of the issue that set the targets, in its order. MB and GB are powers of ten.
ROWS = (
    Row(
        name="start",
        group="start",
        title="start to ready",
        unit="s",
        limit=0.35,
        ratio=1 / 8,
        digits=3,
    ),
    Row(name="rss.idle", group="start", title="resident, idle", unit="MB", digits=1, limit=50),
    Row(name="rss.used", group="rss", title="resident, after 2 GB", unit="MB", digits=1, limit=90),
    *_rate_and_cpu("produce", "produce.fresh", "produce 1 KB, first GB", rate=1.5, cpu=1 / 3),
    *_rate_and_cpu("produce", "produce.warm", "produce 1 KB, fourth GB", rate=1.0, cpu=0.6),
    *_rate_and_cpu("small", "small.fresh", "produce 100 B, fresh", rate=1.0, cpu=0.6),
    *_rate_and_cpu("small", "small.again", "produce 100 B, once more", rate=1.0, cpu=0.6),
    Row(
        name="batches",
        group="batches",
        title="100 B records in 64 KB batches",
        unit="k records/CPU-s",
        digits=0,
        limit=1000,
        more_is_better=True,
    ),
    *_rate_and_cpu("consume", "consume", "consume 1 GB, librdkafka", rate=1.0, cpu=0.5),
    Row(
        name="single.first",
        group="single",
        title="one at a time, acks=1: the first 1,000",
        unit="ms",
        digits=1,
        ratio=0.2,
    ),
    Row(
        name="single.p50",
        group="single",
        title="the same, warm: p50",
        unit="ms",
        digits=3,
        ratio=1.5,
    ),
    Row(
        name="single.p99",
        group="single",
        title="the same, warm: p99",
        unit="ms",
        digits=3,
        ratio=1.0,
    ),
    *_growth("growth-log", "10 GB of log"),
    *_growth("growth-partitions", "10,000 partitions"),
    *_growth("growth-connections", "5,000 connections"),
    _seconds("start-10k.clean", "start-10k", "start, 10,000 partitions: clean stop", 3),
    _seconds("start-10k.killed", "start-10k", "start, 10,000 partitions: kill -9", 10),
    _seconds("start-10k.stop", "start-10k", "stop, 10,000 partitions", None),
    Row(
        name="start-10k.rss",
        group="start-10k",
        title="resident, 10,000 partitions",
        unit="MB",
        digits=0,
    ),
    _seconds("create-1000.each", "create-1000", "create 1,000 topics, one a request", 3),
    _seconds("create-1000.one", "create-1000", "create 1,000 topics, one request", 3),
    _seconds("group-100.join", "group-100", "rebalance 100 members: one more", 1),
    _seconds("group-100.leave", "group-100", "rebalance 100 members: one less", 1),
    *_cold("append"),
    *_cold("fetch"),
    Row(
        name="cold.rate",
        group="cold",
        title="cold data read",
        unit="MB/s",
        digits=0,
    ),
)
GROUPS = tuple(dict.fromkeys(row.group for row in ROWS))

Samples = dict[str, dict[str, list[float]]]  # broker -> row name -> one value a round


def medians(samples: Mapping[str, Mapping[str, Sequence[float]]]) -> dict[str, dict[str, float]]:
    """Broker -> row name -> median over the rounds."""
    return {
        broker: {name: median(values) for name, values in rows.items()}
        for broker, rows in samples.items()
    }


def table(samples: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    """The report, in Markdown: medians of each broker (with their range), the ratio to the peer,
    the target.
    """
    middle = medians(samples)
    brokers = list(samples)
    compared = PEER in brokers and OURS in brokers
    header = ["", "unit", *brokers, *(["ratio"] if compared else []), "target", "met"]
    lines = [header]
    for row in ROWS:
        if not any(row.name in middle[broker] for broker in brokers):
            continue
        cells = [row.title, row.unit]
        for broker in brokers:
            cells.append(_cell(row, samples[broker].get(row.name, ())))
        ours = middle.get(OURS, {}).get(row.name)
        peer = middle.get(PEER, {}).get(row.name)
        if compared:
            cells.append(f"{ours / peer:.2f}" if ours is not None and peer else "-")
        met = None if ours is None else row.met(ours, peer)
        cells += [row.target, {True: "yes", False: "**no**", None: ""}[met]]
        lines.append(cells)
    rule = ["---"] * len(header)
    return "\n".join("| " + " | ".join(line) + " |" for line in [lines[0], rule, *lines[1:]])


def _cell(row: Row, values: Sequence[float]) -> str:
    if not values:
        return "-"
    text = f"{median(values):,.{row.digits}f}"
    if len(values) > 1:
        text += f" ({min(values):,.{row.digits}f}-{max(values):,.{row.digits}f})"
    return text
