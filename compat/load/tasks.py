"""The tool's helpers as processes: a client that behaves, a crowd that does not."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

from compat.brokers import REPOSITORY

if TYPE_CHECKING:
    from compat.brokers import Broker

Figures = dict[str, float]

_END_TIMEOUT_S = 300


class Helper:
    """A module run with a pipe to either side; it ends when its input does."""

    def __init__(self, module: str, *arguments: object) -> None:
        self._name = " ".join((module, *(str(each) for each in arguments)))
        command = [sys.executable, "-m", module, *(str(argument) for argument in arguments)]
        self._process = subprocess.Popen(
            command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def line(self) -> str:
        """The next line that it prints; ValueError if it has ended."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise ValueError(f"{self._name} ended with {self._process.wait()}")
        return line.strip()

    def tell(self, line: str) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise ValueError(f"{self._name} ended with {self._process.wait()}") from None

    def end(self) -> str:
        """Close its input; what it had still to print. ValueError if it failed."""
        output, _ = self._process.communicate(timeout=_END_TIMEOUT_S)
        if self._process.returncode:
            raise ValueError(f"{self._name} ended with {self._process.returncode}")
        return output

    def kill(self) -> None:
        """Whatever it does. Nothing if it has ended."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()


class CitizenProcess(Helper):
    """A `compat.load.citizen`."""

    def __init__(
        self,
        broker: Broker,
        topic: str,
        partition: int,
        *,
        records: int = 1,
        value_bytes: int = 1000,
        pace_s: float = 0.005,
    ) -> None:
        arguments = (broker.host, broker.port, topic, partition, records, value_bytes, pace_s)
        super().__init__("compat.load.citizen", *arguments)

    def figures(self) -> Figures:
        """Of the time since they were asked for last."""
        self.tell("")
        figures: Figures = json.loads(self.line())
        return figures
