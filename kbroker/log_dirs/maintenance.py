"""Work on logs that no request asks for: retention, removal of files, `flush.ms`, checkpoints.

Source: the schedules of LogManager and ReplicaManager.

Some work must look at every partition: retention (`log.retention.check.interval.ms`, 5 minutes),
expiry of producers (10 minutes) and `flush.ms` (off unless `log.flush.scheduler.interval.ms` is
set). It is cut into turns. Work that is done every few seconds looks only at what has changed:
removals wait in a heap, and logs and partitions add themselves to the next checkpoint. Files are
removed, and checkpoints written, in a thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from kbroker import descriptors
from kbroker.partitions.turns import Turn
from kbroker.storage.errors import DiskError, DiskFull
from kbroker.storage.retention import delete_old_segments

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from kbroker.clock import Clock
    from kbroker.config import BrokerConfig
    from kbroker.partitions.partition import Partition
    from kbroker.partitions.table import PartitionTable

    from .store import LogStore

DELETION_POLL_S = 1.0
# Logs that a checkpoint takes up before others have their turn, and its turns at most.
CHANGES_A_TURN = 200
TURNS_MAX = 10_000
# Of those that only have a look taken at them.
LOOKED_AT_A_TURN = 200
NEVER_S = 10.0 * 365 * 86_400  # an interval longer than this is never reached


class Maintenance:
    """The background work of one broker's logs."""

    def __init__(
        self,
        table: PartitionTable,
        store: LogStore,
        config: BrokerConfig,
        clock: Clock,
        request_flush: Callable[[Partition], None],
        open_awaiting_space: Callable[[], Awaitable[None]],
    ) -> None:
        """`open_awaiting_space` tries once more to open what could not be opened on a full disk."""
        self._table = table
        self._store = store
        self._config = config
        self._clock = clock
        self._request_flush = request_flush
        self._open_awaiting_space = open_awaiting_space

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        config = self._config
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._retention)
            nursery.start_soon(self._deletions)
            nursery.start_soon(
                self._every, lambda: config.log_flush_scheduler_interval_ms, self._flush_overdue
            )
            nursery.start_soon(
                self._every,
                lambda: config.log_flush_offset_checkpoint_interval_ms,
                self._checkpoint_offsets,
            )
            nursery.start_soon(
                self._every,
                lambda: config.replica_high_watermark_checkpoint_interval_ms,
                self._checkpoint_high_watermarks,
            )
            nursery.start_soon(
                self._every,
                lambda: config.producer_id_expiration_check_interval_ms,
                self._expire_producers,
            )
            task_status.started()

    async def _every(
        self, interval_ms: Callable[[], int], work: Callable[[], Awaitable[None]]
    ) -> None:
        while True:
            await trio.sleep(min(interval_ms() / 1000, NEVER_S))
            await work()

    async def _retention(self) -> None:
        await trio.sleep(self._config.log_initial_task_delay_ms / 1000)
        while True:
            await self.delete_old_segments()
            await trio.sleep(self._config.log_retention_check_interval_ms / 1000)

    async def delete_old_segments(self) -> None:
        """One pass of retention over all logs."""
        for partition in self._table:
            # Of a log that is only compacted, what lies below its start goes all the same.
            if not partition.offline:
                try:
                    delete_old_segments(
                        partition.log, self._clock.wall_ms(), partition.high_watermark
                    )
                except DiskError as error:
                    self._store.report_trouble(f"{partition.topic}-{partition.index}", error)
                    if partition.log.is_offline:
                        partition.go_offline()
            await trio.lowlevel.checkpoint()

    async def _deletions(self) -> None:
        while True:
            await trio.sleep(DELETION_POLL_S)
            await self._open_awaiting_space()
            if descriptors.is_short():
                self._store.release_descriptors()
            await self._in_thread(self._store.take_expired_deletions(self._clock.wall_ms()), None)

    async def _flush_overdue(self) -> None:
        now_ms = self._clock.wall_ms()
        turn = Turn(LOOKED_AT_A_TURN)
        for partition in self._table:
            await turn.next()
            opened = partition.log
            if (
                not partition.offline
                and opened.unflushed_records
                and now_ms - opened.last_flush_ms >= opened.config.flush_ms
            ):
                self._request_flush(partition)
        await trio.lowlevel.checkpoint()

    async def _expire_producers(self) -> None:
        now_ms = self._clock.wall_ms()
        turn = Turn(LOOKED_AT_A_TURN)
        for partition in self._table:
            await turn.next()
            partition.log.remove_expired_producers(now_ms)
        await trio.lowlevel.checkpoint()

    async def _checkpoint_offsets(self) -> None:
        await self._checkpoint(self._store.note_offsets, self._store.offset_checkpoints)

    async def _checkpoint_high_watermarks(self) -> None:
        await self._checkpoint(
            self._store.note_high_watermarks, self._store.high_watermark_checkpoints
        )

    async def _checkpoint(
        self, note: Callable[[int], int], writes: Callable[[], list[Callable[[], None]]]
    ) -> None:
        """`note` takes up at most so many changes and tells how many; what comes meanwhile may be
        left to `writes`, so that a busy broker gets to it.
        """
        for _ in range(TURNS_MAX):
            if note(CHANGES_A_TURN) < CHANGES_A_TURN:
                break
            await trio.lowlevel.checkpoint()
        await self._in_thread(writes(), self._store.checkpoint_limiter)

    async def _in_thread(
        self, work: list[Callable[[], None]], limiter: trio.CapacityLimiter | None
    ) -> None:
        for each in work:
            try:
                await trio.to_thread.run_sync(each, limiter=limiter)
            except DiskFull as error:
                # The next time there may be room.
                self._store.report_trouble("background write failed", error)
            except DiskError as error:
                self._store.report_trouble("background write failed", error)
                self._store.report_failure(error.log_dir)
        await trio.lowlevel.checkpoint()
