"""The roles of a quorum node, and the table of allowed transitions between them.

A role is an immutable value. RaftNode._become makes every transition: it checks the table, and
stores what must survive a crash.
Source: org.apache.kafka.raft.QuorumState of 4.x, with pre-vote (KIP-996).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from .voters import ReplicaKey


NEVER = 1 << 62
"""A deadline that does not come, milliseconds."""


class Unattached(NamedTuple):
    """Knows an epoch, follows nobody. `voted` is its binding vote of this epoch; observers have no
    deadline.
    """

    epoch: int
    deadline_ms: int
    leader_id: int | None = None
    voted: ReplicaKey | None = None


class Prospective(NamedTuple):
    """Asks whether it could win, in the current epoch and without a binding vote (pre-vote)."""

    epoch: int
    deadline_ms: int
    leader_id: int | None = None
    voted: ReplicaKey | None = None
    granted: frozenset[int] = frozenset()
    rejected: frozenset[int] = frozenset()


class Candidate(NamedTuple):
    """Stands for election in an epoch of its own making, having voted for itself."""

    epoch: int
    deadline_ms: int
    voted: ReplicaKey
    granted: frozenset[int] = frozenset()
    rejected: frozenset[int] = frozenset()


class Leader(NamedTuple):
    """Won its epoch. It may commit older records only once one of its own, at `start_offset`, is
    replicated.
    """

    epoch: int
    start_offset: int
    granting: frozenset[int]
    deadline_ms: int = NEVER


class Follower(NamedTuple):
    """Replicates from a leader; `has_fetched` once that leader has answered, which ends its
    sympathy for pre-votes.
    """

    epoch: int
    deadline_ms: int
    leader_id: int
    voted: ReplicaKey | None = None
    has_fetched: bool = False


class Resigned(NamedTuple):
    """Led this epoch and gave up; will not vote in it again."""

    epoch: int
    deadline_ms: int
    successors: tuple[int, ...] = ()
    unacknowledged: frozenset[int] = frozenset()


Role: TypeAlias = Unattached | Prospective | Candidate | Leader | Follower | Resigned

# Which role may follow which. Moves to a higher epoch lead to Unattached or Follower; a role may
# also replace itself.
MOVES: dict[type, frozenset[type]] = {
    Unattached: frozenset({Unattached, Prospective, Follower}),
    Prospective: frozenset({Unattached, Prospective, Candidate, Follower}),
    Candidate: frozenset({Unattached, Candidate, Prospective, Leader, Follower}),
    Leader: frozenset({Unattached, Resigned, Follower}),
    Follower: frozenset({Unattached, Prospective, Follower}),
    Resigned: frozenset({Unattached, Resigned, Follower}),
}


def can_grant_vote(
    role: Role, candidate: ReplicaKey, *, log_is_up_to_date: bool, pre_vote: bool
) -> bool:
    """Would `role` vote for `candidate` in the role's own epoch? (EpochState.canGrantVote)"""
    match role:
        case Leader() | Resigned():
            return False
        case Follower():
            # A follower that hears from its leader protects it; one that never did may as well
            # help.
            return pre_vote and log_is_up_to_date and not role.has_fetched
        case Candidate():
            return pre_vote and log_is_up_to_date
        case Unattached() | Prospective():
            if pre_vote:
                return log_is_up_to_date
            if role.voted is not None:
                return role.voted.id == candidate.id and (
                    role.voted.directory_id is None
                    or role.voted.directory_id == candidate.directory_id
                )
            return role.leader_id is None and log_is_up_to_date
