"""Decides CreateTopics: which topics of a request are created, and why the others are not.

Source: ReplicationControlManager.createTopics, ControllerApis.createTopics.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from kbroker.controller.model import collision_key
from kbroker.controller.topic_names import CLUSTER_METADATA, invalid_topic_name
from kbroker.wire.codes import ResourceType
from kbroker.wire.errors import ErrorCode, RequestError, refusal
from kbroker.wire.messages.create_topics import (
    CreatableTopicConfigs,
    CreatableTopicResult,
    CreateTopicsResponse,
)
from kbroker.wire.records.config_record import ConfigRecord
from kbroker.wire.records.topic_record import TopicRecord
from kbroker.wire.uuids import random_uuid

from .assignments import (
    PARTITIONS_A_REQUEST_MAX,
    RECORDS_A_REQUEST_MAX,
    TOO_MANY_PARTITIONS,
    TOO_MANY_RECORDS,
    check_alive,
    check_assignment,
    new_partition,
    placed,
)
from .result import Result

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random

    from kbroker.controller.context import DecisionContext
    from kbroker.controller.image import MetadataImage
    from kbroker.controller.settings import ControllerSettings
    from kbroker.wire.message import Message
    from kbroker.wire.messages.create_topics import CreatableTopic, CreateTopicsRequest

    from .config_schema import ConfigSchema


def decide_create_topics(
    context: DecisionContext, request: CreateTopicsRequest
) -> Result[CreateTopicsResponse]:
    """Topics of one request stand alone, but for its bounds, which refuse them all.

    A request that allows no time is over before it begins, here as in Kafka's controller queue.
    """
    if request.timeout_ms <= 0:
        return _refuse_all(request, ErrorCode.REQUEST_TIMED_OUT, None)
    results: list[CreatableTopicResult] = []
    refused: list[CreatableTopicResult] = []
    records: list[Message] = []
    wanted, twice = _by_name(request)
    # A thousand topics in one request mostly set nothing, and their answers say the same.
    plain = cache(lambda: _described(context.schema, {}))
    try:
        _check_partition_bound(wanted, context.settings)
        for topic in wanted:
            if topic.name == CLUSTER_METADATA:
                refused.append(
                    _refusal(
                        topic.name,
                        ErrorCode.INVALID_REQUEST,
                        f"Creation of internal topic {CLUSTER_METADATA} is prohibited.",
                    )
                )
                continue
            try:
                made, result = _create(context, topic, plain)
            except Exception as error:
                why = refusal(error, f"CreateTopics of {topic.name!r}")
                results.append(_refusal(topic.name, why.code, why.message))
                continue
            results.append(result)
            records += made
            if len(records) > RECORDS_A_REQUEST_MAX:
                raise RequestError(ErrorCode.POLICY_VIOLATION, TOO_MANY_RECORDS)
    except RequestError as error:
        return _refuse_all(request, error.code, error.message)
    refused[:0] = [
        _refusal(name, ErrorCode.INVALID_REQUEST, "Duplicate topic name.") for name in twice
    ]
    response = CreateTopicsResponse(topics=results + refused)
    return Result(() if request.validate_only else tuple(records), response)


def _refuse_all(
    request: CreateTopicsRequest, code: ErrorCode, message: str | None
) -> Result[CreateTopicsResponse]:
    topics = [_refusal(topic.name, code, message) for topic in request.topics]
    return Result((), CreateTopicsResponse(topics=topics))


def _by_name(request: CreateTopicsRequest) -> tuple[list[CreatableTopic], list[str]]:
    """The topics named once, and the names that come twice."""
    seen: dict[str, int] = {}
    for topic in request.topics:
        seen[topic.name] = seen.get(topic.name, 0) + 1
    once = [topic for topic in request.topics if seen[topic.name] == 1]
    return once, [name for name, times in seen.items() if times > 1]


def _check_partition_bound(topics: list[CreatableTopic], settings: ControllerSettings) -> None:
    total = 0
    for topic in topics:
        if topic.assignments:
            total += len(topic.assignments)
        else:
            asked = topic.num_partitions
            total += settings.num_partitions if asked == -1 else max(asked, 0)
    if total > PARTITIONS_A_REQUEST_MAX:
        raise RequestError(ErrorCode.POLICY_VIOLATION, TOO_MANY_PARTITIONS)


def _refusal(name: str, code: ErrorCode, message: str | None) -> CreatableTopicResult:
    return CreatableTopicResult(name=name, error_code=code, error_message=message)


def _create(
    context: DecisionContext,
    topic: CreatableTopic,
    plain: Callable[[], list[CreatableTopicConfigs]],
) -> tuple[list[Message], CreatableTopicResult]:
    """The records and the result of one topic; `plain` describes one that sets nothing.

    RequestError.
    """
    image, schema, rng = context.image, context.schema, context.rng
    _check_name(image, topic.name)
    values = _check_configs(topic, schema)
    assignments = _assign(image, topic, context.settings, rng)
    topic_id = random_uuid(rng)
    records: list[Message] = [TopicRecord(name=topic.name, topic_id=topic_id)]
    records += [
        ConfigRecord(
            resource_type=ResourceType.TOPIC, resource_name=topic.name, name=key, value=value
        )
        for key, value in values.items()
    ]
    records += [
        new_partition(image, topic_id, partition_id, replicas)
        for partition_id, replicas in enumerate(assignments)
    ]
    result = CreatableTopicResult(
        name=topic.name,
        topic_id=topic_id,
        error_code=ErrorCode.NONE,
        error_message=None,
        topic_config_error_code=ErrorCode.NONE,
        num_partitions=len(assignments),
        replication_factor=len(assignments[0]),
        configs=_described(schema, values) if values else plain(),
    )
    return records, result


def _described(schema: ConfigSchema, values: Mapping[str, str]) -> list[CreatableTopicConfigs]:
    return [
        CreatableTopicConfigs(
            name=each.name,
            value=None if each.is_sensitive else each.value,
            read_only=each.is_read_only,
            config_source=each.source,
            is_sensitive=each.is_sensitive,
        )
        for each in schema.effective_topic(values)
    ]


def _check_name(image: MetadataImage, name: str) -> None:
    problem = invalid_topic_name(name)
    if problem is not None:
        raise RequestError(ErrorCode.INVALID_TOPIC_EXCEPTION, problem)
    if name in image.topics:
        raise RequestError(ErrorCode.TOPIC_ALREADY_EXISTS, f"Topic '{name}' already exists.")
    key = collision_key(name)
    colliding = image.collisions.get(key, ()) if key is not None else ()
    if colliding:
        raise RequestError(
            ErrorCode.INVALID_TOPIC_EXCEPTION,
            f"Topic '{name}' collides with existing topic: {min(colliding)}",
        )


def _check_configs(topic: CreatableTopic, schema: ConfigSchema) -> dict[str, str]:
    without_value = [config.name for config in topic.configs if config.value is None]
    if without_value:
        raise RequestError(
            ErrorCode.INVALID_CONFIG,
            f"Null value not supported for topic configs: {','.join(without_value)}",
        )
    # Of a key that is given twice the last counts, as in Kafka.
    values = {c.name: c.value for c in topic.configs if c.value is not None}
    problem = schema.check(ResourceType.TOPIC, topic.name, values)
    if problem is not None:
        raise RequestError(*problem)
    return values


def _assign(
    image: MetadataImage, topic: CreatableTopic, settings: ControllerSettings, rng: Random
) -> list[list[int]]:
    """The replicas of each partition."""
    if topic.assignments:
        return _assigned_by_hand(image, topic)
    if topic.replication_factor < -1 or topic.replication_factor == 0:
        raise RequestError(
            ErrorCode.INVALID_REPLICATION_FACTOR,
            "Replication factor must be larger than 0, or -1 to use the default value.",
        )
    if topic.num_partitions < -1 or topic.num_partitions == 0:
        raise RequestError(
            ErrorCode.INVALID_PARTITIONS,
            "Number of partitions was set to an invalid non-positive value.",
        )
    partitions, replicas = topic.num_partitions, topic.replication_factor
    return placed(
        image,
        settings.num_partitions if partitions == -1 else partitions,
        settings.default_replication_factor if replicas == -1 else replicas,
        rng,
    )


def _assigned_by_hand(image: MetadataImage, topic: CreatableTopic) -> list[list[int]]:
    if topic.replication_factor != -1:
        raise RequestError(
            ErrorCode.INVALID_REQUEST,
            "A manual partition assignment was specified, but replication factor was not set to "
            "-1.",
        )
    if topic.num_partitions != -1:
        raise RequestError(
            ErrorCode.INVALID_REQUEST,
            "A manual partition assignment was specified, but numPartitions was not set to -1.",
        )
    assigned: dict[int, list[int]] = {}
    replication_factor: int | None = None
    for assignment in topic.assignments:
        if assignment.partition_index in assigned:
            raise RequestError(
                ErrorCode.INVALID_REPLICA_ASSIGNMENT,
                "Found multiple manual partition assignments for partition "
                f"{assignment.partition_index}",
            )
        check_assignment(image, assignment.broker_ids, replication_factor)
        replication_factor = len(assignment.broker_ids)
        check_alive(image, assignment.partition_index, assignment.broker_ids)
        assigned[assignment.partition_index] = assignment.broker_ids
    if sorted(assigned) != list(range(len(assigned))):
        raise RequestError(
            ErrorCode.INVALID_REPLICA_ASSIGNMENT,
            "partitions should be a consecutive 0-based integer sequence",
        )
    return [assigned[partition_id] for partition_id in range(len(assigned))]
