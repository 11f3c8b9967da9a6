"""Every dynamic key that is not said to be without effect changes, while the broker runs, what a
client or the disk shows: each is seen without it and with it, set on the topic, for the cluster and
for the broker.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
import trio

from kbroker.config.broker import BROKER_KEYS
from kbroker.config.client_metrics import CLIENT_METRICS_KEYS
from kbroker.config.key import PER_BROKER, READ_ONLY
from kbroker.config.topic import GROUP_KEYS, TOPIC_KEYS
from kbroker.node.settings import TopicSpec
from kbroker.wire.codes import ResourceType
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from kbroker.wire.messages.describe_log_dirs import (
    DescribeLogDirsRequest,
    DescribeLogDirsResponse,
)
from kbroker.wire.messages.describe_producers import (
    DescribeProducersRequest,
    DescribeProducersResponse,
    TopicRequest,
)
from kbroker.wire.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)
from tests.sim.broker import Client, ConnectionEnded, Machine

from .scene import HOUR_S, NODE, SETTINGS, TOPIC, Scene, TrioClock, pass_time

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


async def codec(scene: Scene) -> object:
    await scene.produce(1000, value=b"x" * 1000)
    return (await scene.stored()).codec.name


async def compressed_size(scene: Scene) -> object:
    words = random.Random(1).choices([b"alpha", b"beta", b"gamma", b"delta", b"eps"], k=20_000)
    await scene.produce(value=b" ".join(words))
    return (await scene.stored()).size_bytes


async def without_key(scene: Scene) -> object:
    return (await scene.produce(key=None)).name


async def large(scene: Scene) -> object:
    return (await scene.produce(500)).name


async def early(scene: Scene) -> object:
    return (await scene.produce(ago_s=HOUR_S)).name


async def ahead(scene: Scene) -> object:
    return (await scene.produce(ago_s=-HOUR_S / 2)).name


async def small(scene: Scene) -> object:
    return (await scene.produce()).name


async def whose_time(scene: Scene) -> object:
    await scene.produce()
    return (await scene.stored()).timestamp_type.name


async def segments(scene: Scene) -> object:
    for _ in range(8):
        assert await scene.produce(400_000) == ErrorCode.NONE
    return len(scene.files())


async def segments_over_time(scene: Scene) -> object:
    for pause_s in (30, 30, 15, 0):
        await scene.produce()
        await trio.sleep(pause_s)
    return len(scene.files())


async def segments_before_time(scene: Scene) -> object:
    """One a second before it would roll without jitter: with some, nearly each rolls."""
    for _ in range(8):
        await scene.produce()
        await trio.sleep(24)
    return len(scene.files())


async def index_entries(scene: Scene) -> object:
    """Of the second segment, whose index is cut to its entries when the third begins."""
    for _ in range(6):
        await scene.produce(400_000)
    return scene.machine.disk.size(scene.files(".index")[1]) // 8


async def reserved(scene: Scene) -> object:
    for _ in range(3):
        await scene.produce(400_000)
    return scene.machine.disk.size(scene.files()[-1]) > 500_000


async def first_offset(scene: Scene) -> object:
    for _ in range(4):
        await scene.produce(400_000)
    await pass_time(60)
    return await scene.earliest()


async def deleted_files(scene: Scene) -> object:
    for _ in range(4):
        await scene.produce(400_000)
    await pass_time(30)
    assert await scene.earliest() > 0
    return bool(scene.files(".deleted"))


async def syncs(scene: Scene) -> object:
    before = scene.syncs()
    await scene.produce()
    await pass_time(30)
    return scene.syncs() > before


async def producers(scene: Scene) -> object:
    await scene.produce(producer_id=7)
    await pass_time(30)
    topics = [TopicRequest(name=TOPIC, partition_indexes=[0])]
    answer = await scene.client.call(
        DescribeProducersRequest(topics=topics), DescribeProducersResponse
    )
    return len(answer.topics[0].partitions[0].active_producers)


async def second_connection(scene: Scene) -> object:
    client = Client(await scene.machine.network.connect(*scene.address))
    with trio.move_on_after(10):
        try:
            await client.call(ApiVersionsRequest(), ApiVersionsResponse, 0)
        except ConnectionEnded:
            return "closed"
        return "served"
    return "waits"


async def cordoned(scene: Scene) -> object:
    await pass_time(10)  # a heartbeat tells the controller
    request = DescribeLogDirsRequest(topics=None)
    answer = await scene.client.call(request, DescribeLogDirsResponse)
    return answer.results[0].is_cordoned


async def connections(scene: Scene) -> object:
    """How many of twenty are served within a second."""
    clients = [Client(await scene.machine.network.connect(*scene.address)) for _ in range(20)]
    served: list[Client] = []

    async def ask(client: Client) -> None:
        await client.call(ApiVersionsRequest(), ApiVersionsResponse, 0)
        served.append(client)

    with trio.move_on_after(1):
        async with trio.open_nursery() as nursery:
            for client in clients:
                nursery.start_soon(ask, client)
    return len(served)


@dataclass(frozen=True)
class Case:
    """A key, a value that is not its default, and what is seen without and with it."""

    key: str
    value: str
    look: Callable[[Scene], Awaitable[object]]
    without: object
    with_it: object
    beneath: dict[str, str] = field(default_factory=dict)  # the broker's own settings


SMALL_SEGMENTS = {"log.segment.bytes": "1048576"}
GZIP, LZ4, ZSTD = ({"compression.type": codec_name} for codec_name in ("gzip", "lz4", "zstd"))
ANOTHER = object()  # than without the key
TOPIC_CASES = (
    Case("cleanup.policy", "compact", without_key, "NONE", "INVALID_RECORD"),
    Case("compression.type", "gzip", codec, "NONE", "GZIP"),
    Case("compression.gzip.level", "1", compressed_size, None, ANOTHER, GZIP),
    Case("compression.lz4.level", "1", compressed_size, None, ANOTHER, LZ4),
    Case("compression.zstd.level", "-1000", compressed_size, None, ANOTHER, ZSTD),
    Case(
        *("file.delete.delay.ms", "0", deleted_files, True, False),
        {
            **SMALL_SEGMENTS,
            "log.retention.bytes": "0",
            "log.segment.delete.delay.ms": "86400000",
        },
    ),
    Case("flush.messages", "1", syncs, False, True),
    Case("flush.ms", "500000", syncs, True, False, {"log.flush.scheduler.interval.ms": "1000"}),
    Case("index.interval.bytes", "500000", index_entries, 1, 0, SMALL_SEGMENTS),
    Case("internal.segment.bytes", "500000", segments, 1, 8),
    Case("max.message.bytes", "400", large, "NONE", "MESSAGE_TOO_LARGE"),
    Case("message.timestamp.type", "LogAppendTime", whose_time, "CREATE_TIME", "LOG_APPEND_TIME"),
    Case("message.timestamp.after.max.ms", "1000", ahead, "NONE", "INVALID_TIMESTAMP"),
    Case("message.timestamp.before.max.ms", "1000", early, "NONE", "INVALID_TIMESTAMP"),
    Case("preallocate", "true", reserved, False, True, SMALL_SEGMENTS),
    Case("retention.bytes", "0", first_offset, 0, 4, SMALL_SEGMENTS),
    Case("retention.ms", "1000", first_offset, 0, 4),
    Case("segment.bytes", "1048576", segments, 1, 4),
    Case(
        *("segment.index.bytes", "16", segments, 2, 4),
        {"log.segment.bytes": "2097152", "log.index.interval.bytes": "0"},
    ),
    Case(
        *("segment.jitter.ms", "24999", segments_before_time, 4, ANOTHER),
        {"log.roll.ms": "25000"},
    ),
    Case("segment.ms", "20000", segments_over_time, 1, 3),
)
BROKER_CASES = (
    Case("cordoned.log.dirs", "*", cordoned, False, True),
    Case("max.connections", "1", second_connection, "served", "waits"),
    Case("max.connection.creation.rate", "1", connections, 20, ANOTHER),
    Case("max.connections.per.ip", "1", second_connection, "served", "closed"),
    Case("max.connections.per.ip.overrides", "client:1", second_connection, "served", "closed"),
    Case("producer.id.expiration.ms", "1000", producers, 1, 0),
)
# They speak of other replicas, which one node has not: no more have to be in sync than there are.
NOT_HERE = {"min.insync.replicas", "unclean.leader.election.enable"}
# Refused as dynamic values: listeners are those of the start (docs/differences.md).
REFUSED = {"listeners", "listener.security.protocol.map"}


async def seen(case: Case, resource: ResourceType | None, name: str, key: str) -> object:
    """What `look` sees where the key is set on the resource; None: where nothing is."""
    machine = Machine()
    settings = {"log.index.size.max.bytes": "4096", **SETTINGS, **case.beneath}
    async with machine.broker(
        TopicSpec(TOPIC, partitions=1), settings=settings, clock=TrioClock()
    ) as client:
        if resource is not None:
            change = AlterableConfig(name=key, config_operation=0, value=case.value)
            one = AlterConfigsResource(resource_type=resource, resource_name=name, configs=[change])
            answer = await client.call(
                IncrementalAlterConfigsRequest(resources=[one]), IncrementalAlterConfigsResponse
            )
            assert answer.responses[0].error_code == 0, answer.responses[0].error_message
        address = client.stream.transport.peer_address
        return await case.look(Scene(machine, client, address))


def ways(case: Case) -> list[tuple[ResourceType, str, str]]:
    """Each resource, its name and the key, with which the case's value can be set."""
    found: list[tuple[ResourceType, str, str]] = []
    key = case.key
    if case in TOPIC_CASES:
        found.append((ResourceType.TOPIC, TOPIC, key))
        synonyms = [s.name for s in TOPIC_KEYS[key].synonyms if s.factor == 1]
    else:
        synonyms = [key]
    for synonym in synonyms:
        if BROKER_KEYS[synonym].scope is READ_ONLY:
            continue
        if BROKER_KEYS[synonym].scope is not PER_BROKER:
            found.append((ResourceType.BROKER, "", synonym))
        found.append((ResourceType.BROKER, NODE, synonym))
    return found


@pytest.mark.parametrize("case", TOPIC_CASES + BROKER_CASES, ids=lambda case: case.key)
async def test_a_dynamic_key_takes_effect(
    case: Case, autojump_clock: trio.testing.MockClock
) -> None:
    without = await seen(case, None, "", "")
    if case.without is not None:
        assert without == case.without
    for resource, name, key in ways(case):
        found = await seen(case, resource, name, key)
        if case.with_it is ANOTHER:
            assert found != without, (resource, name)
        else:
            assert (found, resource, name) == (case.with_it, resource, name)


def test_every_dynamic_key_with_an_effect_is_tried() -> None:
    tried = {key for case in TOPIC_CASES + BROKER_CASES for _, _, key in ways(case)}
    dynamic = {
        name
        for name, key in (*BROKER_KEYS.items(), *TOPIC_KEYS.items())
        if key.has_effect and (name in TOPIC_KEYS or key.scope is not READ_ONLY)
    }
    assert tried == dynamic - NOT_HERE - REFUSED


def test_keys_of_groups_and_subscriptions_are_said_to_have_none() -> None:
    keys = (*GROUP_KEYS.values(), *CLIENT_METRICS_KEYS.values())
    assert not [key.name for key in keys if key.has_effect]
