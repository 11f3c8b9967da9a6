"""A broker process with two log directories, and what tests ask about them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from compat.behaviour.asking import now_ms
from kbroker.storage.builder import NewRecord, build_batch
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.alter_replica_log_dirs import (
    AlterReplicaLogDir,
    AlterReplicaLogDirsRequest,
    AlterReplicaLogDirsResponse,
    AlterReplicaLogDirTopic,
)
from kbroker.wire.messages.describe_log_dirs import (
    DescribableLogDirTopic,
    DescribeLogDirsRequest,
    DescribeLogDirsResponse,
)
from kbroker.wire.messages.metadata import (
    MetadataRequest,
    MetadataRequestTopic,
    MetadataResponse,
)
from kbroker.wire.messages.produce import (
    PartitionProduceData,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from compat.brokers import BrokerProcess
    from compat.raw import RawClient

AWAIT_S = 60.0


class TwoDirectories:
    """`broker` is not started yet; the metadata log lies in the first directory."""

    def __init__(self, kind: type[BrokerProcess], folder: Path, **settings: str) -> None:
        self.first, self.second = str(folder / "data"), str(folder / "second")
        self._second = folder / "second"
        self._gone = folder / "gone"
        self.broker = kind(
            folder,
            {
                "node.id": "1",
                "log.dirs": f"{self.first},{self.second}",
                "metadata.log.dir": self.first,
                **settings,
            },
        )

    def other(self, path: str) -> str:
        return self.second if path == self.first else self.first

    def take_second_away(self) -> None:
        """There is a file in its place: nobody can make it again."""
        self._second.rename(self._gone)
        self._second.touch()

    def give_second_back(self) -> None:
        self._second.unlink()
        self._gone.rename(self._second)


def alter(raw: RawClient, path: str, topic: str, index: int) -> ErrorCode:
    """Ask for the partition to lie there."""
    wanted = AlterReplicaLogDir(
        path=path, topics=[AlterReplicaLogDirTopic(name=topic, partitions=[index])]
    )
    request = AlterReplicaLogDirsRequest(dirs=[wanted])
    response = raw.ask(request, 2, AlterReplicaLogDirsResponse)
    return ErrorCode(response.results[0].partitions[0].error_code)


def lies(raw: RawClient, topic: str, index: int) -> dict[str, bool]:
    """The directories that have the partition, and whether what they have is a copy."""
    request = DescribeLogDirsRequest(
        topics=[DescribableLogDirTopic(topic=topic, partitions=[index])]
    )
    response = raw.ask(request, 4, DescribeLogDirsResponse)
    return {
        result.log_dir: partition.is_future_key
        for result in response.results
        for each in result.topics
        for partition in each.partitions
    }


def leader_and_offline(raw: RawClient, topic: str, index: int) -> tuple[ErrorCode, int, list[int]]:
    """Error, leader and offline replicas of the partition, as Metadata has them."""
    request = MetadataRequest(
        topics=[MetadataRequestTopic(name=topic)], allow_auto_topic_creation=False
    )
    response = raw.ask(request, 12, MetadataResponse)
    found = {each.partition_index: each for each in response.topics[0].partitions}[index]
    return ErrorCode(found.error_code), found.leader_id, found.offline_replicas


def produce_one(
    raw: RawClient, topic: str, index: int, value: bytes = b"v"
) -> tuple[ErrorCode, int]:
    """Error and offset of a record."""
    batch = build_batch([NewRecord(now_ms(), b"k", value)])
    partition = PartitionProduceData(index=index, records=batch)
    request = ProduceRequest(
        acks=-1,
        timeout_ms=10_000,
        topic_data=[TopicProduceData(name=topic, partition_data=[partition])],
    )
    response = raw.ask(request, 12, ProduceResponse)
    answer = response.responses[0].partition_responses[0]
    return ErrorCode(answer.error_code), answer.base_offset


def await_that(holds: Callable[[], bool], timeout_s: float = AWAIT_S) -> None:
    """Poll; AssertionError if it does not come about."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, f"it never happened in {timeout_s} s"
        time.sleep(0.02)
