"""AddRaftVoter and RemoveRaftVoter (KIP-853), as a quorum of one voter answers them.

The voters never change: the only voter cannot be removed, and without a controller listener no
other node can have caught up, as a new voter must. Source: KafkaRaftClient.handleAddVoterRequest,
AddVoterHandler, RemoveVoterHandler.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbroker.wire.errors import ErrorCode, RequestError
from kbroker.wire.message import ZERO_UUID
from kbroker.wire.uuids import uuid_text

from .raft.voters import ReplicaKey

if TYPE_CHECKING:
    from typing import NoReturn

    from kbroker.wire.messages.add_raft_voter import AddRaftVoterRequest, Listener
    from kbroker.wire.messages.remove_raft_voter import RemoveRaftVoterRequest

    from .context import QuorumContext
    from .raft.node import RaftNode


def answer_add_raft_voter(context: QuorumContext, request: AddRaftVoterRequest) -> NoReturn:
    """RequestError: nobody can come to a quorum of one without a listener for controllers."""
    node = context.node
    _check_asked_here(context, request.cluster_id)
    key = _valid_key(
        request.voter_id,
        request.voter_directory_id,
        "Add voter request didn't include a valid voter",
    )
    listener = context.settings.controller_listener_names[0]  # by which voters meet
    if not any(each.name == listener for each in request.listeners):
        raise RequestError(
            ErrorCode.INVALID_REQUEST,
            f"Add voter request didn't include the endpoint ({_endpoints_text(request.listeners)}) "
            f"for the default listener ListenerName({listener})",
        )
    _check_reconfigurable(node, "adding")
    if key.id in node.voters.ids:
        raise RequestError(
            ErrorCode.DUPLICATE_VOTER,
            f"The voter id for {_key_text(key)} is already part of the set of voters "
            f"{_voters_text(node)}.",
        )
    raise RequestError(
        ErrorCode.REQUEST_TIMED_OUT,
        f"Aborted add voter operation for {_key_text(key)} since it is lagging behind",
    )


def answer_remove_raft_voter(context: QuorumContext, request: RemoveRaftVoterRequest) -> NoReturn:
    """RequestError: the only voter cannot go."""
    node = context.node
    _check_asked_here(context, request.cluster_id)
    key = _valid_key(
        request.voter_id,
        request.voter_directory_id,
        "Remove voter request didn't include a valid voter",
    )
    _check_reconfigurable(node, "removing")
    raise RequestError(
        ErrorCode.VOTER_NOT_FOUND,
        f"Cannot remove voter {_key_text(key)} from the set of voters {_voters_text(node)}",
    )


def _check_asked_here(context: QuorumContext, asked: str | None) -> None:
    cluster_id = context.settings.cluster_id
    if asked is not None and asked != cluster_id:
        raise RequestError(
            ErrorCode.INCONSISTENT_CLUSTER_ID,
            f'The given id "{asked}" doesn\'t match the cluster id "{cluster_id}"',
        )
    if not context.node.is_leader:
        raise RequestError(ErrorCode.NOT_LEADER_OR_FOLLOWER)


def _valid_key(voter_id: int, directory_id: bytes, problem: str) -> ReplicaKey:
    if voter_id < 0 or directory_id == ZERO_UUID:
        raise RequestError(ErrorCode.INVALID_REQUEST, problem)
    return ReplicaKey(voter_id, directory_id)


def _check_reconfigurable(node: RaftNode, change: str) -> None:
    if node.kraft_version == 0:
        raise RequestError(
            ErrorCode.UNSUPPORTED_VERSION,
            f"Cluster doesn't support {change} voter because the kraft.version feature is 0",
        )


def _key_text(key: ReplicaKey) -> str:
    assert key.directory_id is not None, "at kraft.version 1 every voter's directory is known"
    return f"ReplicaKey(id={key.id}, directoryId={uuid_text(key.directory_id)})"


def _voters_text(node: RaftNode) -> str:
    return f"[{', '.join(_key_text(voter.key) for voter in node.voters)}]"


def _endpoints_text(listeners: list[Listener]) -> str:
    by_name = {each.name: f"{each.host}/<unresolved>:{each.port}" for each in listeners}
    text = ", ".join(f"ListenerName({name})={where}" for name, where in by_name.items())
    return f"Endpoints(endpoints={{{text}}})"
