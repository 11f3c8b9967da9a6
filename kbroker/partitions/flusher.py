"""Flushes logs in worker threads, one flush of a log at a time: whoever appends meanwhile shares
the next one.

Durability policy as Kafka's: `flush.messages` (a produce waits for it), `flush.ms` (in the
background).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import trio

from kbroker.storage.errors import DiskError

if TYPE_CHECKING:
    from .partition import Partition

FLUSH_THREADS_MAX = 8

log = logging.getLogger("kbroker.flusher")


class Flusher:
    """One broker's fsyncs. `run` owns the tasks."""

    def __init__(self) -> None:
        self._limiter = trio.CapacityLimiter(FLUSH_THREADS_MAX)
        self._busy: set[Partition] = set()
        self._again: set[Partition] = set()
        self._nursery: trio.Nursery | None = None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            task_status.started()
            await trio.sleep_forever()

    def request(self, partition: Partition) -> None:
        """Flush what this log has; `partition.flushed` is called when that is done."""
        assert self._nursery is not None
        if partition in self._busy:
            self._again.add(partition)
            return
        self._busy.add(partition)
        self._nursery.start_soon(self._flush, partition)

    async def _flush(self, partition: Partition) -> None:
        try:
            while True:
                self._again.discard(partition)
                if partition.offline or partition.removed:
                    return
                plan = partition.log.begin_flush()
                try:
                    await trio.to_thread.run_sync(plan.run, limiter=self._limiter)
                except DiskError as error:
                    # What a failed fsync left on disk is unknown: the log must not be trusted or
                    # tried again.
                    log.error("%s-%d: %s", partition.topic, partition.index, error)
                    partition.log.fail(error)
                    partition.go_offline()
                    return
                partition.log.finish_flush(plan)
                partition.flushed(plan.end_offset)
                if partition not in self._again:
                    return
        finally:
            self._busy.discard(partition)
