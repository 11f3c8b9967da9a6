"""Where each leader epoch of a partition starts, to find where two logs diverge (KIP-101, KIP-279).

Kafka's LeaderEpochFileCache over `leader-epoch-checkpoint`. Epochs and start offsets both increase.
A new entry replaces those that contradict it. After a crash the file must have the epochs of the
log up to the recovery point; the rest follows from the batches behind it. So `assign` may leave the
writing to `flush`, which must come before the recovery point moves. A write waits for the disk, so
that of a flush may run in a thread. A write that comes late does not overwrite a newer one.

An epoch that starts at the log end has no records, and the next epoch takes its place. It need not
be in the file. So an election writes nothing, and neither does a log that nobody writes to.
"""

from __future__ import annotations

import os
import threading
from bisect import bisect_right
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from .checkpoints import LEADER_EPOCH_CHECKPOINT, read_leader_epochs, write_leader_epochs

if TYPE_CHECKING:
    from collections.abc import Callable

    from .disk import Disk

UNDEFINED_EPOCH = -1
UNDEFINED_EPOCH_OFFSET = -1


class EpochEndOffset(NamedTuple):
    """A leader epoch and its end offset (exclusive); (-1, -1) is undefined."""

    leader_epoch: int
    end_offset: int


class LeaderEpochCache:
    """The leader epochs of one partition."""

    def __init__(self, disk: Disk, directory: str, *, is_new: bool = False) -> None:
        """Loads the file, if there is one; a new directory has none. CorruptFile."""
        self._disk = disk
        self._path = os.path.join(directory, LEADER_EPOCH_CHECKPOINT)
        self._epochs: list[int] = []
        self._start_offsets: list[int] = []
        self._stored = [] if is_new else read_leader_epochs(disk, self._path)
        self._changes = self._written = 0  # writes that were wanted; the newest that was done
        self._writing = threading.Lock()
        for epoch, start_offset in self._stored:
            self._assign(epoch, start_offset)

    @property
    def latest_epoch(self) -> int | None:
        return self._epochs[-1] if self._epochs else None

    @property
    def entries(self) -> list[tuple[int, int]]:
        """(epoch, start offset), ascending."""
        return list(zip(self._epochs, self._start_offsets, strict=True))

    def assign(self, epoch: int, start_offset: int, *, write: bool = True) -> None:
        """`epoch` starts at `start_offset`. An epoch that is the latest already changes nothing.

        Without `write` the file lags behind until `flush`.
        """
        if self._epochs and self._epochs[-1] == epoch and self._start_offsets[-1] <= start_offset:
            return
        self._assign(epoch, start_offset)
        if write:
            self._write()

    def _assign(self, epoch: int, start_offset: int) -> None:
        if epoch < 0 or start_offset < 0:
            raise ValueError(f"leader epoch {epoch} cannot start at offset {start_offset}")
        if self._epochs and self._epochs[-1] == epoch and self._start_offsets[-1] <= start_offset:
            return
        keep = len(self._epochs)
        while keep and (
            self._epochs[keep - 1] >= epoch or self._start_offsets[keep - 1] >= start_offset
        ):
            keep -= 1
        self._epochs[keep:] = [epoch]
        self._start_offsets[keep:] = [start_offset]

    def end_offset_for(self, requested_epoch: int, log_end_offset: int) -> EpochEndOffset:
        """The largest epoch <= the requested one and its end offset; O(log n).

        The latest epoch ends at `log_end_offset`. If all known ones are later: the *requested*
        epoch, ending where the first one starts. UNDEFINED (-1, -1) if it is later than all, or -1.
        """
        epochs = self._epochs
        if requested_epoch == UNDEFINED_EPOCH or not epochs or requested_epoch > epochs[-1]:
            return EpochEndOffset(UNDEFINED_EPOCH, UNDEFINED_EPOCH_OFFSET)
        if requested_epoch == epochs[-1]:
            return EpochEndOffset(requested_epoch, log_end_offset)
        index = bisect_right(epochs, requested_epoch)
        epoch = epochs[index - 1] if index else requested_epoch
        return EpochEndOffset(epoch, self._start_offsets[index])

    def epoch_for_offset(self, offset: int) -> int | None:
        """The epoch that `offset` was written in; None before the first."""
        index = bisect_right(self._start_offsets, offset)
        return self._epochs[index - 1] if index else None

    def previous_epoch(self, epoch: int) -> int | None:
        """The latest epoch before `epoch`."""
        index = bisect_right(self._epochs, epoch - 1)
        return self._epochs[index - 1] if index else None

    def truncate_from_end(self, end_offset: int, *, write: bool = True) -> None:
        """The log now ends at `end_offset` (exclusive): drop epochs that start there or later.

        Without `write` the file lags behind until `flush`: for who will look at every batch behind
        `end_offset` again after a crash.
        """
        keep = len(self._epochs)
        while keep and self._start_offsets[keep - 1] >= end_offset:
            keep -= 1
        if end_offset >= 0 and keep < len(self._epochs):
            del self._epochs[keep:], self._start_offsets[keep:]
            # At once: what replaces the cut batches may be of an epoch before the dropped ones,
            # and then nothing would tell after a crash that these are stale.
            if write:
                self._write()

    def truncate_from_start(self, start_offset: int) -> None:
        """The log now starts at `start_offset`: the epoch that holds it starts there too.

        The file may lag: loading a log cuts again.
        """
        drop = bisect_right(self._start_offsets, start_offset)
        if drop and not (drop == 1 and self._start_offsets[0] == start_offset):
            del self._epochs[: drop - 1], self._start_offsets[: drop - 1]
            self._start_offsets[0] = start_offset

    def clear(self) -> None:
        """Forget all epochs, in the file too."""
        if self._epochs or self._stored:
            self._epochs.clear()
            self._start_offsets.clear()
            self._write()

    def flush(self, end_offset: int) -> None:
        """Make the file hold every epoch that has records below `end_offset`, durably."""
        write = self.begin_flush(end_offset)
        if write is not None:
            write()

    def begin_flush(self, end_offset: int) -> Callable[[], None] | None:
        """The write that does it, which blocks and may be run in a thread; None: none is needed.

        It raises DiskError, or FileNotFoundError where the partition's directory is gone.
        """
        if self._below(end_offset, self.entries) == self._below(end_offset, self._stored):
            return None
        return self._begin_write()

    @staticmethod
    def _below(end_offset: int, entries: list[tuple[int, int]]) -> list[tuple[int, int]]:
        return [entry for entry in entries if entry[1] < end_offset]

    def update_directory(self, directory: str) -> None:
        """The partition's directory has been renamed."""
        self._path = os.path.join(directory, LEADER_EPOCH_CHECKPOINT)

    def _write(self) -> None:
        self._begin_write()()

    def _begin_write(self) -> Callable[[], None]:
        self._changes += 1
        return partial(self._write_entries, self.entries, self._changes)

    def _write_entries(self, entries: list[tuple[int, int]], changes: int) -> None:
        with self._writing:
            if changes > self._written:
                write_leader_epochs(self._disk, self._path, entries)
                self._stored, self._written = entries, changes
