"""Majorities and high watermarks against the definition, and the epoch log against a list."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbroker.controller.raft.log import EpochLog, LogPosition
from kbroker.controller.raft.quorum import (
    OBSERVER_SESSION_TIMEOUT_MS,
    Tracker,
    is_lost,
    is_won,
    majority,
    replicated_offset,
)
from kbroker.controller.raft.voters import ReplicaKey, VoterSet


@given(st.lists(st.integers(-1, 50), min_size=1, max_size=9))
def test_the_replicated_offset_is_the_largest_that_a_majority_has_reached(ends: list[int]) -> None:
    best = max(
        offset for offset in ends if sum(end >= offset for end in ends) >= len(ends) // 2 + 1
    )
    assert replicated_offset(ends) == best


@given(st.integers(1, 15))
def test_any_two_majorities_share_a_voter(voters: int) -> None:
    assert 2 * majority(voters) > voters
    assert 2 * (majority(voters) - 1) <= voters


@given(st.integers(1, 9), st.data())
def test_an_election_is_never_both_won_and_lost(voters: int, data: st.DataObject) -> None:
    answers = data.draw(
        st.lists(st.sampled_from(["yes", "no", None]), min_size=voters, max_size=voters)
    )
    granted = {i for i, answer in enumerate(answers) if answer == "yes"}
    rejected = {i for i, answer in enumerate(answers) if answer == "no"}
    assert not (is_won(granted, voters) and is_lost(rejected, voters))
    if None not in answers:
        assert is_won(granted, voters) or is_lost(rejected, voters)


@st.composite
def epochs_and_log(draw: st.DrawFn) -> tuple[list[int], EpochLog]:
    """The epoch of every offset, and the same as an EpochLog."""
    epochs: list[int] = []
    log = EpochLog()
    epoch = 1  # as in every quorum: nobody leads epoch 0
    for _ in range(draw(st.integers(0, 8))):
        epoch += draw(st.integers(0, 3))
        size = draw(st.integers(1, 4))
        log.append(epoch, len(epochs), len(epochs) + size)
        epochs += [epoch] * size
    return epochs, log


@given(epochs_and_log(), st.integers(0, 30))
def test_the_end_of_an_epoch_is_where_a_larger_one_starts(
    both: tuple[list[int], EpochLog], epoch: int
) -> None:
    epochs, log = both
    below = [e for e in epochs if e <= epoch]
    expected = LogPosition(below[-1], len(below)) if below else LogPosition(0, 0)
    assert log.end_of_epoch(epoch) == expected


@given(epochs_and_log(), st.data())
def test_truncation_and_snapshots_keep_the_epochs_of_what_is_left(
    both: tuple[list[int], EpochLog], data: st.DataObject
) -> None:
    epochs, log = both
    end = data.draw(st.integers(0, len(epochs)))
    start = data.draw(st.integers(0, end))
    log.truncate_to(end)
    log.advance_start(LogPosition(epochs[start - 1] if start else 0, start))
    assert (log.start_offset, log.end_offset) == (start, end)
    for offset in range(start + 1, end + 1):
        assert log.epoch_at(offset) == epochs[offset - 1]
    assert log.last_epoch == (epochs[end - 1] if end else 0)


@st.composite
def two_histories(draw: st.DrawFn) -> tuple[list[int], list[int]]:
    """Epochs by offset in two logs that Raft can have brought about: every epoch is one node's."""
    logs: tuple[list[int], list[int]] = ([], [])
    for epoch in range(1, draw(st.integers(1, 8))):
        leads = draw(st.integers(0, 1))
        logs[leads].extend([epoch] * draw(st.integers(1, 3)))
        if draw(st.booleans()):
            logs[1 - leads][:] = logs[leads][: draw(st.integers(0, len(logs[leads])))]
    return logs


@given(two_histories())
def test_truncating_at_divergence_leads_to_a_common_prefix(
    histories: tuple[list[int], list[int]],
) -> None:
    leader_epochs, follower_epochs = histories
    leader, follower = log_with(leader_epochs), log_with(follower_epochs)
    for _ in range(len(follower_epochs) + 1):
        diverging = leader.divergence(follower.end_offset, follower.last_epoch)
        if follower.end_offset == 0 or diverging is None:
            break
        follower.truncate_to(follower.truncation_point(diverging))
    common = 0
    while common < min(len(leader_epochs), len(follower_epochs)) and (
        leader_epochs[common] == follower_epochs[common]
    ):
        common += 1
    assert follower.end_offset == common


def log_with(epochs: list[int]) -> EpochLog:
    log = EpochLog()
    for offset, epoch in enumerate(epochs):
        log.append(epoch, offset, offset + 1)
    return log


def test_a_leader_counts_on_a_majority_of_fetches() -> None:
    keys = [ReplicaKey(i) for i in (1, 2, 3)]
    tracker = Tracker(keys[0], VoterSet.of(*keys), 0, 300)
    assert tracker.quorum_deadline_ms == 300
    tracker.note_fetch(keys[1], 5, 9, 100)
    assert tracker.quorum_deadline_ms == 400
    tracker.note_local(9)
    assert tracker.replicated_offset() == 5
    assert tracker.successors() == [2, 3]


def test_observers_do_not_count_and_are_forgotten_when_silent() -> None:
    one = ReplicaKey(1)
    tracker = Tracker(one, VoterSet.of(one), 0, 300)
    tracker.note_local(9)
    tracker.note_fetch(ReplicaKey(7), 3, 9, 100)
    assert tracker.replicated_offset() == 9
    assert tracker.quorum_deadline_ms is None
    assert tracker.follows_others
    tracker.forget_silent_observers(100 + OBSERVER_SESSION_TIMEOUT_MS - 1)
    assert [each.key for each in tracker.replicas()[1]] == [ReplicaKey(7)]
    tracker.forget_silent_observers(100 + OBSERVER_SESSION_TIMEOUT_MS)
    assert tracker.replicas()[1] == []
    assert not tracker.follows_others


@pytest.mark.parametrize(
    ("local", "voters", "expected"),
    [(1, (1,), False), (1, (1, 2), True), (1, (1, 2, 3), True), (1, (2,), True), (1, (2, 3), True)],
)
def test_other_voters_follow_a_leader_whether_it_is_one_or_not(
    local: int, voters: tuple[int, ...], expected: bool
) -> None:
    voter_set = VoterSet.of(*map(ReplicaKey, voters))
    assert Tracker(ReplicaKey(local), voter_set, 0, 300).follows_others is expected


def test_of_a_voter_that_never_fetched_no_time_is_known() -> None:
    keys = [ReplicaKey(i) for i in (1, 2, 3)]
    tracker = Tracker(keys[0], VoterSet.of(*keys), 0, 300)
    tracker.note_fetch(keys[1], 0, 9, 0)
    seen = [(p.last_fetch_ms, p.last_caught_up_ms) for p in tracker.replicas()[0]]
    assert seen == [(-1, -1), (0, -1), (-1, -1)]


@pytest.mark.parametrize(
    ("fetches", "caught_up_ms"),
    [
        ([(9, 9, 100)], 100),  # (asks for, the leader's end, when)
        ([(8, 9, 100)], -1),
        ([(8, 9, 100), (9, 12, 200)], 100),  # by 200 it has what there was at 100
        ([(8, 9, 100), (8, 12, 200)], -1),
        ([(8, 9, 100), (10, 12, 200), (12, 12, 300), (12, 15, 400)], 300),
        ([(9, 9, 100), (5, 9, 200)], 100),
    ],
)
def test_a_replica_has_caught_up_with_what_there_was_when_it_asked(
    fetches: list[tuple[int, int, int]], caught_up_ms: int
) -> None:
    keys = [ReplicaKey(i) for i in (1, 2, 3)]
    tracker = Tracker(keys[0], VoterSet.of(*keys), 0, 300)
    for offset, leader_end, now_ms in fetches:
        tracker.note_fetch(keys[1], offset, leader_end, now_ms)
    progress = tracker.replicas()[0][1]
    assert progress.last_caught_up_ms == caught_up_ms
    assert (progress.match_offset, progress.last_fetch_ms) == (fetches[-1][0], fetches[-1][2])
