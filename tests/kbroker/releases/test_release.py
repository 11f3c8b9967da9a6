"""What is known of each release, by what users and handlers ask of it."""

from __future__ import annotations

import pytest

from kbroker.releases.release import (
    NEWEST,
    RELEASES,
    ConfiguredResource,
    UnknownRelease,
    find_release,
)
from kbroker.wire.errors import ErrorCode

RESOURCES: tuple[ConfiguredResource, ...] = ("BROKER", "TOPIC", "GROUP", "CLIENT_METRICS")
OLD, NEW = RELEASES["4.3"], RELEASES["4.4"]


@pytest.mark.parametrize(
    ("text", "name"), [("4.3", "4.3"), ("4.3.0", "4.3"), ("4.3.2", "4.3"), ("4.4", "4.4")]
)
def test_a_release_is_found_by_itself_or_by_a_patch(text: str, name: str) -> None:
    assert find_release(text) is RELEASES[name]


@pytest.mark.parametrize("text", ["", "4", "4.2", "5.0", "4.4-IV2", "4.4.x", "newest", "4.4."])
def test_an_unknown_release_says_which_there_are(text: str) -> None:
    with pytest.raises(UnknownRelease, match=r"it knows 4\.3 and 4\.4"):
        find_release(text)


def test_the_newest_has_all_that_others_have() -> None:
    assert NEWEST is NEW
    for release in RELEASES.values():
        for key in range(100):
            versions = release.api_versions(key)
            if versions is not None:
                newest = NEWEST.api_versions(key)
                assert newest is not None
                assert newest[0] <= versions[0] <= versions[1] <= newest[1]
        for resource in RESOURCES:
            assert set(release.keys(resource)) <= set(NEWEST.keys(resource))


@pytest.mark.parametrize(
    ("key", "old", "new"),
    [(0, (3, 13), (3, 13)), (18, (0, 4), (0, 5)), (42, (0, 2), (0, 3)), (94, None, (0, 0))],
)
def test_apis(key: int, old: tuple[int, int] | None, new: tuple[int, int] | None) -> None:
    assert (OLD.api_versions(key), NEW.api_versions(key)) == (old, new)


@pytest.mark.parametrize("key", [4, 5, 52, 62])
def test_apis_that_no_broker_serves_its_clients(key: int) -> None:
    assert OLD.api_versions(key) is None
    assert NEW.api_versions(key) is None


def test_levels() -> None:
    assert max(OLD.metadata_level_names.items()) == (30, "4.3-IV0")
    assert max(NEW.metadata_level_names.items()) == (33, "4.4-IV2")
    assert NEW.metadata_changes - OLD.metadata_changes == {32, 33}
    assert (OLD.features["share.version"], NEW.features["share.version"]) == (1, 2)
    assert list(OLD.default_levels(30).items()) == [
        ("kraft.version", 1),
        ("group.version", 1),
        ("transaction.version", 2),
        ("eligible.leader.replicas.version", 1),
        ("share.version", 1),
        ("streams.version", 1),
    ]
    assert NEW.default_levels(30)["share.version"] == 1
    assert NEW.default_levels(31)["share.version"] == 2
    assert NEW.default_levels(27)["share.version"] == 0
    assert NEW.dependencies("eligible.leader.replicas.version", 1) == {"metadata.version": 23}
    assert NEW.dependencies("share.version", 2) == {}


def test_limits_of_the_decoder() -> None:
    assert (OLD.limits.elements_max, OLD.limits.tagged_fields_max) == (None, None)
    assert (NEW.limits.elements_max, NEW.limits.tagged_fields_max) == (1_000_000, 10_000)


def test_error_codes_are_those_of_the_newest() -> None:
    theirs = [(code, name, retriable, text) for code, name, retriable, text in NEW.errors]
    assert theirs == [(int(e), e.name, e.retriable, e.message) for e in ErrorCode]
