"""Runs scenarios on two brokers at once and compares what came of each step."""

from __future__ import annotations

import secrets
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from compat.raw import RawClient
from kbroker.wire.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from kbroker.wire.messages.metadata import MetadataRequest, MetadataResponse

from .choices import choice_for
from .compare import Difference, unequal
from .normal import Names, normalised
from .peer import Peer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from compat.brokers import Broker

    from .choices import Choice
    from .peer import Entry
    from .scenarios import Scenario
    from .tree import Tree

REQUEST_SHOWN_MAX = 400


@dataclass
class Report:
    """What a run found. `chosen` are the differences that are meant."""

    left: str
    right: str
    steps: int = 0
    seconds: float = 0
    scenarios: dict[str, int] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)
    chosen: list[tuple[Choice, Difference]] = field(default_factory=list)
    only_left: list[str] = field(default_factory=list)
    only_right: list[str] = field(default_factory=list)
    versions: dict[str, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Side:
    """A broker and what is the same for all scenarios."""

    host: str
    port: int
    node_id: int
    served: Mapping[int, range]


def compare_brokers(
    left: Broker, right: Broker, scenarios: Sequence[Scenario], *, at_once: int = 4
) -> Report:
    """Run the scenarios whose APIs both serve, some at a time.

    OSError if a broker cannot be reached.
    """
    from kbroker.wire.api_keys import API_TABLE

    started = time.monotonic()
    sides = _side(left.host, left.port), _side(right.host, right.port)
    report = Report(left.bootstrap, right.bootstrap)
    shared: dict[int, range] = {}
    for key in sorted({*sides[0].served, *sides[1].served}):
        name = API_TABLE[key].name if key in API_TABLE else str(key)
        first, second = (side.served.get(key, range(0)) for side in sides)
        both = range(max(first.start, second.start), min(first.stop, second.stop))
        if not first or not second:
            (report.only_left if first else report.only_right).append(name)
        elif both and key in API_TABLE:
            api = API_TABLE[key]
            shared[key] = range(max(both.start, api.min_version), both.stop)
            report.versions[name] = (both.start, both.stop - 1)
    run_id = secrets.token_hex(3)
    usable = [s for s in scenarios if all(shared.get(r.API_KEY or 0) for r in s.requests)]
    together = [scenario for scenario in usable if not scenario.alone]
    alone = [scenario for scenario in usable if scenario.alone]
    with ThreadPoolExecutor(at_once) as pool:
        played = list(pool.map(lambda one: _run(one, sides, shared, run_id), together))
    played += [_run(scenario, sides, shared, run_id) for scenario in alone]
    for scenario, (steps, found) in zip(together + alone, played, strict=True):
        report.steps += steps
        report.scenarios[scenario.name] = steps
        for difference in found:
            choice = choice_for(difference)
            if choice is None:
                report.differences.append(difference)
            else:
                report.chosen.append((choice, difference))
    report.seconds = time.monotonic() - started
    return report


def _side(host: str, port: int) -> _Side:
    with RawClient(host, port) as client:
        versions = client.ask(ApiVersionsRequest(), 0, ApiVersionsResponse)
        metadata = client.ask(MetadataRequest(topics=[]), 1, MetadataResponse)
    served = {api.api_key: range(api.min_version, api.max_version + 1) for api in versions.api_keys}
    mine = [broker.node_id for broker in metadata.brokers if broker.port == port]
    return _Side(host, port, mine[0] if mine else metadata.controller_id, served)


def _run(
    scenario: Scenario, sides: tuple[_Side, _Side], shared: Mapping[int, range], run_id: str
) -> tuple[int, list[Difference]]:
    """(steps taken, differences) of one scenario on both sides."""
    now_ms = time.time_ns() // 1_000_000
    scenario_name = scenario.name.replace("_", "-").replace(".", "-")
    # A letter apart, so that a broker can be compared with itself.
    peers = [
        Peer(side.host, side.port, shared, f"diff-{run_id}{letter}-{scenario_name}", now_ms)
        for side, letter in zip(sides, "lr", strict=True)
    ]
    ends = ["", ""]

    def play(number: int) -> None:
        try:
            scenario.play(peers[number])
        except Exception as error:  # a thread's edge: what ended a scenario is a result of it
            last = traceback.extract_tb(error.__traceback__)[-1]
            ends[number] = f"{type(error).__name__}: {error} ({last.name}:{last.lineno})"
        finally:
            peers[number].close()

    threads = [threading.Thread(target=play, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
        if scenario.in_turn:
            thread.join()
    for thread in threads:
        thread.join()
    answers = [
        normalised(
            peer.transcript,
            Names(side.host, side.port, peer.prefix, now_ms, side.node_id, peer.topic_ids),
        )
        for peer, side in zip(peers, sides, strict=True)
    ]
    found: list[Difference] = []
    transcripts = [peer.transcript for peer in peers]
    for left, right, one, other in zip(*transcripts, *answers, strict=False):
        if left.step != right.step:
            found.append(_difference(scenario, left, "(step)", left.step, right.step))
            break
        found += (_difference(scenario, left, *where) for where in unequal(one, other))
    if any(ends) or len(answers[0]) != len(answers[1]):
        # A scenario that both brokers end is one that asks what neither answers: a mistake in it.
        last = transcripts[0][-1] if transcripts[0] else None
        counts = [f"{len(t)} steps {end}" for t, end in zip(transcripts, ends, strict=True)]
        found.append(_difference(scenario, last, "(end)", *counts))
    return min(len(transcript) for transcript in transcripts), found


def _difference(
    scenario: Scenario, entry: Entry | None, path: str, left: Tree, right: Tree
) -> Difference:
    if entry is None:
        return Difference(scenario.name, "", "", 0, path, left, right, "")
    request = repr(entry.request)
    if len(request) > REQUEST_SHOWN_MAX:
        request = request[:REQUEST_SHOWN_MAX] + "..."
    return Difference(
        scenario.name, entry.step, entry.api, entry.version, path, left, right, request
    )
