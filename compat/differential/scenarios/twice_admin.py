"""Topics, partitions, replicas, resources and keys that stand twice in what administrators ask,
with what differs between the two, and what has come of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compat.differential.asking import Topic, batch, fill, make_topic, usable
from compat.differential.peer import SILENCE_S
from compat.differential.scenarios import alter_configs as replacing
from compat.differential.scenarios import scenario
from compat.differential.scenarios.configs import (
    APPEND,
    BROKER,
    BROKER_LOGGER,
    CLIENT_METRICS,
    DELETE,
    GROUP,
    SET,
    SUBTRACT,
    TOPIC,
    Applied,
    alter,
    describe,
    node_id,
)
from compat.differential.scenarios.topics import create, new
from kbroker.wire.messages.alter_configs import AlterConfigsRequest
from kbroker.wire.messages.alter_partition_reassignments import (
    AlterPartitionReassignmentsRequest,
    ReassignablePartition,
    ReassignableTopic,
)
from kbroker.wire.messages.alter_replica_log_dirs import (
    AlterReplicaLogDir,
    AlterReplicaLogDirsRequest,
    AlterReplicaLogDirTopic,
)
from kbroker.wire.messages.create_partitions import (
    CreatePartitionsAssignment,
    CreatePartitionsRequest,
    CreatePartitionsTopic,
)
from kbroker.wire.messages.create_topics import (
    CreatableReplicaAssignment,
    CreatableTopicConfig,
    CreateTopicsRequest,
)
from kbroker.wire.messages.delete_topics import DeleteTopicsRequest, DeleteTopicState
from kbroker.wire.messages.describe_configs import DescribeConfigsRequest
from kbroker.wire.messages.describe_log_dirs import (
    DescribableLogDirTopic,
    DescribeLogDirsRequest,
    DescribeLogDirsResponse,
)
from kbroker.wire.messages.describe_quorum import (
    DescribeQuorumRequest,
    DescribeQuorumRequestPartitionData,
    DescribeQuorumRequestTopicData,
)
from kbroker.wire.messages.describe_topic_partitions import (
    DescribeTopicPartitionsRequest,
    DescribeTopicPartitionsRequestCursor,
    TopicRequest,
)
from kbroker.wire.messages.elect_leaders import ElectLeadersRequest, TopicPartitions
from kbroker.wire.messages.incremental_alter_configs import IncrementalAlterConfigsRequest
from kbroker.wire.messages.list_config_resources import (
    ListConfigResourcesRequest,
    ListConfigResourcesResponse,
)
from kbroker.wire.messages.list_partition_reassignments import (
    ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsTopics,
)
from kbroker.wire.messages.metadata import MetadataRequest, MetadataRequestTopic

if TYPE_CHECKING:
    from compat.differential.peer import Peer

NO_DIRECTORY = "/no/such/directory"


def named(peer: Peer, step: str, *topics: str) -> None:
    """What Metadata says of topics now."""
    request = MetadataRequest(
        topics=[MetadataRequestTopic(name=name) for name in topics],
        allow_auto_topic_creation=False,
    )
    peer.probe(step, request, peer.last(MetadataRequest))


@scenario(CreateTopicsRequest, MetadataRequest)
def created(peer: Peer) -> None:
    node = node_id(peer)
    for version in peer.shared(CreateTopicsRequest):
        one, two = (peer.name(f"{name}-{version}") for name in ("one", "two"))
        for step, topics in (
            ("the same", [new(one), new(one)]),
            ("more partitions", [new(one), new(one, 3)]),
            ("the first wrong", [new(one, 0), new(one)]),
            ("around another", [new(one), new(two), new(one)]),
            ("it is there", [new(two), new(one), new(two)]),
            ("a wrong name", [new("a b"), new("a b")]),
        ):
            peer.probe(f"v{version} {step}", create(*topics), version)
            if step in ("around another", "it is there"):
                usable(peer, two if step == "around another" else one, 1)
        named(peer, f"v{version}", one, two)
        assigned = [CreatableReplicaAssignment(partition_index=0, broker_ids=[node])]
        for step, placed in (
            ("the same partition", assigned * 2),
            (
                "a broker twice",
                [CreatableReplicaAssignment(partition_index=0, broker_ids=[node] * 2)],
            ),
            (
                "a partition on others",
                [*assigned, CreatableReplicaAssignment(partition_index=0, broker_ids=[7])],
            ),
        ):
            peer.probe(f"v{version} {step}", create(new(one, -1, -1, assignments=placed)), version)
        configs = [
            CreatableTopicConfig(name=key, value=value)
            for key, value in (
                ("retention.ms", "5"),
                ("segment.ms", "7"),
                ("retention.ms", "x"),
                ("retention.ms", "6"),
            )
        ]
        for step, chosen in (("a key twice", configs[:2] + configs[3:]), ("one wrong", configs)):
            name = f"{one}-{step.replace(' ', '-')}"
            peer.probe(f"v{version} {step}", create(new(name, configs=chosen)), version)
            if step == "a key twice":
                usable(peer, name, 1)
                shown = describe(TOPIC, name, ["retention.ms", "segment.ms"])
                peer.probe(f"v{version} {step} then", shown, peer.last(DescribeConfigsRequest))


@scenario(CreatePartitionsRequest, MetadataRequest)
def more_partitions(peer: Peer) -> None:
    node = node_id(peer)

    def grown(topic: str, count: int, *placed: int) -> CreatePartitionsTopic:
        assignments = [CreatePartitionsAssignment(broker_ids=list(placed))] if placed else None
        return CreatePartitionsTopic(name=topic, count=count, assignments=assignments)

    for version in peer.shared(CreatePartitionsRequest):
        one, two = (make_topic(peer, f"{name}-{version}").name for name in ("one", "two"))
        for step, topics in (
            ("the same", [grown(one, 2), grown(one, 2)]),
            ("more", [grown(one, 2), grown(one, 3)]),
            ("around another", [grown(one, 2), grown(two, 2), grown(one, 2)]),
            ("a broker twice", [grown(one, 2, node, node)]),
            ("missing", [grown(peer.name("missing"), 2), grown(peer.name("missing"), 2)]),
        ):
            request = CreatePartitionsRequest(topics=topics, timeout_ms=15_000)
            peer.probe(f"v{version} {step}", request, version)
        usable(peer, two, 2)
        named(peer, f"v{version}", one, two)


@scenario(DeleteTopicsRequest, MetadataRequest)
def deleted(peer: Peer) -> None:
    for version in peer.shared(DeleteTopicsRequest, last=5):
        one, two = (make_topic(peer, f"{name}-{version}").name for name in ("one", "two"))
        for step, names in (
            ("the same", [one, one]),
            ("around another", [one, two, one]),
            ("missing", [peer.name("missing")] * 2),
        ):
            request = DeleteTopicsRequest(topic_names=names, timeout_ms=15_000)
            peer.probe(f"v{version} {step}", request, version)
        named(peer, f"v{version}", one)
    for version in peer.shared(DeleteTopicsRequest, first=6):
        one, two, three = (
            make_topic(peer, f"{name}-{version}") for name in ("one", "two", "three")
        )

        def by_name(topic: Topic) -> DeleteTopicState:
            return DeleteTopicState(name=topic.name)

        def by_id(topic: Topic) -> DeleteTopicState:
            return DeleteTopicState(topic_id=topic.id)

        both = DeleteTopicState(name=one.name, topic_id=one.id)
        for step, states in (
            ("names", [by_name(one), by_name(one)]),
            ("ids", [by_id(one), by_id(one)]),
            ("name and id", [by_name(one), by_id(one)]),
            ("id and name around another", [by_id(one), by_id(two), by_name(one)]),
            ("both, twice", [both, both]),
            ("both and its name", [both, by_name(three)]),
            ("name twice and id", [by_name(one), by_name(one), by_id(one)]),
            ("id twice and name", [by_id(one), by_name(one), by_id(one)]),
        ):
            request = DeleteTopicsRequest(topics=states, timeout_ms=15_000)
            peer.probe(f"v{version} {step}", request, version)
        named(peer, f"v{version}", one.name)


@scenario(AlterConfigsRequest, DescribeConfigsRequest)
def altered_configs(peer: Peer) -> None:
    """A resource twice, which Apache Kafka 4.3 never answers, and a key twice."""
    version = peer.last(AlterConfigsRequest)
    topic, other = make_topic(peer, "altered").name, make_topic(peer, "other").name
    applied = Applied(peer)
    first = replacing.alter(TOPIC, topic, ("retention.ms", "5"))
    second = replacing.alter(TOPIC, topic, ("retention.ms", "6"))
    beside = replacing.alter(TOPIC, other, ("retention.ms", "7"))
    for name in (str(node_id(peer)), "99"):
        for step, values in (("twice", ("5", "6")), ("of nothing", (None,))):
            keys = [("log.retention.ms", value) for value in values]
            request = replacing.alter(BROKER, name, *keys, dry=True)
            peer.probe(f"a key of broker {name} {step}", request, version)
    for step, parts in (("the same", (first, first)), ("around another", (first, beside, second))):
        request = AlterConfigsRequest(resources=[part.resources[0] for part in parts])
        peer.probe(step, request, version, timeout_s=SILENCE_S)
        applied.wait()
        shown = describe(TOPIC, topic, ["retention.ms"])
        peer.probe(f"{step} then", shown, peer.last(DescribeConfigsRequest))


@scenario(IncrementalAlterConfigsRequest, DescribeConfigsRequest)
def changed_configs(peer: Peer) -> None:
    topic, other = make_topic(peer, "changed").name, make_topic(peer, "other").name
    broker = str(node_id(peer))
    applied = Applied(peer)
    for version in peer.shared(IncrementalAlterConfigsRequest):
        for step, parts in (
            ("the same", [(TOPIC, topic, "5"), (TOPIC, topic, "5")]),
            ("another value", [(TOPIC, topic, "5"), (TOPIC, topic, "6")]),
            ("around another", [(TOPIC, topic, "5"), (TOPIC, other, "7"), (TOPIC, topic, "6")]),
            ("missing", [(TOPIC, peer.name("missing"), "5"), (TOPIC, peer.name("missing"), "5")]),
        ):
            request = IncrementalAlterConfigsRequest(
                resources=[
                    alter(kind, name, ("retention.ms", SET, value)).resources[0]
                    for kind, name, value in parts
                ]
            )
            peer.probe(f"v{version} {step}", request, version)
            applied.wait()
            for name in (topic, other):
                shown = describe(TOPIC, name, ["retention.ms"])
                shown_step = f"v{version} {step}: {name[-7:]}"
                peer.probe(shown_step, shown, peer.last(DescribeConfigsRequest))
        for kind, name, key, values in (
            (BROKER, broker, "log.cleaner.backoff.ms", ("1000", "2000")),
            (BROKER, "", "log.cleaner.backoff.ms", ("1000", "2000")),
            (BROKER_LOGGER, broker, "root", ("INFO", "INFO")),
            (GROUP, peer.name("group"), "consumer.session.timeout.ms", ("50000", "51000")),
            (CLIENT_METRICS, peer.name("metrics"), "interval.ms", ("1000", "2000")),
            (BROKER, "99", "log.cleaner.backoff.ms", ("1000", "2000")),
            (BROKER, "x", "log.cleaner.backoff.ms", ("1000", "2000")),
            (BROKER_LOGGER, "99", "root", ("INFO", "INFO")),
            (BROKER_LOGGER, broker, "no.such.logger", ("INFO", "INFO")),
        ):
            nothing = alter(kind, name, (key, SET, None), dry=True)
            peer.probe(f"v{version} {kind} {name[-5:]!r} {key} of nothing", nothing, version)
            request = alter(kind, name, *((key, SET, value) for value in values), dry=True)
            peer.probe(f"v{version} {kind} {name[-5:]!r} {key} twice", request, version)
            request = alter(kind, name, (key, SET, values[0]), dry=True)
            request.resources.append(alter(kind, name, (key, SET, values[1])).resources[0])
            peer.probe(f"v{version} {kind} {name[-5:]!r} with {key} twice", request, version)
        for first, last in ((SET, DELETE), (DELETE, SET), (APPEND, SUBTRACT), (SET, APPEND)):
            key, value = "cleanup.policy", "compact"
            request = alter(TOPIC, topic, (key, first, value), (key, last, value))
            peer.probe(f"v{version} operations {first} and {last}", request, version)


@scenario(DescribeConfigsRequest)
def described_configs(peer: Peer) -> None:
    topic, other = (make_topic(peer, name).name for name in ("described", "other"))
    broker, missing = str(node_id(peer)), peer.name("missing")
    keys, more = ["retention.ms"], ["retention.ms", "segment.ms", "retention.ms"]
    for version in peer.shared(DescribeConfigsRequest):
        for step, parts in (
            ("the same", [(TOPIC, topic, keys), (TOPIC, topic, keys)]),
            ("other keys", [(TOPIC, topic, keys), (TOPIC, topic, more)]),
            ("around another", [(TOPIC, topic, keys), (TOPIC, other, more), (TOPIC, topic, keys)]),
            ("missing", [(TOPIC, missing, keys), (TOPIC, topic, keys), (TOPIC, missing, keys)]),
            ("a broker", [(BROKER, broker, ["log.retention.ms"])] * 2),
            ("a group", [(GROUP, topic, ["consumer.session.timeout.ms"])] * 2),
            ("of one name", [(TOPIC, topic, keys), (GROUP, topic, keys), (TOPIC, topic, keys)]),
        ):
            resources = [describe(kind, name, wanted).resources[0] for kind, name, wanted in parts]
            request = DescribeConfigsRequest(resources=resources)
            peer.probe(f"v{version} {step}", request, version)


@scenario(ElectLeadersRequest)
def elections(peer: Peer) -> None:
    topic, other = (make_topic(peer, name, 2).name for name in ("elections", "other"))
    missing = peer.name("missing")
    for version in peer.shared(ElectLeadersRequest):
        for step, parts in (
            ("the same", [(topic, [0]), (topic, [0])]),
            ("two partitions", [(topic, [0]), (topic, [1])]),
            ("in one topic", [(topic, [0, 1, 0])]),
            ("around another", [(topic, [0]), (other, [0]), (topic, [0, 1])]),
            ("missing", [(missing, [0]), (topic, [9]), (missing, [0]), (topic, [9])]),
        ):
            request = ElectLeadersRequest(
                topic_partitions=[TopicPartitions(topic=t, partitions=p) for t, p in parts],
                timeout_ms=10_000,
            )
            peer.probe(f"v{version} {step}", request, version)


@scenario(AlterPartitionReassignmentsRequest, ListPartitionReassignmentsRequest)
def reassignments(peer: Peer) -> None:
    topic, other = (make_topic(peer, name, 2).name for name in ("moved", "other"))
    node, missing = node_id(peer), peer.name("missing")
    for version in peer.shared(AlterPartitionReassignmentsRequest):
        for step, parts in (
            ("the same", [(topic, 0, [node]), (topic, 0, [node])]),
            ("other replicas", [(topic, 0, [node]), (topic, 0, [7])]),
            ("and cancelled", [(topic, 0, [node]), (topic, 0, None)]),
            ("around another", [(topic, 0, [node]), (other, 0, [node]), (topic, 1, [node])]),
            ("missing", [(missing, 0, [node]), (topic, 9, [node]), (missing, 0, [node])]),
        ):
            request = AlterPartitionReassignmentsRequest(
                topics=[
                    ReassignableTopic(
                        name=name,
                        partitions=[ReassignablePartition(partition_index=i, replicas=replicas)],
                    )
                    for name, i, replicas in parts
                ]
            )
            peer.probe(f"v{version} {step}", request, version)
        one = [ReassignablePartition(partition_index=i, replicas=[node]) for i in (0, 1, 0)]
        request = AlterPartitionReassignmentsRequest(
            topics=[ReassignableTopic(name=topic, partitions=one)]
        )
        peer.probe(f"v{version} in one topic", request, version)
    listed = [
        ListPartitionReassignmentsTopics(name=topic, partition_indexes=[0, 0]) for _ in range(2)
    ]
    request_list = ListPartitionReassignmentsRequest(topics=listed)
    peer.probe("listed", request_list, peer.last(ListPartitionReassignmentsRequest))


@scenario(DescribeLogDirsRequest, AlterReplicaLogDirsRequest)
def log_dirs(peer: Peer) -> None:
    topic, other = make_topic(peer, "dirs", 2), make_topic(peer, "other", 2)
    fill(peer, topic, batch(peer, b"a"))
    for version in peer.shared(DescribeLogDirsRequest):
        for step, parts in (
            ("the same", [(topic, [0]), (topic, [0])]),
            ("two partitions", [(topic, [0]), (topic, [1])]),
            ("in one topic", [(topic, [1, 0, 1])]),
            ("around another", [(topic, [0]), (other, [0]), (topic, [0, 1])]),
        ):
            request = DescribeLogDirsRequest(
                topics=[DescribableLogDirTopic(topic=t.name, partitions=p) for t, p in parts]
            )
            peer.probe(f"v{version} {step}", request, version)
    asked = DescribeLogDirsRequest(
        topics=[DescribableLogDirTopic(topic=topic.name, partitions=[0])]
    )
    version = peer.last(DescribeLogDirsRequest)
    results = peer.quietly(asked, version, DescribeLogDirsResponse).results
    home = next(result.log_dir for result in results if result.topics)
    for version in peer.shared(AlterReplicaLogDirsRequest):
        for step, moves in (
            ("a directory", [(home, topic, [0]), (home, topic, [1])]),
            ("a partition", [(home, topic, [0, 0])]),
            ("here and nowhere", [(home, topic, [0]), (NO_DIRECTORY, topic, [0])]),
            ("nowhere and here", [(NO_DIRECTORY, topic, [0]), (home, topic, [0])]),
            (
                "around another",
                [(home, topic, [0]), (NO_DIRECTORY, other, [0]), (home, topic, [0])],
            ),
        ):
            moving = AlterReplicaLogDirsRequest(
                dirs=[
                    AlterReplicaLogDir(
                        path=path, topics=[AlterReplicaLogDirTopic(name=t.name, partitions=p)]
                    )
                    for path, t, p in moves
                ]
            )
            peer.probe(f"v{version} {step}", moving, version)
        twice = [AlterReplicaLogDirTopic(name=topic.name, partitions=[i]) for i in (0, 1, 0)]
        moving = AlterReplicaLogDirsRequest(dirs=[AlterReplicaLogDir(path=home, topics=twice)])
        peer.probe(f"v{version} a topic", moving, version)


@scenario(MetadataRequest)
def metadata(peer: Peer) -> None:
    """By name and by id, which a request may not mix."""
    topic, other = make_topic(peer, "named", 2), make_topic(peer, "other")
    missing = peer.name("missing")
    for version in peer.shared(MetadataRequest, first=4):
        for step, names in (
            ("the same", [topic.name, topic.name]),
            ("around another", [topic.name, other.name, topic.name]),
            ("missing", [missing, topic.name, missing]),
            ("wrong", ["a b", topic.name, "a b"]),
        ):
            request = MetadataRequest(
                topics=[MetadataRequestTopic(name=name) for name in names],
                allow_auto_topic_creation=False,
            )
            peer.probe(f"v{version} {step}", request, version)
    for version in peer.shared(MetadataRequest, first=12):
        by_name = MetadataRequestTopic(name=topic.name)
        by_id, both, another = (
            MetadataRequestTopic(name=name, topic_id=topic_id)
            for name, topic_id in ((None, topic.id), (topic.name, topic.id), (None, other.id))
        )
        for step, topics in (
            ("ids", [by_id, by_id]),
            ("ids around another", [by_id, another, by_id]),
            ("name and id", [by_name, by_id]),
            ("id and name", [by_id, by_name]),
            ("both, twice", [both, both]),
            ("both and its id", [both, by_id]),
            ("both and its name", [by_name, both]),
        ):
            request = MetadataRequest(topics=topics, allow_auto_topic_creation=False)
            peer.probe(f"v{version} {step}", request, version)


@scenario(DescribeTopicPartitionsRequest, DescribeQuorumRequest, ListConfigResourcesRequest)
def listings(peer: Peer) -> None:
    topic, other = make_topic(peer, "listed", 3).name, make_topic(peer, "other").name
    version = peer.last(DescribeTopicPartitionsRequest)
    for step, names in (
        ("the same", [topic, topic]),
        ("around another", [topic, other, topic]),
        ("missing", [peer.name("missing"), topic, peer.name("missing")]),
    ):
        for limit in (2, 100):
            for cursor in (
                None,
                DescribeTopicPartitionsRequestCursor(topic_name=topic, partition_index=1),
            ):
                request = DescribeTopicPartitionsRequest(
                    topics=[TopicRequest(name=name) for name in names],
                    response_partition_limit=limit,
                    cursor=cursor,
                )
                peer.probe(f"{step}, {limit} from {cursor and 1}", request, version)
    for version in peer.shared(DescribeQuorumRequest):
        parts = [DescribeQuorumRequestPartitionData(partition_index=0)]
        one = DescribeQuorumRequestTopicData(topic_name="__cluster_metadata", partitions=parts)
        two = DescribeQuorumRequestTopicData(topic_name="__cluster_metadata", partitions=parts * 2)
        for step, topics in (("topic twice", [one, one]), ("partition twice", [two])):
            asked = DescribeQuorumRequest(topics=topics)
            peer.probe(f"v{version} quorum: {step}", asked, version)
    for version in peer.shared(ListConfigResourcesRequest, first=1):
        types = ListConfigResourcesRequest(resource_types=[TOPIC, TOPIC])
        own = ("config_resources", "resource_name")
        peer.ask_own(f"v{version} types", types, version, ListConfigResourcesResponse, *own)
