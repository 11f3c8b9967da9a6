"""The file `quorum-state`: the epoch, its leader, and whom this node voted for.

Version 0 while kraft.version is 0, version 1 from 1 on (KIP-853). Source: FileQuorumStateStore.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kbroker.controller.raft.election import ElectionState
from kbroker.controller.raft.voters import ReplicaKey
from kbroker.storage.errors import CorruptFile
from kbroker.wire.message import ZERO_UUID
from kbroker.wire.uuids import parse_uuid, uuid_text

if TYPE_CHECKING:
    from kbroker.controller.raft.voters import VoterSet
    from kbroker.storage.disk import Disk

QUORUM_STATE_FILE: Final = "quorum-state"


def read_quorum_state(disk: Disk, directory: str) -> ElectionState | None:
    """None before the first election. CorruptFile."""
    import json

    path = f"{directory}/{QUORUM_STATE_FILE}"
    try:
        content = disk.read_file(path)
    except FileNotFoundError:
        return None
    try:
        if not content:
            raise ValueError("the file is empty")
        data = json.loads(content)
        if data["data_version"] not in (0, 1):
            raise ValueError(f"version {data['data_version']} is unknown")
        voted, leader = data["votedId"], data["leaderId"]
        voted_in = parse_uuid(data["votedDirectoryId"]) if "votedDirectoryId" in data else None
        return ElectionState(
            epoch=data["leaderEpoch"],
            leader_id=leader if leader >= 0 else None,
            voted=ReplicaKey(voted, voted_in) if voted >= 0 else None,
        )
    except KeyError as error:
        raise CorruptFile(path, f"not a valid quorum state: {error} is missing") from error
    except UnicodeDecodeError:
        raise CorruptFile(path, "not a valid quorum state: the file is not UTF-8 text") from None
    except (ValueError, TypeError) as error:
        raise CorruptFile(path, f"not a valid quorum state: {error}") from error


def write_quorum_state(
    disk: Disk, directory: str, state: ElectionState, voters: VoterSet, kraft_version: int
) -> None:
    """Replace the file. It is durable when this returns."""
    leader = -1 if state.leader_id is None else state.leader_id
    voted = ReplicaKey(-1) if state.voted is None else state.voted
    if kraft_version:
        voted_in = uuid_text(voted.directory_id or ZERO_UUID)
        text = (
            f'{{"leaderId":{leader},"leaderEpoch":{state.epoch},"votedId":{voted.id},'
            f'"votedDirectoryId":"{voted_in}","data_version":1}}'
        )
    else:
        listed = ",".join(f'{{"voterId":{each.key.id}}}' for each in voters)
        text = (
            f'{{"clusterId":"","leaderId":{leader},"leaderEpoch":{state.epoch},'
            f'"votedId":{voted.id},"appliedOffset":0,"currentVoters":[{listed}],'
            '"data_version":0}'
        )
    disk.write_file_atomic(f"{directory}/{QUORUM_STATE_FILE}", text.encode())
