"""This checkout's kbroker against Apache Kafka, and Apache Kafka against itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from compat.brokers import ApacheKafka, Kbroker

from .report import as_text
from .run import compare_brokers
from .scenarios import all_scenarios

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from compat.brokers import BrokerProcess

# Groups form at once; everything else is as a user finds it.
SETTINGS = {"node.id": "1", "group.initial.rebalance.delay.ms": "0"}


@pytest.fixture(scope="module")
def apache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    yield from _running(ApacheKafka(tmp_path_factory.mktemp("apache"), SETTINGS))


@pytest.fixture(scope="module")
def kbroker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    yield from _running(Kbroker(tmp_path_factory.mktemp("kbroker"), SETTINGS))


def _running(broker: BrokerProcess) -> Iterator[BrokerProcess]:
    broker.start()
    try:
        yield broker
    finally:
        broker.wipe()


@pytest.mark.ci
def test_kbroker_answers_as_apache_kafka_does(
    apache: BrokerProcess, kbroker: BrokerProcess, tmp_path: Path
) -> None:
    report = compare_brokers(apache, kbroker, all_scenarios())
    assert not report.differences, as_text(report)
    assert report.steps > 3000


@pytest.mark.full
def test_apache_kafka_answers_as_apache_kafka_does(apache: BrokerProcess) -> None:
    """Else the normalisations leave something out."""
    report = compare_brokers(apache, apache, all_scenarios())
    assert not report.differences, as_text(report)
    assert not [found for found in report.chosen if "own words" not in found[0].name]
