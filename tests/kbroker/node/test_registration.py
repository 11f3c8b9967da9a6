"""A broker stays a member of its cluster for as long as it lives, and not longer."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import trio

from kbroker.node.registration import Registration
from kbroker.node.settings import TopicSpec
from kbroker.wire.errors import ErrorCode, RequestError
from kbroker.wire.messages.broker_heartbeat import BrokerHeartbeatRequest, BrokerHeartbeatResponse
from tests.kbroker.asking import metadata, one
from tests.sim.broker import Machine
from tests.sim.disk import SimDisk

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from kbroker.wire.message import Request


class SlowDisk(SimDisk):
    """Every fsync in a thread takes `fsync_s` of the tests' time."""

    fsync_s = 0.0

    def call(self, operation: str, path: str, part: Callable[[], object] | None = None) -> None:
        if operation == "fsync" and threading.current_thread() is not threading.main_thread():
            trio.from_thread.run(trio.sleep, self.fsync_s)
        super().call(operation, path, part)


async def test_a_broker_that_takes_long_to_start_is_not_fenced_meanwhile(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """The session is 9 s, and each of these topics takes 3 s."""
    machine = Machine()
    machine.disk = SlowDisk(machine.rng)
    machine.disk.make_dir("/data")
    machine.disk.fsync_s = 3.0
    async with machine.broker(*(TopicSpec(f"t{i}", 1) for i in range(6))) as client:
        response = await metadata(client, "t5")
        assert response.topics[0].partitions[0].leader_id == 1
        assert (await client.produce("t5", one(b"x")))[0] is ErrorCode.NONE


async def test_a_broker_on_the_slowest_disk_starts(autojump_clock: trio.testing.MockClock) -> None:
    """One sync takes longer than the session lasts."""
    machine = Machine()
    machine.disk = disk = SlowDisk(machine.rng)
    disk.make_dir("/data")
    disk.fsync_s = 10.0
    async with machine.broker(TopicSpec("t", 1)) as client:
        response = await metadata(client, "t")
        assert response.topics[0].partitions[0].leader_epoch == 0
        disk.fsync_s = 0.0


async def test_a_broker_whose_controller_waits_for_its_disk_is_not_fenced_meanwhile(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """A sync of the metadata log that takes longer than the session lasts."""
    machine = Machine()
    machine.disk = disk = SlowDisk(machine.rng)
    disk.make_dir("/data")
    async with machine.broker(TopicSpec("t", 1)) as client:
        disk.fsync_s = 60.0
        await metadata(client, "new", create=True)
        disk.fsync_s = 0.0
        response = await metadata(client, "t")
        assert response.topics[0].partitions[0].leader_epoch == 0


class _Controller:
    """Lets a broker go when it has asked three times."""

    def __init__(self) -> None:
        self.wishes: list[bool] = []  # want_shut_down

    async def send(self, request: Request[Any]) -> Any:
        assert isinstance(request, BrokerHeartbeatRequest)
        self.wishes.append(request.want_shut_down)
        return BrokerHeartbeatResponse(
            is_fenced=False, should_shut_down=self.wishes.count(True) == 3
        )


class _StrictController:
    """Fences the broker, or refuses its heartbeats, for as long as the test likes."""

    is_fenced = is_refusing = False

    async def send(self, request: Request[Any]) -> Any:
        if self.is_refusing:
            raise RequestError(ErrorCode.BROKER_ID_NOT_REGISTERED)
        return BrokerHeartbeatResponse(is_fenced=self.is_fenced)


async def test_a_broker_says_once_that_it_is_fenced_or_refused(
    nursery: trio.Nursery,
    autojump_clock: trio.testing.MockClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    controller = _StrictController()
    lifecycle = Registration(
        controller, 1, lambda: 1000, lambda: 0, cordoned=list, failure_timeout_ms=30_000
    )
    await nursery.start(lifecycle.run)
    for controller.is_fenced in (True, False, True):
        await trio.sleep(100.0)
    controller.is_refusing = True
    await trio.sleep(100.0)
    assert caplog.messages == [
        *["the controller has fenced this broker"] * 2,
        "the controller refused a heartbeat: The given broker ID was not registered.",
    ]


async def test_a_broker_that_leaves_does_not_ask_to_stay(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    """Its heartbeats, due all the time, end before it asks to go."""
    controller = _Controller()
    lifecycle = Registration(
        controller, 1, lambda: 1, lambda: 0, cordoned=list, failure_timeout_ms=30_000
    )
    await nursery.start(lifecycle.run)
    await trio.sleep(0.01)
    assert controller.wishes
    controller.wishes.clear()
    await lifecycle.leave(1.0)
    await trio.sleep(0.1)
    assert controller.wishes == [True] * 3
