"""MetadataImage: the state of the cluster according to its metadata records.

Only `replay` changes it, in place, and in a time that does not depend on the size of the cluster.
The active controller has an image that includes uncommitted records. Each node has one of the
committed records. Records of features that are not built are kept, so that our snapshots have them.

Source: org.apache.kafka.image.*, ReplicationControlManager.replay, PartitionRegistration.merge.
"""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Final

from .delta import ImageDelta
from .features import ELIGIBLE_LEADER_REPLICAS, METADATA_VERSION
from .kept import KeptRecords
from .model import (
    NO_LEADER,
    BrokerImage,
    ControllerImage,
    EndpointImage,
    PartitionImage,
    TopicImage,
)
from .replay import ABORT_TRANSACTION, BEGIN_TRANSACTION, END_TRANSACTION, REPLAY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kbroker.wire.message import Message

__all__ = [
    "NO_LEADER",
    "BrokerImage",
    "ControllerImage",
    "EndpointImage",
    "ImageDelta",
    "MetadataImage",
    "PartitionImage",
    "TopicImage",
]

# The metadata transaction of a writer that went mad must not fill the memory.
TRANSACTION_RECORDS_MAX: Final = 1_000_000


class MetadataImage:
    """See the module. `offset` and `epoch` are of the last record replayed, -1 before the first."""

    __slots__ = (
        "_open_transaction",
        "brokers",
        "collisions",
        "configs",
        "controllers",
        "epoch",
        "features",
        "kept",
        "leader_counts",
        "leaderless",
        "next_producer_id",
        "offset",
        "replica_counts",
        "topics",
        "topics_by_id",
    )

    def __init__(self) -> None:
        self.offset = -1
        self.epoch = -1
        self.topics: dict[str, TopicImage] = {}
        self.topics_by_id: dict[bytes, TopicImage] = {}
        self.brokers: dict[int, BrokerImage] = {}
        self.controllers: dict[int, ControllerImage] = {}
        self.configs: dict[tuple[int, str], dict[str, str]] = {}
        self.features: dict[str, int] = {}
        self.next_producer_id = 0
        self.kept = KeptRecords()
        # What follows from the above, kept up with it:
        self.collisions: dict[str, set[str]] = {}
        self.replica_counts: dict[int, int] = {}
        self.leader_counts: dict[int, int] = {}
        self.leaderless: set[tuple[bytes, int]] = set()
        self._open_transaction: list[Message] | None = None

    @property
    def metadata_version(self) -> int:
        """The level of metadata.version; 0 before the first record."""
        return self.features.get(METADATA_VERSION, 0)

    @property
    def elr_enabled(self) -> bool:
        """Whether partitions keep eligible leader replicas (KIP-966)."""
        return self.features.get(ELIGIBLE_LEADER_REPLICAS, 0) > 0

    @property
    def in_transaction(self) -> bool:
        """True between a BeginTransactionRecord and its end: what it wrote does not count yet."""
        return self._open_transaction is not None

    def apply(
        self,
        records: Iterable[Message],
        base_offset: int,
        epoch: int,
        delta: ImageDelta | None = None,
    ) -> ImageDelta:
        """Replay a batch that starts at `base_offset`. Returns what changed, added to `delta`."""
        delta = ImageDelta() if delta is None else delta
        for offset, record in enumerate(records, base_offset):
            self.replay(record, offset, delta)
        self.epoch = epoch
        return delta

    def replay(self, record: Message, offset: int, delta: ImageDelta | None = None) -> None:
        """Take up one record. AssertionError or KeyError if it cannot follow what came before,
        UnsupportedLevel if the cluster runs at a level that is not ours.

        Records of a metadata transaction wait for its end, and are forgotten if it is aborted
        (KIP-868).
        """
        if delta is None:
            delta = ImageDelta()
        key = record.API_KEY
        pending = self._open_transaction
        if key == BEGIN_TRANSACTION:
            assert pending is None, f"a transaction within a transaction at {offset}"
            self._open_transaction = []
        elif key in (END_TRANSACTION, ABORT_TRANSACTION):
            assert pending is not None, f"the end of no transaction at {offset}"
            self._open_transaction = None
            if key == END_TRANSACTION:
                for each in pending:
                    self._take_up(each, offset, delta)
        elif pending is not None:
            assert len(pending) < TRANSACTION_RECORDS_MAX, f"transaction too long at {offset}"
            pending.append(record)
        else:
            self._take_up(record, offset, delta)
        self.offset = offset

    def _take_up(self, record: Message, offset: int, delta: ImageDelta) -> None:
        key = record.API_KEY
        assert key is not None, f"{record} at {offset} is no metadata record"
        REPLAY[key](self, record, delta)

    def copy(self) -> MetadataImage:
        """An image that goes its own way. Costs as much as the cluster is large: for elections."""
        other = MetadataImage()
        if self._open_transaction is not None:
            other._open_transaction = list(self._open_transaction)
        other.offset, other.epoch = self.offset, self.epoch
        for topic in self.topics.values():
            twin = TopicImage(topic.name, topic.topic_id)
            twin.partitions = {i: copy(partition) for i, partition in topic.partitions.items()}
            other.topics[twin.name] = other.topics_by_id[twin.topic_id] = twin
        other.brokers = {i: copy(broker) for i, broker in self.brokers.items()}
        other.controllers = {i: copy(controller) for i, controller in self.controllers.items()}
        other.configs = {resource: dict(values) for resource, values in self.configs.items()}
        other.features = dict(self.features)
        other.next_producer_id = self.next_producer_id
        other.kept = self.kept.copy()
        other.collisions = {key: set(names) for key, names in self.collisions.items()}
        other.replica_counts = dict(self.replica_counts)
        other.leader_counts = dict(self.leader_counts)
        other.leaderless = set(self.leaderless)
        return other

    def __eq__(self, other: object) -> bool:
        """Same cluster at the same offset. Counts of zero count as none."""
        if not isinstance(other, MetadataImage):
            return NotImplemented
        derived = {"replica_counts", "leader_counts"}
        return all(
            getattr(self, name) == getattr(other, name)
            for name in self.__slots__
            if name not in derived
        ) and all(
            {k: n for k, n in getattr(self, name).items() if n}
            == {k: n for k, n in getattr(other, name).items() if n}
            for name in derived
        )

    __hash__ = None  # type: ignore[assignment]

    def is_active(self, broker_id: int) -> bool:
        """True if the broker may lead and be in an ISR."""
        broker = self.brokers.get(broker_id)
        return broker is not None and broker.is_active
