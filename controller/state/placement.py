"""Places the replicas of new partitions evenly over racks and brokers, and their leaders too.

Racks take turns, and so do the brokers within a rack. Each partition starts one further than the
one before it, so that leaders are spread. Fenced brokers come last and never lead.

Source: StripedReplicaPlacer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbroker.controller.model import MIGRATING_DIRECTORY, UNASSIGNED_DIRECTORY

if TYPE_CHECKING:
    from collections.abc import Iterable
    from random import Random

    from kbroker.controller.image import BrokerImage, MetadataImage


class PlacementError(Exception):
    """The replication factor cannot be had; the text says why, in Kafka's words."""


def place_replicas(
    brokers: Iterable[BrokerImage], partitions: int, replication_factor: int, rng: Random
) -> list[list[int]]:
    """Replica lists for so many new partitions. PlacementError; never an empty list of replicas.

    Brokers that are shutting down, or whose every directory is cordoned, get no replicas.
    """
    usable = [broker for broker in brokers if _is_usable(broker)]
    if replication_factor <= 0:
        raise PlacementError(
            f"Invalid replication factor {replication_factor}: the replication factor must be "
            "positive."
        )
    if not any(not broker.fenced for broker in usable):
        raise PlacementError(
            "All brokers are currently fenced, or have all their log directories cordoned."
        )
    if replication_factor > len(usable):
        raise PlacementError(
            f"The target replication factor of {replication_factor} cannot be reached because only "
            f"{len(usable)} broker(s) are registered or some brokers have all their log "
            "directories cordoned."
        )
    racks = _Racks(usable, rng)
    return [racks.place(replication_factor) for _ in range(partitions)]


def default_directory(image: MetadataImage, broker_id: int) -> bytes:
    """The directory id a new replica is registered with: the broker's, if it has only one."""
    broker = image.brokers.get(broker_id)
    if broker is None or not broker.log_dirs:
        return MIGRATING_DIRECTORY
    usable = [each for each in broker.log_dirs if each not in (broker.cordoned_log_dirs or ())]
    return usable[0] if len(usable) == 1 else UNASSIGNED_DIRECTORY


def _is_usable(broker: BrokerImage) -> bool:
    if broker.in_controlled_shutdown:
        return False
    cordoned = broker.cordoned_log_dirs
    return not (cordoned and broker.log_dirs and set(broker.log_dirs) <= set(cordoned))


class _Ring:
    """Brokers that take turns: each partition goes round once, starting one further."""

    __slots__ = ("_brokers", "_given", "_partition", "_start")

    def __init__(self, brokers: list[int], rng: Random) -> None:
        self._brokers = sorted(brokers)
        self._start = rng.randrange(len(brokers)) if brokers else 0
        self._partition = 0
        self._given = 0

    def next(self, partition: int) -> int | None:
        """The next broker for `partition`, None once all were given."""
        if not self._brokers:
            return None
        if partition != self._partition:
            self._partition = partition
            self._given = 0
            self._start = (self._start + 1) % len(self._brokers)
        if self._given == len(self._brokers):
            return None
        broker = self._brokers[(self._start + self._given) % len(self._brokers)]
        self._given += 1
        return broker

    def shuffle(self, rng: Random) -> None:
        rng.shuffle(self._brokers)


class _Racks:
    """The cluster while one request's partitions are placed."""

    def __init__(self, brokers: list[BrokerImage], rng: Random) -> None:
        self._rng = rng
        by_rack: dict[str | None, tuple[list[int], list[int]]] = {}
        for broker in brokers:
            live, fenced = by_rack.setdefault(broker.rack, ([], []))
            (fenced if broker.fenced else live).append(broker.broker_id)
        names = sorted(by_rack, key=lambda rack: (rack is not None, rack or ""))
        self._racks = [(_Ring(by_rack[n][0], rng), _Ring(by_rack[n][1], rng)) for n in names]
        self._live = sum(not broker.fenced for broker in brokers)
        self._start = rng.randrange(len(self._racks))
        self._partition = 0

    def place(self, replication_factor: int) -> list[int]:
        # After as many partitions as there are brokers the pattern would come again: mix it up.
        if self._partition == self._live > 1:
            self._rng.shuffle(self._racks)
            for live, fenced in self._racks:
                live.shuffle(self._rng)
                fenced.shuffle(self._rng)
            self._partition = 0
        racks = len(self._racks)
        self._start %= racks
        partition = self._partition
        replicas: list[int] = []
        leader_rack = self._start
        for step in range(racks):
            leader_rack = (self._start + step) % racks
            leader = self._racks[leader_rack][0].next(partition)
            if leader is not None:
                replicas.append(leader)
                break
        rack, passes_leader_rack = self._start, True
        while len(replicas) < replication_factor:
            if passes_leader_rack and rack == leader_rack:
                passes_leader_rack = False
            else:
                live, fenced = self._racks[rack]
                broker = live.next(partition)
                if broker is None:
                    broker = fenced.next(partition)
                if broker is not None:
                    replicas.append(broker)
            rack = (rack + 1) % racks
        self._partition += 1
        self._start += 1
        return replicas
