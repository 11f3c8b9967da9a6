"""What an append and a fetch take while something grows: the log, the partitions, the connections.

The same probe each time, one batch of 64 KB after the other, on a partition of its own. A row is
what it takes at the end, over what it took at the beginning.
"""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from compat.bench import admin, load
from compat.bench.findings import Findings, at, percentile
from compat.bench.probe import Probe
from compat.brokers import API_VERSIONS_V0
from compat.raw import RawClient
from kbroker import descriptors

if TYPE_CHECKING:
    from compat.bench.sizes import Sizes
    from compat.brokers import BrokerProcess

TOPIC = "bench-growth"
SETTLE_S = 2.0
DECILES = 10


def log(broker: BrokerProcess, sizes: Sizes, _groups: frozenset[str]) -> Findings:
    """One log, filled decile by decile."""
    found = _Growth("growth-log", sizes.probes)
    time.sleep(SETTLE_S)
    load.create_topic(broker, TOPIC)
    with Probe(broker, TOPIC) as probe:
        for decile in range(1, DECILES + 1):
            size_bytes = sizes.log_bytes * decile // DECILES
            probe.fill(size_bytes)
            found.measure(probe, size_bytes / 1e9)
    return found.findings()


def partitions(broker: BrokerProcess, sizes: Sizes, _groups: frozenset[str]) -> Findings:
    """One partition among ever more, which hold nothing."""
    found = _Growth("growth-partitions", sizes.probes)
    time.sleep(SETTLE_S)
    load.create_topic(broker, TOPIC)
    with Probe(broker, TOPIC) as probe:
        probe.fill(probe.batch_bytes * sizes.probes)
        count = 1
        while True:
            found.measure(probe, count)
            if count == sizes.many_partitions:
                return found.findings()
            wanted = min(count * 10 if count > 1 else 100, sizes.many_partitions)
            admin.add_partitions(broker, f"{TOPIC}-to-{wanted}", wanted - count)
            count = wanted
            time.sleep(SETTLE_S)


def connections(broker: BrokerProcess, sizes: Sizes, _groups: frozenset[str]) -> Findings:
    """One connection among ever more, which have asked for something once and are idle."""
    descriptors.raise_limit()
    found = _Growth("growth-connections", sizes.probes)
    time.sleep(SETTLE_S)
    load.create_topic(broker, TOPIC)
    idle = 0
    with ExitStack() as stack:
        probe = stack.enter_context(Probe(broker, TOPIC))
        probe.fill(probe.batch_bytes * sizes.probes)
        for wanted in (1, sizes.connections // 10, sizes.connections):
            while idle + 1 < wanted:
                client = stack.enter_context(RawClient(broker.host, broker.port))
                client.exchange(API_VERSIONS_V0)
                idle += 1
            found.measure(probe, wanted)
    return found.findings()


class _Growth:
    """Points of an append's and of a fetch's median, as something grows."""

    def __init__(self, group: str, probes: int) -> None:
        self._group = group
        self._probes = probes
        self._series: dict[str, list[tuple[float, float]]] = {"append": [], "fetch": []}

    def measure(self, probe: Probe, x: float) -> None:
        os.sync()  # what the file system still writes of the growing is not the broker's time
        if not self._series["append"]:
            probe.appends(self._probes)  # warm
        self._series["append"].append((x, percentile(probe.appends(self._probes), 50)))
        self._series["fetch"].append((x, percentile(probe.fetches(self._probes), 50)))

    def findings(self) -> Findings:
        found = Findings()
        for what, points in self._series.items():
            name = f"{self._group}.{what}"
            first, last = points[0][0], points[-1][0]
            found.values[f"{name}.ms"] = at(points, last)
            found.values[name] = at(points, last) / at(points, first)
            found.series[name] = points
        return found
