"""A run of pytest with the plugin, in a process and a folder of its own; what runs below it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TIMEOUT_S = 300


class Session:
    """Files to be tested, and where their brokers have temporary files."""

    def __init__(self, folder: Path, source: str, ini: str = "") -> None:
        self.folder = folder
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        (folder / "test_it.py").write_text(source)
        (folder / "pytest.ini").write_text(f"[pytest]\n{ini}\n")

    def popen(self, *arguments: str, plugins: Sequence[str] = ()) -> subprocess.Popen[str]:
        words = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
        for plugin in ("kbroker.pytest_plugin", *plugins):
            words += ["-p", plugin]
        return subprocess.Popen(
            [*words, *arguments, "--rootdir", str(self.folder), str(self.folder)],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # a signal for its group is not for us
            env={
                **os.environ,
                "PYTHONPATH": ":".join(filter(None, sys.path)),
                "TMPDIR": str(self.temporary),
                # Installed, the plugin would come by its entry point as well.
                "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            },
        )

    def run(self, *arguments: str, plugins: Sequence[str] = ()) -> str:
        """What it printed."""
        with self.popen(*arguments, plugins=plugins) as process:
            try:
                return process.communicate(timeout=TIMEOUT_S)[0]
            finally:
                process.kill()

    def data_directories(self) -> list[str]:
        return sorted(each.name for each in self.temporary.glob("kbroker-*"))


class Process(NamedTuple):
    pid: int
    parent: int
    state: str
    command: str


def processes() -> list[Process]:
    out = subprocess.run(
        ["ps", "-A", "-ww", "-o", "pid=,ppid=,stat=,args="],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found = (line.split(maxsplit=3) for line in out.splitlines())
    return [Process(int(f[0]), int(f[1]), f[2], f[3]) for f in found if len(f) == 4]


def templates_of(pid: int) -> list[int]:
    """The templates that a process has started."""
    return [
        each.pid
        for each in processes()
        if each.parent == pid and "kbroker.testing.template" in each.command
    ]


def brokers_of(pid: int) -> list[int]:
    """The brokers that were made for a process, zombies too."""
    templates = templates_of(pid)
    return [each.pid for each in processes() if each.parent in templates]


def wait_until_gone(folder: Path) -> None:
    """Until no process has the folder in its command, as the template of a session there has."""
    deadline = time.monotonic() + 60
    while left := [each for each in processes() if str(folder) in each.command]:
        assert time.monotonic() < deadline, left
        time.sleep(0.05)
