"""Apache Kafka's names for the levels of metadata.version, and the feature levels of each release.

Source: MetadataVersion, Feature.defaultLevel of Apache Kafka 4.3.0.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from .features import ELIGIBLE_LEADER_REPLICAS, KRAFT_VERSION, METADATA_VERSION, SUPPORTED

if TYPE_CHECKING:
    from collections.abc import Mapping

# From the lowest level that any Kafka of today works at.
_NAMES: Final = (
    *("3.3-IV3", "3.4-IV0"),
    *("3.5-IV0", "3.5-IV1", "3.5-IV2"),
    *("3.6-IV0", "3.6-IV1", "3.6-IV2"),
    *("3.7-IV0", "3.7-IV1", "3.7-IV2", "3.7-IV3", "3.7-IV4"),
    *("3.8-IV0", "3.9-IV0"),
    *("4.0-IV0", "4.0-IV1", "4.0-IV2", "4.0-IV3"),
    *("4.1-IV0", "4.1-IV1"),
    *("4.2-IV0", "4.2-IV1"),
    "4.3-IV0",
)
METADATA_LEVEL_NAMES: Final[Mapping[int, str]] = dict(
    enumerate(_NAMES, start=SUPPORTED[METADATA_VERSION][0])
)
# The metadata.version from which on a feature is at a level, and the level.
_SINCE: Final[Mapping[str, tuple[int, int]]] = {
    KRAFT_VERSION: (21, 1),  # 3.9-IV0
    "group.version": (22, 1),  # 4.0-IV0
    "transaction.version": (24, 2),  # 4.0-IV2
    ELIGIBLE_LEADER_REPLICAS: (26, 1),  # 4.1-IV0
    "share.version": (28, 1),  # 4.2-IV0
    "streams.version": (29, 1),  # 4.2-IV1
}


def metadata_level(name: str) -> int | None:
    """The level of a name (4.0-IV1) or of a release (4.0, 4.0.2: its last one). None: unknown."""
    release = re.fullmatch(r"(\d+\.\d+)(?:\.\d+)?", name, re.ASCII)
    found = None
    for level, known in METADATA_LEVEL_NAMES.items():
        if known == name or (release is not None and known.partition("-")[0] == release[1]):
            found = level
    return found


def release_levels(metadata_level: int) -> dict[str, int]:
    """The levels of all features in a cluster of the release that has this metadata.version."""
    levels = {METADATA_VERSION: metadata_level}
    for name, (since, level) in _SINCE.items():
        levels[name] = level if metadata_level >= since else 0
    return levels
