"""Log directories: what each broker stores where, and moving replicas between them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

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

from .errors import check, error_code
from .outcomes import Outcomes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kbroker.wire.errors import ErrorCode

    from .cluster import Cluster, TopicPartition


@dataclass(frozen=True, slots=True, kw_only=True)
class LogDirReplica:
    """A replica in a directory; `lag` is that of a future replica behind the current one."""

    topic: str
    partition: int
    size_bytes: int
    lag: int
    is_future: bool


@dataclass(slots=True, kw_only=True)
class LogDir:
    """A directory; None where an old broker does not say, or the directory is offline."""

    broker: int
    path: str
    error: ErrorCode
    total_bytes: int | None
    usable_bytes: int | None
    is_cordoned: bool
    replicas: list[LogDirReplica] = field(default_factory=list)


async def describe_log_dirs(
    cluster: Cluster,
    brokers: Iterable[int],
    partitions: Sequence[TopicPartition] | None = None,
) -> list[LogDir]:
    """Every directory of the brokers, with the replicas of these partitions (None: all)."""
    topics: dict[str, DescribableLogDirTopic] | None = None
    if partitions is not None:
        topics = {}
        for topic, index in partitions:
            topics.setdefault(topic, DescribableLogDirTopic(topic=topic)).partitions.append(index)
    request = DescribeLogDirsRequest(topics=None if topics is None else list(topics.values()))
    found: list[LogDir] = []
    for broker in brokers:

        async def ask(broker: int = broker) -> DescribeLogDirsResponse:
            response = await cluster.ask(broker, request, DescribeLogDirsResponse)
            check(response.error_code, f"Cannot describe the log directories of broker {broker}")
            return response

        for result in (await cluster.retry(ask)).results:
            found.append(
                LogDir(
                    broker=broker,
                    path=result.log_dir,
                    error=error_code(result.error_code),
                    total_bytes=result.total_bytes if result.total_bytes >= 0 else None,
                    usable_bytes=result.usable_bytes if result.usable_bytes >= 0 else None,
                    is_cordoned=result.is_cordoned,
                    replicas=[
                        LogDirReplica(
                            topic=topic.name,
                            partition=replica.partition_index,
                            size_bytes=replica.partition_size,
                            lag=replica.offset_lag,
                            is_future=replica.is_future_key,
                        )
                        for topic in sorted(result.topics, key=lambda topic: topic.name)
                        for replica in sorted(topic.partitions, key=lambda p: p.partition_index)
                    ],
                )
            )
    return sorted(found, key=lambda directory: (directory.broker, directory.path))


async def move_replicas(
    cluster: Cluster, broker: int, path: str, partitions: Sequence[TopicPartition]
) -> Outcomes:
    """Begin to move a broker's replicas into another of its directories."""
    outcomes = Outcomes(cluster, partitions, "moved")

    async def move() -> None:
        topics: dict[str, AlterReplicaLogDirTopic] = {}
        for topic, index in outcomes.left:
            topics.setdefault(topic, AlterReplicaLogDirTopic(name=topic)).partitions.append(index)
        response = await cluster.ask(
            broker,
            AlterReplicaLogDirsRequest(
                dirs=[AlterReplicaLogDir(path=path, topics=list(topics.values()))]
            ),
            AlterReplicaLogDirsResponse,
        )
        for topic_result in response.results:
            for result in topic_result.partitions:
                outcomes.take(topic_result.topic_name, result.partition_index, result.error_code)

    await outcomes.collect(move)
    return outcomes
