"""Read committed: the last stable offset, and the transactions that were aborted."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from compat.late import comes_to
from kbroker.storage.batch import BatchHeader, records
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.fetch import FetchPartition, FetchRequest, FetchResponse, FetchTopic

from .asking import (
    LATEST,
    READ_COMMITTED,
    READ_UNCOMMITTED,
    assert_error,
    assert_none,
    batch,
    fetch,
    fetch_request,
    list_offset,
    make_topic,
    now_ms,
    produce,
    records_of,
    whole_batches,
)
from .transactions import ends

if TYPE_CHECKING:
    from collections.abc import Callable

    from compat.raw import RawClient
    from kbroker.wire.messages.fetch import PartitionData

    from .conftest import NewProducer

pytestmark = [pytest.mark.ci, pytest.mark.item(17)]

MAX_TIMESTAMP = -3


@pytest.fixture
def topic(raw: RawClient, unique: Callable[[str], str]) -> tuple[str, bytes]:
    """Its name and id."""
    name = unique("committed")
    return name, make_topic(raw, name)


def read(raw: RawClient, topic_id: bytes, offset: int, isolation_level: int) -> PartitionData:
    return fetch(
        raw, fetch_request(topic_id, offset, isolation_level=isolation_level, max_wait_ms=1)
    )


def offsets(data: PartitionData) -> list[int]:
    """Of the records, and of the markers if there are any."""
    return [record.offset for record in records_of(data)]


def aborted(data: PartitionData) -> list[tuple[int, int]]:
    """Producer ids and first offsets, by offset."""
    found = [(one.producer_id, one.first_offset) for one in data.aborted_transactions or ()]
    return sorted(found, key=lambda one: one[1])


def committed_values(data: PartitionData) -> list[bytes | None]:
    """What a client shows that reads committed records alone."""
    to_come = aborted(data)
    hidden: set[int] = set()
    values: list[bytes | None] = []
    for view in whole_batches(data):
        header = BatchHeader(view)
        while to_come and to_come[0][1] <= header.last_offset:
            hidden.add(to_come.pop(0)[0])
        if header.is_control:
            hidden.discard(header.producer_id)
        elif not (header.is_transactional and header.producer_id in hidden):
            values += [record.value for record in records(view)]
    return values


def test_nothing_behind_an_open_transaction_is_shown(
    raw: RawClient, new_producer: NewProducer, topic: tuple[str, bytes]
) -> None:
    name, topic_id = topic
    producer = new_producer()
    produce(raw, name, batch(b"a", b"b"))
    assert producer.send(name, b"1", b"2", b"3").base_offset == 2
    later = now_ms() + 60_000
    produce(raw, name, batch(b"c", timestamps=[later]))
    for offset, shown in ((0, [0, 1]), (2, []), (3, []), (5, []), (6, [])):
        data = read(raw, topic_id, offset, READ_COMMITTED)
        assert (data.error_code, data.high_watermark, data.last_stable_offset) == (0, 6, 2)
        assert (offsets(data), data.aborted_transactions) == (shown, [])
    beyond = read(raw, topic_id, 7, READ_COMMITTED)
    assert_error(beyond.error_code, ErrorCode.OFFSET_OUT_OF_RANGE)
    for offset, shown in ((0, [0, 1, 2, 3, 4, 5]), (2, [2, 3, 4, 5]), (5, [5])):
        data = read(raw, topic_id, offset, READ_UNCOMMITTED)
        assert (data.error_code, data.high_watermark, data.last_stable_offset) == (0, 6, 2)
        assert (offsets(data), data.aborted_transactions) == (shown, None)
    producer.commit()
    comes_to(lambda: ends(raw, name), (7, 7))
    data = read(raw, topic_id, 0, READ_COMMITTED)
    assert committed_values(data) == [b"a", b"b", b"1", b"2", b"3", b"c"]
    assert aborted(data) == []


def test_list_offsets_goes_by_isolation(
    raw: RawClient, new_producer: NewProducer, topic: tuple[str, bytes]
) -> None:
    name, _ = topic
    producer, stamp = new_producer(), now_ms() - 60_000
    produce(raw, name, batch(b"a", timestamps=[stamp]))
    producer.send(name, b"1")

    def found(timestamp: int, isolation_level: int) -> int:
        answer = list_offset(raw, name, timestamp, isolation_level=isolation_level)
        assert_none(answer.error_code)
        return answer.offset

    asked = (LATEST, stamp, stamp + 1, MAX_TIMESTAMP)
    assert [found(one, READ_UNCOMMITTED) for one in asked] == [2, 0, 1, 1]
    assert [found(one, READ_COMMITTED) for one in asked] == [1, 0, -1, -1]
    producer.commit()
    comes_to(lambda: found(LATEST, READ_COMMITTED), 3)
    assert found(stamp + 1, READ_COMMITTED) == 1


def test_aborted_transactions_are_named(
    raw: RawClient, new_producer: NewProducer, topic: tuple[str, bytes]
) -> None:
    name, topic_id = topic
    producer = new_producer()
    produce(raw, name, batch(b"a"))
    aborted_id = producer.producer_id
    assert producer.send(name, b"1", b"2").base_offset == 1
    assert producer.send(name, b"3").base_offset == 3
    producer.abort()
    comes_to(lambda: ends(raw, name), (5, 5))
    produce(raw, name, batch(b"b"))
    for offset in (0, 1, 2, 3, 4):
        data = read(raw, topic_id, offset, READ_COMMITTED)
        assert aborted(data) == [(aborted_id, 1)]
        assert committed_values(data) == ([b"a", b"b"] if offset == 0 else [b"b"])
    data = read(raw, topic_id, 5, READ_COMMITTED)
    assert (aborted(data), committed_values(data)) == ([], [b"b"])
    data = read(raw, topic_id, 0, READ_UNCOMMITTED)
    assert data.aborted_transactions is None
    assert [r.value for r in records_of(data)][:4] == [b"a", b"1", b"2", b"3"]


@pytest.mark.parametrize("version", range(4, 19))
def test_every_version_of_fetch_names_them(
    raw: RawClient, new_producer: NewProducer, topic: tuple[str, bytes], version: int
) -> None:
    name, topic_id = topic
    producer = new_producer()
    aborted_id = producer.producer_id
    producer.send(name, b"1", b"2")
    producer.abort()
    comes_to(lambda: ends(raw, name), (3, 3))
    producer.send(name, b"open")
    one = FetchPartition(partition=0, fetch_offset=0, partition_max_bytes=1 << 20)
    request = FetchRequest(
        max_wait_ms=1,
        min_bytes=1,
        isolation_level=READ_COMMITTED,
        topics=[FetchTopic(topic=name, topic_id=topic_id, partitions=[one])],
    )
    data = raw.ask(request, version, FetchResponse).responses[0].partitions[0]
    assert (data.error_code, data.high_watermark, data.last_stable_offset) == (0, 4, 3)
    assert (aborted(data), offsets(data)) == ([(aborted_id, 0)], [0, 1, 2])


@pytest.mark.parametrize("seed", range(3))
def test_transactions_among_each_other(
    raw: RawClient, new_producer: NewProducer, topic: tuple[str, bytes], seed: int
) -> None:
    """Three that overlap at random, and records of none: each is shown when its own is decided."""
    name, topic_id = topic
    chance = random.Random(seed)
    producers = [new_producer() for _ in range(3)]
    log: list[bytes | None] = []  # what stands at each offset; None: a marker, or aborted
    open_at: dict[int, list[int]] = {}  # producer -> its offsets
    for step in range(40):
        which = chance.randrange(4)
        value = b"%d" % step
        if which == 3:
            assert produce(raw, name, batch(value)).base_offset == len(log)
            log.append(value)
        elif which in open_at and chance.random() < 0.4:
            first, *_ = mine = open_at.pop(which)
            assert first == mine[0]
            if chance.random() < 0.5:
                producers[which].commit()
            else:
                producers[which].abort()
                for offset in mine:
                    log[offset] = None
            log.append(None)
        else:
            answer = producers[which].send(name, value)
            assert (answer.error_code, answer.base_offset) == (0, len(log))
            open_at.setdefault(which, []).append(len(log))
            log.append(value)
        stable = min((mine[0] for mine in open_at.values()), default=len(log))
        comes_to(lambda: ends(raw, name), (stable, len(log)))
    for offset in range(stable + 1):
        data = read(raw, topic_id, offset, READ_COMMITTED)
        assert data.last_stable_offset == stable
        expected = [value for value in log[offset:stable] if value is not None]
        assert committed_values(data) == expected, offset
