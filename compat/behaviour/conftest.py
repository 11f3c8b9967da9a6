"""Connections to the broker, and a group and transactional producers on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from compat.raw import RawClient

from .groups import coordinate
from .transactions import TransactionalProducer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from compat.brokers import Broker

    NewProducer = Callable[..., TransactionalProducer]


@pytest.fixture
def raw(broker: Broker) -> Iterator[RawClient]:
    with RawClient(broker.host, broker.port) as client:
        yield client


@pytest.fixture
def group(raw: RawClient, unique: Callable[[str], str]) -> str:
    name = unique("group")
    coordinate(raw, name)
    return name


@pytest.fixture
def connect(broker: Broker) -> Iterator[Callable[[], RawClient]]:
    """More connections: a join that waits keeps its own busy."""
    opened: list[RawClient] = []

    def new() -> RawClient:
        opened.append(RawClient(broker.host, broker.port))
        return opened[-1]

    yield new
    for one in opened:
        one.close()


@pytest.fixture(params=[1, 2], ids=["TV1", "TV2"])
def transaction_version(request: pytest.FixtureRequest, transactions: int) -> int:
    """What clients go by: a broker at version 2 serves those that know only 1 as well."""
    version: int = request.param
    if version > max(transactions, 1):
        pytest.skip(f"transaction.version {version} is not finalized")
    return version


@pytest.fixture
def new_producer(
    raw: RawClient, unique: Callable[[str], str], transaction_version: int
) -> Iterator[NewProducer]:
    """`new_producer()`: a transactional id of its own; what it leaves open is ended afterwards."""
    made: list[TransactionalProducer] = []

    def new(transactional_id: str | None = None, timeout_ms: int = 60_000) -> TransactionalProducer:
        name = transactional_id or unique("transactional")
        made.append(TransactionalProducer(raw, name, transaction_version, timeout_ms))
        return made[-1]

    yield new
    for one in made:
        if one.is_open:
            one.init()
