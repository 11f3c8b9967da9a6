"""DescribeConfigs and IncrementalAlterConfigs: topics, brokers, groups, and wrong resources."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compat.differential.asking import make_topic
from compat.differential.scenarios import scenario
from compat.differential.scenarios.topics import CONFIGS
from kbroker.wire.messages.describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResponse,
)
from kbroker.wire.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)
from kbroker.wire.messages.metadata import MetadataRequest, MetadataResponse

if TYPE_CHECKING:
    from compat.differential.peer import Peer

UNKNOWN, TOPIC, BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP = 0, 2, 4, 8, 16, 32
SET, DELETE, APPEND, SUBTRACT = range(4)

# Of a broker, those that do not depend on where and how it was started.
BROKER_KEYS = (
    "log.retention.hours",
    "log.retention.ms",
    "num.partitions",
    "auto.create.topics.enable",
    "default.replication.factor",
    "message.max.bytes",
    "log.cleanup.policy",
    "min.insync.replicas",
    "compression.type",
    "group.max.session.timeout.ms",
    "offsets.retention.minutes",
    "ssl.keystore.password",
    "log.segment.bytes",
    "log.message.timestamp.type",
    "no.such.key",
)


def describe(
    kind: int, name: str, keys: list[str] | None = None, **options: bool
) -> DescribeConfigsRequest:
    one = DescribeConfigsResource(resource_type=kind, resource_name=name, configuration_keys=keys)
    return DescribeConfigsRequest(
        resources=[one],
        include_synonyms=options.get("synonyms", False),
        include_documentation=options.get("documentation", False),
    )


def alter(
    kind: int, name: str, *changes: tuple[str, int, str | None], dry: bool = False
) -> IncrementalAlterConfigsRequest:
    configs = [
        AlterableConfig(name=key, config_operation=operation, value=value)
        for key, operation, value in changes
    ]
    one = AlterConfigsResource(resource_type=kind, resource_name=name, configs=configs)
    return IncrementalAlterConfigsRequest(resources=[one], validate_only=dry)


class Applied:
    """Waits until the broker has applied what it has answered.

    Apache Kafka answers a change before the broker itself has learnt of it. Changes are learnt in
    order, so it waits for more changes, to a topic of its own: until one can be seen, and then for
    the next, since the parts of the broker learn of a change one after another, and what can be
    seen first says nothing of the others until the next change comes.
    """

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._topic = make_topic(peer, "applied").name
        self._count = 0

    def wait(self) -> None:
        for _ in range(2):
            self._await_change()

    def _await_change(self) -> None:
        self._count += 1
        value = str(self._count)
        self._peer.quietly(
            alter(TOPIC, self._topic, ("flush.messages", SET, value)),
            self._peer.last(IncrementalAlterConfigsRequest),
            IncrementalAlterConfigsResponse,
        )
        self._peer.until(
            describe(TOPIC, self._topic, ["flush.messages"]),
            self._peer.last(DescribeConfigsRequest),
            DescribeConfigsResponse,
            lambda answer: answer.results[0].configs[0].value == value,
        )


def node_id(peer: Peer) -> int:
    return peer.quietly(MetadataRequest(topics=[]), 1, MetadataResponse).brokers[0].node_id


@scenario(DescribeConfigsRequest)
def described(peer: Peer) -> None:
    topic = make_topic(
        peer, "described", retention_ms="77", cleanup_policy="compact", preallocate="TRUE"
    ).name
    broker = str(node_id(peer))
    for version in peer.shared(DescribeConfigsRequest):
        v = f"v{version} "
        peer.probe(v + "topic", describe(TOPIC, topic), version)
        peer.probe(v + "topic, synonyms", describe(TOPIC, topic, synonyms=True), version)
        if version >= 3:
            request = describe(TOPIC, topic, ["retention.ms"], documentation=True)
            peer.probe(v + "topic, with documentation", request, version)
        for keys in (["retention.ms", "preallocate"], ["no.such.key"], [], ["retention.ms"] * 2):
            peer.probe(f"{v}keys {keys}", describe(TOPIC, topic, keys), version)
        for kind, name in (
            (TOPIC, peer.name("missing")),
            (TOPIC, ""),
            (TOPIC, "a b"),
            (BROKER, str(10**6)),
            (BROKER, "x"),
            (BROKER, "-1"),
            (BROKER, ""),
            (UNKNOWN, "x"),
            (3, "x"),
            (99, "x"),
            (-1, "x"),
            (GROUP, peer.name("group")),
            (GROUP, ""),
            (CLIENT_METRICS, peer.name("metrics")),
            (CLIENT_METRICS, ""),
            (BROKER_LOGGER, "x"),
        ):
            asked = describe(kind, name, synonyms=True)
            peer.probe(f"{v}resource {kind} {name!r}", asked, version)
        peer.probe(v + "logger", describe(BROKER_LOGGER, broker, ["root"], synonyms=True), version)
        if version >= 3:
            for kind, name, keys in (
                (BROKER_LOGGER, broker, ["root"]),
                (BROKER, broker, ["log.retention.ms"]),
                (GROUP, peer.name("group"), ["consumer.session.timeout.ms"]),
                (CLIENT_METRICS, peer.name("metrics"), ["match"]),
            ):
                asked = describe(kind, name, keys, documentation=True)
                peer.probe(f"{v}{kind} with documentation", asked, version)
        asked = describe(BROKER, broker, list(BROKER_KEYS), synonyms=True)
        peer.probe(v + "broker", asked, version)
        both = describe(TOPIC, topic, ["retention.ms"])
        both.resources.append(
            DescribeConfigsResource(
                resource_type=TOPIC, resource_name="missing", configuration_keys=None
            )
        )
        both.resources.append(both.resources[0])
        peer.probe(v + "several", both, version)
        peer.probe(v + "none", DescribeConfigsRequest(), version)


class Changed:
    """A topic whose configs are changed, at one version, and described after each change."""

    def __init__(self, peer: Peer, applied: Applied, version: int) -> None:
        self._peer = peer
        self._applied = applied
        self._version = version
        self.topic = make_topic(peer, f"changed-{version}").name

    def change(self, *changes: tuple[str, int, str | None]) -> None:
        step = f"v{self._version} {changes}"
        self._peer.probe(step, alter(TOPIC, self.topic, *changes), self._version)
        self._applied.wait()
        described = describe(TOPIC, self.topic, [key for key, _, _ in changes], synonyms=True)
        self._peer.probe(f"{step} then", described, self._peer.last(DescribeConfigsRequest))


@scenario(IncrementalAlterConfigsRequest, DescribeConfigsRequest)
def topic_changes(peer: Peer) -> None:
    applied = Applied(peer)
    for version in peer.shared(IncrementalAlterConfigsRequest):
        changed = Changed(peer, applied, version)
        topic, change = changed.topic, changed.change
        change(("retention.ms", SET, "5"))
        change(("retention.ms", DELETE, None))
        change(("retention.ms", DELETE, "ignored"))
        change(("retention.ms", APPEND, "5"))
        change(("retention.ms", SUBTRACT, "5"))
        change(("cleanup.policy", APPEND, "compact"))
        change(("cleanup.policy", APPEND, "compact"))
        change(("cleanup.policy", SUBTRACT, "delete"))
        change(("cleanup.policy", SUBTRACT, "compact"))
        change(("cleanup.policy", SUBTRACT, "nothing"))
        change(("cleanup.policy", APPEND, "nothing"))
        change(("cleanup.policy", APPEND, ""))
        change(("cleanup.policy", APPEND, None))
        change(("cleanup.policy", DELETE, None))
        change(("retention.ms", SET, "5"), ("retention.ms", SET, "6"))
        change(("retention.ms", SET, "5"), ("no.such.key", SET, "6"))
        change(("segment.ms", SET, "100000"), ("flush.ms", SET, "6"))
        change()
        for key, value in CONFIGS:
            change((key, SET, value))
        request = alter(TOPIC, topic, ("retention.ms", SET, "99"), dry=True)
        peer.probe(f"v{version} dry run", request, version)
        applied.wait()
        then = describe(TOPIC, topic, ["retention.ms"])
        peer.probe(f"v{version} dry run then", then, peer.last(DescribeConfigsRequest))


@scenario(IncrementalAlterConfigsRequest, DescribeConfigsRequest, alone=True)
def unknown_operations(peer: Peer) -> None:
    """Alone, since they are too much for Apache Kafka's controller: it resigns, and is away for a
    second or more, which others see who ask for the quorum or its voters."""
    applied = Applied(peer)
    for version in peer.shared(IncrementalAlterConfigsRequest):
        changed = Changed(peer, applied, version)
        for operation in (4, -1):
            changed.change(("retention.ms", operation, "5"))


@scenario(IncrementalAlterConfigsRequest)
def resources(peer: Peer) -> None:
    topic = make_topic(peer, "resources").name
    broker = str(node_id(peer))
    for version in peer.shared(IncrementalAlterConfigsRequest):
        for kind, name, key, value in (
            (TOPIC, peer.name("missing"), "retention.ms", "5"),
            (TOPIC, "", "retention.ms", "5"),
            (TOPIC, "a b", "retention.ms", "5"),
            (UNKNOWN, "x", "a", "b"),
            (3, "x", "a", "b"),
            (99, "x", "a", "b"),
            (BROKER, broker, "log.retention.ms", "x"),
            (BROKER, broker, "log.retention.ms", "70000000"),
            (BROKER, broker, "node.id", "5"),
            (BROKER, broker, "no.such.key", "5"),
            (BROKER, broker, "log.cleaner.threads", "0"),
            (BROKER, broker, "num.io.threads", "0"),
            (BROKER, broker, "num.io.threads", "3"),
            (BROKER, broker, "num.io.threads", "100"),
            (BROKER, broker, "num.network.threads", "100"),
            (BROKER, broker, "log.cleaner.threads", "100"),
            (BROKER, broker, "background.threads", "100"),
            (BROKER, broker, "num.recovery.threads.per.data.dir", "100"),
            (BROKER, broker, "num.replica.fetchers", "100"),
            (BROKER, broker, "max.connections", "-1"),
            (BROKER, broker, "log.cleaner.backoff.ms", "-1"),
            (BROKER, broker, "message.max.bytes", "-1"),
            (BROKER, broker, "compression.type", "bzip"),
            (BROKER, broker, "log.cleanup.policy", "none"),
            (BROKER, broker, "auto.create.topics.enable", "false"),
            (BROKER, broker, "num.partitions", "5"),
            (BROKER, broker, "advertised.listeners", "PLAINTEXT://h:1"),
            (BROKER, "", "log.cleaner.threads", "2"),
            (BROKER, "", "listeners", "PLAINTEXT://:1"),
            (BROKER, "", "no.such.key", "2"),
            (BROKER, "x", "log.retention.ms", "5"),
            (BROKER, "-1", "log.retention.ms", "5"),
            (GROUP, peer.name("g"), "consumer.session.timeout.ms", "50000"),
            (GROUP, peer.name("g"), "consumer.session.timeout.ms", "1"),
            (GROUP, peer.name("g"), "no.such.key", "1"),
            (GROUP, "", "consumer.session.timeout.ms", "50000"),
            (CLIENT_METRICS, peer.name("m"), "interval.ms", "1000"),
            (CLIENT_METRICS, peer.name("m"), "interval.ms", "10"),
            (CLIENT_METRICS, peer.name("m"), "match", "client_id=["),
            (CLIENT_METRICS, peer.name("m"), "match", "nothing=x"),
            (CLIENT_METRICS, "", "interval.ms", "1000"),
        ):
            asked = alter(kind, name, (key, SET, value), dry=True)
            peer.probe(f"v{version} {kind} {name!r} {key}={value}", asked, version)
        one = alter(TOPIC, topic, ("retention.ms", SET, "5"), dry=True)
        one.resources.append(one.resources[0])
        peer.probe(f"v{version} resource twice", one, version)
        two = alter(TOPIC, topic, ("retention.ms", SET, "5"), dry=True)
        two.resources += alter(TOPIC, peer.name("missing"), ("retention.ms", SET, "5")).resources
        peer.probe(f"v{version} one right, one missing", two, version)
        peer.probe(f"v{version} none", IncrementalAlterConfigsRequest(), version)
