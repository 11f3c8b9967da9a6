"""Reads partition 0 of a topic from its beginning to its end, a MB a request, and drops it.

    python -m compat.bench.read HOST PORT TOPIC

Prints the bytes of records and the seconds.
"""

from __future__ import annotations

import sys
import time

from compat.bench.frames import NothingThere, fetch_frame, fetched_at, next_offset
from compat.raw import RawClient

_FETCH_BYTES = 1 << 20


def main() -> None:
    host, port, topic = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    offset = read_bytes = 0
    started = time.perf_counter()
    with RawClient(host, port, timeout_s=120) as client:
        while True:
            response = client.exchange(fetch_frame(topic, 0, offset, _FETCH_BYTES))
            try:
                records_at = fetched_at(topic, response)
            except NothingThere:
                break
            offset = next_offset(response, records_at)
            read_bytes += len(response) - records_at
    print(read_bytes, time.perf_counter() - started)


if __name__ == "__main__":
    main()
