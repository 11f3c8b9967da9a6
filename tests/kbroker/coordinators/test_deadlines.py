from __future__ import annotations

import random

from kbroker.coordinators.deadlines import NEVER, Deadline, Deadlines


class Owner:
    """Whose deadlines they are."""

    index = 0


OWNER = Owner()


def test_putting_a_deadline_off_does_not_touch_the_heap() -> None:
    deadlines: Deadlines[str] = Deadlines()
    deadline = Deadline(OWNER, "due")
    for due_ms in range(100, 10_000):
        deadlines.set(deadline, due_ms)
    assert len(deadlines) == 1
    assert deadlines.next_ms() == 100
    assert list(deadlines.expired(9_998)) == []
    assert deadlines.next_ms() == 9_999
    assert list(deadlines.expired(9_999)) == [deadline]
    assert deadlines.next_ms() == NEVER


def test_an_earlier_deadline_takes_the_place_of_a_later_one() -> None:
    deadlines: Deadlines[str] = Deadlines()
    deadline = Deadline(OWNER, "due")
    deadlines.set(deadline, 300_000)
    deadlines.set(deadline, 10)
    assert list(deadlines.expired(10)) == [deadline]
    assert list(deadlines.expired(300_000)) == []


def test_a_cancelled_deadline_never_comes() -> None:
    deadlines: Deadlines[str] = Deadlines()
    deadline = Deadline(OWNER, "due")
    deadlines.set(deadline, 10)
    deadlines.cancel(deadline)
    deadlines.set(deadline, 10)  # the same time again: it comes once
    assert list(deadlines.expired(20)) == [deadline]
    assert list(deadlines.expired(20)) == []


def test_a_deadline_set_to_a_time_already_past_waits_for_the_next_call() -> None:
    deadlines: Deadlines[str] = Deadlines()
    deadline = Deadline(OWNER, "due")
    deadlines.set(deadline, 10)
    fired = 0
    for due in deadlines.expired(20):
        fired += 1
        deadlines.set(due, 15)
    assert fired == 1
    assert list(deadlines.expired(20)) == [deadline]


def test_cancelled_deadlines_do_not_pile_up() -> None:
    deadlines: Deadlines[str] = Deadlines()
    kept = [Deadline(OWNER, "due") for _ in range(10)]
    for deadline in kept:
        deadlines.set(deadline, 1_000_000)
    for _ in range(10_000):
        deadline = Deadline(OWNER, "due")
        deadlines.set(deadline, 500_000)
        deadlines.cancel(deadline)
    assert len(deadlines) < 1_000
    assert set(deadlines.expired(2_000_000)) == set(kept)


def test_deadlines_come_as_a_plain_list_of_times_would_say() -> None:
    """Over random sets, delays and cancellations, each deadline comes at its latest set time."""
    rng = random.Random(7)
    deadlines: Deadlines[str] = Deadlines()
    fifty = [Deadline(OWNER, "due") for _ in range(50)]
    due: dict[Deadline[str], int] = {}
    now_ms = 0
    for _ in range(5_000):
        deadline = rng.choice(fifty)
        match rng.randrange(4):
            case 0:
                deadlines.cancel(deadline)
                due.pop(deadline, None)
            case 1 | 2:
                due[deadline] = now_ms + rng.randrange(1, 100)
                deadlines.set(deadline, due[deadline])
            case _:
                now_ms += rng.randrange(30)
                expected = {d for d, at_ms in due.items() if at_ms <= now_ms}
                assert set(deadlines.expired(now_ms)) == expected
                for each in expected:
                    del due[each]


def test_deadlines_that_come_ever_nearer_do_not_pile_up() -> None:
    deadlines: Deadlines[str] = Deadlines()
    deadline, other = (Deadline(OWNER, "due") for _ in range(2))
    for step in range(2_000):
        deadlines.set(deadline, 1_000_000 - step)
    deadlines.set(other, 500)
    deadlines.cancel(other)
    assert len(deadlines) < 10
    assert list(deadlines.expired(1_000_000)) == [deadline]
