"""The fixture `kafka` beside what changes the test's process: clocks, sockets, the file system.

Each library is the real one, and each case a session of pytest of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .inner import Session

if TYPE_CHECKING:
    from pathlib import Path

CLIENTS = """
import time
import pytest
from confluent_kafka import Consumer, Producer
from kafka import KafkaConsumer, KafkaProducer
from kbroker.testing import broker

def in_python(kafka, topic="python"):
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap)
    producer.send(topic, b"value").get(timeout=60)
    producer.close()
    consumer = KafkaConsumer(
        topic,
        bootstrap_servers=kafka.bootstrap,
        group_id="python",
        auto_offset_reset="earliest",
        consumer_timeout_ms=60_000,
    )
    assert next(iter(consumer)).value == b"value"
    consumer.commit()
    consumer.close()

def in_c(kafka, topic="c"):
    # Its clock is the real one, whatever Python's says.
    said = []
    producer = Producer({"bootstrap.servers": kafka.bootstrap})
    producer.produce(topic, b"value", on_delivery=lambda error, message: said.append(error))
    producer.flush()
    assert said == [None]
    consumer = Consumer({
        "bootstrap.servers": kafka.bootstrap, "group.id": "c", "auto.offset.reset": "earliest",
    })
    consumer.subscribe([topic])
    while (message := consumer.poll(60)).error():
        pass
    assert message.value() == b"value"
    consumer.commit(asynchronous=False)
    consumer.close()
"""

FREEZEGUN = """
from freezegun import freeze_time

PAST_AND_FUTURE = ["2012-01-14", "2071-01-14"]

@pytest.mark.parametrize("when", PAST_AND_FUTURE)
def test_a_clock_that_stands_still(kafka, when):
    with freeze_time(when):
        assert time.gmtime().tm_year == int(when[:4])
        in_c(kafka)

@pytest.mark.parametrize("when", PAST_AND_FUTURE)
def test_a_client_that_is_left_alone(kafka, when):
    # kafka-python itself waits for ever where the clock stands still.
    with freeze_time(when, ignore=["kafka"]):
        assert time.gmtime().tm_year == int(when[:4])
        in_python(kafka)

@freeze_time("2012-01-14")
def test_it_starts_and_stops_while_the_clock_stands_still():
    for _ in range(2):
        with broker() as kafka:
            in_c(kafka)

@pytest.fixture
def frozen():
    with freeze_time("2012-01-14") as clock:
        yield clock

def test_a_clock_that_leaps(frozen, kafka):
    in_c(kafka, "before")
    frozen.move_to("2071-01-14")
    in_c(kafka, "after")
"""

TIME_MACHINE = """
import time_machine

@pytest.mark.parametrize("tick", [True, False])
@pytest.mark.parametrize("when", ["2012-01-14", "2071-01-14"])
def test_another_time(kafka, when, tick):
    with time_machine.travel(when, tick=tick):
        assert time.gmtime().tm_year == int(when[:4])
        in_python(kafka)
        in_c(kafka)

@time_machine.travel("2012-01-14")
def test_it_starts_and_stops_at_another_time():
    with broker() as kafka:
        in_python(kafka)
"""

GEVENT = """
import select, socket

def test_everything_is_patched(kafka):
    assert not hasattr(select, "epoll")
    assert socket.socket.__module__.startswith("gevent")
    in_python(kafka)

def test_greenlets_share_a_broker(kafka):
    import gevent
    jobs = [gevent.spawn(in_python, kafka, f"topic-{n}") for n in range(3)]
    gevent.joinall(jobs, raise_error=True, timeout=120)
    assert all(job.successful() for job in jobs)

def test_greenlets_have_brokers_of_their_own():
    import gevent
    def work():
        with broker() as kafka:
            in_python(kafka)
            return kafka.port
    jobs = [gevent.spawn(work) for _ in range(2)]
    gevent.joinall(jobs, raise_error=True, timeout=120)
    assert len({job.value for job in jobs}) == 2
"""

NOTHING_IS_READY = """
def test_it_starts_and_stops_meanwhile(fs):
    with broker(topics=("t:2",)) as kafka:
        in_python(kafka, "t")
"""

PYFAKEFS = """
import os, pathlib

def test_files_first(fs, kafka):
    fs.create_file("/only/here")
    assert pathlib.Path("/only/here").exists()
    assert not os.path.exists("/dev/null/..") and not os.path.exists("/proc/1")
    in_python(kafka)

def test_the_broker_first(kafka, fs):
    in_python(kafka)
    in_c(kafka)

def test_files_are_real_again(tmp_path):
    (tmp_path / "file").write_text("text")
    assert os.path.exists("/proc/self") or os.path.exists("/usr")
"""

BUSY = """
import threading

@pytest.fixture(autouse=True)
def busy():
    is_over = threading.Event()
    def work():
        while not is_over.is_set():
            sum(range(1000))
    threads = [threading.Thread(target=work) for _ in range(4)]
    for each in threads:
        each.start()
    yield
    is_over.set()
    for each in threads:
        each.join()

def test_busy_threads(kafka):
    assert threading.active_count() >= 5
    in_python(kafka)
    in_c(kafka)
"""


@pytest.mark.parametrize(
    ("source", "plugins", "count"),
    [
        pytest.param(CLIENTS + FREEZEGUN, [], 6, id="freezegun"),
        pytest.param(CLIENTS + TIME_MACHINE, [], 5, id="time-machine"),
        pytest.param(
            "from gevent import monkey\nmonkey.patch_all()\n" + CLIENTS + GEVENT, [], 3, id="gevent"
        ),
        pytest.param(CLIENTS + PYFAKEFS, ["pyfakefs.pytest_plugin"], 3, id="pyfakefs"),
        pytest.param(
            CLIENTS + NOTHING_IS_READY, ["pyfakefs.pytest_plugin"], 1, id="pyfakefs, at first"
        ),
        pytest.param(CLIENTS + BUSY, [], 1, id="busy threads"),
    ],
)
def test_a_record_goes_there_and_back(
    tmp_path: Path, source: str, plugins: list[str], count: int
) -> None:
    session = Session(tmp_path, source)
    out = session.run("-q", "--durations=0", plugins=plugins)
    assert f"{count} passed" in out, out
    assert session.data_directories() == []
