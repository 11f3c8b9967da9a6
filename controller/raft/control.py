"""Control records of the quorum: batches that Raft writes for itself into the log and into
snapshots.

Source: org.apache.kafka.common.record.ControlRecordType and ControlRecordUtils.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from kbroker.wire.codec import encode
from kbroker.wire.records.leader_change_message import LeaderChangeMessage
from kbroker.wire.records.leader_change_message import Voter as LeaderChangeVoter
from kbroker.wire.uuids import ZERO_UUID

from .log import NewBatch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .voters import ReplicaKey, VoterSet


class ControlType(IntEnum):
    """The type in a control record's key."""

    ABORT = 0
    COMMIT = 1
    LEADER_CHANGE = 2
    SNAPSHOT_HEADER = 3
    SNAPSHOT_FOOTER = 4
    KRAFT_VERSION = 5
    KRAFT_VOTERS = 6


def leader_change_batch(
    *,
    base_offset: int,
    epoch: int,
    leader: ReplicaKey,
    voters: VoterSet,
    granting: Iterable[int],
    kraft_version: int,
) -> NewBatch:
    """The first batch of every epoch. Voters are written by id, with their directories from
    kraft.version 1 on.
    """
    version = min(kraft_version, LeaderChangeMessage.MAX_VERSION)

    def voter(node_id: int) -> LeaderChangeVoter:
        known = voters.get(node_id)
        directory = known.key.directory_id if known is not None else None
        return LeaderChangeVoter(
            voter_id=node_id,
            voter_directory_id=directory if version >= 1 and directory else ZERO_UUID,
        )

    message = LeaderChangeMessage(
        version=version,
        leader_id=leader.id,
        voters=[voter(each.key.id) for each in voters],
        granting_voters=[voter(node_id) for node_id in sorted(granting)],
    )
    return NewBatch(
        base_offset=base_offset,
        epoch=epoch,
        values=(encode(message, version),),
        control_types=(ControlType.LEADER_CHANGE,),
    )
