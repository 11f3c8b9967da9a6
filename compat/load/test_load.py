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

THREADS_MAX = 64  # of fixed pools
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


@pytest.mark.ci
def test_full_speed_for_a_moment(new_broker: NewBroker) -> None:
    """Too short for anything but memory to be flat: retention has only begun."""
    broker = new_broker(soak.SETTINGS)
    report = soak.run(broker, 12.0, 1.0)
    right, memory, *_ = report.verdicts()
    assert right.holds, report.text()
    assert memory.holds, report.text()
    assert max(report.values["threads"]) <= THREADS_MAX
    assert broker.stop() == 0, broker.log_tail()


@pytest.mark.full
def test_full_speed_for_minutes(new_broker: NewBroker) -> None:
    """Everything is flat but what depends on who else uses the machine."""
    broker = new_broker(soak.SETTINGS)
    report = soak.run(broker, 300.0, 5.0)
    found = [each for each in report.verdicts() if not each.title.startswith(TIMES)]
    assert all(each.holds for each in found), report.text()
    assert broker.stop() == 0, broker.log_tail()
