"""The table of the requests that a controller serves, whoever sends them.

Most requests are decided by the active controller alone: `decide(context, request)` returns the
records to write and the response, which is sent when the records are committed and applied. A
request that only reads the metadata is decided in the same way, and has no records.

Some requests ask about the quorum itself. Any node of the quorum answers them at once.

A row names its function, which is imported when the first such request comes: to import all of them
would make a start slower.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from kbroker.wire.messages.add_raft_voter import AddRaftVoterRequest
from kbroker.wire.messages.allocate_producer_ids import AllocateProducerIdsRequest
from kbroker.wire.messages.alter_configs import AlterConfigsRequest
from kbroker.wire.messages.alter_partition_reassignments import AlterPartitionReassignmentsRequest
from kbroker.wire.messages.assign_replicas_to_dirs import (
    AssignReplicasToDirsRequest,
    AssignReplicasToDirsResponse,
)
from kbroker.wire.messages.broker_heartbeat import BrokerHeartbeatRequest, BrokerHeartbeatResponse
from kbroker.wire.messages.broker_registration import (
    BrokerRegistrationRequest,
    BrokerRegistrationResponse,
)
from kbroker.wire.messages.create_partitions import CreatePartitionsRequest
from kbroker.wire.messages.create_topics import CreateTopicsRequest
from kbroker.wire.messages.delete_topics import DeleteTopicsRequest
from kbroker.wire.messages.describe_quorum import DescribeQuorumRequest
from kbroker.wire.messages.elect_leaders import ElectLeadersRequest
from kbroker.wire.messages.incremental_alter_configs import IncrementalAlterConfigsRequest
from kbroker.wire.messages.list_partition_reassignments import ListPartitionReassignmentsRequest
from kbroker.wire.messages.remove_raft_voter import RemoveRaftVoterRequest
from kbroker.wire.messages.unregister_broker import UnregisterBrokerRequest
from kbroker.wire.messages.update_features import UpdateFeaturesRequest

from .state.sessions import note_heartbeat, note_registration, note_unregistration

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kbroker.wire.message import Message

    from .context import DecisionContext, QuorumContext
    from .state.result import Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Of the active controller. `function` is `module:name`, as are those of entry points."""

    function: str
    # False: the records may go into several batches, since they say of many partitions what follows
    # from the state of one broker.
    is_atomic: bool = True
    # The response that says a RequestError, for a sender that looks for it there. None: the sender
    # gets the RequestError.
    refusal: Callable[..., Message] | None = None
    # What the decision does to the sessions of brokers, which are in no record.
    note: Callable[[DecisionContext, Any, Result[Any]], None] | None = None

    @property
    def decide(self) -> Callable[[DecisionContext, Any], Result[Any]]:
        """Raises RequestError."""
        found: Callable[[DecisionContext, Any], Result[Any]] = _function(self.function)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """About the quorum itself. `function` as in `Decision`."""

    function: str

    @property
    def answer(self) -> Callable[[QuorumContext, Any], Any]:
        """Raises RequestError."""
        found: Callable[[QuorumContext, Any], Any] = _function(self.function)
        return found


@cache
def _function(name: str) -> Any:
    module, _, function = name.partition(":")
    return getattr(import_module(f".{module}", __package__), function)


DECISIONS: Final[Mapping[type[Message], Decision | Question]] = {
    # Clients send these to any broker, which sends them on.
    AlterConfigsRequest: Decision(function="state.configs:decide_alter_configs"),
    AlterPartitionReassignmentsRequest: Decision(
        function="state.reassignments:decide_alter_partition_reassignments"
    ),
    CreatePartitionsRequest: Decision(function="state.create_partitions:decide_create_partitions"),
    CreateTopicsRequest: Decision(function="state.create_topics:decide_create_topics"),
    DeleteTopicsRequest: Decision(function="state.delete_topics:decide_delete_topics"),
    ElectLeadersRequest: Decision(function="state.elect_leaders:decide_elect_leaders"),
    IncrementalAlterConfigsRequest: Decision(
        function="state.configs:decide_incremental_alter_configs"
    ),
    ListPartitionReassignmentsRequest: Decision(
        function="state.reassignments:decide_list_partition_reassignments"
    ),
    UnregisterBrokerRequest: Decision(
        function="state.brokers:decide_unregister_broker", note=note_unregistration
    ),
    UpdateFeaturesRequest: Decision(function="state.features:decide_update_features"),
    # So they do with these, which are about the quorum.
    AddRaftVoterRequest: Question(function="voter_changes:answer_add_raft_voter"),
    DescribeQuorumRequest: Question(function="describe_quorum:answer_describe_quorum"),
    RemoveRaftVoterRequest: Question(function="voter_changes:answer_remove_raft_voter"),
    # Brokers send these for themselves.
    AllocateProducerIdsRequest: Decision(
        function="state.producer_ids:decide_allocate_producer_ids"
    ),
    AssignReplicasToDirsRequest: Decision(
        function="state.directories:decide_assign_replicas_to_dirs",
        is_atomic=False,
        refusal=AssignReplicasToDirsResponse,
    ),
    BrokerHeartbeatRequest: Decision(
        function="state.brokers:decide_broker_heartbeat",
        is_atomic=False,
        refusal=BrokerHeartbeatResponse,
        note=note_heartbeat,
    ),
    BrokerRegistrationRequest: Decision(
        function="state.brokers:decide_broker_registration",
        is_atomic=False,
        refusal=BrokerRegistrationResponse,
        note=note_registration,
    ),
}
