"""A key that has a sentence has an effect: a broker that is started with another value shows
something else to a client, on the disk or at its start. One without a sentence has none, and a
start that sets it says so.

Those that can change while the broker runs are in test_dynamic_effect.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
import trio

from kbroker.config import BrokerConfig, ConfigError
from kbroker.config.broker import BROKER_KEYS
from kbroker.config.key import READ_ONLY, Key, T
from kbroker.config.topic import TOPIC_KEYS
from kbroker.controller.topic_names import CONSUMER_OFFSETS
from kbroker.node.broker import Broker
from kbroker.node.errors import StartupError
from kbroker.node.settings import BrokerSettings, TopicSpec
from kbroker.storage.batch import BatchHeader
from kbroker.storage.checkpoints import read_offsets
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from kbroker.wire.messages.create_topics import (
    CreatableTopic,
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from kbroker.wire.messages.delete_topics import (
    DeleteTopicsRequest,
    DeleteTopicsResponse,
    DeleteTopicState,
)
from kbroker.wire.messages.describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResponse,
)
from kbroker.wire.messages.describe_log_dirs import DescribeLogDirsRequest, DescribeLogDirsResponse
from kbroker.wire.messages.describe_producers import (
    DescribeProducersRequest,
    DescribeProducersResponse,
    TopicRequest,
)
from kbroker.wire.messages.describe_topic_partitions import (
    DescribeTopicPartitionsRequest,
    DescribeTopicPartitionsResponse,
)
from kbroker.wire.messages.describe_topic_partitions import TopicRequest as ListedTopic
from kbroker.wire.messages.fetch import FetchPartition, FetchRequest, FetchResponse, FetchTopic
from kbroker.wire.messages.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse
from kbroker.wire.messages.get_telemetry_subscriptions import (
    GetTelemetrySubscriptionsRequest,
    GetTelemetrySubscriptionsResponse,
)
from kbroker.wire.messages.join_group import (
    JoinGroupRequest,
    JoinGroupRequestProtocol,
    JoinGroupResponse,
)
from kbroker.wire.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
    OffsetCommitResponse,
)
from kbroker.wire.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestTopic,
    OffsetFetchResponse,
)
from tests.sim.broker import DATA, Client, ConnectionEnded, Machine

from .asking import metadata
from .scene import SETTINGS, TOPIC, Scene, TrioClock, pass_time

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

GROUP = "g"
NEVER = "86400000"
METADATA_LOG = "__cluster_metadata-0"


# What is seen of groups.


async def coordinate(scene: Scene) -> None:
    """As clients do, which ask again while the coordinator's topic is being made."""
    request = FindCoordinatorRequest(key=GROUP, key_type=0)
    for _ in range(20):
        found = await scene.client.call(request, FindCoordinatorResponse, 3)
        if found.error_code != ErrorCode.COORDINATOR_NOT_AVAILABLE:
            break
        await pass_time(1)
    assert found.error_code == 0


async def join(client: Client) -> str:
    answer = await client.call(
        JoinGroupRequest(
            group_id=GROUP,
            session_timeout_ms=10_000,
            rebalance_timeout_ms=60_000,
            protocol_type="consumer",
            protocols=[JoinGroupRequestProtocol(name="range", metadata=b"")],
        ),
        JoinGroupResponse,
        3,
    )
    return ErrorCode(answer.error_code).name


async def joining(scene: Scene) -> object:
    await coordinate(scene)
    return await join(scene.client)


async def joining_s(scene: Scene) -> object:
    await coordinate(scene)
    begin = trio.current_time()
    await join(scene.client)
    return round(trio.current_time() - begin)


async def two_joining(scene: Scene) -> object:
    await coordinate(scene)
    found: list[str] = []

    async def one_more(client: Client) -> None:
        found.append(await join(client))

    async with trio.open_nursery() as nursery:
        for client in (scene.client, await another(scene)):
            nursery.start_soon(one_more, client)
    return sorted(found)


async def committing(scene: Scene) -> object:
    await coordinate(scene)
    partition = OffsetCommitRequestPartition(
        partition_index=0, committed_offset=5, committed_metadata="metadata"
    )
    topic = OffsetCommitRequestTopic(name=TOPIC, partitions=[partition])
    answer = await scene.client.call(
        OffsetCommitRequest(group_id=GROUP, topics=[topic]), OffsetCommitResponse, 8
    )
    return ErrorCode(answer.topics[0].partitions[0].error_code).name


async def committed_later(scene: Scene) -> object:
    assert await committing(scene) == "NONE"
    await pass_time(200)
    topic = OffsetFetchRequestTopic(name=TOPIC, partition_indexes=[0])
    answer = await scene.client.call(
        OffsetFetchRequest(group_id=GROUP, topics=[topic]), OffsetFetchResponse, 7
    )
    return answer.topics[0].partitions[0].committed_offset


async def offsets_partitions(scene: Scene) -> object:
    await coordinate(scene)
    return len((await metadata(scene.client, CONSUMER_OFFSETS)).topics[0].partitions)


async def offsets_segment_bytes(scene: Scene) -> object:
    await coordinate(scene)
    resource = DescribeConfigsResource(
        resource_type=2, resource_name=CONSUMER_OFFSETS, configuration_keys=["segment.bytes"]
    )
    answer = await scene.client.call(
        DescribeConfigsRequest(resources=[resource]), DescribeConfigsResponse
    )
    return answer.results[0].configs[0].value


async def offsets_codec(scene: Scene) -> object:
    assert await committing(scene) == "NONE"
    contents = [await scene.client.fetch(CONSUMER_OFFSETS, 0, index=index) for index in range(3)]
    (commit,) = [content for content in contents if content]
    return BatchHeader(commit).codec.name


# Of topics and records.


async def another(scene: Scene) -> Client:
    return Client(await scene.machine.network.connect(*scene.address))


async def created(scene: Scene) -> object:
    """Its partitions, or why there is none."""
    wanted = CreatableTopic(name="new", num_partitions=-1, replication_factor=-1)
    request = CreateTopicsRequest(topics=[wanted], timeout_ms=5000)
    (topic,) = (await scene.client.call(request, CreateTopicsResponse)).topics
    return topic.num_partitions if not topic.error_code else ErrorCode(topic.error_code).name


async def deleted(scene: Scene) -> object:
    request = DeleteTopicsRequest(topics=[DeleteTopicState(name=TOPIC)], timeout_ms=5000)
    (topic,) = (await scene.client.call(request, DeleteTopicsResponse)).responses
    return ErrorCode(topic.error_code).name


async def asked_for(scene: Scene) -> object:
    topic = (await metadata(scene.client, "unknown", create=True)).topics[0]
    return ErrorCode(topic.error_code).name


async def listed(scene: Scene) -> object:
    assert await created(scene) == 1
    request = DescribeTopicPartitionsRequest(
        topics=[ListedTopic(name="new"), ListedTopic(name=TOPIC)]
    )
    answer = await scene.client.call(request, DescribeTopicPartitionsResponse)
    return sum(len(topic.partitions) for topic in answer.topics)


async def fetched_batches(scene: Scene) -> object:
    for _ in range(3):
        await scene.produce(2000)
    return len(await scene.client.fetch(TOPIC, 0)) // 2000


async def session(scene: Scene) -> object:
    partition = FetchPartition(partition=0, fetch_offset=0, partition_max_bytes=1000)
    request = FetchRequest(
        max_wait_ms=0,
        max_bytes=1000,
        session_epoch=0,
        topics=[FetchTopic(topic=TOPIC, partitions=[partition])],
    )
    return (await scene.client.call(request, FetchResponse, 12)).session_id > 0


async def producers(scene: Scene) -> object:
    await scene.produce(producer_id=7)
    await pass_time(30)
    request = DescribeProducersRequest(topics=[TopicRequest(name=TOPIC, partition_indexes=[0])])
    answer = await scene.client.call(request, DescribeProducersResponse)
    return len(answer.topics[0].partitions[0].active_producers)


async def retained_from(scene: Scene) -> object:
    for _ in range(4):
        await scene.produce(400_000)
    await pass_time(60)
    return await scene.earliest()


async def large_request(scene: Scene) -> object:
    try:
        return (await scene.produce(5000)).name
    except ConnectionEnded:
        return "closed"


async def idle_connection(scene: Scene) -> object:
    await pass_time(60)
    try:
        await scene.client.call(ApiVersionsRequest(), ApiVersionsResponse, 0)
    except ConnectionEnded:
        return "closed"
    return "served"


async def largest_push(scene: Scene) -> object:
    request = GetTelemetrySubscriptionsRequest(client_instance_id=bytes(16))
    answer = await scene.client.call(request, GetTelemetrySubscriptionsResponse)
    return answer.telemetry_max_bytes


# Of the broker and its disk.


async def broker_row(scene: Scene) -> object:
    (broker,) = (await metadata(scene.client, TOPIC)).brokers
    return (broker.node_id, broker.host, broker.rack)


async def port(scene: Scene) -> object:
    return scene.address[1]


async def log_dirs(scene: Scene) -> object:
    answer = await scene.client.call(DescribeLogDirsRequest(topics=None), DescribeLogDirsResponse)
    return [result.log_dir for result in answer.results]


async def metadata_dirs(scene: Scene) -> object:
    paths = (f"{folder}/{METADATA_LOG}" for folder in (DATA, "/elsewhere"))
    return [path for path in paths if scene.machine.disk.exists(path)]


async def metadata_files(scene: Scene, suffix: str) -> int:
    for number in range(3):
        await metadata(scene.client, f"topic{number}", create=True)
        await pass_time(20)
    names = scene.machine.disk.list_dir(f"{DATA}/{METADATA_LOG}")
    return sum(name.endswith(suffix) and not name.startswith("bootstrap") for name in names)


async def snapshots(scene: Scene) -> object:
    return await metadata_files(scene, ".checkpoint") > 0


async def metadata_segments(scene: Scene) -> object:
    return await metadata_files(scene, ".log") > 1


async def recovery_point(scene: Scene) -> object:
    return await checkpointed(scene, "recovery-point-offset-checkpoint") > 0


async def high_watermark(scene: Scene) -> object:
    return await checkpointed(scene, "replication-offset-checkpoint") > 0


async def checkpointed(scene: Scene, name: str) -> int:
    for _ in range(4):
        await scene.produce(400_000)
    await pass_time(20)
    path = f"{DATA}/{name}"
    found = read_offsets(scene.machine.disk, path) if scene.machine.disk.exists(path) else {}
    return found.get((TOPIC, 0), 0)


@dataclass(frozen=True)
class Case:
    """A key, another value than the broker's, and what is seen without and with it."""

    key: str
    value: str
    look: Callable[[Scene], Awaitable[object]]
    without: object
    with_it: object
    beneath: dict[str, str] = field(default_factory=dict)


RETAINING = {"log.segment.bytes": "1048576", "log.retention.bytes": "0"}
SHORT_MEMORY = {"offsets.retention.minutes": "1"}
FREE_PORT = {"listeners": "PLAINTEXT://broker:0"}
CASES = (
    Case("advertised.listeners", "PLAINTEXT://a:5", broker_row, (1, "b", None), (1, "a", None)),
    Case("auto.create.topics.enable", "false", asked_for, "NONE", "UNKNOWN_TOPIC_OR_PARTITION"),
    Case("broker.id", "7", broker_row, (1, "b", None), (7, "b", None)),
    Case("broker.rack", "r", broker_row, (1, "b", None), (1, "b", "r")),
    Case("connections.max.idle.ms", "5000", idle_connection, "served", "closed"),
    Case("default.replication.factor", "2", created, 1, "no start"),
    Case("delete.topic.enable", "false", deleted, "NONE", "TOPIC_DELETION_DISABLED"),
    Case("fetch.max.bytes", "1024", fetched_batches, 3, 1),
    Case("group.initial.rebalance.delay.ms", "9000", joining_s, 0, 9),
    Case("group.max.session.timeout.ms", "9000", joining, "NONE", "INVALID_SESSION_TIMEOUT"),
    Case(
        *("group.max.size", "1", two_joining, ["NONE", "NONE"]),
        ["GROUP_MAX_SIZE_REACHED", "NONE"],
        {"group.initial.rebalance.delay.ms": "1000"},
    ),
    Case("group.min.session.timeout.ms", "11000", joining, "NONE", "INVALID_SESSION_TIMEOUT"),
    Case("listeners", "PLAINTEXT://broker:9555", port, 40_000, 9555),
    Case("log.dir", "/elsewhere", log_dirs, [DATA], ["/elsewhere"]),
    Case("log.dirs", "/elsewhere", log_dirs, [DATA], ["/elsewhere"]),
    Case(
        *("log.flush.offset.checkpoint.interval.ms", "1000", recovery_point, False, True),
        {"log.segment.bytes": "1048576"},
    ),
    Case("log.initial.task.delay.ms", NEVER, retained_from, 4, 0, RETAINING),
    Case("log.retention.check.interval.ms", NEVER, retained_from, 4, 0, RETAINING),
    Case("max.incremental.fetch.session.cache.slots", "0", session, True, False),
    Case("max.request.partition.size.limit", "1", listed, 2, 1),
    Case(
        "metadata.log.dir",
        "/elsewhere",
        metadata_dirs,
        [f"{DATA}/{METADATA_LOG}"],
        [f"/elsewhere/{METADATA_LOG}"],
        {"log.dirs": f"{DATA},/elsewhere"},
    ),
    Case("metadata.log.max.record.bytes.between.snapshots", "1", snapshots, False, True),
    Case("metadata.log.max.snapshot.interval.ms", "1000", snapshots, False, True),
    Case("metadata.log.segment.ms", "1000", metadata_segments, False, True),
    Case("node.id", "7", broker_row, (1, "b", None), (7, "b", None)),
    Case("num.partitions", "5", created, 1, 5),
    Case("offset.metadata.max.bytes", "1", committing, "NONE", "OFFSET_METADATA_TOO_LARGE"),
    Case("offsets.retention.check.interval.ms", "1000", committed_later, 5, -1, SHORT_MEMORY),
    Case(
        *("offsets.retention.minutes", "1", committed_later, 5, -1),
        {"offsets.retention.check.interval.ms": "1000"},
    ),
    Case("offsets.topic.compression.codec", "1", offsets_codec, "NONE", "GZIP"),
    Case("offsets.topic.num.partitions", "5", offsets_partitions, 3, 5),
    Case("offsets.topic.segment.bytes", "2000000", offsets_segment_bytes, "104857600", "2000000"),
    Case(
        *("producer.id.expiration.check.interval.ms", NEVER, producers, 0, 1),
        {"producer.id.expiration.ms": "1000"},
    ),
    Case("replica.high.watermark.checkpoint.interval.ms", NEVER, high_watermark, True, False),
    Case("socket.request.max.bytes", "1000", large_request, "NONE", "closed"),
    Case("telemetry.max.bytes", "1000", largest_push, 1 << 20, 1000),
)
REFUSED = {
    "authorizer.class.name": "org.example.Authorizer",
    "controller.listener.names": "",
    "controller.quorum.voters": "2@elsewhere:9093",
    "inter.broker.listener.name": "NOT_THERE",
    "listener.security.protocol.map": "PLAINTEXT:SSL",
    "process.roles": "broker",
    "security.inter.broker.protocol": "SASL_SSL",
}
# What they do takes other nodes, real sockets, or a controller that is away: the tests of the parts
# that read them show it.
ELSEWHERE = {
    "broker.heartbeat.interval.ms",
    "broker.session.timeout.ms",
    "log.dir.failure.timeout.ms",
    "metadata.log.segment.bytes",
    "metadata.max.idle.interval.ms",
    "metadata.max.retention.bytes",
    "metadata.max.retention.ms",
    "offsets.commit.timeout.ms",
    "offsets.load.buffer.size",
    "offsets.topic.replication.factor",
    "queued.max.request.bytes",
    "quota.window.num",
    "quota.window.size.seconds",
    "replica.fetch.backoff.ms",
    "request.timeout.ms",
    "socket.listen.backlog.size",
    "socket.receive.buffer.bytes",
    "socket.send.buffer.bytes",
}


async def seen(case: Case, *, is_set: bool) -> object:
    machine, topic = Machine(), TopicSpec(TOPIC, 1)
    machine.disk.make_dir("/elsewhere")
    settings = {
        "log.index.size.max.bytes": "4096",
        **SETTINGS,
        "listeners": "PLAINTEXT://b:0",
        **case.beneath,
        **({case.key: case.value} if is_set else {}),
    }
    found: object = "no start"
    try:
        async with machine.broker(topic, settings=settings, clock=TrioClock()) as client:
            found = await case.look(Scene(machine, client, client.stream.transport.peer_address))
    except StartupError:
        pass
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.key)
async def test_a_key_takes_effect(case: Case, autojump_clock: trio.testing.MockClock) -> None:
    without = await seen(case, is_set=False)
    assert without == case.without
    assert await seen(case, is_set=True) == case.with_it


@pytest.mark.parametrize("key", REFUSED)
async def test_a_key_that_cannot_be_is_refused(key: str) -> None:
    with pytest.raises((ConfigError, StartupError)):
        async with Machine().broker(settings={**FREE_PORT, key: REFUSED[key]}):
            pass
    async with Machine().broker(settings=FREE_PORT):
        pass


def test_every_key_with_a_sentence_is_tried() -> None:
    of_topics = {synonym.name for key in TOPIC_KEYS.values() for synonym in key.synonyms}
    documented = {
        name for name, key in BROKER_KEYS.items() if key.has_effect and name not in of_topics
    }
    dynamic = {name for name in documented if BROKER_KEYS[name].scope is not READ_ONLY}
    tried = {case.key for case in CASES} | set(REFUSED)
    assert tried | ELSEWHERE == documented - (dynamic - tried)
    assert not tried & ELSEWHERE


class WatchedConfig(BrokerConfig):
    """Knows which keys were read since `watch`."""

    _read: set[str] | None = None

    def watch(self) -> set[str]:
        for key in BROKER_KEYS.values():
            self.__dict__.pop(key.attribute, None)  # it would be read from there
        self._read = set()
        return self._read

    def resolve(self, key: Key[T]) -> T:
        if self._read is not None:
            self._read.add(key.name)
        return super().resolve(key)


async def test_nothing_reads_a_key_that_is_said_to_have_no_effect(
    autojump_clock: trio.testing.MockClock,
) -> None:
    machine = Machine()
    config = WatchedConfig({"log.index.size.max.bytes": "4096", **FREE_PORT})
    settings = BrokerSettings(config=config, data_dir=DATA, topics=(TopicSpec(TOPIC, 1),))
    broker = Broker(
        settings, disk=machine.disk, network=machine.network, rng=machine.rng, clock=TrioClock()
    )
    async with broker:
        read = config.watch()
        client = Client(await machine.network.connect(*broker.addresses[0]))
        scene = Scene(machine, client, broker.addresses[0])
        for look in (session, joining, committing, created, asked_for, producers, retained_from):
            await look(scene)
    assert {"fetch.max.bytes", "group.max.size", "num.partitions"} <= read
    of_topics = {synonym.name for key in TOPIC_KEYS.values() for synonym in key.synonyms}
    assert {name for name in read if not BROKER_KEYS[name].has_effect} <= of_topics
