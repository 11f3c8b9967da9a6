"""Topics: create, delete, and their configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kbroker.wire.messages.create_topics import (
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from kbroker.wire.messages.delete_topics import DeleteTopicsRequest, DeleteTopicsResponse
from kbroker.wire.messages.describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResponse,
)

from .errors import ClientError, check

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .cluster import Cluster

TOPIC_RESOURCE = 2
TOPIC_SOURCE = 1  # DescribeConfigs: set for the topic itself
TIMEOUT_MS = 30_000
BROKER_DEFAULT = -1


class CreatedTopic(NamedTuple):
    """What came of it; -1 where an old broker does not say."""

    partitions: int
    replication_factor: int


async def create_topic(
    cluster: Cluster,
    name: str,
    partitions: int | None,
    replication_factor: int | None,
    configs: Mapping[str, str],
) -> CreatedTopic:
    """None: the broker's default. BrokerError where it refuses."""

    async def create() -> CreatedTopic:
        response = await cluster.ask_any(
            CreateTopicsRequest(
                timeout_ms=TIMEOUT_MS,
                topics=[
                    CreatableTopic(
                        name=name,
                        num_partitions=partitions or BROKER_DEFAULT,
                        replication_factor=replication_factor or BROKER_DEFAULT,
                        configs=[CreatableTopicConfig(name=k, value=v) for k, v in configs.items()],
                    )
                ],
            ),
            CreateTopicsResponse,
        )
        for result in response.topics:
            check(result.error_code, f"Topic {name!r} is not created", result.error_message)
            return CreatedTopic(result.num_partitions, result.replication_factor)
        raise ClientError(f"Topic {name!r} is not created: the broker's answer does not say why.")

    return await cluster.retry(create)


async def delete_topic(cluster: Cluster, name: str) -> None:
    """BrokerError where the broker refuses, or there is no such topic."""

    async def delete() -> None:
        response = await cluster.ask_any(
            DeleteTopicsRequest(topic_names=[name], timeout_ms=TIMEOUT_MS), DeleteTopicsResponse
        )
        for result in response.responses:
            check(result.error_code, f"Topic {name!r} is not deleted", result.error_message)

    # An unknown topic counts as retriable, and asking again does not bring it about.
    await cluster.refresh([name])
    if name not in cluster.topics:
        raise ClientError(f"There is no topic {name!r}.")
    await cluster.retry(delete)


async def topic_overrides(cluster: Cluster, names: Sequence[str]) -> dict[str, dict[str, str]]:
    """What is set for the topics themselves, by topic and key."""
    response = await cluster.ask_any(
        DescribeConfigsRequest(
            resources=[
                DescribeConfigsResource(
                    resource_type=TOPIC_RESOURCE, resource_name=name, configuration_keys=None
                )
                for name in names
            ]
        ),
        DescribeConfigsResponse,
    )
    overrides: dict[str, dict[str, str]] = {}
    for result in response.results:
        check(result.error_code, f"Topic {result.resource_name!r}", result.error_message)
        overrides[result.resource_name] = {
            config.name: config.value or ""
            for config in sorted(result.configs, key=lambda config: config.name)
            if config.config_source == TOPIC_SOURCE
        }
    return overrides
