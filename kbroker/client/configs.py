"""Configurations of topics, brokers, groups and client metrics: read, changed, listed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from kbroker.wire.codes import ConfigOperation, ConfigSource, ResourceType
from kbroker.wire.messages.describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResponse,
)
from kbroker.wire.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)
from kbroker.wire.messages.list_config_resources import (
    ListConfigResourcesRequest,
    ListConfigResourcesResponse,
)

from .errors import ClientError, check

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kbroker.wire.message import Message
    from kbroker.wire.messages.describe_configs import DescribeConfigsResourceResult

    from .cluster import Cluster
    from .connection import ResponseT


class Resource(NamedTuple):
    """Whose configuration; of a broker the node id in digits, empty for the default of all."""

    type: ResourceType
    name: str


class Synonym(NamedTuple):
    """A key that the value could come from, and what it is there."""

    name: str
    value: str | None
    source: ConfigSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """One key; a sensitive one has no value."""

    name: str
    value: str | None
    source: ConfigSource
    is_read_only: bool
    is_sensitive: bool
    synonyms: tuple[Synonym, ...]
    documentation: str | None


class Change(NamedTuple):
    """What to do to a key; `value` is None for DELETE."""

    operation: ConfigOperation
    name: str
    value: str | None


async def describe_configs(
    cluster: Cluster, resources: Sequence[Resource], *, documentation: bool = False
) -> dict[Resource, list[Config]]:
    """Every key of each resource, by name. ClientError where there is no such resource."""
    by_node: dict[int | None, list[Resource]] = {}
    for resource in resources:
        await _check_exists(cluster, resource)
        by_node.setdefault(_node(resource), []).append(resource)
    found: dict[Resource, list[Config]] = {}
    for node, asked in by_node.items():
        request = DescribeConfigsRequest(
            resources=[
                DescribeConfigsResource(
                    resource_type=resource.type,
                    resource_name=resource.name,
                    configuration_keys=None,
                )
                for resource in asked
            ],
            include_synonyms=True,
            include_documentation=documentation,
        )
        response = await _ask(cluster, node, request, DescribeConfigsResponse)
        results = {(each.resource_type, each.resource_name): each for each in response.results}
        for resource in asked:
            result = results.get(resource)
            if result is None:
                raise ClientError(
                    f"{resource_text(resource)}: the broker's answer does not include it."
                )
            check(result.error_code, resource_text(resource), result.error_message)
            found[resource] = sorted(map(_config, result.configs), key=lambda config: config.name)
    return found


def _config(config: DescribeConfigsResourceResult) -> Config:
    return Config(
        name=config.name,
        value=config.value,
        source=_source(config.config_source),
        is_read_only=config.read_only,
        is_sensitive=config.is_sensitive,
        synonyms=tuple(
            Synonym(synonym.name, synonym.value, _source(synonym.source))
            for synonym in config.synonyms
        ),
        documentation=config.documentation,
    )


async def _ask(
    cluster: Cluster, node: int | None, request: Message, response_class: type[ResponseT]
) -> ResponseT:
    if node is None:
        return await cluster.retry(lambda: cluster.ask_any(request, response_class))
    return await cluster.retry(lambda: cluster.ask(node, request, response_class))


async def alter_configs(
    cluster: Cluster, resource: Resource, changes: Sequence[Change], *, validate_only: bool
) -> None:
    """All of the changes or none. BrokerError where they are refused."""
    await _check_exists(cluster, resource)
    request = IncrementalAlterConfigsRequest(
        resources=[
            AlterConfigsResource(
                resource_type=resource.type,
                resource_name=resource.name,
                configs=[
                    AlterableConfig(
                        name=change.name,
                        config_operation=change.operation,
                        value=change.value,
                    )
                    for change in changes
                ],
            )
        ],
        validate_only=validate_only,
    )
    response = await _ask(cluster, _node(resource), request, IncrementalAlterConfigsResponse)
    for result in response.responses:
        what = f"{resource_text(resource)} could not be changed"
        check(result.error_code, what, result.error_message)


async def list_config_resources(
    cluster: Cluster, types: Iterable[ResourceType] = ()
) -> list[Resource]:
    """What has, or could have, a configuration; no types: all that we know."""
    wanted = [int(each) for each in types]

    async def ask() -> ListConfigResourcesResponse:
        response = await cluster.ask_any(
            ListConfigResourcesRequest(resource_types=wanted), ListConfigResourcesResponse
        )
        check(response.error_code, "Cannot list the resources")
        return response

    response = await cluster.retry(ask)
    known = set(ResourceType)
    return sorted(
        Resource(ResourceType(found.resource_type), found.resource_name)
        for found in response.config_resources
        if found.resource_type in known
    )


def resource_text(resource: Resource) -> str:
    noun = resource.type.name.capitalize().replace("_", " ")
    if resource.type is ResourceType.BROKER and not resource.name:
        return "The default configuration of all brokers"
    return f"{noun} {resource.name!r}"


def _node(resource: Resource) -> int | None:
    """The one broker that knows its own configuration; None where any can be asked."""
    if resource.type in (ResourceType.BROKER, ResourceType.BROKER_LOGGER) and resource.name:
        return int(resource.name)
    return None


async def _check_exists(cluster: Cluster, resource: Resource) -> None:
    # An unknown topic or broker counts as retriable, and asking again does not bring it about.
    node = _node(resource)
    if node is not None and node not in cluster.node_ids:
        raise ClientError(f"There is no broker {node}.")
    if resource.type is ResourceType.TOPIC and resource.name not in cluster.topics:
        await cluster.topic(resource.name)


def _source(number: int) -> ConfigSource:
    return ConfigSource(number) if number in set(ConfigSource) else ConfigSource.UNKNOWN
