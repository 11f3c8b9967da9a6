"""A pytest plugin for the first run: which tests run which line, and how long each takes.

Loaded with `-p tests.mutation.tracing`, with $KBROKER_MUTATION_OUT naming a folder. It writes
`coverage.sqlite` there, with a context for each test, and `seconds.json`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import coverage
import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

_OUT = Path(os.environ["KBROKER_MUTATION_OUT"])
_TOP = Path(os.environ["PYTHONPATH"])
_coverage = coverage.Coverage(
    data_file=str(_OUT / "coverage.sqlite"),
    config_file=False,
    source=[str(_TOP / name) for name in ("storage", "controller", "kbroker")],
)
_seconds: dict[str, float] = {}
_failed: set[str] = set()
_coverage.start()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    _coverage.switch_context(item.nodeid)
    return (yield)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _seconds[report.nodeid] = _seconds.get(report.nodeid, 0.0) + report.duration
    if report.failed:
        _failed.add(report.nodeid)


def pytest_unconfigure() -> None:
    """A test that fails under the tracer judges no mutant."""
    _coverage.stop()
    _coverage.save()
    passed = {test: seconds for test, seconds in _seconds.items() if test not in _failed}
    (_OUT / "seconds.json").write_text(json.dumps(passed))
