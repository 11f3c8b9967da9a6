"""Decides AlterPartitionReassignments and ListPartitionReassignments (KIP-455, KIP-860).

Source: ReplicationControlManager, PartitionReassignmentReplicas, PartitionReassignmentRevert.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbroker.wire.errors import ErrorCode, RequestError, refusal
from kbroker.wire.messages.alter_partition_reassignments import (
    AlterPartitionReassignmentsResponse,
    ReassignablePartitionResponse,
    ReassignableTopicResponse,
)
from kbroker.wire.messages.list_partition_reassignments import (
    ListPartitionReassignmentsResponse,
    OngoingPartitionReassignment,
    OngoingTopicReassignment,
)

from .assignments import RECORDS_A_REQUEST_MAX, TOO_MANY_RECORDS, check_assignment
from .elections import Change, Election, change_partition
from .result import Result
from .topic_settings import allows_unclean_election, topic_min_isr

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kbroker.controller.context import DecisionContext
    from kbroker.controller.image import MetadataImage, PartitionImage, TopicImage
    from kbroker.wire.messages.alter_partition_reassignments import (
        AlterPartitionReassignmentsRequest,
        ReassignablePartition,
    )
    from kbroker.wire.messages.list_partition_reassignments import (
        ListPartitionReassignmentsRequest,
    )
    from kbroker.wire.records.partition_change_record import PartitionChangeRecord

    from .config_schema import ConfigSchema


def decide_alter_partition_reassignments(
    context: DecisionContext, request: AlterPartitionReassignmentsRequest
) -> Result[AlterPartitionReassignmentsResponse]:
    """Partitions stand alone: each has its target or its error. RequestError for too many.

    A request that allows no time is over before it begins, here as in Kafka's controller queue.
    """
    if request.timeout_ms <= 0:
        return Result((), _timed_out(request))
    if not request.topics:
        return Result((), AlterPartitionReassignmentsResponse(error_message=""))
    may_resize = request.allow_replication_factor_change
    records: list[PartitionChangeRecord] = []
    response = AlterPartitionReassignmentsResponse(
        allow_replication_factor_change=may_resize, error_message=None
    )
    for topic in request.topics:
        answers: list[ReassignablePartitionResponse] = []
        response.responses.append(ReassignableTopicResponse(name=topic.name, partitions=answers))
        for target in topic.partitions:
            answer = ReassignablePartitionResponse(
                partition_index=target.partition_index, error_message=None
            )
            try:
                record = _alter(
                    context.image, topic.name, target, context.schema, may_resize=may_resize
                )
            except Exception as error:
                what = f"AlterPartitionReassignments of {topic.name}-{target.partition_index}"
                why = refusal(error, what)
                answer.error_code = why.code
                # As Kafka's: no message where it would only be the code's own text.
                if why.message != why.code.message:
                    answer.error_message = why.message
            else:
                if record is not None:
                    records.append(record)
            answers.append(answer)
    if len(records) > RECORDS_A_REQUEST_MAX:
        raise RequestError(ErrorCode.POLICY_VIOLATION, TOO_MANY_RECORDS)
    return Result(tuple(records), response)


def _timed_out(
    request: AlterPartitionReassignmentsRequest,
) -> AlterPartitionReassignmentsResponse:
    code = ErrorCode.REQUEST_TIMED_OUT
    responses = [
        ReassignableTopicResponse(
            name=topic.name,
            partitions=[
                ReassignablePartitionResponse(
                    partition_index=one.partition_index, error_code=code, error_message=None
                )
                for one in topic.partitions
            ],
        )
        for topic in request.topics
    ]
    return AlterPartitionReassignmentsResponse(
        allow_replication_factor_change=request.allow_replication_factor_change,
        error_code=code,
        error_message=None,
        responses=responses,
    )


def _alter(
    image: MetadataImage,
    topic_name: str,
    target: ReassignablePartition,
    schema: ConfigSchema,
    *,
    may_resize: bool,
) -> PartitionChangeRecord | None:
    """The record of one partition; None if nothing needs to change. RequestError."""
    topic = image.topics.get(topic_name)
    if topic is None:
        raise RequestError(
            ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"Unable to find a topic named {topic_name}."
        )
    partition = topic.partitions.get(target.partition_index)
    if partition is None:
        raise RequestError(
            ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
            f"Unable to find partition {topic_name}:{target.partition_index}.",
        )
    if target.replicas is None:
        change = _cancellation(image, topic, target.partition_index, schema)
    else:
        check_assignment(image, target.replicas, None)
        if not may_resize:
            _check_size(partition, len(target.replicas))
        change = _reassignment(partition, target.replicas)
    change.min_isr = topic_min_isr(image, schema, topic_name, len(partition.replicas))
    change.elr_enabled = image.elr_enabled
    return change_partition(image, topic.topic_id, target.partition_index, change)


def _reassignment(partition: PartitionImage, replicas: list[int]) -> Change:
    """Old replicas stay, behind the new ones, until all that are added are in sync."""
    removing = sorted(set(partition.replicas) - set(replicas))
    adding = sorted(set(replicas) - set(partition.replicas))
    return Change(
        replicas=[*replicas, *removing],
        # Where there is nothing to add or remove, what is under way goes on.
        removing=removing or None,
        adding=adding or None,
    )


def _cancellation(
    image: MetadataImage, topic: TopicImage, index: int, schema: ConfigSchema
) -> Change:
    partition = topic.partitions[index]
    if not _is_moving(partition):
        raise RequestError(ErrorCode.NO_REASSIGNMENT_IN_PROGRESS)
    adding = set(partition.adding_replicas)
    replicas = [each for each in partition.replicas if each not in adding]
    isr = [each for each in partition.isr if each not in adding]
    unclean = allows_unclean_election(image, schema, topic.name)
    if not isr:
        if not replicas:
            raise RequestError(
                ErrorCode.INVALID_REPLICA_ASSIGNMENT,
                "Invalid replica assignment: addingReplicas contains all replicas.",
            )
        if not unclean:
            raise RequestError(
                ErrorCode.INVALID_REPLICA_ASSIGNMENT,
                f"Unable to revert partition assignment for {topic.name}:{index} because it would "
                "require an unclean leader election.",
            )
        isr = replicas[:1]
    return Change(
        election=Election.UNCLEAN if unclean else Election.ONLINE,
        isr=isr,
        replicas=replicas,
        removing=[],
        adding=[],
    )


def _check_size(partition: PartitionImage, size: int) -> None:
    """RequestError if the target has not as many replicas as the partition will have had."""
    current = {*partition.replicas, *partition.adding_replicas} - set(partition.removing_replicas)
    if len(current) != size:
        raise RequestError(
            ErrorCode.INVALID_REPLICATION_FACTOR,
            f"The replication factor is changed from {len(current)} to {size}",
        )


def _is_moving(partition: PartitionImage) -> bool:
    return bool(partition.adding_replicas or partition.removing_replicas)


def decide_list_partition_reassignments(
    context: DecisionContext, request: ListPartitionReassignmentsRequest
) -> Result[ListPartitionReassignmentsResponse]:
    """Null asks for all; what does not move, or is not there, is left out."""
    image = context.image
    asked: Iterable[tuple[str, Iterable[int]]]
    if request.topics is None:
        asked = [(topic.name, topic.partitions) for topic in image.topics.values()]
    else:
        asked = [(topic.name, topic.partition_indexes) for topic in request.topics]
    response = ListPartitionReassignmentsResponse(error_message=None)
    for name, indexes in asked:
        topic = image.topics.get(name)
        if topic is None:
            continue
        ongoing = [
            OngoingPartitionReassignment(
                partition_index=index,
                replicas=partition.replicas,
                adding_replicas=partition.adding_replicas,
                removing_replicas=partition.removing_replicas,
            )
            for index in indexes
            if (partition := topic.partitions.get(index)) is not None and _is_moving(partition)
        ]
        if ongoing:
            response.topics.append(OngoingTopicReassignment(name=name, partitions=ongoing))
    return Result((), response)
