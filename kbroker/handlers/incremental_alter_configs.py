"""IncrementalAlterConfigs (key 44), v0-1 (KIP-339): changes single values of resources.

This broker checks what only it can: its own id, and its loggers, whose levels it sets (KIP-412).
The controller decides on the rest (`controller/state/configs.py`).
v1 flexible

Source: ConfigAdminManager, RuntimeLoggerManager.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from kbroker.config.values import java_integer
from kbroker.controller.state.configs import check_changes, check_mentions, count_mentions
from kbroker.errors import refusal
from kbroker.requests import loggers
from kbroker.requests.forward import forward_or_refuse
from kbroker.requests.parts import completed
from kbroker.wire.codes import ConfigOperation, ResourceType
from kbroker.wire.errors import ErrorCode, RequestError
from kbroker.wire.messages.incremental_alter_configs import (
    AlterConfigsResourceResponse,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kbroker.requests.services import RequestContext
    from kbroker.wire.messages.incremental_alter_configs import (
        AlterableConfig,
        AlterConfigsResource,
    )

UNEXPECTED_BROKER: Final = "Unexpected broker id, expected {}, but received {}"


async def handle(
    request: IncrementalAlterConfigsRequest, ctx: RequestContext
) -> IncrementalAlterConfigsResponse:
    """One answer a resource, in the order of the request."""
    mentions = count_mentions(request.resources)
    answers = [
        _settle(each, mentions, ctx.services.node_id, validate_only=request.validate_only)
        for each in request.resources
    ]
    rest = [each for each, answer in zip(request.resources, answers, strict=True) if answer is None]
    decided: list[AlterConfigsResourceResponse] = []
    if rest:
        asked = IncrementalAlterConfigsRequest(resources=rest, validate_only=request.validate_only)
        what = "IncrementalAlterConfigs by the controller"
        decided = (await forward_or_refuse(asked, ctx, refuse, what)).responses
    return IncrementalAlterConfigsResponse(responses=completed(answers, decided))


def refuse(
    request: IncrementalAlterConfigsRequest, version: int, code: ErrorCode, message: str | None
) -> IncrementalAlterConfigsResponse:
    return IncrementalAlterConfigsResponse(
        responses=[_answer(resource, code, message) for resource in request.resources]
    )


def _settle(
    resource: AlterConfigsResource,
    mentions: Mapping[tuple[int, str], int],
    node_id: int,
    *,
    validate_only: bool,
) -> AlterConfigsResourceResponse | None:
    """The answer to a resource that is not the controller's to decide, or that this broker refuses;
    None: the controller decides.
    """
    try:
        check_mentions(resource, mentions)
        is_done = _preprocess(resource, node_id, validate_only)
    except Exception as error:
        refused = refusal(error, f"IncrementalAlterConfigs of {resource.resource_name!r}")
        return _answer(resource, refused.code, refused.message)
    return _answer(resource, ErrorCode.NONE, None) if is_done else None


def _answer(
    resource: AlterConfigsResource, code: ErrorCode, message: str | None
) -> AlterConfigsResourceResponse:
    return AlterConfigsResourceResponse(
        error_code=code,
        error_message=message,
        resource_type=resource.resource_type,
        resource_name=resource.resource_name,
    )


def _preprocess(resource: AlterConfigsResource, node_id: int, validate_only: bool) -> bool:
    """True if nothing is left for the controller to do. RequestError."""
    name = resource.resource_name
    check_changes(resource.configs)
    if resource.resource_type == ResourceType.BROKER_LOGGER:
        check_node(name, node_id, "Unexpected node id. Expected {}, but received {}")
        _check_levels(resource.configs)
        if not validate_only:
            _set_levels(resource.configs)
        return True
    if resource.resource_type == ResourceType.BROKER and name:
        check_node(name, node_id, UNEXPECTED_BROKER)
    return False


def check_node(name: str, node_id: int, unexpected: str) -> None:
    """RequestError unless the resource of that name is this node's."""
    asked = java_integer(name)
    if asked is None:
        raise RequestError(
            ErrorCode.INVALID_REQUEST, f"Node id must be an integer, but it is: {name}"
        )
    if asked != node_id:
        raise RequestError(ErrorCode.INVALID_REQUEST, unexpected.format(node_id, name))


def _check_levels(configs: list[AlterableConfig]) -> None:
    for config in configs:
        operation = config.config_operation
        if operation in (ConfigOperation.APPEND, ConfigOperation.SUBTRACT):
            raise RequestError(
                ErrorCode.INVALID_REQUEST,
                f"{ConfigOperation(operation).name} operation is not allowed for the BROKER_LOGGER "
                "resource",
            )
        if operation not in (ConfigOperation.SET, ConfigOperation.DELETE):
            raise RequestError(
                ErrorCode.INVALID_REQUEST,
                f"Unknown operation type {operation} for the BROKER_LOGGER resource",
            )
        if operation == ConfigOperation.DELETE and config.name == loggers.ROOT:
            raise RequestError(
                ErrorCode.INVALID_REQUEST,
                "Removing the log level of the root logger is not allowed",
            )
        if not loggers.is_known(config.name):
            raise RequestError(ErrorCode.INVALID_CONFIG, f"Logger {config.name} does not exist!")
        if operation == ConfigOperation.SET and config.value not in loggers.LEVELS:
            raise RequestError(
                ErrorCode.INVALID_CONFIG,
                f"Cannot set the log level of {config.name} to {config.value} as it is not a "
                f"supported log level. Valid log levels are {', '.join(loggers.LEVELS)}",
            )


def _set_levels(configs: list[AlterableConfig]) -> None:
    for config in configs:
        if config.config_operation == ConfigOperation.DELETE:
            level = logging.NOTSET
        else:
            level = loggers.LEVELS[config.value or ""]
        loggers.get(config.name).setLevel(level)
