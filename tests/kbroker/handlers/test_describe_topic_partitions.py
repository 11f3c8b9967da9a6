"""DescribeTopicPartitions: pages of topics in order of their names."""

from __future__ import annotations

import pytest

from kbroker.handlers import describe_topic_partitions
from kbroker.wire import codec
from kbroker.wire.errors import ErrorCode, RequestError
from kbroker.wire.messages.describe_topic_partitions import (
    DescribeTopicPartitionsRequest,
    DescribeTopicPartitionsRequestCursor,
    DescribeTopicPartitionsResponse,
    TopicRequest,
)
from tests.kbroker.cluster_image import topic_id

from .cluster_rig import ClusterRig


def ask(
    rig: ClusterRig,
    *names: str,
    limit: int = 2000,
    cursor: tuple[str, int] | None = None,
) -> DescribeTopicPartitionsResponse:
    request = DescribeTopicPartitionsRequest(
        topics=[TopicRequest(name=name) for name in names],
        response_partition_limit=limit,
        cursor=None
        if cursor is None
        else DescribeTopicPartitionsRequestCursor(topic_name=cursor[0], partition_index=cursor[1]),
    )
    response = describe_topic_partitions.handle(request, rig.context(0))
    return codec.decode(DescribeTopicPartitionsResponse, 0, codec.encode(response, 0))


def page(response: DescribeTopicPartitionsResponse) -> list[tuple[str | None, list[int]]]:
    return [(t.name, [p.partition_index for p in t.partitions]) for t in response.topics]


def next_cursor(response: DescribeTopicPartitionsResponse) -> tuple[str, int] | None:
    cursor = response.next_cursor
    return None if cursor is None else (cursor.topic_name, cursor.partition_index)


def rig() -> ClusterRig:
    made = ClusterRig()
    for name, partitions in (("c", 1), ("a", 3), ("b", 2)):
        made.add_topic(name, partitions)
    return made


def test_all_topics_in_order() -> None:
    response = ask(rig())
    assert page(response) == [("a", [0, 1, 2]), ("b", [0, 1]), ("c", [0])]
    assert next_cursor(response) is None


def test_a_partition() -> None:
    response = ask(rig(), "c")
    (topic,) = response.topics
    assert (topic.error_code, topic.topic_id) == (0, topic_id("c"))
    assert topic.topic_authorized_operations == 3576
    (partition,) = topic.partitions
    assert (partition.leader_id, partition.leader_epoch, partition.replica_nodes) == (1, 7, [1])
    assert (partition.isr_nodes, partition.eligible_leader_replicas) == ([1], [])
    assert (partition.last_known_elr, partition.offline_replicas) == ([], [])


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5])
def test_the_pages_together_are_everything(limit: int) -> None:
    """Whatever the limit, every partition comes once and in order."""
    seen: list[tuple[str | None, int]] = []
    cursor = None
    for _ in range(10):
        response = ask(rig(), limit=limit, cursor=cursor)
        partitions = [(name, index) for name, indexes in page(response) for index in indexes]
        assert len(partitions) <= limit
        seen += partitions
        cursor = next_cursor(response)
        if cursor is None:
            break
    assert seen == [("a", 0), ("a", 1), ("a", 2), ("b", 0), ("b", 1), ("c", 0)]


def test_a_page_that_ends_with_its_topic_names_the_next_topic() -> None:
    response = ask(rig(), limit=3)
    assert page(response) == [("a", [0, 1, 2])]
    assert next_cursor(response) == ("b", 0)


def test_the_brokers_own_limit_holds_too() -> None:
    made = ClusterRig({"max.request.partition.size.limit": "2"})
    made.add_topic("a", 3)
    response = ask(made)
    assert (page(response), next_cursor(response)) == ([("a", [0, 1])], ("a", 2))


def test_a_limit_below_one_counts_as_one() -> None:
    assert page(ask(rig(), limit=0)) == [("a", [0])]


def test_unknown_and_invalid_topics() -> None:
    response = ask(rig(), "a", "nope", "a b")
    assert {(t.name, t.error_code) for t in response.topics} == {
        ("a", 0),
        ("nope", ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        ("a b", ErrorCode.INVALID_TOPIC_EXCEPTION),
    }


@pytest.mark.parametrize(
    ("names", "cursor", "message"),
    [
        (("a",), ("b", 0), "topic list should contain the cursor topic: b"),
        (("a",), ("a", -1), "cursor partition must be valid: a--1"),
    ],
)
def test_a_cursor_that_cannot_be(
    names: tuple[str, ...], cursor: tuple[str, int], message: str
) -> None:
    with pytest.raises(RequestError, match=message) as raised:
        ask(rig(), *names, cursor=cursor)
    assert raised.value.code == ErrorCode.INVALID_REQUEST


def test_a_cursor_into_a_topic_that_is_gone_goes_on_with_the_next() -> None:
    assert page(ask(rig(), cursor=("aa", 5))) == [("b", [0, 1]), ("c", [0])]


def test_a_cursor_behind_the_last_partition() -> None:
    response = ask(rig(), cursor=("a", 9))
    assert page(response) == [("a", []), ("b", [0, 1]), ("c", [0])]
