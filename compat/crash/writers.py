"""A producer as a process of its own, which outlives the broker's deaths and reports every ack.

    python -m compat.crash.writers BOOTSTRAP TOPIC PARTITIONS MODE

MODE is `idempotent` (acks=all) or `plain` (acks=1, one request under way, no retries). Record i
goes to partition i % PARTITIONS with the value i. Each ack is a line `PARTITION OFFSET VALUE` on
standard output. SIGTERM ends it: what is under way is given time, then comes `sent COUNT`.
"""

from __future__ import annotations

import signal
import sys
import time
from typing import Any

from confluent_kafka import KafkaError, Message, Producer

UNDER_WAY_MAX = 2_000
FLUSH_TIMEOUT_S = 60


def main() -> None:
    bootstrap, topic, partitions, mode = sys.argv[1:]
    config: dict[str, Any] = {
        "bootstrap.servers": bootstrap,
        "linger.ms": 2,
        "reconnect.backoff.max.ms": 200,
        "log_level": 0,
        "message.timeout.ms": 120_000,
    }
    if mode == "idempotent":
        config |= {"enable.idempotence": True, "acks": "all"}
    else:
        config |= {
            "acks": "1",
            "max.in.flight": 1,
            "message.send.max.retries": 0,
            "message.timeout.ms": 5_000,
        }
    run(Producer(config), topic, int(partitions), fatal_if_lost=mode == "idempotent")


def run(producer: Producer, topic: str, partitions: int, *, fatal_if_lost: bool) -> None:
    stopping = False

    def stop(_number: int, _frame: object) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGTERM, stop)
    lines: list[str] = []

    def delivered(error: KafkaError | None, message: Message) -> None:
        if error is None:
            value = (message.value() or b"").decode()
            lines.append(f"{message.partition()} {message.offset()} {value}\n")
        elif fatal_if_lost:
            lines.append(f"error {error}\n")

    count = 0
    while not stopping:
        if len(producer) >= UNDER_WAY_MAX:
            producer.poll(0.05)
        else:
            value = b"%d" % count
            producer.produce(topic, value, partition=count % partitions, on_delivery=delivered)
            count += 1
            producer.poll(0)
            if count % 50 == 0:
                time.sleep(
                    0.005
                )  # some ten thousand a second: the broker dies under load, not of it
        if lines:
            sys.stdout.write("".join(lines))
            sys.stdout.flush()
            lines.clear()
    left = producer.flush(FLUSH_TIMEOUT_S)
    sys.stdout.write("".join(lines))
    if left:
        sys.stdout.write(f"error {left} records are still under way\n")
    sys.stdout.write(f"sent {count}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
