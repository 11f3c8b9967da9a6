"""The comparison itself: a suite whose outcomes are not as listed is told of, test by test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from compat.foreign.outcomes import differences, expectations

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.ci

LISTED = """\
# a suite
passed a
failed b  # needs ACLs
passed kbroker:failed c  # needs transactions
"""


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    path = tmp_path / "suite.outcomes"
    path.write_text(LISTED)
    return path


@pytest.mark.parametrize(
    ("broker", "found", "sentences"),
    [
        ("apache", {"a": "passed", "b": "failed", "c": "passed"}, []),
        ("kbroker", {"a": "passed", "b": "failed", "c": "failed"}, []),
        ("kbroker", {"a": "passed", "b": "failed", "c": "passed"}, ["c: passed, expected: failed"]),
        ("apache", {"b": "failed", "c": "passed"}, ["a: not run, expected: passed"]),
        (
            "apache",
            {"a": "passed", "b": "failed", "c": "passed", "d": "passed"},
            ["d: passed, expected: not listed"],
        ),
    ],
)
def test_what_differs_is_told(
    listed: Path, broker: str, found: dict[str, str], sentences: list[str]
) -> None:
    assert differences(expectations(listed), found, broker) == sentences


@pytest.mark.parametrize("line", ["failed d", "odd d  # why", "passed a", "passed d e f"])
def test_a_line_that_says_too_little_is_refused(listed: Path, line: str) -> None:
    listed.write_text(f"{LISTED}{line}\n")
    with pytest.raises(ValueError, match=r"suite\.outcomes:5"):
        expectations(listed)
