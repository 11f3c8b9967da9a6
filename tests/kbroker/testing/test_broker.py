"""`broker()`: a broker for a test, in a process of its own and in the test's."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from kbroker.testing import BrokerFailed, Kafka, broker, launcher, process

from .inner import TIMEOUT_S, brokers_of, processes, templates_of, wait_until_gone

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROVIDERS = "org.apache.kafka.common.config.provider"
MODES = ["process", "alone", "thread"]


@pytest.fixture(params=MODES)
def is_thread(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Each way to run a broker; `alone` as on a system that has no fork."""
    if request.param == "alone":
        monkeypatch.delattr(os, "fork")
    return bool(request.param == "thread")


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


def answers(kafka: Kafka) -> bool:
    """Whether it serves, which a port that is merely open does not show."""
    api_versions = bytes.fromhex("0000000a 0012 0000 00000007 ffff")
    try:
        with socket.create_connection((kafka.host, kafka.port), timeout=60) as client:
            client.sendall(api_versions)
            return client.recv(8)[4:] == bytes.fromhex("00000007")
    except ConnectionRefusedError:
        return False


def test_two_brokers_live_side_by_side_and_end_on_their_own(
    is_thread: bool, temporary: Path
) -> None:
    with broker(in_process=is_thread) as first:
        with broker(settings={"num.partitions": "3"}, in_process=is_thread) as second:
            assert first.bootstrap != second.bootstrap
            assert answers(first)
            assert answers(second)
            assert len(list(temporary.iterdir())) == 2
        assert not answers(second)
        assert len(list(temporary.iterdir())) == 1
        assert answers(first)
    assert not answers(first)
    assert list(temporary.iterdir()) == []
    assert brokers_of(os.getpid()) == []
    assert [thread for thread in threading.enumerate() if thread.name == "kbroker"] == []


def test_the_older_of_two_brokers_may_end_first(
    is_thread: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launcher, "TIMEOUT_S", 20.0)
    with contextlib.ExitStack() as younger:
        with broker(in_process=is_thread) as first:
            second = younger.enter_context(broker(in_process=is_thread))
        assert not answers(first)
        assert answers(second)


@pytest.mark.parametrize(
    ("settings", "topics", "sentence"),
    [
        ({"num.partitions": "x"}, (), "Invalid value x for configuration num.partitions"),
        ({}, ("t:1:nope=1",), "Unknown topic config name: nope"),
        ({}, ("t:x",), "t:x: 'x' is not a valid number of partitions"),
        ({"log.dirs": "/dev/null/no"}, (), "/dev/null/no"),
    ],
)
def test_a_broker_that_cannot_start_says_why(
    settings: dict[str, str],
    topics: tuple[str, ...],
    sentence: str,
    is_thread: bool,
    temporary: Path,
) -> None:
    with (
        pytest.raises(BrokerFailed, match=f"The broker cannot start: .*{sentence}") as raised,
        broker(topics, settings, in_process=is_thread),
    ):
        raise AssertionError("it has started")
    with pytest.raises(BrokerFailed) as other, broker(topics, settings, in_process=True):
        raise AssertionError("it has started")
    assert str(raised.value) == str(other.value)
    assert not hasattr(raised.value, "__notes__")
    assert list(temporary.iterdir()) == []
    assert brokers_of(os.getpid()) == []


def test_a_directory_that_another_broker_has_is_not_taken(tmp_path: Path, is_thread: bool) -> None:
    settings = {"log.dirs": str(tmp_path / "data")}
    with (
        broker(settings=settings, in_process=is_thread) as first,
        pytest.raises(BrokerFailed, match="in use"),
        broker(settings=settings, in_process=is_thread),
    ):
        raise AssertionError("it has started")
    assert not answers(first)


def test_an_error_of_ours_comes_with_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", "/dev/null")
    with pytest.raises(BrokerFailed, match=r"cannot start: .*Not a directory"), broker():
        raise AssertionError("it has started")
    odd: dict[str, str] = {"num.partitions": ["no text"]}  # type: ignore[dict-item]
    monkeypatch.delenv("TMPDIR")
    with pytest.raises(BrokerFailed) as raised, broker(settings=odd):
        raise AssertionError("it has started")
    assert "Traceback" in raised.value.__notes__[0]


def test_an_error_of_the_test_is_the_one_that_is_raised(is_thread: bool) -> None:
    with pytest.raises(ZeroDivisionError), broker(in_process=is_thread):
        raise ZeroDivisionError


def test_settings_may_name_the_files_and_the_environment_of_the_test(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_thread: bool
) -> None:
    settings = {
        "log.dirs": "data",
        "node.id": "${env:TEST_NODE}",
        "config.providers": "env",
        "config.providers.env.class": f"{PROVIDERS}.EnvVarConfigProvider",
    }
    with broker():  # what makes processes is there before
        pass
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TEST_NODE", "7")
    with broker(settings=settings, in_process=is_thread):
        pass
    assert "node.id=7\n" in (tmp_path / "data" / "meta.properties").read_text()


def test_brokers_that_come_of_one_template_are_strangers(tmp_path: Path) -> None:
    said = []
    for name in ("one", "two"):
        with broker(settings={"log.dirs": str(tmp_path / name)}):
            lines = (tmp_path / name / "meta.properties").read_text().splitlines()
            said.append(dict(line.split("=") for line in lines if not line.startswith("#")))
    for key in ("cluster.id", "directory.id"):
        assert said[0][key] != said[1][key]


def test_its_log_is_logged_where_the_test_is(
    is_thread: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with broker(settings={"log.cleaner.threads": "2"}, in_process=is_thread):
        (record,) = caplog.records
    assert (record.name, record.levelno) == ("kbroker.broker", logging.WARNING)
    assert "log.cleaner.threads" in record.getMessage()


def descriptors() -> int:
    gc.collect()
    return len(os.listdir("/dev/fd"))


def test_it_holds_nothing_of_the_test_s_process(is_thread: bool) -> None:
    with broker(in_process=is_thread):
        pass
    before = descriptors()
    for _ in range(3):
        with broker(in_process=is_thread):
            pass
    assert descriptors() == before


def wait_for(pid: int) -> None:
    """Of a process that is not our child."""
    deadline = time.monotonic() + 60
    while pid in brokers_of(os.getpid()):
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("is_noticed_first", [True, False])
def test_a_broker_that_is_killed_is_said_to_be(temporary: Path, is_noticed_first: bool) -> None:
    def kill() -> None:
        with broker() as kafka:
            assert answers(kafka)
            (pid,) = brokers_of(os.getpid())
            os.kill(pid, signal.SIGKILL)
            if is_noticed_first:
                wait_for(pid)

    with pytest.raises(BrokerFailed, match="ended by SIGKILL"):
        kill()
    assert list(temporary.iterdir()) == []
    assert brokers_of(os.getpid()) == []


def test_a_broker_that_crashes_says_where(temporary: Path) -> None:
    def crash() -> None:
        with broker() as kafka:
            assert answers(kafka)
            (pid,) = brokers_of(os.getpid())
            os.kill(pid, signal.SIGSEGV)

    with pytest.raises(BrokerFailed, match="ended by SIGSEGV") as raised:
        crash()
    assert "_answer" in raised.value.__notes__[0]  # the thread that waits for the test
    assert list(temporary.iterdir()) == []


def test_a_broker_that_hangs_does_not_hang_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    with broker():  # what makes processes is there before
        pass
    monkeypatch.setattr(launcher, "TIMEOUT_S", 3.0)
    running = broker()
    running.__enter__()
    (pid,) = brokers_of(os.getpid())
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(BrokerFailed, match="does not respond"):
        running.__exit__(None, None, None)
    os.kill(pid, signal.SIGCONT)
    wait_for(pid)


def test_a_start_that_hangs_is_ended_and_says_where_it_was(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "START_TIMEOUT_S", 1.0)
    os.mkfifo(tmp_path / "nobody.writes.here")
    settings = {
        "num.partitions": f"${{file:{tmp_path}/nobody.writes.here:key}}",
        "config.providers": "file",
        "config.providers.file.class": f"{PROVIDERS}.FileConfigProvider",
    }
    with pytest.raises(BrokerFailed, match="did not start") as raised, broker(settings=settings):
        raise AssertionError("it has started")
    assert "load_properties" in raised.value.__notes__[0]
    assert list(temporary.iterdir()) == []


def test_the_template_may_be_killed(temporary: Path) -> None:
    with broker() as first:
        (template,) = templates_of(os.getpid())
        os.kill(template, signal.SIGKILL)
        while any(each.pid == template and each.state[0] != "Z" for each in processes()):
            time.sleep(0.02)
        with broker() as second:
            assert answers(first)
            assert answers(second)
    assert not answers(first)
    assert not answers(second)
    assert list(temporary.iterdir()) == []
    assert template not in templates_of(os.getpid())


@pytest.mark.parametrize(
    ("executable", "home", "sentence", "note"),
    [
        (sys.executable, "/nowhere", "ended without an error message", "Python"),
        ("/bin/false", "", "ended without an error message", ""),
        ("/no/such/python", "", "cannot start: /no/such/python: No such file", ""),
    ],
)
def test_a_template_that_cannot_start_says_why(
    monkeypatch: pytest.MonkeyPatch, executable: str, home: str, sentence: str, note: str
) -> None:
    with broker():
        (template,) = templates_of(os.getpid())
    os.kill(template, signal.SIGTERM)
    os.waitpid(template, 0)  # as those do who wait for every child
    with monkeypatch.context() as patch:
        patch.setenv("PYTHONHOME", home)
        patch.setattr(sys, "executable", executable)
        with pytest.raises(BrokerFailed, match=sentence) as raised, broker():
            raise AssertionError("it has started")
    assert note in "".join(getattr(raised.value, "__notes__", []))
    with broker() as kafka:
        assert answers(kafka)


FORKS = """
import os, signal, sys, warnings
from kbroker.testing import broker
import socket

def answers(kafka):
    socket.create_connection((kafka.host, kafka.port), timeout=60).close()

with broker() as kafka:
    held = os.fork()
    if held == 0:
        os.close(1)
        signal.alarm(300)  # at the latest
        signal.pause()  # with all descriptors of the test
    own = os.fork()
    if own == 0:
        with broker() as second:
            answers(second)
            answers(kafka)
        os._exit(0)
    assert os.waitpid(own, 0)[1] == 0
    left = os.fork()
    if left == 0:
        try:
            raise ZeroDivisionError  # leaves the block, in this process
        except ZeroDivisionError:
            pass
    else:
        assert os.waitpid(left, 0)[1] == 0
        answers(kafka)
    if left != 0 and sys.argv[1] == "die":
        print("dead", held, flush=True)
        os._exit(0)
if left == 0:
    os._exit(0)
try:
    answers(kafka)
except ConnectionRefusedError:
    print("gone")
print(held)
os.kill(held, signal.SIGKILL)
"""


@pytest.mark.parametrize(("how", "last"), [("end", "gone"), ("die", "dead")])
def test_a_test_may_fork(temporary: Path, tmp_path: Path, how: str, last: str) -> None:
    """What is forked may have brokers too, and stops none of the test's, nor keeps them running."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", FORKS, how],
        stdout=subprocess.PIPE,
        text=True,
        timeout=TIMEOUT_S,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},  # by which its template is known
    )
    said, held = done.stdout.split()
    try:
        assert (said, done.returncode) == (last, 0)
        wait_until_gone(tmp_path)
        assert list(temporary.iterdir()) == []
    finally:
        if how == "die":
            os.kill(int(held), signal.SIGKILL)


@pytest.mark.parametrize("streams", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_standard_streams_may_be_closed(streams: str, temporary: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import socket\n"
        "from kbroker.testing import broker\n"
        "for _ in range(2):\n"
        "    with broker() as kafka:\n"
        "        socket.create_connection((kafka.host, kafka.port), timeout=60).close()\n"
    )
    command = f"exec {sys.executable} -W error {script} {streams}"
    assert subprocess.run(["sh", "-c", command], timeout=TIMEOUT_S).returncode == 0
    assert list(temporary.iterdir()) == []


@pytest.fixture
def _busy() -> Iterator[None]:
    is_over = threading.Event()

    def work() -> None:
        while not is_over.is_set():
            sum(range(1000))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for each in threads:
        each.start()
    try:
        yield
    finally:
        is_over.set()
        for each in threads:
            each.join()


@pytest.mark.usefixtures("_busy")
def test_busy_threads_may_run_beside_it() -> None:
    with broker(topics=("t:1",)) as kafka:
        assert answers(kafka)
