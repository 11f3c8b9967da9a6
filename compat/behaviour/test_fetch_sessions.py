"""Fetch sessions (KIP-227)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.fetch import (
    FetchPartition,
    FetchRequest,
    FetchResponse,
    FetchTopic,
    ForgottenTopic,
)

from .asking import FETCH_VERSION, assert_error, assert_none, batch, make_topic, produce

if TYPE_CHECKING:
    from collections.abc import Callable

    from compat.raw import RawClient

pytestmark = [pytest.mark.ci, pytest.mark.item(10)]

PARTITIONS = 4


class Session:
    """A consumer's incremental fetches of one topic."""

    def __init__(self, raw: RawClient, topic_id: bytes) -> None:
        self.raw = raw
        self.topic_id = topic_id
        self.session_id = 0
        self.epoch = 0

    def ask(
        self, positions: dict[int, int] | None = None, forgotten: tuple[int, ...] = ()
    ) -> FetchResponse:
        """Fetch, with new or changed positions only; then count the epoch on."""
        partitions = [
            FetchPartition(partition=p, fetch_offset=offset, partition_max_bytes=1 << 20)
            for p, offset in (positions or {}).items()
        ]
        request = FetchRequest(
            max_wait_ms=0,
            min_bytes=0,
            session_id=self.session_id,
            session_epoch=self.epoch,
            topics=[FetchTopic(topic_id=self.topic_id, partitions=partitions)]
            if partitions
            else [],
            forgotten_topics_data=[
                ForgottenTopic(topic_id=self.topic_id, partitions=list(forgotten))
            ]
            if forgotten
            else [],
        )
        response = self.raw.ask(request, FETCH_VERSION, FetchResponse)
        if not response.error_code:
            self.session_id = response.session_id
            self.epoch += 1
        return response


def partitions_in(response: FetchResponse) -> set[int]:
    assert_none(response.error_code)
    return {p.partition_index for topic in response.responses for p in topic.partitions}


@pytest.fixture
def topic(raw: RawClient, unique: Callable[[str], str]) -> tuple[str, bytes]:
    name = unique("sessions")
    return name, make_topic(raw, name, PARTITIONS)


@pytest.fixture
def session(raw: RawClient, topic: tuple[str, bytes]) -> Session:
    """One that fetches every partition from 0."""
    session = Session(raw, topic[1])
    assert partitions_in(session.ask(dict.fromkeys(range(PARTITIONS), 0))) == {0, 1, 2, 3}
    assert session.session_id > 0
    return session


def test_only_what_changed_comes_back(
    raw: RawClient, topic: tuple[str, bytes], session: Session
) -> None:
    assert partitions_in(session.ask()) == set()
    produce(raw, topic[0], batch(b"v"), partition=2)
    assert partitions_in(session.ask()) == {2}
    assert partitions_in(session.ask()) == {2}  # not moved on: the record is still there
    assert partitions_in(session.ask({2: 1})) == set()


def test_forgotten_partitions_are_not_fetched(
    raw: RawClient, topic: tuple[str, bytes], session: Session
) -> None:
    assert partitions_in(session.ask(forgotten=(2, 3))) == set()
    for partition in range(PARTITIONS):
        produce(raw, topic[0], batch(b"v"), partition=partition)
    assert partitions_in(session.ask()) == {0, 1}
    assert partitions_in(session.ask({3: 0})) == {0, 1, 3}


def test_an_error_comes_every_time(session: Session) -> None:
    assert partitions_in(session.ask({1: 77})) == {1}
    again = session.ask()
    assert partitions_in(again) == {1}
    code = again.responses[0].partitions[0].error_code
    assert_error(code, ErrorCode.OFFSET_OUT_OF_RANGE)
    assert partitions_in(session.ask({1: 0})) >= {1}
    assert partitions_in(session.ask()) == set()


def test_a_wrong_epoch_and_an_unknown_session_are_errors(session: Session) -> None:
    session.epoch += 1
    assert_error(session.ask().error_code, ErrorCode.INVALID_FETCH_SESSION_EPOCH)
    session.epoch -= 1
    assert_none(session.ask().error_code)
    session.session_id ^= 0x5555
    assert_error(session.ask().error_code, ErrorCode.FETCH_SESSION_ID_NOT_FOUND)


def test_the_final_epoch_closes_the_session(session: Session) -> None:
    live = session.session_id
    session.epoch = -1
    closing = session.ask({0: 0})
    assert closing.session_id == 0
    session.session_id, session.epoch = live, 2
    assert_error(session.ask().error_code, ErrorCode.FETCH_SESSION_ID_NOT_FOUND)


def test_epoch_0_with_a_session_starts_a_new_one(session: Session) -> None:
    old = session.session_id
    session.epoch = 0
    assert partitions_in(session.ask({0: 0})) == {0}
    assert session.session_id not in (0, old)


def test_without_a_session_every_partition_comes(raw: RawClient, topic: tuple[str, bytes]) -> None:
    session = Session(raw, topic[1])
    session.epoch = -1
    response = session.ask(dict.fromkeys(range(PARTITIONS), 0))
    assert response.session_id == 0
    assert partitions_in(response) == {0, 1, 2, 3}


def test_a_moved_high_watermark_is_news(
    raw: RawClient, topic: tuple[str, bytes], session: Session
) -> None:
    """Even where nothing is to be read: the partition is at its new end already."""
    produce(raw, topic[0], batch(b"v"), partition=0)
    assert partitions_in(session.ask({0: 1})) == {0}
    assert partitions_in(session.ask()) == set()
