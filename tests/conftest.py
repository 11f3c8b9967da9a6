"""For all tests. None of them is about time: on a busy machine they take longer, and pass."""

from __future__ import annotations

import gc
import signal
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing
from hypothesis import settings

from .sim.clock import BusyThreads, patient_clock
from .turns import Turns

if TYPE_CHECKING:
    from collections.abc import Iterator

settings.register_profile("kbroker", deadline=None)
settings.load_profile("kbroker")


@pytest.fixture(autouse=True, scope="session")
def _interruptible() -> None:
    """What a shell starts in the background ignores SIGINT, what nohup starts ignores SIGHUP, and
    all that they start does too.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture
def busy_threads(monkeypatch: pytest.MonkeyPatch) -> BusyThreads:
    """Counts the worker threads that the test has at work."""
    threads = BusyThreads(trio.to_thread.run_sync)
    monkeypatch.setattr(trio.to_thread, "run_sync", threads.run_sync)
    return threads


@pytest.fixture
def autojump_clock(busy_threads: BusyThreads) -> trio.testing.MockClock:
    """In place of pytest-trio's: virtual time waits for worker threads."""
    return patient_clock(busy_threads)


turns = Turns()


def pytest_configure() -> None:
    turns.watch()  # before tests are collected: pytest-trio takes trio.run then


def pytest_collection_finish() -> None:
    """What was collected stays to the end: hundreds of megabytes that no collection need walk."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _short_turns() -> Iterator[None]:
    """No task of ours holds up the event loop, whatever the test is about."""
    yield
    faults, turns.faults = turns.faults, []
    assert not faults, "\n".join(faults)
