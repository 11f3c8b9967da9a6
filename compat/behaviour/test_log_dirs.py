"""Two log directories: how a partition moves between them, what a broker says of one that fails.

What is expected is what Apache Kafka 4.3.0 answers.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from compat.behaviour.asking import make_topic
from compat.brokers import ApacheKafka, BrokerProcess, Kbroker
from compat.log_dirs import (
    TwoDirectories,
    alter,
    await_that,
    leader_and_offline,
    lies,
    produce_one,
)
from compat.raw import RawClient
from kbroker.wire.errors import ErrorCode

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.own_broker

KINDS: dict[str, type[BrokerProcess]] = {"kbroker": Kbroker, "apache": ApacheKafka}


@pytest.fixture
def two(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TwoDirectories]:
    """A broker of the kind that is judged, with two log directories of its own."""
    kind = KINDS[request.config.getoption("--broker")]
    made = TwoDirectories(kind, tmp_path_factory.mktemp("two"))
    made.broker.start()
    try:
        yield made
    finally:
        made.broker.wipe()


@pytest.mark.ci
def test_a_partition_moves_and_nothing_else_changes(two: TwoDirectories) -> None:
    with RawClient(two.broker.host, two.broker.port) as raw:
        make_topic(raw, "moves", 2)
        for offset in range(20):
            assert produce_one(raw, "moves", 0) == (ErrorCode.NONE, offset)
        for turn in range(3):
            (home,) = lies(raw, "moves", 0)
            target = two.other(home)
            assert alter(raw, target, "moves", 0) is ErrorCode.NONE
            await_that(lambda to=target: lies(raw, "moves", 0) == {to: False})
            assert produce_one(raw, "moves", 0) == (ErrorCode.NONE, 20 + turn)
            assert leader_and_offline(raw, "moves", 0) == (ErrorCode.NONE, 1, [])
        assert alter(raw, "/no/such/directory", "moves", 0) is ErrorCode.LOG_DIR_NOT_FOUND
        (home,) = lies(raw, "moves", 0)
        assert alter(raw, home, "later", 0) is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        make_topic(raw, "later", 1)
        assert lies(raw, "later", 0) == {home: False}


@pytest.mark.full
def test_a_directory_that_fails_takes_its_partitions_alone(two: TwoDirectories) -> None:
    with RawClient(two.broker.host, two.broker.port) as raw:
        make_topic(raw, "fails", 2)
        for index in range(2):
            assert produce_one(raw, "fails", index) == (ErrorCode.NONE, 0)
        gone = next(i for i in range(2) if lies(raw, "fails", i) == {two.second: False})
        kept = 1 - gone
        two.take_second_away()
        await_that(lambda: leader_and_offline(raw, "fails", gone)[1] == -1)
        assert leader_and_offline(raw, "fails", gone) == (ErrorCode.LEADER_NOT_AVAILABLE, -1, [1])
        assert produce_one(raw, "fails", gone) == (ErrorCode.KAFKA_STORAGE_ERROR, -1)
        assert produce_one(raw, "fails", kept) == (ErrorCode.NONE, 1)
        assert alter(raw, two.second, "fails", kept) is ErrorCode.KAFKA_STORAGE_ERROR
        assert alter(raw, two.first, "fails", gone) is ErrorCode.KAFKA_STORAGE_ERROR
    two.broker.restart()
    with RawClient(two.broker.host, two.broker.port) as raw:
        await_that(lambda: leader_and_offline(raw, "fails", kept)[1] == 1)
        time.sleep(1)
        assert leader_and_offline(raw, "fails", gone) == (ErrorCode.LEADER_NOT_AVAILABLE, -1, [1])
        # Apache Kafka answers one or the other, as its start comes upon the directory.
        error, _ = produce_one(raw, "fails", gone)
        assert error in (ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.KAFKA_STORAGE_ERROR)
        error = alter(raw, two.first, "fails", gone)
        assert error in (ErrorCode.REPLICA_NOT_AVAILABLE, ErrorCode.KAFKA_STORAGE_ERROR)
    two.broker.stop()
    two.give_second_back()
    two.broker.start()
    with RawClient(two.broker.host, two.broker.port) as raw:
        await_that(lambda: leader_and_offline(raw, "fails", gone)[1] == 1)
        await_that(lambda: produce_one(raw, "fails", gone) == (ErrorCode.NONE, 1))
