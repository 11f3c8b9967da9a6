"""The pytest fixture `kafka`: a new, empty broker for one test, in a process of its own.

    def test_orders_arrive(kafka):
        producer = SomeProducer(bootstrap_servers=kafka.bootstrap)

With `kafka_in_process = true` in pytest's configuration, the broker is a thread of the test's
process; only then is the broker imported there. Nothing is started for a test without the fixture.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

# Now, before any test or conftest.py puts others in the place of what the system gives.
from kbroker.testing import BrokerFailed, broker
from kbroker.testing.launcher import prepare
from kbroker.testing.process import pass_on_logs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kbroker.testing import Kafka

IN_PROCESS = "kafka_in_process"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini(
        IN_PROCESS,
        "run the broker of the kafka fixture as a thread of the test's process (default: "
        "as a process of its own)",
        type="bool",
        default=False,
    )


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    """Where a broker will be asked for, what makes them gets ready while the first tests run."""
    options = session.config
    if options.getini(IN_PROCESS) or options.option.collectonly:
        return
    if any("kafka" in getattr(item, "fixturenames", ()) for item in session.items):
        with suppress(BrokerFailed):  # the tests that ask for one will say it
            prepare()


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call() -> Iterator[None]:
    """What brokers have logged stands in the report of the test that they logged it in."""
    try:
        return (yield)
    finally:
        pass_on_logs()


@pytest.fixture(name="kafka")
def _kafka(request: pytest.FixtureRequest) -> Iterator[Kafka]:
    """A broker of this test's own; `kafka.bootstrap` is its HOST:PORT. Gone after the test."""
    with broker(in_process=request.config.getini(IN_PROCESS)) as kafka:
        yield kafka
