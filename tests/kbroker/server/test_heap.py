"""When memory goes back to the system."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from kbroker.server.heap import CALM_S, FEWER_MIN, HeapTrimmer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def counting(done: list[None]) -> Callable[[], Awaitable[None]]:
    async def trim() -> None:
        await trio.lowlevel.checkpoint()
        done.append(None)

    return trim


@pytest.mark.parametrize(
    ("counts", "trims"),
    [
        ([0, FEWER_MIN - 1, 0], 0),
        ([0, FEWER_MIN, 0], 1),
        ([FEWER_MIN * 2, FEWER_MIN, FEWER_MIN // 2], 1),  # what is left is too few for another
        ([FEWER_MIN, 0, FEWER_MIN, 0], 2),
    ],
)
async def test_it_goes_back_when_many_connections_have_gone(
    counts: list[int], trims: int, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    done: list[None] = []
    heap = HeapTrimmer(counting(done))
    nursery.start_soon(heap.run)
    for count in counts:
        heap.count(count)
        await trio.sleep(CALM_S * 3)
    assert len(done) == trims
    nursery.cancel_scope.cancel()


async def test_it_waits_while_they_still_go(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    done: list[None] = []
    heap = HeapTrimmer(counting(done))
    nursery.start_soon(heap.run)
    for count in range(FEWER_MIN * 2, 0, -1):
        heap.count(count)
        await trio.sleep(CALM_S / 4)
    assert not done
    await trio.sleep(CALM_S * 3)
    assert len(done) == 1
    nursery.cancel_scope.cancel()
