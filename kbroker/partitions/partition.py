"""A partition that this broker leads: the log, leader epoch, high watermark, and waiting requests.

The leader is alone in its ISR, so the high watermark follows its own log end, or the flushed part
of the log if `flush.messages` is set. With followers it will follow the slowest of the ISR. It
moves only in `_advance`.
"""

from __future__ import annotations

import heapq
import logging
from typing import TYPE_CHECKING, Protocol

import trio

from kbroker.storage.batch import INT64_MAX
from kbroker.storage.errors import DiskError, OffsetOutOfRange, OutOfDescriptors
from kbroker.storage.origin import Origin
from kbroker.storage.truncation import increment_log_start_offset
from kbroker.wire.errors import ErrorCode, RequestError

if TYPE_CHECKING:
    from collections.abc import Callable

    from kbroker.controller.image import PartitionImage
    from kbroker.storage.append_info import AppendInfo
    from kbroker.storage.disk import FileRange
    from kbroker.storage.errors import DiskFull, StorageError
    from kbroker.storage.log import Log
    from kbroker.storage.log_reader import FetchSlice

ISOLATION_READ_COMMITTED = 1

logger = logging.getLogger("kbroker.partition")
NO_LEADER_EPOCH = -1
UP_TO_HIGH_WATERMARK = -1  # an offset to delete records before
UNCOUNTED_BYTES = INT64_MAX  # have whoever waits look for themselves


class Waiter(Protocol):
    """Told, synchronously, that a partition has more to read (bytes appended) or has changed
    (None).
    """

    def progress(self, appended_bytes: int | None) -> None: ...


class PartitionStore(Protocol):
    """What partitions use of the broker's log directories: `log_dirs.store.LogStore`."""

    unsaved_high_watermarks: set[Partition]
    """Where a partition adds itself when its high watermark has changed."""

    def release_descriptors(self) -> bool:
        """Have other logs close files, since this one could not open one."""
        ...

    def report_failure(self, path: str) -> None:
        """The log in this directory has failed."""
        ...

    def report_trouble(self, what: str, error: StorageError) -> None:
        """Log what goes wrong; `what` begins the line."""
        ...


class Partition:
    """One replica that this broker leads."""

    __slots__ = (
        "_commit_abandoned",
        "_commit_order",
        "_commit_waiters",
        "_request_flush",
        "_store",
        "_unsaved_high_watermarks",
        "_waiters",
        "flushing",
        "high_watermark",
        "index",
        "isr",
        "leader_epoch",
        "leader_id",
        "log",
        "node_id",
        "offline",
        "removed",
        "replicas",
        "topic",
        "topic_id",
    )

    def __init__(
        self,
        topic: str,
        index: int,
        topic_id: bytes,
        log: Log,
        state: PartitionImage,
        node_id: int,
        high_watermark: int,
        request_flush: Callable[[Partition], None],
        store: PartitionStore,
    ) -> None:
        self.topic = topic
        self.index = index
        self.topic_id = topic_id
        self.log = log
        self.node_id = node_id
        self.high_watermark = max(high_watermark, log.log_start_offset)
        self.offline = False
        self.removed = False
        self._request_flush = request_flush
        self._store = store
        self._unsaved_high_watermarks = store.unsaved_high_watermarks
        self.flushing = False
        self._waiters: set[Waiter] = set()
        self._commit_waiters: list[tuple[int, int, trio.Event]] = []
        self._commit_abandoned = 0  # of them, at most: whoever waited was cancelled
        self._commit_order = 0
        self.leader_epoch = -1
        self.apply(state)

    # --- leadership

    def apply(self, state: PartitionImage) -> None:
        """Follow the metadata image."""
        self.leader_id = state.leader
        self.isr = state.isr
        self.replicas = state.replicas
        if state.leader_epoch != self.leader_epoch:
            self.leader_epoch = state.leader_epoch
            if self.is_leader and not self.offline:
                self.log.assign_epoch(self.leader_epoch)
                self._advance(self.log.log_end_offset)
            self._wake(None)

    @property
    def is_leader(self) -> bool:
        return self.leader_id == self.node_id

    def check_leader(self, current_leader_epoch: int) -> None:
        """RequestError unless this broker leads at the epoch that the client knows (-1: any;
        KIP-320). Other negative epochs are old ones.
        """
        if self.removed:
            raise RequestError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        if self.offline:
            raise RequestError(ErrorCode.KAFKA_STORAGE_ERROR)
        if current_leader_epoch != NO_LEADER_EPOCH:
            if current_leader_epoch < self.leader_epoch:
                raise RequestError(ErrorCode.FENCED_LEADER_EPOCH)
            if current_leader_epoch > self.leader_epoch:
                raise RequestError(ErrorCode.UNKNOWN_LEADER_EPOCH)
        if self.leader_id != self.node_id:
            raise RequestError(ErrorCode.NOT_LEADER_OR_FOLLOWER)

    def check_min_isr(self) -> None:
        """RequestError unless enough replicas are in sync for acks=all; the demand is capped at the
        replica count.
        """
        needed = self.log.config.min_insync_replicas
        if len(self.isr) < needed and len(self.isr) < min(needed, len(self.replicas)):
            raise RequestError(ErrorCode.NOT_ENOUGH_REPLICAS)

    # --- writing

    def append(self, records: memoryview, now_ms: int, origin: Origin) -> AppendInfo:
        """Append as the leader. Errors of storage, which say why nothing was written."""
        log = self.log
        try:
            info = log.append(records, leader_epoch=self.leader_epoch, now_ms=now_ms, origin=origin)
        except DiskError as error:
            self._note_failure(error)
            raise
        if info.duplicate:
            return info
        flush_messages = log.config.flush_messages
        if flush_messages < INT64_MAX and log.unflushed_records >= flush_messages:
            self.flushing = True
            self._request_flush(self)
        elif not self.flushing:
            self._advance(log.log_end_offset)
        if info.rolled:
            self._request_flush(self)  # the finished segment, in the background
        return info

    def append_local(self, batch: bytearray | memoryview, now_ms: int) -> int:
        """A coordinator's own batch; its last offset."""
        self.check_leader(-1)
        return self.append(memoryview(batch), now_ms, Origin.COORDINATOR).last_offset

    def delete_records(self, offset: int) -> int:
        """Records below `offset` (-1: the high watermark) are no longer readable (KIP-107).

        Returns the low watermark: where the log starts now. RequestError, StorageError.
        """
        self.check_leader(-1)
        log = self.log
        if log.config.compacts and not log.config.deletes:
            raise RequestError(ErrorCode.POLICY_VIOLATION)
        if offset == UP_TO_HIGH_WATERMARK:
            offset = self.high_watermark
        if not 0 <= offset <= self.high_watermark:
            raise OffsetOutOfRange(offset, log.log_start_offset, self.high_watermark)
        try:
            increment_log_start_offset(log, offset)
        except DiskError:
            self.go_offline()
            raise
        return log.log_start_offset

    def flushed(self, end_offset: int) -> None:
        """What lies below end_offset is on disk."""
        if not self.flushing:
            return
        self.flushing = self.log.unflushed_records >= self.log.config.flush_messages
        if self.flushing:
            self._advance(max(end_offset, self.high_watermark))
            self._request_flush(self)
        else:
            self._advance(self.log.log_end_offset)
        self._wake(UNCOUNTED_BYTES)  # of however many appends

    def is_committed(self, last_offset: int) -> bool:
        return last_offset < self.high_watermark

    async def wait_committed(self, last_offset: int) -> None:
        """Returns once last_offset lies below the high watermark; RequestError when it no longer
        can.
        """
        if last_offset < self.high_watermark:
            return
        self.check_leader(-1)
        event = trio.Event()
        self._commit_order += 1
        heapq.heappush(self._commit_waiters, (last_offset, self._commit_order, event))
        try:
            await event.wait()
        except trio.Cancelled:
            self._note_abandoned()
            raise
        self.check_leader(-1)

    def _note_abandoned(self) -> None:
        """Somebody waits no longer: out of time, or the client is gone. While the high watermark
        stands still clients may come and ask again without end, so those are swept out once they
        are the larger part.
        """
        self._commit_abandoned += 1
        if self._commit_abandoned * 2 > len(self._commit_waiters):
            self._commit_abandoned = 0
            self._commit_waiters = [
                entry for entry in self._commit_waiters if entry[2].statistics().tasks_waiting
            ]
            heapq.heapify(self._commit_waiters)

    def _advance(self, high_watermark: int) -> None:
        appended = high_watermark - self.high_watermark
        self.high_watermark = high_watermark
        self._unsaved_high_watermarks.add(self)
        waiting = self._commit_waiters
        while waiting and waiting[0][0] < high_watermark:
            heapq.heappop(waiting)[2].set()
        if appended > 0 and self._waiters:
            self._wake(self.log.last_append_bytes)

    # --- reading

    def read(
        self, offset: int, bytes_max: int, isolation_level: int, *, min_one: bool
    ) -> FetchSlice:
        """Batches from the one that holds `offset`, below the high watermark.
        storage.OffsetOutOfRange.
        """
        return self.log.read(
            offset, bytes_max, end_offset=self.readable_end(isolation_level), min_one=min_one
        )

    def readable_end(self, isolation_level: int) -> int:
        """Where a consumer's data ends: the high watermark, or the last stable offset (KIP-98)."""
        if isolation_level == ISOLATION_READ_COMMITTED:
            return self.last_stable_offset
        return self.high_watermark

    @property
    def last_stable_offset(self) -> int:
        unstable = self.log.first_unstable_offset(self.high_watermark)
        return self.high_watermark if unstable is None else min(unstable, self.high_watermark)

    @property
    def log_start_offset(self) -> int:
        return self.log.log_start_offset

    @property
    def log_end_offset(self) -> int:
        return self.log.log_end_offset

    @property
    def log_size(self) -> int:
        """Bytes of batches."""
        return self.log.size

    def read_local(self, offset: int, bytes_max: int) -> FileRange | None:
        """For a coordinator: batches from the one that holds `offset`, to the log's end; the last
        of them may be cut. None at the end. StorageError.
        """
        return self.log.read(offset, bytes_max).records

    # --- who waits

    def add_waiter(self, waiter: Waiter) -> None:
        self._waiters.add(waiter)

    def remove_waiter(self, waiter: Waiter) -> None:
        self._waiters.discard(waiter)

    def wake(self) -> None:
        """Let those who wait for more to read answer with what there is."""
        self._wake(None)

    def _wake(self, appended_bytes: int | None) -> None:
        for waiter in self._waiters:
            waiter.progress(appended_bytes)

    # --- ends

    def note_unreadable(self, error: StorageError) -> None:
        """Its log could not be read."""
        if isinstance(error, OutOfDescriptors):
            self._store.release_descriptors()
        if not self.offline:
            self._store.report_trouble(f"{self.topic}-{self.index} cannot be read", error)
        if self.log.is_offline:
            self.go_offline()

    def note_unsynced(self, error: DiskFull) -> None:
        """Its log has to wait with a flush."""
        if isinstance(error, OutOfDescriptors):
            self._store.release_descriptors()
        self._store.report_trouble(f"{self.topic}-{self.index} cannot be synced", error)

    def _note_failure(self, error: DiskError) -> None:
        """Of an append."""
        if isinstance(error, OutOfDescriptors):
            self._store.release_descriptors()
        if self.log.is_offline:
            logger.error("%s-%d is offline: %s", self.topic, self.index, error)
            self.go_offline()
        else:
            self._store.report_trouble(f"{self.topic}-{self.index} cannot be written", error)

    def go_offline(self) -> None:
        """Its log directory failed: KAFKA_STORAGE_ERROR for all, also for those who wait."""
        self.offline = True
        self._store.report_failure(self.log.directory.log_dir)
        self._release()

    def replace_log(self, log: Log) -> None:
        """Go on with a copy of the log that ends where it ends, in another directory."""
        assert log.log_end_offset == self.log.log_end_offset, f"{log} is no copy of {self.log}"
        self.log = log
        if self.is_leader:
            log.assign_epoch(self.leader_epoch)
        self._unsaved_high_watermarks.add(self)
        if self.flushing:
            self._request_flush(self)

    def remove(self) -> None:
        """The topic is gone."""
        self.removed = True
        self._release()

    def _release(self) -> None:
        while self._commit_waiters:
            heapq.heappop(self._commit_waiters)[2].set()
        self._wake(None)
