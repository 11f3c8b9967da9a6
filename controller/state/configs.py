"""IncrementalAlterConfigs.

Source: ConfigurationControlManager, ControllerConfigurationValidator,
QuorumController.ConfigResourceExistenceChecker. What only the asked broker can judge (its own id,
its loggers) is judged before a request comes here.
"""

from __future__ import annotations

from collections import Counter
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from kbroker.controller.bootstrap import MIN_INSYNC_REPLICAS
from kbroker.controller.features import ELIGIBLE_LEADER_REPLICAS
from kbroker.controller.model import ResourceType
from kbroker.wire.errors import ErrorCode, RequestError
from kbroker.wire.messages.incremental_alter_configs import (
    AlterConfigsResourceResponse,
    IncrementalAlterConfigsResponse,
)
from kbroker.wire.records.clear_elr_record import ClearElrRecord
from kbroker.wire.records.config_record import ConfigRecord

from .assignments import RECORDS_A_REQUEST_MAX, TOO_MANY_RECORDS
from .result import Result
from .topic_names import invalid_topic_name

if TYPE_CHECKING:
    from kbroker.controller.image import MetadataImage
    from kbroker.wire.message import Message
    from kbroker.wire.messages.incremental_alter_configs import (
        AlterableConfig,
        AlterConfigsResource,
        IncrementalAlterConfigsRequest,
    )

    from .config_schema import ConfigSchema

VALUE_LENGTH_MAX: Final = 32_767


# Kafka's controller knows the types of these resources' keys only.
_WITH_LISTS: Final = (ResourceType.TOPIC, ResourceType.BROKER)


class Operation(IntEnum):
    """AlterConfigOp.OpType."""

    SET = 0
    DELETE = 1
    APPEND = 2
    SUBTRACT = 3


def decide_incremental_alter_configs(
    image: MetadataImage, request: IncrementalAlterConfigsRequest, *, schema: ConfigSchema
) -> Result[IncrementalAlterConfigsResponse]:
    """A resource changes wholly or not at all; resources stand alone."""
    times = Counter((each.resource_type, each.resource_name) for each in request.resources)
    records: list[Message] = []
    responses: list[AlterConfigsResourceResponse] = []
    for resource in request.resources:
        code, message = ErrorCode.NONE, None
        try:
            if times[resource.resource_type, resource.resource_name] > 1:
                raise RequestError(
                    ErrorCode.INVALID_REQUEST, "Each resource must appear at most once."
                )
            made = _alter(image, resource, schema)
            if len(records) + len(made) > RECORDS_A_REQUEST_MAX:
                raise RequestError(ErrorCode.POLICY_VIOLATION, TOO_MANY_RECORDS)
            records += made
        except RequestError as error:
            code, message = error.code, error.message
        responses.append(
            AlterConfigsResourceResponse(
                error_code=code,
                error_message=message,
                resource_type=resource.resource_type,
                resource_name=resource.resource_name,
            )
        )
    response = IncrementalAlterConfigsResponse(responses=responses)
    return Result(() if request.validate_only else tuple(records), response)


def _alter(
    image: MetadataImage, resource: AlterConfigsResource, schema: ConfigSchema
) -> list[Message]:
    """The records of one resource. RequestError."""
    resource_type, name = resource.resource_type, resource.resource_name
    _check_resource(resource_type, name)
    _check_keys(resource.configs)
    current = image.configs.get((resource_type, name), {})
    values = dict(current)
    records: list[Message] = []
    clears_elr = False
    for config in resource.configs:
        new = _new_value(resource_type, config, current.get(config.name), schema)
        if new is None:
            values.pop(config.name, None)
        else:
            values[config.name] = new
        if new == current.get(config.name) and resource_type != ResourceType.BROKER:
            continue
        # A broker's values are written even if unchanged: it makes the broker load them again.
        records.append(
            ConfigRecord(
                resource_type=resource_type, resource_name=name, name=config.name, value=new
            )
        )
        if config.name == MIN_INSYNC_REPLICAS and image.features.get(ELIGIBLE_LEADER_REPLICAS, 0):
            _check_min_isr(resource_type, name, new)
            clears_elr = True
    problem = schema.check(resource_type, name, values)
    if problem is not None:
        raise RequestError(*problem)
    _check_existence(image, resource_type, name)
    if clears_elr:
        # Who is eligible was reckoned with another minimum.
        topic = name if resource_type == ResourceType.TOPIC else ""
        records.append(ClearElrRecord(topic_name=topic))
    return records


def _check_resource(resource_type: int, name: str) -> None:
    known = (
        ResourceType.TOPIC,
        ResourceType.BROKER,
        ResourceType.CLIENT_METRICS,
        ResourceType.GROUP,
    )
    if resource_type not in known:
        raise RequestError(ErrorCode.INVALID_REQUEST, f"Unknown resource type {resource_type}")
    if resource_type == ResourceType.TOPIC:
        if not name:
            raise RequestError(
                ErrorCode.INVALID_REQUEST, "Default topic resources are not allowed."
            )
        problem = invalid_topic_name(name)
        if problem is not None:
            raise RequestError(ErrorCode.INVALID_TOPIC_EXCEPTION, problem)


def _check_keys(configs: list[AlterableConfig]) -> None:
    if len({config.name for config in configs}) < len(configs):
        raise RequestError(ErrorCode.INVALID_REQUEST, "Error due to duplicate config keys")
    without_value = [
        config.name
        for config in configs
        if config.value is None and config.config_operation != Operation.DELETE
    ]
    if without_value:
        raise RequestError(
            ErrorCode.INVALID_REQUEST,
            f"Null value not supported for : {', '.join(without_value)}",
        )


def _new_value(
    resource_type: int, config: AlterableConfig, current: str | None, schema: ConfigSchema
) -> str | None:
    """What the key's value becomes; None where it goes."""
    given = config.value or ""
    match config.config_operation:
        case Operation.DELETE:
            return None
        case Operation.SET:
            new = given
        case Operation.APPEND | Operation.SUBTRACT as operation:
            if resource_type not in _WITH_LISTS or not schema.is_list(resource_type, config.name):
                raise RequestError(
                    ErrorCode.INVALID_CONFIG,
                    _no_list(resource_type, Operation(operation), config.name),
                )
            if current is None:
                current = schema.default_text(resource_type, config.name)
            parts = [part for part in (current or "").split(",") if part]
            for part in given.rstrip(",").split(","):
                if operation == Operation.SUBTRACT and part in parts:
                    parts.remove(part)
                elif operation == Operation.APPEND and part not in parts:
                    parts.append(part)
            new = ",".join(parts)
        case unknown:
            # Kafka's controller falls over this one.
            raise RequestError(ErrorCode.INVALID_REQUEST, f"Unknown operations type {unknown}")
    if len(new) > VALUE_LENGTH_MAX:
        raise RequestError(
            ErrorCode.INVALID_CONFIG,
            "The configuration value cannot be added because it exceeds the maximum value size of "
            f"{VALUE_LENGTH_MAX} bytes.",
        )
    return new


def _no_list(resource_type: int, operation: Operation, key: str) -> str:
    if resource_type == ResourceType.BROKER:
        return f"Config value {operation.name.lower()} is not allowed for config key: {key}"
    return f"Can't {operation.name} to key {key} because its type is not LIST."


def _check_min_isr(resource_type: int, name: str, value: str | None) -> None:
    if resource_type != ResourceType.BROKER:
        return
    if name:
        raise RequestError(
            ErrorCode.INVALID_CONFIG,
            "Broker-level min.insync.replicas cannot be altered while ELR is enabled.",
        )
    if value is None:
        raise RequestError(
            ErrorCode.INVALID_CONFIG,
            "Cluster-level min.insync.replicas cannot be removed while ELR is enabled.",
        )


def _check_existence(image: MetadataImage, resource_type: int, name: str) -> None:
    if resource_type == ResourceType.TOPIC and name not in image.topics:
        raise RequestError(
            ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"The topic '{name}' does not exist."
        )
    if resource_type == ResourceType.BROKER and name:
        node_id = int(name)  # ConfigSchema.check has looked at it
        if node_id not in image.brokers and node_id not in image.controllers:
            raise RequestError(
                ErrorCode.BROKER_ID_NOT_REGISTERED, f"No node with id {node_id} found."
            )
