"""A broker in another thread, and the commands run as a person would."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

from kbroker.cli import main
from kbroker.testing import broker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kbroker.testing import Kafka


@pytest.fixture(scope="package")
def served() -> Iterator[Kafka]:
    with broker(topics=("orders:3:retention.ms=100000",)) as kafka:
        yield kafka


class Terminal:
    """Runs commands in this process, and reads what they print."""

    def __init__(
        self, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, bootstrap: str
    ) -> None:
        self._capfd = capfd
        self._monkeypatch = monkeypatch
        monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", bootstrap)

    def run(self, *words: str, typed: str | bytes = "", status: int = 0) -> str:
        """Standard output, or standard error where the status is not 0."""
        captured = self._run(words, typed, status)
        return captured[1] if status else captured[0]

    def run_json(self, *words: str) -> Any:
        """What `--json` prints."""
        return json.loads(self._run((*words, "--json"), "", 0)[0])

    def _run(self, words: tuple[str, ...], typed: str | bytes, status: int) -> tuple[str, str]:
        read, write = os.pipe()
        os.write(write, typed.encode() if isinstance(typed, str) else typed)
        os.close(write)
        with os.fdopen(read) as stdin:
            self._monkeypatch.setattr(sys, "stdin", stdin)
            assert main(list(words)) == status
        captured = self._capfd.readouterr()
        return captured.out, captured.err


@pytest.fixture
def terminal(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, served: Kafka
) -> Terminal:
    return Terminal(capfd, monkeypatch, served.bootstrap)
