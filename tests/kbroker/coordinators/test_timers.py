from __future__ import annotations

import random

from kbroker.coordinators.group.timers import NEVER, CleanupDue, Deadline, Timers

from .rig import ShardRig

OWNER = ShardRig().shard


def test_putting_a_deadline_off_does_not_touch_the_heap() -> None:
    timers = Timers()
    deadline = Deadline(OWNER, CleanupDue())
    for due_ms in range(100, 10_000):
        timers.set(deadline, due_ms)
    assert len(timers) == 1
    assert timers.next_ms() == 100
    assert list(timers.expired(9_998)) == []
    assert timers.next_ms() == 9_999
    assert list(timers.expired(9_999)) == [deadline]
    assert timers.next_ms() == NEVER


def test_an_earlier_deadline_takes_the_place_of_a_later_one() -> None:
    timers = Timers()
    deadline = Deadline(OWNER, CleanupDue())
    timers.set(deadline, 300_000)
    timers.set(deadline, 10)
    assert list(timers.expired(10)) == [deadline]
    assert list(timers.expired(300_000)) == []


def test_a_cancelled_deadline_never_comes() -> None:
    timers = Timers()
    deadline = Deadline(OWNER, CleanupDue())
    timers.set(deadline, 10)
    timers.cancel(deadline)
    timers.set(deadline, 10)  # the same time again: it comes once
    assert list(timers.expired(20)) == [deadline]
    assert list(timers.expired(20)) == []


def test_a_deadline_set_to_a_time_already_past_waits_for_the_next_call() -> None:
    timers = Timers()
    deadline = Deadline(OWNER, CleanupDue())
    timers.set(deadline, 10)
    fired = 0
    for due in timers.expired(20):
        fired += 1
        timers.set(due, 15)
    assert fired == 1
    assert list(timers.expired(20)) == [deadline]


def test_cancelled_deadlines_do_not_pile_up() -> None:
    timers = Timers()
    kept = [Deadline(OWNER, CleanupDue()) for _ in range(10)]
    for deadline in kept:
        timers.set(deadline, 1_000_000)
    for _ in range(10_000):
        deadline = Deadline(OWNER, CleanupDue())
        timers.set(deadline, 500_000)
        timers.cancel(deadline)
    assert len(timers) < 1_000
    assert set(timers.expired(2_000_000)) == set(kept)


def test_deadlines_come_as_a_plain_list_of_times_would_say() -> None:
    """Over random sets, delays and cancellations, each deadline comes at its latest set time."""
    rng = random.Random(7)
    timers = Timers()
    deadlines = [Deadline(OWNER, CleanupDue()) for _ in range(50)]
    due: dict[Deadline, int] = {}
    now_ms = 0
    for _ in range(5_000):
        deadline = rng.choice(deadlines)
        match rng.randrange(4):
            case 0:
                timers.cancel(deadline)
                due.pop(deadline, None)
            case 1 | 2:
                due[deadline] = now_ms + rng.randrange(1, 100)
                timers.set(deadline, due[deadline])
            case _:
                now_ms += rng.randrange(30)
                expected = {d for d, at_ms in due.items() if at_ms <= now_ms}
                assert set(timers.expired(now_ms)) == expected
                for each in expected:
                    del due[each]


def test_deadlines_that_come_ever_nearer_do_not_pile_up() -> None:
    timers = Timers()
    deadline, other = (Deadline(OWNER, CleanupDue()) for _ in range(2))
    for step in range(2_000):
        timers.set(deadline, 1_000_000 - step)
    timers.set(other, 500)
    timers.cancel(other)
    assert len(timers) < 10
    assert list(timers.expired(1_000_000)) == [deadline]
