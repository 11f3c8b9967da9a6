"""One record at a time over a plain socket, acks=1.

    python -m compat.bench.single HOST PORT TOPIC FIRST WARM_UP MEASURED

Prints JSON: milliseconds that the first FIRST took together, and the percentiles of MEASURED ones
that follow WARM_UP more. The topic must exist.
"""

from __future__ import annotations

import gc
import json
import sys
import time

from compat.bench.findings import distribution
from compat.bench.frames import batch, check_produced, produce_frame
from compat.raw import RawClient

_RECORD_BYTES = 100


def main() -> None:
    host, port, topic = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    first, warm_up, measured = (int(argument) for argument in sys.argv[4:7])
    frame = produce_frame(topic, 0, batch(1, _RECORD_BYTES))

    with RawClient(host, port) as client:

        def send_one() -> None:
            check_produced(topic, client.exchange(frame))

        gc.disable()
        started = time.perf_counter()
        for _ in range(first):
            send_one()
        first_s = time.perf_counter() - started
        for _ in range(warm_up):
            send_one()
        times_ms = []
        for _ in range(measured):
            before = time.perf_counter_ns()
            send_one()
            times_ms.append((time.perf_counter_ns() - before) / 1e6)
    print(json.dumps({"first_ms": first_s * 1e3, "distribution": distribution(times_ms)}))


if __name__ == "__main__":
    main()
