"""DeleteTopics: by name, by id, both, neither, twice."""

from __future__ import annotations

import random

import pytest

from kbroker.controller.state.delete_topics import decide_delete_topics
from kbroker.wire.errors import ErrorCode
from kbroker.wire.message import ZERO_UUID
from kbroker.wire.messages.delete_topics import DeleteTopicsRequest, DeleteTopicState
from tests.controller.parts import SETTINGS, Cluster, topic

NO_TOPIC = "This server does not host this topic-partition."


@pytest.fixture
def cluster() -> Cluster:
    made = Cluster()
    made.create(*(topic(f"t{number}") for number in range(6)))
    return made


def delete(
    cluster: Cluster, request: DeleteTopicsRequest
) -> list[tuple[str | None, bytes, int, str | None]]:
    result = decide_delete_topics(cluster.context(), request)
    cluster.commit(result.records)
    rows = [
        (each.name, each.topic_id, each.error_code, each.error_message)
        for each in result.response.responses
    ]
    return sorted(rows, key=lambda row: (row[0] or "", row[1]))


def test_by_name(cluster: Cluster) -> None:
    ids = {name: each.topic_id for name, each in cluster.image.topics.items()}
    names = ["t0", "absent", "t1", "t1", ""]
    request = DeleteTopicsRequest(
        timeout_ms=1_000, topics=[DeleteTopicState(name=name) for name in names]
    )
    assert delete(cluster, request) == [
        ("", ZERO_UUID, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, NO_TOPIC),
        ("absent", ZERO_UUID, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, NO_TOPIC),
        ("t0", ids["t0"], ErrorCode.NONE, None),
        ("t1", ZERO_UUID, ErrorCode.INVALID_REQUEST, "Duplicate topic name."),
    ]
    assert sorted(cluster.image.topics) == ["t1", "t2", "t3", "t4", "t5"]


def test_in_a_list_of_names_as_before_version_6(cluster: Cluster) -> None:
    answers = delete(cluster, DeleteTopicsRequest(topic_names=["t0", "absent"], timeout_ms=1_000))
    assert [each[2] for each in answers] == [ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.NONE]


def test_by_id(cluster: Cluster) -> None:
    ids = {name: each.topic_id for name, each in cluster.image.topics.items()}
    request = DeleteTopicsRequest(
        timeout_ms=1_000,
        topics=[
            DeleteTopicState(name=None, topic_id=ids["t0"]),
            DeleteTopicState(name=None, topic_id=b"7" * 16),
            DeleteTopicState(name=None),
            DeleteTopicState(name="t1", topic_id=ids["t1"]),
            DeleteTopicState(name=None, topic_id=ids["t2"]),
            DeleteTopicState(name=None, topic_id=ids["t2"]),
            DeleteTopicState(name="t3"),
            DeleteTopicState(name=None, topic_id=ids["t3"]),
        ],
    )
    invalid = ErrorCode.INVALID_REQUEST
    assert set(delete(cluster, request)) == {
        ("t0", ids["t0"], ErrorCode.NONE, None),
        (None, b"7" * 16, ErrorCode.UNKNOWN_TOPIC_ID, "This server does not host this topic ID."),
        (None, ZERO_UUID, invalid, "Neither topic name nor id were specified."),
        ("t1", ids["t1"], invalid, "You may not specify both topic name and topic id."),
        (None, ids["t2"], invalid, "Duplicate topic id."),
        (
            "t3",
            ids["t3"],
            invalid,
            "The provided topic name maps to an ID that was already supplied.",
        ),
    }
    assert sorted(cluster.image.topics) == ["t1", "t2", "t3", "t4", "t5"]


def test_where_deletion_is_disabled_nothing_is_deleted(cluster: Cluster) -> None:
    settings = SETTINGS.__class__(
        node_id=1, cluster_id="c", directory_id=b"d" * 16, delete_topic_enable=False
    )
    request = DeleteTopicsRequest(
        topic_names=["t0"], timeout_ms=1_000, topics=[DeleteTopicState(name="t1")]
    )
    result = decide_delete_topics(cluster.context(settings=settings), request)
    assert result.records == ()
    assert [(each.name, each.error_code) for each in result.response.responses] == [
        ("t0", ErrorCode.TOPIC_DELETION_DISABLED),
        ("t1", ErrorCode.TOPIC_DELETION_DISABLED),
    ]


def test_a_deleted_name_is_free_at_once(cluster: Cluster) -> None:
    old = cluster.image.topics["t0"].topic_id
    delete(cluster, DeleteTopicsRequest(topic_names=["t0"], timeout_ms=1_000))
    (result,) = cluster.create(topic("t0")).topics
    assert result.error_code == ErrorCode.NONE
    assert result.topic_id != old


@pytest.mark.parametrize(
    ("timeout_ms", "told"),
    [(-1, ErrorCode.REQUEST_TIMED_OUT), (0, ErrorCode.REQUEST_TIMED_OUT), (1, ErrorCode.NONE)],
)
def test_a_request_without_time_is_over_before_it_begins(
    cluster: Cluster, timeout_ms: int, told: ErrorCode
) -> None:
    request = DeleteTopicsRequest(topic_names=["t0"], timeout_ms=timeout_ms)
    assert [code for _, _, code, _ in delete(cluster, request)] == [told]
    assert ("t0" in cluster.image.topics) == (told != ErrorCode.NONE)


def test_the_order_of_answers_does_not_tell_the_absent_from_the_others(cluster: Cluster) -> None:
    names = ["t0", "absent", "t1", "absent too", "t2"]
    request = DeleteTopicsRequest(topic_names=names, timeout_ms=1_000)
    orders = set()
    for seed in range(10):
        result = decide_delete_topics(cluster.context(rng=random.Random(seed)), request)
        orders.add(tuple(each.name or "" for each in result.response.responses))
    assert {tuple(sorted(order)) for order in orders} == {tuple(sorted(names))}
    assert len(orders) > 5
