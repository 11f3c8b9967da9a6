"""What a broker holds, from /proc and from its data directory, and how a series of it went."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Self

from compat.bench.process_stats import cpu_s, rss_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from compat.brokers import BrokerProcess

# Compaction is not open yet: this one only grows, and is looked at apart.
OFFSETS_TOPIC = "__consumer_offsets-"


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at a broker."""

    at_s: float
    rss_mb: float
    fds: int
    fds_apart: int  # from those of the data directory: of logs as many are open as there are files
    threads: int
    cpu_s: float
    files: int
    data_mb: float
    offsets_mb: float  # of __consumer_offsets, which is in neither of the two above


def look(broker: BrokerProcess, started_s: float) -> Sample:
    files, data, offsets = _files(broker.data)
    fds, apart = _descriptors(broker.pid, broker.data)
    return Sample(
        at_s=time.monotonic() - started_s,
        rss_mb=rss_bytes(broker.pid) / 1e6,
        fds=fds,
        fds_apart=apart,
        threads=len(os.listdir(f"/proc/{broker.pid}/task")),
        cpu_s=cpu_s(broker.pid),
        files=files,
        data_mb=data / 1e6,
        offsets_mb=offsets / 1e6,
    )


def _descriptors(pid: int, data: Path) -> tuple[int, int]:
    """All of them, and those of anything but files that are there in the data directory."""
    folder = Path(f"/proc/{pid}/fd")
    names = os.listdir(folder)
    apart = 0
    for name in names:
        try:
            target = os.readlink(folder / name)
        except FileNotFoundError:
            continue  # it was closed while we looked
        # A file that is deleted and still open is named so: nobody is to hold one for long.
        apart += not target.startswith(f"{data}/") or target.endswith(" (deleted)")
    return len(names), apart


def _files(data: Path) -> tuple[int, int, int]:
    """Files, their bytes, and the bytes of `__consumer_offsets`."""
    count = size = offsets = 0
    for folder, _, names in os.walk(data):
        for name in names:
            try:
                # What is allocated: indexes are made large and sparse.
                used = os.stat(os.path.join(folder, name)).st_blocks * 512
            except FileNotFoundError:
                continue  # it was deleted while we looked
            if Path(folder).name.startswith(OFFSETS_TOPIC):
                offsets += used
            else:
                count += 1
                size += used
    return count, size, offsets


class Sampler:
    """Looks at a broker every so often while it is entered."""

    def __init__(self, broker: BrokerProcess, every_s: float) -> None:
        self.samples: list[Sample] = []
        self._broker = broker
        self._every_s = every_s
        self._started_s = time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()

    def look(self) -> Sample:
        """One more sample, now."""
        sample = look(self._broker, self._started_s)
        self.samples.append(sample)
        return sample

    def _run(self) -> None:
        while not self._ended.wait(self._every_s):
            if not self._broker.running:
                return
            self.look()


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of them does not exceed; 0 where there are none."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def quarters(values: Sequence[float]) -> tuple[float, float]:
    """The medians of the first and the last quarter."""
    size = max(len(values) // 4, 1)
    return median(values[:size]), median(values[-size:])
