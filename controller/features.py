"""Feature levels: those that this version of kbroker supports, and those of a new cluster.

Which levels there are, `kbroker.releases` says. Source: KIP-584, KIP-1022.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kbroker.releases.release import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Mapping

METADATA_VERSION: Final = "metadata.version"
ELIGIBLE_LEADER_REPLICAS: Final = "eligible.leader.replicas.version"
KRAFT_VERSION: Final = "kraft.version"

# Name -> lowest and highest level that this version of kbroker supports.
SUPPORTED: Final[Mapping[str, tuple[int, int]]] = {
    METADATA_VERSION: (min(DEFAULT.metadata_level_names), max(DEFAULT.metadata_level_names)),
    **{name: (0, latest) for name, latest in sorted(DEFAULT.features.items())},
}

# What `kafka-storage format` gives a new cluster. kraft.version is 0, and no record says so.
FRESH: Final[Mapping[str, int]] = {
    METADATA_VERSION: SUPPORTED[METADATA_VERSION][1],
    **{
        name: level
        for name, level in sorted(DEFAULT.default_levels(SUPPORTED[METADATA_VERSION][1]).items())
        if name != KRAFT_VERSION
    },
}

# The metadata.version from which on a record may say more.
CONTROLLED_SHUTDOWN_SINCE: Final = 7  # 3.3-IV3
MIGRATION_SINCE: Final = 8  # 3.4-IV0
ISR_SHRINKS_IN_ITS_EPOCH_SINCE: Final = 12  # 3.6-IV0
METADATA_TRANSACTIONS_SINCE: Final = 13  # 3.6-IV1
CONTROLLER_REGISTRATION_SINCE: Final = 15  # 3.7-IV0
DIRECTORY_ASSIGNMENT_SINCE: Final = 17  # 3.7-IV2
ELR_SINCE: Final = 23  # 4.0-IV1
CORDONED_DIRECTORIES_SINCE: Final = 30  # 4.3-IV0


def loses_metadata(current: int, lower: int) -> bool:
    """Whether going down to metadata.version `lower` might lose what the records of now say."""
    return any(level in DEFAULT.metadata_changes for level in range(lower + 1, current + 1))


class UnsupportedLevel(ValueError):
    """The cluster runs at a level at which this software cannot work; the text says which."""


def check_level(name: str, level: int) -> None:
    """UnsupportedLevel unless this software understands what the cluster's records say so."""
    if name == KRAFT_VERSION:
        return  # The quorum's own records have its level, not the cluster's.
    low, high = SUPPORTED.get(name, (0, 0))
    if low <= level <= high:
        return
    if high == 0:
        raise UnsupportedLevel(
            f"{name} is at level {level}, but this version of kbroker does not know this feature"
        )
    whose = "a later" if level > high else "an earlier"
    raise UnsupportedLevel(
        f"{name} is at level {level}, from {whose} Kafka, but this version of kbroker "
        f"supports {low} to {high}"
    )
