"""Whether every API at every version was asked something valid, something invalid and a boundary.

Taken from what was answered: a step is valid if it was answered without any error, and invalid if
with one, or if its bytes were no request and the connection was closed. A boundary has one field at
a limit of its type: the steps of `scenarios/boundaries.py`, and any whose name begins with
"boundary". Where a version has no field, bytes behind the request are one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbroker.wire.api_keys import API_TABLE
from kbroker.wire.schema import tagged, untagged

from .peer import CLOSED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from .peer import Entry
    from .playing import Played
    from .tree import Tree

BY_NAME = {api.name: api for api in API_TABLE.values()}
VALID, INVALID, BOUNDARY = KINDS = ("valid", "invalid", "boundary")
# What is asked of no broker, and why.
LEFT_OUT = {
    ("UnregisterBroker", 0, VALID): "the broker would be gone for all that follows",
    ("AddRaftVoter", 0, VALID): "needs another controller",
    ("AddRaftVoter", 1, VALID): "needs another controller",
    ("RemoveRaftVoter", 0, VALID): "needs another controller",
}


def lacks(
    played: Mapping[str, Played], wanted: Iterable[tuple[int, int]]
) -> list[tuple[str, int, str]]:
    """(API, version, kind) of what was not asked, of the API keys and versions wanted."""
    asked = {
        (entry.api, entry.version, kind)
        for scenario, one in played.items()
        for entry in one.transcript
        for kind in kinds(scenario, entry)
    }
    rows = [(API_TABLE[key].name, version) for key, version in wanted]
    every = [(*row, kind) for row in rows for kind in KINDS]
    return [one for one in every if one not in asked and one not in LEFT_OUT]


def kinds(scenario: str, entry: Entry) -> Iterator[str]:
    api = BY_NAME.get(entry.api)
    if api is None:
        return
    if isinstance(entry.answer, dict):
        yield VALID if _is_good(entry.answer) else INVALID
    elif entry.answer == CLOSED:
        yield INVALID
    fields = untagged(api.request, entry.version) + tagged(api.request, entry.version)
    at_a_limit = scenario.startswith("boundaries.") and "=" in entry.step
    behind = scenario.startswith("frames.") and not fields and " and " in entry.step
    if at_a_limit or behind or entry.step.startswith(BOUNDARY):
        yield BOUNDARY


def _is_good(value: Tree) -> bool:
    """Whether no error code stands anywhere in an answer."""
    if isinstance(value, dict):
        return all(
            one == "NONE" if str(name).endswith("error_code") else _is_good(one)
            for name, one in value.items()
        )
    return all(_is_good(one) for one in value) if isinstance(value, list) else True
