"""Clients' own test suites come to the same on this broker as on Apache Kafka 4.3.

What each of their tests comes to stands in an .outcomes file beside the suite's module, and why
where it does not pass. `--broker apache` shows that the file is right.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from compat.foreign import kafka_python_suite, kgo_suite
from compat.foreign.outcomes import differences, expectations

if TYPE_CHECKING:
    from collections.abc import Callable

    from compat.brokers import BrokerProcess

pytestmark = pytest.mark.full

HERE = Path(__file__).parent


def test_kafka_python(new_broker: Callable[..., BrokerProcess], tmp_path: Path) -> None:
    broker = new_broker(kafka_python_suite.SETTINGS)
    # Its tests want to see this one set, and the port is known only now.
    broker.settings["advertised.listeners"] = f"PLAINTEXT://{broker.bootstrap}"
    broker.restart()
    found = kafka_python_suite.run(broker.host, broker.port, tmp_path)
    expected = expectations(HERE / "kafka_python.outcomes")
    assert differences(expected, found, broker.name) == []


def test_franz_go(new_broker: Callable[..., BrokerProcess], tmp_path: Path) -> None:
    broker = new_broker()
    found = kgo_suite.run(broker.host, broker.port, tmp_path)
    expected = expectations(HERE / "franz_go.outcomes")
    assert differences(expected, found, broker.name) == []
