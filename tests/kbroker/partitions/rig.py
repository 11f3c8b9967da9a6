"""The logs of a broker with one topic, and what keeps them."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import trio

from kbroker.config import BrokerConfig
from kbroker.log_dirs.assignments import Assignments
from kbroker.log_dirs.maintenance import Maintenance
from kbroker.node.publisher import Publisher
from kbroker.partitions.flusher import Flusher
from kbroker.storage.origin import Origin
from tests.kbroker.broker_parts import WallClock, new_directory, new_services
from tests.kbroker.cluster_image import NODE_ID, ClusterImage
from tests.kbroker.handlers.data_path import batch
from tests.sim.disk import SimDisk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from kbroker.controller.delta import ImageDelta
    from kbroker.partitions.partition import Partition


class Rig:
    """The logs of a broker with one topic, on a simulated disk."""

    def __init__(self) -> None:
        self.disk = SimDisk(random.Random(1))
        self.disk.make_dir("/data")
        self.disk.fsync_dir("/")
        self.clock = WallClock()
        self.config = BrokerConfig({"log.index.size.max.bytes": "4096"})
        self.cluster = ClusterImage()
        services = new_services(
            config=self.config,
            image=self.cluster.image,
            clock=self.clock,
            directories=[new_directory(self.disk)],
        )
        self.table = services.partitions
        self.store = services.log_store
        self.flusher = Flusher(self.clock)
        self.publisher = Publisher(
            NODE_ID,
            self.table,
            self.store,
            services.configs,
            services.groups,
            self.flusher.request,
            Assignments(services.controller, NODE_ID, lambda: 1),
            services.moves,
        )
        self.maintenance = Maintenance(
            self.table,
            self.store,
            self.config,
            self.clock,
            self.flusher.request,
            trio.lowlevel.checkpoint,
        )

    async def add_topic(
        self, count: int | Iterable[int] = 1, configs: Mapping[str, str] | None = None
    ) -> None:
        await self.publish(self.cluster.add_topic("t", count, configs=configs))

    async def remove_topic(self) -> None:
        await self.publish(self.cluster.remove_topic("t"))

    async def publish(self, delta: ImageDelta) -> None:
        await self.publisher.apply(delta, self.cluster.image)

    @property
    def partition(self) -> Partition:
        found = self.table.get("t", 0)
        assert found is not None
        return found

    def append(self, count: int) -> None:
        for _ in range(count):
            self.partition.append(batch(b"x" * 200), self.clock.now_ms, Origin.CLIENT)

    def files(self, suffix: str) -> list[str]:
        return [name for name in self.disk.list_dir("/data/t-0") if name.endswith(suffix)]


async def new_rig(overrides: Mapping[str, str]) -> Rig:
    rig = Rig()
    await rig.add_topic(configs=overrides)
    return rig


async def until(condition: Callable[[], bool]) -> None:
    """Let (virtual) time pass until worker threads have done their part."""
    for _ in range(10_000):
        if condition():
            return
        await trio.sleep(0.5)
    raise AssertionError("it never happened")
