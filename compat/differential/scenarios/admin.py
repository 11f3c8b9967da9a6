"""What administrators ask besides: records deleted, producers, log directories, the quorum,
elections, reassignments, resources that have configs, brokers that are gone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compat.differential.asking import batch, fill, make_topic, new_producer
from compat.differential.group_asking import await_coordinator
from compat.differential.scenarios import scenario
from compat.differential.scenarios.configs import (
    DELETE,
    GROUP,
    SET,
    TOPIC,
    Applied,
    alter,
    node_id,
)
from compat.differential.scenarios.produce import ends, read_back
from compat.differential.scenarios.topics import MISSING_BROKER
from kbroker.wire.messages.alter_partition_reassignments import (
    AlterPartitionReassignmentsRequest,
    ReassignablePartition,
    ReassignableTopic,
)
from kbroker.wire.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsTopic,
)
from kbroker.wire.messages.describe_log_dirs import DescribableLogDirTopic, DescribeLogDirsRequest
from kbroker.wire.messages.describe_producers import DescribeProducersRequest, TopicRequest
from kbroker.wire.messages.describe_quorum import (
    DescribeQuorumRequest,
    DescribeQuorumRequestPartitionData,
    DescribeQuorumRequestTopicData,
)
from kbroker.wire.messages.elect_leaders import ElectLeadersRequest, TopicPartitions
from kbroker.wire.messages.list_config_resources import (
    ListConfigResourcesRequest,
    ListConfigResourcesResponse,
)
from kbroker.wire.messages.list_partition_reassignments import (
    ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsTopics,
)
from kbroker.wire.messages.unregister_broker import UnregisterBrokerRequest

if TYPE_CHECKING:
    from compat.differential.peer import Peer


@scenario(DeleteRecordsRequest)
def deleted_records(peer: Peer) -> None:
    await_coordinator(peer, peer.name("group"))  # which makes the internal topic
    for version in peer.shared(DeleteRecordsRequest):
        topic = make_topic(peer, f"records-{version}", 2)
        compact = make_topic(peer, f"compact-{version}", cleanup_policy="compact")
        fill(peer, topic, batch(peer, b"a", b"b", b"c"), batch(peer, b"d", b"e"))
        fill(peer, compact, batch(peer, b"a"))
        for step, name, partition, offset in (
            ("none", topic.name, 0, 0),
            ("inside a batch", topic.name, 0, 1),
            ("backwards", topic.name, 0, 0),
            ("over the end", topic.name, 0, 6),
            ("the next batch", topic.name, 0, 3),
            ("negative", topic.name, 0, -2),
            ("all", topic.name, 0, -1),
            ("all again", topic.name, 0, -1),
            ("an empty partition", topic.name, 1, -1),
            ("a missing partition", topic.name, 2, 0),
            ("a negative partition", topic.name, -1, 0),
            ("a missing topic", peer.name("missing"), 0, 0),
            ("no name", "", 0, 0),
            ("compacted", compact.name, 0, 1),
            ("an internal topic", "__consumer_offsets", 0, 0),
        ):
            one = DeleteRecordsPartition(partition_index=partition, offset=offset)
            request = DeleteRecordsRequest(
                topics=[DeleteRecordsTopic(name=name, partitions=[one])], timeout_ms=10_000
            )
            peer.probe(f"v{version} {step}", request, version)
            ends(peer, f"v{version} {step}", topic)
        fill(peer, topic, batch(peer, b"f"))
        read_back(peer, f"v{version} from the beginning", topic)
        ends(peer, f"v{version} at the end", topic)
        peer.probe(f"v{version} nothing", DeleteRecordsRequest(timeout_ms=1), version)


@scenario(DescribeProducersRequest)
def producers(peer: Peer) -> None:
    topic = make_topic(peer, "producers", 3)
    one, two = new_producer(peer), new_producer(peer)
    fill(peer, topic, batch(peer, b"a", b"b", producer=(one, 0, 0)))
    fill(peer, topic, batch(peer, b"c", producer=(one, 0, 2)))
    fill(peer, topic, batch(peer, b"a", producer=(two, 0, 0)), partition=1)
    fill(peer, topic, batch(peer, b"a", producer=(two, 3, 0)), partition=1)
    version = peer.last(DescribeProducersRequest)
    for step, name, partitions in (
        ("all", topic.name, [0, 1, 2]),
        ("missing partitions", topic.name, [3, -1]),
        ("missing topic", peer.name("missing"), [0]),
        ("no name", "", [0]),
        ("wrong name", "a b", [0]),
        ("no partitions", topic.name, []),
    ):
        asked = TopicRequest(name=name, partition_indexes=partitions)
        peer.probe(step, DescribeProducersRequest(topics=[asked]), version)
    peer.probe("none", DescribeProducersRequest(), version)


@scenario(DescribeLogDirsRequest)
def log_dirs(peer: Peer) -> None:
    topic = make_topic(peer, "dirs", 2)
    fill(peer, topic, batch(peer, b"a"), batch(peer, b"b"))
    for version in peer.shared(DescribeLogDirsRequest):
        for step, name, partitions in (
            ("one", topic.name, [0]),
            ("both", topic.name, [0, 1]),
            ("missing partition", topic.name, [0, 7]),
            ("missing topic", peer.name("missing"), [0]),
            ("no partitions", topic.name, []),
        ):
            asked = DescribableLogDirTopic(topic=name, partitions=partitions)
            peer.probe(f"v{version} {step}", DescribeLogDirsRequest(topics=[asked]), version)
        peer.probe(f"v{version} none", DescribeLogDirsRequest(topics=[]), version)


@scenario(DescribeQuorumRequest)
def quorum(peer: Peer) -> None:
    for version in peer.shared(DescribeQuorumRequest):
        for name, partition in (
            ("__cluster_metadata", 0),
            ("__cluster_metadata", 1),
            ("other", 0),
            ("", 0),
        ):
            one = DescribeQuorumRequestPartitionData(partition_index=partition)
            asked = DescribeQuorumRequestTopicData(topic_name=name, partitions=[one])
            request = DescribeQuorumRequest(topics=[asked])
            peer.probe(f"v{version} {name} {partition}", request, version)
        peer.probe(f"v{version} none", DescribeQuorumRequest(), version)


@scenario(ElectLeadersRequest)
def elections(peer: Peer) -> None:
    topic = make_topic(peer, "elections", 2)
    for version in peer.shared(ElectLeadersRequest):
        for kind in (0, 1, 2, -1) if version >= 1 else (0,):
            for step, name, partitions in (
                ("both", topic.name, [0, 1]),
                ("missing partition", topic.name, [0, 9]),
                ("missing topic", peer.name("missing"), [0]),
                ("no partitions", topic.name, []),
            ):
                request = ElectLeadersRequest(
                    election_type=kind,
                    topic_partitions=[TopicPartitions(topic=name, partitions=partitions)],
                    timeout_ms=10_000,
                )
                peer.probe(f"v{version} type {kind} {step}", request, version)
            none = ElectLeadersRequest(election_type=kind, topic_partitions=[])
            peer.probe(f"v{version} type {kind} none", none, version)


@scenario(AlterPartitionReassignmentsRequest, ListPartitionReassignmentsRequest)
def reassignments(peer: Peer) -> None:
    topic = make_topic(peer, "moved", 2)
    node = node_id(peer)
    for version in peer.shared(AlterPartitionReassignmentsRequest):
        for step, name, partition, replicas in (
            ("where it is", topic.name, 0, [node]),
            ("cancelled", topic.name, 0, None),
            ("to no one", topic.name, 0, []),
            ("to a missing broker", topic.name, 0, [MISSING_BROKER]),
            ("to it and a missing broker", topic.name, 0, [node, MISSING_BROKER]),
            ("twice", topic.name, 0, [node, node]),
            ("to a negative broker", topic.name, 0, [-1]),
            ("missing partition", topic.name, 9, [node]),
            ("missing partition cancelled", topic.name, 9, None),
            ("missing topic", peer.name("missing"), 0, [node]),
            ("no name", "", 0, [node]),
        ):
            one = ReassignablePartition(partition_index=partition, replicas=replicas)
            request = AlterPartitionReassignmentsRequest(
                topics=[ReassignableTopic(name=name, partitions=[one])]
            )
            peer.probe(f"v{version} {step}", request, version)
            if version >= 1:
                request.allow_replication_factor_change = False
                peer.probe(f"v{version} {step}, same factor", request, version)
        peer.probe(f"v{version} nothing", AlterPartitionReassignmentsRequest(), version)
    version = peer.last(ListPartitionReassignmentsRequest)
    for step, name, partitions in (
        ("both", topic.name, [0, 1]),
        ("missing partition", topic.name, [9]),
        ("missing topic", peer.name("missing"), [0]),
    ):
        asked = ListPartitionReassignmentsTopics(name=name, partition_indexes=partitions)
        peer.probe(f"list: {step}", ListPartitionReassignmentsRequest(topics=[asked]), version)
    peer.probe("list: all", ListPartitionReassignmentsRequest(topics=None), version)
    peer.probe("list: none", ListPartitionReassignmentsRequest(topics=[]), version)


@scenario(ListConfigResourcesRequest)
def config_resources(peer: Peer) -> None:
    """Only the scenario's own are compared."""
    applied = Applied(peer)
    make_topic(peer, "resource")
    group = peer.name("group")
    request = alter(GROUP, group, ("consumer.session.timeout.ms", SET, "50000"))
    peer.probe("a group's config", request, 1)
    metrics = alter(16, peer.name("metrics"), ("interval.ms", SET, "1000"))
    peer.probe("a subscription's config", metrics, 1)
    applied.wait()
    for version in peer.shared(ListConfigResourcesRequest):
        for types in ([], [TOPIC], [4], [8], [16], [GROUP], [TOPIC, GROUP], [0], [99], [-1]):
            if version < 1 and types:
                continue
            asked = ListConfigResourcesRequest(resource_types=types)
            step = f"v{version} {types}"
            own = ("config_resources", "resource_name")
            peer.ask_own(step, asked, version, ListConfigResourcesResponse, *own)
            answer = peer.quietly(asked, version, ListConfigResourcesResponse)
            kinds = sorted({one.resource_type for one in answer.config_resources})
            peer.note(f"{step}: kinds", kinds)
    # It would match the clients of `features.telemetry`.
    peer.probe("no subscription", alter(16, peer.name("metrics"), ("interval.ms", DELETE, None)), 1)
    applied.wait()


@scenario(UnregisterBrokerRequest)
def unregistered(peer: Peer) -> None:
    version = peer.last(UnregisterBrokerRequest)
    for broker_id in (10**6, -1):
        peer.probe(f"broker {broker_id}", UnregisterBrokerRequest(broker_id=broker_id), version)
