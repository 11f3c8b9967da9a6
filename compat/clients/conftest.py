"""The four stock clients, and a topic made with the tools of one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec
from confluent_kafka.cimpl import NewTopic

from compat.clients.java_client import JavaClient
from compat.conftest import CLIENTS, missing_java
from compat.late import comes_to

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from compat.brokers import Broker
    from compat.clients.records import StockClient


@pytest.fixture(scope="session")
def java(java_classes: Path) -> Iterator[JavaClient]:
    client = JavaClient(java_classes)
    yield client
    client.close()


@pytest.fixture(scope="session")
def clients(request: pytest.FixtureRequest) -> dict[str, StockClient]:
    """By name; without Java's where a broker is judged without Java."""
    # Imported here: pytest has no filter yet for their warnings when it loads a conftest.
    from compat.clients.aiokafka_client import Aiokafka
    from compat.clients.kafka_python import KafkaPython
    from compat.clients.librdkafka import Librdkafka

    found: list[StockClient] = [KafkaPython(), Aiokafka(), Librdkafka()]
    if not (request.config.getoption("bootstrap") and missing_java()):
        found.append(request.getfixturevalue("java"))
    return {client.name: client for client in found}


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest, clients: dict[str, StockClient]) -> StockClient:
    """Each of them in turn."""
    return clients[request.param]


@pytest.fixture
def new_topic(broker: Broker, unique: Callable[[str], str]) -> Callable[..., str]:
    """`new_topic(partitions, **config)` makes a topic and gives its name; config keys have _."""

    def create(partitions: int = 1, **config: str) -> str:
        return create_topic(broker.bootstrap, unique("topic"), partitions, **config)

    return create


def create_topic(bootstrap: str, name: str, partitions: int = 1, **config: str) -> str:
    """Create a topic and return its name; config keys have _ for Kafka's dots.

    Apache Kafka answers before the partitions have their leaders: a client that sends several
    batches at once would see the first of them refused and the next ones taken.
    """
    settings = {key.replace("_", "."): value for key, value in config.items()}
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    topic = NewTopic(name, partitions, 1, config=settings)
    admin.create_topics([topic], operation_timeout=30)[name].result(30)
    latest = {TopicPartition(name, index): OffsetSpec.latest() for index in range(partitions)}
    comes_to(lambda: any(f.exception(30) for f in admin.list_offsets(latest).values()), False)
    return name
