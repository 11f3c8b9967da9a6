"""The parts of a MetadataImage: topics, partitions, brokers and controllers."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, NamedTuple

NO_LEADER: Final = -1

# Directory ids that are no directory (org.apache.kafka.common.DirectoryId).
UNASSIGNED_DIRECTORY: Final = bytes(15) + b"\x01"
LOST_DIRECTORY: Final = bytes(15) + b"\x02"
MIGRATING_DIRECTORY: Final = bytes(16)
RESERVED_DIRECTORIES_MAX: Final = 100
"""All ids up to this number are reserved."""


class LeaderRecovery(IntEnum):
    """LeaderRecoveryState: a leader elected from outside the ISR has data loss to make good."""

    NO_CHANGE = -1
    RECOVERED = 0
    RECOVERING = 1


@dataclass(slots=True, kw_only=True)
class PartitionImage:
    """One partition. Lists are never changed in place: a change puts another list here."""

    replicas: list[int]
    isr: list[int]
    leader: int
    leader_epoch: int
    partition_epoch: int
    directories: list[bytes]
    elr: list[int] = field(default_factory=list)
    last_known_elr: list[int] = field(default_factory=list)
    adding_replicas: list[int] = field(default_factory=list)
    removing_replicas: list[int] = field(default_factory=list)
    leader_recovery_state: int = LeaderRecovery.RECOVERED

    @property
    def has_preferred_leader(self) -> bool:
        return bool(self.replicas) and self.leader == self.replicas[0]

    def directory_of(self, broker_id: int) -> bytes:
        """Where `broker_id` keeps its replica. ValueError if it has none."""
        return self.directories[self.replicas.index(broker_id)]


@dataclass(slots=True)
class TopicImage:
    """One topic and its partitions by number."""

    name: str
    topic_id: bytes
    partitions: dict[int, PartitionImage] = field(default_factory=dict)


class EndpointImage(NamedTuple):
    """A listener as registered; `security_protocol` is Kafka's code (0 PLAINTEXT, 1 SSL, ...)."""

    host: str
    port: int
    security_protocol: int


@dataclass(slots=True, kw_only=True)
class BrokerImage:
    """A registered broker. By its epoch, the offset of its registration, its lives are told
    apart.
    """

    broker_id: int
    epoch: int
    incarnation_id: bytes
    endpoints: dict[str, EndpointImage]
    features: dict[str, tuple[int, int]]
    rack: str | None
    fenced: bool
    in_controlled_shutdown: bool
    log_dirs: list[bytes]
    cordoned_log_dirs: list[bytes] | None
    is_migrating: bool = False

    @property
    def is_active(self) -> bool:
        """May lead and be in an ISR."""
        return not self.fenced and not self.in_controlled_shutdown


@dataclass(slots=True, kw_only=True)
class ControllerImage:
    """A registered controller."""

    controller_id: int
    incarnation_id: bytes
    endpoints: dict[str, EndpointImage]
    features: dict[str, tuple[int, int]]
    zk_migration_ready: bool = False


def collision_key(name: str) -> str | None:
    """What topic names that metrics cannot tell apart have in common; None for most names."""
    return name.replace(".", "_") if "." in name or "_" in name else None
