"""Flushes of a log: they sync what was appended, and the recovery point moves.

A flush goes in three steps, so that the fsyncs can run beside the event loop. `begin_flush` notes
what must be synced for everything appended so far. `FlushPlan.run` writes the file of leader epochs
if it lags, does the fsyncs and nothing else, in a thread if the caller likes. `finish_flush` moves
the recovery point. One flush serves all that wait for an offset below its `end_offset`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import DiskError, DiskFull

if TYPE_CHECKING:
    from .flush_plan import FlushPlan
    from .log import Log


def begin_flush(log: Log, up_to: int | None = None) -> FlushPlan:
    """What must be synced for all offsets below `up_to` (None: all) to survive a power loss.

    Between this and `finish_flush` the log may be used as usual. DiskError.
    """
    if log.offline_error is not None:
        raise log.offline_error
    end_offset = log.log_end_offset if up_to is None else min(up_to, log.log_end_offset)
    with log.offline_after_error():
        plan = log.durability.begin(log.segments, end_offset)
        if log.loaded_epochs is not None:
            # The file may lag behind the log only above the recovery point.
            plan.write_epochs = log.loaded_epochs.begin_flush(end_offset)
        return plan


def finish_flush(log: Log, plan: FlushPlan, now_ms: int | None = None) -> None:
    """The plan has run: its offsets are safe, unless the log was truncated meanwhile."""
    log.durability.finish(plan)
    log.checkpoint_queue.add(log)
    log.last_flush_ms = log.now_ms if now_ms is None else now_ms


def abandon_flush(log: Log, plan: FlushPlan) -> None:
    """The plan was not run, or ended in DiskFull: the next flush syncs what it had to."""
    log.durability.take_back(plan)


def flush(log: Log, now_ms: int | None = None) -> None:
    """All three steps at once. DiskError; after DiskFull the log goes on."""
    plan = begin_flush(log)
    try:
        plan.run()
    except DiskFull:
        abandon_flush(log, plan)
        raise
    except DiskError as error:
        log.fail(error)
        raise
    finish_flush(log, plan, now_ms)
