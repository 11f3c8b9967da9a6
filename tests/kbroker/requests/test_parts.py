"""What handlers of requests with several parts do alike."""

from __future__ import annotations

import pytest

from kbroker.requests.parts import NAME, TOPIC_ID, completed, each_once
from kbroker.wire.messages.offset_commit import (
    OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
)


def topic(name: str, topic_id: bytes, *indexes: int) -> OffsetCommitResponseTopic:
    partitions = [OffsetCommitResponsePartition(partition_index=index) for index in indexes]
    return OffsetCommitResponseTopic(name=name, topic_id=topic_id, partitions=partitions)


def test_a_topic_is_where_it_was_first_named_with_all_its_partitions() -> None:
    topics = [topic("a", b"1", 0), topic("b", b"2", 1), topic("a", b"3", 2, 0), topic("c", b"1")]
    merged = each_once(topics, NAME)
    assert [(each.name, [p.partition_index for p in each.partitions]) for each in merged] == [
        ("a", [0, 2, 0]),
        ("b", [1]),
        ("c", []),
    ]
    assert [each.name for each in each_once([topic("a", b"1"), topic("", b"1")], TOPIC_ID)] == ["a"]


@pytest.mark.parametrize(
    ("answers", "others", "all_of_them"),
    [([], [], []), ([1, None, 2, None], [3, 4], [1, 3, 2, 4]), ([None], [0], [0]), ([5], [], [5])],
)
def test_others_answer_where_there_is_no_answer(
    answers: list[int | None], others: list[int], all_of_them: list[int]
) -> None:
    assert completed(answers, others) == all_of_them


@pytest.mark.parametrize("others", [[], [1], [1, 2, 3]])
def test_there_are_as_many_others_as_places(others: list[int]) -> None:
    with pytest.raises(AssertionError, match="each place gets an answer"):
        completed([None, 0, None], others)
