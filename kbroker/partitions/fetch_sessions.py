"""Incremental fetch sessions (KIP-227): what a client fetches is kept here, so that it sends and
gets only changes.

Rules as in Kafka's FetchSession.scala: epochs count up per request, a partition is answered when
something of it changed, one that had data goes to the end of the line, and a full cache evicts
what is stale or smaller.
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
    uses_topic_ids: bool
    created_ms: int
    last_used_ms: int
    epoch: int
    partitions: dict[Key, FetchPartition]


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
    """One broker's sessions, at most `slots_max` (max.incremental.fetch.session.cache.slots)."""

    def __init__(self, slots_max: int, rng: random.Random) -> None:
        self._slots_max = slots_max
        self._rng = rng
        self._sessions: OrderedDict[int, FetchSession] = OrderedDict()  # least recently used first

    def __len__(self) -> int:
        return len(self._sessions)

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
                self._sessions.pop(session_id, None)
            return FetchContext(wanted.values(), None, epoch == EPOCH_INITIAL, epoch)
        session = self._sessions.get(session_id)
        if session is None:
            return ErrorCode.FETCH_SESSION_ID_NOT_FOUND
        if session.epoch != epoch:
            return ErrorCode.INVALID_FETCH_SESSION_EPOCH
        if session.uses_topic_ids != uses_topic_ids:
            return ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR
        _update(session.partitions, wanted, forgotten)
        if not session.partitions:
            del self._sessions[session_id]
            return FetchContext(wanted.values(), None, False, EPOCH_FINAL)
        session.last_used_ms = now_ms
        self._sessions.move_to_end(session_id)
        session.epoch = 1 if epoch == EPOCH_MAX else epoch + 1
        return FetchContext(session.partitions.values(), session, False, session.epoch)

    def create(
        self, partitions: dict[Key, FetchPartition], *, uses_topic_ids: bool, now_ms: int
    ) -> int:
        """A new session's id, or SESSION_ID_NONE where the cache is full of better ones."""
        if len(self._sessions) >= self._slots_max and not self._evict(len(partitions), now_ms):
            return SESSION_ID_NONE
        session_id = SESSION_ID_NONE
        while session_id == SESSION_ID_NONE or session_id in self._sessions:
            session_id = self._rng.randrange(1, EPOCH_MAX)
        self._sessions[session_id] = FetchSession(
            session_id, uses_topic_ids, now_ms, now_ms, EPOCH_INITIAL + 1, partitions
        )
        return session_id

    def _evict(self, size: int, now_ms: int) -> bool:
        if not self._sessions:
            return False
        oldest = next(iter(self._sessions.values()))
        if now_ms - oldest.last_used_ms > EVICTION_MS_MIN:
            del self._sessions[oldest.session_id]
            return True
        # Only consumers make sessions so far, and all of them are evictable by a larger one once
        # they are old enough.
        evictable = [s for s in self._sessions.values() if now_ms - s.created_ms > EVICTION_MS_MIN]
        smallest = min(evictable, key=lambda s: (len(s.partitions), s.session_id), default=None)
        if smallest is None or (size, 0) < (len(smallest.partitions), smallest.session_id):
            return False
        del self._sessions[smallest.session_id]
        return True


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
