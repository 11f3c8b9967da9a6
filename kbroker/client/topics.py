"""Creates, grows, empties and deletes topics."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kbroker.wire.messages.create_partitions import (
    CreatePartitionsRequest,
    CreatePartitionsResponse,
    CreatePartitionsTopic,
)
from kbroker.wire.messages.create_topics import (
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from kbroker.wire.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    DeleteRecordsTopic,
)
from kbroker.wire.messages.delete_topics import DeleteTopicsRequest, DeleteTopicsResponse

from .cluster import by_leader
from .errors import ClientError, check
from .outcomes import Outcomes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .cluster import Cluster, TopicPartition

TIMEOUT_MS = 30_000
DELETE_TIMEOUT_MS = 20_000  # the leader answers within a request's time
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
    *,
    validate_only: bool = False,
) -> CreatedTopic:
    """None: the broker's default. BrokerError where it refuses."""

    async def create() -> CreatedTopic:
        response = await cluster.ask_any(
            CreateTopicsRequest(
                timeout_ms=TIMEOUT_MS,
                validate_only=validate_only,
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
            check(result.error_code, f"Topic {name!r} could not be created", result.error_message)
            return CreatedTopic(result.num_partitions, result.replication_factor)
        raise ClientError(f"Topic {name!r} could not be created, and the broker gave no reason.")

    return await cluster.retry(create)


async def delete_topic(cluster: Cluster, name: str) -> None:
    """BrokerError where the broker refuses, or there is no such topic."""

    async def delete() -> None:
        response = await cluster.ask_any(
            DeleteTopicsRequest(topic_names=[name], timeout_ms=TIMEOUT_MS), DeleteTopicsResponse
        )
        for result in response.responses:
            check(result.error_code, f"Topic {name!r} could not be deleted", result.error_message)

    # An unknown topic counts as retriable, and asking again does not bring it about.
    await cluster.refresh([name])
    if name not in cluster.topics:
        raise ClientError(f"There is no topic {name!r}.")
    await cluster.retry(delete)


async def add_partitions(cluster: Cluster, name: str, count: int) -> None:
    """Let the topic have `count` partitions. BrokerError where the broker refuses."""

    async def add() -> None:
        response = await cluster.ask_any(
            CreatePartitionsRequest(
                topics=[CreatePartitionsTopic(name=name, count=count, assignments=None)],
                timeout_ms=TIMEOUT_MS,
            ),
            CreatePartitionsResponse,
        )
        for result in response.results:
            check(result.error_code, f"Topic {name!r} could not be changed", result.error_message)

    await cluster.topic(name)
    await cluster.retry(add)


async def delete_records(cluster: Cluster, before: Mapping[TopicPartition, int]) -> Outcomes:
    """Delete what lies before the offsets (END: everything); done: where each partition now starts.

    `cluster.topics` must have the topics.
    """
    outcomes = Outcomes(cluster, before, "emptied")

    async def delete() -> None:
        for leader, partitions in by_leader(cluster, outcomes.left).items():
            topics: dict[str, DeleteRecordsTopic] = {}
            for topic, index in partitions:
                topics.setdefault(topic, DeleteRecordsTopic(name=topic)).partitions.append(
                    DeleteRecordsPartition(partition_index=index, offset=before[topic, index])
                )
            response = await cluster.ask(
                leader,
                DeleteRecordsRequest(topics=list(topics.values()), timeout_ms=DELETE_TIMEOUT_MS),
                DeleteRecordsResponse,
            )
            for answered in response.topics:
                for result in answered.partitions:
                    start = result.low_watermark
                    outcomes.take(answered.name, result.partition_index, result.error_code, start)

    await outcomes.collect(delete)
    return outcomes
