"""Decides IncrementalAlterConfigs, which changes single values of a resource, and AlterConfigs,
which replaces all of them.

What only the broker that got the request can check (its own id, its loggers) is checked there.

Source: ConfigurationControlManager, ControllerConfigurationValidator,
QuorumController.ConfigResourceExistenceChecker.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, TypeVar

from kbroker.controller.bootstrap import MIN_INSYNC_REPLICAS
from kbroker.controller.features import CORDONED_DIRECTORIES_SINCE
from kbroker.controller.topic_names import invalid_topic_name
from kbroker.wire.codes import ConfigOperation, ResourceType
from kbroker.wire.errors import ErrorCode, RequestError, refusal
from kbroker.wire.messages import alter_configs
from kbroker.wire.messages.incremental_alter_configs import (
    AlterConfigsResourceResponse,
    IncrementalAlterConfigsResponse,
)
from kbroker.wire.records.clear_elr_record import ClearElrRecord
from kbroker.wire.records.config_record import ConfigRecord

from .assignments import RECORDS_A_REQUEST_MAX, TOO_MANY_RECORDS
from .result import Result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from kbroker.controller.context import DecisionContext
    from kbroker.controller.image import MetadataImage
    from kbroker.wire.message import Message
    from kbroker.wire.messages.incremental_alter_configs import (
        AlterableConfig,
        AlterConfigsResource,
        IncrementalAlterConfigsRequest,
    )

    from .config_schema import ConfigSchema

    Resource = AlterConfigsResource | alter_configs.AlterConfigsResource
    ResourceT = TypeVar("ResourceT", AlterConfigsResource, alter_configs.AlterConfigsResource)

CORDONED_LOG_DIRS: Final = "cordoned.log.dirs"
VALUE_LENGTH_MAX: Final = 32_767

# Kafka's controller knows the types of these resources' keys only.
_WITH_LISTS: Final = (ResourceType.TOPIC, ResourceType.BROKER)


def decide_incremental_alter_configs(
    context: DecisionContext, request: IncrementalAlterConfigsRequest
) -> Result[IncrementalAlterConfigsResponse]:
    """A resource changes wholly or not at all; resources stand alone."""
    records, errors = _decide(
        request.resources, lambda each: _alter(context.image, each, context.schema)
    )
    response = IncrementalAlterConfigsResponse(
        responses=[
            AlterConfigsResourceResponse(
                error_code=code,
                error_message=message,
                resource_type=resource.resource_type,
                resource_name=resource.resource_name,
            )
            for resource, (code, message) in zip(request.resources, errors, strict=True)
        ]
    )
    return Result(() if request.validate_only else records, response)


def decide_alter_configs(
    context: DecisionContext, request: alter_configs.AlterConfigsRequest
) -> Result[alter_configs.AlterConfigsResponse]:
    """As above, but a resource has afterwards what the request gives, and nothing else."""
    records, errors = _decide(
        request.resources, lambda each: _replace(context.image, each, context.schema)
    )
    response = alter_configs.AlterConfigsResponse(
        responses=[
            alter_configs.AlterConfigsResourceResponse(
                error_code=code,
                error_message=message,
                resource_type=resource.resource_type,
                resource_name=resource.resource_name,
            )
            for resource, (code, message) in zip(request.resources, errors, strict=True)
        ]
    )
    return Result(() if request.validate_only else records, response)


def _decide(
    resources: Sequence[ResourceT], change: Callable[[ResourceT], list[Message]]
) -> tuple[tuple[Message, ...], list[tuple[ErrorCode, str | None]]]:
    """The records of all that can be changed, and what is wrong with each of the resources."""
    mentions = count_mentions(resources)
    records: list[Message] = []
    errors: list[tuple[ErrorCode, str | None]] = []
    for resource in resources:
        code, message = ErrorCode.NONE, None
        try:
            check_mentions(resource, mentions)
            made = change(resource)
            if len(records) + len(made) > RECORDS_A_REQUEST_MAX:
                raise RequestError(ErrorCode.POLICY_VIOLATION, TOO_MANY_RECORDS)
            records += made
        except Exception as error:
            why = refusal(error, f"the configuration of {resource.resource_name!r}")
            code, message = why.code, why.message
        errors.append((code, message))
    return tuple(records), errors


def _alter(
    image: MetadataImage, resource: AlterConfigsResource, schema: ConfigSchema
) -> list[Message]:
    """The records of one resource. RequestError."""
    resource_type, name = resource.resource_type, resource.resource_name
    check_changes(resource.configs)
    _check_resource(resource_type, name)
    current = image.configs.get((resource_type, name), {})
    values = dict(current)
    records: list[ConfigRecord] = []
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
    problem = schema.check(resource_type, name, values)
    if problem is not None:
        raise RequestError(*problem)
    _check_existence(image, resource_type, name)
    changed = {record.name: record.value for record in records}
    _check_levels(image, resource_type, name, changed)
    if MIN_INSYNC_REPLICAS in changed and image.elr_enabled:
        return [*records, _clear_elr(resource_type, name)]
    return list(records)


def _replace(
    image: MetadataImage, resource: alter_configs.AlterConfigsResource, schema: ConfigSchema
) -> list[Message]:
    """The records that leave a resource with these values. RequestError."""
    resource_type, name = resource.resource_type, resource.resource_name
    check_values(resource.configs)
    _check_resource(resource_type, name)
    values = {each.name: each.value for each in resource.configs if each.value is not None}
    problem = schema.check(resource_type, name, values)
    if problem is not None:
        raise RequestError(*problem)
    _check_existence(image, resource_type, name)
    current = image.configs.get((resource_type, name), {})
    changes: dict[str, str | None] = {
        key: value
        for key, value in values.items()
        if value != current.get(key) or resource_type == ResourceType.BROKER
    }
    changes.update((key, None) for key in current if key not in values)
    records: list[Message] = [
        ConfigRecord(resource_type=resource_type, resource_name=name, name=key, value=value)
        for key, value in changes.items()
    ]
    _check_levels(image, resource_type, name, changes)
    if MIN_INSYNC_REPLICAS in changes and image.elr_enabled:
        records.append(_clear_elr(resource_type, name))
    return records


def _clear_elr(resource_type: int, name: str) -> ClearElrRecord:
    """Who is eligible was reckoned with another minimum."""
    return ClearElrRecord(topic_name=name if resource_type == ResourceType.TOPIC else "")


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


def count_mentions(resources: Iterable[Resource]) -> Counter[tuple[int, str]]:
    """How often the request names each resource."""
    return Counter((each.resource_type, each.resource_name) for each in resources)


def check_mentions(resource: Resource, mentions: Mapping[tuple[int, str], int]) -> None:
    """RequestError if the request names the resource more than once."""
    if mentions[resource.resource_type, resource.resource_name] > 1:
        raise RequestError(ErrorCode.INVALID_REQUEST, "Each resource must appear at most once.")


def check_changes(configs: Sequence[AlterableConfig]) -> None:
    """No key twice, and a value for each that does not go. RequestError; before all else."""
    keys = [config.name for config in configs]
    _check_keys(
        keys,
        [
            config.name
            for config in configs
            if config.value is None and config.config_operation != ConfigOperation.DELETE
        ],
    )


def check_values(configs: Sequence[alter_configs.AlterableConfig]) -> None:
    """As above, where each key needs a value."""
    keys = [config.name for config in configs]
    _check_keys(keys, [config.name for config in configs if config.value is None])


def _check_keys(keys: list[str], without_value: list[str]) -> None:
    """`without_value`: those that should have one."""
    if len(set(keys)) < len(keys):
        raise RequestError(ErrorCode.INVALID_REQUEST, "Error due to duplicate config keys")
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
        case ConfigOperation.DELETE:
            return None
        case ConfigOperation.SET:
            new = given
        case ConfigOperation.APPEND | ConfigOperation.SUBTRACT as operation:
            if resource_type not in _WITH_LISTS or not schema.is_list(resource_type, config.name):
                raise RequestError(
                    ErrorCode.INVALID_CONFIG,
                    _no_list(resource_type, ConfigOperation(operation), config.name),
                )
            if current is None:
                current = schema.default_text(resource_type, config.name)
            parts = [part for part in (current or "").split(",") if part]
            for part in given.rstrip(",").split(","):
                if operation == ConfigOperation.SUBTRACT and part in parts:
                    parts.remove(part)
                elif operation == ConfigOperation.APPEND and part not in parts:
                    parts.append(part)
            new = ",".join(parts)
        case unknown:
            # Kafka's controller falls over this one.
            raise RequestError(ErrorCode.INVALID_REQUEST, f"Unknown operations type {unknown}")
    if len(new.encode()) > VALUE_LENGTH_MAX:
        raise RequestError(
            ErrorCode.INVALID_CONFIG,
            "The configuration value cannot be added because it exceeds the maximum value size of "
            f"{VALUE_LENGTH_MAX} bytes.",
        )
    return new


def _no_list(resource_type: int, operation: ConfigOperation, key: str) -> str:
    if resource_type == ResourceType.BROKER:
        return f"Config value {operation.name.lower()} is not allowed for config key: {key}"
    return f"Can't {operation.name} to key {key} because its type is not LIST."


def _check_levels(
    image: MetadataImage, resource_type: int, name: str, changes: Mapping[str, str | None]
) -> None:
    """RequestError for what the cluster's feature levels do not allow to change."""
    if resource_type != ResourceType.BROKER:
        return
    if MIN_INSYNC_REPLICAS in changes and image.elr_enabled:
        _check_min_isr(name, changes[MIN_INSYNC_REPLICAS])
    if CORDONED_LOG_DIRS in changes and image.metadata_version < CORDONED_DIRECTORIES_SINCE:
        raise RequestError(
            ErrorCode.INVALID_CONFIG,
            "The cordoned.log.dirs configuration value cannot be set because it requires "
            "metadata.version >= 4.3-IV0",
        )


def _check_min_isr(name: str, value: str | None) -> None:
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
