"""What the deadlines of classic groups are for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SessionDue:
    """A member was not heard of for its session timeout, or a new one did not come back with its
    id.
    """

    group_id: str
    member_id: str


@dataclass(frozen=True, slots=True)
class JoinDue:
    """The time to join a rebalance is over."""

    group_id: str


@dataclass(frozen=True, slots=True)
class SyncDue:
    """The time to send SyncGroup for a generation is over."""

    group_id: str
    generation_id: int


@dataclass(frozen=True, slots=True)
class CleanupDue:
    """Time to look for expired offsets and groups."""


GroupEvent = SessionDue | JoinDue | SyncDue | CleanupDue
