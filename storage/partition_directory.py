"""The directory of one partition: makes, renames and removes the files of its log.

What is removed is renamed at once, and taken off the disk later (`Deletions`). The log's
`Durability` is told of all that is made, renamed or removed here, because a power loss may undo it
until the directory is synced.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from . import names
from .checkpoints import PARTITION_METADATA, read_partition_metadata, write_partition_metadata
from .segment import new_segment

if TYPE_CHECKING:
    from random import Random

    from .deletions import Deletions
    from .disk import Disk
    from .durability import Durability
    from .log_config import LogConfig
    from .segment import LogSegment
    from .segments import Segments


class PartitionDirectory:
    """Not thread-safe. Every method may raise DiskError."""

    __slots__ = ("_disk", "_durability", "_rng", "_topic_id", "deletions", "path")

    def __init__(
        self,
        disk: Disk,
        path: str,
        *,
        durability: Durability,
        deletions: Deletions,
        rng: Random,
        topic_id: bytes | None = None,
    ) -> None:
        """`topic_id` if the caller has read it here already."""
        self.path = path
        self.deletions = deletions
        self._disk = disk
        self._durability = durability
        self._rng = rng
        self._topic_id = topic_id

    @property
    def log_dir(self) -> str:
        """The path of the log directory that contains it."""
        return os.path.dirname(self.path)

    @property
    def topic_id(self) -> bytes | None:
        """The 16 bytes in partition.metadata, None if there is no such file. CorruptFile."""
        if self._topic_id is None:
            self._topic_id = read_partition_metadata(self._disk, self._metadata_path)
        return self._topic_id

    def assign_topic_id(self, topic_id: bytes) -> None:
        """Write partition.metadata, if there is none."""
        assert self._topic_id in (None, topic_id), f"{self.path} already has another topic id"
        if self._topic_id is None:
            write_partition_metadata(self._disk, self._metadata_path, topic_id, sync=False)
            self._topic_id = topic_id
            self.note_unsynced(self._metadata_path)

    def create_segment(self, base_offset: int, config: LogConfig, now_ms: int) -> LogSegment:
        """Make the files of a new segment."""
        segment = new_segment(self._disk, self.path, base_offset, config, now_ms, self._rng)
        segment.create()
        self._durability.note_names(self.path)
        return segment

    def roll(self, segments: Segments, base_offset: int, config: LogConfig, now_ms: int) -> None:
        """Finish the active segment and begin one at `base_offset`."""
        active = segments.active
        active.deactivate()
        self._durability.sync_before_roll(active, base_offset)
        # Each mapping holds a descriptor; it comes back when it is needed.
        active.release_indexes()
        segments.add(self.create_segment(base_offset, config, now_ms))
        if not active.size:
            # Assigned offsets are far ahead. An empty segment would look like one that lost all.
            segments.remove(active)
            active.unlink()

    def discard_segment(self, segment: LogSegment, due_ms: int) -> None:
        """Remove its files at `due_ms`. Whoever reads them may go on until then."""
        segment.release()
        for path in segment.rename(names.DELETED):
            self.deletions.add(path, due_ms)
        self._durability.note_names(self.path)

    def discard_snapshot(self, path: str, due_ms: int) -> None:
        """The same of a snapshot of producers."""
        self._disk.rename(path, path + names.DELETED)
        self.deletions.add(path + names.DELETED, due_ms)
        self._durability.note_names(self.path)

    def note_unsynced(self, path: str) -> None:
        """A file was written here that is not synced yet."""
        self._durability.note_file(path)
        self._durability.note_names(self.path)

    def sync(self) -> None:
        """Make the names of its files durable."""
        self._disk.fsync_dir(self.path)

    def rename(self, name: str) -> None:
        """Durable once the log directory is synced. FileNotFoundError."""
        old, new = self.path, f"{self.log_dir}/{name}"
        self._disk.rename(old, new)
        self.path = new
        self._durability.update_directory(old, new)

    def discard(self, name: str, due_ms: int) -> None:
        """Rename it, and remove it with all files at `due_ms`. FileNotFoundError.

        Durable once the log directory is synced.
        """
        path = f"{self.log_dir}/{name}"
        self._disk.rename(self.path, path)
        self.deletions.add(path, due_ms, is_dir=True)

    def discard_renamed(self, due_ms: int) -> None:
        """Remove it at `due_ms`. It has the name of a deleted one, which is synced here."""
        self._disk.fsync_dir(self.log_dir)
        self.deletions.add(self.path, due_ms, is_dir=True)

    @property
    def _metadata_path(self) -> str:
        return f"{self.path}/{PARTITION_METADATA}"
