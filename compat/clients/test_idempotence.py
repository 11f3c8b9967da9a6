"""Idempotent producers that send while the broker stops, dies and starts: no gap, no duplicate."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from compat.clients.records import Record, now_ms

if TYPE_CHECKING:
    from collections.abc import Callable

    from compat.clients.java_client import JavaClient
    from compat.clients.records import StockClient
    from compat.conftest import NewBroker

SENT_S = 8.0  # how long the producers send
RATE = 500  # records a second
TIMEOUT_S = 120.0


def send_with_librdkafka(bootstrap: str, topic: str) -> int:
    from confluent_kafka import KafkaException, Producer

    config: dict[str, Any] = {"bootstrap.servers": bootstrap, "enable.idempotence": True}
    producer = Producer(config)
    errors: list[Any] = []

    def delivered(error: Any, _message: Any) -> None:
        if error is not None:
            errors.append(error)

    count = 0
    for count in _paced():
        producer.produce(topic, str(count).encode(), partition=0, on_delivery=delivered)
        producer.poll(0)
    left = producer.flush(TIMEOUT_S)
    if errors or left:
        raise KafkaException(errors[0] if errors else f"{left} not delivered")
    return count + 1


def send_with_kafka_python(bootstrap: str, topic: str) -> int:
    from kafka import KafkaProducer

    producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True)
    futures = [producer.send(topic, str(i).encode(), partition=0) for i in _paced()]
    for future in futures:
        future.get(timeout=TIMEOUT_S)
    producer.close()
    return len(futures)


def send_with_aiokafka(bootstrap: str, topic: str) -> int:
    from aiokafka import AIOKafkaProducer

    async def run() -> int:
        producer = AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True)
        await producer.start()
        futures = []
        for i in _paced():
            futures.append(await producer.send(topic, str(i).encode(), partition=0))
            await asyncio.sleep(0)
        for future in futures:
            await asyncio.wait_for(future, TIMEOUT_S)
        await producer.stop()
        return len(futures)

    return asyncio.run(run())


def _paced() -> Any:
    """0, 1, 2... for SENT_S seconds, RATE of them a second."""
    start = time.monotonic()
    i = 0
    while time.monotonic() - start < SENT_S:
        yield i
        i += 1
        ahead_s = start + i / RATE - time.monotonic()
        if ahead_s > 0:
            time.sleep(ahead_s)


SENDERS = {
    "librdkafka": send_with_librdkafka,
    "kafka-python": send_with_kafka_python,
    "aiokafka": send_with_aiokafka,
}


@pytest.mark.parametrize(
    "sender",
    [
        pytest.param("librdkafka", marks=pytest.mark.ci),
        pytest.param("kafka-python", marks=pytest.mark.full),
        pytest.param("aiokafka", marks=pytest.mark.full),
        pytest.param("java", marks=pytest.mark.ci),
    ],
)
def test_restarts_leave_no_gap_and_no_duplicate(
    new_broker: NewBroker, clients: dict[str, StockClient], java: JavaClient, sender: str
) -> None:
    from compat.clients.conftest import create_topic

    broker = new_broker()
    topic = create_topic(broker.bootstrap, "idempotent")
    outcome: list[Any] = []

    def send() -> None:
        try:
            if sender == "java":
                java.number(broker.bootstrap, topic, 1, int(SENT_S * RATE), rate=RATE)
                outcome.append(int(SENT_S * RATE))
            else:
                outcome.append(SENDERS[sender](broker.bootstrap, topic))
        except Exception as error:  # the thread's edge: the test raises it
            outcome.append(error)

    thread = threading.Thread(target=send)
    thread.start()
    time.sleep(2.5)
    broker.restart()
    time.sleep(1)
    broker.kill()
    broker.start()
    thread.join(2 * TIMEOUT_S)
    (count,) = outcome
    if isinstance(count, Exception):
        raise count
    found = clients["librdkafka"].read(broker.bootstrap, {topic: count})[topic]
    assert [int(one.record.value or b"") for one in found] == list(range(count))
    assert [one.offset for one in found] == list(range(count))
    assert clients["librdkafka"].offset_range(broker.bootstrap, topic, 0) == (0, count)


@pytest.mark.ci
def test_every_client_can_be_idempotent(
    broker: Any, client: StockClient, new_topic: Callable[..., str]
) -> None:
    topic = new_topic(3)
    records = [
        Record(partition=i % 3, value=str(i).encode(), timestamp_ms=now_ms()) for i in range(900)
    ]
    offsets = client.produce(broker.bootstrap, topic, records, idempotent=True, codec="lz4")
    assert offsets == [i // 3 for i in range(900)]
