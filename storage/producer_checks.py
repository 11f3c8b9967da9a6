"""The rules that an append of an idempotent or transactional producer must keep.

Kafka's ProducerAppendInfo. A rule compares a batch with what is known of its producer, and changes
nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .batch import (
    INT32_MAX,
    NO_PRODUCER_EPOCH,
    NO_PRODUCER_ID,
    NO_SEQUENCE,
    ControlType,
    control_type,
    end_transaction_coordinator_epoch,
    records,
)
from .errors import (
    InvalidProducerEpoch,
    InvalidRecord,
    OutOfOrderSequence,
    TransactionCoordinatorFenced,
)
from .origin import Origin
from .producer_entry import NO_COORDINATOR_EPOCH

if TYPE_CHECKING:
    from .batch import BatchHeader
    from .producer_entry import ProducerStateEntry

PRODUCER_EPOCH_MAX = 32767


class Duplicate:
    """The batch was appended before: what to answer with. Offsets are inclusive."""

    __slots__ = ("first_offset", "last_offset", "timestamp")

    def __init__(self, first_offset: int, last_offset: int, timestamp: int) -> None:
        self.first_offset = first_offset
        self.last_offset = last_offset
        self.timestamp = timestamp


class ProducerAppendInfo:
    """A checked append that `commit` will make known; opaque to others."""

    __slots__ = (
        "coordinator_epoch",
        "entry",
        "is_aborted",
        "is_marker",
        "is_transactional",
        "last_sequence",
        "offset_delta",
        "producer_epoch",
        "producer_id",
        "timestamp",
    )

    def __init__(
        self,
        entry: ProducerStateEntry | None,
        producer_id: int,
        producer_epoch: int,
        timestamp: int,
        offset_delta: int,
        last_sequence: int,
        is_transactional: bool,
    ) -> None:
        self.entry = entry
        self.producer_id = producer_id
        self.producer_epoch = producer_epoch
        self.timestamp = timestamp
        self.offset_delta = offset_delta
        self.last_sequence = last_sequence
        self.is_transactional = is_transactional
        self.is_marker = False
        self.is_aborted = False
        self.coordinator_epoch = NO_COORDINATOR_EPOCH


def check_sequence(entry: ProducerStateEntry, header: BatchHeader) -> None:
    """That the batch continues the producer's last one. OutOfOrderSequence."""
    current_epoch = entry.producer_epoch
    sequence = header.base_sequence
    if current_epoch == NO_PRODUCER_EPOCH:
        return  # nothing is known of it: any sequence may be the first
    if header.producer_epoch != current_epoch:
        if sequence:
            raise OutOfOrderSequence(
                f"invalid sequence number for new epoch of producer {header.producer_id}: "
                f"{header.producer_epoch} (request epoch), {sequence} (seq. number), "
                f"{current_epoch} (current producer epoch)"
            )
        return
    last_sequence = entry.last_sequence
    if sequence != last_sequence + 1 and (sequence or last_sequence != INT32_MAX):
        raise OutOfOrderSequence(
            f"out of order sequence number for producer {header.producer_id}: "
            f"{sequence} (incoming seq. number), {last_sequence} (current end sequence number)"
        )


def prepare_marker(
    entry: ProducerStateEntry | None,
    header: BatchHeader,
    batch: memoryview | None,
    origin: Origin,
    transaction_version: int,
) -> ProducerAppendInfo:
    """Check a transaction marker. `batch` is all of it.

    Raises InvalidProducerEpoch, TransactionCoordinatorFenced, or InvalidRecord for a broken marker.
    """
    if batch is None:
        raise ValueError("a transaction marker is needed whole")
    prepared = ProducerAppendInfo(
        entry,
        header.producer_id,
        header.producer_epoch,
        header.max_timestamp,
        header.last_offset_delta,
        NO_SEQUENCE,
        True,
    )
    prepared.is_marker = True
    marker = next(records(batch, header), None)
    if marker is None:
        # The cleaner left an empty control batch: only the offset moves.
        prepared.producer_id = NO_PRODUCER_ID
        return prepared
    type_ = control_type(marker.key)
    if type_ not in (ControlType.ABORT, ControlType.COMMIT):
        raise InvalidRecord(f"a control record of a producer is no transaction marker: {type_}")
    prepared.is_aborted = type_ is ControlType.ABORT
    prepared.timestamp = marker.timestamp
    prepared.coordinator_epoch = end_transaction_coordinator_epoch(marker.value)
    if entry is not None and origin is not Origin.REPLICATION:
        _check_marker_epoch(entry, header.producer_epoch, transaction_version)
        if entry.coordinator_epoch > prepared.coordinator_epoch:
            raise TransactionCoordinatorFenced(
                f"invalid coordinator epoch for producer {header.producer_id}: "
                f"{prepared.coordinator_epoch} (zombie), {entry.coordinator_epoch} (current)"
            )
    return prepared


def old_epoch(header: BatchHeader, current_epoch: int) -> InvalidProducerEpoch:
    """A newer instance of the producer has written."""
    return InvalidProducerEpoch(
        f"epoch of producer {header.producer_id} is {header.producer_epoch}, "
        f"which is smaller than the last seen epoch {current_epoch}"
    )


def _check_marker_epoch(
    entry: ProducerStateEntry, producer_epoch: int, transaction_version: int
) -> None:
    """Version 2 (KIP-890) bumps the epoch with each marker; only a repeated marker has it again."""
    current_epoch = entry.producer_epoch
    if producer_epoch > current_epoch:
        return
    if producer_epoch == current_epoch and (
        transaction_version < 2
        or entry.current_transaction_first_offset is None
        or producer_epoch == PRODUCER_EPOCH_MAX
    ):
        return
    raise InvalidProducerEpoch(
        f"epoch of producer {entry.producer_id} is {producer_epoch}, which is too low after "
        f"the last seen epoch {current_epoch} (transaction version {transaction_version})"
    )
