"""The producers that a partition remembers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kbroker.handlers import describe_producers
from kbroker.storage.origin import Origin
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.describe_producers import (
    DescribeProducersRequest,
    ProducerState,
    TopicRequest,
    TopicResponse,
)
from tests.kbroker.broker_parts import NOW_MS

from .data_path import DataPath, batch

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> DataPath:
    path = DataPath(tmp_path)
    path.add("t", 0)
    path.add("t", 1)
    return path


def ask(path: DataPath, *wanted: tuple[str, list[int]]) -> list[TopicResponse]:
    request = DescribeProducersRequest(
        topics=[TopicRequest(name=name, partition_indexes=indexes) for name, indexes in wanted]
    )
    return describe_producers.handle(request, path.context(61, 0)).topics


def append(path: DataPath, *values: bytes, producer: tuple[int, int, int], later_ms: int) -> None:
    """`producer`: id, epoch, first sequence."""
    view = batch(*values, timestamp=NOW_MS + later_ms, producer=producer)
    path.table.leader("t", 0).append(view, NOW_MS, Origin.CLIENT)


def test_nobody_wrote(path: DataPath) -> None:
    (topic,) = ask(path, ("t", [0, 1]))
    assert [(p.partition_index, p.error_code, p.active_producers) for p in topic.partitions] == [
        (0, 0, []),
        (1, 0, []),
    ]


def test_the_last_of_each_producer(path: DataPath) -> None:
    append(path, b"a", b"b", producer=(7, 0, 0), later_ms=0)
    append(path, b"c", b"d", producer=(7, 0, 2), later_ms=10)
    append(path, b"e", producer=(8, 3, 5), later_ms=20)
    (topic,) = ask(path, ("t", [0]))
    assert topic.partitions[0].active_producers == [
        ProducerState(
            producer_id=7,
            producer_epoch=0,
            last_sequence=3,
            last_timestamp=NOW_MS + 11,
            coordinator_epoch=-1,
            current_txn_start_offset=-1,
        ),
        ProducerState(
            producer_id=8,
            producer_epoch=3,
            last_sequence=5,
            last_timestamp=NOW_MS + 20,
            coordinator_epoch=-1,
            current_txn_start_offset=-1,
        ),
    ]


def test_each_mention_has_its_answer(path: DataPath) -> None:
    append(path, b"a", producer=(7, 0, 0), later_ms=0)
    found = ask(path, ("t", [0, 0]), ("t", [0]), ("t", []))
    assert [len(topic.partitions) for topic in found] == [2, 1, 0]
    assert all(len(p.active_producers) == 1 for topic in found for p in topic.partitions)


@pytest.mark.parametrize(
    ("name", "index", "code", "message"),
    [
        ("nope", 0, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, "This server does not host this"),
        ("t", 2, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, None),
        ("t", -1, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, None),
        ("a b", 0, ErrorCode.INVALID_TOPIC_EXCEPTION, "Topic name is invalid: 'a b' contains"),
        ("", 0, ErrorCode.INVALID_TOPIC_EXCEPTION, "Topic name is invalid: the empty string"),
        ("..", 0, ErrorCode.INVALID_TOPIC_EXCEPTION, "Topic name is invalid: '..' is not allowed"),
    ],
)
def test_what_is_not_there(
    path: DataPath, name: str, index: int, code: ErrorCode, message: str | None
) -> None:
    (topic,) = ask(path, (name, [index]))
    (answer,) = topic.partitions
    assert (answer.partition_index, answer.error_code) == (index, code)
    assert (answer.error_message is None) == (message is None)
    assert (answer.error_message or "").startswith(message or "")
    assert answer.active_producers == []


def test_a_failed_disk(path: DataPath) -> None:
    path.table.leader("t", 0).go_offline()
    (topic,) = ask(path, ("t", [0]))
    assert topic.partitions[0].error_code == ErrorCode.KAFKA_STORAGE_ERROR
