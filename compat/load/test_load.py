"""The abuse run and the soak, short for every change and long on demand.

What is asserted is what may not depend on the machine: that everyone who behaves is served and
nothing is lost, and that memory, descriptors and threads are bounded and given back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from compat.load import abuse, soak

if TYPE_CHECKING:
    from compat.conftest import NewBroker

TIMES = ("produce", "fetch", "produced", "consumed")


@pytest.mark.parametrize(
    ("connections", "seconds"),
    [
        pytest.param(500, 1.0, marks=pytest.mark.ci),
        pytest.param(5000, 20.0, marks=pytest.mark.full),
    ],
)
def test_a_crowd_that_behaves_badly(
    new_broker: NewBroker, connections: int, seconds: float
) -> None:
    broker = new_broker()
    report = abuse.run(broker, connections, seconds)
    assert all(each.holds for each in report.verdicts()), report.text()
    assert broker.stop() == 0, broker.log_tail()


@pytest.mark.parametrize(
    ("seconds", "every_s"),
    [
        pytest.param(12.0, 1.0, marks=pytest.mark.ci),
        pytest.param(300.0, 5.0, marks=pytest.mark.full),
    ],
)
def test_at_full_speed(new_broker: NewBroker, seconds: float, every_s: float) -> None:
    broker = new_broker(soak.SETTINGS)
    report = soak.run(broker, seconds, every_s)
    found = [each for each in report.verdicts() if not each.title.startswith(TIMES)]
    if seconds < 60:  # too short for retention to have begun everywhere: files still grow
        found = [each for each in found if not each.title.startswith(("files", "fds", "data_mb"))]
    assert all(each.holds for each in found), report.text()
    assert broker.stop() == 0, broker.log_tail()
