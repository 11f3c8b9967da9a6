"""The driver where no controller decides: a voter of several, which does not lead."""

from __future__ import annotations

import random

import pytest
import trio

from kbroker.controller.delta import ImageDelta
from kbroker.controller.driver import Driver
from kbroker.controller.image import MetadataImage
from kbroker.controller.raft.log import EpochLog
from kbroker.controller.raft.node import RaftConfig, RaftNode
from kbroker.controller.raft.roles import NEVER
from kbroker.controller.raft.voters import ReplicaKey, VoterSet
from kbroker.wire.errors import ErrorCode, RequestError

from .parts import Machine


async def test_who_waits_for_records_of_a_node_that_does_not_lead_is_told(
    autojump_clock: trio.testing.MockClock,
) -> None:
    machine = Machine()
    machine.open()
    node = RaftNode(
        local=ReplicaKey(1),
        voters=VoterSet.of(*(ReplicaKey(i) for i in (1, 2, 3))),
        log=EpochLog(),
        stored=None,
        config=RaftConfig(),
        rng=random.Random(1),
    )
    driver = Driver(
        machine.log,
        node,
        MetadataImage(),
        ImageDelta(),
        lambda: 0,
        on_applied=lambda: None,
        on_turn=lambda now_ms: NEVER,
    )
    told: list[RequestError] = []

    async def wait(offset: int) -> None:
        with pytest.raises(RequestError) as refusal:
            await driver.wait_applied(offset)
        told.append(refusal.value)

    async with trio.open_nursery() as nursery:
        async with trio.open_nursery() as waiting:
            for offset in (0, 5):
                waiting.start_soon(wait, offset)
            await trio.testing.wait_all_tasks_blocked()
            await nursery.start(driver.run)
            assert not driver.can_append
        assert [each.code for each in told] == [ErrorCode.NOT_CONTROLLER] * 2
        nursery.cancel_scope.cancel()
    machine.directory.close()
