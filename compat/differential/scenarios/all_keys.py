"""What is answered where everything is asked for: all topics, all keys of a broker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compat.differential.asking import make_topic
from compat.differential.scenarios import scenario
from compat.differential.scenarios.configs import BROKER, CLIENT_METRICS, GROUP, describe, node_id
from kbroker.wire.messages.describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResourceResult,
    DescribeConfigsResponse,
)
from kbroker.wire.messages.metadata import MetadataRequest, MetadataResponse

if TYPE_CHECKING:
    from compat.differential.peer import Peer
    from compat.differential.tree import Tree

# Where a broker lives and whom it talks to; how it was started.
OWN_KEYS = (
    "advertised.listeners",
    "broker.id",
    "controller.listener.names",
    "controller.quorum.bootstrap.servers",
    "controller.quorum.voters",
    "listener.security.protocol.map",
    "listeners",
    "log.dir",
    "log.dirs",
    "metadata.log.dir",
    "node.id",
    "process.roles",
    # What Apache Kafka needs to run on one node.
    "offsets.topic.replication.factor",
    "share.coordinator.state.topic.min.isr",
    "share.coordinator.state.topic.replication.factor",
    "transaction.state.log.min.isr",
    "transaction.state.log.replication.factor",
)


@scenario(DescribeConfigsRequest)
def of_a_broker(peer: Peer) -> None:
    version = peer.last(DescribeConfigsRequest)
    for step, kind, name in (
        ("broker", BROKER, str(node_id(peer))),
        ("cluster", BROKER, ""),
        ("group", GROUP, peer.name("group")),
        ("metrics", CLIENT_METRICS, peer.name("metrics")),
    ):
        request = describe(kind, name, synonyms=True)
        answer = peer.quietly(request, version, DescribeConfigsResponse)
        configs = {one.name: said(one) for one in answer.results[0].configs}
        peer.note(step, dict(sorted(configs.items())))


def said(config: DescribeConfigsResourceResult) -> Tree:
    if config.name in OWN_KEYS:
        return [config.read_only, config.is_sensitive, config.config_type]
    return [
        config.value,
        config.config_source,
        config.read_only,
        config.is_sensitive,
        config.config_type,
        *(f"{one.name}={one.value} {one.source}" for one in config.synonyms),
    ]


@scenario(MetadataRequest)
def topics(peer: Peer) -> None:
    """Only the scenario's own are compared."""
    for number in range(3):
        make_topic(peer, f"all-{number}", number + 1)
    for version in peer.shared(MetadataRequest):
        everything = MetadataRequest(topics=None if version else [])
        answer = peer.quietly(everything, version, MetadataResponse)
        own = sorted(
            f"{topic.name} {topic.is_internal} {topic.error_code} {len(topic.partitions)}"
            for topic in answer.topics
            if topic.name and topic.name.startswith(peer.prefix)
        )
        peer.note(f"v{version}", own)
