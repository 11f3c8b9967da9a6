"""Produce, Fetch, ListOffsets and OffsetForLeaderEpoch over real logs, without a broker around."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from kbroker.partitions.fetch_sessions import FetchSessionCache
from kbroker.partitions.partition import Partition
from kbroker.partitions.table import PartitionTable
from kbroker.services import ConnectionInfo, RequestContext, Services
from kbroker.storage.builder import NewRecord, build_batch
from kbroker.storage.disk import OsDisk
from kbroker.storage.log_config import LogConfig
from kbroker.storage.recovery import open_log

if TYPE_CHECKING:
    from pathlib import Path

    import trio

    from kbroker.controller.image import PartitionImage
    from kbroker.storage.disk import Disk

NODE_ID = 1
NOW_MS = 1_700_000_000_000


class WallClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now_ms = NOW_MS

    def wall_ms(self) -> int:
        return self.now_ms


def topic_id(name: str) -> bytes:
    return name.encode().ljust(16, b"\1")


class DataPath:
    """The parts of a broker that read and write records."""

    def __init__(self, directory: Path, stopping: trio.Event, disk: Disk | None = None) -> None:
        self.directory = directory
        self.disk = disk or OsDisk()
        self.clock = WallClock()
        self.table = PartitionTable()
        self.flush_requests: list[Partition] = []
        self.topics: dict[bytes, object] = {}
        self.topics_by_name: dict[str, SimpleNamespace] = {}
        self.services = cast(
            "Services",
            SimpleNamespace(
                node_id=NODE_ID,
                clock=self.clock,
                partitions=self.table,
                fetch_sessions=FetchSessionCache(1000, random.Random(1)),
                image=SimpleNamespace(
                    topics=self.topics_by_name, topics_by_id=self.topics, brokers={}
                ),
                config=SimpleNamespace(fetch_max_bytes=55 << 20),
                stopping=stopping,
                endpoint=lambda node_id, connection: (f"host{node_id}", 9092, None),
            ),
        )

    def add(
        self,
        name: str,
        index: int = 0,
        *,
        config: LogConfig | None = None,
        leader: int = NODE_ID,
        replicas: tuple[int, ...] = (NODE_ID,),
        leader_epoch: int = 5,
    ) -> Partition:
        path = str(self.directory / f"{name}-{index}")
        log = open_log(self.disk, path, config or LogConfig(), now_ms=NOW_MS, rng=random.Random(1))
        state = partition_state(leader, replicas, leader_epoch)
        partition = Partition(
            name,
            index,
            topic_id(name),
            log,
            state,
            NODE_ID,
            log.log_end_offset,
            self.flush_requests.append,
            set(),
        )
        self.table.add(partition)
        self.topics[topic_id(name)] = SimpleNamespace(name=name)
        known = self.topics_by_name.setdefault(name, SimpleNamespace(name=name, partitions={}))
        known.partitions[index] = state
        return partition

    def context(self, key: int, version: int, client_id: str = "test") -> RequestContext:
        info = ConnectionInfo("c", "PLAINTEXT", "broker", 9092, "client", ("broker", 9092))
        return RequestContext(self.services, info, key, version, 1, client_id)


def partition_state(
    leader: int, replicas: tuple[int, ...] = (NODE_ID,), leader_epoch: int = 5
) -> PartitionImage:
    return cast(
        "PartitionImage",
        SimpleNamespace(
            leader=leader, isr=list(replicas), replicas=list(replicas), leader_epoch=leader_epoch
        ),
    )


def batch(
    *values: bytes, timestamp: int = NOW_MS, producer: tuple[int, int, int] = (-1, -1, -1)
) -> memoryview:
    """One batch; `producer` is (id, epoch, first sequence)."""
    producer_id, epoch, sequence = producer
    return memoryview(
        bytearray(
            build_batch(
                [NewRecord(timestamp + i, None, value) for i, value in enumerate(values)],
                producer_id=producer_id,
                producer_epoch=epoch,
                base_sequence=sequence,
            )
        )
    )
