"""A partition's producers: their epochs, sequences, last five batches and open transactions.

Kafka's ProducerStateManager (KIP-98, KIP-360, KIP-890). An append is checked with
`check_and_prepare` and written. Only then `commit` changes the state, so that a failed write leaves
no trace. Batches that are read back from the log go through `update`. Only batch headers are looked
at, but for the record of a transaction marker. A snapshot contains the state before its offset, so
that after a restart only the end of the log needs to be read.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple

from .batch import CONTROL_MASK, INT64_MAX, TRANSACTIONAL_MASK
from .errors import CorruptSnapshot, InvalidTransactionState
from .origin import Origin
from .producer_checks import (
    Duplicate,
    ProducerAppendInfo,
    check_sequence,
    old_epoch,
    prepare_marker,
)
from .producer_entry import BatchMetadata, ProducerStateEntry
from .producer_snapshot import SnapshotFiles
from .txn_index import AbortedTransaction

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .batch import BatchHeader
    from .disk import Disk
    from .producer_snapshot import SnapshotEntry
    from .txn_index import TransactionIndex

logger = logging.getLogger(__name__)

BATCHES_RETAINED = 5
# How long after transaction.max.timeout.ms an open transaction counts as left behind.
LATE_TRANSACTION_BUFFER_MS = 5 * 60 * 1000
_NEVER = INT64_MAX


class CompletedTransaction(NamedTuple):
    """A transaction whose marker has been appended; `last_offset` is the marker's."""

    producer_id: int
    first_offset: int
    last_offset: int
    is_aborted: bool


class ProducerState:
    """The producers of one partition, up to `map_end_offset` (exclusive)."""

    def __init__(
        self,
        disk: Disk,
        directory: str,
        *,
        expiration_ms: int,
        names: Iterable[str] | None = None,
    ) -> None:
        """`names` are the directory's file names, where the caller has listed them already.

        The state is empty: `truncate_and_reload` loads it.
        """
        self.expiration_ms = expiration_ms
        self.map_end_offset = 0
        self.snapshots = SnapshotFiles(disk, directory, names)
        self._producers: dict[int, ProducerStateEntry] = {}
        # First offset -> producer id, ascending by offset, as transactions start at the log's end.
        self._ongoing: dict[int, int] = {}
        # First offset -> last offset of transactions whose marker is not below the high watermark.
        self._unreplicated: dict[int, int] = {}
        # No producer without an open transaction was last heard of before this.
        self._oldest_timestamp = _NEVER
        self._last_snapshot_offset = 0

    # Appends.

    def check_and_prepare(
        self,
        header: BatchHeader,
        origin: Origin = Origin.CLIENT,
        *,
        batch: memoryview | None = None,
        transaction_version: int = -1,
    ) -> Duplicate | ProducerAppendInfo:
        """Check one batch of an idempotent or transactional producer; nothing changes yet.

        `batch` is needed for a transaction marker, `transaction_version` where its sender told one.
        Raises InvalidProducerEpoch, OutOfOrderSequence, InvalidTransactionState,
        TransactionCoordinatorFenced, or InvalidRecord for a broken marker.
        """
        entry = self._producers.get(header.producer_id)
        if header.attributes & CONTROL_MASK:
            return prepare_marker(entry, header, batch, origin, transaction_version)
        epoch = header.producer_epoch
        last_sequence = header.last_sequence
        is_transactional = header.attributes & TRANSACTIONAL_MASK != 0
        if entry is not None and origin is not Origin.REPLICATION:
            current_epoch = entry.producer_epoch
            if origin is Origin.CLIENT:
                if epoch == current_epoch:
                    for appended in entry.batches:
                        if (
                            appended.last_sequence == last_sequence
                            and appended.first_sequence == header.base_sequence
                        ):
                            return Duplicate(
                                appended.first_offset, appended.last_offset, appended.timestamp
                            )
                elif epoch < current_epoch:
                    raise old_epoch(header, current_epoch)
                check_sequence(entry, header)
            elif epoch < current_epoch:
                raise old_epoch(header, current_epoch)
            if entry.current_transaction_first_offset is not None and not is_transactional:
                raise InvalidTransactionState(
                    f"expected a transactional write from producer {header.producer_id}"
                )
        return ProducerAppendInfo(
            entry,
            header.producer_id,
            epoch,
            header.max_timestamp,
            header.last_offset_delta,
            last_sequence,
            is_transactional,
        )

    def commit(self, prepared: ProducerAppendInfo, last_offset: int) -> CompletedTransaction | None:
        """Make an append known that has been written and ends with `last_offset` (inclusive).

        A completed transaction, if any, is then given to `complete_transaction`.
        """
        self.map_end_offset = last_offset + 1
        producer_id = prepared.producer_id
        if producer_id < 0:
            return None
        entry = prepared.entry
        if entry is None:
            entry = self._producers[producer_id] = ProducerStateEntry(producer_id)
        batches = entry.batches
        if entry.producer_epoch != prepared.producer_epoch:
            entry.producer_epoch = prepared.producer_epoch
            batches.clear()
        timestamp = entry.last_timestamp = prepared.timestamp
        if timestamp < self._oldest_timestamp:
            self._oldest_timestamp = timestamp
        if prepared.is_marker:
            entry.coordinator_epoch = prepared.coordinator_epoch
            first_offset = entry.current_transaction_first_offset
            entry.current_transaction_first_offset = None
            if first_offset is None:
                return None
            return CompletedTransaction(producer_id, first_offset, last_offset, prepared.is_aborted)
        if len(batches) == BATCHES_RETAINED:
            del batches[0]
        batches.append(
            BatchMetadata(prepared.last_sequence, last_offset, prepared.offset_delta, timestamp)
        )
        if prepared.is_transactional and entry.current_transaction_first_offset is None:
            first_offset = last_offset - prepared.offset_delta
            entry.current_transaction_first_offset = first_offset
            self._ongoing[first_offset] = producer_id
        return None

    def update(
        self, header: BatchHeader, batch: memoryview | None = None
    ) -> CompletedTransaction | None:
        """Take in a batch that is in the log (recovery) or comes from the leader: not judged again.

        `batch` is needed for a transaction marker. As for the result, see `commit`.
        """
        if header.producer_id < 0:
            self.map_end_offset = header.next_offset
            return None
        prepared = self.check_and_prepare(header, Origin.REPLICATION, batch=batch)
        assert isinstance(prepared, ProducerAppendInfo)
        return self.commit(prepared, header.last_offset)

    def adopt(self, other: ProducerState) -> None:
        """Take in the producers that `other` still knows, though their batches have gone."""
        ongoing = dict(self._ongoing)
        for producer_id, entry in other._producers.items():
            if producer_id in self._producers:
                continue
            self._producers[producer_id] = entry
            if entry.current_transaction_first_offset is not None:
                ongoing[entry.current_transaction_first_offset] = producer_id
            self._oldest_timestamp = min(self._oldest_timestamp, entry.last_timestamp)
        self._ongoing = dict(sorted(ongoing.items()))

    # Transactions.

    @property
    def first_unstable_offset(self) -> int | None:
        """Where the first transaction begins that is open, or not yet decided for all replicas."""
        if not self._ongoing and not self._unreplicated:
            return None
        return min(next(iter(self._ongoing), _NEVER), next(iter(self._unreplicated), _NEVER))

    @property
    def first_undecided_offset(self) -> int | None:
        """Where the first open transaction begins."""
        return next(iter(self._ongoing), None)

    def last_stable_offset(self, completed: CompletedTransaction) -> int:
        """The last stable offset once `completed` is: where the next open transaction begins."""
        for first_offset, producer_id in self._ongoing.items():
            if producer_id != completed.producer_id:
                return first_offset
        return completed.last_offset + 1

    def complete_transaction(
        self, completed: CompletedTransaction, index: TransactionIndex | None = None
    ) -> None:
        """`completed` is no longer open; it stays unstable until the high watermark passes it.

        If it is aborted it enters `index`, that of the marker's segment; None if it is there.
        """
        if completed.is_aborted and index is not None:
            index.append(
                AbortedTransaction(
                    completed.producer_id,
                    completed.first_offset,
                    completed.last_offset,
                    self.last_stable_offset(completed),
                )
            )
        if self._ongoing.pop(completed.first_offset, None) is None:
            raise ValueError(f"{completed} has not been open")
        self._unreplicated[completed.first_offset] = completed.last_offset
        if len(self._unreplicated) > 1:
            self._unreplicated = dict(sorted(self._unreplicated.items()))

    def on_high_watermark(self, high_watermark: int) -> None:
        """The high watermark (exclusive) moved: transactions decided below it are stable."""
        if self._unreplicated:
            self._unreplicated = {
                first: last for first, last in self._unreplicated.items() if last >= high_watermark
            }

    def has_late_transaction(self, now_ms: int, transaction_timeout_max_ms: int) -> bool:
        """Whether the oldest open transaction has been silent for longer than any may be."""
        producer_id = next(iter(self._ongoing.values()), None)
        if producer_id is None:
            return False
        last_timestamp = self._producers[producer_id].last_timestamp
        limit_ms = transaction_timeout_max_ms + LATE_TRANSACTION_BUFFER_MS
        return last_timestamp > 0 and now_ms - last_timestamp > limit_ms

    # Producers.

    @property
    def producers(self) -> Mapping[int, ProducerStateEntry]:
        """By producer id. Live: read it before anything else is called."""
        return self._producers

    def remove_expired(self, now_ms: int) -> int:
        """Forget producers not heard of for `expiration_ms` and without a transaction; how many.

        Costs nothing while none can be expired, else a walk over all of them.
        """
        if now_ms - self._oldest_timestamp < self.expiration_ms:
            return 0
        expired = [pid for pid, entry in self._producers.items() if self._expired(entry, now_ms)]
        for producer_id in expired:
            del self._producers[producer_id]
        self._oldest_timestamp = min(
            (
                entry.last_timestamp
                for entry in self._producers.values()
                if entry.current_transaction_first_offset is None
            ),
            default=_NEVER,
        )
        return len(expired)

    def _expired(self, entry: ProducerStateEntry, now_ms: int) -> bool:
        return (
            entry.current_transaction_first_offset is None
            and now_ms - entry.last_timestamp >= self.expiration_ms
        )

    # Truncation and loading.

    def truncate_and_reload(self, log_start_offset: int, log_end_offset: int, now_ms: int) -> None:
        """Go to the state before the newest snapshot within the log's offsets, or to none.

        Snapshots outside (log start, log end] are deleted. Afterwards `map_end_offset` tells from
        where on the log is to be replayed through `update`.
        """
        for snapshot in self.snapshots.offsets:
            if snapshot > log_end_offset or snapshot <= log_start_offset:
                self.snapshots.delete(snapshot)
        if log_end_offset == self.map_end_offset:
            self.on_log_start_offset_incremented(log_start_offset)
            return
        self._clear()
        while (offset := self.snapshots.latest_offset) is not None:
            try:
                entries = self.snapshots.read(offset)
            except FileNotFoundError:
                self.snapshots.delete(offset)
                continue
            except CorruptSnapshot as error:
                # A crash may do this to the latest, which is not synced, and the log says it all.
                logger.warning("removing a damaged producer snapshot: %s", error)
                self.snapshots.delete(offset)
                continue
            self._load(entries, now_ms)
            self.map_end_offset = self._last_snapshot_offset = offset
            return
        self.map_end_offset = self._last_snapshot_offset = log_start_offset

    def truncate_fully_and_start_at(self, offset: int) -> None:
        """Forget everything, snapshots included; the log is empty and starts at `offset`."""
        self._clear()
        for snapshot in self.snapshots.offsets:
            self.snapshots.delete(snapshot)
        self._last_snapshot_offset = 0
        self.map_end_offset = offset

    def on_log_start_offset_incremented(self, log_start_offset: int) -> None:
        """The log now starts later; producers stay until they expire."""
        self.on_high_watermark(log_start_offset)
        self.map_end_offset = max(self.map_end_offset, log_start_offset)
        latest = self.snapshots.latest_offset
        self._last_snapshot_offset = log_start_offset if latest is None else latest

    def _clear(self) -> None:
        self._producers.clear()
        self._ongoing.clear()
        self._unreplicated.clear()
        self._oldest_timestamp = _NEVER

    def _load(self, entries: Iterable[SnapshotEntry], now_ms: int) -> None:
        ongoing = []
        for saved in entries:
            entry = ProducerStateEntry.from_snapshot(saved)
            if self._expired(entry, now_ms):
                continue
            self._producers[entry.producer_id] = entry
            first_offset = entry.current_transaction_first_offset
            if first_offset is not None:
                ongoing.append((first_offset, entry.producer_id))
            self._oldest_timestamp = min(self._oldest_timestamp, entry.last_timestamp)
        self._ongoing = dict(sorted(ongoing))

    # Snapshots.

    def take_snapshot(self, *, sync: bool = True) -> str | None:
        """Write the state at `map_end_offset`; its path. None where that snapshot is the last."""
        offset = self.map_end_offset
        if offset <= self._last_snapshot_offset:
            return None
        entries = (entry.to_snapshot() for entry in self._producers.values())
        path = self.snapshots.write(offset, entries, sync=sync)
        self._last_snapshot_offset = offset
        return path
