"""Elections, by the rules of Raft and of KIP-996, on a network that behaves unless told
otherwise.
"""

from __future__ import annotations

import random

import pytest

from kbroker.controller.raft.control import ControlType
from kbroker.controller.raft.effects import Append, Flushed, Receive, Tick
from kbroker.controller.raft.election import ElectionState
from kbroker.controller.raft.leading import Leading
from kbroker.controller.raft.log import EpochLog, LogPosition
from kbroker.controller.raft.messages import (
    BeginQuorumEpoch,
    BeginQuorumEpochReply,
    EndQuorumEpoch,
    Fetch,
    Refusal,
    Vote,
    VoteReply,
)
from kbroker.controller.raft.node import RaftConfig, RaftNode
from kbroker.controller.raft.roles import Candidate, Follower, Leader, Prospective, Unattached
from kbroker.controller.raft.voters import ReplicaKey, VoterSet

from .network import Quorum

ONE, TWO, THREE = (ReplicaKey(i) for i in (1, 2, 3))
LONG_MS = 10_000


def node(
    voters: int = 3,
    stored: ElectionState | None = None,
    log: EpochLog | None = None,
    key: ReplicaKey = ONE,
    rng: random.Random | None = None,
) -> RaftNode:
    return RaftNode(
        local=key,
        voters=VoterSet.of(*(ReplicaKey(i) for i in range(1, voters + 1))),
        log=log or EpochLog(),
        stored=stored,
        config=RaftConfig(),
        rng=rng or random.Random(1),
    )


def log_of(epoch: int, records: int) -> EpochLog:
    log = EpochLog()
    log.append(epoch, 0, records)
    return log


def test_a_lone_voter_leads_at_once_and_commits_when_its_first_record_is_flushed() -> None:
    lone = node(voters=1)
    effects = lone.start(0)
    assert isinstance(lone.role, Leader)
    assert effects.persist == ElectionState(epoch=1, leader_id=1)
    (batch,) = effects.append
    assert (batch.base_offset, batch.epoch) == (0, 1)
    assert batch.control_types == (ControlType.LEADER_CHANGE,)
    # As Apache Kafka 4.3.0 wrote it, and reads it: always version 0.
    assert batch.values == (bytes.fromhex("00000000000102000000010002000000010000"),)
    assert effects.flush
    assert effects.send == []
    assert lone.high_watermark is None
    assert lone.step(Flushed(1), 1).commit == 1


def test_a_lone_voter_commits_only_what_is_flushed() -> None:
    lone = node(voters=1)
    lone.start(0)
    lone.step(Flushed(1), 1)
    effects = lone.step(Append((b"a", b"b")), 2)
    assert effects.append[0].base_offset == 1
    assert effects.commit is None
    assert lone.step(Flushed(3), 3).commit == 3


def test_a_restarted_leader_never_writes_in_its_old_epoch_again() -> None:
    lone = node(voters=1, stored=ElectionState(epoch=4, leader_id=1), log=log_of(4, 7))
    effects = lone.start(0)
    assert lone.epoch > 4
    assert effects.append[0].base_offset == 7


def test_a_log_newer_than_the_stored_election_wins() -> None:
    behind = node(stored=ElectionState(epoch=2), log=log_of(5, 3))
    behind.start(0)
    assert behind.epoch == 5


def test_a_vote_is_persisted_with_the_reply_and_survives_a_restart() -> None:
    voter = node()
    voter.start(0)
    vote = Vote(epoch=1, candidate=TWO, voter=ONE, log_end=LogPosition(0, 0), pre_vote=False)
    effects = voter.step(Receive(TWO, vote), 1)
    assert effects.persist == ElectionState(epoch=1, voted=TWO)
    reply = effects.send[0].message
    assert isinstance(reply, VoteReply)
    assert reply.granted

    again = node(stored=effects.persist)
    again.start(2)
    rival = Vote(epoch=1, candidate=THREE, voter=ONE, log_end=LogPosition(0, 0), pre_vote=False)
    reply = again.step(Receive(THREE, rival), 3).send[0].message
    assert isinstance(reply, VoteReply)
    assert not reply.granted


def test_a_candidate_with_an_older_log_gets_no_vote() -> None:
    voter = node(log=log_of(3, 5))
    voter.start(0)
    for end in (LogPosition(2, 9), LogPosition(3, 4)):
        vote = Vote(epoch=9, candidate=TWO, voter=ONE, log_end=end, pre_vote=False)
        reply = voter.step(Receive(TWO, vote), 1).send[0].message
        assert isinstance(reply, VoteReply)
        assert not reply.granted, end
    vote = Vote(epoch=9, candidate=TWO, voter=ONE, log_end=LogPosition(3, 5), pre_vote=False)
    reply = voter.step(Receive(TWO, vote), 1).send[0].message
    assert isinstance(reply, VoteReply)
    assert reply.granted


def test_a_stale_epoch_is_refused_and_told_the_newer_one() -> None:
    voter = node(stored=ElectionState(epoch=7))
    voter.start(0)
    vote = Vote(epoch=6, candidate=TWO, voter=ONE, log_end=LogPosition(0, 0), pre_vote=False)
    reply = voter.step(Receive(TWO, vote), 1).send[0].message
    assert isinstance(reply, VoteReply)
    assert (reply.epoch, reply.refusal) == (7, Refusal.FENCED_LEADER_EPOCH)


def test_a_vote_meant_for_a_lost_disk_is_refused() -> None:
    voter = RaftNode(
        local=ReplicaKey(1, b"new directory id"),
        voters=VoterSet.of(ReplicaKey(1, b"old directory id"), TWO),
        log=EpochLog(),
        stored=None,
        config=RaftConfig(),
        rng=random.Random(1),
    )
    voter.start(0)
    assert not voter.is_voter
    vote = Vote(
        epoch=1,
        candidate=TWO,
        voter=ReplicaKey(1, b"old directory id"),
        log_end=LogPosition(0, 0),
        pre_vote=False,
    )
    reply = voter.step(Receive(TWO, vote), 1).send[0].message
    assert isinstance(reply, VoteReply)
    assert (reply.granted, reply.refusal) == (False, Refusal.INVALID_VOTER_KEY)


def test_a_pre_vote_changes_nothing_in_the_voter() -> None:
    voter = node()
    voter.start(0)
    before = voter.role
    vote = Vote(epoch=0, candidate=TWO, voter=ONE, log_end=LogPosition(0, 0), pre_vote=True)
    effects = voter.step(Receive(TWO, vote), 1)
    assert effects.persist is None
    assert voter.role == before
    reply = effects.send[0].message
    assert isinstance(reply, VoteReply)
    assert reply.granted


def test_a_timeout_leads_to_a_pre_vote_and_only_a_majority_of_those_to_a_new_epoch() -> None:
    stands = node()
    stands.start(0)
    effects = stands.step(Tick(), stands.deadline_ms)
    assert isinstance(stands.role, Prospective)
    assert stands.epoch == 0
    assert {each.to for each in effects.send} == {2, 3}
    effects = stands.step(
        Receive(TWO, VoteReply(epoch=0, leader_id=None, granted=True, pre_vote=True)), LONG_MS
    )
    assert isinstance(stands.role, Candidate)
    assert effects.persist == ElectionState(epoch=1, voted=ONE)
    effects = stands.step(
        Receive(TWO, VoteReply(epoch=1, leader_id=None, granted=True, pre_vote=False)), LONG_MS
    )
    assert isinstance(stands.role, Leader)
    assert effects.persist == ElectionState(epoch=1, leader_id=1)


@pytest.mark.parametrize("refusal", [Refusal.NONE, Refusal.FENCED_LEADER_EPOCH])
@pytest.mark.parametrize("leader_id", [None, 2])
def test_whoever_hears_of_a_newer_epoch_is_in_it(refusal: Refusal, leader_id: int | None) -> None:
    stands = node()
    stands.start(0)
    stands.step(Tick(), stands.deadline_ms)
    newer = VoteReply(epoch=9, leader_id=leader_id, granted=False, pre_vote=True, refusal=refusal)
    effects = stands.step(Receive(THREE, newer), LONG_MS)
    assert (stands.epoch, stands.leader_id) == (9, leader_id)
    assert effects.persist == ElectionState(epoch=9, leader_id=leader_id)


@pytest.mark.parametrize("leader_id", [None, 2])
def test_whoever_stands_hears_of_the_leader_of_its_own_epoch(leader_id: int | None) -> None:
    stands = node(stored=ElectionState(epoch=4))
    stands.start(0)
    stands.step(Tick(), stands.deadline_ms)
    assert isinstance(stands.role, Prospective)
    refused = VoteReply(epoch=4, leader_id=leader_id, granted=False, pre_vote=True)
    stands.step(Receive(THREE, refused), LONG_MS)
    assert (stands.epoch, stands.leader_id) == (4, leader_id)
    assert isinstance(stands.role, Prospective if leader_id is None else Follower)


def test_a_vote_of_an_older_epoch_counts_no_more() -> None:
    stands = node()
    stands.start(0)
    stands.step(Tick(), stands.deadline_ms)
    granted = VoteReply(epoch=0, leader_id=None, granted=True, pre_vote=True)
    stands.step(Receive(TWO, granted), LONG_MS)
    for pre_vote in (True, False):
        late = VoteReply(epoch=0, leader_id=None, granted=True, pre_vote=pre_vote)
        stands.step(Receive(THREE, late), LONG_MS)
        assert isinstance(stands.role, Candidate)
        assert stands.role.epoch == 1


@pytest.mark.parametrize(
    ("successors", "place"),
    [((1, 2, 4, 5), 0), ((2, 1, 4, 5), 1), ((2, 4, 1, 5), 2), ((2, 4, 5, 1), 3), ((2, 4), 2)],
)
def test_the_less_a_voter_has_the_longer_it_leaves_the_succession_to_others(
    successors: tuple[int, ...], place: int
) -> None:
    waits = set()
    bound = RaftConfig().election_timeout_ms
    for seed in range(100):
        follows = node(voters=5, rng=random.Random(seed))
        follows.start(0)
        begin = BeginQuorumEpoch(epoch=1, leader_id=3, voter=ONE)
        follows.step(Receive(THREE, begin), 1)
        end = EndQuorumEpoch(epoch=1, leader_id=3, successors=successors)
        follows.step(Receive(THREE, end), 2)
        assert isinstance(follows.role, Follower)
        waits.add(follows.role.deadline_ms - 2)
    if place == 0:
        assert waits == {0}
    else:
        least = min(bound * place // len(successors), bound)
        assert least <= min(waits) < least + bound // 20
        assert least + bound // 2 - bound // 20 < max(waits) <= least + bound // 2


def test_a_lost_pre_vote_leaves_the_epoch_alone() -> None:
    stands = node()
    stands.start(0)
    stands.step(Tick(), stands.deadline_ms)
    for key in (TWO, THREE):
        refused = VoteReply(epoch=0, leader_id=None, granted=False, pre_vote=True)
        stands.step(Receive(key, refused), LONG_MS)
    assert isinstance(stands.role, Unattached)
    assert stands.epoch == 0


def test_three_nodes_elect_one_leader_whom_all_follow() -> None:
    quorum = Quorum(3, seed=1, observers=1)
    quorum.run(LONG_MS)
    leader = quorum.leader
    assert leader is not None
    others = [each for each in quorum.nodes.values() if each is not leader]
    assert all(isinstance(each.role, Follower) for each in others)
    assert {each.leader_id for each in others} == {leader.local.id}
    assert {each.high_watermark for each in quorum.nodes.values()} == {leader.log.end_offset}


def test_a_node_that_was_cut_off_does_not_depose_the_leader_when_it_returns() -> None:
    quorum = Quorum(3, seed=2)
    quorum.run(LONG_MS)
    leader = quorum.leader
    assert leader is not None
    lonely = next(i for i in quorum.nodes if i != leader.local.id)
    quorum.cut = {(lonely, i) for i in quorum.nodes} | {(i, lonely) for i in quorum.nodes}
    quorum.run(LONG_MS)
    quorum.cut = set()
    epoch = leader.epoch
    quorum.run(LONG_MS)
    assert quorum.leader is leader
    assert leader.epoch == epoch


def test_a_leader_without_a_majority_steps_down() -> None:
    quorum = Quorum(3, seed=3)
    quorum.run(LONG_MS)
    leader = quorum.leader
    assert leader is not None
    cut_off = leader.local.id
    quorum.cut = {(cut_off, i) for i in quorum.nodes} | {(i, cut_off) for i in quorum.nodes}
    quorum.run(LONG_MS)
    assert not leader.is_leader
    assert quorum.leader is not None


def test_a_resigning_leader_is_followed_by_the_most_caught_up_voter_without_a_timeout() -> None:
    quorum = Quorum(3, seed=4)
    quorum.run(LONG_MS)
    leader = quorum.leader
    assert leader is not None
    quorum.resign(leader.local.id)
    quorum.run(150)  # less than the fetch timeout of 200 ms
    assert quorum.leader is not None
    assert quorum.leader is not leader


def test_an_observer_finds_the_leader_but_has_no_vote() -> None:
    quorum = Quorum(1, seed=5, observers=1)
    quorum.run(1_000)
    observer = quorum.nodes[2]
    assert isinstance(observer.role, Follower)
    quorum.propose(b"x")
    quorum.run(1_000)
    assert observer.high_watermark == 2
    quorum.crash(1)
    quorum.run(LONG_MS)
    assert isinstance(observer.role, Follower | Unattached)


def test_a_restarted_leader_of_several_votes_for_nobody_in_its_old_epoch() -> None:
    again = node(stored=ElectionState(epoch=4, leader_id=1), log=log_of(4, 7))
    again.start(0)
    assert isinstance(again.role, Unattached)
    vote = Vote(epoch=4, candidate=TWO, voter=ONE, log_end=LogPosition(3, 9), pre_vote=False)
    reply = again.step(Receive(TWO, vote), 1).send[0].message
    assert isinstance(reply, VoteReply)
    assert (reply.granted, reply.refusal) == (False, Refusal.FENCED_LEADER_EPOCH)


def test_older_records_are_committed_only_with_one_of_the_leaders_own_epoch() -> None:
    """Figure 8 of the Raft paper: a majority has them, and they may yet be overwritten."""
    role = Leader(epoch=4, start_offset=5, granting=frozenset({1, 2}))
    leading = Leading(role, ONE, VoterSet.of(ONE, TWO, THREE), 0, 300)
    leading.tracker.note_local(6)
    leading.tracker.note_fetch(TWO, 5, 6, 1)
    assert not leading.advance_watermark()
    leading.tracker.note_fetch(TWO, 6, 6, 2)
    assert leading.advance_watermark()
    assert leading.fresh_watermark == 6


@pytest.mark.parametrize(
    ("epoch", "log_epoch", "pre_vote", "refusal"),
    [
        (5, 4, False, Refusal.NONE),
        (5, 5, False, Refusal.INVALID_REQUEST),  # nobody writes in an epoch before it is elected
        (5, 6, False, Refusal.INVALID_REQUEST),
        (5, 5, True, Refusal.NONE),  # a pre-vote is asked in the epoch that is
        (5, 6, True, Refusal.INVALID_REQUEST),
    ],
)
def test_no_log_is_newer_than_the_epoch_that_its_owner_asks_votes_in(
    epoch: int, log_epoch: int, pre_vote: bool, refusal: Refusal
) -> None:
    voter = node()
    voter.start(0)
    end = LogPosition(log_epoch, 9)
    vote = Vote(epoch=epoch, candidate=TWO, voter=ONE, log_end=end, pre_vote=pre_vote)
    reply = voter.step(Receive(TWO, vote), 1).send[0].message
    assert isinstance(reply, VoteReply)
    assert (reply.refusal, reply.granted) == (refusal, refusal is Refusal.NONE)


@pytest.mark.parametrize(
    ("voter", "refusal"),
    [
        (ReplicaKey(1, b"new directory id"), Refusal.NONE),
        (ReplicaKey(1), Refusal.NONE),  # old versions do not name the directory
        (ReplicaKey(1, b"old directory id"), Refusal.INVALID_VOTER_KEY),
        (TWO, Refusal.INVALID_VOTER_KEY),
    ],
)
def test_a_new_leader_is_followed_whoever_it_took_us_for(
    voter: ReplicaKey, refusal: Refusal
) -> None:
    local = ReplicaKey(1, b"new directory id")
    told = node(key=local)
    told.start(0)
    message = BeginQuorumEpoch(epoch=3, leader_id=2, voter=voter)
    effects = told.step(Receive(TWO, message), 1)
    (reply,) = (each.message for each in effects.send if not isinstance(each.message, Fetch))
    assert reply == BeginQuorumEpochReply(epoch=3, leader_id=2, refusal=refusal)
    assert isinstance(told.role, Follower)
    assert (told.epoch, told.leader_id) == (3, 2)


@pytest.mark.parametrize("is_flushed", [True, False])
def test_a_restarted_follower_asks_its_leader_for_records_once_its_own_are_safe(
    is_flushed: bool,
) -> None:
    log = log_of(4, 7)
    log.flushed_offset = 7 if is_flushed else 0
    again = node(stored=ElectionState(epoch=4, leader_id=2), log=log)
    effects = again.start(0)
    assert effects.flush is not is_flushed
    if not is_flushed:
        assert effects.send == []
        effects = again.step(Flushed(7), 1)
    (asked,) = effects.send
    assert asked.to == 2
    assert isinstance(asked.message, Fetch)
    assert (asked.message.epoch, asked.message.offset, asked.message.last_epoch) == (4, 7, 4)


def test_a_leader_tells_of_itself_until_each_voter_knows() -> None:
    stands = node()
    stands.start(0)
    stands.step(Tick(), stands.deadline_ms)
    for epoch, pre_vote in ((0, True), (1, False)):
        granted = VoteReply(epoch=epoch, leader_id=None, granted=True, pre_vote=pre_vote)
        effects = stands.step(Receive(TWO, granted), LONG_MS)

    def told() -> list[int]:
        return [each.to for each in effects.send if isinstance(each.message, BeginQuorumEpoch)]

    assert told() == [2, 3]
    stands.step(Receive(TWO, BeginQuorumEpochReply(epoch=1, leader_id=1)), LONG_MS + 1)
    effects = stands.step(Tick(), stands.deadline_ms)
    assert told() == [3]
