"""What a leader does for those who replicate from it: serves fetches, keeps them waiting, counts
what they have.

Source: LeaderState, KafkaRaftClient.tryCompleteFetchRequest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .messages import Fetch, FetchReply, Refusal
from .quorum import Tracker
from .roles import NEVER

if TYPE_CHECKING:
    from .log import EpochLog, LogPosition
    from .roles import Leader
    from .voters import ReplicaKey, VoterSet


@dataclass(slots=True)
class _Parked:
    """A fetch that waits for records or for a higher high watermark."""

    fetch: Fetch
    deadline_ms: int


class Leading:
    """One epoch of leadership. `fresh_watermark` is None until a record of this epoch is
    replicated.
    """

    def __init__(
        self,
        role: Leader,
        local: ReplicaKey,
        voters: VoterSet,
        log: EpochLog,
        now_ms: int,
        quorum_timeout_ms: int,
    ) -> None:
        self.tracker = Tracker(local, voters, now_ms, quorum_timeout_ms)
        self.fresh_watermark: int | None = None
        self.begin_epoch_due_ms = now_ms
        self._role = role
        self._local = local
        self._log = log
        self._parked: dict[ReplicaKey, _Parked] = {}

    @property
    def deadline_ms(self) -> int:
        deadline = self.begin_epoch_due_ms
        if self.tracker.quorum_deadline_ms is not None:
            deadline = min(deadline, self.tracker.quorum_deadline_ms)
        return min([deadline, *(parked.deadline_ms for parked in self._parked.values())])

    def lost_quorum(self, now_ms: int) -> bool:
        """True if a majority has not fetched for too long: somebody else may well lead by now."""
        deadline = self.tracker.quorum_deadline_ms
        return deadline is not None and now_ms >= deadline

    def advance_watermark(self) -> bool:
        """Recount. True if the high watermark of this epoch rose."""
        replicated = self.tracker.replicated_offset()
        # A record of this epoch must be replicated before older ones count as committed (Raft,
        # figure 8).
        if replicated <= max(self._role.start_offset, self.fresh_watermark or 0):
            return False
        self.fresh_watermark = replicated
        return True

    def serve(self, fetch: Fetch, now_ms: int) -> FetchReply | None:
        """The answer to a fetch of this epoch, or None if it now waits for something to say."""
        log = self._log
        if fetch.offset < log.start_offset or (
            fetch.offset == log.start_offset > 0 and fetch.last_epoch != log.start_epoch
        ):
            return self._reply(fetch, Refusal.SNAPSHOT_NEEDED)
        diverging = log.divergence(fetch.offset, fetch.last_epoch) if fetch.offset > 0 else None
        if diverging is not None:
            return self._reply(fetch, diverging=diverging)
        self.tracker.note_fetch(fetch.replica, fetch.offset, log.end_offset, now_ms)
        rose = self.advance_watermark()
        if fetch.max_wait_ms > 0 and fetch.offset == log.end_offset and not rose:
            self._parked[fetch.replica] = _Parked(fetch, now_ms + fetch.max_wait_ms)
            return None
        return self._reply(fetch)

    def wake(self) -> list[tuple[ReplicaKey, FetchReply]]:
        """Answer everyone who waits: there are new records, or the high watermark rose."""
        parked, self._parked = self._parked, {}
        return [(key, self._reply(waiting.fetch)) for key, waiting in parked.items()]

    def expire(self, now_ms: int) -> list[tuple[ReplicaKey, FetchReply]]:
        """Answer those who have waited long enough."""
        due = [key for key, waiting in self._parked.items() if now_ms >= waiting.deadline_ms]
        return [(key, self._reply(self._parked.pop(key).fetch)) for key in due]

    def abandon(self, epoch: int) -> list[tuple[ReplicaKey, FetchReply]]:
        """Tell those who wait that this node leads no more; it is in `epoch` now."""
        parked, self._parked = self._parked, {}
        return [
            (
                key,
                FetchReply(
                    epoch=epoch,
                    leader_id=None,
                    asked=waiting.fetch.log_end,
                    refusal=Refusal.NOT_LEADER_OR_FOLLOWER,
                ),
            )
            for key, waiting in parked.items()
        ]

    def schedule_begin_epoch(self, now_ms: int, interval_ms: int) -> list[int]:
        """The voters that must still be told who leads; asks to be called again while there are
        any.
        """
        pending = self.tracker.unacknowledged()
        self.begin_epoch_due_ms = now_ms + interval_ms if pending else NEVER
        return pending

    def _reply(
        self,
        fetch: Fetch,
        refusal: Refusal = Refusal.NONE,
        diverging: LogPosition | None = None,
    ) -> FetchReply:
        serves = refusal is Refusal.NONE and diverging is None
        return FetchReply(
            epoch=self._role.epoch,
            leader_id=self._local.id,
            asked=fetch.log_end,
            refusal=refusal,
            diverging=diverging,
            high_watermark=-1 if self.fresh_watermark is None else self.fresh_watermark,
            read_from=fetch.offset if serves and fetch.offset < self._log.end_offset else None,
        )
