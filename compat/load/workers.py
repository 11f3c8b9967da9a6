"""Clients of the soak, on librdkafka, each a process that works until its standard input ends.

    python -m compat.load.workers produce BOOTSTRAP TOPIC PARTITIONS
    python -m compat.load.workers consume BOOTSTRAP TOPIC GROUP
    python -m compat.load.workers come-and-go BOOTSTRAP TOPIC GROUP
    python -m compat.load.workers topics BOOTSTRAP

The producer is idempotent and numbers each partition's records, so that a record's number is its
offset; the consumers compare. Every line on standard input is answered with what was done since the
last, as JSON; at the end comes what was done in all. An error ends the process.
"""

from __future__ import annotations

import json
import queue
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

PADDING = b"." * 984  # with the number, a record of 1,000 bytes
CHURN_PARTITIONS = 3
STAY_S = 4.0
SHORT_TOPIC_PREFIX = "short-lived-"

Done = Counter[str]
Worker = Generator[
    None, None, None
]  # yields between pieces of work, each some hundred milliseconds at most


def produce(done: Done, bootstrap: str, topic: str, partitions: str) -> Worker:
    failures: list[KafkaError] = []
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,
            "linger.ms": 5,
            "queue.buffering.max.kbytes": 65_536,
            "delivery.report.only.error": True,
            "on_delivery": lambda error, _: failures.append(error),
        }
    )
    numbers = [0] * int(partitions)
    try:
        while True:
            for partition, number in enumerate(numbers):
                for each in range(number, number + 100):
                    value = b"%016d" % each + PADDING
                    while True:
                        try:
                            producer.produce(topic, value, partition=partition)
                            break
                        except BufferError:
                            producer.poll(0.05)
                numbers[partition] += 100
                done["records"] += 100
            producer.poll(0)
            if failures:
                raise KafkaException(failures[0])
            yield
    finally:
        producer.flush(60)


def consume(done: Done, bootstrap: str, topic: str, group: str) -> Worker:
    consumer = _consumer(bootstrap, topic, group)
    try:
        while True:
            for message in consumer.consume(2000, timeout=0.2):
                _check(message, done)
            yield
    finally:
        consumer.close()


def come_and_go(done: Done, bootstrap: str, topic: str, group: str) -> Worker:
    """Members of the same group that stay a few seconds."""
    while True:
        consumer = _consumer(bootstrap, topic, group)
        try:
            leave_s = time.monotonic() + STAY_S
            while time.monotonic() < leave_s:
                for message in consumer.consume(500, timeout=0.2):
                    _check(message, done)
                yield
        finally:
            consumer.close()
        done["members"] += 1


def topics(done: Done, bootstrap: str) -> Worker:
    """Topics that are made, written to, and deleted."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 0})
    while True:
        name = f"{SHORT_TOPIC_PREFIX}{done['topics']}"
        for future in admin.create_topics([NewTopic(name, CHURN_PARTITIONS, 1)]).values():
            future.result(30)
        for partition in range(CHURN_PARTITIONS):
            producer.produce(name, b"x" * 1000, partition=partition)
        if producer.flush(30):
            raise TimeoutError(f"records of {name} are not acknowledged")
        yield
        for future in admin.delete_topics([name]).values():
            future.result(30)
        done["topics"] += 1
        time.sleep(0.5)
        yield


def _consumer(bootstrap: str, topic: str, group: str) -> Consumer:
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "auto.commit.interval.ms": 1000,
            # Who is closed between its two requests to join, or without a partition, when
            # librdkafka sends no LeaveGroup, holds up the rest for this long.
            "session.timeout.ms": 10_000,
            "partition.assignment.strategy": "cooperative-sticky",
        }
    )
    consumer.subscribe([topic])
    return consumer


def _check(message: Message, done: Done) -> None:
    error = message.error()
    if error is not None:
        if error.retriable() or error.code() == KafkaError._MAX_POLL_EXCEEDED:
            done["errors"] += 1
            return
        raise KafkaException(error)
    value = message.value()
    assert value is not None
    if int(value[:16]) != message.offset():
        raise ValueError(f"record {int(value[:16])} at offset {message.offset()}")
    done["records"] += 1


WORKERS: dict[str, Callable[..., Worker]] = {
    "produce": produce,
    "consume": consume,
    "come-and-go": come_and_go,
    "topics": topics,
}


def main() -> None:
    lines: queue.SimpleQueue[bool] = queue.SimpleQueue()

    def read() -> None:
        for _ in sys.stdin:
            lines.put(True)
        lines.put(False)

    threading.Thread(target=read, daemon=True).start()
    done, told = Counter[str](), Counter[str]()
    worker = WORKERS[sys.argv[1]](done, *sys.argv[2:])
    try:
        for _ in worker:
            if lines.empty():
                continue
            if not lines.get():
                break
            print(json.dumps({name: done[name] - told[name] for name in done}), flush=True)
            told = done.copy()
    finally:
        worker.close()
    print(json.dumps(done))


if __name__ == "__main__":
    main()
