"""Topics through the client."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kbroker.client.configs import Resource, describe_configs
from kbroker.client.errors import BrokerError, ClientError
from kbroker.client.log_dirs import move_replicas
from kbroker.client.topics import CreatedTopic, create_topic, delete_records, delete_topic
from kbroker.node.settings import TopicSpec
from kbroker.wire.codes import ConfigSource, ResourceType
from tests.sim.broker import DATA

from .rig import cluster_of

if TYPE_CHECKING:
    from trio.testing import MockClock


async def test_a_topic_is_created_described_and_deleted() -> None:
    async with cluster_of() as (cluster, _):
        created = await create_topic(cluster, "t", 3, None, {"retention.ms": "5"})
        assert created == CreatedTopic(3, 1)
        assert len((await cluster.topic("t")).partitions) == 3
        resource = Resource(ResourceType.TOPIC, "t")
        configs = (await describe_configs(cluster, [resource]))[resource]
        overrides = [c for c in configs if c.source is ConfigSource.DYNAMIC_TOPIC_CONFIG]
        assert [(c.name, c.value) for c in overrides] == [("retention.ms", "5")]
        await delete_topic(cluster, "t")
        await cluster.refresh(None)
        assert cluster.topics == {}


async def test_the_brokers_defaults() -> None:
    async with cluster_of(settings={"num.partitions": "4"}) as (cluster, _):
        assert await create_topic(cluster, "t", None, None, {}) == CreatedTopic(4, 1)


@pytest.mark.parametrize(
    ("name", "partitions", "replicas", "configs", "sentence"),
    [
        ("t", 1, None, {}, "Topic 't' already exists"),
        ("a b", 1, None, {}, "Topic name is invalid: 'a b' contains"),
        ("u", 1, 5, {}, "INVALID_REPLICATION_FACTOR"),
        ("u", 1, None, {"nope": "1"}, "Unknown topic config name: nope"),
        ("u", 1, None, {"retention.ms": "x"}, "Not a number of type LONG"),
    ],
)
async def test_what_the_broker_refuses_is_one_sentence(
    name: str, partitions: int, replicas: int | None, configs: dict[str, str], sentence: str
) -> None:
    async with cluster_of(TopicSpec("t")) as (cluster, _):
        with pytest.raises(BrokerError) as raised:
            await create_topic(cluster, name, partitions, replicas, configs)
        assert str(raised.value).startswith(f"Topic '{name}' could not be created: ")
        assert sentence in str(raised.value)


async def test_a_topic_that_is_not_there_cannot_be_deleted() -> None:
    async with cluster_of() as (cluster, _):
        with pytest.raises(ClientError, match=r"There is no topic 'nope'\."):
            await delete_topic(cluster, "nope")


async def test_a_partition_that_refuses_costs_the_others_nothing() -> None:
    async with cluster_of(TopicSpec("t", 3)) as (cluster, _):
        await cluster.topic("t")
        outcomes = await delete_records(cluster, {("t", 0): 0, ("t", 1): 7, ("t", 2): 0})
        assert outcomes.done == {("t", 0): 0, ("t", 2): 0}
        (failure,) = outcomes.failures
        assert str(failure).startswith("Partition t-1 could not be emptied: ")


@pytest.mark.parametrize("names", [("t", "nope", "nor this"), ("nope", "t", "nor this")])
async def test_what_is_tried_again_in_vain_costs_the_others_nothing(
    names: tuple[str, ...], autojump_clock: MockClock
) -> None:
    async with cluster_of(TopicSpec("t")) as (cluster, _):
        partitions = [(name, 0) for name in names]
        outcomes = await move_replicas(cluster, 1, DATA, partitions)
        assert list(outcomes.done) == [("t", 0)]
        assert [str(each).partition(" could not be moved: ")[0] for each in outcomes.failures] == [
            "Partition nope-0",
            "Partition nor this-0",
        ]
