"""CreateTopics, DeleteTopics and CreatePartitions: valid, wrong, mixed, and one after another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compat.differential.asking import NO_SUCH_ID, await_end, make_topic, usable
from compat.differential.scenarios import scenario
from kbroker.wire.messages.create_partitions import (
    CreatePartitionsAssignment,
    CreatePartitionsRequest,
    CreatePartitionsTopic,
)
from kbroker.wire.messages.create_topics import (
    CreatableReplicaAssignment,
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
)
from kbroker.wire.messages.delete_topics import DeleteTopicsRequest, DeleteTopicState
from kbroker.wire.messages.metadata import (
    MetadataRequest,
    MetadataRequestTopic,
    MetadataResponse,
)

if TYPE_CHECKING:
    from compat.differential.peer import Peer

MISSING_BROKER = 7777
NAMES = ("", ".", "..", "a b", "a/b", "ü", "x" * 249, "x" * 250, "__consumer_offsets")
CONFIGS = (
    ("cleanup.policy", "compact"),
    ("cleanup.policy", "compact,delete"),
    ("cleanup.policy", "delete,compact"),
    ("cleanup.policy", ""),
    ("cleanup.policy", "none"),
    ("cleanup.policy", "Delete"),
    ("cleanup.policy", None),
    ("retention.ms", "-1"),
    ("retention.ms", "-2"),
    ("retention.ms", "1.5"),
    ("retention.ms", " 5 "),
    ("retention.ms", "9223372036854775808"),
    ("retention.ms", ""),
    ("segment.bytes", "1048576"),
    ("segment.bytes", "1048575"),
    ("segment.bytes", "2147483648"),
    ("max.message.bytes", "-1"),
    ("max.message.bytes", "0"),
    ("min.insync.replicas", "0"),
    ("min.insync.replicas", "5"),
    ("compression.type", "zstd"),
    ("compression.type", "ZSTD"),
    ("compression.type", "bzip"),
    ("compression.zstd.level", "22"),
    ("compression.zstd.level", "23"),
    ("compression.gzip.level", "0"),
    ("compression.gzip.level", "-1"),
    ("compression.lz4.level", "18"),
    ("message.timestamp.type", "LogAppendTime"),
    ("message.timestamp.type", "logappendtime"),
    ("preallocate", "true"),
    ("preallocate", "TRUE"),
    ("preallocate", "yes"),
    ("min.cleanable.dirty.ratio", "0.5"),
    ("min.cleanable.dirty.ratio", "1.1"),
    ("min.cleanable.dirty.ratio", "NaN"),
    ("max.compaction.lag.ms", "0"),
    ("leader.replication.throttled.replicas", "*"),
    ("leader.replication.throttled.replicas", "0:1,1:2"),
    ("leader.replication.throttled.replicas", "zero"),
    ("remote.storage.enable", "true"),
    ("remote.storage.enable", "false"),
    ("local.retention.ms", "5"),
    ("message.format.version", "3.0"),
    ("no.such.key", "1"),
    ("", "1"),
)


def new(name: str, partitions: int = 1, replication: int = 1, **more: object) -> CreatableTopic:
    topic = CreatableTopic(name=name, num_partitions=partitions, replication_factor=replication)
    for key, value in more.items():
        setattr(topic, key, value)
    return topic


def create(
    *topics: CreatableTopic, dry: bool = False, timeout_ms: int = 15_000
) -> CreateTopicsRequest:
    return CreateTopicsRequest(topics=list(topics), timeout_ms=timeout_ms, validate_only=dry)


@scenario(CreateTopicsRequest)
def created(peer: Peer) -> None:
    for version in peer.shared(CreateTopicsRequest):
        name = peer.name(f"v{version}")
        peer.probe(f"v{version} dry run", create(new(name), dry=True), version)
        peer.probe(f"v{version}", create(new(name, 2)), version)
        peer.probe(f"v{version} again", create(new(name)), version)
        peer.probe(f"v{version} again, dry run", create(new(name), dry=True), version)
        peer.probe(f"v{version} none", create(), version)
        peer.probe(f"v{version} twice", create(new(name + "x"), new(name + "x", 3)), version)
        mixed = create(new(name), new(name + "new"), new("a b"), new(name + "r", 1, 3))
        peer.probe(f"v{version} mixed", mixed, version)
        for partitions, replication in (
            (-1, -1),
            (0, 1),
            (-2, 1),
            (1, 0),
            (1, -2),
            (1, 2),
            (1, 32767),
            (-1, 1),
            (1, -1),
            (100_001, 1),
        ):
            dry = create(new(peer.name("counts"), partitions, replication), dry=True)
            peer.probe(f"v{version} {partitions} x {replication}", dry, version)
        for wrong in NAMES:
            dry = create(new(wrong), dry=True)
            peer.probe(f"v{version} name {wrong[:12]!r} {len(wrong)}", dry, version)
        with_period = create(new(peer.name("a.b")), dry=True)
        peer.probe(f"v{version} period", with_period, version)


@scenario(CreateTopicsRequest)
def collisions(peer: Peer) -> None:
    """Names with periods and underscores that metrics would mix up."""
    version = peer.last(CreateTopicsRequest)
    make_topic(peer, "one.two")
    peer.probe("collides", create(new(peer.name("one_two")), dry=True), version)
    both = create(new(peer.name("p.q")), new(peer.name("p_q")), dry=True)
    peer.probe("collides in one request", both, version)


@scenario(CreateTopicsRequest)
def assignments(peer: Peer) -> None:
    node = peer.quietly(MetadataRequest(topics=[]), 1, MetadataResponse).brokers[0].node_id
    name = peer.name("assigned")
    for version in peer.shared(CreateTopicsRequest):
        for label, placed in (
            ("one", {0: [node]}),
            ("two", {0: [node], 1: [node]}),
            ("gap", {0: [node], 2: [node]}),
            ("not from zero", {1: [node]}),
            ("negative", {-1: [node]}),
            ("no replicas", {0: []}),
            ("unknown broker", {0: [MISSING_BROKER]}),
            ("broker twice", {0: [node, node]}),
            ("unequal", {0: [node], 1: [node, MISSING_BROKER]}),
            ("negative broker", {0: [-1]}),
        ):
            parts = [
                CreatableReplicaAssignment(partition_index=index, broker_ids=list(brokers))
                for index, brokers in placed.items()
            ]
            for counts in ((-1, -1), (1, 1), (len(parts), -1), (-1, 1)):
                topic = new(name, *counts, assignments=parts)
                step = f"v{version} {label} {counts}"
                peer.probe(step, create(topic, dry=True), version)
        parts = [CreatableReplicaAssignment(partition_index=0, broker_ids=[node])] * 2
        topic = new(name, -1, -1, assignments=parts)
        peer.probe(f"v{version} partition twice", create(topic, dry=True), version)


@scenario(CreateTopicsRequest)
def configs(peer: Peer) -> None:
    for version in peer.shared(CreateTopicsRequest):
        for key, value in CONFIGS:
            config = [CreatableTopicConfig(name=key, value=value)]
            topic = new(peer.name("config"), configs=config)
            peer.probe(f"v{version} {key}={value}", create(topic, dry=True), version)
    several = [
        CreatableTopicConfig(name="retention.ms", value="5"),
        CreatableTopicConfig(name="cleanup.policy", value="compact"),
        CreatableTopicConfig(name="retention.ms", value="6"),
    ]
    version = peer.last(CreateTopicsRequest)
    topic = new(peer.name("config"), configs=several)
    peer.probe("a key twice", create(topic, dry=True), version)
    peer.probe("for good", create(topic), version)


@scenario(DeleteTopicsRequest)
def deleted_by_name(peer: Peer) -> None:
    for version in peer.shared(DeleteTopicsRequest, last=5):
        one = make_topic(peer, f"one-{version}").name
        two = make_topic(peer, f"two-{version}").name
        for step, names in (
            ("missing", [peer.name("missing")]),
            ("one and a missing one", [peer.name("missing"), one]),
            ("again", [one]),
            ("twice", [two, two]),
            ("none", []),
            ("empty name", [""]),
            ("wrong name", ["a b"]),
        ):
            request = DeleteTopicsRequest(topic_names=names, timeout_ms=15_000)
            peer.probe(f"v{version} {step}", request, version)


@scenario(DeleteTopicsRequest)
def deleted_by_id(peer: Peer) -> None:
    for version in peer.shared(DeleteTopicsRequest, first=6):
        topics = [make_topic(peer, f"by-id-{number}") for number in range(5)]
        state = DeleteTopicState
        for step, states in (
            ("unknown id", [state(topic_id=NO_SUCH_ID)]),
            ("neither", [state()]),
            ("both", [state(name=topics[0].name, topic_id=topics[0].id)]),
            ("by id", [state(topic_id=topics[0].id)]),
            ("by id again", [state(topic_id=topics[0].id)]),
            ("by name", [state(name=topics[1].name)]),
            ("by name again", [state(name=topics[1].name)]),
            ("name twice", [state(name=topics[2].name)] * 2),
            ("id twice", [state(topic_id=topics[2].id)] * 2),
            ("name and id", [state(name=topics[3].name), state(topic_id=topics[3].id)]),
            ("name and another id", [state(name=topics[2].name), state(topic_id=topics[4].id)]),
            ("none", []),
        ):
            request = DeleteTopicsRequest(topics=list(states), timeout_ms=15_000)
            peer.probe(f"v{version} {step}", request, version)


@scenario(CreateTopicsRequest, DeleteTopicsRequest, MetadataRequest)
def made_again(peer: Peer) -> None:
    """A topic deleted and made again is another topic."""
    version = peer.last(MetadataRequest)
    topic = make_topic(peer, "again", 2)
    for number in range(3):
        removal = DeleteTopicsRequest(topics=[DeleteTopicState(name=topic.name)], timeout_ms=15_000)
        peer.probe(f"{number} deleted", removal, peer.last(DeleteTopicsRequest))
        await_end(peer, topic.name)
        by_name = MetadataRequest(
            topics=[MetadataRequestTopic(name=topic.name)], allow_auto_topic_creation=False
        )
        by_id = MetadataRequest(
            topics=[MetadataRequestTopic(topic_id=topic.id, name=None)],
            allow_auto_topic_creation=False,
        )
        peer.probe(f"{number} by its old id", by_id, version)
        request = create(new(topic.name, number + 1))
        peer.probe(f"{number} made", request, peer.last(CreateTopicsRequest))
        old_id = topic.id
        topic = usable(peer, topic.name, number + 1)
        peer.note(f"{number} has another id", old_id != topic.id)
        peer.probe(f"{number} by name", by_name, version)
        peer.probe(f"{number} by its old id again", by_id, version)


@scenario(CreatePartitionsRequest)
def more_partitions(peer: Peer) -> None:
    node = peer.quietly(MetadataRequest(topics=[]), 1, MetadataResponse).brokers[0].node_id
    topic = make_topic(peer, "more", 2)
    other = make_topic(peer, "other", 1).name

    def ask(step: str, *asked: CreatePartitionsTopic, dry: bool = True) -> None:
        request = CreatePartitionsRequest(topics=list(asked), timeout_ms=15_000, validate_only=dry)
        peer.probe(f"v{version} {step}", request, version)

    def placed(*brokers: list[int]) -> list[CreatePartitionsAssignment]:
        return [CreatePartitionsAssignment(broker_ids=one) for one in brokers]

    part = CreatePartitionsTopic
    for version in peer.shared(CreatePartitionsRequest):
        count = 2 + version
        for wanted in (count + 1, count, count - 1, 0, -1, 100_000):
            ask(f"to {wanted}", part(name=topic.name, count=wanted, assignments=None))
        ask("missing", part(name=peer.name("missing"), count=3, assignments=None))
        ask("empty name", part(name="", count=3, assignments=None))
        ask("wrong name", part(name="a b", count=3, assignments=None))
        ask("none")
        for label, assigned in (
            ("right", placed([node])),
            ("empty", []),
            ("too many", placed([node], [node])),
            ("no replicas", placed([])),
            ("unknown broker", placed([MISSING_BROKER])),
            ("broker twice", placed([node, node])),
            ("two replicas", placed([node, MISSING_BROKER])),
        ):
            ask(
                f"assigned: {label}",
                part(name=topic.name, count=count + 1, assignments=assigned),
            )
        ask(
            "twice",
            part(name=topic.name, count=count + 1, assignments=None),
            part(name=topic.name, count=count + 2, assignments=None),
        )
        ask(
            "for good, and another wrong",
            part(name=topic.name, count=count + 1, assignments=placed([node])),
            part(name=other, count=1, assignments=None),
            dry=False,
        )
        usable(peer, topic.name, count + 1)
