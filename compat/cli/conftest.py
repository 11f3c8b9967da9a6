"""Our command line as a user has it, a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from compat.apache import run_tool

if TYPE_CHECKING:
    from collections.abc import Callable

    from compat.brokers import Broker

TIMEOUT_S = 120


def kbroker(bootstrap: str, *words: object, stdin: str | None = None, status: int = 0) -> str:
    """Standard output, or standard error where the status is not 0."""
    done = subprocess.run(
        [sys.executable, "-m", "kbroker", *map(str, words)],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
        env={**os.environ, "KAFKA_BOOTSTRAP_SERVERS": bootstrap},
    )
    assert done.returncode == status, f"{words} ended with {done.returncode}: {done.stderr}"
    return done.stderr if status else done.stdout


@pytest.fixture(autouse=True, scope="session")
def _interruptible() -> None:
    """What a shell starts in the background ignores SIGINT, and all that it starts does too."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def ours(broker: Broker) -> Callable[..., str]:
    """`ours("topics", "list")`: what our command prints."""

    def run(*words: object, stdin: str | None = None, status: int = 0) -> str:
        return kbroker(broker.bootstrap, *words, stdin=stdin, status=status)

    return run


@pytest.fixture
def ours_json(broker: Broker) -> Callable[..., Any]:
    """`ours_json("topics", "list")`: what our command says with --json."""
    return lambda *words: json.loads(kbroker(broker.bootstrap, *words, "--json"))


@pytest.fixture
def theirs(broker: Broker) -> Callable[..., str]:
    """`theirs("topics", "--list")`: what a tool of Apache Kafka prints."""

    def run(tool: str, *arguments: object, stdin: str | None = None) -> str:
        given = [str(argument) for argument in arguments]
        return run_tool(tool, "--bootstrap-server", broker.bootstrap, *given, stdin=stdin)

    return run


@pytest.fixture
def new_topic(ours: Callable[..., str], unique: Callable[[str], str]) -> Callable[..., str]:
    """`new_topic(partitions)` makes a topic and gives its name."""

    def create(partitions: int = 1, configs: str = "") -> str:
        name = unique("cli")
        ours("topics", "create", f"{name}:{partitions}:{configs}")
        # Apache Kafka answers before the partitions have leaders: describing waits for them.
        ours("topics", "offsets", name)
        return name

    return create
