"""The power may go at any call to the disk: what was answered is there after the next start."""

from __future__ import annotations

import os
import random

import pytest
import trio

from kbroker.metadata_log.log import MetadataLogConfig
from kbroker.storage.errors import StorageError
from kbroker.wire.messages.create_topics import CreateTopicsRequest, CreateTopicsResponse
from kbroker.wire.messages.delete_topics import DeleteTopicsRequest, DeleteTopicsResponse
from tests.sim.disk import PowerLoss

from .parts import Machine, topic

SEEDS = int(os.environ.get("KBROKER_CRASH_SEEDS", "25"))
LIVES = 4


class Promises:
    """What clients were told, and what they asked for without an answer."""

    def __init__(self) -> None:
        self.present: set[str] = set()
        self.absent: set[str] = set()
        self.unknown: set[str] = set()
        self.number = 0
        self.kept = 0  # answers that a later life was held to

    def check(self, names: set[str]) -> None:
        assert self.present <= names, f"lost: {self.present - names}"
        assert not self.absent & names, f"came back: {self.absent & names}"
        assert names <= self.present | self.unknown, f"invented: {names - self.present}"
        self.kept += len(self.present) + len(self.absent)
        # The next life knows how the open questions were decided.
        self.present, self.absent, self.unknown = set(names), set(self.absent), set()


async def live(machine: Machine, promises: Promises, rng: random.Random) -> None:
    """Start, check, change things until the power goes."""
    controller = machine.open()
    async with trio.open_nursery() as nursery:
        await nursery.start(controller.run)
        await machine.join(controller)
        promises.check(set(controller.image.topics))
        for _ in range(30):
            if promises.present and rng.random() < 0.3:
                name = rng.choice(sorted(promises.present))
                promises.present.discard(name)
                promises.unknown.add(name)
                deleted = await controller.channel.send(
                    DeleteTopicsRequest(topic_names=[name], timeout_ms=1_000)
                )
                assert isinstance(deleted, DeleteTopicsResponse)
                assert deleted.responses[0].error_code == 0
                promises.unknown.discard(name)
                promises.absent.add(name)
            elif rng.random() < 0.1:
                await controller.write_snapshot()
            else:
                promises.number += 1
                name = f"t{promises.number}"
                promises.unknown.add(name)
                made = await controller.channel.send(
                    CreateTopicsRequest(topics=[topic(name, rng.randint(1, 5))])
                )
                assert isinstance(made, CreateTopicsResponse)
                assert made.topics[0].error_code == 0
                promises.unknown.discard(name)
                promises.present.add(name)
        nursery.cancel_scope.cancel()
    if rng.random() < 0.5:
        machine.directory.close()


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_what_was_answered_survives_a_power_loss_at_any_call(seed: int) -> None:
    rng = random.Random(seed)
    machine = Machine(seed)
    machine.log_config = MetadataLogConfig(
        segment_bytes=rng.choice([2_048, 1 << 20]), retention_bytes=rng.choice([4_000, 1 << 20])
    )
    promises = Promises()
    for _ in range(LIVES):
        machine.disk.crash_at = machine.disk.calls + rng.randint(1, 250)
        try:
            await live(machine, promises, rng)
        except* (PowerLoss, StorageError):
            pass
        machine.disk.power_loss(rng)
    await live(machine, promises, rng)
    assert promises.kept
