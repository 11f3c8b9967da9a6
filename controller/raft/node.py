"""RaftNode: one node of the quorum, as a state machine without I/O, clock or randomness.

The node keeps a summary of the local log (EpochLog). The driver must carry out the effects of each
step before the next step. Safety depends on three orders: a vote is stored before it is sent; a
follower's records are durable before it fetches from behind them; a leader counts its own log only
as far as it is flushed.

Sources: KafkaRaftClient, QuorumState and LeaderState of 4.x. Not here: the encoding of RPCs and the
connections (transport); FetchSnapshot and changes of the voter set (KIP-853), which are not built.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, assert_never

from .control import leader_change_batch, quorum_batch
from .effects import Append, Effects, Event, Flushed, NameVoters, Receive, Resign, Tick, Unwritten
from .election import ElectionState
from .leading import Leading
from .log import NewBatch
from .quorum import is_lost, is_won
from .roles import (
    MOVES,
    Candidate,
    Follower,
    Leader,
    Prospective,
    Resigned,
    Role,
    Unattached,
)

if TYPE_CHECKING:
    from random import Random

    from .log import EpochLog
    from .peers import Peers
    from .quorum import Tracker
    from .voters import ReplicaKey, VoterSet

# The leader tolerates some travel time beyond the followers' fetch timeout
# (LeaderState.CHECK_QUORUM_TIMEOUT_FACTOR).
CHECK_QUORUM_TIMEOUT_FACTOR = 1.5


class RaftConfig(NamedTuple):
    """`controller.quorum.*`, milliseconds."""

    election_timeout_ms: int = 1000
    fetch_timeout_ms: int = 2000
    request_timeout_ms: int = 2000
    fetch_max_wait_ms: int = 500


class RaftNode:
    """One node. Call `start` once, then `step` for every event; carry out each step's effects
    before
    the next. Beside these and the properties, what is public is for Peers, the half of the node
    that talks to others: a lone voter has none until somebody speaks to it.
    """

    def __init__(
        self,
        *,
        local: ReplicaKey,
        voters: VoterSet,
        log: EpochLog,
        stored: ElectionState | None,
        config: RaftConfig,
        rng: Random,
        kraft_version: int = 0,
    ) -> None:
        """`stored` is what the quorum-state file holds, None before the first election."""
        self.local = local
        self.voters = voters
        self.log = log
        self.kraft_version = kraft_version
        self.config = config
        self.rng = rng
        self.high_watermark: int | None = None
        self.role: Role = Unattached(epoch=0, deadline_ms=0)
        self.effects = Effects()
        self.leading: Leading | None = None
        self._stored = stored or ElectionState(epoch=0)
        self._peers: Peers | None = None
        if not voters.is_only(local):
            self._meet_peers()

    def _meet_peers(self) -> Peers:
        if self._peers is None:
            from .peers import Peers

            self._peers = Peers(self)
        return self._peers

    # What others may ask

    @property
    def epoch(self) -> int:
        return self.role.epoch

    @property
    def is_leader(self) -> bool:
        return isinstance(self.role, Leader)

    @property
    def leader_id(self) -> int | None:
        match self.role:
            case Leader() | Resigned():
                return self.local.id
            case Follower() | Unattached() | Prospective():
                return self.role.leader_id
            case Candidate():
                return None

    @property
    def is_voter(self) -> bool:
        return self.voters.contains(self.local)

    @property
    def tracker(self) -> Tracker | None:
        """The leader's view of its replicas; None on other nodes."""
        return self.leading.tracker if self.leading is not None else None

    @property
    def deadline_ms(self) -> int:
        """When step(Tick) is due at the latest."""
        deadline = self.role.deadline_ms
        if self.leading is not None:
            deadline = min(deadline, self.leading.deadline_ms)
        return min(deadline, self._peers.deadline_ms) if self._peers is not None else deadline

    # Events

    def start(self, now_ms: int) -> Effects:
        """Take up the role that the stored state and the log allow; a lone voter is leader when
        this returns.
        """
        stored = self._stored
        timeout = self.election_deadline(now_ms)
        if stored.epoch < self.log.last_epoch:
            role: Role = Unattached(epoch=self.log.last_epoch, deadline_ms=timeout)
        elif stored.leader_id == self.local.id:
            # Unflushed records of our old epoch may be lost, so no record may ever be written in it
            # again.
            role = Unattached(epoch=stored.epoch + 1, deadline_ms=timeout)
        elif stored.leader_id is not None and self.voters.get(stored.leader_id) is not None:
            role = Follower(
                epoch=stored.epoch,
                leader_id=stored.leader_id,
                voted=stored.voted,
                deadline_ms=self.fetch_deadline(now_ms),
            )
        else:
            role = Unattached(
                epoch=stored.epoch,
                leader_id=stored.leader_id,
                voted=stored.voted,
                deadline_ms=timeout,
            )
        self.role = role
        self._persist()
        if self.voters.is_only(self.local):
            self._stand_for_pre_vote(now_ms)
        elif isinstance(role, Follower) and self._peers is not None:
            self._peers.send_fetch(now_ms)
        return self._take_effects()

    def step(self, event: Event, now_ms: int) -> Effects:
        """What `event` at `now_ms` makes this node do."""
        match event:
            case Tick():
                self._on_tick(now_ms)
            case Append():
                self._on_append(event)
            case NameVoters():
                self._on_name_voters(event)
            case Unwritten():
                self._on_unwritten(event)
            case Flushed():
                self._on_flushed(event, now_ms)
            case Receive():
                self._meet_peers().on_message(event.source, event.message, now_ms)
            case Resign():
                if isinstance(self.role, Leader):
                    self.resign(now_ms)
            case _:
                assert_never(event)
        return self._take_effects()

    def _take_effects(self) -> Effects:
        effects, self.effects = self.effects, Effects()
        return effects

    # Roles

    def become(self, role: Role) -> None:
        """The only place where the role changes."""
        assert type(role) in MOVES[type(self.role)], f"{self.role} cannot become {role}"
        assert role.epoch >= self.role.epoch, f"epoch would fall: {self.role} to {role}"
        entered = type(role) is not type(self.role) or role.epoch != self.role.epoch
        self.role = role
        self._persist()
        if not entered:
            return
        if self._peers is not None:
            self._peers.on_role_changed()
        self.leading = None

    def _persist(self) -> None:
        match self.role:
            case Leader() | Resigned():
                state = ElectionState(epoch=self.role.epoch, leader_id=self.local.id)
            case Candidate():
                state = ElectionState(epoch=self.role.epoch, voted=self.role.voted)
            case Unattached() | Prospective() | Follower():
                state = ElectionState(
                    epoch=self.role.epoch, leader_id=self.role.leader_id, voted=self.role.voted
                )
        if state != self._stored:
            self._stored = state
            self.effects.persist = state

    def election_deadline(self, now_ms: int) -> int:
        if not self.is_voter:
            return now_ms  # an observer does not stand: it asks around at once
        timeout = self.config.election_timeout_ms
        return now_ms + timeout + self.rng.randrange(timeout + 1)

    def fetch_deadline(self, now_ms: int) -> int:
        return now_ms + self.config.fetch_timeout_ms

    def become_unattached(self, epoch: int, now_ms: int) -> None:
        deadline = self.role.deadline_ms
        if not isinstance(self.role, Unattached | Prospective | Candidate):
            deadline = self.election_deadline(now_ms)
        self.become(Unattached(epoch=epoch, deadline_ms=deadline))

    def become_follower(self, epoch: int, leader_id: int, now_ms: int) -> None:
        voted = None
        if epoch == self.epoch and not isinstance(self.role, Leader | Resigned):
            voted = self.role.voted
        self.become(
            Follower(
                epoch=epoch,
                leader_id=leader_id,
                voted=voted,
                deadline_ms=self.fetch_deadline(now_ms),
            )
        )
        if self._peers is not None:
            self._peers.send_fetch(now_ms)

    def _stand_for_pre_vote(self, now_ms: int) -> None:
        role = self.role
        assert self.is_voter
        voted = role.voted if isinstance(role, Unattached | Follower | Candidate) else None
        self.become(
            Prospective(
                epoch=role.epoch,
                leader_id=self.leader_id,
                voted=voted,
                granted=frozenset({self.local.id}),
                deadline_ms=self.election_deadline(now_ms),
            )
        )
        self.count_votes(now_ms)

    def count_votes(self, now_ms: int) -> None:
        """Move on if the pre-vote or the election is decided, and ask those who have not
        answered.
        """
        role = self.role
        if isinstance(role, Prospective) and is_won(role.granted, len(self.voters)):
            self.become(
                Candidate(
                    epoch=role.epoch + 1,
                    voted=self.local,
                    granted=frozenset({self.local.id}),
                    deadline_ms=self.election_deadline(now_ms),
                )
            )
            role = self.role
        if isinstance(role, Candidate) and is_won(role.granted, len(self.voters)):
            self._lead(role, now_ms)
        elif isinstance(role, Prospective) and is_lost(role.rejected, len(self.voters)):
            self._lose_pre_vote(role, now_ms)
        elif isinstance(role, Prospective | Candidate) and self._peers is not None:
            self._peers.send_votes(now_ms)

    def _lose_pre_vote(self, role: Prospective, now_ms: int) -> None:
        if role.leader_id is not None and role.leader_id != self.local.id:
            self.become_follower(role.epoch, role.leader_id, now_ms)
            return
        self.become(
            Unattached(
                epoch=role.epoch, voted=role.voted, deadline_ms=self.election_deadline(now_ms)
            )
        )

    def _lead(self, won: Candidate, now_ms: int) -> None:
        start = self.log.end_offset
        role = Leader(epoch=won.epoch, start_offset=start, granting=won.granted)
        self.become(role)
        timeout = int(self.config.fetch_timeout_ms * CHECK_QUORUM_TIMEOUT_FACTOR)
        self.leading = Leading(role, self.local, self.voters, now_ms, timeout)
        self._append(
            leader_change_batch(
                base_offset=start,
                epoch=won.epoch,
                leader=self.local,
                voters=self.voters,
                granting=won.granted,
            )
        )
        if self._peers is not None:
            self._peers.send_begin_epoch(now_ms)

    def resign(self, now_ms: int) -> None:
        assert self.leading is not None
        successors = tuple(self.leading.tracker.successors())
        self.become(
            Resigned(
                epoch=self.epoch,
                successors=successors,
                unacknowledged=frozenset(successors),
                deadline_ms=self.election_deadline(now_ms),
            )
        )
        if self._peers is not None:
            self._peers.send_end_epoch(successors, now_ms)

    # Time

    def _on_tick(self, now_ms: int) -> None:
        if self.leading is not None:
            if self.leading.lost_quorum(now_ms):
                self.resign(now_ms)
            elif self._peers is not None:
                self._peers.lead_on(self.leading, now_ms)
        elif now_ms >= self.role.deadline_ms:
            self._on_timeout(self.role, now_ms)
        elif self._peers is not None:
            self._peers.resend(now_ms)

    def _on_timeout(self, role: Role, now_ms: int) -> None:
        match role:
            case Unattached() | Follower() if not self.is_voter:
                self.become(role._replace(deadline_ms=self.fetch_deadline(now_ms)))
                self._meet_peers().look_for_leader(now_ms)
            case Unattached() | Candidate() | Follower():
                self._stand_for_pre_vote(now_ms)
            case Prospective():
                self._lose_pre_vote(role, now_ms)
            case Resigned():
                self.become_unattached(role.epoch + 1, now_ms)
            case Leader():
                raise AssertionError("a leader has no election timeout")

    # The log

    def _append(self, batch: NewBatch) -> None:
        self.log.append(batch.epoch, batch.base_offset, batch.end_offset)
        self.effects.append.append(batch)
        self.effects.flush = True

    def _on_append(self, event: Append) -> None:
        assert isinstance(self.role, Leader), f"{self.role} cannot append"
        self._append(
            NewBatch(base_offset=self.log.end_offset, epoch=self.epoch, values=event.values)
        )
        if self._peers is not None:
            self._peers.wake_fetches()

    def _on_name_voters(self, event: NameVoters) -> None:
        assert self.leading is not None, f"{self.role} cannot name voters"
        self.voters, self.kraft_version = event.voters, event.kraft_version
        self.leading.tracker.name_voters(event.voters)
        self._append(
            quorum_batch(
                event.voters,
                event.kraft_version,
                base_offset=self.log.end_offset,
                epoch=self.epoch,
            )
        )
        if self._peers is not None:
            self._peers.wake_fetches()

    def _on_unwritten(self, event: Unwritten) -> None:
        assert self.leading is not None, f"{self.role} has not appended"
        self.log.truncate_to(event.base_offset)
        if event.voters != self.voters:
            self.leading.tracker.name_voters(event.voters)
        self.voters, self.kraft_version = event.voters, event.kraft_version

    def _on_flushed(self, event: Flushed, now_ms: int) -> None:
        # A truncation may have happened since the flush began.
        self.log.flushed_offset = min(
            max(self.log.flushed_offset, event.end_offset), self.log.end_offset
        )
        if self.leading is not None:
            self.leading.tracker.note_local(self.log.flushed_offset)
            if self.leading.advance_watermark() and self._peers is not None:
                self._peers.wake_fetches()
            self.commit_replicated()
        elif isinstance(self.role, Follower) and self._peers is not None:
            self._peers.send_fetch(now_ms)

    def commit_replicated(self) -> None:
        """Take up the high watermark that the leader has counted."""
        if self.leading is not None and self.leading.fresh_watermark is not None:
            self.set_high_watermark(self.leading.fresh_watermark)

    def set_high_watermark(self, offset: int) -> None:
        """It never falls; what is committed stays so, whoever leads."""
        if self.high_watermark is not None and offset <= self.high_watermark:
            return
        assert offset <= self.log.end_offset, f"high watermark {offset}, log end {self.log.end}"
        self.high_watermark = offset
        self.effects.commit = offset

    def truncate(self, offset: int) -> None:
        """Cut off what the leader does not have."""
        assert self.high_watermark is None or offset >= self.high_watermark, (
            f"leader asks to truncate to {offset}, below the high watermark {self.high_watermark}"
        )
        self.log.truncate_to(offset)
        self.effects.truncate_to = offset
