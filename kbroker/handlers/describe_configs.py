"""DescribeConfigs (key 32), v1-4: the configuration of topics, of this broker and its loggers, of
all brokers, of groups, and of client metrics subscriptions.

v1 sources and synonyms (KIP-226) - v3 types and documentation (KIP-569)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbroker.config.client_metrics import ClientMetricsConfig
from kbroker.config.describe import (
    ALL,
    DescribedConfig,
    describe_broker,
    describe_client_metrics,
    describe_cluster_default,
    describe_group,
    describe_topic,
)
from kbroker.config.values import ConfigType, java_integer
from kbroker.controller.topic_names import invalid_topic_name
from kbroker.errors import refusal
from kbroker.requests import loggers
from kbroker.wire.codes import ConfigSource, ResourceType
from kbroker.wire.errors import ErrorCode, RequestError
from kbroker.wire.messages.describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResourceResult,
    DescribeConfigsResponse,
    DescribeConfigsResult,
    DescribeConfigsSynonym,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Mapping

    from kbroker.requests.services import RequestContext, Services

    Describe = Callable[[str, Container[str], Services], Iterable[DescribedConfig]]

NO_EFFECT = "kbroker knows this key, but the key has no effect."


def handle(request: DescribeConfigsRequest, ctx: RequestContext) -> DescribeConfigsResponse:
    for resource in request.resources:
        if resource.resource_type not in _DESCRIBE:
            raise RequestError(
                ErrorCode.INVALID_REQUEST,
                f"Unexpected resource type {resource.resource_type} for resource "
                f"{resource.resource_name}",
            )
    return DescribeConfigsResponse(
        results=[_describe(resource, request, ctx) for resource in request.resources]
    )


def refuse(
    request: DescribeConfigsRequest, version: int, code: ErrorCode, message: str | None
) -> DescribeConfigsResponse:
    return DescribeConfigsResponse(
        results=[
            DescribeConfigsResult(
                error_code=code,
                error_message=code.message,  # Kafka says no more here, whatever it was
                resource_type=resource.resource_type,
                resource_name=resource.resource_name,
            )
            for resource in request.resources
        ]
    )


def _describe(
    resource: DescribeConfigsResource, request: DescribeConfigsRequest, ctx: RequestContext
) -> DescribeConfigsResult:
    result = DescribeConfigsResult(
        resource_type=resource.resource_type,
        resource_name=resource.resource_name,
    )
    wanted: Container[str] = frozenset(resource.configuration_keys or ()) or ALL
    try:
        describe = _DESCRIBE[resource.resource_type]
        for entry in describe(resource.resource_name, wanted, ctx.services):
            result.configs.append(_result(entry, request))
    except Exception as error:
        refused = refusal(error, f"DescribeConfigs of {resource.resource_name!r}")
        result.error_code = refused.code
        result.error_message = refused.message
        result.configs.clear()
    return result


def _topic(name: str, wanted: Container[str], services: Services) -> Iterable[DescribedConfig]:
    problem = invalid_topic_name(name)
    if problem is not None:
        raise RequestError(ErrorCode.INVALID_TOPIC_EXCEPTION, problem)
    if name not in services.image.topics:
        raise RequestError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, "")
    return describe_topic(services.configs.topic(name), wanted)


def _broker(name: str, wanted: Container[str], services: Services) -> Iterable[DescribedConfig]:
    if not name:
        return describe_cluster_default(services.config, wanted)
    if _node_id(name) != services.node_id:
        raise RequestError(
            ErrorCode.INVALID_REQUEST,
            f"Unexpected broker id, expected {services.node_id} or empty string, "
            f"but received {name}",
        )
    return describe_broker(services.config, wanted)


def _loggers(name: str, wanted: Container[str], services: Services) -> Iterable[DescribedConfig]:
    if not name:
        raise RequestError(ErrorCode.INVALID_REQUEST, "Broker id must not be empty")
    if _node_id(name) != services.node_id:
        raise RequestError(
            ErrorCode.INVALID_REQUEST,
            f"Unexpected broker id, expected {services.node_id} but received {name}",
        )
    return [
        DescribedConfig(
            logger_name,
            level,
            ConfigSource.DYNAMIC_BROKER_LOGGER_CONFIG,
            ConfigType.UNKNOWN,
            is_sensitive=False,
            is_read_only=False,
            synonyms=[],
            doc="",
        )
        for logger_name, level in loggers.levels().items()
        if logger_name in wanted
    ]


def _client_metrics(
    name: str, wanted: Container[str], services: Services
) -> Iterable[DescribedConfig]:
    if not name:
        raise RequestError(
            ErrorCode.INVALID_REQUEST, "Client metrics subscription name must not be empty"
        )
    values = services.configs.overrides(ResourceType.CLIENT_METRICS, name)
    return describe_client_metrics(ClientMetricsConfig(values), wanted)


def _group(name: str, wanted: Container[str], services: Services) -> Iterable[DescribedConfig]:
    if not name:
        raise RequestError(ErrorCode.INVALID_REQUEST, "Group name must not be empty")
    return describe_group(services.configs.group(name), wanted)


_DESCRIBE: Mapping[int, Describe] = {
    ResourceType.TOPIC: _topic,
    ResourceType.BROKER: _broker,
    ResourceType.BROKER_LOGGER: _loggers,
    ResourceType.CLIENT_METRICS: _client_metrics,
    ResourceType.GROUP: _group,
}


def _node_id(name: str) -> int:
    node_id = java_integer(name)
    if node_id is None:
        raise RequestError(
            ErrorCode.INVALID_REQUEST, f"Broker id must be an integer, but it is: {name}"
        )
    return node_id


def _result(
    entry: DescribedConfig, request: DescribeConfigsRequest
) -> DescribeConfigsResourceResult:
    documentation = None
    if entry.source is ConfigSource.DYNAMIC_BROKER_LOGGER_CONFIG:
        documentation = ""  # Kafka never sets a logger's, and so says it is empty
    elif request.include_documentation and entry.type is not ConfigType.UNKNOWN:
        documentation = entry.doc or NO_EFFECT
    return DescribeConfigsResourceResult(
        name=entry.name,
        value=entry.value,
        read_only=entry.is_read_only,
        config_source=entry.source,
        is_sensitive=entry.is_sensitive,
        synonyms=(
            [
                DescribeConfigsSynonym(name=s.name, value=s.value, source=s.source)
                for s in entry.synonyms
            ]
            if request.include_synonyms
            else []
        ),
        config_type=entry.type,
        documentation=documentation,
    )
