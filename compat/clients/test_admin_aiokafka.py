"""aiokafka's admin client. Its alter_configs speaks AlterConfigs, which a later issue serves."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from compat.clients.records import Position
from compat.late import comes_to_async

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from compat.brokers import Broker
    from compat.clients.records import StockClient

pytestmark = [pytest.mark.ci, pytest.mark.client("aiokafka")]


def run(broker: Broker, work: Callable[[Any], Awaitable[None]]) -> None:
    """Run the coroutine with an admin client."""
    from aiokafka.admin import AIOKafkaAdminClient

    async def with_client() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
        await admin.start()
        try:
            await work(admin)
        finally:
            await admin.close()

    asyncio.run(with_client())


def test_creates_describes_and_deletes_topics(broker: Broker, unique: Callable[[str], str]) -> None:
    from aiokafka.admin import NewPartitions, NewTopic

    name = unique("topic")

    async def work(admin: Any) -> None:
        async def listed() -> bool:
            return name in await admin.list_topics()

        response = await admin.create_topics([NewTopic(name, 2, 1)])
        assert [error[:2] for error in response.topic_errors] == [(name, 0)]
        again = await admin.create_topics([NewTopic(name, 2, 1)])
        assert again.topic_errors[0][1] == 36  # TOPIC_ALREADY_EXISTS
        await comes_to_async(listed, True)
        await admin.create_partitions({name: NewPartitions(4)})

        async def partitions() -> list[int]:
            return [len(topic["partitions"]) for topic in await admin.describe_topics([name])]

        await comes_to_async(partitions, [4])
        response = await admin.delete_topics([name])
        assert [tuple(one) for one in response.topic_error_codes] == [(name, 0)]
        await comes_to_async(listed, False)

    run(broker, work)


def test_describes_configs(broker: Broker, new_topic: Callable[..., str]) -> None:
    from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

    topic = new_topic(1, retention_ms="4321")

    async def work(admin: Any) -> None:
        resource = ConfigResource(ConfigResourceType.TOPIC, topic)
        (response,) = await admin.describe_configs([resource])
        (result,) = response.resources
        values = {entry[0]: entry[1] for entry in result[4]}
        assert values["retention.ms"] == "4321"
        assert values["cleanup.policy"] == "delete"

    run(broker, work)


def test_describes_the_cluster(broker: Broker) -> None:
    async def work(admin: Any) -> None:
        cluster = await admin.describe_cluster()
        found = [(one["host"], one["port"]) for one in cluster["brokers"]]
        assert found == [(broker.host, broker.port)]

    run(broker, work)


def test_lists_and_describes_groups(
    broker: Broker,
    clients: dict[str, StockClient],
    new_topic: Callable[..., str],
    unique: Callable[[str], str],
) -> None:
    topic, group = new_topic(), unique("group")
    clients["aiokafka"].commit(broker.bootstrap, group, topic, 0, Position(7, "m"), wait=True)

    async def work(admin: Any) -> None:
        assert group in {one[0] for one in await admin.list_consumer_groups()}
        (response,) = await admin.describe_consumer_groups([group])
        ((error, name, state, *_),) = response.groups
        assert (error, name, state) == (0, group, "Empty")
        offsets = await admin.list_consumer_group_offsets(group)
        assert [found.offset for found in offsets.values()] == [7]

    run(broker, work)
