"""One record at a time over a plain socket, acks=1: a client that costs next to nothing.

    python -m compat.bench.single HOST PORT TOPIC FIRST WARM_UP MEASURED

Prints JSON: milliseconds that the first FIRST took together, and p50 and p99 of MEASURED ones that
follow WARM_UP more. The topic must exist. The batch comes from kafka-python's builder, the frame is
Produce v7, so that nothing of kbroker stands on the client's side.
"""

from __future__ import annotations

import gc
import json
import struct
import sys
import time

from kafka.record.default_records import DefaultRecordBatchBuilder

from compat.raw import RawClient

_VALUE = b"v" * 100


def produce_frame(topic: str) -> bytes:
    """A Produce v7 request, acks=1, of one record of 100 bytes for partition 0."""
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=0,
        is_transactional=False,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=1 << 14,
    )
    now_ms = time.time_ns() // 1_000_000
    builder.append(0, timestamp=now_ms, key=None, value=_VALUE, headers=[])
    batch = bytes(builder.build())
    name = topic.encode()
    header = struct.pack(">hhih5s", 0, 7, 1, 5, b"bench")
    body = struct.pack(">hhiih", -1, 1, 30_000, 1, len(name)) + name
    return header + body + struct.pack(">iii", 1, 0, len(batch)) + batch


def main() -> None:
    host, port, topic = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    first, warm_up, measured = (int(argument) for argument in sys.argv[4:7])
    frame = produce_frame(topic)
    # Correlation id, one topic with its name, one partition, its index: then its error code.
    error_at = 4 + 4 + 2 + len(topic.encode()) + 4 + 4

    with RawClient(host, port) as client:

        def send_one() -> None:
            response = client.exchange(frame)
            error = response[error_at : error_at + 2]
            if error != b"\0\0":
                raise ValueError(f"produce answered error {int.from_bytes(error, signed=True)}")

        gc.disable()
        started = time.perf_counter()
        for _ in range(first):
            send_one()
        first_s = time.perf_counter() - started
        for _ in range(warm_up):
            send_one()
        times_ns = []
        for _ in range(measured):
            before = time.perf_counter_ns()
            send_one()
            times_ns.append(time.perf_counter_ns() - before)
    times_ns.sort()
    report = {
        "first_ms": first_s * 1e3,
        "p50_ms": times_ns[len(times_ns) // 2] / 1e6,
        "p99_ms": times_ns[len(times_ns) * 99 // 100] / 1e6,
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
