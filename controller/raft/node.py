"""RaftNode: one node's part in the quorum, as a state machine without I/O, clock or randomness of
its own.

The node mirrors the offsets of the local log (EpochLog) and assumes that the driver carries out
each step's effects before the next step. Safety rests on three orders, visible in Effects: a vote
is persisted before it is told, a follower's fetch offset is durable before it is sent, and a leader
counts its own log only as far as it is flushed.

Sources: KafkaRaftClient, QuorumState and LeaderState of 4.x. Left to the transport: RPC encoding,
connections. Not here yet: FetchSnapshot, changes of the voter set (KIP-853).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, assert_never

from .control import leader_change_batch
from .effects import Append, Effects, Event, Flushed, Outbound, Receive, Resign, Tick
from .election import ElectionState
from .leading import Leading
from .log import NewBatch
from .messages import (
    BeginQuorumEpoch,
    BeginQuorumEpochReply,
    EndQuorumEpoch,
    EndQuorumEpochReply,
    Fetch,
    FetchReply,
    Message,
    Refusal,
    Vote,
    VoteReply,
)
from .quorum import is_lost, is_won
from .roles import (
    MOVES,
    NEVER,
    Candidate,
    Follower,
    Leader,
    Prospective,
    Resigned,
    Role,
    Unattached,
    can_grant_vote,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from random import Random

    from .log import EpochLog
    from .quorum import Tracker
    from .voters import ReplicaKey, VoterSet

# The leader tolerates some travel time beyond the followers' fetch timeout
# (LeaderState.CHECK_QUORUM_TIMEOUT_FACTOR).
CHECK_QUORUM_TIMEOUT_FACTOR = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class RaftConfig:
    """`controller.quorum.*`, milliseconds."""

    election_timeout_ms: int = 1000
    fetch_timeout_ms: int = 2000
    request_timeout_ms: int = 2000
    fetch_max_wait_ms: int = 500


class RaftNode:
    """One node. Call `start` once, then `step` for every event; carry out the effects of each
    before the next.
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
        self.high_watermark: int | None = None
        self._config = config
        self._rng = rng
        self.kraft_version = kraft_version
        self._stored = stored or ElectionState(epoch=0)
        self._effects = Effects()
        self._leading: Leading | None = None
        self._resend_ms: dict[int, int] = {}
        self.role: Role = Unattached(epoch=0, deadline_ms=NEVER)

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
        return self._leading.tracker if self._leading is not None else None

    @property
    def deadline_ms(self) -> int:
        """When step(Tick) is due at the latest."""
        deadline = min([self.role.deadline_ms, *self._resend_ms.values()])
        return min(deadline, self._leading.deadline_ms) if self._leading else deadline

    # Events

    def start(self, now_ms: int) -> Effects:
        """Take up the role that the stored state and the log allow; a lone voter is leader when
        this returns.
        """
        stored = self._stored
        timeout = self._election_deadline(now_ms)
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
                deadline_ms=self._fetch_deadline(now_ms),
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
        elif isinstance(role, Follower):
            self._send_fetch(now_ms)
        return self._take_effects()

    def step(self, event: Event, now_ms: int) -> Effects:
        """What `event` at `now_ms` makes this node do."""
        match event:
            case Tick():
                self._on_tick(now_ms)
            case Append():
                self._on_append(event, now_ms)
            case Flushed():
                self._on_flushed(event, now_ms)
            case Receive():
                self._on_message(event.source, event.message, now_ms)
            case Resign():
                if isinstance(self.role, Leader):
                    self._resign(now_ms)
            case _:
                assert_never(event)
        return self._take_effects()

    def _take_effects(self) -> Effects:
        effects, self._effects = self._effects, Effects()
        return effects

    # Roles

    def _become(self, role: Role) -> None:
        """The only place where the role changes."""
        assert type(role) in MOVES[type(self.role)], f"{self.role} cannot become {role}"
        assert role.epoch >= self.role.epoch, f"epoch would fall: {self.role} to {role}"
        entered = type(role) is not type(self.role) or role.epoch != self.role.epoch
        self.role = role
        self._persist()
        if not entered:
            return
        self._resend_ms.clear()
        if self._leading is not None:
            self._send_all(self._leading.abandon(role.epoch))
            self._leading = None

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
            self._effects.persist = state

    def _election_deadline(self, now_ms: int) -> int:
        if not self.is_voter:
            return now_ms  # an observer does not stand: it asks around at once
        timeout = self._config.election_timeout_ms
        return now_ms + timeout + self._rng.randrange(timeout + 1)

    def _fetch_deadline(self, now_ms: int) -> int:
        return now_ms + self._config.fetch_timeout_ms

    def _become_unattached(self, epoch: int, now_ms: int) -> None:
        deadline = self.role.deadline_ms
        if not isinstance(self.role, Unattached | Prospective | Candidate):
            deadline = self._election_deadline(now_ms)
        self._become(Unattached(epoch=epoch, deadline_ms=deadline))

    def _become_follower(self, epoch: int, leader_id: int, now_ms: int) -> None:
        voted = None
        if epoch == self.epoch and not isinstance(self.role, Leader | Resigned):
            voted = self.role.voted
        self._become(
            Follower(
                epoch=epoch,
                leader_id=leader_id,
                voted=voted,
                deadline_ms=self._fetch_deadline(now_ms),
            )
        )
        self._send_fetch(now_ms)

    def _stand_for_pre_vote(self, now_ms: int) -> None:
        role = self.role
        assert self.is_voter
        voted = role.voted if isinstance(role, Unattached | Follower | Candidate) else None
        self._become(
            Prospective(
                epoch=role.epoch,
                leader_id=self.leader_id,
                voted=voted,
                granted=frozenset({self.local.id}),
                deadline_ms=self._election_deadline(now_ms),
            )
        )
        self._count_votes(now_ms)

    def _count_votes(self, now_ms: int) -> None:
        """Move on if the pre-vote or the election is decided, and ask those who have not
        answered.
        """
        role = self.role
        if isinstance(role, Prospective) and is_won(role.granted, len(self.voters)):
            self._become(
                Candidate(
                    epoch=role.epoch + 1,
                    voted=self.local,
                    granted=frozenset({self.local.id}),
                    deadline_ms=self._election_deadline(now_ms),
                )
            )
            role = self.role
        if isinstance(role, Candidate) and is_won(role.granted, len(self.voters)):
            self._lead(role, now_ms)
        elif isinstance(role, Prospective) and is_lost(role.rejected, len(self.voters)):
            self._lose_pre_vote(role, now_ms)
        elif isinstance(role, Prospective | Candidate):
            self._send_votes(now_ms)

    def _lose_pre_vote(self, role: Prospective, now_ms: int) -> None:
        if role.leader_id is not None and role.leader_id != self.local.id:
            self._become_follower(role.epoch, role.leader_id, now_ms)
            return
        self._become(
            Unattached(
                epoch=role.epoch, voted=role.voted, deadline_ms=self._election_deadline(now_ms)
            )
        )

    def _lead(self, won: Candidate, now_ms: int) -> None:
        start = self.log.end_offset
        role = Leader(epoch=won.epoch, start_offset=start, granting=won.granted)
        self._become(role)
        timeout = int(self._config.fetch_timeout_ms * CHECK_QUORUM_TIMEOUT_FACTOR)
        self._leading = Leading(role, self.local, self.voters, self.log, now_ms, timeout)
        self._append(
            leader_change_batch(
                base_offset=start,
                epoch=won.epoch,
                leader=self.local,
                voters=self.voters,
                granting=won.granted,
                kraft_version=self.kraft_version,
            )
        )
        self._send_begin_epoch(now_ms)

    def _resign(self, now_ms: int) -> None:
        assert self._leading is not None
        successors = tuple(self._leading.tracker.successors())
        self._become(
            Resigned(
                epoch=self.epoch,
                successors=successors,
                unacknowledged=frozenset(successors),
                deadline_ms=self._election_deadline(now_ms),
            )
        )
        for node_id in successors:
            self._request(node_id, self._end_epoch_message(), now_ms)

    # Time

    def _on_tick(self, now_ms: int) -> None:
        leading = self._leading
        if leading is not None:
            self._send_all(leading.expire(now_ms))
            leading.tracker.forget_silent_observers(now_ms)
            if leading.lost_quorum(now_ms):
                self._resign(now_ms)
            elif now_ms >= leading.begin_epoch_due_ms:
                self._send_begin_epoch(now_ms)
        elif now_ms >= self.role.deadline_ms:
            self._on_timeout(self.role, now_ms)
        else:
            self._resend(now_ms)

    def _on_timeout(self, role: Role, now_ms: int) -> None:
        match role:
            case Unattached() if not self.is_voter:
                self._become(replace(role, deadline_ms=self._fetch_deadline(now_ms)))
                self._fetch_from(self._rng.choice(sorted(self.voters.ids)), now_ms)
            case Unattached() | Candidate():
                self._stand_for_pre_vote(now_ms)
            case Follower():
                if self.is_voter:
                    self._stand_for_pre_vote(now_ms)
                else:
                    self._become(replace(role, deadline_ms=self._fetch_deadline(now_ms)))
                    self._send_fetch(now_ms)
            case Prospective():
                self._lose_pre_vote(role, now_ms)
            case Resigned():
                self._become_unattached(role.epoch + 1, now_ms)
            case Leader():
                raise AssertionError("a leader has no election timeout")

    def _request(self, to: int, message: Message, now_ms: int) -> None:
        """Send, and send again if no answer comes within the request timeout."""
        self._resend_ms[to] = now_ms + self._config.request_timeout_ms
        self._effects.send.append(Outbound(to, message))

    def _resend(self, now_ms: int) -> None:
        due = [node_id for node_id, at_ms in self._resend_ms.items() if now_ms >= at_ms]
        for node_id in due:
            del self._resend_ms[node_id]
        if not due:
            return
        match self.role:
            case Prospective() | Candidate():
                self._send_votes(now_ms)
            case Follower():
                self._send_fetch(now_ms)
            case Resigned():
                for node_id in self.role.unacknowledged.intersection(due):
                    self._request(node_id, self._end_epoch_message(), now_ms)
            case Leader() | Unattached():
                pass

    # The log

    def _append(self, batch: NewBatch) -> None:
        self.log.append(batch.epoch, batch.base_offset, batch.end_offset)
        self._effects.append.append(batch)
        self._effects.flush = True

    def _on_append(self, event: Append, now_ms: int) -> None:
        assert isinstance(self.role, Leader), f"{self.role} cannot append"
        self._append(
            NewBatch(
                base_offset=self.log.end_offset,
                epoch=self.epoch,
                values=event.values,
            )
        )
        assert self._leading is not None
        self._send_all(self._leading.wake())

    def _on_flushed(self, event: Flushed, now_ms: int) -> None:
        # A truncation may have happened since the flush began.
        self.log.flushed_offset = min(
            max(self.log.flushed_offset, event.end_offset), self.log.end_offset
        )
        if self._leading is not None:
            self._leading.tracker.note_local(self.log.flushed_offset)
            if self._leading.advance_watermark():
                self._send_all(self._leading.wake())
            self._commit_replicated()
        elif isinstance(self.role, Follower):
            self._send_fetch(now_ms)

    def _commit_replicated(self) -> None:
        if self._leading is not None and self._leading.fresh_watermark is not None:
            self._set_high_watermark(self._leading.fresh_watermark)

    def _set_high_watermark(self, offset: int) -> None:
        if self.high_watermark is not None and offset <= self.high_watermark:
            return
        assert offset <= self.log.end_offset, f"high watermark {offset}, log end {self.log.end}"
        self.high_watermark = offset
        self._effects.commit = offset

    # Messages

    def _on_message(self, source: ReplicaKey, message: Message, now_ms: int) -> None:
        match message:
            case Vote():
                self._on_vote(source, message, now_ms)
            case BeginQuorumEpoch():
                refusal = self._voter_request_refusal(message.epoch)
                if refusal is Refusal.NONE:
                    self._learn(message.epoch, message.leader_id, now_ms)
                    if not self._is_meant_for_us(message.voter):
                        refusal = Refusal.INVALID_VOTER_KEY
                self._send(
                    source,
                    BeginQuorumEpochReply(
                        epoch=self.epoch, leader_id=self.leader_id, refusal=refusal
                    ),
                )
            case EndQuorumEpoch():
                self._on_end_epoch(source, message, now_ms)
            case Fetch():
                self._on_fetch(source, message, now_ms)
            case VoteReply() | BeginQuorumEpochReply() | EndQuorumEpochReply() | FetchReply():
                self._resend_ms.pop(source.id, None)
                if not self._heard_of_newer(message, now_ms):
                    self._on_reply(source, message, now_ms)

    def _send(self, to: ReplicaKey, message: Message) -> None:
        self._effects.send.append(Outbound(to.id, message))

    def _send_all(self, messages: Iterable[tuple[ReplicaKey, Message]]) -> None:
        for to, message in messages:
            self._send(to, message)

    def _voter_request_refusal(self, epoch: int) -> Refusal:
        return Refusal.FENCED_LEADER_EPOCH if epoch < self.epoch else Refusal.NONE

    def _is_meant_for_us(self, voter: ReplicaKey) -> bool:
        return voter.id == self.local.id and (
            voter.directory_id is None or voter.directory_id == self.local.directory_id
        )

    def _learn(self, epoch: int, leader_id: int | None, now_ms: int) -> None:
        """Somebody is in `epoch`, perhaps under a leader."""
        if leader_id == self.local.id:
            return
        if leader_id is not None and self.voters.get(leader_id) is None:
            leader_id = None
        if epoch > self.epoch:
            if leader_id is not None:
                self._become_follower(epoch, leader_id, now_ms)
            else:
                self._become_unattached(epoch, now_ms)
        elif epoch == self.epoch and leader_id is not None:
            assert self.leader_id in (None, leader_id), f"{leader_id} leads, says {self.role}"
            if self.leader_id is None or isinstance(self.role, Unattached):
                self._become_follower(epoch, leader_id, now_ms)

    def _heard_of_newer(
        self,
        reply: VoteReply | BeginQuorumEpochReply | EndQuorumEpochReply | FetchReply,
        now_ms: int,
    ) -> bool:
        """Deal with a reply whose epoch or leader is not ours. True if nothing is left to do with
        it.
        """
        if reply.epoch < self.epoch or reply.refusal is Refusal.UNKNOWN_LEADER_EPOCH:
            return True
        if reply.epoch > self.epoch or reply.refusal in (
            Refusal.FENCED_LEADER_EPOCH,
            Refusal.NOT_LEADER_OR_FOLLOWER,
        ):
            self._learn(reply.epoch, reply.leader_id, now_ms)
            return True
        if reply.leader_id is not None and self.leader_id is None:
            self._learn(reply.epoch, reply.leader_id, now_ms)
        return reply.refusal is not Refusal.NONE

    def _on_reply(
        self,
        source: ReplicaKey,
        reply: VoteReply | BeginQuorumEpochReply | EndQuorumEpochReply | FetchReply,
        now_ms: int,
    ) -> None:
        match reply:
            case VoteReply():
                self._on_vote_reply(source, reply, now_ms)
            case BeginQuorumEpochReply():
                if self._leading is not None:
                    self._leading.tracker.acknowledge(source.id)
            case EndQuorumEpochReply():
                if isinstance(self.role, Resigned):
                    rest = self.role.unacknowledged - {source.id}
                    self._become(replace(self.role, unacknowledged=rest))
            case FetchReply():
                self._on_fetch_reply(source, reply, now_ms)

    # Votes

    def _send_votes(self, now_ms: int) -> None:
        role = self.role
        assert isinstance(role, Prospective | Candidate)
        if is_lost(role.rejected, len(self.voters)):
            return
        for voter in self.voters:
            if voter.key.id in role.granted | role.rejected or voter.key.id in self._resend_ms:
                continue
            self._request(
                voter.key.id,
                Vote(
                    epoch=role.epoch,
                    candidate=self.local,
                    voter=voter.key,
                    log_end=self.log.end,
                    pre_vote=isinstance(role, Prospective),
                ),
                now_ms,
            )

    def _on_vote(self, source: ReplicaKey, vote: Vote, now_ms: int) -> None:
        refusal = self._voter_request_refusal(vote.epoch)
        past_epoch = vote.epoch if vote.pre_vote else vote.epoch - 1
        if vote.log_end.epoch > past_epoch or vote.log_end.offset < 0:
            refusal = Refusal.INVALID_REQUEST
        granted = False
        if refusal is Refusal.NONE:
            if vote.epoch > self.epoch:
                self._become_unattached(vote.epoch, now_ms)
            if self._is_meant_for_us(vote.voter):
                granted = can_grant_vote(
                    self.role,
                    vote.candidate,
                    log_is_up_to_date=vote.log_end >= self.log.end,
                    pre_vote=vote.pre_vote,
                )
            else:
                refusal = Refusal.INVALID_VOTER_KEY
        if granted and not vote.pre_vote:
            # Whoever gets our vote has a log at least as good as ours, so our own turn can wait.
            assert isinstance(self.role, Unattached | Prospective)
            self._become(
                Unattached(
                    epoch=vote.epoch,
                    voted=vote.candidate,
                    deadline_ms=self._election_deadline(now_ms),
                )
            )
        self._send(
            source,
            VoteReply(
                epoch=self.epoch,
                leader_id=self.leader_id,
                granted=granted,
                pre_vote=vote.pre_vote,
                refusal=refusal,
            ),
        )

    def _on_vote_reply(self, source: ReplicaKey, reply: VoteReply, now_ms: int) -> None:
        role = self.role
        if not isinstance(role, Prospective | Candidate) or source.id not in self.voters.ids:
            return
        if reply.pre_vote != isinstance(role, Prospective):
            return
        if reply.granted:
            role = replace(role, granted=role.granted | {source.id})
        else:
            role = replace(role, rejected=role.rejected | {source.id})
        self._become(role)
        if isinstance(role, Candidate) and is_lost(role.rejected, len(self.voters)):
            # Two who stand at once part ways by waiting out their random election timeouts.
            return
        self._count_votes(now_ms)

    # Leadership

    def _send_begin_epoch(self, now_ms: int) -> None:
        assert self._leading is not None
        interval = self._config.fetch_timeout_ms // 2
        for node_id in self._leading.schedule_begin_epoch(now_ms, interval):
            voter = self.voters.get(node_id)
            assert voter is not None
            message = BeginQuorumEpoch(epoch=self.epoch, leader_id=self.local.id, voter=voter.key)
            self._effects.send.append(Outbound(node_id, message))

    def _end_epoch_message(self) -> EndQuorumEpoch:
        assert isinstance(self.role, Resigned)
        return EndQuorumEpoch(
            epoch=self.epoch, leader_id=self.local.id, successors=self.role.successors
        )

    def _on_end_epoch(self, source: ReplicaKey, message: EndQuorumEpoch, now_ms: int) -> None:
        refusal = self._voter_request_refusal(message.epoch)
        if refusal is Refusal.NONE:
            self._learn(message.epoch, message.leader_id, now_ms)
            if isinstance(self.role, Follower) and self.role.leader_id == message.leader_id:
                deadline = now_ms + self._succession_delay_ms(message.successors)
                self._become(replace(self.role, deadline_ms=deadline, has_fetched=False))
        self._send(
            source,
            EndQuorumEpochReply(epoch=self.epoch, leader_id=self.leader_id, refusal=refusal),
        )

    def _succession_delay_ms(self, successors: tuple[int, ...]) -> int:
        """The most caught up voter stands at once, the others after it, further apart the further
        behind they are.
        """
        if not self.is_voter:
            return self._config.fetch_timeout_ms
        place = successors.index(self.local.id) if self.local.id in successors else len(successors)
        if place == 0:
            return 0
        bound = self._config.election_timeout_ms
        return self._rng.randrange(bound // 2 + 1) + min(bound * place // len(successors), bound)

    # Replication

    def _on_fetch(self, source: ReplicaKey, fetch: Fetch, now_ms: int) -> None:
        refusal = Refusal.NONE
        if fetch.offset < 0 or fetch.last_epoch < 0 or fetch.last_epoch > fetch.epoch:
            refusal = Refusal.INVALID_REQUEST
        elif fetch.epoch < self.epoch:
            refusal = Refusal.FENCED_LEADER_EPOCH
        elif fetch.epoch > self.epoch:
            refusal = Refusal.UNKNOWN_LEADER_EPOCH
        elif self._leading is None:
            refusal = Refusal.NOT_LEADER_OR_FOLLOWER
        if refusal is not Refusal.NONE or self._leading is None:
            reply = FetchReply(
                epoch=self.epoch, leader_id=self.leader_id, asked=fetch.log_end, refusal=refusal
            )
            return self._send(source, reply)
        watermark = self._leading.fresh_watermark
        answer = self._leading.serve(fetch, now_ms)
        if answer is not None:
            self._send(source, answer)
        if self._leading.fresh_watermark != watermark:
            self._send_all(self._leading.wake())
            self._commit_replicated()
        return None

    def _send_fetch(self, now_ms: int) -> None:
        """Ask the leader for what follows our log, once that log is durable and no other fetch is
        under way.
        """
        role = self.role
        assert isinstance(role, Follower)
        if role.leader_id in self._resend_ms:
            return
        if self.is_voter and self.log.flushed_offset < self.log.end_offset:
            self._effects.flush = True
            return
        self._fetch_from(role.leader_id, now_ms)

    def _fetch_from(self, node_id: int, now_ms: int) -> None:
        self._request(
            node_id,
            Fetch(
                epoch=self.epoch,
                replica=self.local,
                offset=self.log.end_offset,
                last_epoch=self.log.last_epoch,
                max_wait_ms=self._config.fetch_max_wait_ms,
            ),
            now_ms,
        )

    def _on_fetch_reply(self, source: ReplicaKey, reply: FetchReply, now_ms: int) -> None:
        role = self.role
        if not isinstance(role, Follower) or source.id != role.leader_id:
            return
        if reply.asked != self.log.end:
            return
        if reply.diverging is not None:
            self._truncate(self.log.truncation_point(reply.diverging))
        elif reply.batches:
            for batch in reply.batches:
                self.log.append(batch.epoch, batch.base_offset, batch.end_offset)
            self._effects.append_fetched = reply.records
            self._effects.flush = True
        if reply.high_watermark >= 0:
            self._set_high_watermark(min(reply.high_watermark, self.log.end_offset))
        self._become(replace(role, deadline_ms=self._fetch_deadline(now_ms), has_fetched=True))
        self._send_fetch(now_ms)

    def _truncate(self, offset: int) -> None:
        offset = min(offset, self.log.end_offset)
        assert self.high_watermark is None or offset >= self.high_watermark, (
            f"leader asks to truncate to {offset}, below the high watermark {self.high_watermark}"
        )
        self.log.truncate_to(offset)
        self._effects.truncate_to = offset
