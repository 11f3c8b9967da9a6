"""Records deleted up to an offset, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kbroker.handlers import delete_records, list_offsets
from kbroker.storage.errors import OffsetOutOfRange
from kbroker.storage.log_config import LogConfig
from kbroker.storage.origin import Origin
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsTopic,
)
from kbroker.wire.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsTopic,
)
from tests.kbroker.broker_parts import NOW_MS

from .data_path import DataPath, batch

if TYPE_CHECKING:
    from pathlib import Path

Answers = dict[tuple[str, int], tuple[int, int]]
MISSING = (-1, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)


@pytest.fixture
def path(tmp_path: Path) -> DataPath:
    path = DataPath(tmp_path)
    partition = path.add("t")
    for _ in range(3):
        partition.append(batch(b"a", b"b", b"c", b"d"), NOW_MS, Origin.CLIENT)
    return path


def ask(path: DataPath, *wanted: tuple[str, list[tuple[int, int]]]) -> Answers:
    """(topic, partition) -> (low watermark, error code)."""
    request = DeleteRecordsRequest(
        topics=[
            DeleteRecordsTopic(
                name=name,
                partitions=[
                    DeleteRecordsPartition(partition_index=index, offset=offset)
                    for index, offset in partitions
                ],
            )
            for name, partitions in wanted
        ],
        timeout_ms=1000,
    )
    response = delete_records.handle(request, path.context(21, 2))
    answers = [
        ((topic.name, p.partition_index), (p.low_watermark, p.error_code))
        for topic in response.topics
        for p in topic.partitions
    ]
    assert len(dict(answers)) == len(answers), "one answer a partition"
    return dict(answers)


def earliest(path: DataPath) -> int:
    request = ListOffsetsRequest(
        replica_id=-1,
        topics=[
            ListOffsetsTopic(
                name="t", partitions=[ListOffsetsPartition(partition_index=0, timestamp=-2)]
            )
        ],
    )
    return list_offsets.handle(request, path.context(2, 7)).topics[0].partitions[0].offset


@pytest.mark.parametrize(
    ("offset", "low_watermark", "code", "start"),
    [
        (0, 0, ErrorCode.NONE, 0),
        (5, 5, ErrorCode.NONE, 5),
        (12, 12, ErrorCode.NONE, 12),
        (-1, 12, ErrorCode.NONE, 12),
        (13, -1, ErrorCode.OFFSET_OUT_OF_RANGE, 0),
        (-2, -1, ErrorCode.OFFSET_OUT_OF_RANGE, 0),
        ((1 << 63) - 1, -1, ErrorCode.OFFSET_OUT_OF_RANGE, 0),
    ],
)
def test_the_log_starts_at_the_offset(
    path: DataPath, offset: int, low_watermark: int, code: ErrorCode, start: int
) -> None:
    assert ask(path, ("t", [(0, offset)])) == {("t", 0): (low_watermark, code)}
    assert earliest(path) == start


def test_what_lies_below_cannot_be_read(path: DataPath) -> None:
    ask(path, ("t", [(0, 6)]))
    partition = path.table.leader("t", 0)
    with pytest.raises(OffsetOutOfRange):
        partition.read(5, 1000, 0, min_one=True)
    assert partition.read(6, 1000, 0, min_one=True).records


def test_a_start_never_moves_back(path: DataPath) -> None:
    ask(path, ("t", [(0, 7)]))
    assert ask(path, ("t", [(0, 3)])) == {("t", 0): (7, ErrorCode.NONE)}


def test_nothing_above_the_high_watermark_goes(path: DataPath) -> None:
    path.table.leader("t", 0).high_watermark = 9
    assert ask(path, ("t", [(0, 10)])) == {("t", 0): (-1, ErrorCode.OFFSET_OUT_OF_RANGE)}
    assert ask(path, ("t", [(0, -1)])) == {("t", 0): (9, ErrorCode.NONE)}


def test_the_last_mention_of_a_partition_counts(path: DataPath) -> None:
    path.add("t", 1)
    assert ask(path, ("t", [(0, 99), (0, 2)]), ("t", [(0, 4), (1, 0)])) == {
        ("t", 0): (4, ErrorCode.NONE),
        ("t", 1): (0, ErrorCode.NONE),
    }


def test_what_is_not_there(path: DataPath) -> None:
    assert ask(path, ("nope", [(0, 0)]), ("t", [(9, 0), (-1, 0)]), ("a b", [(0, 0)])) == {
        ("nope", 0): MISSING,
        ("t", 9): MISSING,
        ("t", -1): MISSING,
        ("a b", 0): MISSING,
    }


@pytest.mark.parametrize(
    ("policy", "code"),
    [
        ({"compact"}, ErrorCode.POLICY_VIOLATION),
        ({"compact", "delete"}, ErrorCode.NONE),
        (set[str](), ErrorCode.NONE),
    ],
)
def test_the_policy_must_allow_it(path: DataPath, policy: set[str], code: ErrorCode) -> None:
    path.add("p", config=LogConfig(cleanup_policy=frozenset(policy)))
    low_watermark = 0 if code == ErrorCode.NONE else -1
    assert ask(path, ("p", [(0, 0)])) == {("p", 0): (low_watermark, code)}


def test_internal_topics_keep_their_records(path: DataPath) -> None:
    path.add("__consumer_offsets")
    assert ask(path, ("__consumer_offsets", [(0, 0), (1, 0)])) == {
        ("__consumer_offsets", 0): (-1, ErrorCode.INVALID_TOPIC_EXCEPTION),
        ("__consumer_offsets", 1): MISSING,
    }


def test_another_broker_leads(path: DataPath) -> None:
    path.add("other", leader=2)
    assert ask(path, ("other", [(0, 0)])) == {("other", 0): (-1, ErrorCode.NOT_LEADER_OR_FOLLOWER)}


def test_a_failed_disk(path: DataPath) -> None:
    path.table.leader("t", 0).go_offline()
    assert ask(path, ("t", [(0, 0)])) == {("t", 0): (-1, ErrorCode.KAFKA_STORAGE_ERROR)}
