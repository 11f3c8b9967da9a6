"""IncrementalAlterConfigs, validate only: each key with each value, to both brokers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from compat.brokers import ApacheKafka, Kbroker
from compat.configs.candidates import candidates
from compat.raw import RawClient
from kbroker.wire.codes import ResourceType
from kbroker.wire.messages.create_topics import (
    CreatableTopic,
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from kbroker.wire.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from compat.configs.kafka_configs import KafkaKey

pytestmark = pytest.mark.ci

TOPIC = "configured"
INVALID_REQUEST = 42
WINDOW = 200  # requests in flight

# Without effect here, so any valid value is taken: there are no thread pools, no Java classes.
NO_LIMIT = {
    *("background.threads", "num.io.threads", "num.network.threads", "num.replica.fetchers"),
    *("num.recovery.threads.per.data.dir", "log.cleaner.threads", "metric.reporters"),
    *("remote.log.manager.copier.thread.pool.size", "remote.log.reader.threads"),
    "remote.log.manager.expiration.thread.pool.size",
    "remote.log.manager.follower.thread.pool.size",
}
# Listeners are those of the start; providers and hosts that can be none are refused.
REFUSED = {
    *("listeners", "listener.security.protocol.map", "config.providers"),
    "max.connections.per.ip.overrides",
}
# Where Apache Kafka shows an exception from within, the sentence is another.
OWN_WORDS = {"log.cleaner.threads"}
# An exception that Apache Kafka says in the words of another.
WRAPPED = re.compile(
    r"Invalid value org\.apache\.kafka\.common\.config\.ConfigException: (.*)"
    r" for configuration Invalid dynamic configuration"
)

Answer = tuple[int, str | None]


@pytest.fixture(scope="module")
def brokers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[RawClient]]:
    processes = [
        kind(tmp_path_factory.mktemp(kind.name), {"node.id": "1"})
        for kind in (Kbroker, ApacheKafka)
    ]
    try:
        for process in processes:
            process.start()
        clients = [RawClient(process.host, process.port) for process in processes]
        for client in clients:
            topic = CreatableTopic(name=TOPIC, num_partitions=1, replication_factor=1)
            client.ask(CreateTopicsRequest(topics=[topic]), 7, CreateTopicsResponse)
        yield clients
        for client in clients:
            client.close()
    finally:
        for process in processes:
            process.wipe()


def answers(
    client: RawClient, resource: ResourceType, name: str, changes: Sequence[tuple[str, str]]
) -> list[Answer]:
    found: list[Answer] = []
    sent: list[int] = []

    def receive() -> None:
        response = client.receive(sent.pop(0), 1, IncrementalAlterConfigsResponse)
        found.append((response.responses[0].error_code, response.responses[0].error_message))

    for key, text in changes:
        config = AlterableConfig(name=key, config_operation=0, value=text)
        one = AlterConfigsResource(resource_type=resource, resource_name=name, configs=[config])
        request = IncrementalAlterConfigsRequest(resources=[one], validate_only=True)
        sent.append(client.send(request, 1))
        if len(sent) == WINDOW:
            receive()
    while sent:
        receive()
    return found


def differs(key: str, is_class: bool, ours: Answer, theirs: Answer) -> bool:
    if is_class or key in NO_LIMIT:
        return ours[0] not in (0, theirs[0])
    if key in REFUSED:
        return ours[0] not in (INVALID_REQUEST, theirs[0])
    if key in OWN_WORDS:
        return ours[0] != theirs[0]
    code, message = theirs
    if message is not None:
        message = WRAPPED.sub(r"\1", message).removeprefix("requirement failed: ")
    return ours != (code, message)


@pytest.mark.parametrize(
    ("resource", "name"),
    [
        (ResourceType.BROKER, "1"),
        (ResourceType.BROKER, ""),
        (ResourceType.TOPIC, TOPIC),
        (ResourceType.GROUP, "g"),
        (ResourceType.CLIENT_METRICS, "m"),
    ],
)
def test_a_dynamic_value_is_taken_or_refused_alike(
    brokers: list[RawClient],
    kafka_keys: Mapping[str, Mapping[str, KafkaKey]],
    resource: ResourceType,
    name: str,
) -> None:
    changes = [
        (key, text)
        for key, theirs in kafka_keys[resource.name].items()
        for text in (candidates(key, theirs) if theirs.mode != "read-only" else ["1"])
    ]
    assert changes
    ours, theirs = (answers(client, resource, name, changes) for client in brokers)
    differences = [
        f"{key}={text!r}: {one} for {other}"
        for (key, text), one, other in zip(changes, ours, theirs, strict=True)
        if differs(key, kafka_keys[resource.name][key].type == "CLASS", one, other)
    ]
    assert not differences, "\n".join(differences)
