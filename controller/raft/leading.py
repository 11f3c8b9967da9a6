"""What a leader knows of the voters' logs, and from that which of its records are committed.

Source: LeaderState.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .quorum import Tracker
from .roles import NEVER

if TYPE_CHECKING:
    from .roles import Leader
    from .voters import ReplicaKey, VoterSet


class Leading:
    """One epoch of leadership. `fresh_watermark` is None until a record of this epoch is
    replicated.
    """

    def __init__(
        self,
        role: Leader,
        local: ReplicaKey,
        voters: VoterSet,
        now_ms: int,
        quorum_timeout_ms: int,
    ) -> None:
        self.role = role
        self.tracker = Tracker(local, voters, now_ms, quorum_timeout_ms)
        self.fresh_watermark: int | None = None
        self.begin_epoch_due_ms = now_ms if self.tracker.unacknowledged() else NEVER

    @property
    def deadline_ms(self) -> int:
        if self.tracker.quorum_deadline_ms is None:
            return self.begin_epoch_due_ms
        return min(self.begin_epoch_due_ms, self.tracker.quorum_deadline_ms)

    def lost_quorum(self, now_ms: int) -> bool:
        """True if a majority has not fetched for too long: somebody else may well lead by now."""
        deadline = self.tracker.quorum_deadline_ms
        return deadline is not None and now_ms >= deadline

    def advance_watermark(self) -> bool:
        """Recount. True if the high watermark of this epoch rose."""
        replicated = self.tracker.replicated_offset()
        # A record of this epoch must be replicated before older ones count as committed (Raft,
        # figure 8).
        if replicated <= max(self.role.start_offset, self.fresh_watermark or 0):
            return False
        self.fresh_watermark = replicated
        return True

    def schedule_begin_epoch(self, now_ms: int, interval_ms: int) -> list[int]:
        """The voters that must still be told who leads; asks to be called again while there are
        any.
        """
        pending = self.tracker.unacknowledged()
        self.begin_epoch_due_ms = now_ms + interval_ms if pending else NEVER
        return pending
