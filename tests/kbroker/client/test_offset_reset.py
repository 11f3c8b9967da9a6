"""Where offsets would go, decided without a broker; and planned with one."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbroker.client.errors import ClientError
from kbroker.client.offset_reset import (
    PlannedOffset,
    ShiftBy,
    ToCurrent,
    ToGiven,
    ToOffset,
    ToTime,
    Way,
    decide,
    plan_reset,
)
from kbroker.client.producer import Producer
from kbroker.client.records import BEGINNING, END
from kbroker.node.settings import TopicSpec

from .rig import cluster_of

P = ("t", 0)


@pytest.mark.parametrize(
    ("way", "committed", "at_time", "new", "note"),
    [
        (ToTime(BEGINNING), 15, -1, 10, ""),
        (ToTime(END), 15, -1, 20, ""),
        (ToTime(1000), 15, 12, 12, ""),
        (ToTime(1000), 15, -1, 20, "no record is at or after this time, so the end is used"),
        (ToOffset(13), None, -1, 13, ""),
        (ToOffset(10), None, -1, 10, ""),
        (ToOffset(20), None, -1, 20, ""),
        (ToOffset(9), None, -1, 10, "9 is before the start of the log"),
        (ToOffset(21), None, -1, 20, "21 is after the end of the log"),
        (ShiftBy(2), 15, -1, 17, ""),
        (ShiftBy(-2), 15, -1, 13, ""),
        (ShiftBy(-20), 15, -1, 10, "-5 is before the start of the log"),
        (ToCurrent(), 15, -1, 15, ""),
        (ToCurrent(), 5, -1, 10, "5 is before the start of the log"),
        (ToCurrent(), None, -1, 20, "no offset was committed, so the end is used"),
        (ToGiven({P: 11}), 15, -1, 11, ""),
    ],
)
def test_where_an_offset_goes(
    way: Way, committed: int | None, at_time: int, new: int, note: str
) -> None:
    assert decide(P, way, committed, 10, 20, at_time) == PlannedOffset("t", 0, committed, new, note)


def test_what_is_not_committed_cannot_be_shifted() -> None:
    with pytest.raises(ClientError, match=r"Partition t-0 cannot be shifted"):
        decide(P, ShiftBy(1), None, 10, 20, -1)


@given(
    st.one_of(
        st.builds(ToOffset, st.integers(0, 1 << 62)),
        st.builds(ShiftBy, st.integers(-(1 << 62), 1 << 62)),
        st.builds(ToTime, st.sampled_from([BEGINNING, END, 0, 5])),
        st.just(ToCurrent()),
    ),
    st.integers(0, 1 << 62),
    st.integers(0, 1 << 40),
    st.integers(0, 1 << 40),
)
def test_it_is_always_inside_of_the_log(way: Way, committed: int, start: int, size: int) -> None:
    planned = decide(P, way, committed, start, start + size, -1)
    assert start <= planned.new <= start + size


async def test_a_plan_changes_nothing() -> None:
    async with cluster_of(TopicSpec("t", 2)) as (cluster, _):
        producer = Producer(cluster, "t", random.Random(1))
        await producer.start()
        for number in range(6):
            producer.send(1000 + number, None, b"x", partition=number % 2)
        await producer.flush()
        plan = await plan_reset(cluster, [("t", 1), ("t", 0)], {("t", 0): 3}, ToTime(1003))
        assert plan == [
            PlannedOffset("t", 0, 3, 2, ""),
            PlannedOffset("t", 1, None, 1, ""),
        ]
