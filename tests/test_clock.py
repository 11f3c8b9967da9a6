"""The virtual time of the tests, which stands still while a worker thread is at work."""

from __future__ import annotations

import threading
import time

import trio
import trio.testing


async def test_time_waits_for_a_thread(autojump_clock: trio.testing.MockClock) -> None:
    with trio.move_on_after(1) as timeout:
        for _ in range(3):
            await trio.to_thread.run_sync(time.sleep, 0.03)
            assert trio.current_time() < 1
    assert not timeout.cancelled_caught


async def test_time_does_not_wait_for_a_thread_that_is_held_up(
    autojump_clock: trio.testing.MockClock,
) -> None:
    gate = threading.Event()
    began_s = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: trio.to_thread.run_sync(gate.wait))
        await trio.sleep(60)
        gate.set()
    assert trio.current_time() - began_s >= 60
