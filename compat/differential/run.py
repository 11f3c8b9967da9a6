"""Compares what came of each step on two sides: two brokers, or a recording and a broker."""

from __future__ import annotations

import secrets
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kbroker.wire.api_keys import API_TABLE

from .choices import choice_for
from .compare import UNHEARD, Difference, unequal
from .normal import normalised
from .playing import Side, askable, play_all, playable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from compat.brokers import Broker

    from .choices import Choice
    from .peer import Entry
    from .playing import Played, Served
    from .recording import Recording
    from .scenarios import Scenario
    from .tree import Tree

AT_ONCE = 4


@dataclass(frozen=True)
class Parting:
    """A step that was answered in two ways: what was asked and answered, and where they differ.

    Answers are normalised. `entries` are None where a scenario took another step, or none.
    """

    scenario: str
    step: str
    api: str
    version: int
    requests: tuple[Tree, Tree]
    answers: tuple[Tree, Tree]
    fields: list[tuple[Difference, Choice | None]]

    @property
    def explained(self) -> bool:
        return all(choice for _, choice in self.fields)


@dataclass
class Report:
    """What a run found. `lacking` are steps of which the left, a recording, knows nothing,
    `left_out` recorded steps that the right was not asked, since it does not serve their versions.
    """

    left: str
    right: str
    seconds: float = 0
    seed: str = ""
    scenarios: dict[str, int] = field(default_factory=dict)  # steps by name
    partings: list[Parting] = field(default_factory=list)
    asked: Counter[tuple[str, int]] = field(default_factory=Counter)  # steps by API and version
    only_left: list[str] = field(default_factory=list)  # APIs
    only_right: list[str] = field(default_factory=list)
    versions: dict[str, tuple[int, int]] = field(default_factory=dict)
    lacking: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    @property
    def steps(self) -> int:
        return sum(self.scenarios.values())

    @property
    def differences(self) -> list[Difference]:
        """Those that nothing explains."""
        return [d for parting in self.partings for d, choice in parting.fields if choice is None]

    @property
    def chosen(self) -> list[tuple[Choice, Difference]]:
        """Those that are meant."""
        return [(c, d) for parting in self.partings for d, c in parting.fields if c is not None]


@dataclass
class Run:
    """A report, and the transcripts of the right that it speaks of."""

    report: Report
    left: dict[str, Played]
    right: dict[str, Played]


def compare_brokers(
    left: Broker,
    right: Broker,
    scenarios: Sequence[Scenario],
    *,
    at_once: int = AT_ONCE,
    seed: str = "",
) -> Run:
    """Run the scenarios whose APIs both serve, some at a time.

    OSError if a broker cannot be reached.
    """
    started = time.monotonic()
    sides = {"l": Side.of(left.host, left.port), "r": Side.of(right.host, right.port)}
    report = Report(left.bootstrap, right.bootstrap, seed=seed or new_seed())
    versions = _shared(report, sides["l"].served, sides["r"].served)
    chosen = playable(scenarios, versions)
    run = Run(report, {}, {})
    played = play_all(chosen, sides, versions, report.seed, at_once=at_once)
    for scenario, both in zip(chosen, played, strict=True):
        run.left[scenario.name], run.right[scenario.name] = both["l"], both["r"]
    _compare(run, versions, recorded=False)
    report.seconds = time.monotonic() - started
    return run


def compare_with_recording(
    recording: Recording,
    right: Broker,
    scenarios: Sequence[Scenario],
    *,
    at_once: int = AT_ONCE,
    seed: str = "",
) -> Run:
    """Run the scenarios on the one broker, and compare with what the other answered then."""
    started = time.monotonic()
    side = Side.of(right.host, right.port)
    report = Report(str(recording), right.bootstrap, seed=seed or new_seed())
    versions = _shared(report, recording.served, side.served)
    chosen = playable(scenarios, versions)
    played = play_all(chosen, {"r": side}, versions, report.seed, at_once=at_once)
    right_played = {s.name: one["r"] for s, one in zip(chosen, played, strict=True)}
    run = Run(report, recording.scenarios, right_played)
    _compare(run, versions, recorded=True)
    report.seconds = time.monotonic() - started
    return run


def compare_played(recording: Recording, name: str, played: dict[str, Played]) -> Run:
    """Compare what was played already, on the broker of that name, with a recording."""
    report = Report(str(recording), name)
    run = Run(report, recording.scenarios, played)
    _compare(run, _shared(report, recording.served, recording.served), recorded=True)
    return run


def new_seed() -> str:
    """What the names of a run's topics and groups are made from."""
    return secrets.token_hex(3)


def _shared(report: Report, left: Served, right: Served) -> Served:
    """The versions to ask for; says in the report who serves what."""
    for key in sorted({*left, *right}):
        name = API_TABLE[key].name if key in API_TABLE else str(key)
        if key not in left or key not in right:
            (report.only_left if key in left else report.only_right).append(name)
            continue
        start = max(left[key].start, right[key].start)
        last = min(left[key].stop, right[key].stop) - 1
        if start <= last:
            report.versions[name] = start, last
    return askable(left, right)


def _compare(run: Run, versions: Served, *, recorded: bool) -> None:
    report = run.report
    by_name = {API_TABLE[key].name: served for key, served in versions.items()}
    for name, right in run.right.items():
        left = run.left.get(name)
        if left is None:
            report.lacking += [f"{name}: {entry.step}" for entry in right.transcript]
            continue
        _compare_scenario(report, name, left, right, by_name, recorded=recorded)


def _compare_scenario(
    report: Report,
    name: str,
    left: Played,
    right: Played,
    versions: dict[str, range],
    *,
    recorded: bool,
) -> None:
    """Steps are matched by what they are called and ask, for a recording may have more or fewer."""
    numbered_left, numbered_right = _numbered(left.transcript), _numbered(right.transcript)
    common = [key for key in numbered_right if key in numbered_left]
    lefts = [numbered_left[key] for key in common]
    rights = [numbered_right[key] for key in common]
    report.scenarios[name] = len(common)
    answers = normalised(lefts, left.names), normalised(rights, right.names)
    for one, other, first, second in zip(lefts, rights, *answers, strict=True):
        report.asked[one.api, one.version] += 1
        fields = list(unequal(first, second))
        if not fields and one.unheard and other.unheard:
            # Equal only since neither answered in time: nothing was compared.
            fields = [(UNHEARD, first, second)]
        if fields:
            report.partings.append(
                _parting(name, one, (one.request, other.request), (first, second), fields)
            )
    missed = [entry for key, entry in numbered_left.items() if key not in numbered_right]
    added = [entry for key, entry in numbered_right.items() if key not in numbered_left]
    if recorded:
        report.lacking += [f"{name}: {entry.step}" for entry in added]
        absent = [e for e in missed if e.version not in versions.get(e.api, ())]
        report.left_out += [f"{name}: {entry.step}" for entry in absent]
        missed, added = [entry for entry in missed if entry not in absent], []
    if missed or added or left.end or right.end:
        # A scenario that both end is one that asks what neither answers: a mistake in it.
        said = tuple(
            f"{len(steps)} steps the other has not{', from ' + steps[0].step if steps else ''}"
            f"{'; ended by ' + played.end if played.end else ''}"
            for steps, played in ((missed, left), (added, right))
        )
        last = rights[-1] if rights else right.transcript[0] if right.transcript else None
        step = last or (left.transcript[0] if left.transcript else None)
        if step is not None:
            ending = [("(end)", said[0], said[1])]
            report.partings.append(_parting(name, step, ("", ""), (said[0], said[1]), ending))


def _numbered(transcript: Sequence[Entry]) -> dict[tuple[str, str, int, int], Entry]:
    """The steps by what they are called and ask, with a number where that is said twice."""
    seen: Counter[tuple[str, str, int]] = Counter()
    found = {}
    for entry in transcript:
        key = entry.step, entry.api, entry.version
        found[*key, seen[key]] = entry
        seen[key] += 1
    return found


def _parting(
    scenario: str,
    entry: Entry,
    requests: tuple[Tree, Tree],
    answers: tuple[Tree, Tree],
    fields: Sequence[tuple[str, Tree, Tree]],
) -> Parting:
    where = scenario, entry.step, entry.api, entry.version
    found = [(d, choice_for(d)) for d in _differences(where, fields)]
    return Parting(*where, requests, answers, found)


def _differences(
    where: tuple[str, str, str, int], fields: Sequence[tuple[str, Tree, Tree]]
) -> Iterator[Difference]:
    for path, left, right in fields:
        yield Difference(*where, path, left, right)
