"""Offsets by timestamp and at the ends of the log, and where an epoch ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kbroker.handlers import list_offsets, offset_for_leader_epoch
from kbroker.storage.builder import NewRecord, build_batch
from kbroker.storage.compression import Codec
from kbroker.storage.log_config import LogConfig
from kbroker.storage.origin import Origin
from kbroker.wire.errors import ErrorCode, RequestError
from kbroker.wire.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsPartitionResponse,
    ListOffsetsRequest,
    ListOffsetsTopic,
)
from kbroker.wire.messages.offset_for_leader_epoch import (
    OffsetForLeaderEpochRequest,
    OffsetForLeaderPartition,
    OffsetForLeaderTopic,
)
from tests.kbroker.broker_parts import NOW_MS

from .data_path import DataPath, partition_state

if TYPE_CHECKING:
    from pathlib import Path

LATEST = 11
TWICE = ErrorCode.INVALID_REQUEST


@pytest.fixture
def path(tmp_path: Path) -> DataPath:
    path = DataPath(tmp_path)
    partition = path.add("t", leader_epoch=5)
    for stamps, codec in (((10, 30, 20), Codec.NONE), ((40, 25, 60), Codec.LZ4)):
        records = [NewRecord(NOW_MS + s, None, b"v") for s in stamps]
        view = memoryview(bytearray(build_batch(records, codec=codec)))
        partition.append(view, NOW_MS, Origin.CLIENT)
    return path


def ask(
    path: DataPath, *timestamps: int, version: int = LATEST, epoch: int = -1, index: int = 0
) -> list[ListOffsetsPartitionResponse]:
    request = ListOffsetsRequest(
        replica_id=-1,
        topics=[
            ListOffsetsTopic(
                name="t",
                partitions=[
                    ListOffsetsPartition(
                        partition_index=index, timestamp=t, current_leader_epoch=epoch
                    )
                    for t in timestamps
                ],
            )
        ],
    )
    return list_offsets.handle(request, path.context(2, version)).topics[0].partitions


@pytest.mark.parametrize(
    ("stamp", "offset", "found"),
    [(0, 0, 10), (10, 0, 10), (11, 1, 30), (30, 1, 30), (31, 3, 40), (41, 5, 60), (60, 5, 60)],
)
def test_the_first_record_at_or_after_a_timestamp(
    path: DataPath, stamp: int, offset: int, found: int
) -> None:
    (answer,) = ask(path, NOW_MS + stamp)
    assert (answer.offset, answer.timestamp, answer.leader_epoch) == (offset, NOW_MS + found, 5)


def test_no_record_after_the_last_timestamp(path: DataPath) -> None:
    (answer,) = ask(path, NOW_MS + 61)
    assert (answer.error_code, answer.offset, answer.timestamp, answer.leader_epoch) == (
        0,
        -1,
        -1,
        -1,
    )


@pytest.mark.parametrize(
    ("special", "since", "offset", "timestamp", "epoch"),
    [
        (-1, 1, 6, -1, 5),
        (-2, 1, 0, -1, 5),
        (-3, 7, 5, NOW_MS + 60, 5),
        (-4, 8, 0, -1, 5),
        (-5, 9, -1, -1, -1),
        (-6, 11, -1, -1, -1),
    ],
)
def test_special_timestamps_from_the_version_that_has_them(
    path: DataPath, special: int, since: int, offset: int, timestamp: int, epoch: int
) -> None:
    for version in range(1, LATEST + 1):
        (answer,) = ask(path, special, version=version)
        if version < since:
            assert answer.error_code == ErrorCode.UNSUPPORTED_VERSION
            continue
        assert (answer.error_code, answer.offset, answer.timestamp) == (0, offset, timestamp)
        assert answer.leader_epoch == (epoch if version >= 4 else -1)


@pytest.mark.parametrize(
    ("replica_id", "latest", "largest"), [(-1, 1, -1), (0, 3, 2), (1, 3, 2), (-2, 3, 2)]
)
def test_only_replicas_are_told_of_what_consumers_may_not_read_yet(
    path: DataPath, replica_id: int, latest: int, largest: int
) -> None:
    partition = path.add("u", config=LogConfig(flush_messages=2))
    for stamp in range(3):
        view = memoryview(bytearray(build_batch([NewRecord(NOW_MS + stamp, None, b"v")])))
        partition.append(view, NOW_MS, Origin.CLIENT)
    assert (partition.high_watermark, partition.log.log_end_offset) == (1, 3)
    wanted = [ListOffsetsPartition(timestamp=timestamp) for timestamp in (-1, -3)]
    for each, offset in zip(wanted, (latest, largest), strict=True):
        request = ListOffsetsRequest(
            replica_id=replica_id, topics=[ListOffsetsTopic(name="u", partitions=[each])]
        )
        (topic,) = list_offsets.handle(request, path.context(2, LATEST)).topics
        assert topic.partitions[0].offset == offset


def test_a_timestamp_that_is_not_special_is_refused(path: DataPath) -> None:
    assert ask(path, -7)[0].error_code == ErrorCode.UNSUPPORTED_VERSION


def test_a_partition_asked_for_twice_is_answered_once_with_an_error(path: DataPath) -> None:
    assert [a.error_code for a in ask(path, -1, -2)] == [ErrorCode.INVALID_REQUEST]


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ([("t", 0), ("t", 0)], {"t": [(0, TWICE)]}),
        ([("t", 0), ("t", 1)], {"t": [(0, 0), (1, 0)]}),
        ([("t", 0), ("u", 0), ("t", 1)], {"t": [(0, 0), (1, 0)], "u": [(0, 0)]}),
        ([("t", 0), ("t", 1), ("t", 0)], {"t": [(0, TWICE), (1, 0)]}),
        ([("no", 0), ("t", 1), ("no", 0)], {"no": [(0, TWICE)], "t": [(1, 0)]}),
    ],
)
def test_a_topic_asked_for_twice_is_answered_once(
    path: DataPath, asked: list[tuple[str, int]], answered: dict[str, list[tuple[int, int]]]
) -> None:
    path.add("t", 1)
    path.add("u")
    request = ListOffsetsRequest(
        replica_id=-1,
        topics=[
            ListOffsetsTopic(
                name=name, partitions=[ListOffsetsPartition(partition_index=index, timestamp=-1)]
            )
            for name, index in asked
        ],
    )
    topics = list_offsets.handle(request, path.context(2, LATEST)).topics
    assert [topic.name for topic in topics] == list(answered)
    assert {
        topic.name: [(p.partition_index, p.error_code) for p in topic.partitions]
        for topic in topics
    } == answered


@pytest.mark.parametrize(
    ("epoch", "index", "code"),
    [
        (5, 0, ErrorCode.NONE),
        (4, 0, ErrorCode.FENCED_LEADER_EPOCH),
        (-2, 0, ErrorCode.FENCED_LEADER_EPOCH),
        (6, 0, ErrorCode.UNKNOWN_LEADER_EPOCH),
        (-1, 3, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
    ],
)
def test_who_may_answer(path: DataPath, epoch: int, index: int, code: ErrorCode) -> None:
    assert ask(path, -1, epoch=epoch, index=index)[0].error_code == code


def test_a_topic_without_partitions_is_not_answered(path: DataPath) -> None:
    request = ListOffsetsRequest(replica_id=-1, topics=[ListOffsetsTopic(name="t")])
    assert list_offsets.handle(request, path.context(2, LATEST)).topics == []


@pytest.mark.parametrize("isolation_level", [-1, 2])
def test_an_isolation_level_that_is_none_is_refused(path: DataPath, isolation_level: int) -> None:
    request = ListOffsetsRequest(replica_id=-1, isolation_level=isolation_level)
    with pytest.raises(RequestError) as refused:
        list_offsets.handle(request, path.context(2, LATEST))
    assert refused.value.code == ErrorCode.INVALID_REQUEST


@pytest.mark.parametrize(
    ("epoch", "found", "end_offset"),
    [(4, 4, 0), (5, 5, 6), (6, 5, 6), (7, 7, 6), (8, -1, -1), (100, -1, -1)],
    ids=["before the first", "past", "between", "current", "next", "future"],
)
def test_where_an_epoch_ends(path: DataPath, epoch: int, found: int, end_offset: int) -> None:
    partition = path.table.get("t", 0)
    assert partition is not None
    partition.apply(partition_state(1, leader_epoch=7))
    request = OffsetForLeaderEpochRequest(
        topics=[
            OffsetForLeaderTopic(
                topic="t",
                partitions=[OffsetForLeaderPartition(partition=0, leader_epoch=epoch)],
            )
        ]
    )
    response = offset_for_leader_epoch.handle(request, path.context(23, 4))
    answer = response.topics[0].partitions[0]
    assert (answer.error_code, answer.leader_epoch, answer.end_offset) == (0, found, end_offset)


def test_what_comes_behind_what_is_not_answered_is_answered(path: DataPath) -> None:
    path.add("t", 1)
    asked = [ListOffsetsPartition(partition_index=index, timestamp=-1) for index in (0, 0, 1)]
    topics = [ListOffsetsTopic(name="none"), ListOffsetsTopic(name="t", partitions=asked)]
    request = ListOffsetsRequest(replica_id=-1, topics=topics)
    (answered,) = list_offsets.handle(request, path.context(2, LATEST)).topics
    codes = {part.partition_index: part.error_code for part in answered.partitions}
    assert codes == {0: ErrorCode.INVALID_REQUEST, 1: 0}
