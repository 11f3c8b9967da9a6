"""The runner itself: a broker is equal to itself, another configuration is seen."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from compat.brokers import Kbroker

from .report import as_html, as_json, as_text
from .run import compare_brokers
from .scenarios import all_scenarios

if TYPE_CHECKING:
    from collections.abc import Iterator

    from compat.brokers import BrokerProcess

pytestmark = pytest.mark.ci

SETTINGS = {"node.id": "1", "group.initial.rebalance.delay.ms": "0"}


@pytest.fixture
def brokers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[BrokerProcess]]:
    """The second allows larger requests and longer notes."""
    other = SETTINGS | {"message.max.bytes": "2000000", "offset.metadata.max.bytes": "9000"}
    made: list[BrokerProcess] = [
        Kbroker(tmp_path_factory.mktemp("broker"), settings) for settings in (SETTINGS, other)
    ]
    for broker in made:
        broker.start()
    yield made
    for broker in made:
        broker.wipe()


def test_a_broker_is_equal_to_itself_and_another_configuration_is_seen(
    brokers: list[BrokerProcess],
) -> None:
    one, other = brokers
    scenarios = [
        s for s in all_scenarios() if s.name in ("topics.configs", "group_offsets.committed")
    ]
    assert len(scenarios) == 2
    same = compare_brokers(one, one, scenarios)
    assert (same.differences, same.chosen) == ([], []), as_text(same)
    report = compare_brokers(one, other, scenarios)
    seen = {(found.api, found.path.rpartition(".")[2]) for found in report.differences}
    assert seen == {
        ("CreateTopics", "value"),
        ("CreateTopics", "config_source"),
        ("OffsetCommit", "error_code"),
    }
    assert json.loads(as_json(report))["steps"] == report.steps
    assert "group_offsets.committed" in as_html(report)
