"""What is known of one producer: its epochs, its last batches, its open transaction.

Kafka's ProducerStateEntry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .batch import NO_PRODUCER_EPOCH, NO_SEQUENCE, NO_TIMESTAMP, decrement_sequence
from .producer_snapshot import SnapshotEntry

if TYPE_CHECKING:
    from collections.abc import Iterable

NO_COORDINATOR_EPOCH = -1


class BatchMetadata(NamedTuple):
    """One of the last batches of a producer. Sequences and offsets are inclusive."""

    last_sequence: int
    last_offset: int
    offset_delta: int
    timestamp: int

    @property
    def first_sequence(self) -> int:
        return decrement_sequence(self.last_sequence, self.offset_delta)

    @property
    def first_offset(self) -> int:
        return self.last_offset - self.offset_delta


class ProducerStateEntry:
    """The state of one producer id. `batches` are its last ones in this epoch, oldest first."""

    __slots__ = (
        "batches",
        "coordinator_epoch",
        "current_transaction_first_offset",
        "last_timestamp",
        "producer_epoch",
        "producer_id",
    )

    def __init__(
        self,
        producer_id: int,
        producer_epoch: int = NO_PRODUCER_EPOCH,
        coordinator_epoch: int = NO_COORDINATOR_EPOCH,
        last_timestamp: int = NO_TIMESTAMP,
        current_transaction_first_offset: int | None = None,
        batches: Iterable[BatchMetadata] = (),
    ) -> None:
        self.producer_id = producer_id
        self.producer_epoch = producer_epoch
        self.coordinator_epoch = coordinator_epoch
        self.last_timestamp = last_timestamp
        self.current_transaction_first_offset = current_transaction_first_offset
        self.batches = list(batches)

    @property
    def last_sequence(self) -> int:
        return self.batches[-1].last_sequence if self.batches else NO_SEQUENCE

    @classmethod
    def from_snapshot(cls, saved: SnapshotEntry) -> ProducerStateEntry:
        """Only the last batch is in a snapshot."""
        batches = []
        if saved.last_offset >= 0:
            batches.append(
                BatchMetadata(
                    saved.last_sequence, saved.last_offset, saved.offset_delta, saved.timestamp
                )
            )
        first_offset = saved.current_transaction_first_offset
        return cls(
            saved.producer_id,
            saved.producer_epoch,
            saved.coordinator_epoch,
            saved.timestamp,
            first_offset if first_offset >= 0 else None,
            batches,
        )

    def to_snapshot(self) -> SnapshotEntry:
        last = self.batches[-1] if self.batches else None
        first_offset = self.current_transaction_first_offset
        return SnapshotEntry(
            self.producer_id,
            self.producer_epoch,
            last.last_sequence if last else NO_SEQUENCE,
            last.last_offset if last else -1,
            last.offset_delta if last else 0,
            self.last_timestamp,
            self.coordinator_epoch,
            -1 if first_offset is None else first_offset,
        )
