"""A running broker in virtual time, with one empty topic: what settings do is seen in it."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

import trio

from kbroker.storage.batch import BatchHeader
from kbroker.storage.builder import NewRecord, build_batch
from kbroker.wire.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopic,
)
from tests.sim.broker import DATA

if TYPE_CHECKING:
    from kbroker.wire.errors import ErrorCode
    from tests.sim.broker import Client, Machine

NOW_MS = 1_700_000_000_000
TOPIC = "t"
NODE = "1"
HOUR_S = 3600
# Nothing of a broker that stands still happens by itself for a long virtual time.
SETTINGS = {
    "log.initial.task.delay.ms": "0",
    "log.retention.check.interval.ms": "1000",
    "producer.id.expiration.check.interval.ms": "1000",
    "metadata.max.idle.interval.ms": "0",
    "connections.max.idle.ms": "-1",
}


class TrioClock:
    """Wall time that goes with Trio's."""

    def wall_ms(self) -> int:
        return NOW_MS + round(trio.current_time() * 1000)


@dataclass
class Scene:
    """A running broker with one empty topic."""

    machine: Machine
    client: Client
    address: tuple[str, int] = ("broker", 0)

    async def produce(
        self,
        size: int = 10,
        *,
        key: bytes | None = b"k",
        ago_s: float = 0,
        value: bytes | None = None,
        producer_id: int = -1,
    ) -> ErrorCode:
        timestamp = TrioClock().wall_ms() - round(ago_s * 1000)
        record = NewRecord(timestamp, key, value or random.Random(1).randbytes(size))
        batch = build_batch(
            [record],
            producer_id=producer_id,
            producer_epoch=0 if producer_id >= 0 else -1,
            base_sequence=0 if producer_id >= 0 else -1,
        )
        error, _ = await self.client.produce(TOPIC, batch)
        return error

    async def stored(self) -> BatchHeader:
        return BatchHeader(await self.client.fetch(TOPIC, 0))

    def files(self, suffix: str = ".log") -> list[str]:
        folder = f"{DATA}/{TOPIC}-0"
        return [f"{folder}/{n}" for n in self.machine.disk.list_dir(folder) if n.endswith(suffix)]

    def syncs(self) -> int:
        return sum(
            f"fsync {DATA}/{TOPIC}-0/" in line and line.endswith(".log")
            for line in self.machine.disk.trace
        )

    async def earliest(self) -> int:
        partition = ListOffsetsPartition(partition_index=0, timestamp=-2)
        request = ListOffsetsRequest(topics=[ListOffsetsTopic(name=TOPIC, partitions=[partition])])
        answer = await self.client.call(request, ListOffsetsResponse, 7)
        return answer.topics[0].partitions[0].offset


async def pass_time(seconds: int) -> None:
    """At least so much, and what is done in threads, for which the clock does not wait."""
    for _ in range(seconds):
        await trio.sleep(1)
        await trio.testing.wait_all_threads_completed()
