"""The fixture `kafka` and the context manager behind it."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from kbroker.testing import BrokerFailed, broker

if TYPE_CHECKING:
    from pathlib import Path

TESTS = """
import socket, threading
import pytest

seen = set()

def connect(kafka):
    socket.create_connection((kafka.host, kafka.port), timeout=5).close()
    assert kafka.bootstrap == f"{kafka.host}:{kafka.port}"
    assert kafka.bootstrap not in seen
    seen.add(kafka.bootstrap)

def test_synchronous(kafka):
    connect(kafka)

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
    assert [thread for thread in threading.enumerate() if thread.name == "kbroker"] == []
"""


def test_each_test_has_a_broker_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TESTS)
    (tmp_path / "tmp").mkdir()
    result = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-W",
            "error",
            "-p",
            "kbroker.pytest_plugin",
            "-p",
            "trio",
            "-p",
            "no:cacheprovider",
            "--rootdir",
            str(tmp_path),
            str(tmp_path),
        ],
        capture_output=True,
        text=True,
        timeout=300,
        env={
            "PYTHONPATH": ":".join(filter(None, sys.path)),
            "TMPDIR": str(tmp_path / "tmp"),
            # Installed, the plugin would come by its entry point as well.
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        },
    )
    assert "4 passed" in result.stdout, result.stdout + result.stderr
    assert list((tmp_path / "tmp").glob("kbroker-*")) == []


def test_the_plugin_itself_imports_nothing_of_the_broker() -> None:
    script = "import sys, pytest, kbroker.pytest_plugin; print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = [name for name in out.stdout.split() if name.startswith("kbroker")]
    assert loaded == ["kbroker", "kbroker.pytest_plugin"]
    assert "trio" not in out.stdout.split()


def test_two_brokers_live_side_by_side_and_end_on_their_own() -> None:
    with broker() as first:
        with broker(settings={"num.partitions": "3"}) as second:
            assert first.bootstrap != second.bootstrap
        with pytest.raises(OSError, match="refused"):
            socket.create_connection((second.host, second.port), timeout=5)
        socket.create_connection((first.host, first.port), timeout=5).close()
    assert [thread for thread in threading.enumerate() if thread.name == "kbroker"] == []


@pytest.mark.parametrize(
    ("settings", "topics", "sentence"),
    [
        ({"num.partitions": "x"}, (), "Invalid value x for configuration num.partitions"),
        ({}, ("t:1:nope=1",), "Unknown topic config name: nope"),
    ],
)
def test_a_broker_that_cannot_start_says_why(
    settings: dict[str, str], topics: tuple[str, ...], sentence: str
) -> None:
    with pytest.raises(BrokerFailed, match=sentence), broker(topics, settings):
        raise AssertionError("it has started")


def test_an_error_of_the_test_is_the_one_that_is_raised() -> None:
    with pytest.raises(ZeroDivisionError), broker():
        raise ZeroDivisionError
