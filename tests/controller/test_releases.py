"""The names of metadata.version's levels, as Apache Kafka 4.3.0 has them."""

from __future__ import annotations

import pytest

from kbroker.controller.features import FRESH, KRAFT_VERSION, METADATA_VERSION, SUPPORTED
from kbroker.controller.releases import METADATA_LEVEL_NAMES, metadata_level, release_levels


def test_every_level_that_we_support_has_a_name() -> None:
    low, high = SUPPORTED[METADATA_VERSION]
    assert list(METADATA_LEVEL_NAMES) == list(range(low, high + 1))
    assert len(set(METADATA_LEVEL_NAMES.values())) == len(METADATA_LEVEL_NAMES)


@pytest.mark.parametrize(
    ("name", "level"),
    [
        ("3.3", 7),
        ("3.3-IV3", 7),
        ("3.7-IV4", 19),
        ("3.9.1", 21),
        ("4.0", 25),
        ("4.0.1", 25),
        ("4.0-IV0", 22),
        ("4.3", 30),
        ("4.3.0", 30),
        ("4.3-IV0", 30),
        ("4.3-IV1", None),
        ("4.3-iv0", None),
        ("4.4", None),
        ("4", None),
        ("3.3-IV2", None),
        ("", None),
        ("4.3.0.0", None),
    ],
)
def test_a_level_goes_by_its_name_or_by_the_release(name: str, level: int | None) -> None:
    assert metadata_level(name) == level


def test_the_newest_release_has_what_a_fresh_cluster_has_and_dynamic_quorums() -> None:
    assert release_levels(SUPPORTED[METADATA_VERSION][1]) == {**FRESH, KRAFT_VERSION: 1}


_4_1 = {
    "kraft.version": 1,
    "group.version": 1,
    "transaction.version": 2,
    "eligible.leader.replicas.version": 1,
}


@pytest.mark.parametrize(
    ("name", "raised"),
    [
        ("3.8", {}),
        ("3.9", {"kraft.version": 1}),
        ("4.0-IV1", {"kraft.version": 1, "group.version": 1}),
        ("4.0", {"kraft.version": 1, "group.version": 1, "transaction.version": 2}),
        ("4.1-IV0", _4_1),
        ("4.1", _4_1),
        ("4.2-IV0", {**_4_1, "share.version": 1}),
        ("4.2-IV1", {**_4_1, "share.version": 1, "streams.version": 1}),
    ],
)
def test_an_older_release_has_the_features_that_it_came_with(
    name: str, raised: dict[str, int]
) -> None:
    level = metadata_level(name)
    assert level is not None
    levels = release_levels(level)
    assert levels.pop(METADATA_VERSION) == level
    assert {feature: number for feature, number in levels.items() if number} == raised
