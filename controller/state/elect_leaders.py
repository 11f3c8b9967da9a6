"""Decides ElectLeaders: partitions get their preferred leader, or any replica at the cost of data.

Source: ReplicationControlManager.electLeaders (KIP-183, KIP-460).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kbroker.controller.model import NO_LEADER
from kbroker.wire.errors import ErrorCode, RequestError, refusal
from kbroker.wire.messages.elect_leaders import (
    ElectLeadersResponse,
    PartitionResult,
    ReplicaElectionResult,
)

from .assignments import RECORDS_A_REQUEST_MAX, TOO_MANY_RECORDS
from .elections import Change, Election, change_partition
from .result import Result
from .topic_settings import topic_min_isr

if TYPE_CHECKING:
    from kbroker.controller.context import DecisionContext
    from kbroker.controller.image import MetadataImage
    from kbroker.wire.messages.elect_leaders import ElectLeadersRequest
    from kbroker.wire.records.partition_change_record import PartitionChangeRecord

    from .config_schema import ConfigSchema

# ElectionType
ELECTIONS: Final = {0: Election.PREFERRED, 1: Election.UNCLEAN}


def decide_elect_leaders(
    context: DecisionContext, request: ElectLeadersRequest
) -> Result[ElectLeadersResponse]:
    """Null is all partitions, of which those are left out that need no election.

    A request that allows no time is over before it begins, here as in Kafka's controller queue.
    RequestError for an unknown type of election, and for too many changes.
    """
    image = context.image
    response = ElectLeadersResponse()
    if request.timeout_ms <= 0:
        return Result((), _timed_out(request))
    if request.topic_partitions is not None and not request.topic_partitions:
        return Result((), response)
    election = ELECTIONS.get(request.election_type)
    if election is None:
        raise RequestError(
            ErrorCode.INVALID_REQUEST, f"Unknown election type {request.election_type}"
        )
    asked = (
        [(topic.name, list(topic.partitions)) for topic in image.topics.values()]
        if request.topic_partitions is None
        else [(topic.topic, topic.partitions) for topic in request.topic_partitions]
    )
    records: list[PartitionChangeRecord] = []
    for name, partitions in asked:
        results: list[PartitionResult] = []
        response.replica_election_results.append(
            ReplicaElectionResult(topic=name, partition_result=results)
        )
        for index in partitions:
            result = PartitionResult(partition_id=index, error_message=None)
            try:
                records.append(_elect(image, name, index, election, context.schema))
            except Exception as error:
                why = refusal(error, f"ElectLeaders of {name}-{index}")
                if request.topic_partitions is None and why.code == ErrorCode.ELECTION_NOT_NEEDED:
                    continue
                result.error_code, result.error_message = why.code, why.message
            results.append(result)
    if len(records) > RECORDS_A_REQUEST_MAX:
        raise RequestError(ErrorCode.POLICY_VIOLATION, TOO_MANY_RECORDS)
    return Result(tuple(records), response)


def _timed_out(request: ElectLeadersRequest) -> ElectLeadersResponse:
    code = ErrorCode.REQUEST_TIMED_OUT
    results = [
        ReplicaElectionResult(
            topic=topic.topic,
            partition_result=[
                PartitionResult(partition_id=index, error_code=code, error_message=None)
                for index in topic.partitions
            ],
        )
        for topic in request.topic_partitions or ()
    ]
    return ElectLeadersResponse(error_code=code, replica_election_results=results)


def _elect(
    image: MetadataImage, topic_name: str, index: int, election: Election, schema: ConfigSchema
) -> PartitionChangeRecord:
    """The change that an election in one partition brings. RequestError."""
    unknown = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    topic = image.topics.get(topic_name)
    if topic is None:
        raise RequestError(unknown, f"No such topic as {topic_name}")
    partition = topic.partitions.get(index)
    if partition is None:
        raise RequestError(unknown, f"No such partition as {topic_name}-{index}")
    is_preferred = election is Election.PREFERRED
    if partition.has_preferred_leader if is_preferred else partition.leader != NO_LEADER:
        raise _plain(ErrorCode.ELECTION_NOT_NEEDED)
    change = Change(
        election=election,
        min_isr=topic_min_isr(image, schema, topic_name, len(partition.replicas)),
        elr_enabled=image.elr_enabled,
    )
    record = change_partition(image, topic.topic_id, index, change)
    if record is None:
        raise _plain(
            ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE
            if is_preferred
            else ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE
        )
    return record


def _plain(code: ErrorCode) -> RequestError:
    return RequestError(code, code.message)
