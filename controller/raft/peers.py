"""How a node talks to other nodes: votes, begin and end of epochs, fetches.

A request is repeated until it is answered or no longer of use. Any answer tells a node that is
behind of the newer epoch. Source: KafkaRaftClient, RequestManager.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from .effects import Outbound
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
from .quorum import is_lost
from .roles import (
    NEVER,
    Candidate,
    Follower,
    Prospective,
    Resigned,
    Unattached,
    can_grant_vote,
)
from .serving import FetchServer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .leading import Leading
    from .node import RaftNode
    from .voters import ReplicaKey

Reply: TypeAlias = VoteReply | BeginQuorumEpochReply | EndQuorumEpochReply | FetchReply


class Peers:
    """One node's dealings with the others. Changes the node's role only through the node."""

    def __init__(self, node: RaftNode) -> None:
        self._node = node
        self._resend_ms: dict[int, int] = {}
        """Whom we have asked, and when to ask again."""
        self._server: FetchServer | None = None
        """While this node leads and was asked for records."""

    @property
    def deadline_ms(self) -> int:
        deadline = min(self._resend_ms.values(), default=NEVER)
        return deadline if self._server is None else min(deadline, self._server.deadline_ms)

    def on_role_changed(self) -> None:
        """Requests of the old role are of no use; whoever waits for records must look elsewhere."""
        self._resend_ms.clear()
        if self._server is not None:
            self._send_all(self._server.abandon(self._node.epoch))
            self._server = None

    def lead_on(self, leading: Leading, now_ms: int) -> None:
        """A tick of the leader."""
        if self._server is not None:
            self._send_all(self._server.expire(now_ms))
        leading.tracker.forget_silent_observers(now_ms)
        if now_ms >= leading.begin_epoch_due_ms:
            self.send_begin_epoch(now_ms)

    def wake_fetches(self) -> None:
        """There are new records, or more are committed."""
        if self._server is not None:
            self._send_all(self._server.wake())

    # Sending

    def _request(self, to: int, message: Message, now_ms: int) -> None:
        """Send, and send again if no answer comes within the request timeout."""
        self._resend_ms[to] = now_ms + self._node.config.request_timeout_ms
        self._node.effects.send.append(Outbound(to, message))

    def _send(self, to: ReplicaKey, message: Message) -> None:
        self._node.effects.send.append(Outbound(to.id, message))

    def _send_all(self, messages: Iterable[tuple[ReplicaKey, Message]]) -> None:
        for to, message in messages:
            self._send(to, message)

    def resend(self, now_ms: int) -> None:
        """Ask again those who did not answer in time."""
        due = [node_id for node_id, at_ms in self._resend_ms.items() if now_ms >= at_ms]
        for node_id in due:
            del self._resend_ms[node_id]
        role = self._node.role
        if due and isinstance(role, Prospective | Candidate):
            self.send_votes(now_ms)
        elif due and isinstance(role, Follower):
            self.send_fetch(now_ms)
        elif due and isinstance(role, Resigned):
            self.send_end_epoch(role.unacknowledged.intersection(due), now_ms)

    # Receiving

    def on_message(self, source: ReplicaKey, message: Message, now_ms: int) -> None:
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
                        epoch=self._node.epoch, leader_id=self._node.leader_id, refusal=refusal
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

    def _voter_request_refusal(self, epoch: int) -> Refusal:
        return Refusal.FENCED_LEADER_EPOCH if epoch < self._node.epoch else Refusal.NONE

    def _is_meant_for_us(self, voter: ReplicaKey) -> bool:
        return voter.id == self._node.local.id and (
            voter.directory_id is None or voter.directory_id == self._node.local.directory_id
        )

    def _learn(self, epoch: int, leader_id: int | None, now_ms: int) -> None:
        """Somebody is in `epoch`, perhaps under a leader."""
        if leader_id == self._node.local.id:
            return
        if leader_id is not None and self._node.voters.get(leader_id) is None:
            leader_id = None
        if epoch > self._node.epoch:
            if leader_id is not None:
                self._node.become_follower(epoch, leader_id, now_ms)
            else:
                self._node.become_unattached(epoch, now_ms)
        elif epoch == self._node.epoch and leader_id is not None:
            assert self._node.leader_id in (None, leader_id), (
                f"{leader_id} leads, says {self._node.role}"
            )
            if self._node.leader_id is None or isinstance(self._node.role, Unattached):
                self._node.become_follower(epoch, leader_id, now_ms)

    def _heard_of_newer(
        self,
        reply: Reply,
        now_ms: int,
    ) -> bool:
        """Deal with a reply whose epoch or leader is not ours. True if nothing is left to do with
        it.
        """
        if reply.epoch < self._node.epoch or reply.refusal is Refusal.UNKNOWN_LEADER_EPOCH:
            return True
        if reply.epoch > self._node.epoch or reply.refusal in (
            Refusal.FENCED_LEADER_EPOCH,
            Refusal.NOT_LEADER_OR_FOLLOWER,
        ):
            self._learn(reply.epoch, reply.leader_id, now_ms)
            return True
        if reply.leader_id is not None and self._node.leader_id is None:
            self._learn(reply.epoch, reply.leader_id, now_ms)
        return reply.refusal is not Refusal.NONE

    def _on_reply(
        self,
        source: ReplicaKey,
        reply: Reply,
        now_ms: int,
    ) -> None:
        match reply:
            case VoteReply():
                self._on_vote_reply(source, reply, now_ms)
            case BeginQuorumEpochReply():
                if self._node.leading is not None:
                    self._node.leading.tracker.acknowledge(source.id)
            case EndQuorumEpochReply():
                if isinstance(self._node.role, Resigned):
                    rest = self._node.role.unacknowledged - {source.id}
                    self._node.become(self._node.role._replace(unacknowledged=rest))
            case FetchReply():
                self._on_fetch_reply(source, reply, now_ms)

    # Votes

    def send_votes(self, now_ms: int) -> None:
        role = self._node.role
        assert isinstance(role, Prospective | Candidate)
        if is_lost(role.rejected, len(self._node.voters)):
            return
        for voter in self._node.voters:
            if voter.key.id in role.granted | role.rejected or voter.key.id in self._resend_ms:
                continue
            self._request(
                voter.key.id,
                Vote(
                    epoch=role.epoch,
                    candidate=self._node.local,
                    voter=voter.key,
                    log_end=self._node.log.end,
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
            if vote.epoch > self._node.epoch:
                self._node.become_unattached(vote.epoch, now_ms)
            if self._is_meant_for_us(vote.voter):
                granted = can_grant_vote(
                    self._node.role,
                    vote.candidate,
                    log_is_up_to_date=vote.log_end >= self._node.log.end,
                    pre_vote=vote.pre_vote,
                )
            else:
                refusal = Refusal.INVALID_VOTER_KEY
        if granted and not vote.pre_vote:
            # Whoever gets our vote has a log at least as good as ours, so our own turn can wait.
            assert isinstance(self._node.role, Unattached | Prospective)
            self._node.become(
                Unattached(
                    epoch=vote.epoch,
                    voted=vote.candidate,
                    deadline_ms=self._node.election_deadline(now_ms),
                )
            )
        self._send(
            source,
            VoteReply(
                epoch=self._node.epoch,
                leader_id=self._node.leader_id,
                granted=granted,
                pre_vote=vote.pre_vote,
                refusal=refusal,
            ),
        )

    def _on_vote_reply(self, source: ReplicaKey, reply: VoteReply, now_ms: int) -> None:
        role = self._node.role
        if not isinstance(role, Prospective | Candidate) or source.id not in self._node.voters.ids:
            return
        if reply.pre_vote != isinstance(role, Prospective):
            return
        if reply.granted:
            role = role._replace(granted=role.granted | {source.id})
        else:
            role = role._replace(rejected=role.rejected | {source.id})
        self._node.become(role)
        if isinstance(role, Candidate) and is_lost(role.rejected, len(self._node.voters)):
            # Two who stand at once part ways by waiting out their random election timeouts.
            return
        self._node.count_votes(now_ms)

    # Leadership

    def send_begin_epoch(self, now_ms: int) -> None:
        assert self._node.leading is not None
        interval = self._node.config.fetch_timeout_ms // 2
        for node_id in self._node.leading.schedule_begin_epoch(now_ms, interval):
            voter = self._node.voters.get(node_id)
            assert voter is not None
            message = BeginQuorumEpoch(
                epoch=self._node.epoch, leader_id=self._node.local.id, voter=voter.key
            )
            self._node.effects.send.append(Outbound(node_id, message))

    def send_end_epoch(self, to: Iterable[int], now_ms: int) -> None:
        """Tell voters that their leader gives up."""
        role = self._node.role
        assert isinstance(role, Resigned)
        message = EndQuorumEpoch(
            epoch=role.epoch, leader_id=self._node.local.id, successors=role.successors
        )
        for node_id in to:
            self._request(node_id, message, now_ms)

    def _on_end_epoch(self, source: ReplicaKey, message: EndQuorumEpoch, now_ms: int) -> None:
        refusal = self._voter_request_refusal(message.epoch)
        if refusal is Refusal.NONE:
            self._learn(message.epoch, message.leader_id, now_ms)
            if (
                isinstance(self._node.role, Follower)
                and self._node.role.leader_id == message.leader_id
            ):
                deadline = now_ms + self._succession_delay_ms(message.successors)
                self._node.become(self._node.role._replace(deadline_ms=deadline, has_fetched=False))
        self._send(
            source,
            EndQuorumEpochReply(
                epoch=self._node.epoch, leader_id=self._node.leader_id, refusal=refusal
            ),
        )

    def _succession_delay_ms(self, successors: tuple[int, ...]) -> int:
        """The most caught up voter stands at once, the others after it, further apart the further
        behind they are.
        """
        if not self._node.is_voter:
            return self._node.config.fetch_timeout_ms
        place = (
            successors.index(self._node.local.id)
            if self._node.local.id in successors
            else len(successors)
        )
        if place == 0:
            return 0
        bound = self._node.config.election_timeout_ms
        return self._node.rng.randrange(bound // 2 + 1) + min(
            bound * place // len(successors), bound
        )

    # Replication

    def _on_fetch(self, source: ReplicaKey, fetch: Fetch, now_ms: int) -> None:
        leading, refusal = self._node.leading, Refusal.NONE
        if fetch.offset < 0 or fetch.last_epoch < 0 or fetch.last_epoch > fetch.epoch:
            refusal = Refusal.INVALID_REQUEST
        elif fetch.epoch < self._node.epoch:
            refusal = Refusal.FENCED_LEADER_EPOCH
        elif fetch.epoch > self._node.epoch:
            refusal = Refusal.UNKNOWN_LEADER_EPOCH
        elif leading is None:
            refusal = Refusal.NOT_LEADER_OR_FOLLOWER
        if refusal is not Refusal.NONE or leading is None:
            reply = FetchReply(
                epoch=self._node.epoch,
                leader_id=self._node.leader_id,
                asked=fetch.log_end,
                refusal=refusal,
            )
            return self._send(source, reply)
        if self._server is None:
            self._server = FetchServer(leading, self._node.local, self._node.log)
        watermark = leading.fresh_watermark
        answer = self._server.serve(fetch, now_ms)
        if answer is not None:
            self._send(source, answer)
        if leading.fresh_watermark != watermark:
            self.wake_fetches()
            self._node.commit_replicated()
        return None

    def send_fetch(self, now_ms: int) -> None:
        """Ask the leader for what follows our log, once that log is durable and no other fetch is
        under way.
        """
        role = self._node.role
        assert isinstance(role, Follower)
        if role.leader_id in self._resend_ms:
            return
        if self._node.is_voter and self._node.log.flushed_offset < self._node.log.end_offset:
            self._node.effects.flush = True
            return
        self._fetch_from(role.leader_id, now_ms)

    def look_for_leader(self, now_ms: int) -> None:
        """An observer that follows nobody, or nobody who answers, asks any voter."""
        voters = sorted(self._node.voters.ids - {self._node.local.id})
        if voters:
            self._fetch_from(self._node.rng.choice(voters), now_ms)

    def _fetch_from(self, node_id: int, now_ms: int) -> None:
        self._request(
            node_id,
            Fetch(
                epoch=self._node.epoch,
                replica=self._node.local,
                offset=self._node.log.end_offset,
                last_epoch=self._node.log.last_epoch,
                max_wait_ms=self._node.config.fetch_max_wait_ms,
            ),
            now_ms,
        )

    def _on_fetch_reply(self, source: ReplicaKey, reply: FetchReply, now_ms: int) -> None:
        role = self._node.role
        if not isinstance(role, Follower) or source.id != role.leader_id:
            return
        if reply.asked != self._node.log.end:
            return
        if reply.diverging is not None:
            self._node.truncate(self._node.log.truncation_point(reply.diverging))
        elif reply.batches:
            for batch in reply.batches:
                self._node.log.append(batch.epoch, batch.base_offset, batch.end_offset)
            self._node.effects.append_fetched = reply.records
            self._node.effects.flush = True
        if reply.high_watermark >= 0:
            self._node.set_high_watermark(min(reply.high_watermark, self._node.log.end_offset))
        self._node.become(
            role._replace(deadline_ms=self._node.fetch_deadline(now_ms), has_fetched=True)
        )
        self.send_fetch(now_ms)
