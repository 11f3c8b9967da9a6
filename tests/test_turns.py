"""That a turn of the event loop which is too long, or waits, is found."""

from __future__ import annotations

import socket
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trio

from kbroker.storage.os_disk import OsDisk

from .conftest import turns
from .turns import ROOT, TURN_S_MAX

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def of_the_product(work: Callable[[], object]) -> Callable[[], Awaitable[object]]:
    """A coroutine function that does the work, as if it stood in the broker."""
    names: dict[str, Callable[[Callable[[], object]], Awaitable[object]]] = {}
    text = "async def serve(work): work()"
    exec(compile(text, f"{ROOT}/kbroker/server/server.py", "exec"), names)
    return partial(names["serve"], work)


async def found(work: Callable[[], object]) -> str:
    """What is said of a task of the broker that does this in one turn."""
    assert not turns.faults
    async with trio.open_nursery() as nursery:
        nursery.start_soon(of_the_product(work))
    said, turns.faults = "\n".join(turns.faults), []
    return said


def compute(cpu_s: float) -> None:
    end = time.thread_time() + cpu_s
    while time.thread_time() < end:
        sum(range(1000))


async def test_a_turn_that_computes_for_too_long_is_found() -> None:
    assert "serve: a turn of 1" in await found(lambda: compute(TURN_S_MAX * 1.1))
    assert await found(lambda: compute(TURN_S_MAX / 4)) == ""


@pytest.mark.parametrize(
    ("work", "call"),
    [
        (lambda: socket.getaddrinfo("127.0.0.1", 1), "socket.getaddrinfo"),
        (lambda: time.sleep(0), "sleep"),
        (lambda: OsDisk().fsync_dir(str(Path(__file__).parent)), "fsync_dir"),
    ],
)
async def test_a_call_that_may_wait_is_found_however_short_it_was(
    work: Callable[[], object], call: str
) -> None:
    assert f"serve calls {call}" in await found(work)


async def test_in_a_thread_or_in_a_task_of_the_test_it_may_wait() -> None:
    await trio.to_thread.run_sync(time.sleep, 0)
    blocking: Callable[[float], None] = time.sleep
    blocking(0)
    compute(TURN_S_MAX * 1.1)
    assert not turns.faults
