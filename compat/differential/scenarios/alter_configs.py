"""AlterConfigs, the old way: what is not said is removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compat.differential.asking import make_topic
from compat.differential.scenarios import scenario
from compat.differential.scenarios.configs import (
    BROKER,
    CLIENT_METRICS,
    GROUP,
    TOPIC,
    UNKNOWN,
    Applied,
    describe,
    node_id,
)
from compat.differential.scenarios.topics import CONFIGS
from kbroker.wire.messages.alter_configs import (
    AlterableConfig,
    AlterConfigsRequest,
    AlterConfigsResource,
)
from kbroker.wire.messages.describe_configs import DescribeConfigsRequest

if TYPE_CHECKING:
    from compat.differential.peer import Peer


def alter(
    kind: int, name: str, *values: tuple[str, str | None], dry: bool = False
) -> AlterConfigsRequest:
    configs = [AlterableConfig(name=key, value=value) for key, value in values]
    one = AlterConfigsResource(resource_type=kind, resource_name=name, configs=configs)
    return AlterConfigsRequest(resources=[one], validate_only=dry)


@scenario(AlterConfigsRequest, DescribeConfigsRequest)
def replaced(peer: Peer) -> None:
    applied = Applied(peer)
    shown = peer.last(DescribeConfigsRequest)
    keys = ["retention.ms", "segment.ms", "cleanup.policy"]
    for version in peer.shared(AlterConfigsRequest):
        topic = make_topic(peer, f"replaced-{version}", retention_ms="5").name
        for values in (
            (("segment.ms", "100000"),),
            (("retention.ms", "6"), ("cleanup.policy", "compact")),
            (("retention.ms", "6"), ("no.such.key", "1")),
            (("retention.ms", None),),
            (("retention.ms", "6"), ("retention.ms", "7")),
            (),
        ):
            peer.probe(f"v{version} {values}", alter(TOPIC, topic, *values), version)
            applied.wait()
            described = describe(TOPIC, topic, keys, synonyms=True)
            peer.probe(f"v{version} {values} then", described, shown)
        for key, value in CONFIGS:
            dry = alter(TOPIC, topic, (key, value), dry=True)
            peer.probe(f"v{version} dry {key}={value}", dry, version)


@scenario(AlterConfigsRequest)
def resources(peer: Peer) -> None:
    topic = make_topic(peer, "resources").name
    broker = str(node_id(peer))
    for version in peer.shared(AlterConfigsRequest):
        for kind, name, key, value in (
            (TOPIC, peer.name("missing"), "retention.ms", "5"),
            (TOPIC, "", "retention.ms", "5"),
            (TOPIC, "a b", "retention.ms", "5"),
            (UNKNOWN, "x", "a", "b"),
            (3, "x", "a", "b"),
            (8, broker, "root", "INFO"),
            (BROKER, broker, "log.retention.ms", "x"),
            (BROKER, broker, "log.retention.ms", "70000000"),
            (BROKER, broker, "node.id", "5"),
            (BROKER, "", "log.cleaner.threads", "2"),
            (BROKER, "x", "log.retention.ms", "5"),
            (GROUP, peer.name("g"), "consumer.session.timeout.ms", "50000"),
            (GROUP, "", "consumer.session.timeout.ms", "50000"),
            (CLIENT_METRICS, peer.name("m"), "interval.ms", "10"),
        ):
            dry = alter(kind, name, (key, value), dry=True)
            peer.probe(f"v{version} {kind} {name!r} {key}={value}", dry, version)
        two = alter(TOPIC, topic, ("retention.ms", "5"), dry=True)
        two.resources += alter(TOPIC, peer.name("missing"), ("retention.ms", "5")).resources
        peer.probe(f"v{version} one right, one missing", two, version)
        peer.probe(f"v{version} none", AlterConfigsRequest(), version)
