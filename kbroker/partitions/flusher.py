"""Flushes logs in worker threads, at most one flush of a log at a time.

Appends that come during a flush share the next one (group commit). A log is flushed as in Kafka:
after `flush.messages` (a produce request then waits for it), after `flush.ms` (in the background),
and whenever a segment is finished.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import trio

from kbroker.storage.errors import DiskError, DiskFull
from kbroker.storage.flush import abandon_flush, begin_flush, finish_flush

if TYPE_CHECKING:
    from kbroker.clock import Clock
    from kbroker.storage.flush_plan import FlushPlan
    from kbroker.storage.log import Log

    from .partition import Partition

FLUSH_THREADS_MAX = 8
# How long a log waits for room or a descriptor before it tries again: twice as long each time.
SHORTAGE_PAUSE_S = 0.1
SHORTAGE_PAUSE_MAX_S = 5.0

log = logging.getLogger("kbroker.flusher")


class Flusher:
    """One broker's fsyncs. `run` owns the tasks; what is requested before it runs waits for it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._limiter = trio.CapacityLimiter(FLUSH_THREADS_MAX)
        self._wanted: dict[Partition, None] = {}
        self._busy: set[Partition] = set()
        self._nursery: trio.Nursery | None = None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            for partition in self._wanted:
                self._begin(partition)
            task_status.started()
            await trio.sleep_forever()

    def request(self, partition: Partition) -> None:
        """Flush what this log has; `partition.flushed` is called when that is done."""
        self._wanted[partition] = None
        if partition not in self._busy:
            self._begin(partition)

    def _begin(self, partition: Partition) -> None:
        if self._nursery is not None:
            self._busy.add(partition)
            self._nursery.start_soon(self._flush, partition)

    async def _flush(self, partition: Partition) -> None:
        pause_s = SHORTAGE_PAUSE_S
        try:
            while partition in self._wanted:
                del self._wanted[partition]
                if partition.offline or partition.removed:
                    return
                flushed = partition.log
                try:
                    plan = begin_flush(flushed)
                    await self._run(plan, flushed)
                    if flushed is not partition.log:
                        # It lies in another directory now.
                        self._wanted[partition] = None
                        continue
                    finish_flush(flushed, plan, self._clock.wall_ms())
                except DiskError as error:
                    if flushed is not partition.log:
                        self._wanted[partition] = None
                        continue
                    if isinstance(error, DiskFull):
                        partition.note_unsynced(error)
                        self._wanted[partition] = None
                        await trio.sleep(pause_s)
                        pause_s = min(2 * pause_s, SHORTAGE_PAUSE_MAX_S)
                        continue
                    # What a failed fsync left on the disk is unknown: never try again.
                    log.error("%s-%d: %s", partition.topic, partition.index, error)
                    flushed.fail(error)
                    partition.go_offline()
                    return
                pause_s = SHORTAGE_PAUSE_S
                partition.flushed(plan.end_offset)
        finally:
            self._busy.discard(partition)

    async def _run(self, plan: FlushPlan, flushed: Log) -> None:
        """DiskError."""
        try:
            await trio.to_thread.run_sync(plan.run, limiter=self._limiter)
        except (DiskFull, trio.Cancelled):
            abandon_flush(flushed, plan)
            raise
