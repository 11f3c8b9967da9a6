"""Apache Kafka's names for the levels of metadata.version, and the feature levels of each release.

Which there are, `kbroker.releases` says. Source: MetadataVersion, Feature.defaultLevel.
"""

from __future__ import annotations

import re
from typing import Final

from kbroker.releases.release import DEFAULT

from .features import METADATA_VERSION

METADATA_LEVEL_NAMES: Final = DEFAULT.metadata_level_names


def metadata_level(name: str) -> int | None:
    """The level of a name (4.0-IV1) or of a release (4.0, 4.0.2: its last one). None: unknown."""
    release = re.fullmatch(r"(\d+\.\d+)(?:\.\d+)?", name, re.ASCII)
    found = None
    for level, known in METADATA_LEVEL_NAMES.items():
        if known == name or (release is not None and known.partition("-")[0] == release[1]):
            found = level
    return found


def release_levels(metadata_level: int) -> dict[str, int]:
    """The levels of all features in a cluster of the release that has this metadata.version.

    kraft.version is that of a dynamic quorum, as Kafka's feature tool has it.
    """
    return {METADATA_VERSION: metadata_level, **DEFAULT.default_levels(metadata_level)}
