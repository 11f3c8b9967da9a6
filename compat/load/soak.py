"""At full speed for a long time, with everything at work that runs beside the traffic.

Idempotent producers write to partitions whose segments are small, and which lose what is too old or
too much; consumers follow them in a group and commit, while members come and go; topics are made
and deleted; a probe writes single records and reads them back. Each series is flat if the median of
its last quarter is no higher than that of its first by more than what the series may vary by.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from compat.behaviour.asking import make_topic
from compat.load.report import Verdict, table, verdicts
from compat.load.sampling import look, quarters
from compat.load.tasks import CitizenProcess, Helper
from compat.raw import RawClient

if TYPE_CHECKING:
    from compat.brokers import BrokerProcess
    from compat.load.sampling import Sample
    from compat.load.tasks import Figures

# Retention looks often, so that a short run sees it too.
SETTINGS = {
    # A producer asks for the topics it once wrote to, and would have deleted ones made again.
    "auto.create.topics.enable": "false",
    "log.retention.check.interval.ms": "1000",
    "log.segment.delete.delay.ms": "1000",
    "group.initial.rebalance.delay.ms": "0",
}
PARTITIONS = 4
BY_SIZE, BY_TIME, PROBE = "soak-size", "soak-time", "soak-probe"
TOPICS = {
    BY_SIZE: {"segment_bytes": "8388608", "retention_bytes": "67108864"},
    BY_TIME: {"segment_bytes": "8388608", "segment_ms": "5000", "retention_ms": "10000"},
    PROBE: {"segment_bytes": "1048576", "retention_bytes": "4194304"},
}
GROUP = "soak"
SETTLE_SHARE = 0.2  # of the run, before retention has begun everywhere and caches are warm
SAMPLES_MIN = 8
PATIENCE_S = 120.0


@dataclass(frozen=True, slots=True)
class Series:
    """What a series may rise by from its first to its last quarter, in parts and absolutely.

    What falls rather than rises where something is wrong has `falls`.
    """

    name: str
    unit: str
    share: float
    spare: float
    falls: bool = False

    def is_flat(self, first: float, last: float) -> bool:
        if self.falls:
            return last >= first * (1 - self.share) - self.spare
        return last <= first * (1 + self.share) + self.spare


SERIES = (
    Series("rss_mb", "MB", 0.1, 4),
    Series("fds", "", 0.1, 16),
    Series("threads", "", 0, 8),  # of a pool that grows and shrinks
    Series("files", "", 0.15, 24),
    Series("data_mb", "MB", 0.15, 50),
    Series("produce_p50_ms", "ms", 0.5, 0.5),
    Series("produce_p99_ms", "ms", 1.0, 5),
    Series("fetch_p50_ms", "ms", 0.5, 0.5),
    Series("fetch_p99_ms", "ms", 1.0, 5),
    Series("produced_mb_per_s", "MB/s", 0.25, 0, falls=True),
    Series("consumed_mb_per_s", "MB/s", 0.25, 0, falls=True),
)


@dataclass(slots=True)
class SoakReport:
    """A whole run: one value a series and sample."""

    broker: str
    seconds: float
    at_s: list[float] = field(default_factory=list)
    values: dict[str, list[float]] = field(default_factory=dict)
    offsets_mb: list[float] = field(default_factory=list)  # of __consumer_offsets, apart
    done: dict[str, dict[str, int]] = field(default_factory=dict)

    def add(self, sample: Sample, figures: Figures, rates: Figures) -> None:
        self.at_s.append(sample.at_s)
        self.offsets_mb.append(sample.offsets_mb)
        row = {name: float(value) for name, value in asdict(sample).items()} | figures | rates
        for series in SERIES:
            self.values.setdefault(series.name, []).append(row[series.name])

    def ends(self, series: Series) -> tuple[float, float]:
        """Medians of the first and the last quarter, of what comes after it has settled."""
        values = self.values[series.name]
        return quarters(values[int(len(values) * SETTLE_SHARE) :])

    def verdicts(self) -> list[Verdict]:
        done = self.done
        found = [
            Verdict(
                "every record where its number says, members and topics all along",
                all(any(each.values()) for each in done.values())
                and done["topics"]["topics"] > 0
                and done["come-and-go"]["members"] > 0,
                ", ".join(
                    f"{name}: {' '.join(f'{count:,} {what}' for what, count in each.items())}"
                    for name, each in done.items()
                ),
            )
        ]
        for series in SERIES:
            first, last = self.ends(series)
            found.append(
                Verdict(
                    f"{series.name} is flat",
                    series.is_flat(first, last),
                    f"{first:,.2f} -> {last:,.2f} {series.unit}".strip(),
                )
            )
        return found

    def text(self) -> str:
        lines = [["", "unit", "first quarter", "last quarter", "least", "most"]]
        for series in SERIES:
            settled = self.values[series.name][int(len(self.at_s) * SETTLE_SHARE) :]
            figures = (*self.ends(series), min(settled), max(settled))
            lines.append([series.name, series.unit, *(f"{value:,.2f}" for value in figures)])
        offsets = (
            f"__consumer_offsets is in none of these: it is compacted by no one yet and grew from "
            f"{self.offsets_mb[0]:.2f} to {self.offsets_mb[-1]:.2f} MB."
        )
        title = f"{self.broker}, {self.seconds:,.0f} s, {len(self.at_s)} samples"
        return "\n\n".join([title, table(lines), offsets, verdicts(self.verdicts())])

    def as_json(self) -> dict[str, object]:
        return asdict(self) | {"verdicts": [asdict(each) for each in self.verdicts()]}


def run(broker: BrokerProcess, seconds: float, every_s: float) -> SoakReport:
    """ValueError if a client fails, or if there would be too few samples to speak of quarters."""
    if seconds / every_s < SAMPLES_MIN / (1 - SETTLE_SHARE):
        raise ValueError(f"{seconds} s with a sample each {every_s} s are too few")
    report = SoakReport(broker.name, seconds)
    with RawClient(broker.host, broker.port) as raw:
        for topic, config in TOPICS.items():
            make_topic(raw, topic, 1 if topic == PROBE else PARTITIONS, **config)
    probe = CitizenProcess(broker, PROBE, 0, pace_s=0.01)
    workers = {
        "by size": _Worker("produce", broker, BY_SIZE, PARTITIONS),
        "by time": _Worker("produce", broker, BY_TIME, PARTITIONS),
        "size 1": _Worker("consume", broker, BY_SIZE, f"{GROUP}-size"),
        "size 2": _Worker("consume", broker, BY_SIZE, f"{GROUP}-size"),
        "time 1": _Worker("consume", broker, BY_TIME, f"{GROUP}-time"),
        "come-and-go": _Worker("come-and-go", broker, BY_SIZE, f"{GROUP}-size"),
        "topics": _Worker("topics", broker),
    }
    try:
        for worker in workers.values():
            worker.has_done("")
        probe.figures()
        started_s = time.monotonic()
        for number in range(1, int(seconds / every_s) + 1):
            time.sleep(max(0.0, started_s + number * every_s - time.monotonic()))
            figures = probe.figures()
            done = {name: worker.figures() for name, worker in workers.items()}
            rates = {
                "produced_mb_per_s": _mb(done, "by size", "by time") / every_s,
                "consumed_mb_per_s": _mb(done, "size 1", "size 2", "time 1", "come-and-go")
                / every_s,
            }
            report.add(look(broker, started_s), figures, rates)
        workers["topics"].has_done("topics")
        workers["come-and-go"].has_done("members")
        probe.end()
        report.done = {name: json.loads(worker.end()) for name, worker in workers.items()}
    finally:
        for helper in (probe, *workers.values()):
            helper.kill()
    return report


class _Worker(Helper):
    """A `compat.load.workers`."""

    def __init__(self, kind: str, broker: BrokerProcess, *arguments: object) -> None:
        super().__init__("compat.load.workers", kind, broker.bootstrap, *arguments)
        self._done: Counter[str] = Counter()

    def figures(self) -> dict[str, int]:
        """Since they were asked for last."""
        self.tell("")
        done: dict[str, int] = json.loads(self.line())
        self._done.update(done)
        return done

    def has_done(self, what: str) -> None:
        """Wait until it has done something, or something of that kind: a client's start and a
        member's stay take their time. ValueError if that never comes."""
        deadline = time.monotonic() + PATIENCE_S
        while not (self._done[what] if what else self._done.total()):
            if time.monotonic() > deadline:
                raise ValueError(f"{self._name} has done nothing")
            time.sleep(0.1)
            self.figures()


def _mb(done: dict[str, dict[str, int]], *names: str) -> float:
    return sum(done[name].get("records", 0) for name in names) / 1000
