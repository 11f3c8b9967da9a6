"""Who is granted a vote, by the role that the voter plays."""

from __future__ import annotations

from itertools import product

import pytest

from kbroker.controller.raft.roles import (
    Candidate,
    Follower,
    Leader,
    Prospective,
    Resigned,
    Role,
    Unattached,
    can_grant_vote,
)
from kbroker.controller.raft.voters import ReplicaKey

ONE, TWO, THREE = (ReplicaKey(i) for i in (1, 2, 3))
HERE, ELSEWHERE = ReplicaKey(2, b"here"), ReplicaKey(2, b"elsewhere")

NEVER: frozenset[tuple[bool, bool]] = frozenset()
# (is a pre-vote, the candidate's log is up to date)
PRE_VOTES = frozenset({(True, True)})
IF_UP_TO_DATE = frozenset({(True, True), (False, True)})
BOUND = frozenset({(True, True), (False, True), (False, False)})


@pytest.mark.parametrize(
    ("role", "candidate", "granted"),
    [
        (Leader(epoch=5, start_offset=0, granting=frozenset({1, 3})), TWO, NEVER),
        (Resigned(epoch=5, deadline_ms=0), TWO, NEVER),
        (Candidate(epoch=5, deadline_ms=0, voted=ONE), TWO, PRE_VOTES),
        (Follower(epoch=5, deadline_ms=0, leader_id=3), TWO, PRE_VOTES),
        (Follower(epoch=5, deadline_ms=0, leader_id=3, has_fetched=True), TWO, NEVER),
        *(
            (kind(epoch=5, deadline_ms=0, **fields), candidate, granted)
            for kind in (Unattached, Prospective)
            for fields, candidate, granted in (
                ({}, TWO, IF_UP_TO_DATE),
                ({"leader_id": 3}, TWO, PRE_VOTES),
                ({"voted": TWO}, TWO, BOUND),
                ({"voted": THREE}, TWO, PRE_VOTES),
                ({"voted": HERE}, HERE, BOUND),
                ({"voted": HERE}, ELSEWHERE, PRE_VOTES),
                ({"voted": TWO}, HERE, BOUND),  # an old version did not name the directory
            )
        ),
    ],
)
def test_a_vote_is_granted_by_role(
    role: Role, candidate: ReplicaKey, granted: frozenset[tuple[bool, bool]]
) -> None:
    found = {
        (pre_vote, up_to_date)
        for pre_vote, up_to_date in product((True, False), repeat=2)
        if can_grant_vote(role, candidate, log_is_up_to_date=up_to_date, pre_vote=pre_vote)
    }
    assert found == granted
