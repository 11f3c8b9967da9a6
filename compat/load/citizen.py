"""A client that behaves: it writes, reads back what it wrote, compares, and counts the time.

    python -m compat.load.citizen HOST PORT TOPIC PARTITION RECORDS VALUE_BYTES PACE_S

Each round is one Produce (acks=1) of RECORDS values and Fetches until they are read. Every line on
standard input ends a phase, whose figures are printed as a line of JSON; the end of the input ends
the client. It ends with an error at once if a record is lost, changed or out of order.
"""

from __future__ import annotations

import json
import queue
import sys
import threading
import time

from compat.behaviour.asking import (
    batch,
    describe,
    fetch,
    fetch_request,
    produce,
    records_of,
)
from compat.load.sampling import percentile
from compat.raw import RawClient
from kbroker.wire.errors import ErrorCode

_PATIENCE_S = 60.0
_FETCH_BYTES = 1 << 20


class Citizen:
    """One client of one partition, which nobody else writes to."""

    def __init__(
        self, host: str, port: int, topic: str, partition: int, records: int, value_bytes: int
    ) -> None:
        self._raw = RawClient(host, port, timeout_s=_PATIENCE_S)
        self._topic, self._partition = topic, partition
        self._topic_id = describe(self._raw, topic).topic_id
        self._records, self._padding = records, b"." * value_bytes
        self._next = 0
        self._rounds = 0
        self._started_s = time.monotonic()
        self.produce_ms: list[float] = []
        self.fetch_ms: list[float] = []

    def round(self) -> None:
        """Write and read back."""
        numbers = range(self._next, self._next + self._records)
        values: list[bytes | None] = [
            (b"%d" % n + self._padding)[: len(self._padding)] for n in numbers
        ]
        started_s = time.perf_counter()
        answer = produce(self._raw, self._topic, batch(*values), partition=self._partition, acks=1)
        if answer.error_code:
            raise ValueError(f"produce: {ErrorCode(answer.error_code).name}")
        written_s = time.perf_counter()
        self.produce_ms.append((written_s - started_s) * 1e3)
        read: list[bytes | None] = []
        offset = answer.base_offset
        while len(read) < len(values):
            request = fetch_request(
                self._topic_id,
                offset,
                partition=self._partition,
                max_bytes=_FETCH_BYTES,
                partition_max_bytes=_FETCH_BYTES,
            )
            found = [
                each for each in records_of(fetch(self._raw, request)) if each.offset >= offset
            ]
            if time.perf_counter() - written_s > _PATIENCE_S:
                raise TimeoutError(f"{len(read)} of {len(values)} records are there")
            for record in found:
                if record.offset != offset:
                    raise ValueError(f"offset {record.offset} where {offset} comes next")
                read.append(None if record.value is None else bytes(record.value))
                offset += 1
        self.fetch_ms.append((time.perf_counter() - written_s) * 1e3)
        if read != values:
            raise ValueError(f"what was read from {answer.base_offset} on is not what was written")
        self._next += self._records
        self._rounds += 1

    def figures(self) -> dict[str, float]:
        """Those of the phase that ends now."""
        elapsed_s = time.monotonic() - self._started_s
        records = self._rounds * self._records
        report = {
            "seconds": elapsed_s,
            "records": float(records),
            "records_per_s": records / elapsed_s,
            "mb_per_s": records * len(self._padding) / 1e6 / elapsed_s,
        }
        for name, times in (("produce", self.produce_ms), ("fetch", self.fetch_ms)):
            report |= {
                f"{name}_p50_ms": percentile(times, 0.5),
                f"{name}_p99_ms": percentile(times, 0.99),
                f"{name}_max_ms": max(times, default=0.0),
            }
            times.clear()
        self._rounds = 0
        self._started_s = time.monotonic()
        return report


def main() -> None:
    host, port, topic, partition = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    records, value_bytes, pace_s = int(sys.argv[5]), int(sys.argv[6]), float(sys.argv[7])
    lines: queue.SimpleQueue[bool] = queue.SimpleQueue()

    def read() -> None:
        for _ in sys.stdin:
            lines.put(True)
        lines.put(False)

    threading.Thread(target=read, daemon=True).start()
    citizen = Citizen(host, port, topic, partition, records, value_bytes)
    while True:
        citizen.round()
        if not lines.empty():
            if not lines.get():
                return
            print(json.dumps(citizen.figures()), flush=True)
        if pace_s:
            time.sleep(pace_s)


if __name__ == "__main__":
    main()
