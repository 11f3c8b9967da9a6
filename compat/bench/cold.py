"""A consumer that reads from the disk what is in no cache, and what that does to somebody else."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from compat.bench import load
from compat.bench.findings import Findings, distribution, percentile
from compat.bench.probe import Probe
from compat.brokers import REPOSITORY

if TYPE_CHECKING:
    from compat.bench.sizes import Sizes
    from compat.brokers import BrokerProcess

COLD, WARM = "bench-cold", "bench-warm"
SETTLE_S = 2.0
BEFORE_S = 5.0
SLICE_S = 0.25  # between looks whether the reader still reads
READ_TIMEOUT_S = 300


def cold(broker: BrokerProcess, sizes: Sizes, _groups: frozenset[str]) -> Findings:
    """p99 of appends and fetches of one record, before and while another reads cold data."""
    time.sleep(SETTLE_S)
    load.create_topic(broker, COLD)
    load.create_topic(broker, WARM)
    with Probe(broker, COLD) as writer:
        writer.fill(sizes.cold_bytes)
    with Probe(broker, WARM, records=1, record_bytes=100) as probe:
        probe.pairs(BEFORE_S / 2)  # warm
        evict(broker, COLD)
        before = probe.pairs(BEFORE_S)
        command = [sys.executable, "-m", "compat.bench.read", broker.host, str(broker.port), COLD]
        reader = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE)
        began = time.monotonic()
        during: tuple[list[float], list[float]] = ([], [])
        try:
            while reader.poll() is None:
                if time.monotonic() > began + READ_TIMEOUT_S:
                    raise TimeoutError(f"the reader is not done in {READ_TIMEOUT_S} s")
                for all_times, some in zip(during, probe.pairs(SLICE_S), strict=True):
                    all_times += some
        finally:
            reader.kill()
            output, _ = reader.communicate()
    if reader.returncode:
        raise ValueError(f"the reader ended with {reader.returncode}")
    found = Findings()
    read_bytes, elapsed_s = (float(number) for number in output.split())
    found.values["cold.rate"] = read_bytes / 1e6 / elapsed_s
    for what, quiet, busy in zip(("append", "fetch"), before, during, strict=True):
        found.values[f"cold.{what}.ms"] = percentile(busy, 99)
        found.values[f"cold.{what}"] = percentile(busy, 99) / percentile(quiet, 99)
        found.series[f"cold.{what}.before"] = distribution(quiet)
        found.series[f"cold.{what}.during"] = distribution(busy)
    return found


def evict(broker: BrokerProcess, topic: str) -> None:
    """Write the topic's files to the disk and have the page cache forget them."""
    for path in sorted(broker.data.glob(f"{topic}-*/*")):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)
