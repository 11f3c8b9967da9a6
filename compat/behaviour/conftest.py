"""A connection to the broker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from compat.raw import RawClient

if TYPE_CHECKING:
    from collections.abc import Iterator

    from compat.brokers import Broker


@pytest.fixture
def raw(broker: Broker) -> Iterator[RawClient]:
    with RawClient(broker.host, broker.port) as client:
        yield client
