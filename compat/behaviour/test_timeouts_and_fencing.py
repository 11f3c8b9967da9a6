"""Transactions that end otherwise than they meant: timeouts, fencing, the versions of EndTxn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from compat.late import comes_to
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResponse,
)
from kbroker.wire.messages.list_transactions import (
    ListTransactionsRequest,
    ListTransactionsResponse,
)
from kbroker.wire.messages.metadata import MetadataRequest, MetadataResponse

from .asking import (
    READ_COMMITTED,
    assert_error,
    assert_none,
    fetch,
    fetch_request,
    make_topic,
    now_ms,
)
from .groups import fetch_offsets
from .transactions import (
    BUMPING_END_VERSION,
    IMPLICIT_PRODUCE_VERSION,
    coordinate_transactions,
    describe_transaction,
    ends,
    init_producer_id,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from compat.raw import RawClient

    from .conftest import NewProducer
    from .transactions import TransactionalProducer

pytestmark = [pytest.mark.ci, pytest.mark.item(20)]

MAX_TIMEOUT = "transaction.max.timeout.ms"
BROKER = 4  # a type of resource
LARGEST = 2**31 - 1


@pytest.fixture
def topic(raw: RawClient, unique: Callable[[str], str]) -> str:
    name = unique("ended")
    make_topic(raw, name)
    return name


@pytest.fixture
def transactional_id(raw: RawClient, transactions: int, unique: Callable[[str], str]) -> str:
    """Of no producer yet."""
    name = unique("transactional")
    coordinate_transactions(raw, name)
    return name


def max_timeout_ms(raw: RawClient) -> int:
    """The longest that the broker says it allows."""
    node_id = raw.ask(MetadataRequest(topics=[]), 12, MetadataResponse).controller_id
    wanted = DescribeConfigsResource(
        resource_type=BROKER, resource_name=str(node_id), configuration_keys=[MAX_TIMEOUT]
    )
    answer = raw.ask(DescribeConfigsRequest(resources=[wanted]), 4, DescribeConfigsResponse)
    (found,) = answer.results[0].configs
    return int(found.value or "")


def assert_fenced(producer: TransactionalProducer, topic: str, group: str) -> None:
    """Whatever a producer sends that another one has replaced, it hears so, by version."""
    old, new = ErrorCode.INVALID_PRODUCER_EPOCH, ErrorCode.PRODUCER_FENCED
    version = IMPLICIT_PRODUCE_VERSION - (not producer.is_implicit)
    assert_error(producer.produce(topic, b"late", sequence=1, version=version).error_code, old)
    for version in range(4):
        assert_error(producer.add(topic, 0, version=version), old if version < 2 else new)
    for version in range(5):
        assert_error(producer.add_group(group, version=version), old if version < 2 else new)
    for version in range(6):
        assert_error(producer.txn_offset_commit(group, topic, 1, version=version), old)
    for version in range(BUMPING_END_VERSION):
        for committed in (True, False):
            code = producer.end(committed=committed, version=version).error_code
            assert_error(code, old if version < 2 else new)


@pytest.mark.parametrize("version", range(6))
def test_a_timeout_has_bounds(raw: RawClient, transactional_id: str, version: int) -> None:
    longest = max_timeout_ms(raw)
    too_long = {longest + 1, LARGEST} if longest < LARGEST else set()
    for timeout in (0, -1, *too_long):
        answer = init_producer_id(raw, transactional_id, timeout_ms=timeout, version=version)
        assert_error(answer.error_code, ErrorCode.INVALID_TRANSACTION_TIMEOUT)
        assert answer.producer_id == -1
    answer = init_producer_id(raw, transactional_id, timeout_ms=longest, version=version)
    assert_none(answer.error_code)
    assert (answer.producer_id >= 0, answer.producer_epoch) == (True, 0)


def test_what_takes_too_long_is_aborted_and_fenced(
    raw: RawClient, transactions: int, new_producer: NewProducer, topic: str, group: str
) -> None:
    """Kafka looks for such ones every ten seconds."""
    producer = new_producer(timeout_ms=5_000)
    assert_none(producer.send(topic, b"1", b"2").error_code)
    assert_none(producer.commit_offset(group, topic, 1))
    comes_to(lambda: ends(raw, topic), (3, 3))

    def position() -> tuple[int, int]:
        found = fetch_offsets(raw, group, {topic: [0]}, require_stable=True)
        partition = found.topics[0].partitions[0]
        return partition.error_code, partition.committed_offset

    comes_to(position, (0, -1))
    assert_fenced(producer, topic, group)
    assert ends(raw, topic) == (3, 3)
    before = (producer.producer_id, producer.epoch)
    if transactions >= 2:
        # To this version it is one transaction ago: a repeated abort, or a commit too late.
        late = producer.end(committed=True, version=BUMPING_END_VERSION)
        assert_error(late.error_code, ErrorCode.INVALID_TXN_STATE)
        repeated = producer.end(committed=False, version=BUMPING_END_VERSION)
        assert (repeated.error_code, repeated.producer_epoch) == (0, before[1] + 1)
    name = producer.transactional_id
    answer = init_producer_id(raw, name, producer=before)
    if transactions >= 2:
        # It may go on with a new epoch, as nobody has taken its place (KIP-588).
        assert (answer.error_code, answer.producer_id) == (0, before[0])
        assert answer.producer_epoch > before[1]
    else:
        assert_error(answer.error_code, ErrorCode.PRODUCER_FENCED)
    again = new_producer(name)
    assert again.producer_id == before[0]
    assert again.epoch > max(before[1], answer.producer_epoch)
    assert again.send(topic, b"3").base_offset == 3
    again.commit()
    comes_to(lambda: ends(raw, topic), (5, 5))


def test_a_second_producer_ends_and_fences_the_first(
    raw: RawClient, new_producer: NewProducer, unique: Callable[[str], str], group: str
) -> None:
    topic = unique("ended")
    topic_id = make_topic(raw, topic)
    first = new_producer()
    assert_none(first.send(topic, b"1").error_code)
    second = new_producer(first.transactional_id)
    assert second.producer_id == first.producer_id
    assert second.epoch > first.epoch
    assert ends(raw, topic) == (2, 2)  # the second waited for the markers of the first
    found = fetch(raw, fetch_request(topic_id, 0, isolation_level=READ_COMMITTED))
    assert [(one.producer_id, one.first_offset) for one in found.aborted_transactions or ()] == [
        (first.producer_id, 0)
    ]
    assert_fenced(first, topic, group)
    for version in range(3, 6):
        before = (first.producer_id, first.epoch)
        code = init_producer_id(
            raw, first.transactional_id, producer=before, version=version
        ).error_code
        fenced = ErrorCode.PRODUCER_FENCED if version >= 4 else ErrorCode.INVALID_PRODUCER_EPOCH
        assert_error(code, fenced)
    assert second.send(topic, b"2").base_offset == 2
    second.commit()
    comes_to(lambda: ends(raw, topic), (4, 4))


@pytest.mark.parametrize("committed", [True, False], ids=["commit", "abort"])
def test_every_version_ends(
    raw: RawClient, new_producer: NewProducer, topic: str, committed: bool
) -> None:
    """From version 5 on, with the epoch that the producer has from then on."""
    producer = new_producer()
    versions = range(BUMPING_END_VERSION + producer.is_implicit)
    for number, version in enumerate(versions):
        before = (producer.producer_id, producer.epoch)
        assert producer.send(topic, b"1").base_offset == 2 * number
        answer = producer.end(committed=committed, version=version)
        assert_none(answer.error_code)
        bumped = (before[0], before[1] + 1) if version >= BUMPING_END_VERSION else (-1, -1)
        assert (answer.producer_id, answer.producer_epoch) == bumped
        # A batch of the same epoch could still come before the marker.
        comes_to(lambda: ends(raw, topic)[0], 2 * (number + 1))
    assert ends(raw, topic) == (2 * len(versions),) * 2


def test_an_end_may_be_repeated_and_not_be_changed(
    raw: RawClient, new_producer: NewProducer, topic: str
) -> None:
    producer = new_producer()
    for committed in (True, False):
        assert_none(producer.send(topic, b"1").error_code)
        before = (producer.producer_id, producer.epoch)
        first = producer.end(committed=committed)
        producer.producer_id, producer.epoch = before
        again = producer.end(committed=committed)
        assert (again.error_code, again.producer_id, again.producer_epoch) == (
            0,
            first.producer_id,
            first.producer_epoch,
        )
        producer.producer_id, producer.epoch = before
        changed = producer.end(committed=not committed)
        assert_error(changed.error_code, ErrorCode.INVALID_TXN_STATE)
        producer.init()
    comes_to(lambda: ends(raw, topic), (4, 4))


def test_there_is_nothing_to_commit(new_producer: NewProducer) -> None:
    producer = new_producer()
    before = producer.epoch
    nothing = producer.end(committed=True)
    assert_error(nothing.error_code, ErrorCode.INVALID_TXN_STATE)
    answer = producer.end(committed=False)
    if producer.is_implicit:
        assert (answer.error_code, answer.producer_epoch) == (0, before + 1)
    else:
        assert_error(answer.error_code, ErrorCode.INVALID_TXN_STATE)


def test_another_producer_id_is_refused(new_producer: NewProducer, topic: str) -> None:
    producer = new_producer()
    producer.producer_id += 1_000_000
    for version in range(6):
        code = producer.end(committed=False, version=version).error_code
        assert_error(code, ErrorCode.INVALID_PRODUCER_ID_MAPPING)
    assert_error(producer.add(topic, 0), ErrorCode.INVALID_PRODUCER_ID_MAPPING)


@pytest.mark.parametrize("version", range(3, 12))
def test_a_partition_that_was_not_added_is_refused(
    raw: RawClient, new_producer: NewProducer, topic: str, version: int
) -> None:
    """By versions of Produce that do not add it themselves."""
    producer = new_producer()
    answer = producer.produce(topic, b"1", version=version)
    refused = ErrorCode.INVALID_TXN_STATE if version < 11 else ErrorCode.TRANSACTION_ABORTABLE
    assert_error(answer.error_code, refused)
    assert ends(raw, topic) == (0, 0)


@pytest.mark.parametrize("version", range(4))
def test_every_version_adds(
    raw: RawClient, new_producer: NewProducer, topic: str, version: int
) -> None:
    producer = new_producer()
    assert_none(producer.add(topic, 0, version=version))
    assert producer.produce(topic, b"1", version=11).base_offset == 0
    assert_none(producer.end(committed=True, version=4).error_code)
    comes_to(lambda: ends(raw, topic), (2, 2))


def test_the_epoch_of_the_last_transaction_is_fenced(
    raw: RawClient, new_producer: NewProducer, topic: str
) -> None:
    """With transaction.version 2; before, an epoch serves for many."""
    producer = new_producer()
    assert_none(producer.send(topic, b"1").error_code)
    before = producer.epoch
    producer.commit()
    comes_to(lambda: ends(raw, topic), (2, 2))
    if not producer.is_implicit:
        assert producer.epoch == before
        assert producer.send(topic, b"2").base_offset == 2
        return
    assert producer.epoch == before + 1
    producer.epoch = before
    late = producer.produce(topic, b"2", sequence=1, version=IMPLICIT_PRODUCE_VERSION)
    assert_error(late.error_code, ErrorCode.INVALID_PRODUCER_EPOCH)
    producer.epoch = before + 1
    assert producer.send(topic, b"2").base_offset == 2


def test_a_transaction_is_described_and_listed(
    raw: RawClient, new_producer: NewProducer, topic: str
) -> None:
    producer = new_producer(timeout_ms=50_000)

    def listed(*states: str) -> list[tuple[str, str]]:
        request = ListTransactionsRequest(
            state_filters=list(states), producer_id_filters=[producer.producer_id]
        )
        answer = raw.ask(request, 0, ListTransactionsResponse)
        assert_none(answer.error_code)
        return [(one.transactional_id, one.transaction_state) for one in answer.transaction_states]

    name = producer.transactional_id
    empty = describe_transaction(raw, name)
    assert (empty.error_code, empty.transaction_state, empty.topics) == (0, "Empty", [])
    started = now_ms()
    assert_none(producer.send(topic, b"1").error_code)
    found = describe_transaction(raw, name)
    assert (found.error_code, found.transaction_state) == (0, "Ongoing")
    assert (found.producer_id, found.producer_epoch) == (producer.producer_id, producer.epoch)
    assert found.transaction_timeout_ms == 50_000
    assert abs(found.transaction_start_time_ms - started) < 60_000
    assert [(one.topic, one.partitions) for one in found.topics] == [(topic, [0])]
    assert listed() == listed("Ongoing") == [(name, "Ongoing")]
    assert listed("Empty") == []
    producer.commit()
    comes_to(lambda: describe_transaction(raw, name).transaction_state, "CompleteCommit")
    assert listed("CompleteCommit") == [(name, "CompleteCommit")]
    assert describe_transaction(raw, name).topics == []
    absent = describe_transaction(raw, name + "-absent")
    assert_error(absent.error_code, ErrorCode.TRANSACTIONAL_ID_NOT_FOUND)
