"""The fixture `kafka`, in sessions of pytest."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from .inner import (
    TIMEOUT_S,
    Session,
    brokers_of,
    processes,
    templates_of,
    wait_until_gone,
)

if TYPE_CHECKING:
    from pathlib import Path

CONNECT = """
import socket, threading
import pytest

seen = set()

def connect(kafka):
    socket.create_connection((kafka.host, kafka.port), timeout=5).close()
    assert kafka.bootstrap == f"{kafka.host}:{kafka.port}"
    assert kafka.bootstrap not in seen
    seen.add(kafka.bootstrap)

def threads():
    return [thread for thread in threading.enumerate() if thread.name == "kbroker"]
"""

TESTS = (
    CONNECT
    + """
def test_synchronous(kafka):
    connect(kafka)
    assert len(threads()) == THREADS

def test_asyncio(kafka):
    import asyncio
    async def talk():
        _, writer = await asyncio.open_connection(kafka.host, kafka.port)
        writer.close()
        await writer.wait_closed()
    asyncio.run(talk())

@pytest.mark.trio
async def test_trio(kafka):
    import trio
    await (await trio.open_tcp_stream(kafka.host, kafka.port)).aclose()

def test_nothing_is_left():
    assert len(seen) == 1
    assert threads() == []
"""
)


@pytest.mark.parametrize(("ini", "threads"), [("", 0), ("kafka_in_process = true", 1)])
def test_each_test_has_a_broker_of_its_own(tmp_path: Path, ini: str, threads: int) -> None:
    session = Session(tmp_path, f"THREADS = {threads}\n{TESTS}", ini)
    out = session.run("-q", "-W", "error", plugins=["trio"])
    assert "4 passed" in out, out
    assert session.data_directories() == []


def test_the_plugin_itself_imports_nothing_of_the_broker() -> None:
    script = "import sys, pytest, kbroker.pytest_plugin; print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = {name for name in out.stdout.split() if name.startswith("kbroker")}
    light = {"channel", "kafka", "launcher", "process"}
    assert loaded == {"kbroker", "kbroker.pytest_plugin", "kbroker.testing"} | {
        f"kbroker.testing.{name}" for name in light
    }
    assert "trio" not in out.stdout.split()


CHILDREN = """
import os, subprocess
def children():
    out = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,args="], capture_output=True, text=True)
    lines = (line.split(maxsplit=2) for line in out.stdout.splitlines())
    return [args for _, parent, args in lines if int(parent) == os.getpid() and "ps -A" not in args]
"""


@pytest.mark.parametrize(
    ("ini", "test", "count"),
    [
        ("", "def test_it(tmp_path): assert children() == []", 0),
        ("kafka_in_process = true", "def test_it(kafka): assert children() == []", 0),
        # Here it gets ready while tests before it run.
        ("", "def test_it(): assert len(children()) == 1\ndef test_later(kafka): pass", 1),
    ],
)
def test_a_process_is_started_only_where_a_test_has_the_fixture(
    tmp_path: Path, ini: str, test: str, count: int
) -> None:
    out = Session(tmp_path, CHILDREN + test, ini).run("-q")
    assert f"{1 + count} passed" in out, out


@pytest.mark.parametrize("how", ["--collect-only", "--setup-plan"])
def test_a_session_that_runs_no_test_ends_at_once(tmp_path: Path, how: str) -> None:
    session = Session(tmp_path, "def test_it(kafka): pass")
    assert "test_it" in session.run(how)
    assert session.data_directories() == []


FAILS = """
from kbroker.cli import main
from kbroker.testing import broker

def test_setup(odd):
    raise ZeroDivisionError

def test_call(kafka):
    words = ["configs", "set", "--broker-defaults", "log.cleaner.threads=3"]
    assert main([*words, "--bootstrap", kafka.bootstrap]) == 0
    raise ZeroDivisionError

def test_it_passes(kafka, caplog):
    assert caplog.records == []

import pytest

@pytest.fixture
def odd():
    with broker(settings={"log.cleaner.threads": "2"}) as kafka:
        yield kafka
"""


@pytest.mark.parametrize("ini", ["", "kafka_in_process = true"])
def test_what_the_broker_logs_stands_in_the_report_of_a_test_that_fails(
    tmp_path: Path, ini: str
) -> None:
    out = Session(tmp_path, FAILS, ini).run()
    assert "2 failed, 1 passed" in out, out
    for phase in ("setup", "call"):
        report = out[out.index(f"_ test_{phase} _") :]
        logged = report[report.index(f"Captured log {phase}") :]
        assert "log.cleaner.threads" in logged.splitlines()[1], out


CLIENT = """
from kafka import KafkaConsumer, KafkaProducer

def round_trip(kafka, topic="t"):
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap)
    producer.send(topic, b"value").get(timeout=60)
    producer.close()
    consumer = KafkaConsumer(
        topic,
        bootstrap_servers=kafka.bootstrap,
        auto_offset_reset="earliest",
        consumer_timeout_ms=60_000,
    )
    assert next(iter(consumer)).value == b"value"
    consumer.close()
"""


def test_the_workers_of_xdist_have_brokers_of_their_own(tmp_path: Path) -> None:
    tests = "".join(f"def test_{n}(kafka): round_trip(kafka)\n" for n in range(4))
    session = Session(tmp_path, CLIENT + tests)
    out = session.run("-n", "2", plugins=["xdist"])
    assert "4 passed" in out, out
    assert session.data_directories() == []
    wait_until_gone(tmp_path)


HANGS = """
import time
from kbroker.testing import broker
def test_it(kafka):
    with broker(settings={"log.dirs": "kept"}):
        print("up", flush=True)
        time.sleep(600)
"""


@pytest.mark.parametrize(
    ("number", "of_group"),
    [
        (signal.SIGKILL, False),
        (signal.SIGTERM, False),
        (signal.SIGTERM, True),  # as a CI does it
        (signal.SIGINT, True),  # Ctrl-C at a terminal
        (signal.SIGHUP, True),  # the terminal is closed
    ],
)
def test_a_session_that_is_ended_leaves_nothing(
    tmp_path: Path, number: signal.Signals, of_group: bool
) -> None:
    session = Session(tmp_path, HANGS)
    with session.popen("-s") as process:
        assert process.stdout is not None
        try:
            while "up" not in (line := process.stdout.readline()):
                assert line, "it has ended"
            assert len(session.data_directories()) == 2
            (template,) = templates_of(process.pid)
            brokers = brokers_of(process.pid)
            assert len(brokers) == 2
            (os.killpg if of_group else os.kill)(process.pid, number)
            process.wait(TIMEOUT_S)
        finally:
            process.kill()
    wait_until_gone(tmp_path)
    alive = {each.pid for each in processes() if each.state[0] != "Z"}
    assert alive.isdisjoint([template, *brokers])
    assert session.data_directories() == []
    # They were not killed, they stopped.
    assert (tmp_path / "kept" / ".kafka_cleanshutdown").exists()
