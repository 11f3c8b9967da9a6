"""One release of Apache Kafka: which APIs, levels and keys it has.

A release is data (`v4_4.py` and its like), imported when it is first asked for.
"""

from __future__ import annotations

from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias

from kbroker.wire.limits import Limits

from .behaviour import BEHAVIOUR, Behaviour

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

ConfiguredResource: TypeAlias = Literal["BROKER", "TOPIC", "GROUP", "CLIENT_METRICS"]

# From the oldest to the newest; the newest has everything that any other has.
NAMES: Final = ("4.3", "4.4")


class UnknownRelease(ValueError):
    """A release that kbroker does not know; the text lists those that it knows."""


class KeyFacts(NamedTuple):
    """A configuration key, as the text of Kafka's ConfigDef and its neighbours."""

    type: str
    default: str | None  # None: there is none, or it is null
    validator: str | None
    mode: str | None  # of a broker's key: read-only, per-broker or cluster-wide
    internal: bool
    synonyms: tuple[str, ...]


class Release:
    """`name` is what users write, such as 4.4; `version` the patch of the facts, such as 4.4.0."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"Release({self.name})"

    @cached_property
    def _facts(self) -> Any:
        return import_module(f".v{self.name.replace('.', '_')}", __package__)

    @property
    def behaviour(self) -> Behaviour:
        """What it does that no class of Kafka states as data."""
        return BEHAVIOUR[self.name]

    @property
    def version(self) -> str:
        return str(self._facts.VERSION)

    def api_versions(self, key: int) -> tuple[int, int] | None:
        """The oldest and the latest stable version; None if a broker's listener has no such API."""
        if key not in self._facts.LISTENERS["BROKER"]:
            return None
        oldest, latest, _ = self._facts.APIS[key]
        return oldest, latest

    @property
    def limits(self) -> Limits:
        """How much of a request is decoded."""
        return Limits(self._facts.ELEMENTS_MAX, self._facts.TAGGED_FIELDS_MAX)

    @cached_property
    def metadata_level_names(self) -> Mapping[int, str]:
        """The levels of metadata.version that the release can run at, with their names."""
        return {
            level: name
            for level, name, _ in self._facts.METADATA_VERSIONS
            if level <= self._facts.METADATA_VERSION_LATEST
        }

    @cached_property
    def metadata_changes(self) -> frozenset[int]:
        """The levels of metadata.version that brought metadata which an earlier one lacks."""
        return frozenset(level for level, _, changes in self._facts.METADATA_VERSIONS if changes)

    @cached_property
    def features(self) -> Mapping[str, int]:
        """The other features, and the highest level of each in production."""
        return {name: latest for name, (latest, _, _) in self._facts.FEATURES.items()}

    def dependencies(self, feature: str, level: int) -> Mapping[str, int]:
        """The levels of other features that a level of `feature` needs."""
        _, needs, _ = self._facts.FEATURES[feature]
        found: Mapping[str, int] = needs.get(level, {})
        return found

    def default_levels(self, metadata_level: int) -> dict[str, int]:
        """What each other feature is at in a new cluster at this level of metadata.version.

        In the order in which the features came.
        """
        features = sorted(self._facts.FEATURES.items(), key=lambda each: min(each[1][2]))
        return {
            name: max((at for since, at in rises.items() if since <= metadata_level), default=0)
            for name, (_, _, rises) in features
        }

    @property
    def errors(self) -> Sequence[tuple[int, str, bool, str]]:
        """Each error code with its name, whether a client may try again, and its text."""
        found: Sequence[tuple[int, str, bool, str]] = self._facts.ERRORS
        return found

    def keys(self, resource: ConfiguredResource) -> Collection[str]:
        """The names of the configuration keys that a kind of resource has."""
        found: Collection[str] = self._facts.KEYS[resource].keys()
        return found

    def key(self, resource: ConfiguredResource, name: str) -> KeyFacts:
        """What the release says of a configuration key. KeyError."""
        return KeyFacts(*self._facts.KEYS[resource][name])


RELEASES: Final[Mapping[str, Release]] = {name: Release(name) for name in NAMES}
NEWEST: Final = RELEASES[NAMES[-1]]
# What a broker answers as, unless it is told another.
DEFAULT: Final = RELEASES["4.3"]


def find_release(text: str) -> Release:
    """By `4.4`, or by a patch of it, `4.4.0`. UnknownRelease."""
    name = ".".join(text.split(".")[:2])
    found = RELEASES.get(name)
    if found is None or any(not part.isdecimal() for part in text.split(".")):
        raise UnknownRelease(
            f"{text!r} is no release that kbroker knows; it knows {' and '.join(NAMES)}"
        )
    return found
