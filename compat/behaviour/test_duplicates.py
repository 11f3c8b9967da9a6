"""Idempotent producers: the five-batch window, sequences and epochs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.init_producer_id import InitProducerIdRequest, InitProducerIdResponse

from .asking import (
    EARLIEST,
    LATEST,
    assert_error,
    assert_none,
    batch,
    list_offset,
    make_topic,
    produce,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from compat.conftest import NewBroker
    from compat.raw import RawClient
    from kbroker.wire.messages.produce import PartitionProduceResponse

pytestmark = [pytest.mark.ci, pytest.mark.item(5)]


def new_producer(raw: RawClient, version: int = 4) -> int:
    """A fresh producer id."""
    request = InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=60_000)
    deadline = time.monotonic() + 120
    while True:
        response = raw.ask(request, version, InitProducerIdResponse)
        # Apache Kafka has no producer ids yet right after its start.
        if response.error_code != ErrorCode.COORDINATOR_LOAD_IN_PROGRESS:
            break
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert_none(response.error_code)
    assert response.producer_epoch == 0
    return response.producer_id


class Producer:
    """One producer id on one new topic."""

    def __init__(self, raw: RawClient, topic: str) -> None:
        self.raw = raw
        self.topic = topic
        self.producer_id = new_producer(raw)

    def send(self, sequence: int, count: int = 1, epoch: int = 0) -> PartitionProduceResponse:
        values = [b"%d" % (sequence + i) for i in range(count)]
        records = batch(*values, producer=(self.producer_id, epoch, sequence))
        return produce(self.raw, self.topic, records)

    def end(self) -> int:
        return list_offset(self.raw, self.topic, LATEST).offset


@pytest.fixture
def producer(raw: RawClient, unique: Callable[[str], str]) -> Producer:
    topic = unique("idempotent")
    make_topic(raw, topic)
    return Producer(raw, topic)


@pytest.mark.item(6)
def test_producer_ids_differ(raw: RawClient) -> None:
    assert len({new_producer(raw, version) for version in range(6) for _ in range(3)}) == 18


def test_a_duplicate_within_five_batches_gets_the_first_answer(producer: Producer) -> None:
    offsets = [producer.send(i * 3, 3).base_offset for i in range(7)]
    assert offsets == [0, 3, 6, 9, 12, 15, 18]
    for i in range(2, 7):
        again = producer.send(i * 3, 3)
        assert_none(again.error_code)
        assert again.base_offset == i * 3
    assert producer.end() == 21


def test_a_duplicate_of_an_older_batch_is_out_of_order(producer: Producer) -> None:
    for i in range(7):
        producer.send(i)
    assert_error(producer.send(0).error_code, ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER)
    assert_error(producer.send(1).error_code, ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER)
    assert producer.send(2).base_offset == 2
    assert producer.end() == 7


def test_a_gap_in_the_sequence_is_an_error(producer: Producer) -> None:
    assert_none(producer.send(0, 5).error_code)
    for sequence in (6, 4, 1, 1_000):
        answer = producer.send(sequence, 2)
        assert_error(answer.error_code, ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER)
        assert answer.base_offset == -1
    assert producer.send(5).base_offset == 5


@pytest.mark.item(6)
@pytest.mark.parametrize("sequence", [0, 7, 2_000_000])
def test_an_unknown_producer_may_begin_anywhere(producer: Producer, sequence: int) -> None:
    assert_none(producer.send(sequence).error_code)
    assert_none(producer.send(sequence + 1).error_code)


@pytest.mark.item(6)
def test_a_new_epoch_begins_at_zero(producer: Producer) -> None:
    assert_none(producer.send(0, 3).error_code)
    wrong = producer.send(3, epoch=1)
    assert_error(wrong.error_code, ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER)
    assert_none(producer.send(0, epoch=1).error_code)
    old = producer.send(3, epoch=0)
    assert_error(old.error_code, ErrorCode.INVALID_PRODUCER_EPOCH)
    assert producer.end() == 4


def test_sequences_wrap_around_after_the_largest(producer: Producer) -> None:
    largest = 2**31 - 1
    assert producer.send(largest - 2, 2).base_offset == 0
    # Sequences largest, 0, 1: the batch itself wraps.
    records = batch(b"a", b"b", b"c", producer=(producer.producer_id, 0, largest))
    assert produce(producer.raw, producer.topic, records).base_offset == 2
    assert producer.send(2).base_offset == 5


def test_the_window_is_the_partitions_own(raw: RawClient, unique: Callable[[str], str]) -> None:
    topic = unique("idempotent")
    make_topic(raw, topic, 2)
    producer_id = new_producer(raw)
    for partition in (0, 1):
        records = batch(b"v", producer=(producer_id, 0, 0))
        assert produce(raw, topic, records, partition=partition).base_offset == 0


def test_two_idempotent_batches_with_one_sequence_are_one(producer: Producer) -> None:
    first = producer.send(0, 2)
    records = batch(b"other", b"bytes", producer=(producer.producer_id, 0, 0))
    again = produce(producer.raw, producer.topic, records)
    assert (again.error_code, again.base_offset) == (0, first.base_offset)
    assert again.log_start_offset == list_offset(producer.raw, producer.topic, EARLIEST).offset


@pytest.mark.item(5, 6)
@pytest.mark.parametrize("ending", ["clean", "killed"])
def test_the_last_batch_and_sequence_survive_a_restart(new_broker: NewBroker, ending: str) -> None:
    from compat.raw import RawClient

    broker = new_broker()
    with RawClient(broker.host, broker.port) as raw:
        make_topic(raw, "window")
        before = Producer(raw, "window")
        for i in range(6):
            before.send(i)
    if ending == "clean":
        broker.stop()
    else:
        broker.kill()
    broker.start()
    with RawClient(broker.host, broker.port) as raw:
        from .asking import await_leaders

        await_leaders(raw, "window", 1)
        before.raw = raw
        # A snapshot of the producer state has the last batch alone.
        assert before.send(5).base_offset == 5
        assert_error(before.send(9).error_code, ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER)
        assert before.send(6).base_offset == 6
        assert new_producer(raw) > before.producer_id
