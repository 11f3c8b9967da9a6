"""Placement: as even as Kafka's StripedReplicaPlacer makes it."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbroker.controller.model import BrokerImage
from kbroker.controller.state.placement import PlacementError, place_replicas


def broker(broker_id: int, rack: str | None = None, *, fenced: bool = False) -> BrokerImage:
    return BrokerImage(
        broker_id=broker_id,
        epoch=1,
        incarnation_id=b"i" * 16,
        endpoints={},
        features={},
        rack=rack,
        fenced=fenced,
        in_controlled_shutdown=False,
        log_dirs=[],
        cordoned_log_dirs=None,
    )


@given(
    st.dictionaries(
        st.integers(0, 20),
        st.tuples(st.sampled_from([None, "a", "b", "c"]), st.booleans()),
        min_size=1,
        max_size=12,
    ),
    st.integers(1, 30),
    st.integers(1, 5),
    st.integers(0, 1000),
)
def test_replicas_are_distinct_brokers_led_by_a_live_one(
    cluster: dict[int, tuple[str | None, bool]], partitions: int, factor: int, seed: int
) -> None:
    brokers = [broker(i, rack, fenced=fenced) for i, (rack, fenced) in cluster.items()]
    live = {i for i, (_, fenced) in cluster.items() if not fenced}
    if not live or factor > len(brokers):
        with pytest.raises(PlacementError):
            place_replicas(brokers, partitions, factor, random.Random(seed))
        return
    placed = place_replicas(brokers, partitions, factor, random.Random(seed))
    assert len(placed) == partitions
    for replicas in placed:
        assert len(set(replicas)) == factor
        assert set(replicas) <= set(cluster)
        assert replicas[0] in live


@given(st.integers(1, 8), st.integers(1, 5), st.integers(1, 4), st.integers(0, 1000))
def test_without_racks_leaders_and_replicas_are_even(
    brokers: int, rounds: int, factor: int, seed: int
) -> None:
    factor = min(factor, brokers)
    placed = place_replicas(
        [broker(i) for i in range(brokers)], brokers * rounds, factor, random.Random(seed)
    )
    assert set(Counter(replicas[0] for replicas in placed).values()) == {rounds}
    everywhere = Counter(each for replicas in placed for each in replicas)
    assert set(everywhere.values()) == {rounds * factor}


@given(st.integers(0, 1000))
def test_replicas_stand_in_different_racks_while_there_are_any(seed: int) -> None:
    brokers = [broker(i, "abc"[i % 3]) for i in range(9)]
    for replicas in place_replicas(brokers, 20, 3, random.Random(seed)):
        assert {each % 3 for each in replicas} == {0, 1, 2}


@pytest.mark.parametrize("seed", range(5))
def test_racks_take_turns_by_name_in_whatever_order_brokers_came(seed: int) -> None:
    racks = [None, "a", "b", "c"]
    brokers = [broker(index, rack) for index, rack in enumerate(racks)]
    placed = place_replicas(brokers, 4, 2, random.Random(seed))
    assert place_replicas(brokers[::-1], 4, 2, random.Random(seed)) == placed
    assert place_replicas(brokers[2:] + brokers[:2], 4, 2, random.Random(seed)) == placed
    first = placed[0][0]
    assert placed == [[(first + i) % 4, (first + i + 1) % 4] for i in range(4)]


def test_one_broker_takes_everything() -> None:
    assert place_replicas([broker(7)], 3, 1, random.Random(1)) == [[7], [7], [7]]
