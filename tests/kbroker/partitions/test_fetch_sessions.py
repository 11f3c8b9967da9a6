"""KIP-227: epochs, what a request adds and forgets, and who is evicted from a full cache."""

from __future__ import annotations

import random

import pytest

from kbroker.partitions.fetch_sessions import (
    EPOCH_FINAL,
    EPOCH_INITIAL,
    EPOCH_MAX,
    EVICTION_MS_MIN,
    SESSION_ID_NONE,
    SHARDS,
    FetchContext,
    FetchPartition,
    FetchSessionCache,
    Key,
)
from kbroker.wire.errors import ErrorCode


def wanted(*indexes: int, offset: int = 0) -> dict[Key, FetchPartition]:
    return {("t", i): FetchPartition("t", bytes(16), i, offset, 1 << 20, -1, -1) for i in indexes}


def cache(slots: int = SHARDS) -> FetchSessionCache:
    return FetchSessionCache(slots, random.Random(1))


def create(
    sessions: FetchSessionCache, size: int = 1, *, now_ms: int = 0, is_follower: bool = False
) -> int:
    return sessions.create(
        wanted(*range(size)), is_follower=is_follower, uses_topic_ids=False, now_ms=now_ms
    )


def fill(sessions: FetchSessionCache, size: int = 1, *, is_follower: bool = False) -> list[int]:
    """One new session in each shard."""
    return [create(sessions, size, is_follower=is_follower) for _ in range(SHARDS)]


def ask(
    sessions: FetchSessionCache,
    session_id: int,
    epoch: int,
    partitions: dict[Key, FetchPartition] | None = None,
    forgotten: tuple[Key, ...] = (),
    *,
    now_ms: int = 0,
    by_id: bool = False,
) -> FetchContext | ErrorCode:
    return sessions.context(
        session_id, epoch, partitions or {}, forgotten, uses_topic_ids=by_id, now_ms=now_ms
    )


def indexes(context: FetchContext | ErrorCode) -> list[int]:
    assert isinstance(context, FetchContext)
    return [p.index for p in context.partitions]


def test_a_full_request_may_create_a_session_and_a_final_one_may_not() -> None:
    sessions = cache()
    first = ask(sessions, SESSION_ID_NONE, EPOCH_INITIAL, wanted(0))
    last = ask(sessions, SESSION_ID_NONE, EPOCH_FINAL, wanted(0))
    assert isinstance(first, FetchContext)
    assert isinstance(last, FetchContext)
    assert (first.may_create, last.may_create) == (True, False)
    assert first.session is last.session is None


def test_an_incremental_request_reads_what_the_session_knows_with_its_changes() -> None:
    sessions = cache()
    session_id = create(sessions, 3)
    assert indexes(ask(sessions, session_id, 1)) == [0, 1, 2]
    changed = ask(sessions, session_id, 2, wanted(1, 3, offset=9), (("t", 0),))
    assert isinstance(changed, FetchContext)
    assert [(p.index, p.fetch_offset) for p in changed.partitions] == [(1, 9), (2, 0), (3, 9)]


def test_an_incremental_request_changes_all_that_a_client_may_say_of_a_partition() -> None:
    sessions = cache()
    session_id = create(sessions)
    changed = FetchPartition("t", bytes(16), 0, 9, 4096, 5, 4)
    ask(sessions, session_id, 1, {("t", 0): changed})
    context = ask(sessions, session_id, 2)
    assert isinstance(context, FetchContext)
    (known,) = context.partitions
    assert (known.fetch_offset, known.bytes_max) == (9, 4096)
    assert (known.current_leader_epoch, known.last_fetched_epoch) == (5, 4)


@pytest.mark.parametrize("epoch", [0 + 2, 7, EPOCH_MAX])
def test_an_epoch_out_of_line_is_an_error_and_changes_nothing(epoch: int) -> None:
    sessions = cache()
    session_id = create(sessions)
    assert ask(sessions, session_id, epoch) is ErrorCode.INVALID_FETCH_SESSION_EPOCH
    assert indexes(ask(sessions, session_id, 1)) == [0]


def test_the_epoch_after_the_largest_is_1() -> None:
    sessions = cache()
    session_id = create(sessions)
    context = ask(sessions, session_id, 1)
    assert isinstance(context, FetchContext)
    assert context.session is not None
    context.session.epoch = EPOCH_MAX
    last = ask(sessions, session_id, EPOCH_MAX)
    assert isinstance(last, FetchContext)
    assert last.epoch == 1


def test_an_unknown_session_is_an_error() -> None:
    assert ask(cache(), 77, 1) is ErrorCode.FETCH_SESSION_ID_NOT_FOUND


def test_a_session_keeps_to_names_or_to_ids() -> None:
    sessions = cache()
    session_id = create(sessions)
    assert ask(sessions, session_id, 1, by_id=True) is ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR


def test_a_session_left_without_partitions_ends() -> None:
    sessions = cache()
    session_id = create(sessions)
    context = ask(sessions, session_id, 1, forgotten=(("t", 0),))
    assert indexes(context) == []
    assert ask(sessions, session_id, 2) is ErrorCode.FETCH_SESSION_ID_NOT_FOUND


def test_a_full_request_with_a_session_id_ends_that_session() -> None:
    sessions = cache()
    session_id = create(sessions)
    ask(sessions, session_id, EPOCH_INITIAL, wanted(1))
    assert len(sessions) == 0


@pytest.mark.parametrize(
    ("size", "age_ms", "used_ms", "gets_in"),
    [
        (9, EVICTION_MS_MIN, EVICTION_MS_MIN, False),
        (9, EVICTION_MS_MIN + 1, EVICTION_MS_MIN + 1, True),
        (9, EVICTION_MS_MIN + 1, EVICTION_MS_MIN, False),
        (1, EVICTION_MS_MIN + 1, EVICTION_MS_MIN + 1, False),
        (1, EVICTION_MS_MIN + 1, 1, False),
        (1, EVICTION_MS_MIN + 1, 0, True),
    ],
    ids=["young", "old and smaller", "not used when old", "old and larger", "not stale", "stale"],
)
def test_a_full_shard_makes_room_for_a_better_session_only(
    size: int, age_ms: int, used_ms: int, gets_in: bool
) -> None:
    sessions = cache()
    old = fill(sessions, 2)
    ask(sessions, old[0], 1, now_ms=used_ms)
    created = create(sessions, size, now_ms=age_ms)
    assert (created != SESSION_ID_NONE) is gets_in
    assert len(sessions) == SHARDS


@pytest.mark.parametrize(
    ("slots", "room"), [(0, 0), (SHARDS - 1, 0), (SHARDS, 1), (2 * SHARDS - 1, 1), (1000, 125)]
)
def test_slots_are_dealt_out_to_shards(slots: int, room: int) -> None:
    sessions = cache(slots)
    created = [create(sessions) for _ in range((room + 1) * SHARDS)]
    assert [each != SESSION_ID_NONE for each in created] == (
        [True] * room * SHARDS + [False] * SHARDS
    )


def test_a_follower_evicts_the_smallest_of_the_consumers_sessions_but_no_follower() -> None:
    sessions = cache(2 * SHARDS)
    larger, smaller = fill(sessions, 3), fill(sessions, 2)
    first = fill(sessions, 1, is_follower=True)
    assert SESSION_ID_NONE not in first
    lost = ErrorCode.FETCH_SESSION_ID_NOT_FOUND
    assert all(ask(sessions, each, 1) is lost for each in smaller)
    assert all(ask(sessions, each, 1) is not lost for each in larger)
    assert SESSION_ID_NONE not in fill(sessions, 1, is_follower=True)
    assert all(ask(sessions, each, 2) is lost for each in larger)
    assert set(fill(sessions, 9, is_follower=True)) == {SESSION_ID_NONE}
    assert set(fill(sessions, 9)) == {SESSION_ID_NONE}
    assert all(ask(sessions, each, 1) is not lost for each in first)
