"""A report for a terminal, for programs (JSON) and as a page (HTML).

The JSON, whose shape stays (a change of it is another `format`):

    format          1
    left, right     who was compared: an address, or what a recording says of itself
    seed, seconds   of the names of topics and groups; of the whole run
    steps           how many were compared
    unexplained     how many fields differ and should not
    explained       how many fields differ by choice
    scenarios       steps compared, by scenario
    apis            [{api, version, steps, unexplained, explained}] of all that was asked
    versions        {api: [first, last]} that both serve
    only_left, only_right   APIs that only one serves
    lacking         steps that a recording does not have: record it again
    left_out        steps of a recording at versions that the right does not serve
    partings        [{scenario, step, api, version, left: {request, answer}, right: {...},
                    fields: [{path, left, right, choice, reason}]}], the unexplained first;
                    answers are normalised; choice and reason are null where nothing explains it
    normalisations  [{what, reason}]
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .choices import REASONS
from .normal import normalisations

if TYPE_CHECKING:
    from .compare import Difference
    from .run import Parting, Report
    from .tree import Tree

FORMAT = 1
VALUE_SHOWN_MAX = 400
ANSWER_SHOWN_MAX = 20_000
STEPS_SHOWN_MAX = 6
INDEX = re.compile(r"\[\d+\]")


@dataclass
class Cell:
    """What was asked of one API at one version."""

    steps: int = 0
    unexplained: int = 0
    explained: int = 0

    @property
    def verdict(self) -> str:
        if not self.steps:
            return "none"
        return "bad" if self.unexplained else "meant" if self.explained else "good"


def as_text(report: Report) -> str:
    """The differences, those alike together, then what was not compared and the counts."""
    lines = []
    alike: dict[tuple[str, ...], list[Difference]] = {}
    for one in report.differences:
        path = INDEX.sub("[n]", one.path)
        what = one.scenario, one.api, path, _short(one.left), _short(one.right)
        alike.setdefault(what, []).append(one)
    requests = {(p.scenario, p.step, p.api, p.version): p.requests[1] for p in report.partings}
    for (scenario, api, path, left, right), found in alike.items():
        steps = ", ".join(one.step for one in found[:STEPS_SHOWN_MAX])
        if len(found) > STEPS_SHOWN_MAX:
            steps += f" and {len(found) - STEPS_SHOWN_MAX} more"
        first = found[0]
        request = requests[first.scenario, first.step, first.api, first.version]
        lines.append(f"{scenario}: {steps}")
        lines.append(f"    {api} {path or '(whole answer)'}")
        lines.append(f"        {report.left}  {left}")
        lines.append(f"        {report.right}  {right}")
        lines.append(f"        request: {_short(request)}")
    if report.only_left:
        lines.append(f"only {report.left} serves: {', '.join(report.only_left)}")
    if report.only_right:
        lines.append(f"only {report.right} serves: {', '.join(report.only_right)}")
    if report.left_out:
        lines.append(
            f"not compared: {len(report.left_out)} steps of the recording, at versions that "
            f"{report.right} does not serve"
        )
    if report.lacking:
        lines.append(f"{len(report.lacking)} steps are not in the recording, record it again:")
        lines += [f"    {step}" for step in report.lacking[: 2 * STEPS_SHOWN_MAX]]
    chosen = Counter(choice.name for choice, _ in report.chosen)
    for name, count in sorted(chosen.items()):
        lines.append(f"meant (docs/differences.md): {name}: {count} fields")
    lines.append(
        f"{len(report.scenarios)} scenarios, {report.steps} steps, "
        f"{len(report.differences)} differences, {report.seconds:.1f} s"
    )
    return "\n".join(lines) + "\n"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= VALUE_SHOWN_MAX else text[:VALUE_SHOWN_MAX] + "..."


def as_json(report: Report) -> str:
    """The document that this module describes."""
    document = {
        "format": FORMAT,
        "left": report.left,
        "right": report.right,
        "seed": report.seed,
        "seconds": round(report.seconds, 1),
        "steps": report.steps,
        "unexplained": len(report.differences),
        "explained": len(report.chosen),
        "scenarios": report.scenarios,
        "apis": [
            {
                "api": api,
                "version": version,
                "steps": cell.steps,
                "unexplained": cell.unexplained,
                "explained": cell.explained,
            }
            for (api, version), cell in sorted(cells(report).items())
        ],
        "versions": report.versions,
        "only_left": report.only_left,
        "only_right": report.only_right,
        "lacking": report.lacking,
        "left_out": report.left_out,
        "partings": [_parting(one) for one in _in_order(report)],
        "normalisations": [{"what": what, "reason": reason} for what, reason in normalisations()],
    }
    return json.dumps(document, indent=1) + "\n"


def _parting(parting: Parting) -> dict[str, Any]:
    left, right = (
        {"request": request, "answer": answer}
        for request, answer in zip(parting.requests, parting.answers, strict=True)
    )
    fields = [
        {
            "path": one.path,
            "left": one.left,
            "right": one.right,
            "choice": choice and choice.name,
            "reason": choice and REASONS[choice.name],
        }
        for one, choice in parting.fields
    ]
    return {
        "scenario": parting.scenario,
        "step": parting.step,
        "api": parting.api,
        "version": parting.version,
        "left": left,
        "right": right,
        "fields": fields,
    }


def _in_order(report: Report) -> list[Parting]:
    """What nothing explains comes first."""
    return sorted(report.partings, key=lambda parting: parting.explained)


def cells(report: Report) -> dict[tuple[str, int], Cell]:
    """What came of each API at each version; frames and notes, which are of none, under v0."""
    found = {key: Cell(steps) for key, steps in report.asked.items()}
    for parting in report.partings:
        cell = found.setdefault((parting.api, parting.version), Cell())
        unexplained = sum(choice is None for _, choice in parting.fields)
        cell.unexplained += unexplained
        cell.explained += len(parting.fields) - unexplained
    return found


def as_html(report: Report) -> str:
    """One page that needs nothing else."""
    # A tool's dependency (the extra `compat`), which terminal and JSON do without.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["shown"] = _shown
    found = cells(report)
    partings: dict[str, dict[str, list[Parting]]] = {"unexplained": {}, "explained": {}}
    for one in report.partings:
        kind = "explained" if one.explained else "unexplained"
        names = {choice.name for _, choice in one.fields if choice}
        heading = min(names) if one.explained else one.scenario
        partings[kind].setdefault(heading, []).append(one)
    failed = Counter(d.scenario for d in report.differences)
    return environment.get_template("report.html.jinja").render(
        report=report,
        cells=found,
        apis=sorted({api for api, _ in found}),
        columns=range(1 + max((version for _, version in found), default=0)),
        empty=Cell(),
        partings=partings,
        reasons=REASONS,
        failed=failed,
        normalisations=normalisations(),
    )


def _shown(value: Tree) -> str:
    """A request or an answer, a field a line; frames are hex already."""
    text = value if isinstance(value, str) else json.dumps(value, indent=1, ensure_ascii=False)
    cut = len(text) - ANSWER_SHOWN_MAX
    return text if cut <= 0 else f"{text[:ANSWER_SHOWN_MAX]}\n... and {cut} characters more"
