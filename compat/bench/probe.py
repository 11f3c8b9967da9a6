"""One client that appends and fetches batches, one at a time, and takes the time of each."""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING, Self

from compat.bench.frames import (
    AnswerError,
    batch,
    check_produced,
    fetch_frame,
    fetched_at,
    produce_frame,
)
from compat.raw import RawClient

if TYPE_CHECKING:
    from types import TracebackType

    from compat.brokers import Broker

_LEADER_TIMEOUT_S = 30.0
_LEADER_POLL_S = 0.05
IN_FLIGHT = 8  # requests of `fill` that are under way


class Probe:
    """Of one partition, which it alone writes to."""

    def __init__(
        self, broker: Broker, topic: str, *, records: int = 64, record_bytes: int = 1000
    ) -> None:
        """Its batches have `records` records of `record_bytes`."""
        self._topic = topic
        self._records = records
        batch_bytes = batch(records, record_bytes)
        self.batch_bytes = len(batch_bytes)
        self.batches = 0  # in the partition
        self._frame = produce_frame(topic, 0, batch_bytes)
        self._client = RawClient(broker.host, broker.port, timeout_s=120)

    def __enter__(self) -> Self:
        self._await_leader()
        gc.disable()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        gc.enable()
        self._client.close()

    def _await_leader(self) -> None:
        """Append the first batch. A broker may say that it leads before it does."""
        deadline = time.monotonic() + _LEADER_TIMEOUT_S
        while True:
            try:
                self.appends(1)
            except AnswerError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_LEADER_POLL_S)
            else:
                return

    def fill(self, size_bytes: int) -> None:
        """Append until the log has that many bytes, as fast as it goes."""
        client = self._client
        wanted = max(size_bytes // self.batch_bytes - self.batches, 0)
        for number in range(wanted + IN_FLIGHT):
            if number < wanted:
                client.send_frame(self._frame)
            if number >= IN_FLIGHT and number - IN_FLIGHT < wanted:
                check_produced(self._topic, client.read_frame())
        self.batches += wanted

    def appends(self, count: int) -> list[float]:
        """Milliseconds of each."""
        times_ms = []
        for _ in range(count):
            before = time.perf_counter_ns()
            response = self._client.exchange(self._frame)
            times_ms.append((time.perf_counter_ns() - before) / 1e6)
            check_produced(self._topic, response)
        self.batches += count
        return times_ms

    def fetches(self, count: int) -> list[float]:
        """Milliseconds of each; the batches lie evenly over the whole log."""
        times_ms = []
        for number in range(count):
            # A step that shares nothing with the count: neighbours in time are far apart.
            slot = number * 7919 % count
            offset = slot * self.batches // count * self._records
            frame = fetch_frame(self._topic, 0, offset, self.batch_bytes)
            before = time.perf_counter_ns()
            response = self._client.exchange(frame)
            times_ms.append((time.perf_counter_ns() - before) / 1e6)
            fetched_at(self._topic, response)
        return times_ms

    def pairs(self, seconds: float) -> tuple[list[float], list[float]]:
        """Appends and fetches of what was just appended, in turn, for so long."""
        appends: list[float] = []
        fetches: list[float] = []
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            appends += self.appends(1)
            fetches.append(self._fetch_last())
        return appends, fetches

    def _fetch_last(self) -> float:
        frame = fetch_frame(self._topic, 0, (self.batches - 1) * self._records, self.batch_bytes)
        before = time.perf_counter_ns()
        response = self._client.exchange(frame)
        elapsed_ms = (time.perf_counter_ns() - before) / 1e6
        fetched_at(self._topic, response)
        return elapsed_ms
