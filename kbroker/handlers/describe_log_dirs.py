"""DescribeLogDirs (key 35), v1-5: the log directories of this broker, the replicas in them, and
the room on their disks.

v2 flexible - v3 top-level error code - v4 total and usable bytes (KIP-827) - v5 cordoned (KIP-1066)
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import trio

from kbroker.controller.topic_names import CLUSTER_METADATA
from kbroker.errors import refusal
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.describe_log_dirs import (
    DescribeLogDirsPartition,
    DescribeLogDirsRequest,
    DescribeLogDirsResponse,
    DescribeLogDirsResult,
    DescribeLogDirsTopic,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kbroker.partitions.partition import Partition
    from kbroker.requests.services import RequestContext, Services
    from kbroker.storage.log import Log
    from kbroker.storage.log_dir import LogDir

UNKNOWN_LAG: Final = -1


async def handle(request: DescribeLogDirsRequest, ctx: RequestContext) -> DescribeLogDirsResponse:
    """Null asks for all partitions; what is asked for and not here is left out."""
    wanted = None
    if request.topics is not None:
        # A dict, since a partition that is asked for twice is told of once.
        wanted = {(each.topic, index): None for each in request.topics for index in each.partitions}
    services = ctx.services
    # Before anything is waited for: a directory that fails meanwhile is told once, as it was.
    offline_paths = services.log_store.offline_paths
    results = [await _describe(each, wanted, services) for each in services.log_store.directories]
    results += [
        DescribeLogDirsResult(error_code=ErrorCode.KAFKA_STORAGE_ERROR, log_dir=path)
        for path in offline_paths
    ]
    return DescribeLogDirsResponse(results=results)


async def _describe(
    directory: LogDir, wanted: Iterable[tuple[str, int]] | None, services: Services
) -> DescribeLogDirsResult:
    path = _path(directory)
    try:
        total_bytes, usable_bytes = await trio.to_thread.run_sync(directory.space)
        broker = services.image.brokers.get(services.node_id)
        cordoned = () if broker is None else broker.cordoned_log_dirs or ()
        meta = directory.meta
        return DescribeLogDirsResult(
            log_dir=path,
            topics=_topics(directory, wanted, services),
            total_bytes=total_bytes,
            usable_bytes=usable_bytes,
            is_cordoned=meta is not None and meta.directory_id in cordoned,
        )
    except Exception as error:
        return DescribeLogDirsResult(
            error_code=refusal(error, f"DescribeLogDirs of {path}").code, log_dir=path
        )


def _path(directory: LogDir) -> str:
    return os.path.abspath(directory.path)


def _topics(
    directory: LogDir, wanted: Iterable[tuple[str, int]] | None, services: Services
) -> list[DescribeLogDirsTopic]:
    topics: dict[str, DescribeLogDirsTopic] = {}
    for logs, is_future in (
        (directory.logs.opened, False),
        (directory.futures.opened, True),
    ):
        for name, index in list(logs) if wanted is None else wanted:
            log = logs.get((name, index))
            if log is None or log.is_offline or name == CLUSTER_METADATA:
                continue
            topic = topics.get(name)
            if topic is None:
                topic = topics[name] = DescribeLogDirsTopic(name=name)
            topic.partitions.append(
                DescribeLogDirsPartition(
                    partition_index=index,
                    partition_size=log.size,
                    offset_lag=_lag(log, services.partitions.get(name, index), is_future),
                    is_future_key=is_future,
                )
            )
    return list(topics.values())


def _lag(log: Log, partition: Partition | None, is_future: bool) -> int:
    """Of a copy behind the log, and of a log behind its high watermark."""
    if partition is None:
        return UNKNOWN_LAG
    if is_future:
        return partition.log_end_offset - log.log_end_offset
    return max(partition.high_watermark - log.log_end_offset, 0)
