"""A report for a terminal, for programs (JSON) and as a page (HTML)."""

from __future__ import annotations

import dataclasses
import html
import json
import re
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .compare import Difference
    from .run import Report

VALUE_SHOWN_MAX = 400
STEPS_SHOWN_MAX = 6
INDEX = re.compile(r"\[\d+\]")


def as_text(report: Report) -> str:
    """The differences, those alike together, then what was not compared and the counts."""
    lines = []
    alike: dict[tuple[str, ...], list[Difference]] = {}
    for one in report.differences:
        path = INDEX.sub("[n]", one.path)
        what = one.scenario, one.api, path, _short(one.left), _short(one.right)
        alike.setdefault(what, []).append(one)
    for (scenario, api, path, left, right), found in alike.items():
        steps = ", ".join(one.step for one in found[:STEPS_SHOWN_MAX])
        if len(found) > STEPS_SHOWN_MAX:
            steps += f" and {len(found) - STEPS_SHOWN_MAX} more"
        lines.append(f"{scenario}: {steps}")
        lines.append(f"    {api} {path or '(whole answer)'}")
        lines.append(f"        {report.left}  {left}")
        lines.append(f"        {report.right}  {right}")
        lines.append(f"        request: {found[0].request}")
    chosen = Counter(choice.name for choice, _ in report.chosen)
    if report.only_left:
        lines.append(f"only {report.left} serves: {', '.join(report.only_left)}")
    if report.only_right:
        lines.append(f"only {report.right} serves: {', '.join(report.only_right)}")
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
    """Everything, by the names of Report's fields."""
    return json.dumps(dataclasses.asdict(report), indent=1) + "\n"


def as_html(report: Report) -> str:
    """One page that needs nothing else."""
    counts = Counter(one.scenario for one in report.differences)
    rows = "".join(
        f"<tr class={'bad' if counts[name] else 'good'}><td>{html.escape(name)}<td>{steps}"
        f"<td>{counts[name]}"
        for name, steps in report.scenarios.items()
    )
    details = "".join(_detail(one) for one in report.differences)
    meant = "".join(
        f"<h3>{html.escape(choice.name)}</h3>{_detail(one)}" for choice, one in report.chosen
    )
    return (
        "<!doctype html><meta charset=utf-8><title>Two brokers compared</title><style>"
        "body{font:14px sans-serif;margin:2em;max-width:70em}td,th{padding:.2em .8em;"
        "text-align:left;vertical-align:top}.bad td{background:#fdd}.good td{background:#efe}"
        "pre{white-space:pre-wrap;margin:0}</style>"
        f"<h1>{html.escape(report.left)} and {html.escape(report.right)}</h1>"
        f"<p>{len(report.scenarios)} scenarios, {report.steps} steps, "
        f"{len(report.differences)} differences, {len(report.chosen)} fields that differ by choice."
        f"<p>Only the first serves: {html.escape(', '.join(report.only_left) or 'none')}."
        f"<p>Only the second serves: {html.escape(', '.join(report.only_right) or 'none')}."
        f"<table><tr><th>scenario<th>steps<th>differences{rows}</table>"
        f"<h2>Differences</h2>{details or '<p>None.'}<h2>By choice</h2>{meant or '<p>None.'}\n"
    )


def _detail(one: Difference) -> str:
    cells = [
        ("step", f"{one.scenario}: {one.step} [{one.api} v{one.version}]"),
        ("field", one.path or "(whole answer)"),
        ("first", repr(one.left)),
        ("second", repr(one.right)),
        ("request", one.request),
    ]
    rows = "".join(f"<tr><th>{key}<td><pre>{html.escape(text)}</pre>" for key, text in cells)
    return f"<table>{rows}</table>"
