"""`kbroker serve` and `kbroker run` as processes: ready line, signals, statuses, clean-up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from kbroker.cli import main
from kbroker.testing import broker

if TYPE_CHECKING:
    from pathlib import Path

TIMEOUT_S = 120


def kbroker(*words: str, temporary: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "kbroker", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary)},
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_says_ready_once_and_stops_cleanly(number: signal.Signals, tmp_path: Path) -> None:
    process = kbroker("serve", "--listen", "127.0.0.1:0", "--topic", "t:2", temporary=tmp_path)
    assert process.stdout is not None
    try:
        ready = process.stdout.readline()
        address = ready.removeprefix("ready: 127.0.0.1:")
        assert address.strip().isdecimal(), ready
        assert len(list(tmp_path.iterdir())) == 1
        process.send_signal(number)
        out, _ = process.communicate(timeout=TIMEOUT_S)
        assert (out, process.returncode) == ("", 0)
        assert list(tmp_path.iterdir()) == []
    finally:
        process.kill()
        process.communicate()


def test_a_second_signal_does_not_spoil_a_clean_stop(tmp_path: Path) -> None:
    process = kbroker(
        "serve", "--listen", "127.0.0.1:0", "--data", str(tmp_path / "d"), temporary=tmp_path
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline().startswith("ready: ")
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
            process.send_signal(number)
        _, errors = process.communicate(timeout=TIMEOUT_S)
        assert process.returncode == 0, errors
        assert (tmp_path / "d" / ".kafka_cleanshutdown").exists()
    finally:
        process.kill()
        process.communicate()


def test_a_signal_reaches_the_command(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))\n"
        "print(os.environ['KAFKA_BOOTSTRAP_SERVERS'], flush=True)\n"
        "signal.pause()\n"
    )
    process = kbroker("run", "--", sys.executable, "-c", script, temporary=tmp_path)
    assert process.stdout is not None
    try:
        assert process.stdout.readline().startswith("127.0.0.1:")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=TIMEOUT_S)
        assert process.returncode == 3
        assert list(tmp_path.iterdir()) == []
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("command", "status"),
    [
        (["sh", "-c", "exit 7"], 7),
        (["sh", "-c", "kill -9 $$"], 137),
        (["/nope"], 127),
        (["/etc/passwd"], 126),
    ],
)
def test_run_passes_the_status_on(command: list[str], status: int) -> None:
    assert main(["run", "--", *command]) == status


def test_run_gives_the_command_its_topics(tmp_path: Path) -> None:
    out = tmp_path / "out"
    script = f"{sys.executable} -m kbroker topics list > {out}"
    assert main(["run", "--topic", "a:2", "--topic", "b", "--", "sh", "-c", script]) == 0
    assert [line.split() for line in out.read_text().splitlines()[1:]] == [
        ["a", "2", "1"],
        ["b", "1", "1"],
    ]


def test_serve_imports_nothing_of_the_client() -> None:
    script = "import sys, kbroker.commands.serve; print(*sys.modules)"
    out = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "kbroker.node.broker" in out
    assert not [name for name in out if name.startswith("kbroker.client")]
    for heavy in ("asyncio", "zstandard", "lz4", "snappy", "unittest"):
        assert heavy not in out


def test_a_reader_that_goes_away_ends_the_command_without_a_traceback(tmp_path: Path) -> None:
    with broker(topics=("t:1",)) as kafka:
        lines = "".join(f"{number}\n" for number in range(50_000))
        words = [sys.executable, "-m", "kbroker"]
        environment = {**os.environ, "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap}
        subprocess.run(
            [*words, "produce", "t"], input=lines, text=True, check=True, env=environment
        )
        process = subprocess.Popen(
            [*words, "consume", "t", "--from-beginning"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "0\n"
        process.stdout.close()
        assert process.wait(timeout=TIMEOUT_S) == 141  # as a shell says of SIGPIPE
        assert process.stderr.read() == ""
        process.stderr.close()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full on this system")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_output_that_finds_no_room_is_one_sentence(unbuffered: str, tmp_path: Path) -> None:
    property_file = tmp_path / "meta.properties"
    property_file.write_text("version=1\n")
    commands = [
        ["topics", "list"],
        ["topics", "list", "--json"],
        ["consume", "t", "--from-beginning", "--until-end"],
        ["dump", str(property_file)],
        ["--help"],
    ]
    with broker(topics=("t:1",)) as kafka, open("/dev/full", "w") as full:
        environment = {
            **os.environ,
            "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap,
            "PYTHONUNBUFFERED": unbuffered,
        }
        words = [sys.executable, "-m", "kbroker"]
        subprocess.run(
            [*words, "produce", "t"], input="x\n", text=True, check=True, env=environment
        )
        for command in commands:
            done = subprocess.run(
                [*words, *command],
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                env=environment,
                check=False,
            )
            assert (done.stderr, done.returncode) == (
                "kbroker: Cannot write the output: No space left on device.\n",
                1,
            ), command
