"""Produce, Fetch, ListOffsets and OffsetForLeaderEpoch over real logs, without a broker around."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from kbroker.controller.model import PartitionImage
from kbroker.partitions.partition import Partition
from kbroker.requests.services import RequestContext
from kbroker.storage.builder import NewRecord, build_batch
from kbroker.storage.log_config import LogConfig
from kbroker.storage.log_opening import open_log
from kbroker.storage.os_disk import OsDisk
from tests.kbroker.broker_parts import NOW_MS, WallClock, connection, new_services
from tests.kbroker.cluster_image import NODE_ID, ClusterImage, directory_id, topic_id

if TYPE_CHECKING:
    from pathlib import Path

    from kbroker.storage.disk import Disk


class DataPath:
    """The parts of a broker that read and write records."""

    def __init__(self, directory: Path, disk: Disk | None = None) -> None:
        self.directory = directory
        self.disk = disk or OsDisk()
        self.clock = WallClock()
        self.flush_requests: list[Partition] = []
        self.cluster = ClusterImage()
        for node_id in (NODE_ID, 2):
            self.cluster.add_broker(node_id)
        self.services = new_services(image=self.cluster.image, clock=self.clock)
        self.table = self.services.partitions

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
        self.cluster.add_topic(
            name, [index], leader=leader, replicas=replicas, leader_epoch=leader_epoch
        )
        partition = Partition(
            name,
            index,
            topic_id(name),
            log,
            self.cluster.topic(name).partitions[index],
            NODE_ID,
            log.log_end_offset,
            self.flush_requests.append,
            self.services.log_store,
        )
        self.table.add(partition)
        return partition

    def context(self, key: int, version: int, client_id: str = "test") -> RequestContext:
        return RequestContext(self.services, connection(), key, version, 1, client_id)


def partition_state(
    leader: int, replicas: tuple[int, ...] = (NODE_ID,), leader_epoch: int = 5
) -> PartitionImage:
    return PartitionImage(
        replicas=list(replicas),
        isr=list(replicas),
        leader=leader,
        leader_epoch=leader_epoch,
        partition_epoch=0,
        directories=list(map(directory_id, replicas)),
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
