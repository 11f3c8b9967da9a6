"""The runner itself: a broker is equal to itself, another configuration is not, recorded too."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from compat.brokers import Kbroker
from kbroker.wire.messages.api_versions import ApiVersionsRequest
from kbroker.wire.messages.produce import ProduceRequest

from .asking import batch, make_topic, produce_request
from .choices import CHOICES, REASONS
from .compare import UNHEARD
from .peer import SILENT
from .playing import Side
from .recording import SETTINGS, RecordingError, read, record, write
from .report import as_html, as_json, as_text
from .run import compare_brokers, compare_with_recording
from .scenarios import Scenario, all_scenarios

if TYPE_CHECKING:
    from collections.abc import Iterator

    from compat.brokers import BrokerProcess

    from .peer import Peer
    from .run import Report

pytestmark = pytest.mark.ci

DIFFERENCES = Path(__file__).parents[2] / "docs" / "differences.md"
NAMES = ("topics.configs", "group_offsets.committed", "offsets.listed")


@pytest.fixture(scope="module")
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


@pytest.fixture(scope="module")
def scenarios() -> list[Scenario]:
    found = [s for s in all_scenarios() if s.name in NAMES]
    assert len(found) == len(NAMES)
    return found


def seen(report: Report) -> set[tuple[str, str]]:
    return {(found.api, found.path.rpartition(".")[2]) for found in report.differences}


EXPECTED = {
    ("CreateTopics", "value"),
    ("CreateTopics", "config_source"),
    ("OffsetCommit", "error_code"),
}


def test_a_broker_is_equal_to_itself_and_another_configuration_is_seen(
    brokers: list[BrokerProcess], scenarios: list[Scenario]
) -> None:
    one, other = brokers
    same = compare_brokers(one, one, scenarios).report
    assert not same.partings, as_text(same)
    report = compare_brokers(one, other, scenarios).report
    assert seen(report) == EXPECTED
    document = json.loads(as_json(report))
    assert document["format"] == 1
    assert document["unexplained"] == len(report.differences)
    assert document["steps"] == sum(row["steps"] for row in document["apis"]) == report.steps
    first = document["partings"][0]
    assert first["left"]["request"].keys() == first["right"]["request"].keys()
    assert first["fields"][0]["choice"] is None
    assert {"what", "reason"} == document["normalisations"][0].keys()
    page = as_html(report)
    for text in (one.bootstrap, other.bootstrap, "group_offsets.committed", first["step"]):
        assert text in page
    assert not re.search(r'(?:src|href)="(?!#)', page)  # needs nothing else


def test_a_recording_stands_for_the_broker(
    brokers: list[BrokerProcess], scenarios: list[Scenario], tmp_path: Path
) -> None:
    one, other = brokers
    path = tmp_path / "recording"
    side = Side.of(one.host, one.port)
    made = record(side, scenarios, software="this", settings=SETTINGS, seed="abcdef")
    write(made, path)
    recording = read(path)
    assert (recording.software, recording.seed, recording.made) == ("this", "abcdef", made.made)
    same = compare_with_recording(recording, one, scenarios).report
    assert not same.partings, as_text(same)
    assert (same.lacking, same.left_out) == ([], [])
    assert same.steps == sum(len(played.transcript) for played in recording.scenarios.values())
    assert seen(compare_with_recording(recording, other, scenarios).report) == EXPECTED


def test_what_a_recording_lacks_is_named(
    brokers: list[BrokerProcess], scenarios: list[Scenario], tmp_path: Path
) -> None:
    broker = brokers[0]
    side = Side.of(broker.host, broker.port)
    made = record(side, scenarios, software="this", settings={}, seed="fedcba")
    gone = made.scenarios["offsets.listed"].transcript.pop(3)
    del made.scenarios["topics.configs"]
    report = compare_with_recording(made, broker, scenarios).report
    assert not report.partings, as_text(report)
    assert f"offsets.listed: {gone.step}" in report.lacking
    assert any(step.startswith("topics.configs: ") for step in report.lacking)
    assert "not in the recording" in as_text(report)
    # And what the broker does not serve is left out, not missed.
    first = made.scenarios["offsets.listed"].transcript[0]
    made.scenarios["offsets.listed"].transcript[0] = type(first)(
        first.step, first.api, 99, first.request, first.answer
    )
    assert (
        f"offsets.listed: {first.step}"
        in compare_with_recording(made, broker, scenarios).report.left_out
    )


@pytest.mark.parametrize("silence_expected", [False, True])
@pytest.mark.parametrize("is_recorded", [False, True])
def test_silence_on_both_sides_is_a_difference_unless_it_is_expected(
    brokers: list[BrokerProcess], silence_expected: bool, is_recorded: bool, tmp_path: Path
) -> None:
    def play(peer: Peer) -> None:
        topic = make_topic(peer, "t")
        request = produce_request(topic, batch(peer, b"a"), version=9, acks=0)
        peer.probe("hears nothing", request, 9, timeout_s=1, silence_expected=silence_expected)
        peer.probe("hears something", ApiVersionsRequest(), 0)

    silent = [Scenario("test.silent", (ProduceRequest,), play)]
    broker = brokers[0]
    if is_recorded:
        side = Side.of(broker.host, broker.port)
        seed = "0a0b0c" if silence_expected else "0d0e0f"
        made = record(side, silent, software="this", settings={}, seed=seed)
        write(made, tmp_path / "recording")
        report = compare_with_recording(read(tmp_path / "recording"), broker, silent).report
    else:
        report = compare_brokers(broker, broker, silent).report
    found = [(one.step, one.path, one.left, one.right) for one in report.differences]
    expected = [("hears nothing", UNHEARD, SILENT, SILENT)]
    assert found == ([] if silence_expected else expected)
    assert report.steps == 2
    assert UNHEARD in as_text(report) or silence_expected


def test_what_is_garbled_on_both_sides_is_a_difference(brokers: list[BrokerProcess]) -> None:
    """An answer to another request, for a scenario that took the first for unanswered."""

    def play(peer: Peer) -> None:
        named = ApiVersionsRequest(client_software_name="a", client_software_version="1")
        peer.unanswered(named, 3)
        peer.probe("hears another", ApiVersionsRequest(), 0)

    broker = brokers[0]
    garbled = [Scenario("test.garbled", (ApiVersionsRequest,), play)]
    report = compare_brokers(broker, broker, garbled).report
    assert [(one.step, one.path) for one in report.differences] == [("hears another", UNHEARD)]


@pytest.mark.parametrize("data", [b"", b"rubbish", b"\x28\xb5\x2f\xfd" + bytes(20)])
def test_a_file_that_is_no_recording_is_said_so(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "recording"
    path.write_bytes(data)
    with pytest.raises(RecordingError, match="is not a recording"):
        read(path)


def test_every_choice_has_its_reason_in_the_docs() -> None:
    names = {choice.name for choice in CHOICES}
    assert names == REASONS.keys()
    documented = set(re.findall(r"^- \*\*(.*?)\.\*\*", DIFFERENCES.read_text(), re.MULTILINE))
    assert names <= documented
