"""Incremental fetch sessions (KIP-227): the broker remembers what a client fetches.

So the client sends only what it changes, and gets only partitions that have changed. The epoch of a
session grows with each request. A partition that returned data goes to the end of the order. There
are eight shards with a part of the slots each, and new sessions go to the shards in turn. A full
shard evicts a session that is stale or smaller, or a consumer's session if a follower wants a slot.
Source: FetchSession, FetchSessionCacheShard.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kbroker.wire.errors import ErrorCode

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable, ValuesView

SESSION_ID_NONE = 0
EPOCH_INITIAL = 0
EPOCH_FINAL = -1
EPOCH_MAX = (1 << 31) - 1
EVICTION_MS_MIN = 120_000  # Kafka: MIN_INCREMENTAL_FETCH_SESSION_EVICTION_MS
SHARDS = 8  # Kafka: NumFetchSessionCacheShards
IDS_A_SHARD = EPOCH_MAX // SHARDS

Key = tuple[str | bytes, int]


class FetchPartition:
    """A partition as a client wants it, and as it was last answered in this session."""

    __slots__ = (
        "answered_high_watermark",
        "answered_log_start_offset",
        "bytes_max",
        "current_leader_epoch",
        "fetch_offset",
        "index",
        "last_fetched_epoch",
        "topic",
        "topic_id",
    )

    def __init__(
        self,
        topic: str,
        topic_id: bytes,
        index: int,
        fetch_offset: int,
        bytes_max: int,
        current_leader_epoch: int,
        last_fetched_epoch: int,
    ) -> None:
        self.topic = topic  # "" where an id is not (yet) known
        self.topic_id = topic_id
        self.index = index
        self.fetch_offset = fetch_offset
        self.bytes_max = bytes_max
        self.current_leader_epoch = current_leader_epoch
        self.last_fetched_epoch = last_fetched_epoch
        self.answered_high_watermark = -1
        self.answered_log_start_offset = -1


@dataclass(slots=True)
class FetchSession:
    """One client's session."""

    session_id: int
    is_follower: bool
    uses_topic_ids: bool
    created_ms: int
    last_used_ms: int
    epoch: int
    partitions: dict[Key, FetchPartition]

    @property
    def rank(self) -> tuple[bool, int, int]:
        """The lower, the sooner another session may take its place."""
        return self.is_follower, len(self.partitions), self.session_id

    def is_evictable(self, *, by_follower: bool) -> bool:
        """By a session of a higher rank: one that was used when it was no longer new, and before
        that a consumer's by a follower's.
        """
        was_used_when_old = self.last_used_ms - self.created_ms > EVICTION_MS_MIN
        return was_used_when_old or (by_follower and not self.is_follower)


@dataclass(slots=True)
class FetchContext:
    """What one request is about. `session` is None without one; `may_create` where the client asked
    for one.
    """

    partitions: ValuesView[FetchPartition]
    session: FetchSession | None
    may_create: bool
    epoch: int  # the session's epoch that this request's answer belongs to


class FetchSessionCache:
    """One broker's sessions, at most `slots_max` (max.incremental.fetch.session.cache.slots), and
    no more than that divided by the shards in each: fewer slots than shards are none.
    """

    def __init__(self, slots_max: int, rng: random.Random) -> None:
        self._slots_a_shard = slots_max // SHARDS
        self._rng = rng
        # Of each shard, the least recently used first.
        self._shards: list[OrderedDict[int, FetchSession]] = [OrderedDict() for _ in range(SHARDS)]
        self._next_shard = 0

    def __len__(self) -> int:
        return sum(map(len, self._shards))

    def context(
        self,
        session_id: int,
        epoch: int,
        wanted: dict[Key, FetchPartition],
        forgotten: Iterable[Key],
        *,
        uses_topic_ids: bool,
        now_ms: int,
    ) -> FetchContext | ErrorCode:
        """What to read for this request; an error code where the session is not what the client
        thinks.
        """
        if epoch in (EPOCH_INITIAL, EPOCH_FINAL):
            if session_id != SESSION_ID_NONE:
                self._shard_of(session_id).pop(session_id, None)
            return FetchContext(wanted.values(), None, epoch == EPOCH_INITIAL, epoch)
        shard = self._shard_of(session_id)
        session = shard.get(session_id)
        if session is None:
            return ErrorCode.FETCH_SESSION_ID_NOT_FOUND
        if session.epoch != epoch:
            return ErrorCode.INVALID_FETCH_SESSION_EPOCH
        if session.uses_topic_ids != uses_topic_ids:
            return ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR
        _update(session.partitions, wanted, forgotten)
        if not session.partitions:
            del shard[session_id]
            return FetchContext(wanted.values(), None, False, EPOCH_FINAL)
        session.last_used_ms = now_ms
        shard.move_to_end(session_id)
        session.epoch = 1 if epoch == EPOCH_MAX else epoch + 1
        return FetchContext(session.partitions.values(), session, False, session.epoch)

    def create(
        self,
        partitions: dict[Key, FetchPartition],
        *,
        is_follower: bool,
        uses_topic_ids: bool,
        now_ms: int,
    ) -> int:
        """A new session's id, or SESSION_ID_NONE where the shard is full of better ones."""
        number = self._next_shard
        self._next_shard = (number + 1) % SHARDS
        shard = self._shards[number]
        if len(shard) >= self._slots_a_shard:
            evicted = _evicted(shard, is_follower, len(partitions), now_ms)
            if evicted is None:
                return SESSION_ID_NONE
            del shard[evicted.session_id]
        session_id = SESSION_ID_NONE
        while session_id == SESSION_ID_NONE or session_id in shard:
            session_id = self._rng.randrange(
                max(1, number * IDS_A_SHARD), (number + 1) * IDS_A_SHARD
            )
        shard[session_id] = FetchSession(
            session_id, is_follower, uses_topic_ids, now_ms, now_ms, EPOCH_INITIAL + 1, partitions
        )
        return session_id

    def _shard_of(self, session_id: int) -> OrderedDict[int, FetchSession]:
        """The one that has the session if there is such a session."""
        return self._shards[max(session_id, 0) // IDS_A_SHARD % SHARDS]


def _evicted(
    shard: OrderedDict[int, FetchSession], is_follower: bool, size: int, now_ms: int
) -> FetchSession | None:
    """The session that makes room for another."""
    if not shard:
        return None
    oldest = next(iter(shard.values()))
    if now_ms - oldest.last_used_ms > EVICTION_MS_MIN:
        return oldest
    evictable = [each for each in shard.values() if each.is_evictable(by_follower=is_follower)]
    least = min(evictable, key=lambda each: each.rank, default=None)
    return least if least is not None and (is_follower, size, 0) >= least.rank else None


def _update(
    partitions: dict[Key, FetchPartition],
    wanted: dict[Key, FetchPartition],
    forgotten: Iterable[Key],
) -> None:
    for key, want in wanted.items():
        have = partitions.get(key)
        if have is None:
            partitions[key] = want
            continue
        have.fetch_offset = want.fetch_offset
        have.bytes_max = want.bytes_max
        have.current_leader_epoch = want.current_leader_epoch
        have.last_fetched_epoch = want.last_fetched_epoch
        have.topic = have.topic or want.topic
    for key in forgotten:
        partitions.pop(key, None)
