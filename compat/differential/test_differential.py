"""This checkout's kbroker against Apache Kafka, live and recorded; Apache Kafka against itself."""

from __future__ import annotations

import re
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import pytest

from compat.apache import VERSION as KAFKA_VERSION
from compat.brokers import ApacheKafka, Kbroker
from kbroker.apis import apis_of
from kbroker.releases.release import find_release
from kbroker.wire.schema import tagged, untagged

from .choices import is_known_silence
from .coverage import lacks
from .recording import APACHE_KAFKA, SETTINGS, read
from .report import as_text
from .run import Report, Run, compare_brokers, compare_played, compare_with_recording
from .scenarios import all_scenarios
from .scenarios.twice import LEFT_OUT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from compat.brokers import BrokerProcess
    from kbroker.wire.message import Struct

AT_ONCE = 12  # most of a run is waiting for sessions and silence
VERSION = re.compile(r" v\d+ ")
AGAIN = "python -m compat.differential record"


@pytest.fixture(scope="module")
def apache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    yield from _running(ApacheKafka(tmp_path_factory.mktemp("apache"), SETTINGS))


@contextmanager
def fresh_kbroker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    """Each run has a fresh one: a feature's level, once raised, stays."""
    yield from _running(Kbroker(tmp_path_factory.mktemp("kbroker"), SETTINGS))


def _running(broker: BrokerProcess) -> Iterator[BrokerProcess]:
    broker.start()
    try:
        yield broker
    finally:
        broker.wipe()


@pytest.fixture(scope="module")
def live(apache: BrokerProcess, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Without the damaged frames, half of all steps: the recording has those of every API."""
    scenarios = [s for s in all_scenarios() if not s.name.startswith("frames.of_")]
    with fresh_kbroker(tmp_path_factory) as kbroker:
        return compare_brokers(apache, kbroker, scenarios, at_once=AT_ONCE)


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> Run:
    recording = read(APACHE_KAFKA)
    with fresh_kbroker(tmp_path_factory) as kbroker:
        return compare_with_recording(recording, kbroker, all_scenarios(), at_once=AT_ONCE)


@pytest.mark.ci
def test_kbroker_answers_as_apache_kafka_was_recorded(replayed: Run) -> None:
    """Needs no Java."""
    report = replayed.report
    assert not report.differences, as_text(report)
    assert not report.lacking, f"steps that are not in the recording; {AGAIN}\n{as_text(report)}"
    assert report.steps > 10_000


@pytest.mark.ci
def test_every_api_is_asked_something_valid_something_invalid_and_a_boundary(replayed: Run) -> None:
    rows = [
        (api.key, v)
        for api in apis_of(find_release(KAFKA_VERSION))
        if api.is_advertised
        for v in range(api.min_version, api.max_version + 1)
    ]
    assert not lacks(replayed.right, rows)
    # A new row comes without: AddOffsetsToTxn has no scenario yet.
    new = [("AddOffsetsToTxn", 0, kind) for kind in ("valid", "boundary")]
    assert set(new) <= set(lacks(replayed.right, [(25, 0)]))


@pytest.mark.ci
def test_each_list_of_each_request_is_asked_with_something_twice(replayed: Run) -> None:
    asked = {entry.step for entry in replayed.right["twice.there"].transcript}
    steps = [
        f"{api.name} v{version} {path} twice"
        for api in apis_of(find_release(KAFKA_VERSION))
        if api.is_advertised
        for version in range(api.min_version, api.max_version + 1)
        for path in lists(api.request, version)
    ]
    left_out = {
        step
        for step in steps
        if any(fnmatchcase(VERSION.sub(" ", step), pattern) for pattern in LEFT_OUT)
    }
    assert left_out == {f"AlterConfigs v{version} resources twice" for version in range(3)}
    assert not {*steps} - asked - left_out
    assert len(steps) > 300


def lists(struct: type[Struct], version: int, path: str = "") -> Iterator[str]:
    """The lists of a struct and of what is below it."""
    for field in untagged(struct, version) + tagged(struct, version):
        if field.is_array:
            yield f"{path}{field.name}"
        if not isinstance(field.element, str):
            yield from lists(field.element, version, f"{path}{field.name}.")


@pytest.mark.ci
def test_kbroker_answers_as_apache_kafka_does(live: Run) -> None:
    report = live.report
    assert not report.differences, as_text(report)
    assert not report.lacking
    assert report.steps > 10_000


def only_silent(report: Report) -> bool:
    """Whether two of Apache Kafka part in nothing but what it is known never to answer."""
    return all(map(is_known_silence, report.differences))


@pytest.mark.ci
def test_apache_kafka_answers_as_it_was_recorded(live: Run) -> None:
    """In the run beside kbroker: what kbroker does not serve is `full`'s to compare."""
    report = compare_played(read(APACHE_KAFKA), "Apache Kafka", live.left).report
    assert only_silent(report), f"{AGAIN}\n{as_text(report)}"
    assert not report.lacking, f"{AGAIN}\n{as_text(report)}"
    assert report.steps > 10_000


@pytest.mark.full
def test_apache_kafka_answers_as_apache_kafka_does(apache: BrokerProcess) -> None:
    """Else the normalisations leave something out."""
    report = compare_brokers(apache, apache, all_scenarios(), at_once=AT_ONCE).report
    assert only_silent(report), as_text(report)
    assert len(report.partings) == len(report.differences), as_text(report)
    assert report.steps > 10_000


@pytest.mark.full
def test_a_whole_recording_is_still_what_apache_kafka_answers(apache: BrokerProcess) -> None:
    recording = read(APACHE_KAFKA)
    run = compare_with_recording(recording, apache, all_scenarios(), at_once=AT_ONCE)
    assert only_silent(run.report), f"{AGAIN}\n{as_text(run.report)}"
    assert not run.report.left_out
    assert run.report.steps > 10_000
