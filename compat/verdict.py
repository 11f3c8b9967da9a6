"""The suite's verdict on a broker: by item, by API and version, by client.

At the end in the terminal, and in a file by `--matrix FILE` (.json, .html or .md). The JSON:

    format    1
    broker    its address or kind
    items     [{item, title, verdict, passed, failed, not_judged, why: [sentences]}]
    apis      [{api, version, verdict, passed, failed}] of requests that tests sent frame by frame
    clients   [{client, verdict, passed, failed, not_judged, why: [sentences]}]
    others    {verdict, passed, failed, not_judged, why} of tests that judge no item by no client
    ended     what ended the session before all tests had run, or null
    left_behind   names of topics and groups that could not be removed

A verdict is passed, failed or "not judged".
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from compat.items import ITEMS
from kbroker.wire.api_keys import API_TABLE

FORMAT = 1
PASSED, FAILED, NOT_JUDGED = "passed", "failed", "not judged"
SIGNS = {PASSED: ".", FAILED: "!", NOT_JUDGED: "?"}
WHY_MAX = 5
WHY_CHARACTERS = 160


@dataclass
class Row:
    """What came of all the tests that judge one thing."""

    passed: int = 0
    failed: int = 0
    not_judged: int = 0
    failures: list[str] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def verdict(self) -> str:
        return FAILED if self.failed else PASSED if self.passed else NOT_JUDGED

    @property
    def judged(self) -> int:
        return self.passed + self.failed + self.not_judged

    @property
    def why(self) -> list[str]:
        """The first failures, then why tests did not judge."""
        cut = len(self.failures) - WHY_MAX
        more = [f"and {cut} more"] if cut > 0 else []
        reasons = [f"{NOT_JUDGED}: {why} ({n})" for why, n in self.reasons.most_common()]
        return [*self.failures[:WHY_MAX], *more, *reasons]

    def add(self, outcome: str, name: str, why: str) -> None:
        why = " ".join(why.split())[:WHY_CHARACTERS]
        if outcome == PASSED:
            self.passed += 1
        elif outcome == FAILED:
            self.failed += 1
            self.failures.append(f"{name}: {why}")
        else:
            self.not_judged += 1
            self.reasons[why] += 1


@dataclass
class Verdict:
    """Filled test by test."""

    broker: str
    items: dict[int, Row] = field(default_factory=lambda: {item: Row() for item in ITEMS})
    apis: dict[tuple[str, int], Row] = field(default_factory=dict)
    clients: dict[str, Row] = field(default_factory=dict)
    others: Row = field(default_factory=Row)  # tests of no item and no client
    left_behind: list[str] = field(default_factory=list)
    ended: str | None = None  # what ended the session before all tests had run

    def add(
        self,
        outcome: str,
        name: str,
        why: str,
        *,
        items: set[int],
        asked: set[tuple[int, int]],
        client: str | None,
    ) -> None:
        for item in items:
            self.items[item].add(outcome, name, why)
        for key, version in asked:
            row = self.apis.setdefault((API_TABLE[key].name, version), Row())
            row.add(outcome, name, why)
        if client is not None:
            self.clients.setdefault(client, Row()).add(outcome, name, why)
        if not items and client is None:
            self.others.add(outcome, name, why)

    def lines(self) -> list[str]:
        """For a terminal."""
        lines = [f"verdict on {self.broker}"]
        for item, row in self.items.items():
            lines.append(f"{item:>3} {_mark(row)} {ITEMS[item]}: {_said(row)}")
            lines += [f"        {why}" for why in row.why]
        if self.clients:
            lines.append("stock clients")
            for client, row in sorted(self.clients.items()):
                lines.append(f"    {_mark(row)} {client}: {_said(row)}")
                lines += [f"        {why}" for why in row.why]
        if self.others.judged:
            lines.append(f"other tests: {_mark(self.others).strip()}, {_said(self.others)}")
            lines += [f"        {why}" for why in self.others.why]
        lines.append("APIs and versions, asked frame by frame (! failed, . passed, ? not judged)")
        for api in sorted({api for api, _ in self.apis}):
            versions = sorted(version for name, version in self.apis if name == api)
            rows = [self.apis[api, version] for version in versions]
            marks = " ".join(
                f"{v}{SIGNS[row.verdict]}" for v, row in zip(versions, rows, strict=True)
            )
            lines.append(f"    {api:<26} {marks}")
        if self.ended:
            lines.append(f"ended early: {self.ended}")
        if self.left_behind:
            lines.append(f"could not be removed: {', '.join(self.left_behind)}")
        return lines

    def document(self) -> dict[str, Any]:
        """For programs."""
        return {
            "format": FORMAT,
            "broker": self.broker,
            "items": [
                {
                    "item": item,
                    "title": ITEMS[item],
                    **_counts(row),
                    "not_judged": row.not_judged,
                    "why": row.why,
                }
                for item, row in self.items.items()
            ],
            "apis": [
                {"api": api, "version": version, **_counts(row)}
                for (api, version), row in sorted(self.apis.items())
            ],
            "clients": [
                {
                    "client": client,
                    **_counts(row),
                    "not_judged": row.not_judged,
                    "why": row.why,
                }
                for client, row in sorted(self.clients.items())
            ],
            "others": {
                **_counts(self.others),
                "not_judged": self.others.not_judged,
                "why": self.others.why,
            },
            "left_behind": self.left_behind,
            "ended": self.ended,
        }

    def write(self, path: Path) -> None:
        """ValueError for a name that ends otherwise than .json, .html or .md."""
        makers = {".json": _as_json, ".html": _as_html, ".md": _as_markdown}
        if path.suffix not in makers:
            raise ValueError(f"{path} must end in {', '.join(makers)}")
        path.write_text(makers[path.suffix](self))


def _mark(row: Row) -> str:
    return {PASSED: "passed    ", FAILED: "FAILED    ", NOT_JUDGED: "not judged"}[row.verdict]


def _said(row: Row) -> str:
    return f"{row.passed} passed, {row.failed} failed"


def _counts(row: Row) -> dict[str, Any]:
    return {"verdict": row.verdict, "passed": row.passed, "failed": row.failed}


def _as_json(verdict: Verdict) -> str:
    return json.dumps(verdict.document(), indent=1) + "\n"


def _as_markdown(verdict: Verdict) -> str:
    document = verdict.document()
    lines = [f"# Verdict on {verdict.broker}", *([verdict.ended] if verdict.ended else [])]
    lines += ["", "| item | verdict | passed | failed | |", "|---|---|---|---|---|"]
    for row in document["items"]:
        title = f"{row['item']}. {row['title']}"
        lines.append(
            f"| {title} | {row['verdict']} | {row['passed']} | {row['failed']} "
            f"| {_cell(row['why'])} |"
        )
    lines += ["", "| client | verdict | passed | failed | |", "|---|---|---|---|---|"]
    for row in [*document["clients"], {"client": "other tests", **document["others"]}]:
        lines.append(
            f"| {row['client']} | {row['verdict']} | {row['passed']} | {row['failed']} "
            f"| {_cell(row['why'])} |"
        )
    lines += ["", "| API | version | verdict | passed | failed |", "|---|---|---|---|---|"]
    lines += [
        f"| {row['api']} | {row['version']} | {row['verdict']} | {row['passed']} "
        f"| {row['failed']} |"
        for row in document["apis"]
    ]
    return "\n".join(lines) + "\n"


def _cell(why: list[str]) -> str:
    return "<br>".join(text.replace("|", "\\|") for text in why)


def _as_html(verdict: Verdict) -> str:
    # A dependency of the extra `compat`, which the other forms do without.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
    )
    document = verdict.document()
    cells = {(row["api"], row["version"]): row for row in document["apis"]}
    return environment.get_template("verdict.html.jinja").render(
        document=document,
        cells=cells,
        apis=sorted({api for api, _ in cells}),
        columns=range(1 + max((version for _, version in cells), default=0)),
    )
