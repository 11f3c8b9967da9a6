"""Who voted for whom in which epoch. Only this and the log must survive a crash.

It is stored in the quorum-state file (QuorumStateData). Source:
org.apache.kafka.raft.ElectionState.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from .voters import ReplicaKey


class ElectionState(NamedTuple):
    """Invariants: epoch never falls; within an epoch `voted` and `leader_id`, once set, never
    change.
    """

    epoch: int
    leader_id: int | None = None
    voted: ReplicaKey | None = None
