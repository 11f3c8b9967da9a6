"""What lies in a log directory, and how much room there is."""

from __future__ import annotations

import random

import pytest

from kbroker.handlers import describe_log_dirs
from kbroker.partitions.partition import Partition
from kbroker.requests.services import RequestContext
from kbroker.storage.errors import DiskError
from kbroker.storage.log_config import LogConfig
from kbroker.storage.origin import Origin
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.describe_log_dirs import (
    DescribableLogDirTopic,
    DescribeLogDirsRequest,
    DescribeLogDirsResult,
)
from tests.kbroker.broker_parts import NOW_MS, connection, new_directory, new_services
from tests.kbroker.cluster_image import NODE_ID, ClusterImage, directory_id
from tests.sim.disk import SimDisk

from .data_path import batch, partition_state

CAPACITY = 1 << 20


class Rig:
    """One log directory on a simulated disk."""

    def __init__(self) -> None:
        self.disk = SimDisk(random.Random(1), capacity=CAPACITY)
        self.disk.make_dir("/data")
        self.directory = new_directory(self.disk)
        self.cluster = ClusterImage()
        self.services = new_services(image=self.cluster.image, directories=[self.directory])
        self.table = self.services.partitions

    def add(self, topic: str, index: int = 0) -> Partition:
        config = LogConfig(segment_index_bytes=4096)
        log = self.directory.open_log(topic, index, config, now_ms=NOW_MS)
        state = partition_state(1)
        partition = Partition(
            topic, index, bytes(16), log, state, 1, 0, lambda p: None, self.services.log_store
        )
        self.table.add(partition)
        return partition

    async def ask(self, topics: list[tuple[str, list[int]]] | None = None) -> DescribeLogDirsResult:
        request = DescribeLogDirsRequest(
            topics=None
            if topics is None
            else [DescribableLogDirTopic(topic=t, partitions=p) for t, p in topics]
        )
        ctx = RequestContext(self.services, connection(), 35, 5, 1, "test")
        response = await describe_log_dirs.handle(request, ctx)
        (result,) = response.results
        return result


@pytest.fixture
def rig() -> Rig:
    rig = Rig()
    for topic, count in (("a", 2), ("b", 1)):
        for index in range(count):
            rig.add(topic, index)
    return rig


def found(result: DescribeLogDirsResult) -> set[tuple[str, int]]:
    return {(topic.name, p.partition_index) for topic in result.topics for p in topic.partitions}


ALL = {("a", 0), ("a", 1), ("b", 0)}


@pytest.mark.parametrize(
    ("asked", "there"),
    [
        (None, ALL),
        ([], set()),
        ([("a", [])], set()),
        ([("a", [0])], {("a", 0)}),
        ([("a", [0, 0]), ("a", [0, 1])], {("a", 0), ("a", 1)}),
        ([("nope", [0]), ("a", [7, -1]), ("b", [0])], {("b", 0)}),
    ],
)
async def test_which_partitions_are_told_of(
    rig: Rig, asked: list[tuple[str, list[int]]] | None, there: set[tuple[str, int]]
) -> None:
    result = await rig.ask(asked)
    assert (result.error_code, result.log_dir) == (ErrorCode.NONE, "/data")
    assert found(result) == there
    assert sum(len(topic.partitions) for topic in result.topics) == len(there)


async def test_the_metadata_log_is_nobodys_business(rig: Rig) -> None:
    rig.add("__cluster_metadata")
    assert found(await rig.ask()) == ALL
    assert found(await rig.ask([("__cluster_metadata", [0])])) == set()


async def test_sizes(rig: Rig) -> None:
    partition = rig.table.leader("a", 0)
    records = batch(b"x" * 100, b"y")
    partition.append(records, NOW_MS, Origin.CLIENT)
    (topic,) = (await rig.ask([("a", [0])])).topics
    (answer,) = topic.partitions
    assert (answer.partition_size, answer.offset_lag) == (len(records), 0)
    assert not answer.is_future_key


async def test_room(rig: Rig) -> None:
    result = await rig.ask([])
    total, usable = rig.disk.space("/data")
    assert (result.total_bytes, result.usable_bytes) == (total, usable)
    assert 0 < result.usable_bytes < result.total_bytes == CAPACITY


@pytest.mark.parametrize(
    ("cordoned", "expected"),
    [(None, False), ([], False), ([bytes(16)], False), ([directory_id(NODE_ID)], True)],
)
async def test_a_cordoned_directory(rig: Rig, cordoned: list[bytes] | None, expected: bool) -> None:
    rig.cluster.add_broker(NODE_ID, cordoned=cordoned)
    assert (await rig.ask([])).is_cordoned is expected


async def test_a_directory_that_fails_meanwhile_is_told_once(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: str) -> tuple[int, int]:
        rig.services.log_store.fail(rig.directory, DiskError("/data", "gone"))
        raise DiskError("/data", "gone")

    monkeypatch.setattr(rig.disk, "space", fail)
    assert (await rig.ask()).error_code == ErrorCode.KAFKA_STORAGE_ERROR


async def test_a_failed_log_is_left_out(rig: Rig) -> None:
    rig.disk.fail_next("append")
    partition = rig.table.leader("a", 1)
    with pytest.raises(DiskError):
        partition.append(batch(b"x"), NOW_MS, Origin.CLIENT)
    assert found(await rig.ask()) == ALL - {("a", 1)}


async def test_a_failed_disk(rig: Rig) -> None:
    rig.disk.fail_next("space")
    result = await rig.ask()
    assert (result.error_code, result.log_dir) == (ErrorCode.KAFKA_STORAGE_ERROR, "/data")
    assert (result.topics, result.total_bytes, result.usable_bytes) == ([], -1, -1)
