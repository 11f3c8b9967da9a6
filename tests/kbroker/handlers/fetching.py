"""Fetch requests, and what their answers hold."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, cast

from kbroker.handlers import fetch
from kbroker.storage.batch import batches
from kbroker.storage.disk import FileRange
from kbroker.storage.origin import Origin
from kbroker.wire.messages.fetch import (
    FetchPartition,
    FetchRequest,
    FetchResponse,
    FetchTopic,
    PartitionData,
)
from tests.kbroker.broker_parts import NOW_MS
from tests.kbroker.cluster_image import topic_id

from .data_path import DataPath, batch

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from kbroker.partitions.partition import Partition

LATEST = 18
MEGABYTE = 1 << 20


def wanted(
    offset: int = 0,
    *,
    index: int = 0,
    bytes_max: int = MEGABYTE,
    leader_epoch: int = -1,
    last_fetched_epoch: int = -1,
) -> FetchPartition:
    return FetchPartition(
        partition=index,
        fetch_offset=offset,
        partition_max_bytes=bytes_max,
        current_leader_epoch=leader_epoch,
        last_fetched_epoch=last_fetched_epoch,
    )


def request(
    *partitions: FetchPartition,
    topic: str = "t",
    wait_ms: int = 0,
    min_bytes: int = 1,
    max_bytes: int = 50 * MEGABYTE,
    session: tuple[int, int] = (0, -1),
    isolation_level: int = 0,
    replica_id: int = -1,
) -> FetchRequest:
    topics = [FetchTopic(topic=topic, topic_id=topic_id(topic), partitions=list(partitions))]
    made = FetchRequest(
        max_wait_ms=wait_ms,
        min_bytes=min_bytes,
        max_bytes=max_bytes,
        session_id=session[0],
        session_epoch=session[1],
        isolation_level=isolation_level,
        topics=topics if partitions else [],
        replica_id=replica_id,
    )
    made.replica_state.replica_id = replica_id
    return made


def send(path: DataPath, wanted: FetchRequest, version: int = LATEST) -> FetchResponse:
    result = fetch.handle(wanted, path.context(1, version))
    assert isinstance(result, FetchResponse)
    return result


def waiting(
    path: DataPath, wanted: FetchRequest, version: int = LATEST
) -> Coroutine[object, object, FetchResponse]:
    result = fetch.handle(wanted, path.context(1, version))
    assert inspect.iscoroutine(result)
    return cast("Coroutine[object, object, FetchResponse]", result)


def only(response: FetchResponse) -> PartitionData:
    assert [len(t.partitions) for t in response.responses] == [1]
    return response.responses[0].partitions[0]


def content(answer: PartitionData) -> bytes:
    if isinstance(answer.records, FileRange):
        return answer.records.read()
    assert answer.records == b""
    return b""


def offsets(answer: PartitionData) -> list[tuple[int, int]]:
    """First and last offset of each whole batch in the answer."""
    view = memoryview(content(answer))
    return [(h.base_offset, h.last_offset) for h, _ in batches(view, partial_tail=True)]


def fill(partition: Partition, *counts: int, value: bytes = b"x" * 100) -> None:
    for count in counts:
        partition.append(batch(*[value] * count), NOW_MS, Origin.CLIENT)
