"""Decides CreatePartitions: adds partitions to topics.

Source: ReplicationControlManager.createPartitions.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from kbroker.wire.errors import ErrorCode, RequestError, refusal
from kbroker.wire.messages.create_partitions import (
    CreatePartitionsResponse,
    CreatePartitionsTopicResult,
)

from .assignments import (
    PARTITIONS_A_REQUEST_MAX,
    TOO_MANY_PARTITIONS,
    check_alive,
    check_assignment,
    new_partition,
)
from .placement import PlacementError, place_replicas
from .result import Result

if TYPE_CHECKING:
    from random import Random

    from kbroker.controller.context import DecisionContext
    from kbroker.controller.image import MetadataImage, TopicImage
    from kbroker.wire.message import Message
    from kbroker.wire.messages.create_partitions import (
        CreatePartitionsRequest,
        CreatePartitionsTopic,
    )


def decide_create_partitions(
    context: DecisionContext, request: CreatePartitionsRequest
) -> Result[CreatePartitionsResponse]:
    """Topics stand alone; every topic that was asked for is answered for.

    Kafka's controller hangs or half obeys when asked for very many partitions. Here a request may
    make as many as CreateTopics may, and more are refused with that API's error.
    A request that allows no time is over before it begins, here as in Kafka's controller queue.
    """
    if request.timeout_ms <= 0:
        timed_out = [
            _result(topic.name, ErrorCode.REQUEST_TIMED_OUT, None) for topic in request.topics
        ]
        return Result((), CreatePartitionsResponse(results=timed_out))
    times = Counter(topic.name for topic in request.topics)
    twice = [name for name, count in times.items() if count > 1]
    results = [_result(name, ErrorCode.INVALID_REQUEST, "Duplicate topic name.") for name in twice]
    records: list[Message] = []
    for topic in request.topics:
        if times[topic.name] > 1:
            continue
        try:
            room = PARTITIONS_A_REQUEST_MAX - len(records)
            made = _grow(context.image, topic, room, context.rng)
            result = _result(topic.name, ErrorCode.NONE, None)
        except Exception as error:
            why = refusal(error, f"CreatePartitions of {topic.name!r}")
            made, result = [], _result(topic.name, why.code, why.message or None)
        records += made
        results.append(result)
    response = CreatePartitionsResponse(results=results)
    return Result(() if request.validate_only else tuple(records), response)


def _result(name: str, code: ErrorCode, message: str | None) -> CreatePartitionsTopicResult:
    return CreatePartitionsTopicResult(name=name, error_code=code, error_message=message)


def _grow(
    image: MetadataImage, asked: CreatePartitionsTopic, room: int, rng: Random
) -> list[Message]:
    """The records of the new partitions. RequestError."""
    topic = image.topics.get(asked.name)
    if topic is None:
        raise RequestError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, "")
    present = len(topic.partitions)
    if asked.count == present:
        raise RequestError(
            ErrorCode.INVALID_PARTITIONS, f"Topic already has {present} partition(s)."
        )
    if asked.count < present:
        raise RequestError(
            ErrorCode.INVALID_PARTITIONS,
            f"The topic {asked.name} currently has {present} partition(s); {asked.count} would not "
            "be an increase.",
        )
    added = asked.count - present
    if asked.assignments is not None and len(asked.assignments) != added:
        raise RequestError(
            ErrorCode.INVALID_REPLICA_ASSIGNMENT,
            f"Attempted to add {added} additional partition(s), but only "
            f"{len(asked.assignments)} assignment(s) were specified.",
        )
    if added > room:
        raise RequestError(ErrorCode.POLICY_VIOLATION, TOO_MANY_PARTITIONS)
    return [
        new_partition(image, topic.topic_id, partition_id, replicas)
        for partition_id, replicas in enumerate(_assign(image, topic, asked, rng), present)
    ]


def _assign(
    image: MetadataImage, topic: TopicImage, asked: CreatePartitionsTopic, rng: Random
) -> list[list[int]]:
    present = len(topic.partitions)
    # New partitions are replicated as the first one is.
    replication_factor = len(topic.partitions[min(topic.partitions)].replicas)
    if asked.assignments is None:
        try:
            brokers = image.brokers.values()
            return place_replicas(brokers, asked.count - present, replication_factor, rng)
        except PlacementError as error:
            raise RequestError(ErrorCode.INVALID_REPLICATION_FACTOR, str(error)) from error
    assigned = [assignment.broker_ids for assignment in asked.assignments]
    for partition_id, replicas in enumerate(assigned, present):
        check_assignment(image, replicas, replication_factor)
        check_alive(image, partition_id, replicas)
    return assigned
