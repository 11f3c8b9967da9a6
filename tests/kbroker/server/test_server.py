"""Who may stay connected, and for how long."""

from __future__ import annotations

import errno
import os
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest
import trio

from kbroker.config import BrokerConfig
from kbroker.server.limits import ConnectionLimits
from kbroker.server.server import ListenerSettings, Server
from kbroker.wire.messages.heartbeat import HeartbeatRequest
from tests.sim.network import MemoryNetwork

from .test_connection import Harness, framed, produce

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.sim.network import MemoryStream


class Service:
    """A server that serves the harness's handlers."""

    def __init__(self, **settings: object) -> None:
        names = {name.replace("_", "."): str(value) for name, value in settings.items()}
        self.network = MemoryNetwork()
        self.harness = Harness()
        self.server = Server(
            self.network,
            self.harness.dispatcher,
            ConnectionLimits(BrokerConfig(names)),
            grace_s=1.0,
        )
        self.address = self.server.bind(ListenerSettings("PLAINTEXT", "broker", 0, None))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with trio.open_nursery() as nursery:
            await nursery.start(self.server.run, 10)
            yield
            self.server.stop()

    async def connect(self) -> MemoryStream:
        return await self.network.connect(*self.address)


async def is_open(stream: MemoryStream) -> bool:
    """Whether the server has closed it, or it has something to read."""
    with trio.move_on_after(0.001):
        return await stream.receive_some(1) != b""
    return True


async def test_a_silent_connection_is_closed(autojump_clock: trio.testing.MockClock) -> None:
    service = Service(connections_max_idle_ms=1000)
    async with service.running():
        stream, active = await service.connect(), await service.connect()
        for i in range(4):
            await active.send_all(framed(produce(), 9, i))
            await trio.sleep(0.3)
        assert not await is_open(stream)
        assert await is_open(active)


async def test_a_request_that_waits_is_no_reason_to_stay_connected_for_ever(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """A client may ask to wait for weeks, and vanish without a word."""
    service = Service(connections_max_idle_ms=1000)
    async with service.running():
        waiting = await service.connect()
        await trio.sleep(0.9)
        await waiting.send_all(framed(HeartbeatRequest(group_id="for ever"), 4, 1))
        await trio.sleep(0.9)
        assert await is_open(waiting)
        await trio.sleep(0.3)
        assert not await is_open(waiting)


async def test_a_client_that_reads_nothing_is_given_up(
    autojump_clock: trio.testing.MockClock,
) -> None:
    service = Service(connections_max_idle_ms=1000)
    service.harness.produced_topic = "x" * 30_000
    async with service.running():
        stuck = await service.connect()
        await stuck.send_all(b"".join(framed(produce(), 9, i) for i in range(10)))
        await trio.sleep(2.0)
        received = b"".join([chunk async for chunk in stuck])
    assert 0 < len(received) < 10 * 30_000


async def test_a_slow_reader_is_served_to_the_end(autojump_clock: trio.testing.MockClock) -> None:
    service = Service(connections_max_idle_ms=1000)
    service.harness.produced_topic = "x" * 30_000
    async with service.running():
        slow = await service.connect()
        await slow.send_all(b"".join(framed(produce(), 9, i) for i in range(10)))
        received = 0
        while received < 10 * 30_000:
            chunk = await slow.receive_some(20_000)
            assert chunk
            received += len(chunk)
            await trio.sleep(0.5)


@pytest.mark.parametrize("limit", ["max.connections", "max.connections.per.ip"])
async def test_no_more_connections_than_allowed(
    limit: str, autojump_clock: trio.testing.MockClock
) -> None:
    service = Service(**{limit: 2})
    async with service.running():
        streams = [await service.connect() for _ in range(3)]
        await trio.sleep(1.0)
        for stream in streams:
            with suppress(trio.BrokenResourceError):
                await stream.send_all(framed(produce(), 9, 1))
        await trio.sleep(1.0)
        assert len(service.harness.seen) == 2
        await streams[0].aclose()
        await trio.sleep(1.0)
        assert len(service.harness.seen) == (3 if limit == "max.connections" else 2)


async def test_a_process_without_descriptors_serves_whom_it_has(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """And others again when there are some; without a log line for every attempt."""
    service = Service()
    async with service.running():
        known = await service.connect()
        await trio.sleep(1.0)
        service.network.accept_error = OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        late = await service.connect()
        await trio.sleep(5.0)
        await known.send_all(framed(produce(), 9, 1))
        await late.send_all(framed(produce(), 9, 1))
        await trio.sleep(1.0)
        assert len(service.harness.seen) == 1
        service.network.accept_error = None
        await trio.sleep(1.0)
        assert len(service.harness.seen) == 2
    assert caplog.text.count("Too many open files") == 1
