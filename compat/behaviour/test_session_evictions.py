"""Who loses its place when the cache of fetch sessions is full (KIP-227): brokers with few slots.

`max.incremental.fetch.session.cache.slots` is dealt out to eight shards, and new sessions to the
shards in turn, so that the session in whose shard a new one comes is known: eight before it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from compat.raw import RawClient
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.fetch import (
    FetchPartition,
    FetchRequest,
    FetchResponse,
    FetchTopic,
    ReplicaState,
)

from .asking import FETCH_VERSION, assert_none, make_topic

if TYPE_CHECKING:
    from collections.abc import Iterator

    from compat.conftest import NewBroker

pytestmark = [pytest.mark.full, pytest.mark.item(10)]

SHARDS = 8
PARTITIONS = 4
CONSUMER = -1
FOLLOWER = 77  # no broker of the cluster, and nobody asks who it is
STALE_S = 121  # a session is safe for two minutes


class Sessions:
    """Makes and uses sessions, over one connection."""

    def __init__(self, raw: RawClient, topic_id: bytes) -> None:
        self._raw = raw
        self._topic_id = topic_id
        self._epochs: dict[int, int] = {}

    def open(self, size: int = 1, replica_id: int = CONSUMER) -> int:
        """The id of a new session of so many partitions, 0 if there is no room for it.

        The partitions are answered all the same.
        """
        partitions = [
            FetchPartition(partition=index, partition_max_bytes=1 << 20) for index in range(size)
        ]
        request = FetchRequest(
            max_wait_ms=0,
            session_epoch=0,
            replica_state=ReplicaState(replica_id=replica_id),
            topics=[FetchTopic(topic_id=self._topic_id, partitions=partitions)],
        )
        response = self._raw.ask(request, FETCH_VERSION, FetchResponse)
        assert_none(response.error_code)
        assert sum(len(topic.partitions) for topic in response.responses) == size
        if response.session_id:
            assert response.session_id not in self._epochs
            self._epochs[response.session_id] = 1
        return response.session_id

    def open_many(self, count: int, size: int = 1, replica_id: int = CONSUMER) -> list[int]:
        return [self.open(size, replica_id) for _ in range(count)]

    def give_up(self, session_id: int) -> None:
        """Close it, as a client does that is closed itself."""
        request = FetchRequest(max_wait_ms=0, session_id=session_id, session_epoch=-1)
        response = self._raw.ask(request, FETCH_VERSION, FetchResponse)
        assert (response.error_code, response.session_id) == (ErrorCode.NONE, 0)

    def lives(self, session_id: int) -> bool:
        """Use it. One that was evicted is not known, and nothing is answered but that."""
        request = FetchRequest(
            max_wait_ms=0, session_id=session_id, session_epoch=self._epochs[session_id]
        )
        response = self._raw.ask(request, FETCH_VERSION, FetchResponse)
        if not response.error_code:
            self._epochs[session_id] += 1
            assert response.session_id == session_id
            return True
        assert response.error_code == ErrorCode.FETCH_SESSION_ID_NOT_FOUND
        assert (response.session_id, response.responses) == (0, [])
        return False


@pytest.fixture
def sessions(new_broker: NewBroker, request: pytest.FixtureRequest) -> Iterator[Sessions]:
    """Of a broker of its own with as many slots as the test says."""
    slots = request.param
    broker = new_broker({"max.incremental.fetch.session.cache.slots": str(slots)})
    with RawClient(broker.host, broker.port) as raw:
        yield Sessions(raw, make_topic(raw, "sessions", PARTITIONS))


@pytest.mark.parametrize("sessions", [0, SHARDS - 1], indirect=True)
def test_fewer_slots_than_shards_are_none(sessions: Sessions) -> None:
    assert sessions.open_many(2 * SHARDS) == [0] * 2 * SHARDS


@pytest.mark.parametrize(("sessions", "room"), [(8, 8), (15, 8), (16, 16)], indirect=["sessions"])
def test_a_consumer_evicts_no_session_that_is_in_use(sessions: Sessions, room: int) -> None:
    opened = sessions.open_many(room)
    assert 0 not in opened
    assert sessions.open_many(SHARDS, size=PARTITIONS) == [0] * SHARDS
    assert all(map(sessions.lives, opened))


@pytest.mark.parametrize("sessions", [16], indirect=True)
def test_a_place_that_is_given_up_is_its_shards(sessions: Sessions) -> None:
    opened = sessions.open_many(16)
    sessions.give_up(opened[3])
    again = sessions.open_many(SHARDS)
    assert [bool(each) for each in again] == [index == 3 for index in range(SHARDS)]
    assert not sessions.lives(opened[3])


@pytest.mark.parametrize("sessions", [16], indirect=True)
def test_a_follower_evicts_the_smallest_session_of_a_consumer(sessions: Sessions) -> None:
    larger = sessions.open_many(SHARDS, size=3)
    smaller = sessions.open_many(SHARDS, size=2)
    first = sessions.open_many(SHARDS, size=1, replica_id=FOLLOWER)
    assert 0 not in first
    assert not any(map(sessions.lives, smaller))
    assert all(map(sessions.lives, larger))
    second = sessions.open_many(SHARDS, size=1, replica_id=FOLLOWER)
    assert 0 not in second
    assert not any(map(sessions.lives, larger))
    # Among followers it is as among consumers.
    assert sessions.open_many(SHARDS, size=4, replica_id=FOLLOWER) == [0] * SHARDS
    assert sessions.open_many(SHARDS, size=4) == [0] * SHARDS
    assert all(map(sessions.lives, first + second))


@pytest.mark.parametrize("sessions", [16], indirect=True)
def test_what_is_stale_goes_first_and_then_what_is_old_and_smaller(sessions: Sessions) -> None:
    """Two minutes: the first session of each shard is left alone, or all but of shard 1."""
    first = sessions.open_many(SHARDS, size=2)
    second = sessions.open_many(SHARDS, size=2)
    time.sleep(STALE_S)
    assert all(map(sessions.lives, second))
    assert sessions.lives(first[1])
    small = sessions.open_many(SHARDS, size=1)
    # However small the new one is; but where both are in use it must not be smaller than they are.
    assert [bool(each) for each in small] == [index != 1 for index in range(SHARDS)]
    assert [sessions.lives(each) for each in first] == [index == 1 for index in range(SHARDS)]
    large = sessions.open_many(SHARDS, size=3)
    assert 0 not in large
    # The new small ones are smaller, and safe as they are new.
    assert all(sessions.lives(each) for each in small if each)
    assert not any(sessions.lives(each) for index, each in enumerate(second) if index != 1)
    assert sorted([sessions.lives(first[1]), sessions.lives(second[1])]) == [False, True]
