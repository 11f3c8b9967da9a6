"""A leader's answers to fetches: records, an order to truncate, or nothing until there are records.

Source: KafkaRaftClient.tryCompleteFetchRequest, its fetch purgatory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .messages import Fetch, FetchReply, Refusal
from .roles import NEVER

if TYPE_CHECKING:
    from .leading import Leading
    from .log import EpochLog, LogPosition
    from .voters import ReplicaKey


class _Parked(NamedTuple):
    """A fetch that waits for records or for a higher high watermark."""

    fetch: Fetch
    deadline_ms: int


class FetchServer:
    """Of one epoch of leadership."""

    def __init__(self, leading: Leading, local: ReplicaKey, log: EpochLog) -> None:
        self.leading = leading
        self._local = local
        self._log = log
        self._parked: dict[ReplicaKey, _Parked] = {}

    @property
    def deadline_ms(self) -> int:
        return min((parked.deadline_ms for parked in self._parked.values()), default=NEVER)

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
        self.leading.tracker.note_fetch(fetch.replica, fetch.offset, log.end_offset, now_ms)
        rose = self.leading.advance_watermark()
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

    def _reply(
        self,
        fetch: Fetch,
        refusal: Refusal = Refusal.NONE,
        diverging: LogPosition | None = None,
    ) -> FetchReply:
        watermark = self.leading.fresh_watermark
        serves = refusal is Refusal.NONE and diverging is None
        return FetchReply(
            epoch=self.leading.role.epoch,
            leader_id=self._local.id,
            asked=fetch.log_end,
            refusal=refusal,
            diverging=diverging,
            high_watermark=-1 if watermark is None else watermark,
            read_from=fetch.offset if serves and fetch.offset < self._log.end_offset else None,
        )
