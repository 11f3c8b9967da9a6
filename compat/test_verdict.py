"""The verdict itself: what counts, what it says, and that every item has its tests."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from compat.items import ITEMS
from compat.verdict import FAILED, NOT_JUDGED, PASSED, WHY_MAX, Verdict

pytestmark = pytest.mark.ci


@pytest.fixture
def verdict() -> Verdict:
    made = Verdict("broker.example:9092")
    fetch, produce = {(1, 12)}, {(0, 9)}
    made.add(PASSED, "test_a", "", items={9}, asked=fetch, client=None)
    made.add(FAILED, "test_b", "no <batch>\ncame", items={9, 12}, asked=fetch, client="java")
    made.add(NOT_JUDGED, "test_c", "needs Java", items={10}, asked=set(), client="java")
    made.add(PASSED, "test_d", "", items={5}, asked=produce, client="librdkafka")
    return made


def test_one_failure_fails_an_item_and_the_rest_is_not_judged(verdict: Verdict) -> None:
    rows = {row["item"]: row for row in verdict.document()["items"]}
    assert {item: row["verdict"] for item, row in rows.items() if item in (5, 9, 10, 12, 13)} == {
        5: PASSED,
        9: FAILED,
        10: NOT_JUDGED,
        12: FAILED,
        13: NOT_JUDGED,
    }
    assert rows[9]["why"] == ["test_b: no <batch> came"]
    assert rows[10]["why"] == ["not judged: needs Java (1)"]
    clients = {row["client"]: row["verdict"] for row in verdict.document()["clients"]}
    assert clients == {"java": FAILED, "librdkafka": PASSED}
    apis = {(row["api"], row["version"]): row["verdict"] for row in verdict.document()["apis"]}
    assert apis == {("Fetch", 12): FAILED, ("Produce", 9): PASSED}


def test_what_judges_no_item_is_told_too(verdict: Verdict, tmp_path: Path) -> None:
    verdict.add(FAILED, "test_e", "no", items=set(), asked=set(), client="aiokafka")
    verdict.add(FAILED, "test_f", "never", items=set(), asked=set(), client=None)
    document = verdict.document()
    assert document["others"]["why"] == ["test_f: never"]
    assert {row["client"]: row["why"] for row in document["clients"]}["aiokafka"] == ["test_e: no"]
    texts = ["\n".join(verdict.lines())]
    for suffix in (".md", ".html"):
        verdict.write(tmp_path / f"matrix{suffix}")
        texts.append((tmp_path / f"matrix{suffix}").read_text())
    for text in texts:
        assert "test_e: no" in text
        assert "test_f: never" in text


def test_many_failures_are_a_few_lines(verdict: Verdict) -> None:
    for number in range(400):
        verdict.add(FAILED, f"test_{number}", "x" * 999, items={7}, asked=set(), client=None)
    lines = verdict.lines()
    assert f"        and {400 - WHY_MAX} more" in lines
    assert len(lines) < 80
    assert max(map(len, lines)) < 250


def test_it_is_written_in_three_forms(verdict: Verdict, tmp_path: Path) -> None:
    paths = [tmp_path / f"matrix{suffix}" for suffix in (".json", ".html", ".md")]
    for path in paths:
        verdict.write(path)
    assert json.loads(paths[0].read_text()) == verdict.document()
    page = paths[1].read_text()
    assert "no &lt;batch&gt; came" in page
    assert not re.search(r"(?:src|href)=", page)  # needs nothing else
    assert "| 9. a fetch from inside a batch returns the whole batch | failed | 1 | 1 |" in (
        paths[2].read_text()
    )
    with pytest.raises(ValueError, match="must end in"):
        verdict.write(tmp_path / "matrix.csv")


def test_every_item_is_judged() -> None:
    marked = set()
    for path in Path(__file__).parent.glob("*/test_*.py"):
        for numbers in re.findall(r"mark\.item\(([\d, ]+)\)", path.read_text()):
            marked |= {int(number) for number in numbers.split(",")}
    assert marked == ITEMS.keys()
