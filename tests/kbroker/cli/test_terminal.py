"""What a person sees: colours, tables that fit, a live table, progress; on a pseudo-terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from kbroker.testing import Kafka

    from .conftest import Terminal

TIMEOUT_S = 120
STYLE = re.compile(r"\x1b\[[0-9;]*m")
BOLD = "\x1b[1"
COLOUR = re.compile(r"\x1b\[(?:[0-9]+;)*3[0-9]")


class Screen:
    """A `kbroker` process whose standard output and error are a terminal."""

    def __init__(
        self, words: tuple[str, ...], bootstrap: str, columns: int, more: dict[str, str]
    ) -> None:
        self._controller, terminal = pty.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        environment = {
            **{k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS", "LINES")},
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
            "TERM": "xterm-256color",
            **more,
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "kbroker", *words],
            stdin=subprocess.DEVNULL,
            stdout=terminal,
            stderr=terminal,
            env=environment,
        )
        os.close(terminal)
        self.text = ""

    def read_until(self, is_there: Callable[[str], bool]) -> str:
        """All that was drawn so far, once it satisfies."""
        deadline = time.monotonic() + TIMEOUT_S
        while not is_there(self.text):
            assert time.monotonic() < deadline, self.text
            if not self.read_some():
                break
        assert is_there(self.text), self.text
        return self.text

    def finish(self) -> str:
        """All that was drawn, once the process has ended with status 0."""
        while self.read_some():
            pass
        assert self.process.wait(TIMEOUT_S) == 0, self.text
        return self.text

    def read_some(self, wait_s: float = TIMEOUT_S) -> bool:
        """False once no process has the terminal open any more."""
        if not select.select([self._controller], [], [], wait_s)[0]:
            return True
        try:
            data = os.read(self._controller, 65536)
        except OSError:  # what Linux says when the other side is closed
            return False
        self.text += data.decode(errors="replace")
        return bool(data)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._controller)


@pytest.fixture
def screen(served: Kafka) -> Iterator[Callable[..., Screen]]:
    opened: list[Screen] = []

    def run(*words: str, columns: int = 100, **more: str) -> Screen:
        opened.append(Screen(words, served.bootstrap, columns, more))
        return opened[-1]

    yield run
    for each in opened:
        each.close()


def lines_of(text: str) -> list[str]:
    return [line.rstrip() for line in STYLE.sub("", text).splitlines()]


def test_a_table_has_colours_and_the_same_cells(
    terminal: Terminal, screen: Callable[..., Screen]
) -> None:
    drawn = screen("topics", "describe", "orders").finish()
    assert BOLD in drawn
    plain = terminal.run("topics", "describe", "orders")
    assert [line.split() for line in lines_of(drawn)] == [
        line.split() for line in plain.splitlines()
    ]
    assert "\x1b" not in plain


def test_no_color_is_obeyed(screen: Callable[..., Screen]) -> None:
    words = ("topics", "describe", "orders")
    assert COLOUR.search(screen(*words).finish())
    assert not COLOUR.search(screen(*words, NO_COLOR="1").finish())


def test_what_does_not_fit_goes_on_in_the_next_line(screen: Callable[..., Screen]) -> None:
    words = ("configs", "describe", "--topic", "orders", "--all")
    for columns in (40, 100, 250):
        drawn = lines_of(screen(*words, columns=columns).finish())
        assert max(map(len, drawn)) <= columns
        assert not any("…" in line for line in drawn)
        assert any("DYNAMIC_TOPIC" in line for line in drawn)
        if columns > 40:
            assert any(line.split()[:2] == ["retention.ms", "100000"] for line in drawn)


def test_a_live_table_until_ctrl_c(terminal: Terminal, screen: Callable[..., Screen]) -> None:
    terminal.run("topics", "create", "watched:1")
    terminal.run("produce", "watched", typed="1\n2\n3\n")
    reset = ("groups", "reset-offsets", "watchers", "--topic", "watched", "--to-offset")
    terminal.run(*reset, "1", "--execute")
    watching = screen("groups", "describe", "watchers", "--watch", "0.2")
    watching.read_until(lambda text: "lag 2" in text and "PER SECOND" in STYLE.sub("", text))
    terminal.run(*reset, "3", "--execute")
    watching.read_until(lambda text: "lag 0" in text)
    watching.process.send_signal(signal.SIGINT)
    # Before the wait: a terminal that nobody reads holds the writer up.
    end = time.monotonic() + TIMEOUT_S
    while watching.read_some(1) and time.monotonic() < end:
        pass
    assert watching.process.wait(TIMEOUT_S) == 130
    assert "Traceback" not in watching.text
    assert watching.text.rindex("\x1b[?25h") > watching.text.rindex(
        "\x1b[?25l"
    )  # the cursor is back


def test_watching_into_a_pipe_is_plain_and_ends_with_its_reader(
    terminal: Terminal, served: Kafka
) -> None:
    terminal.run(
        "groups", "reset-offsets", "piped", "--topic", "orders", "--to-latest", "--execute"
    )
    for option, sign in (("--json", '"group":"piped"'), ("--state", "piped  Empty  classic")):
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "kbroker",
                "groups",
                "describe",
                "piped",
                option,
                "--watch",
                ".1",
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "KAFKA_BOOTSTRAP_SERVERS": served.bootstrap},
        )
        assert process.stdout is not None
        assert process.stderr is not None
        seen = 0
        for line in process.stdout:
            seen += sign in line
            if seen == 3:
                break
        assert seen == 3
        process.stdout.close()
        assert process.wait(TIMEOUT_S) == 141
        assert process.stderr.read() == ""
        process.stderr.close()


def test_records_cannot_move_the_cursor(terminal: Terminal, screen: Callable[..., Screen]) -> None:
    terminal.run("produce", "hostile", "--key", "k", typed=b"a\x1b[2Jb\xff\x07\n")
    words = ("consume", "hostile", "--from-beginning", "--until-end")
    assert "a\\x1b[2Jb\\xff\\x07" in screen(*words).finish()
    assert "\x1b[2J" not in screen(*words, "--verbose").finish()


def test_progress_of_long_work(
    tmp_path: Path, terminal: Terminal, screen: Callable[..., Screen]
) -> None:
    terminal.run("topics", "create", "much:1")
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    producing = screen("produce", "much", "--file", str(fifo))
    with fifo.open("wb", buffering=0) as writer:
        for _ in range(TIMEOUT_S * 20):
            writer.write(b"x" * 100 + b"\n")
            if producing.read_some(0.05) and "records" in producing.text:
                break
    assert re.search(r"[\d,]+ records +[\d.]+ MB", STYLE.sub("", producing.finish()))
