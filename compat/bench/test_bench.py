"""The benchmark itself: that its rows can be measured, and drawn."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from compat.bench.findings import distribution, percentile
from compat.bench.group import rebalance
from compat.bench.rows import GROUPS, ROWS, table
from compat.bench.scenarios import SCENARIOS
from compat.bench.sizes import PRESETS
from compat.brokers import REPOSITORY, Kbroker

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.ci
def test_every_group_has_a_scenario() -> None:
    measured = frozenset[str]().union(*(scenario.groups for scenario in SCENARIOS))
    assert measured == set(GROUPS)


@pytest.mark.ci
def test_what_is_met() -> None:
    samples = {
        "apache": {"start": [4.0], "rss.idle": [300.0], "cold.rate": [10.0]},
        "kbroker": {"start": [0.3, 0.3, 9.0], "rss.idle": [60.0], "cold.rate": [12.0]},
    }
    lines = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in table(samples).split("\n")
    ]
    assert [(line[0], line[4], line[-1]) for line in lines[2:]] == [
        ("start to ready", "0.07", "yes"),
        ("resident, idle", "0.20", "**no**"),
        ("cold data read", "1.20", ""),
    ]


@pytest.mark.ci
def test_percentiles() -> None:
    times = [float(n) for n in range(1000, 0, -1)]
    assert percentile(times, 50) == 501
    assert percentile(times, 99.99) == 1000
    assert dict(distribution(times))[99] == 991


@pytest.mark.ci
def test_a_group_rebalances(tmp_path: Path) -> None:
    broker = Kbroker(tmp_path)
    broker.start()
    try:
        found = rebalance(broker, PRESETS["quick"].sizes, frozenset())
    finally:
        broker.wipe()
    assert set(found.values) == {"group-100.join", "group-100.leave"}


@pytest.mark.full
def test_a_quick_run_of_every_row_is_measured_and_drawn(tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    bench = [sys.executable, "-m", "compat.bench"]
    run = [*bench, "--preset", "quick", "--only", "kbroker", "--folder", str(tmp_path)]
    subprocess.run([*run, "--json", str(results)], cwd=REPOSITORY, check=True, timeout=600)
    medians = json.loads(results.read_text())["medians"]["kbroker"]
    assert set(medians) == {row.name for row in ROWS}
    drawn = []
    for name in ("once", "again"):
        plots = tmp_path / name
        draw = [*bench, "--plots", str(plots), str(results)]
        subprocess.run(draw, cwd=REPOSITORY, check=True, timeout=120)
        drawn.append({path.name: path.read_bytes() for path in plots.iterdir()})
    assert drawn[0] == drawn[1]
    assert set(drawn[0]) == {
        f"{name}.svg" for name in ("throughput", "latency", "memory", "growth", "start")
    }
