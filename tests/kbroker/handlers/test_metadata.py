"""Metadata, as KafkaApis and KRaftMetadataCache answer it."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import pytest

from kbroker.handlers import metadata
from kbroker.wire import codec
from kbroker.wire.errors import ErrorCode, RequestError
from kbroker.wire.messages.create_topics import (
    CreatableTopicResult,
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from kbroker.wire.messages.metadata import (
    MetadataRequest,
    MetadataRequestTopic,
    MetadataResponse,
    MetadataResponseTopic,
)
from tests.kbroker.broker_parts import CLUSTER_ID, DIALLED
from tests.kbroker.cluster_image import NODE_ID, topic_id

from .cluster_rig import ClusterRig

if TYPE_CHECKING:
    from kbroker.wire.message import Message

LATEST = 13


async def ask(rig: ClusterRig, request: MetadataRequest, version: int = LATEST) -> MetadataResponse:
    """The handler's answer as a client of that version reads it."""
    result = metadata.handle(request, rig.context(version))
    response = await result if inspect.iscoroutine(result) else result
    assert isinstance(response, MetadataResponse)
    return codec.decode(MetadataResponse, version, codec.encode(response, version))


def named(*names: str, auto_create: bool = False) -> MetadataRequest:
    return MetadataRequest(
        topics=[MetadataRequestTopic(name=name) for name in names],
        allow_auto_topic_creation=auto_create,
    )


def only(response: MetadataResponse) -> MetadataResponseTopic:
    (topic,) = response.topics
    return topic


async def test_brokers_cluster_and_controller() -> None:
    rig = ClusterRig()
    rig.add_broker(2, rack="r2")
    rig.add_broker(3, fenced=True)
    rig.add_broker(4, listener="OTHER")
    response = await ask(rig, named())
    assert [(b.node_id, b.host, b.port, b.rack) for b in response.brokers] == [
        (1, *DIALLED, None),
        (2, "host2", 9002, "r2"),
    ]
    assert response.cluster_id == CLUSTER_ID
    assert response.controller_id in (1, 2)
    assert response.topics == []


@pytest.mark.parametrize(("version", "topics"), [(0, []), (1, None), (13, None)])
async def test_all_topics(version: int, topics: list[MetadataRequestTopic] | None) -> None:
    rig = ClusterRig()
    rig.add_topic("a", 2)
    rig.add_topic("__consumer_offsets")
    response = await ask(rig, MetadataRequest(topics=topics), version)
    assert {(t.name, len(t.partitions)) for t in response.topics} == {
        ("a", 2),
        ("__consumer_offsets", 1),
    }
    if version:
        assert {t.name for t in response.topics if t.is_internal} == {"__consumer_offsets"}


async def test_no_topics_from_version_1_on() -> None:
    rig = ClusterRig()
    rig.add_topic("a")
    assert (await ask(rig, MetadataRequest(topics=[]), 1)).topics == []


async def test_a_topic_by_name() -> None:
    rig = ClusterRig()
    rig.add_topic("a")
    topic = only(await ask(rig, named("a")))
    assert (topic.error_code, topic.name, topic.topic_id) == (0, "a", topic_id("a"))
    (partition,) = topic.partitions
    assert (partition.leader_id, partition.leader_epoch) == (NODE_ID, 7)
    assert (partition.replica_nodes, partition.isr_nodes) == ([NODE_ID], [NODE_ID])
    assert partition.offline_replicas == []


async def test_a_name_given_twice_is_answered_once() -> None:
    rig = ClusterRig()
    rig.add_topic("a")
    assert len((await ask(rig, named("a", "a"))).topics) == 1


async def test_topics_by_id() -> None:
    rig = ClusterRig()
    rig.add_topic("a")
    unknown = b"u" * 16
    request = MetadataRequest(
        topics=[
            MetadataRequestTopic(topic_id=topic_id("a"), name=None),
            MetadataRequestTopic(topic_id=unknown, name=None),
        ]
    )
    missing, found = (await ask(rig, request)).topics
    assert (found.error_code, found.name) == (0, "a")
    assert missing.error_code == ErrorCode.UNKNOWN_TOPIC_ID
    assert (missing.name, missing.topic_id, missing.partitions) == (None, unknown, [])


async def test_ids_that_nobody_knows_come_first_and_names_last() -> None:
    rig = ClusterRig()
    rig.add_topic("a")
    rig.add_topic("b")
    ids = [topic_id("b"), b"u" * 16, topic_id("a"), b"v" * 16]
    request = MetadataRequest(topics=[MetadataRequestTopic(topic_id=i, name=None) for i in ids])
    answer = await ask(rig, request)
    assert [t.topic_id for t in answer.topics] == [ids[1], ids[3], ids[0], ids[2]]
    request = named("x", "b", "no name", "a")
    request.allow_auto_topic_creation = False
    answer = await ask(rig, request)
    assert [t.name for t in answer.topics] == ["b", "a", "x", "no name"]


@pytest.mark.parametrize(
    ("topic", "message"),
    [
        (MetadataRequestTopic(name=None), "Topic name can not be null for version 11"),
        (
            MetadataRequestTopic(name="a", topic_id=b"u" * 16),
            "Topic IDs are not supported in requests for version 11",
        ),
    ],
)
async def test_before_version_12_topics_go_by_name(
    topic: MetadataRequestTopic, message: str
) -> None:
    with pytest.raises(RequestError) as raised:
        metadata.handle(MetadataRequest(topics=[topic]), ClusterRig().context(11))
    assert raised.value.code == ErrorCode.INVALID_REQUEST
    assert raised.value.message == message


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("nope", ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        ("a b", ErrorCode.INVALID_TOPIC_EXCEPTION),
        ("", ErrorCode.INVALID_TOPIC_EXCEPTION),
        ("..", ErrorCode.INVALID_TOPIC_EXCEPTION),
        ("x" * 250, ErrorCode.INVALID_TOPIC_EXCEPTION),
    ],
)
async def test_what_does_not_exist(name: str, code: ErrorCode) -> None:
    topic = only(await ask(ClusterRig(), named(name)))
    assert (topic.error_code, topic.name, topic.partitions) == (code, name, [])


async def test_authorized_operations_where_asked() -> None:
    rig = ClusterRig()
    rig.add_topic("a")
    request = named("a")
    request.include_topic_authorized_operations = True
    assert only(await ask(rig, request)).topic_authorized_operations == 3576
    request.include_cluster_authorized_operations = True
    assert (await ask(rig, request, 10)).cluster_authorized_operations == 8096
    silent = await ask(rig, named("a"), 10)
    assert silent.cluster_authorized_operations == -(1 << 31)
    assert only(silent).topic_authorized_operations == -(1 << 31)


@pytest.mark.parametrize(
    ("version", "leader", "code"),
    [
        (0, -1, ErrorCode.LEADER_NOT_AVAILABLE),
        (13, -1, ErrorCode.LEADER_NOT_AVAILABLE),
        (5, 4, ErrorCode.LEADER_NOT_AVAILABLE),
        (6, 4, ErrorCode.LISTENER_NOT_FOUND),
    ],
)
async def test_a_partition_whose_leader_cannot_be_reached(
    version: int, leader: int, code: ErrorCode
) -> None:
    rig = ClusterRig()
    rig.add_broker(4, listener="OTHER")
    rig.add_topic("a", replicas=(4,), leader=leader)
    (partition,) = only(await ask(rig, named("a"), version)).partitions
    assert (partition.error_code, partition.leader_id) == (code, -1)


async def test_offline_replicas() -> None:
    """Unknown, fenced, without the listener, or with a lost directory."""
    rig = ClusterRig()
    rig.add_broker(2, fenced=True)
    rig.add_broker(3, listener="OTHER")
    lost = bytes(15) + b"\2"
    rig.add_broker(4)
    rig.add_topic(
        "a", replicas=(1, 2, 3, 4, 5), directories=[b"\1" * 16, b"\2" * 16, b"\3" * 16, lost, lost]
    )
    (partition,) = only(await ask(rig, named("a"))).partitions
    assert partition.offline_replicas == [2, 3, 4, 5]
    assert partition.error_code == 0


async def test_version_0_leaves_out_replicas_that_cannot_be_reached() -> None:
    rig = ClusterRig()
    rig.add_topic("a", replicas=(1, 9))
    (partition,) = only(await ask(rig, named("a"), 0)).partitions
    assert partition.replica_nodes == [1]
    assert partition.error_code == ErrorCode.REPLICA_NOT_AVAILABLE


class Creator:
    """A controller that creates what it is asked to, except some names."""

    def __init__(self, rig: ClusterRig, refused: dict[str, ErrorCode] | None = None) -> None:
        self._rig = rig
        self._refused = refused or {}

    def __call__(self, request: Message) -> Message:
        assert isinstance(request, CreateTopicsRequest)
        results = []
        for topic in request.topics:
            code = self._refused.get(topic.name, ErrorCode.NONE)
            if code == ErrorCode.NONE:
                self._rig.add_topic(topic.name, topic.num_partitions)
            results.append(CreatableTopicResult(name=topic.name, error_code=code))
        return CreateTopicsResponse(topics=results)


async def test_an_unknown_topic_is_created_and_answered_at_once() -> None:
    rig = ClusterRig({"num.partitions": "3"})
    rig.controller = Creator(rig)
    rig.add_topic("old")
    old, new = (await ask(rig, named("old", "new", auto_create=True))).topics
    assert (old.name, len(old.partitions)) == ("old", 1)
    assert (new.error_code, new.name, len(new.partitions)) == (0, "new", 3)
    (request,) = rig.sent
    assert isinstance(request, CreateTopicsRequest)
    assert [(t.name, t.num_partitions, t.replication_factor) for t in request.topics] == [
        ("new", 3, 1)
    ]


async def test_consumer_offsets_is_created_with_its_own_settings() -> None:
    rig = ClusterRig({"offsets.topic.num.partitions": "5"})
    rig.controller = Creator(rig)
    topic = only(await ask(rig, named("__consumer_offsets", auto_create=True)))
    assert (len(topic.partitions), topic.is_internal) == (5, True)
    (request,) = rig.sent
    assert isinstance(request, CreateTopicsRequest)
    assert {c.name: c.value for c in request.topics[0].configs}["cleanup.policy"] == "compact"


@pytest.mark.parametrize(("request_allows", "broker_allows"), [(False, "true"), (True, "false")])
async def test_nothing_is_created_unless_request_and_broker_allow(
    request_allows: bool, broker_allows: str
) -> None:
    rig = ClusterRig({"auto.create.topics.enable": broker_allows})
    topic = only(await ask(rig, named("new", auto_create=request_allows)))
    assert topic.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert rig.sent == []


async def test_neither_invalid_names_nor_all_topics_create_any() -> None:
    rig = ClusterRig()
    topic = only(await ask(rig, named("a b", auto_create=True)))
    assert topic.error_code == ErrorCode.INVALID_TOPIC_EXCEPTION
    await ask(rig, MetadataRequest(topics=None, allow_auto_topic_creation=True))
    assert rig.sent == []


@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        (ErrorCode.INVALID_TOPIC_EXCEPTION, ErrorCode.INVALID_TOPIC_EXCEPTION),
        (ErrorCode.POLICY_VIOLATION, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
    ],
)
async def test_what_the_controller_refuses(refusal: ErrorCode, code: ErrorCode) -> None:
    rig = ClusterRig()
    rig.controller = Creator(rig, {"new": refusal})
    topic = only(await ask(rig, named("new", auto_create=True)))
    assert (topic.error_code, topic.partitions) == (code, [])


async def test_a_topic_that_another_request_created_meanwhile_is_answered() -> None:
    rig = ClusterRig()

    def lost_race(request: Message) -> Message:
        rig.add_topic("new")
        return CreateTopicsResponse(
            topics=[CreatableTopicResult(name="new", error_code=ErrorCode.TOPIC_ALREADY_EXISTS)]
        )

    rig.controller = lost_race
    topic = only(await ask(rig, named("new", auto_create=True)))
    assert (topic.error_code, len(topic.partitions)) == (0, 1)


@pytest.mark.parametrize("version", range(LATEST + 1))
async def test_every_version_can_say_it(version: int) -> None:
    rig = ClusterRig()
    rig.add_topic("a", replicas=(1, 9))
    topic = only(await ask(rig, named("a"), version))
    assert topic.name == "a"
