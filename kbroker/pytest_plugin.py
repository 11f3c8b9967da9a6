"""The pytest fixture `kafka`: a fresh, empty broker for one test, in the test's own process.

    def test_orders_arrive(kafka):
        producer = SomeProducer(bootstrap_servers=kafka.bootstrap)

It imports nothing of the broker until a test uses it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kbroker.testing import Kafka


@pytest.fixture(name="kafka")
def _kafka() -> Iterator[Kafka]:
    """A broker of this test's own; `kafka.bootstrap` is its HOST:PORT. Gone after the test."""
    from kbroker.testing import broker

    with broker() as kafka:
        yield kafka
