"""Who may stay connected, and for how long."""

from __future__ import annotations

import errno
import logging
import os
import queue
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio

from kbroker.config import BrokerConfig
from kbroker.server.binding import BoundListeners, ListenerSettings
from kbroker.server.heap import CALM_S, FEWER_MIN, HeapTrimmer
from kbroker.server.limits import ConnectionLimits
from kbroker.server.server import Server
from kbroker.wire.messages.heartbeat import HeartbeatRequest
from tests.sim.network import MemoryNetwork

from .harness import Harness, framed, produce

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.sim.network import MemoryStream


class Service:
    """A server that serves the harness's handlers on each listener, the first of them by default.

    Settings have _ for the dots of their keys.
    """

    def __init__(self, *listeners: str, **settings: object) -> None:
        names = {name.replace("_", "."): str(value) for name, value in settings.items()}
        self.network = MemoryNetwork()
        self.harness = Harness()
        self.config = BrokerConfig(names)
        self.trims = 0
        bound = BoundListeners(self.network)
        self.addresses = {
            name: bound.bind(ListenerSettings(name, "broker", 0, None))
            for name in listeners or ("PLAINTEXT",)
        }
        self.server = Server(
            bound,
            self.harness.dispatcher,
            ConnectionLimits(self.config, self.network.look_up),
            grace_s=1.0,
            queued_request_bytes_max=self.config.queued_max_request_bytes,
            heap=HeapTrimmer(self._trim),
        )

    async def _trim(self) -> None:
        await trio.lowlevel.checkpoint()
        self.trims += 1

    def change(self, **settings: object) -> None:
        """Dynamic values for the whole cluster, in place of earlier ones."""
        names = {name.replace("_", "."): str(value) for name, value in settings.items()}
        self.server.limits_changed(self.config.update_dynamic(names, {}))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with trio.open_nursery() as nursery:
            await nursery.start(self.server.run, 10)
            yield
            self.server.stop()

    async def connect(self, listener: str = "", client: str = "client") -> MemoryStream:
        address = self.addresses[listener or next(iter(self.addresses))]
        return await self.network.connect(*address, client)

    async def served(self, *streams: MemoryStream) -> int:
        """How many of them get an answer at once."""
        count = 0
        for stream in streams:
            with suppress(trio.BrokenResourceError), trio.move_on_after(0.001):
                await stream.send_all(framed(produce(), 9, 1))
                count += await stream.receive_some() != b""
        return count


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
        await trio.sleep(300.0)
        await known.send_all(framed(produce(), 9, 1))
        await late.send_all(framed(produce(), 9, 1))
        await trio.sleep(1.0)
        assert len(service.harness.seen) == 1
        service.network.accept_error = None
        await trio.sleep(1.0)
        assert len(service.harness.seen) == 2
    (line,) = (each for each in caplog.messages if "Too many open files" in each)
    assert "cannot accept connections to PLAINTEXT now" in line
    assert "ulimit -n" in line


async def test_a_host_that_has_its_connections_is_told_of_once(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "kbroker.server")
    service = Service(max_connections_per_ip=1)
    async with service.running():
        streams = [await service.connect(client=host) for host in ("a", "b") for _ in range(20)]
        assert await service.served(*streams) == 2
    lines = [each for each in caplog.messages if "refusing" in each]
    assert lines == [
        f"refusing connections from {host}, which already has 1" for host in ("a", "b")
    ]


async def test_connections_that_are_closed_together_are_one_line(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "kbroker.server")
    service = Service(connections_max_idle_ms=1000)
    async with service.running():
        streams = [await service.connect() for _ in range(20)]
        await trio.sleep(2.0)
        assert [await is_open(each) for each in streams] == [False] * 20
        assert caplog.messages == ["closing 20 idle connections"]
        streams = [await service.connect() for _ in range(20)]
        assert await service.served(*streams) == 20
        service.change(max_connections=5)
        assert caplog.messages[1:] == [
            "closing 15 connections above max.connections, the longest idle first"
        ]


async def test_a_listener_has_limits_of_its_own(autojump_clock: trio.testing.MockClock) -> None:
    limits = {"listener.name.external.max.connections": 1, "max.connections": 3}
    service = Service("INTERNAL", "EXTERNAL", **limits)
    async with service.running():
        outside = [await service.connect("EXTERNAL") for _ in range(2)]
        assert await service.served(*outside) == 1
        inside = [await service.connect("INTERNAL") for _ in range(3)]
        assert await service.served(*inside) == 2  # with that one outside there are three
        await outside[0].aclose()
        await trio.sleep(0.1)
        assert await service.served(outside[1], *inside) == 3


async def test_the_listener_of_brokers_is_not_kept_out_by_clients(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """One more than the broker may have: the client that was silent for longest goes."""
    limits = {"inter.broker.listener.name": "INTERNAL", "max.connections": 2}
    service = Service("INTERNAL", "EXTERNAL", **limits)
    async with service.running():
        clients = [await service.connect("EXTERNAL") for _ in range(2)]
        for client in clients:
            assert await service.served(client)
            await trio.sleep(0.1)
        broker = await service.connect("INTERNAL")
        assert await service.served(broker)
        assert not await is_open(clients[0])
        assert await is_open(clients[1])


async def test_limits_change_while_the_broker_runs(
    autojump_clock: trio.testing.MockClock,
) -> None:
    service = Service(max_connections=1)
    async with service.running():
        streams = [await service.connect() for _ in range(3)]
        assert await service.served(*streams) == 1
        service.change(max_connections=3)
        await trio.sleep(0.1)
        for each in streams:  # the last one is the last to be idle
            assert await service.served(each)
            await trio.sleep(0.1)
        service.change(max_connections=1)
        await trio.sleep(0.1)
        assert [await is_open(each) for each in streams] == [False, False, True]
        service.change(max_connections=5, listener_name_plaintext_max_connections=2)
        streams = [await service.connect() for _ in range(2)]
        assert await service.served(*streams) == 1


async def test_a_listener_over_a_lower_limit_takes_no_more_until_it_is_below(
    autojump_clock: trio.testing.MockClock,
) -> None:
    service = Service()
    async with service.running():
        streams = [await service.connect() for _ in range(3)]
        assert await service.served(*streams) == 3
        service.change(listener_name_plaintext_max_connections=1)
        late = await service.connect()
        for stream in streams:
            assert await service.served(late) == 0
            await stream.aclose()
            await trio.sleep(0.1)
        assert await service.served(late) == 1


@pytest.mark.parametrize(
    ("settings", "hosts", "served"),
    [
        ({"max.connections.per.ip": 1}, "aab", 2),
        ({"max.connections.per.ip.overrides": "10.0.0.1:1"}, "aab", 2),
        ({"max.connections.per.ip.overrides": " 10.0.0.1 : 2 , 10.0.0.2:0"}, "aaab", 2),
        ({"max.connections.per.ip": 0, "max.connections.per.ip.overrides": "10.0.0.2:2"}, "abb", 2),
        ({"max.connections.per.ip.overrides": "fe80::1:1"}, "6a6", 2),
        ({"max.connections.per.ip.overrides": "fe80:0:0::1:1"}, "6a6", 2),
        ({"max.connections.per.ip.overrides": "::ffff:10.0.0.1:1"}, "aab", 2),
        ({"max.connections.per.ip.overrides": "a.example:0,10.0.0.1:1"}, "aab", 2),
    ],
)
async def test_an_address_has_as_many_connections_as_its_limit_says(
    settings: dict[str, object],
    hosts: str,
    served: int,
    autojump_clock: trio.testing.MockClock,
) -> None:
    addresses = {"a": "10.0.0.1", "b": "10.0.0.2", "6": "fe80::1"}
    service = Service(**settings)
    async with service.running():
        streams = [await service.connect(client=addresses[host]) for host in hosts]
        assert await service.served(*streams) == served


class SlowNames:
    """Look-ups of names that take until they are answered, in the thread that makes them."""

    def __init__(self, network: MemoryNetwork, *names: str) -> None:
        self._answers = {name: queue.SimpleQueue[list[str] | OSError]() for name in names}
        self._asked = self._answered = 0
        for name in names:
            network.names[name] = partial(self._look_up, name)

    def _look_up(self, name: str) -> list[str]:
        self._asked += 1
        answer = self._answers[name].get(timeout=60)
        self._answered += 1
        if isinstance(answer, OSError):
            raise answer
        return answer

    async def answer(self, name: str, *addresses: str, error: OSError | None = None) -> None:
        """Returns when the broker has the answer, be it that it has asked once more."""
        answered = self._answered + 1
        self._answers[name].put(error or list(addresses))
        while not self._is_settled(answered):  # noqa: ASYNC110 (in a thread)
            await trio.sleep(0.001)
        await trio.testing.wait_all_tasks_blocked()

    def _is_settled(self, answered: int) -> bool:
        """So many have an answer, and the threads that there are wait for theirs."""
        in_threads = trio.testing.active_thread_count()
        return self._answered >= answered and in_threads == self._asked - self._answered


async def overridden(service: Service, hosts: str) -> list[int]:
    """How many of three connections of each are served."""
    counts = []
    for host in hosts:
        streams = [await service.connect(client=f"10.0.0.{host}") for _ in range(3)]
        counts.append(await service.served(*streams))
        for each in streams:
            await each.aclose()
        await trio.sleep(0.1)
    return counts


KEY = "max.connections.per.ip.overrides"


async def test_while_a_name_is_looked_up_others_are_served(
    autojump_clock: trio.testing.MockClock,
) -> None:
    service = Service()
    names = SlowNames(service.network, "slow.example")
    async with service.running():
        service.change(**{KEY: "10.0.0.1:1,slow.example:2"})
        assert await overridden(service, "12") == [1, 3]
        await names.answer("slow.example", "10.0.0.2", "10.0.0.3")
        assert await overridden(service, "1234") == [1, 2, 2, 3]
        # Until it is known where the name is now, it is where it was.
        service.change(**{KEY: "slow.example:1"})
        assert await overridden(service, "1234") == [3, 1, 1, 3]
        await names.answer("slow.example", "10.0.0.4")
        assert await overridden(service, "1234") == [3, 3, 3, 1]
        service.change(**{KEY: "slow.example:2"})
        await names.answer("slow.example", error=OSError("no server answers"))
        assert await overridden(service, "4") == [2]


async def test_a_look_up_that_comes_late_does_not_bring_an_old_value_back(
    autojump_clock: trio.testing.MockClock,
) -> None:
    service = Service()
    names = SlowNames(service.network, "old.example", "new.example")
    async with service.running():
        service.change(**{KEY: "old.example:1"})
        await trio.testing.wait_all_tasks_blocked()
        service.change(**{KEY: "new.example:2"})
        await names.answer("old.example", "10.0.0.1")
        await names.answer("new.example", "10.0.0.2")
        assert await overridden(service, "12") == [3, 2]


async def test_no_one_is_served_before_the_names_of_the_start_are_known(
    autojump_clock: trio.testing.MockClock,
) -> None:
    service = Service(**{KEY: "slow.example:1"})
    names = SlowNames(service.network, "slow.example")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(service.server.run, 10)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(ConnectionRefusedError):
            await service.connect(client="10.0.0.1")
        await names.answer("slow.example", "10.0.0.1")
        assert await overridden(service, "1") == [1]
        service.server.stop()


async def test_a_start_that_is_given_up_waits_for_no_name() -> None:
    service = Service(**{KEY: "slow.example:1"})
    names = SlowNames(service.network, "slow.example")
    with trio.move_on_after(0.01) as scope:
        await service.server.run(10)
    assert scope.cancelled_caught
    await names.answer("slow.example")


@pytest.mark.parametrize(
    "key", ["max.connection.creation.rate", "listener.name.plaintext.max.connection.creation.rate"]
)
async def test_connections_come_no_faster_than_their_rate(
    key: str, autojump_clock: trio.testing.MockClock
) -> None:
    """Ten seconds of it may come at once: the rate is that of the last ten."""
    service = Service(**{key: 2})
    async with service.running():
        streams = [await service.connect() for _ in range(24)]
        assert await service.served(*streams) == 20
        await trio.sleep(1.0)
        assert await service.served(*streams) == 22
        await trio.sleep(1.0)
        assert await service.served(*streams) == 23  # the first second still counts


async def test_half_received_requests_are_bounded(autojump_clock: trio.testing.MockClock) -> None:
    """Whoever began goes on to the end; a request that comes in one go needs no room."""
    size = 20_000
    service = Service(queued_max_request_bytes=30_000, socket_request_max_bytes=30_000)
    name = "x" * size
    service.harness.gate(name).set()
    request = framed(produce(name), 9, 1)
    async with service.running():
        first, second, third, whole = [await service.connect() for _ in range(4)]
        for stream in (first, second, third):
            await stream.send_all(request[:1000])
            await trio.sleep(0.1)
        await third.send_all(request[1000:])
        await trio.sleep(0.1)
        assert await service.served(whole) == 1
        assert service.harness.seen == [""]
        await second.send_all(request[1000:])
        await trio.sleep(0.1)
        assert service.harness.seen == ["", name, name]  # the second's, and so the third's
        await first.aclose()
        await trio.sleep(0.1)
        for stream in (second, third):
            await stream.send_all(request[:1000])
        await trio.sleep(0.1)
        for stream in (third, second):
            await stream.send_all(request[1000:])
        await trio.sleep(0.1)
        assert service.harness.seen == ["", name, name, name, name]
        for stream in (second, third, whole):  # as the first three did, by those who had room once
            await stream.send_all(request[:1000])
            await trio.sleep(0.1)
        await whole.send_all(request[1000:])
        await trio.sleep(0.1)
        assert service.harness.seen == ["", *[name] * 4]
        await second.send_all(request[1000:])
        await trio.sleep(0.1)
        assert service.harness.seen == ["", *[name] * 6]


async def test_a_stop_waits_for_no_request_that_is_half_received(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Neither for more of it, nor for room for it."""
    service = Service(queued_max_request_bytes=20_000, socket_request_max_bytes=20_000)
    begun = framed(produce("x" * 10_000), 9, 1)[:1000]
    async with service.running():
        for _ in range(4):
            stream = await service.connect()
            await stream.send_all(begun)
            await trio.sleep(0.1)
        stopped_at = trio.current_time()
    assert trio.current_time() - stopped_at < 0.1


async def test_a_storm_of_connections_leaves_others_their_turn(
    autojump_clock: trio.testing.MockClock,
) -> None:
    service = Service()
    async with service.running():
        known = await service.connect()
        assert await service.served(known) == 1
        for _ in range(60):
            await service.connect()
        assert await service.served(known) == 1


async def test_who_waits_for_the_rate_is_let_go_when_the_broker_stops(
    autojump_clock: trio.testing.MockClock,
) -> None:
    service = Service(max_connection_creation_rate=2)
    async with service.running():
        streams = [await service.connect() for _ in range(21)]
        assert await service.served(*streams) == 20
    assert [await is_open(each) for each in streams] == [False] * 21


async def test_memory_goes_back_when_many_connections_have_gone(
    autojump_clock: trio.testing.MockClock,
) -> None:
    service = Service()
    async with service.running():
        streams = [await service.connect() for _ in range(FEWER_MIN)]
        assert await service.served(*streams) == FEWER_MIN
        for each in streams[1:]:
            await each.aclose()
        await trio.sleep(3 * CALM_S)
        assert service.trims == 0
        await streams[0].aclose()
        await trio.sleep(3 * CALM_S)
        assert service.trims == 1
