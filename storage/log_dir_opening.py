"""Opens a log directory: checks that it is this broker's, locks it, and finds the logs in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .checkpoints import (
    META_PROPERTIES,
    delete_clean_shutdown,
    has_clean_shutdown,
    read_clean_shutdown_epoch,
    read_meta_properties,
)
from .directory_contents import ForeignLogDir, check_contents, check_owner, find_partition_dirs
from .errors import DiskError, StorageError
from .hosted_logs import HostedLogs
from .log_dir import LogDir

if TYPE_CHECKING:
    from random import Random

    from .disk import Disk


def open_log_dir(
    disk: Disk,
    path: str,
    *,
    rng: Random,
    now_ms: int,
    node_id: int | None = None,
    cluster_id: str | None = None,
    deletion_delay_ms: int = 60_000,
) -> LogDir:
    """Take the directory into use; it is made where it is not there.

    Where it has a meta.properties, that must agree with `node_id` and `cluster_id` (None: any).
    Raises LogDirLocked, ForeignLogDir, CorruptFile, DiskError, and has changed nothing then.
    """
    if not disk.is_dir(path):
        if disk.exists(path):
            raise DiskError(path, "it is not a directory")
        disk.make_dir(path)
    check_contents(disk, path)
    lock = disk.lock(path)
    try:
        meta = read_meta_properties(disk, path)
        contents = disk.list_dir(path)
        if meta is not None:
            check_owner(path, meta, node_id, cluster_id)
        elif META_PROPERTIES in contents:
            raise ForeignLogDir(
                path, f"its {META_PROPERTIES} is a link to a file that does not exist"
            )
        found = find_partition_dirs(disk, path, contents)
        log_dir = LogDir(
            disk,
            path,
            lock,
            meta,
            rng,
            logs=HostedLogs(found.logs),
            futures=HostedLogs(found.futures),
            is_clean=has_clean_shutdown(disk, path),
            closed_epoch=read_clean_shutdown_epoch(disk, path),
        )
        for leftover in found.leftovers:
            log_dir.deletions.add(leftover, now_ms + deletion_delay_ms, is_dir=True)
        if log_dir.is_clean:
            delete_clean_shutdown(disk, path)
    except StorageError:
        lock.release()
        raise
    return log_dir
