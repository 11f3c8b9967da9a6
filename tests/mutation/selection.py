"""Which tests are to notice a mutant, and in which order they are tried."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from coverage import CoverageData

if TYPE_CHECKING:
    from .sample import Mutant

# Tests are tried until their time adds up to this: some lines are run by all there are.
TEST_SECONDS_MAX = 90.0
# These tests trace what they run by themselves, so the traced run does not see it: they are tried
# where no other test is known.
_UNSEEN = "tests/kbroker/test_parts.py::"


class Selection:
    """What the traced run saw: for each line of a module the tests that run it."""

    def __init__(self, traced: Path, top: Path) -> None:
        self._data = CoverageData(str(traced / "coverage.sqlite"))
        self._data.read()
        self._seconds: dict[str, float] = json.loads((traced / "seconds.json").read_text())
        self._top = top
        self._lines: dict[str, dict[int, set[str]]] = {}

    def tests(self, mutant: Mutant) -> list[str]:
        """The tests of the module's own test file first, then the others, the quick ones first.

        For what runs when a module is imported, all tests that run any line of it.
        """
        by_line = self._by_line(mutant.path)
        lines = range(mutant.line, mutant.last_line + 1)  # `if (` alone is no line that runs
        running = set().union(*(by_line.get(line, set()) for line in lines))
        covering = running - {""}
        if not covering and "" in running:
            covering = set().union(*by_line.values()) - {""}
        if not covering:
            covering = {test for test in self._seconds if test.startswith(_UNSEEN)}
        own = f"test_{Path(mutant.path).stem}.py::"
        ordered = sorted(
            covering & self._seconds.keys(),
            key=lambda test: (own not in test, self._seconds[test], test),
        )
        chosen: list[str] = []
        seconds = 0.0
        for test in ordered:
            seconds += self._seconds[test]
            if chosen and seconds > TEST_SECONDS_MAX:
                break
            chosen.append(test)
        return chosen

    def seconds(self, tests: list[str]) -> float:
        """How long these tests took when they were traced."""
        return sum(self._seconds[test] for test in tests)

    def _by_line(self, path: str) -> dict[int, set[str]]:
        if path not in self._lines:
            lines: dict[int, set[str]] = defaultdict(set)
            contexts = self._data.contexts_by_lineno(str(self._top / path))
            for line, tests in contexts.items():
                lines[line].update(tests)
            self._lines[path] = lines
        return self._lines[path]
