"""A broker with two log directories, each a disk of its own, and what tests ask of it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import trio

from kbroker.storage.batch import batches, records
from kbroker.storage.names import parse_partition_dir
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.alter_replica_log_dirs import (
    AlterReplicaLogDir,
    AlterReplicaLogDirsRequest,
    AlterReplicaLogDirsResponse,
    AlterReplicaLogDirTopic,
)
from kbroker.wire.messages.create_topics import (
    CreatableTopic,
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from kbroker.wire.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    DeleteRecordsTopic,
)
from kbroker.wire.messages.delete_topics import (
    DeleteTopicsRequest,
    DeleteTopicsResponse,
    DeleteTopicState,
)
from kbroker.wire.messages.describe_log_dirs import DescribeLogDirsRequest, DescribeLogDirsResponse
from kbroker.wire.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopic,
)
from kbroker.wire.messages.metadata import (
    MetadataRequest,
    MetadataRequestTopic,
    MetadataResponse,
    MetadataResponsePartition,
)
from tests.kbroker.asking import one
from tests.sim.broker import DATA, Machine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from kbroker.node.settings import TopicSpec
    from kbroker.wire.messages.describe_log_dirs import DescribeLogDirsPartition
    from tests.sim.broker import Client

OTHER = "/other"
BOTH = {"log.dirs": f"{DATA},{OTHER}", "metadata.log.dir": DATA}


class TwoDirs(Machine):
    """`machine.two()` runs a broker on both."""

    def __init__(self, seed: int = 1) -> None:
        super().__init__(seed)
        self.disk.make_dir(OTHER)
        self.disk.fsync_dir("/")

    @asynccontextmanager
    async def two(
        self, *topics: TopicSpec, settings: Mapping[str, str] | None = None
    ) -> AsyncIterator[Admin]:
        async with self.broker(*topics, settings={**BOTH, **(settings or {})}) as client:
            yield Admin(client)

    def holders(self, topic: str, index: int = 0, mark: str = "") -> list[str]:
        """The directories in which there is such a directory of the partition."""
        found = []
        for directory in (DATA, OTHER):
            for name in self.disk.list_dir(directory):
                parsed = parse_partition_dir(name)
                if parsed is not None and parsed == (topic, index, mark):
                    found.append(directory)
        return found


class Admin:
    """Requests of one client, shortened."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def produce(self, topic: str, value: bytes, index: int = 0) -> ErrorCode:
        code, _ = await self.client.produce(topic, one(value), index=index)
        return code

    async def values(self, topic: str, start: int = 0, index: int = 0) -> list[bytes | None]:
        """Of all records from an offset on."""
        found: list[bytes | None] = []
        offset = start
        while view := await self.client.fetch(topic, offset, index=index):
            for header, batch in batches(view):
                found += [r.value for r in records(batch) if r.offset >= start]
                offset = header.next_offset
        return found

    async def move(self, path: str, topic: str, index: int = 0) -> ErrorCode:
        request = AlterReplicaLogDirsRequest(
            dirs=[
                AlterReplicaLogDir(
                    path=path, topics=[AlterReplicaLogDirTopic(name=topic, partitions=[index])]
                )
            ]
        )
        response = await self.client.call(request, AlterReplicaLogDirsResponse)
        return ErrorCode(response.results[0].partitions[0].error_code)

    async def lies(self, topic: str, index: int = 0) -> dict[str, DescribeLogDirsPartition]:
        """What DescribeLogDirs says of the partition, by directory."""
        response = await self.client.call(
            DescribeLogDirsRequest(topics=None), DescribeLogDirsResponse
        )
        return {
            result.log_dir: partition
            for result in response.results
            for each in result.topics
            if each.name == topic
            for partition in each.partitions
            if partition.partition_index == index
        }

    async def dir_errors(self) -> dict[str, ErrorCode]:
        response = await self.client.call(
            DescribeLogDirsRequest(topics=None), DescribeLogDirsResponse
        )
        return {result.log_dir: ErrorCode(result.error_code) for result in response.results}

    async def moved(self, path: str, topic: str, index: int = 0) -> None:
        """Wait until the partition lies there and nowhere else."""
        await until_async(lambda: self._is_only_in(path, topic, index))

    async def _is_only_in(self, path: str, topic: str, index: int) -> bool:
        found = await self.lies(topic, index)
        return list(found) == [path] and not found[path].is_future_key

    async def partition(self, topic: str, index: int = 0) -> MetadataResponsePartition:
        response = await self.client.call(
            MetadataRequest(topics=[MetadataRequestTopic(name=topic)]), MetadataResponse, 11
        )
        found = {each.partition_index: each for each in response.topics[0].partitions}
        return found[index]

    async def leader(self, topic: str, index: int = 0) -> int:
        return (await self.partition(topic, index)).leader_id

    async def start_offset(self, topic: str) -> int:
        request = ListOffsetsRequest(
            topics=[
                ListOffsetsTopic(
                    name=topic, partitions=[ListOffsetsPartition(partition_index=0, timestamp=-2)]
                )
            ]
        )
        response = await self.client.call(request, ListOffsetsResponse, 7)
        return response.topics[0].partitions[0].offset

    async def delete(self, topic: str) -> ErrorCode:
        request = DeleteTopicsRequest(topics=[DeleteTopicState(name=topic)], timeout_ms=5000)
        response = await self.client.call(request, DeleteTopicsResponse)
        return ErrorCode(response.responses[0].error_code)


async def until_async(holds: Callable[[], object]) -> None:
    """Poll an async condition; AssertionError if it does not come about."""
    for _ in range(2000):
        if await holds():  # type: ignore[misc]
            return
        await trio.sleep(0.005)
    raise AssertionError("it never happened")


def create(topic: str, partitions: int) -> tuple[CreateTopicsRequest, type[CreateTopicsResponse]]:
    """For `Client.call`."""
    made = CreatableTopic(name=topic, num_partitions=partitions, replication_factor=1)
    return CreateTopicsRequest(topics=[made], timeout_ms=5000), CreateTopicsResponse


async def delete_before(admin: Admin, offset: int) -> None:
    """DeleteRecords of t-0."""
    one_partition = DeleteRecordsPartition(partition_index=0, offset=offset)
    request = DeleteRecordsRequest(
        topics=[DeleteRecordsTopic(name="t", partitions=[one_partition])], timeout_ms=5000
    )
    response = await admin.client.call(request, DeleteRecordsResponse)
    assert response.topics[0].partitions[0].error_code == 0
