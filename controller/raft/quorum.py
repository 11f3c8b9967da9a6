"""Majorities and the high watermark, and what a leader knows of its replicas.

Source: LeaderState (maybeUpdateHighWatermark, checkQuorum), EpochElection.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from .voters import ReplicaKey, VoterSet

# A replica that is no voter and has not fetched for so long is forgotten
# (LeaderState.OBSERVER_SESSION_TIMEOUT_MS).
OBSERVER_SESSION_TIMEOUT_MS = 300_000


def majority(voters: int) -> int:
    """The least number of voters of which any two groups share one."""
    return voters // 2 + 1


def is_won(granted: Collection[int], voters: int) -> bool:
    return len(granted) >= majority(voters)


def is_lost(rejected: Collection[int], voters: int) -> bool:
    """True once those who have not refused are too few to win."""
    return voters - len(rejected) < majority(voters)


def replicated_offset(match_offsets: Iterable[int]) -> int:
    """The largest offset that a majority has reached, given each voter's durable end offset (-1:
    unknown).
    """
    descending = sorted(match_offsets, reverse=True)
    return descending[majority(len(descending)) - 1]


@dataclass(slots=True)
class Progress:
    """What the leader knows of one replica. Times are -1 until it has fetched."""

    key: ReplicaKey
    match_offset: int = -1
    last_fetch_ms: int = -1
    last_fetch_leader_end: int = -1
    last_caught_up_ms: int = -1
    acknowledged: bool = False


class Tracker:
    """A leader's view of its voters and observers over one epoch."""

    __slots__ = (
        "_fetched",
        "_local",
        "_observers",
        "_quorum_deadline_ms",
        "_timeout_ms",
        "_voters",
        "voters",
    )

    def __init__(self, local: ReplicaKey, voters: VoterSet, now_ms: int, timeout_ms: int) -> None:
        """`timeout_ms`: how long the leader goes on without fetches from a majority (check
        quorum).
        """
        self._local = local
        self.voters = voters
        self._voters = {voter.key.id: Progress(voter.key) for voter in voters}
        self._observers: dict[ReplicaKey, Progress] = {}
        self._fetched: set[int] = set()
        self._timeout_ms = timeout_ms
        self._quorum_deadline_ms = now_ms + timeout_ms

    def name_voters(self, voters: VoterSet) -> None:
        """The same voters, of whom more is known."""
        assert voters.ids == self.voters.ids
        self.voters = voters
        for voter in voters:
            self._voters[voter.key.id].key = voter.key

    def _of(self, key: ReplicaKey) -> Progress:
        if self.voters.contains(key):
            return self._voters[key.id]
        return self._observers.setdefault(key, Progress(key))

    def note_local(self, durable_offset: int) -> None:
        """The leader's own log is durable up to here."""
        if self.voters.contains(self._local):
            self._voters[self._local.id].match_offset = durable_offset

    def note_fetch(self, key: ReplicaKey, offset: int, leader_end: int, now_ms: int) -> None:
        """`key` asks for `offset`: everything before it is durable there."""
        progress = self._of(key)
        if offset >= leader_end:
            progress.last_caught_up_ms = now_ms
        elif 0 < progress.last_fetch_leader_end <= offset:
            progress.last_caught_up_ms = max(progress.last_caught_up_ms, progress.last_fetch_ms)
        progress.last_fetch_leader_end = leader_end
        progress.last_fetch_ms = now_ms
        progress.match_offset = offset
        progress.acknowledged = True
        if self.voters.contains(key):
            self._fetched.add(key.id)
            if len(self._fetched) >= majority(len(self._voters)) - self._own_vote:
                self._fetched.clear()
                self._quorum_deadline_ms = now_ms + self._timeout_ms

    @property
    def _own_vote(self) -> int:
        return 1 if self.voters.contains(self._local) else 0

    @property
    def quorum_deadline_ms(self) -> int | None:
        """When this leader must step down unless a majority fetches; None if its own vote is a
        majority.
        """
        return None if majority(len(self._voters)) <= self._own_vote else self._quorum_deadline_ms

    @property
    def follows_others(self) -> bool:
        """True if some other node replicates this log."""
        return bool(self._observers) or len(self._voters) > self._own_vote

    def acknowledge(self, node_id: int) -> None:
        if node_id in self._voters:
            self._voters[node_id].acknowledged = True

    def unacknowledged(self) -> list[int]:
        """Voters that may not yet know who leads."""
        return [
            node_id
            for node_id, progress in self._voters.items()
            if not progress.acknowledged and progress.key.id != self._local.id
        ]

    def replicated_offset(self) -> int:
        return replicated_offset(progress.match_offset for progress in self._voters.values())

    def successors(self) -> list[int]:
        """The other voters, most caught up first: in that order they should stand for election."""
        others = [p for p in self._voters.values() if p.key.id != self._local.id]
        return [p.key.id for p in sorted(others, key=lambda p: (-p.match_offset, p.key.id))]

    def forget_silent_observers(self, now_ms: int) -> None:
        for key, progress in list(self._observers.items()):
            if now_ms - progress.last_fetch_ms >= OBSERVER_SESSION_TIMEOUT_MS:
                del self._observers[key]

    def replicas(self) -> tuple[list[Progress], list[Progress]]:
        """Voters and observers, for DescribeQuorum."""
        return list(self._voters.values()), list(self._observers.values())
