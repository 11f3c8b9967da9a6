"""Some clients behave; then thousands that do not join them; then those are gone again.

Asserted: every record that the good ones wrote was read back as it was written, all along; memory,
descriptors and threads stay bounded meanwhile, and are given back; a second crowd costs no more
than the first. How much slower the good ones were is reported, not judged: that depends on the
machine.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from compat.behaviour.asking import batch, make_topic, produce
from compat.load.report import Verdict, table, verdicts
from compat.load.sampling import Sample, Sampler
from compat.load.tasks import CitizenProcess, Helper
from compat.raw import RawClient

if TYPE_CHECKING:
    from compat.brokers import BrokerProcess
    from compat.load.tasks import Figures

READ_TOPIC, WRITE_TOPIC, GOOD_TOPIC = "crowd-read", "crowd-write", "good"
PRELOAD_MB = 60  # more than a fetch may ask for
GONE_S = 4.0  # for the broker to answer long polls, and to give back what it no longer needs
GONE_MAX_S = 60.0  # for it to notice that a crowd is gone
# An upper limit of what a connection may cost, whatever it does, in steady state and on average:
# most of them hold a few kilobytes, who sends or reads half of something some hundred.
CONNECTION_KB_MAX = 100
SPARE_THREADS = 64  # of the pools that both brokers have: they are of fixed size
CROWDS = 2


@dataclass(frozen=True, slots=True)
class Phase:
    """What one phase showed."""

    name: str
    probe: Figures  # one record at a time
    bulk: Figures  # a hundred records in a batch
    peak: Sample
    end: Sample


@dataclass(slots=True)
class AbuseReport:
    """A whole run."""

    broker: str
    connections: int
    phases: list[Phase] = field(default_factory=list)
    tallies: list[dict[str, dict[str, int]]] = field(default_factory=list)

    def verdicts(self) -> list[Verdict]:
        before, after = self.phases[0], self.phases[-1]
        crowds = [each for each in self.phases if each.name.startswith("crowd")]
        gone = [each for each in self.phases if each.name.startswith("gone")]
        first, last = crowds[0], crowds[-1]
        peak_mb = max(each.peak.rss_mb for each in crowds)
        bound_mb = before.end.rss_mb + self.connections * CONNECTION_KB_MAX / 1000
        taken_mb = last.peak.rss_mb - before.end.rss_mb
        left_mb = after.end.rss_mb - before.end.rss_mb
        again_mb = gone[-1].end.rss_mb - gone[0].end.rss_mb
        connected = min(
            sum(tally["connected"] >= tally["connections"] for tally in crowd.values())
            for crowd in self.tallies
        )
        return [
            Verdict(
                "all roles had their connections",
                connected == len(self.tallies[0]),
                f"{connected} of {len(self.tallies[0])}",
            ),
            Verdict(
                "the rest is served, and nothing lost or out of order",
                all(each.probe["records"] and each.bulk["records"] for each in self.phases),
                f"{sum(each.probe['records'] + each.bulk['records'] for each in self.phases):,.0f}"
                " records compared",
            ),
            Verdict(
                "memory is bounded",
                peak_mb <= bound_mb,
                f"{peak_mb:.0f} MB at most, {before.end.rss_mb:.0f} MB before",
            ),
            Verdict(
                "a second crowd takes no more than the first",
                last.peak.rss_mb <= 1.2 * first.peak.rss_mb,
                f"{first.peak.rss_mb:.0f} MB, then {last.peak.rss_mb:.0f} MB",
            ),
            Verdict(
                "memory is given back",
                left_mb <= max(taken_mb / 2, 40) and again_mb <= max(taken_mb / 5, 20),
                f"{left_mb:.0f} of {taken_mb:.0f} MB stay, {again_mb:.0f} MB more than after "
                "the first crowd",
            ),
            Verdict(
                "descriptors are given back, but for files of logs in use",
                after.end.fds_apart <= before.end.fds_apart,
                f"{before.end.fds_apart} before, {last.end.fds_apart} with the crowd, "
                f"{after.end.fds_apart} after, and files {before.end.fds - before.end.fds_apart}, "
                f"then {after.end.fds - after.end.fds_apart}",
            ),
            Verdict(
                "threads are bounded",
                last.peak.threads <= before.end.threads + SPARE_THREADS,
                f"{before.end.threads} before, {last.peak.threads} at most",
            ),
        ]

    def text(self) -> str:
        lines = [
            [
                "",
                "probe p50",
                "p99",
                "max ms",
                "bulk MB/s",
                "RSS MB",
                "peak",
                "fds",
                "apart",
                "threads",
            ]
        ]
        for each in self.phases:
            lines.append(
                [
                    each.name,
                    *(f"{each.probe[f'produce_{name}_ms']:.2f}" for name in ("p50", "p99", "max")),
                    f"{each.bulk['mb_per_s']:.1f}",
                    f"{each.end.rss_mb:.0f}",
                    f"{each.peak.rss_mb:.0f}",
                    str(each.end.fds),
                    str(each.end.fds_apart),
                    str(each.peak.threads),
                ]
            )
        roles = [["role", "connections", "connected", "refused", "closed", "MB received"]]
        for name, tally in self.tallies[-1].items():
            roles.append(
                [
                    name.replace("_", " "),
                    *(str(tally[key]) for key in ("connections", "connected", "refused", "closed")),
                    f"{tally['received_bytes'] / 1e6:.1f}",
                ]
            )
        title = f"{self.broker}, {self.connections:,} connections"
        return "\n\n".join([title, table(lines), table(roles), verdicts(self.verdicts())])

    def as_json(self) -> dict[str, object]:
        return asdict(self) | {"verdicts": [asdict(each) for each in self.verdicts()]}


def run(broker: BrokerProcess, connections: int, phase_s: float, seed: int = 1) -> AbuseReport:
    """Before, two crowds, and after each of them; ValueError if a good client fails."""
    report = AbuseReport(broker.name, connections)
    topic_id = _prepare(broker)
    probe = CitizenProcess(broker, GOOD_TOPIC, 0)
    bulk = CitizenProcess(broker, GOOD_TOPIC, 1, records=100, pace_s=0.01)
    helpers: list[Helper] = [probe, bulk]
    try:
        with Sampler(broker, min(phase_s / 10, 1.0)) as sampler:

            def phase(name: str, seconds: float) -> None:
                probe.figures()  # of what came before
                bulk.figures()
                start = len(sampler.samples)
                time.sleep(seconds)
                end = sampler.look()
                peak = max(sampler.samples[start:], key=lambda sample: sample.rss_mb)
                report.phases.append(Phase(name, probe.figures(), bulk.figures(), peak, end))

            time.sleep(1.0)
            phase("before", phase_s / 2)
            for number in range(1, CROWDS + 1):
                crowd = Helper(
                    "compat.load.crowd",
                    *(broker.host, broker.port, WRITE_TOPIC, topic_id.hex(), connections, seed),
                )
                helpers.append(crowd)
                if crowd.line() != "ready":
                    raise ValueError("the crowd has not come together")
                phase(f"crowd {number}", phase_s)
                report.tallies.append(json.loads(crowd.end()))
                await_gone(sampler, report.phases[0].end.fds_apart)
                phase(f"gone {number}", phase_s / 2)
        for good in (probe, bulk):
            good.end()
    finally:
        for helper in helpers:
            helper.kill()
    return report


def await_gone(sampler: Sampler, fds_apart: int) -> None:
    """Wait until no more descriptors are open than before, or for so long that this is a finding.

    A machine that is busy needs its time to close thousands of connections.
    """
    deadline = time.monotonic() + GONE_MAX_S
    while sampler.look().fds_apart > fds_apart and time.monotonic() < deadline:
        time.sleep(0.2)
    time.sleep(GONE_S)


def _prepare(broker: BrokerProcess) -> bytes:
    """The topics; the id of the one that is read."""
    with RawClient(broker.host, broker.port) as raw:
        make_topic(raw, GOOD_TOPIC, 2)
        bounds = {"segment_bytes": "16777216", "retention_bytes": "67108864"}
        make_topic(raw, WRITE_TOPIC, 1, **bounds)
        topic_id = make_topic(raw, READ_TOPIC, 2)  # one partition stays empty
        for _ in range(PRELOAD_MB):
            answer = produce(raw, READ_TOPIC, batch(bytes(1_000_000)), acks=1)
            if answer.error_code:
                raise ValueError(f"produce answered error {answer.error_code}")
    return topic_id
