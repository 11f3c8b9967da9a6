"""Control records of the quorum, which Raft itself writes into the log and into snapshots.

Source: org.apache.kafka.common.record.ControlRecordType and ControlRecordUtils.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Final

from kbroker.wire.codec import encode
from kbroker.wire.message import ZERO_UUID
from kbroker.wire.records.leader_change_message import LeaderChangeMessage
from kbroker.wire.records.leader_change_message import Voter as LeaderChangeVoter

from .log import NewBatch
from .voters import Endpoint, ReplicaKey, Voter, VoterSet

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kbroker.wire.message import Message
    from kbroker.wire.records.voters_record import VotersRecord


class ControlType(IntEnum):
    """The type in a control record's key."""

    ABORT = 0
    COMMIT = 1
    LEADER_CHANGE = 2
    SNAPSHOT_HEADER = 3
    SNAPSHOT_FOOTER = 4
    KRAFT_VERSION = 5
    KRAFT_VOTERS = 6


# Readers decode it at this version whatever it says of itself (ControlRecordUtils of 4.3.0), so the
# directories of version 1 may not be written even where the voter set knows them.
LEADER_CHANGE_VERSION: Final = 0


def leader_change_batch(
    *,
    base_offset: int,
    epoch: int,
    leader: ReplicaKey,
    voters: VoterSet,
    granting: Iterable[int],
) -> NewBatch:
    """The first batch of every epoch: who leads, who votes, who voted for the leader."""
    message = LeaderChangeMessage(
        version=LEADER_CHANGE_VERSION,
        leader_id=leader.id,
        voters=[LeaderChangeVoter(voter_id=each.key.id) for each in voters],
        granting_voters=[LeaderChangeVoter(voter_id=node_id) for node_id in sorted(granting)],
    )
    return NewBatch(
        base_offset=base_offset,
        epoch=epoch,
        values=(encode(message, LEADER_CHANGE_VERSION),),
        control_types=(ControlType.LEADER_CHANGE,),
    )


def voter_set(record: VotersRecord) -> VoterSet:
    """What a voters record says (kraft.version 1)."""
    return VoterSet(
        {
            each.voter_id: Voter(
                ReplicaKey(each.voter_id, each.voter_directory_id),
                tuple((point.name, Endpoint(point.host, point.port)) for point in each.endpoints),
                (
                    each.kraft_version_feature.min_supported_version,
                    each.kraft_version_feature.max_supported_version,
                ),
            )
            for each in record.voters
        }
    )


def quorum_batch(voters: VoterSet, kraft_version: int, *, base_offset: int, epoch: int) -> NewBatch:
    """What a snapshot says of the quorum, in the log."""
    records = quorum_records(voters, kraft_version)
    return NewBatch(
        base_offset=base_offset,
        epoch=epoch,
        values=tuple(encode(record, 0) for _, record in records),
        control_types=tuple(control_type for control_type, _ in records),
    )


def quorum_records(voters: VoterSet, kraft_version: int) -> list[tuple[ControlType, Message]]:
    """What a snapshot must say of the quorum: nothing while its voters are static."""
    if kraft_version == 0:
        return []
    from kbroker.wire.records import voters_record
    from kbroker.wire.records.kraft_version_record import KRaftVersionRecord

    listed = [
        voters_record.Voter(
            voter_id=each.key.id,
            voter_directory_id=each.key.directory_id or ZERO_UUID,
            endpoints=[
                voters_record.Endpoint(name=name, host=point.host, port=point.port)
                for name, point in each.endpoints
            ],
            kraft_version_feature=voters_record.KRaftVersionFeature(
                min_supported_version=each.kraft_versions[0],
                max_supported_version=each.kraft_versions[1],
            ),
        )
        for each in voters
    ]
    return [
        (ControlType.KRAFT_VERSION, KRaftVersionRecord(kraft_version=kraft_version)),
        (ControlType.KRAFT_VOTERS, voters_record.VotersRecord(voters=listed)),
    ]
