"""What Raft needs of a log: a summary of its offsets and epochs, and the interface of the driver.

Source: org.apache.kafka.raft.ReplicatedLog, LeaderEpochFileCache.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from .election import ElectionState
    from .voters import VoterSet


class LogPosition(NamedTuple):
    """The end of a log or a place in it. Ordered by epoch first: that is "more up to date" in
    Raft.
    """

    epoch: int
    offset: int


class EpochStart(NamedTuple):
    """The first offset a leader epoch wrote."""

    epoch: int
    start_offset: int


class EpochLog:
    """Offsets and leader epochs of the local log, without its records. Mirrors what the driver has
    appended.

    `flushed_offset` is the end of what a crash cannot take away; it is what this node may promise
    to others.
    """

    __slots__ = ("end_offset", "epochs", "flushed_offset", "start_epoch", "start_offset")

    def __init__(
        self,
        *,
        start_offset: int = 0,
        start_epoch: int = 0,
        end_offset: int = 0,
        epochs: Iterable[EpochStart] = (),
    ) -> None:
        """`start_epoch` is the epoch of the last record before `start_offset` (the snapshot's), 0
        at offset 0.
        """
        self.start_offset = start_offset
        self.start_epoch = start_epoch
        self.end_offset = end_offset
        self.flushed_offset = end_offset
        self.epochs = list(epochs)

    @property
    def last_epoch(self) -> int:
        return self.epochs[-1].epoch if self.epochs else self.start_epoch

    @property
    def end(self) -> LogPosition:
        return LogPosition(self.last_epoch, self.end_offset)

    def append(self, epoch: int, base_offset: int, end_offset: int) -> None:
        """Note a batch appended at the end."""
        assert base_offset == self.end_offset, f"append at {base_offset}, end {self.end_offset}"
        assert end_offset > base_offset, f"empty batch at {base_offset}"
        assert epoch >= self.last_epoch, f"epoch {epoch} after epoch {self.last_epoch}"
        if not self.epochs or epoch > self.epochs[-1].epoch:
            self.epochs.append(EpochStart(epoch, base_offset))
        self.end_offset = end_offset

    def truncate_to(self, offset: int) -> None:
        """Forget everything from `offset` on."""
        assert self.start_offset <= offset <= self.end_offset, f"truncation to {offset}"
        while self.epochs and self.epochs[-1].start_offset >= offset:
            self.epochs.pop()
        self.end_offset = offset
        self.flushed_offset = min(self.flushed_offset, offset)

    def advance_start(self, position: LogPosition) -> None:
        """Everything before `position` is now in a snapshot only."""
        assert self.start_offset <= position.offset <= self.end_offset
        if position.offset == self.start_offset:
            return
        kept = [entry for entry in self.epochs if entry.start_offset > position.offset]
        if position.offset < self.end_offset:
            kept.insert(0, EpochStart(self.epoch_at(position.offset + 1), position.offset))
        self.epochs = kept
        self.start_offset, self.start_epoch = position.offset, position.epoch

    def end_of_epoch(self, epoch: int) -> LogPosition:
        """The largest known epoch that is not above `epoch`, and its end offset, exclusive
        (KIP-101).
        """
        index = bisect_right(self.epochs, epoch, key=lambda entry: entry.epoch)
        if index == 0:
            return LogPosition(self.start_epoch, self.start_offset)
        end = self.epochs[index].start_offset if index < len(self.epochs) else self.end_offset
        return LogPosition(self.epochs[index - 1].epoch, end)

    def epoch_at(self, offset: int) -> int:
        """The epoch of the record before `offset`."""
        index = bisect_right(self.epochs, offset - 1, key=lambda entry: entry.start_offset)
        return self.epochs[index - 1].epoch if index else self.start_epoch

    def divergence(self, offset: int, last_epoch: int) -> LogPosition | None:
        """Where a follower's log that ends at (`offset`, `last_epoch`) has to be cut back to; None
        if it is a prefix.

        Offsets before the start are the caller's matter: they need a snapshot.
        """
        known = self.end_of_epoch(last_epoch)
        if known.epoch != last_epoch or known.offset < offset:
            return known
        return None

    def truncation_point(self, diverging: LogPosition) -> int:
        """The offset to truncate to when the leader answers that our log diverges
        (ReplicatedLog.truncateToEndOffset).
        """
        if diverging.epoch == 0:
            return min(diverging.offset, self.end_offset)
        local = self.end_of_epoch(diverging.epoch)
        if local.epoch == diverging.epoch:
            return min(local.offset, diverging.offset)
        return local.offset


class SnapshotId(NamedTuple):
    """A snapshot holds everything before `end_offset`; `epoch` is that of its last record. Kafka's
    OffsetAndEpoch.
    """

    end_offset: int
    epoch: int


class LogBatch(NamedTuple):
    """One record batch, as read back: values only, for metadata records have no keys and no
    headers.

    A control batch's `values` are its records' values and `control_types` their types
    (ControlRecordType).
    """

    base_offset: int
    end_offset: int
    epoch: int
    timestamp_ms: int
    values: Sequence[bytes | memoryview]
    control_types: Sequence[int] = ()

    @property
    def is_control(self) -> bool:
        return bool(self.control_types)


class NoRoom(Exception):
    """The disk is full. Nothing was written, and it may be tried again."""


class NewBatch(NamedTuple):
    """A batch to append or to put into a snapshot; what the driver is told to write."""

    base_offset: int
    epoch: int
    values: Sequence[bytes]
    control_types: Sequence[int] = ()

    @property
    def end_offset(self) -> int:
        return self.base_offset + len(self.values)


class Flush(Protocol):
    """A flush that was begun. `run` blocks, and may be called in a thread while appends go on."""

    def run(self) -> None:
        """After NoRoom the flush is abandoned, and another may be tried."""
        ...

    def abandon(self) -> None:
        """It was not run, or ended in NoRoom: the next flush does what this one had to."""
        ...

    def finish(self) -> int:
        """After `run`: the offset up to which the log is now durable."""
        ...

    def fail(self, error: Exception) -> None:
        """After `run` raised anything else: nothing may be written any more."""
        ...


class SnapshotWriter(Protocol):
    """A snapshot being written; it exists for readers only after `freeze`. May live in a thread.

    Each call but `abandon` may raise NoRoom; then it is abandoned.
    """

    def append(self, batch: NewBatch) -> None: ...

    def freeze(self) -> None:
        """Sync the file and give it its final name."""
        ...

    def abandon(self) -> None:
        """Remove what was written."""
        ...


class ReplicatedLog(Protocol):
    """The quorum's log and the files around it. Calls block; all belong to one task.

    `Flush.run` and a SnapshotWriter may live in a thread. A failed write raises; the quorum
    then stops, for it cannot know what is on the disk (but for NoRoom).
    """

    @property
    def start(self) -> LogPosition:
        """The first offset that is still there, and the epoch of the last record before it.

        What is before it is in a snapshot that ends there.
        """
        ...

    @property
    def end_offset(self) -> int: ...

    @property
    def batch_bytes_max(self) -> int:
        """How large the values of one batch may be together."""
        ...

    def epochs(self) -> list[EpochStart]:
        """Where each leader epoch begins, from the start offset on."""
        ...

    def append(self, batch: NewBatch, timestamp_ms: int) -> None:
        """Append as leader. `batch.base_offset` is the end offset. NoRoom."""
        ...

    def append_fetched(self, records: bytes | memoryview, now_ms: int) -> None:
        """Append a leader's batches as they are."""
        ...

    def read(self, offset: int, end_offset: int) -> Iterator[LogBatch]:
        """Batches from the one that holds `offset` up to `end_offset`, decoded."""
        ...

    def read_control(self, offset: int) -> Iterator[LogBatch]:
        """The control batches from `offset` on; quick over all others."""
        ...

    def truncate_to(self, offset: int, now_ms: int) -> None: ...

    def begin_flush(self) -> Flush: ...

    def read_election_state(self) -> ElectionState | None: ...

    def write_election_state(
        self, state: ElectionState, voters: VoterSet, kraft_version: int
    ) -> None:
        """Replace the quorum-state file; durable on return. May be called in a thread."""
        ...

    def latest_snapshot(self) -> SnapshotId | None: ...

    def read_snapshot(self, snapshot: SnapshotId) -> Iterator[LogBatch]: ...

    def create_snapshot(self, snapshot: SnapshotId, timestamp_ms: int) -> SnapshotWriter: ...

    def clean(self, now_ms: int) -> Iterator[Callable[[], None]]:
        """Drop old snapshots, and log segments that a newer one covers, as settings allow.

        What it yields blocks, and may be run in a thread before it goes on.
        """
        ...
