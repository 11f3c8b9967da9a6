"""Opens a log: a clean stop's log is taken as it is, one that a crash left is recovered.

After a clean stop nothing is read but the directory, and the end of the log is checked when the log
is first used. A log with a batch of a later format is not opened (UnknownFormat), and not changed.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from . import names
from .closing import release_descriptors
from .deletions import Deletions
from .durability import Durability
from .errors import StorageError
from .leader_epochs import LeaderEpochCache
from .log import Log
from .partition_directory import PartitionDirectory
from .recovery import Recovery
from .segment_loading import FoundSegments
from .segments import Segments

if TYPE_CHECKING:
    from random import Random

    from .disk import Disk
    from .log_config import LogConfig

logger = logging.getLogger(__name__)


class UnknownLogDirectory(StorageError):
    """A directory's name is not that of a partition."""


def open_log(
    disk: Disk,
    directory: str,
    config: LogConfig,
    *,
    now_ms: int,
    rng: Random,
    clean: bool = False,
    recovery_point: int | None = None,
    log_start_offset: int = 0,
    topic_id: bytes | None = None,
    is_identified: bool = False,
    deletions: Deletions | None = None,
    checkpoint_queue: set[Log] | None = None,
    keeps_synced: bool = False,
    is_copy: bool = False,
) -> Log:
    """The log in `directory` (`.../topic-3`), made if it is not there.

    `clean`: the log directory was closed in order; `recovery_point` and `log_start_offset` are what
    the checkpoints say, None where they say nothing. `topic_id` is written to a new log; with
    `is_identified` the caller has read there that it is this one. What is deleted waits in
    `deletions`, which logs may share. The log adds itself to `checkpoint_queue` when its recovery
    point or its log start offset may have changed. `keeps_synced`: damage below the recovery point,
    which no crash does, is an error; otherwise the log is cut there, as Kafka does. After a crash a
    log goes on behind missing offsets, as Kafka's does, but for one with `keeps_synced`, and for a
    copy that is to take the place of the log that has them: these end there.
    DiskError, CorruptFile.
    """
    log_dir, _, name = directory.rpartition("/")
    parsed = names.parse_partition_dir(name)
    if parsed is None:
        raise UnknownLogDirectory(f"{directory} is not the directory of a partition")
    checkpointed_offset = recovery_point or 0
    found = FoundSegments(disk, directory, config, now_ms, rng)
    drops_from = 0
    is_new = not disk.is_dir(directory)
    if is_new:
        disk.make_dir(directory)
        found.add_empty(log_start_offset, in_new_directory=True)
    else:
        found.load()
        if not found.segments:
            found.add_empty(log_start_offset)
        if found.suspect_offset is not None:
            # What was synced behind it is not given up for what may be wrong there.
            drops_from = found.unsynced_base(recovery_point or 0, clean=clean)
            clean = False
            recovery_point = min(recovery_point or 0, found.suspect_offset)
    recovery = Recovery(
        disk,
        directory,
        found,
        now_ms=now_ms,
        producer_expiration_ms=config.producer_id_expiration_ms,
        synced_to=checkpointed_offset if keeps_synced else 0,
        drops_from=drops_from,
        may_lack_offsets=not (keeps_synced or is_copy),
    )
    if is_new:
        end_offset = recovery_point = log_start_offset
    elif clean and recovery_point is not None and found.may_end_at(recovery_point):
        end_offset = recovery_point
    elif clean:
        end_offset = recovery_point = found.read_end_offset()
    else:
        end_offset = recovery.recover(recovery_point or 0, log_start_offset)
        recovery_point = min(recovery_point or 0, end_offset)
    if end_offset < log_start_offset:
        logger.warning(
            "%s ends at offset %d, before its start offset %d; restarting the log there",
            directory,
            end_offset,
            log_start_offset,
        )
        recovery.drop_all(log_start_offset, f"the log ends at {end_offset}")
        end_offset = recovery_point = log_start_offset
    segments = Segments(found.segments)
    durability = Durability(
        disk, recovery_point, indexed_to=found.indexed_to, checkpointed_offset=checkpointed_offset
    )
    if is_new or not clean:
        durability.note_names(directory)
    if is_new:
        durability.note_names(log_dir)
    partition_directory = PartitionDirectory(
        disk,
        directory,
        durability=durability,
        deletions=Deletions() if deletions is None else deletions,
        rng=rng,
        topic_id=topic_id if is_identified else None,
    )
    log = Log(
        disk,
        partition_directory,
        parsed.topic,
        parsed.partition,
        config,
        segments,
        log_start_offset=max(log_start_offset, segments.first.base_offset),
        log_end_offset=end_offset,
        durability=durability,
        now_ms=now_ms,
        checkpoint_queue=set() if checkpoint_queue is None else checkpoint_queue,
        is_tail_known=is_new or not clean,
        epochs=LeaderEpochCache(disk, directory, is_new=True) if is_new else recovery.epochs,
        producers=recovery.producers,
    )
    if not clean and not is_new:
        # Every log of the broker has been read, few of them will be used at once.
        release_descriptors(log)
    if (
        topic_id is not None
        and not is_identified
        and (is_new or partition_directory.topic_id is None)
    ):
        partition_directory.assign_topic_id(topic_id)
    return log
