"""Compaction: the last record of each key stays, at its offset; what is gone leaves a gap.

No API says whether a broker compacts. One that refuses `cleanup.policy=compact` says that it does
not, and is not judged; one that takes it has promised. It compacts when it likes to (Apache Kafka
looks every 15 s), so all the topics are written first, and the wait for them is one.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from compat.brokers import Kbroker
from compat.raw import RawClient
from kbroker.storage.builder import NewRecord, build_batch
from kbroker.storage.compression import Codec
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.create_topics import (
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
    CreateTopicsResponse,
)

from .asking import (
    EARLIEST,
    LATEST,
    assert_none,
    await_leaders,
    fetch,
    fetch_request,
    list_offset,
    now_ms,
    produce,
    records_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from compat.brokers import Broker

pytestmark = [pytest.mark.full, pytest.mark.item(30)]

COMPACTED_S = 120
SEGMENT_MS = 100
DAY_MS = 86_400_000
REFUSED = (ErrorCode.INVALID_CONFIG, ErrorCode.INVALID_REQUEST, ErrorCode.POLICY_VIOLATION)
EAGER = {
    "cleanup.policy": "compact",
    "segment.ms": str(SEGMENT_MS),
    "min.cleanable.dirty.ratio": "0.01",
    "min.compaction.lag.ms": "0",
}
YOUNG = "too young"
ROLL = b"roll"  # key of what is written only to have older segments closed

Stored = list[tuple[int, bytes | None, bytes | None]]  # offset, key, value
Written = list[list[tuple[bytes, bytes | None]]]  # batches of keys and values

BATCHES: Written = [
    [(b"a", b"a0"), (b"b", b"b1"), (b"c", b"c2")],
    [(b"a", b"a3"), (b"a", b"a4")],
    [(b"b", b"b5"), (b"d", b"d6")],
    [(b"d", None)],
]
LAST: Stored = [(2, b"c", b"c2"), (4, b"a", b"a4"), (5, b"b", b"b5"), (7, b"d", None)]


@dataclass(frozen=True)
class Case:
    """A topic, what is written to it and what is to stay."""

    config: dict[str, str]
    stays: Stored
    codec: Codec = Codec.NONE


CASES = {
    "last": Case({"delete.retention.ms": str(DAY_MS)}, LAST),
    "gzip": Case({"delete.retention.ms": str(DAY_MS)}, LAST, Codec.GZIP),
    "both policies": Case(
        {"delete.retention.ms": str(DAY_MS), "cleanup.policy": "compact,delete"}, LAST
    ),
    "tombstones gone": Case({"delete.retention.ms": "500"}, LAST[:-1]),
    YOUNG: Case(
        {"min.compaction.lag.ms": str(DAY_MS)},
        [(at, *one) for at, one in enumerate(one for batch in BATCHES for one in batch)],
    ),
}


@dataclass(frozen=True)
class Topic:
    name: str
    topic_id: bytes


def compacted_topic(raw: RawClient, name: str, config: dict[str, str]) -> Topic:
    """Skips where the broker says that it has no compaction."""
    configs = [CreatableTopicConfig(name=key, value=value) for key, value in config.items()]
    one = CreatableTopic(name=name, num_partitions=1, replication_factor=1, configs=configs)
    (made,) = raw.ask(CreateTopicsRequest(topics=[one]), 7, CreateTopicsResponse).topics
    if made.error_code in REFUSED:
        pytest.skip(f"cleanup.policy=compact is refused: {made.error_message}")
    assert_none(made.error_code)
    await_leaders(raw, name, 1)
    return Topic(name, made.topic_id)


def write(raw: RawClient, topic: str, *records: tuple[bytes, bytes | None], codec: Codec) -> None:
    now = now_ms()
    batch = build_batch([NewRecord(now, key, value) for key, value in records], codec=codec)
    assert_none(produce(raw, topic, batch).error_code)


def stored(raw: RawClient, topic: Topic) -> Stored:
    """All that a consumer gets, but for what was written to close segments."""
    end = list_offset(raw, topic.name, LATEST).offset
    found: Stored = []
    offset = 0
    while offset < end:
        got = fetch(raw, fetch_request(topic.topic_id, offset))
        assert_none(got.error_code)
        records = [one for one in records_of(got) if one.offset >= offset]
        assert records, f"nothing at {offset}, though {end} is the end"
        found += [(one.offset, one.key, one.value) for one in records if one.key != ROLL]
        offset = records[-1].offset + 1
    return found


@pytest.fixture(scope="module")
def cleaned(broker: Broker, unique: Callable[[str], str]) -> dict[str, Topic]:
    """The topics of all cases, once each has come to what is to stay, or has had its time."""
    with RawClient(broker.host, broker.port) as raw:
        topics = {
            case: compacted_topic(raw, unique("compacted"), {**EAGER, **one.config})
            for case, one in CASES.items()
        }
        for case, topic in topics.items():
            for batch in BATCHES:
                write(raw, topic.name, *batch, codec=CASES[case].codec)
        deadline = time.monotonic() + COMPACTED_S
        while any(stored(raw, topics[case]) != CASES[case].stays for case in topics):
            if time.monotonic() > deadline:
                break  # the tests say which
            for topic in topics.values():
                write(raw, topic.name, (ROLL, b""), codec=Codec.NONE)
            time.sleep(1)
    return topics


@pytest.fixture
def _known(request: pytest.FixtureRequest, broker: Broker) -> None:
    """kbroker takes the policy and does not compact yet (docs/differences.md), so it must fail.

    As one of a running `--bootstrap` it is judged as any other: it fails.
    """
    if isinstance(broker, Kbroker):
        request.applymarker(pytest.mark.xfail(strict=True, reason="kbroker does not compact yet"))


@pytest.mark.usefixtures("_known")
@pytest.mark.parametrize("case", [case for case in CASES if case != YOUNG])
def test_what_stays(broker: Broker, cleaned: dict[str, Topic], case: str) -> None:
    with RawClient(broker.host, broker.port) as raw:
        assert stored(raw, cleaned[case]) == CASES[case].stays


def test_what_is_too_young_stays_whole(broker: Broker, cleaned: dict[str, Topic]) -> None:
    """While the topics beside it were compacted."""
    with RawClient(broker.host, broker.port) as raw:
        assert stored(raw, cleaned[YOUNG]) == CASES[YOUNG].stays


@pytest.mark.usefixtures("_known")
def test_gaps_are_read_over(broker: Broker, cleaned: dict[str, Topic]) -> None:
    """A fetch from an offset that is gone gives what follows; the log begins where it began."""
    topic = cleaned["last"]
    with RawClient(broker.host, broker.port) as raw:
        assert list_offset(raw, topic.name, EARLIEST).offset == 0
        for offset, following in ((0, 2), (1, 2), (3, 4), (6, 7)):
            got = fetch(raw, fetch_request(topic.topic_id, offset))
            assert_none(got.error_code)
            assert next(r.offset for r in records_of(got) if r.offset >= offset) == following


@pytest.mark.usefixtures("_known")
def test_a_stock_consumer_reads_over_gaps(
    broker: Broker, cleaned: dict[str, Topic], unique: Callable[[str], str]
) -> None:
    topic = cleaned["gzip"]
    with RawClient(broker.host, broker.port) as raw:
        end = list_offset(raw, topic.name, LATEST).offset
    consumer = Consumer(
        {
            "bootstrap.servers": broker.bootstrap,
            "group.id": unique("gaps"),
            "enable.auto.commit": False,
        }
    )
    consumer.assign([TopicPartition(topic.name, 0, OFFSET_BEGINNING)])
    seen: Stored = []
    try:
        deadline = time.monotonic() + 60
        at = 0
        while at < end:
            assert time.monotonic() < deadline, seen
            message = consumer.poll(1)
            if message is None:
                continue
            assert message.error() is None
            offset = message.offset()
            assert offset is not None
            at = offset + 1
            if message.key() != ROLL:
                seen.append((offset, message.key(), message.value()))  # type: ignore[arg-type]
    finally:
        consumer.close()
    assert seen == CASES["gzip"].stays
