"""What a foreign suite's tests come to, and what they are expected to come to.

An .outcomes file has a line for each test: its outcome on Apache Kafka, its name, and where it does
not pass a reason. `kbroker:OUTCOME` before the name is what it comes to on kbroker, where that is
another outcome; the reason then says why.

    passed   test_a
    failed   test_b  # Apache Kafka has no authorizer here
    passed   kbroker:failed  test_c  # needs transactions
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

OUTCOMES = frozenset({"passed", "failed", "skipped"})


@dataclass(frozen=True, slots=True)
class Expected:
    """One line of an .outcomes file."""

    apache: str
    kbroker: str
    reason: str


def expectations(path: Path) -> dict[str, Expected]:
    """By the test's name. Raises ValueError on a line that says too little."""
    found: dict[str, Expected] = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        text, _, reason = line.partition("  # ")
        apache, *kbroker, name = text.split()
        if len(kbroker) > 1:
            raise ValueError(f"{path.name}:{number}: more than outcomes, a name and a reason")
        ours = kbroker[0].removeprefix("kbroker:") if kbroker else apache
        if not {apache, ours} <= OUTCOMES:
            raise ValueError(f"{path.name}:{number}: outcomes are {sorted(OUTCOMES)}")
        if (apache, ours) != ("passed", "passed") and not reason:
            raise ValueError(f"{path.name}:{number}: {name} does not pass, and no reason is given")
        if name in found:
            raise ValueError(f"{path.name}:{number}: {name} is there twice")
        found[name] = Expected(apache, ours, reason)
    return found


def differences(expected: dict[str, Expected], found: dict[str, str], broker: str) -> list[str]:
    """A sentence for each test that came to something else than on Apache Kafka, or as listed."""
    sentences: list[str] = []
    for name in sorted(expected.keys() | found.keys()):
        line = expected.get(name)
        wanted = (
            "not listed" if line is None else line.kbroker if broker == "kbroker" else line.apache
        )
        outcome = found.get(name, "not run")
        if outcome != wanted:
            sentences.append(f"{name}: {outcome}, expected: {wanted}")
    return sentences
