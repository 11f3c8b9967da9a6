"""Committed positions: both ways to commit, metadata, one client's commit read by every other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from compat.clients.records import Position

if TYPE_CHECKING:
    from collections.abc import Callable

    from compat.brokers import Broker
    from compat.clients.records import StockClient
    from compat.conftest import NewBroker

pytestmark = pytest.mark.ci


def assert_committed(position: Position, found: Position | None) -> None:
    """`found` is what some client saw of what another committed."""
    assert found is not None
    assert found.offset == position.offset
    if found.metadata is not None:
        # confluent-kafka sends the NUL of a C string with it.
        assert found.metadata.rstrip("\0") == position.metadata


@pytest.mark.parametrize("wait", [True, False], ids=["sync", "async"])
def test_every_client_reads_the_commit_of_another(
    broker: Broker,
    client: StockClient,
    clients: dict[str, StockClient],
    new_topic: Callable[..., str],
    unique: Callable[[str], str],
    wait: bool,
) -> None:
    topic, group = new_topic(2), unique("group")
    position = Position(123_456_789_012, f"by {client.name}: ü, \N{SNOWMAN}")
    client.commit(broker.bootstrap, group, topic, 1, position, wait=wait)
    for reader in clients.values():
        found = reader.committed(broker.bootstrap, group, topic, 1)
        assert_committed(position, found)
        assert reader.committed(broker.bootstrap, group, topic, 0) is None


def test_the_last_commit_counts(
    broker: Broker,
    client: StockClient,
    new_topic: Callable[..., str],
    unique: Callable[[str], str],
) -> None:
    topic, group = new_topic(), unique("group")
    for position in (Position(5, "first"), Position(3, ""), Position(7, "last")):
        client.commit(broker.bootstrap, group, topic, 0, position, wait=True)
        found = client.committed(broker.bootstrap, group, topic, 0)
        assert_committed(position, found)


def test_commits_survive_a_restart_of_the_broker(
    new_broker: NewBroker, clients: dict[str, StockClient]
) -> None:
    from compat.clients.conftest import create_topic

    broker = new_broker()
    topic = create_topic(broker.bootstrap, "committed", 4)
    positions = {name: Position(100 + i, name) for i, name in enumerate(clients)}
    for i, (name, client) in enumerate(clients.items()):
        client.commit(broker.bootstrap, "group", topic, i, positions[name], wait=True)
    broker.restart()
    for reader in clients.values():
        for i, name in enumerate(clients):
            found = reader.committed(broker.bootstrap, "group", topic, i)
            assert_committed(positions[name], found)
    broker.kill()
    broker.start()
    reader = clients["kafka-python"]
    for i, name in enumerate(clients):
        found = reader.committed(broker.bootstrap, "group", topic, i)
        assert_committed(positions[name], found)
