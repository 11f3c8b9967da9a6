"""The markers that end a transaction: one in each of its partitions, and an offset each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from compat.late import comes_to
from kbroker.storage.batch import ControlType, control_type
from kbroker.wire.messages.describe_producers import (
    DescribeProducersRequest,
    DescribeProducersResponse,
    TopicRequest,
)

from .asking import batch, fetch, fetch_request, headers_of, make_topic, produce, records_of
from .transactions import ends

if TYPE_CHECKING:
    from collections.abc import Callable

    from compat.raw import RawClient

    from .conftest import NewProducer

pytestmark = [pytest.mark.ci, pytest.mark.item(18)]


@pytest.fixture
def topic(raw: RawClient, unique: Callable[[str], str]) -> tuple[str, bytes]:
    """Its name and id; it has three partitions."""
    name = unique("marked")
    return name, make_topic(raw, name, 3)


@pytest.mark.parametrize("committed", [True, False], ids=["commit", "abort"])
@pytest.mark.parametrize("count", [1, 5])
def test_a_marker_takes_one_offset(
    raw: RawClient,
    new_producer: NewProducer,
    topic: tuple[str, bytes],
    count: int,
    committed: bool,
) -> None:
    name, topic_id = topic
    producer = new_producer()
    values = [b"%d" % i for i in range(count)]
    for start in (0, count + 1, 2 * (count + 1)):
        # Where the next one begins says that the one before has no marker more.
        assert producer.send(name, *values).base_offset == start
        assert producer.end(committed=committed).error_code == 0
        comes_to(lambda end=start + count + 1: ends(raw, name), (start + count + 1,) * 2)
    assert produce(raw, name, batch(b"plain")).base_offset == 3 * (count + 1)
    found = fetch(raw, fetch_request(topic_id, 0))
    assert [r.offset for r in records_of(found)] == list(range(3 * (count + 1) + 1))
    markers = [header for header in headers_of(found) if header.is_control]
    assert [header.base_offset for header in markers] == [count, 2 * count + 1, 3 * count + 2]
    assert {(one.producer_id, one.is_transactional, one.record_count) for one in markers} == {
        (producer.producer_id, True, 1)
    }
    types = [control_type(r.key) for r in records_of(found) if r.offset in (count, 2 * count + 1)]
    assert types == [ControlType.COMMIT if committed else ControlType.ABORT] * 2


def test_each_partition_has_its_own(
    raw: RawClient, new_producer: NewProducer, topic: tuple[str, bytes]
) -> None:
    name, _ = topic
    one, other = new_producer(), new_producer()
    for partition, count in ((0, 1), (1, 3)):
        one.send(name, *[b"v"] * count, partition=partition)
    other.send(name, b"v", partition=1)
    assert [ends(raw, name, partition) for partition in range(3)] == [(0, 1), (0, 4), (0, 0)]
    one.abort()
    comes_to(lambda: [ends(raw, name, p) for p in range(3)], [(2, 2), (3, 5), (0, 0)])
    other.commit()
    comes_to(lambda: [ends(raw, name, p) for p in range(3)], [(2, 2), (6, 6), (0, 0)])
    for partition, start in ((0, 2), (1, 6), (2, 0)):
        assert one.send(name, b"v", partition=partition).base_offset == start
    one.commit()
    comes_to(lambda: [ends(raw, name, p) for p in range(3)], [(4, 4), (8, 8), (2, 2)])


def test_what_was_added_has_a_marker_even_without_records(
    raw: RawClient, new_producer: NewProducer, topic: tuple[str, bytes]
) -> None:
    """And what was not has none."""
    name, _ = topic
    producer = new_producer()
    assert producer.add(name, 0, 2) == 0
    assert [ends(raw, name, partition) for partition in range(3)] == [(0, 0)] * 3
    producer.commit()
    comes_to(lambda: [ends(raw, name, p) for p in range(3)], [(1, 1), (0, 0), (1, 1)])
    assert producer.send(name, b"v", partition=1).base_offset == 0
    producer.abort()
    comes_to(lambda: [ends(raw, name, p) for p in range(3)], [(1, 1), (2, 2), (1, 1)])


def test_a_transaction_of_two_topics(
    raw: RawClient,
    new_producer: NewProducer,
    topic: tuple[str, bytes],
    unique: Callable[[str], str],
) -> None:
    names = [topic[0], unique("marked")]
    make_topic(raw, names[1])
    producer = new_producer()
    for name in names:
        assert producer.send(name, b"1", b"2").base_offset == 0
    producer.commit()
    comes_to(lambda: [ends(raw, name) for name in names], [(3, 3), (3, 3)])


def test_the_partition_knows_where_the_open_one_began(
    raw: RawClient, new_producer: NewProducer, topic: tuple[str, bytes]
) -> None:
    name, _ = topic

    def began() -> list[tuple[int, int]]:
        wanted = [TopicRequest(name=name, partition_indexes=[0])]
        answer = raw.ask(DescribeProducersRequest(topics=wanted), 0, DescribeProducersResponse)
        found = answer.topics[0].partitions[0].active_producers
        return [(one.producer_id, one.current_txn_start_offset) for one in found]

    producer = new_producer()
    produce(raw, name, batch(b"a", b"b"))
    producer.send(name, b"1")
    assert began() == [(producer.producer_id, 2)]
    producer.commit()
    comes_to(began, [(producer.producer_id, -1)])
