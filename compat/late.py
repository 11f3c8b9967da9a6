"""Apache Kafka answers a change before it shows it: what was changed is read until it does."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    T = TypeVar("T")

SHOWN_S = 120.0
POLL_INTERVAL_S = 0.05


def comes_to(read: Callable[[], T], expected: T) -> None:
    """Wait until that is read. AssertionError with what was read last if it never is."""
    deadline = time.monotonic() + SHOWN_S
    while (found := read()) != expected and time.monotonic() < deadline:
        time.sleep(POLL_INTERVAL_S)
    assert found == expected


async def comes_to_async(read: Callable[[], Awaitable[T]], expected: T) -> None:
    """The same for what is awaited."""
    deadline = time.monotonic() + SHOWN_S
    while (found := await read()) != expected and time.monotonic() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(POLL_INTERVAL_S)
    assert found == expected
