"""Positions committed in a transaction: pending until it ends, then the group's or forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from compat.late import comes_to
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopic,
    OffsetFetchRequestTopics,
    OffsetFetchResponse,
)

from .asking import assert_error, assert_none, make_topic
from .groups import commit

if TYPE_CHECKING:
    from collections.abc import Callable

    from compat.raw import RawClient

    from .conftest import NewProducer

pytestmark = [pytest.mark.ci, pytest.mark.item(19)]

UNSTABLE = (ErrorCode.UNSTABLE_OFFSET_COMMIT, -1)


@pytest.fixture
def topic(raw: RawClient, unique: Callable[[str], str]) -> tuple[str, bytes]:
    """Its name and id; it has two partitions."""
    name = unique("positions")
    return name, make_topic(raw, name, 2)


def positions(
    raw: RawClient,
    group: str,
    topic: tuple[str, bytes],
    *,
    stable: bool = True,
    version: int = 9,
) -> list[tuple[int, int]]:
    """Error and offset of both partitions."""
    name, topic_id = topic
    if version < 8:
        old = OffsetFetchRequestTopic(name=name, partition_indexes=[0, 1])
        request = OffsetFetchRequest(group_id=group, topics=[old], require_stable=stable)
        answer = raw.ask(request, version, OffsetFetchResponse)
        assert_none(answer.error_code)
        return [(p.error_code, p.committed_offset) for p in answer.topics[0].partitions]
    wanted = OffsetFetchRequestTopics(name=name, topic_id=topic_id, partition_indexes=[0, 1])
    request = OffsetFetchRequest(
        groups=[OffsetFetchRequestGroup(group_id=group, topics=[wanted])], require_stable=stable
    )
    found = raw.ask(request, version, OffsetFetchResponse).groups[0]
    assert_none(found.error_code)
    return [(p.error_code, p.committed_offset) for p in found.topics[0].partitions]


@pytest.mark.parametrize("committed", [True, False], ids=["commit", "abort"])
@pytest.mark.parametrize("version", range(7, 11))
def test_a_pending_commit_is_unstable_until_its_end(
    raw: RawClient,
    new_producer: NewProducer,
    group: str,
    topic: tuple[str, bytes],
    version: int,
    committed: bool,
) -> None:
    def found(*, stable: bool) -> list[tuple[int, int]]:
        return positions(raw, group, topic, stable=stable, version=version)

    for partition in (0, 1):
        assert_none(commit(raw, group, topic[0], 5, partition=partition))
    assert found(stable=True) == [(0, 5), (0, 5)]
    producer = new_producer()
    assert_none(producer.commit_offset(group, topic[0], 9))
    assert found(stable=True) == [UNSTABLE, (0, 5)]
    assert found(stable=False) == [(0, 5), (0, 5)]
    assert_none(producer.end(committed=committed).error_code)
    comes_to(lambda: found(stable=True), [(0, 9 if committed else 5), (0, 5)])
    assert found(stable=False) == found(stable=True)


def test_what_was_never_committed_is_unstable_too(
    raw: RawClient, new_producer: NewProducer, group: str, topic: tuple[str, bytes]
) -> None:
    producer = new_producer()
    assert_none(producer.commit_offset(group, topic[0], 3))
    assert positions(raw, group, topic) == [UNSTABLE, (0, -1)]
    assert positions(raw, group, topic, stable=False) == [(0, -1), (0, -1)]
    producer.abort()
    comes_to(lambda: positions(raw, group, topic), [(0, -1), (0, -1)])
    assert_none(producer.commit_offset(group, topic[0], 4))
    producer.commit()
    comes_to(lambda: positions(raw, group, topic), [(0, 4), (0, -1)])


def test_the_later_of_a_plain_and_a_pending_commit_stands(
    raw: RawClient, new_producer: NewProducer, group: str, topic: tuple[str, bytes]
) -> None:
    """Whichever was written later, not whichever was decided later."""
    producer = new_producer()
    assert_none(producer.commit_offset(group, topic[0], 9))
    assert_none(producer.commit_offset(group, topic[0], 9, partition=1))
    assert_none(commit(raw, group, topic[0], 7))
    assert positions(raw, group, topic) == [UNSTABLE, UNSTABLE]
    assert positions(raw, group, topic, stable=False) == [(0, 7), (0, -1)]
    producer.commit()
    comes_to(lambda: positions(raw, group, topic), [(0, 7), (0, 9)])
    assert_none(producer.commit_offset(group, topic[0], 8))
    producer.commit()
    comes_to(lambda: positions(raw, group, topic), [(0, 8), (0, 9)])


def test_the_last_of_a_transaction_stands(
    raw: RawClient, new_producer: NewProducer, group: str, topic: tuple[str, bytes]
) -> None:
    producer = new_producer()
    for offset in (3, 8, 6):
        assert_none(producer.commit_offset(group, topic[0], offset))
    producer.commit()
    comes_to(lambda: positions(raw, group, topic), [(0, 6), (0, -1)])


def test_two_transactions_are_pending_at_once(
    raw: RawClient, new_producer: NewProducer, group: str, topic: tuple[str, bytes]
) -> None:
    one, other = new_producer(), new_producer()
    assert_none(one.commit_offset(group, topic[0], 3))
    assert_none(other.commit_offset(group, topic[0], 8))
    one.abort()
    # The other's keeps it unstable, so what shows the end of the first is a partition of its own.
    assert_none(one.commit_offset(group, topic[0], 4, partition=1))
    one.commit()
    comes_to(lambda: positions(raw, group, topic), [UNSTABLE, (0, 4)])
    other.commit()
    comes_to(lambda: positions(raw, group, topic), [(0, 8), (0, 4)])


@pytest.mark.parametrize("version", range(6))
def test_every_version_commits(
    raw: RawClient, new_producer: NewProducer, group: str, topic: tuple[str, bytes], version: int
) -> None:
    producer = new_producer()
    if version < 5 or not producer.is_implicit:
        assert_none(producer.add_group(group, version=min(version, 4)))
    assert_none(producer.txn_offset_commit(group, topic[0], 9, version=version))
    assert positions(raw, group, topic) == [UNSTABLE, (0, -1)]
    producer.commit()
    comes_to(lambda: positions(raw, group, topic), [(0, 9), (0, -1)])


def test_a_group_that_was_not_added_is_refused(
    raw: RawClient, new_producer: NewProducer, group: str, topic: tuple[str, bytes]
) -> None:
    """By versions that do not add it themselves."""
    producer = new_producer()
    code = producer.txn_offset_commit(group, topic[0], 9, version=3)
    assert_error(code, ErrorCode.INVALID_TXN_STATE)
    assert positions(raw, group, topic) == [(0, -1), (0, -1)]
