"""Connections to the broker, and a group on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from compat.raw import RawClient

from .groups import coordinate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from compat.brokers import Broker


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
