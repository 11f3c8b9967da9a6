"""Ends the use of a log, or of its files: closes, deletes, replaces and renames it.

A deleted log is renamed at once, and removed after `file.delete.delay.ms`. The new names are
durable once the log directory is synced. The caller does that, once for all logs that it renames.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from . import names
from .errors import DiskError
from .flush import begin_flush, finish_flush

if TYPE_CHECKING:
    from .log import Log


def close(log: Log, *, sync_log_dir: bool = True) -> None:
    """Flush all and let go of the files, so that a clean stop needs no recovery. DiskError.

    What was not touched since it was opened costs nothing. Whoever closes many logs may sync the
    log directory, for those that are new, once by itself.
    """
    if log.is_offline:
        return
    with log.offline_after_error():
        active = log.segments.active
        paths = []
        if active.is_written:
            active.deactivate()
            paths = active.index_paths()
        if log.loaded_producers is not None:
            snapshot = log.loaded_producers.take_snapshot(sync=False)
            if snapshot is not None:
                log.directory.note_unsynced(snapshot)
        plan = begin_flush(log)
        plan.paths += paths
        if not sync_log_dir:
            log_dir = log.directory.log_dir
            plan.directories = [path for path in plan.directories if path != log_dir]
        plan.run()
        finish_flush(log, plan)
        log.durability.closed(log.log_end_offset)
        active.is_written = False
    for segment in log.segments:
        segment.release()


def release_descriptors(log: Log) -> bool:
    """Close the files of the log until it is used again; whether any was open. DiskError."""
    opened = [segment for segment in log.segments if segment.is_open]
    for segment in opened:
        segment.release_descriptors()
    return bool(opened)


def delete(log: Log, now_ms: int, unique: bytes) -> None:
    """The partition is gone, and the log is not used any more. DiskError.

    `unique`: 16 random bytes.
    """
    for segment in log.segments:
        segment.release()
    with suppress(FileNotFoundError):  # somebody was faster
        log.directory.discard(_deleted_name(log, unique), now_ms + log.config.file_delete_delay_ms)
    log.offline_error = DiskError(log.directory.log_dir, f"{log.topic}-{log.partition} was deleted")


def set_aside(log: Log, now_ms: int, unique: bytes) -> None:
    """Another log has taken its place: as `delete`, but who reads here may go on doing so."""
    with suppress(FileNotFoundError):  # somebody was faster
        rename_directory(log, _deleted_name(log, unique))
        log.directory.discard_renamed(now_ms + log.config.file_delete_delay_ms)


def rename_directory(log: Log, name: str) -> None:
    """Its directory gets this name; what is open stays open. DiskError, FileNotFoundError."""
    log.directory.rename(name)
    path = log.directory.path
    for segment in log.segments:
        segment.update_directory(path)
    if log.loaded_epochs is not None:
        log.loaded_epochs.update_directory(path)
    if log.loaded_producers is not None:
        log.loaded_producers.snapshots.update_directory(path)
    log.checkpoint_queue.add(log)


def _deleted_name(log: Log, unique: bytes) -> str:
    return names.marked_dir(log.topic, log.partition, unique, names.DELETE_DIR)
