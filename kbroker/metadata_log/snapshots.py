"""Snapshots of the metadata: files `%020d-%010d.checkpoint` beside the segments of the log.

The first number of the name is the offset at which the snapshot ends (exclusive), the second is the
epoch of its last record. Source: Snapshots, FileRawSnapshotWriter, FileRawSnapshotReader.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from kbroker.controller.raft.log import SnapshotId
from kbroker.storage.batch import ControlType
from kbroker.storage.errors import (
    CorruptBatch,
    CorruptFile,
    InvalidRecord,
    UnsupportedForMessageFormat,
)

from .batches import decoded, encode
from .full_disk import no_room_if_full

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kbroker.controller.raft.log import LogBatch, NewBatch
    from kbroker.storage.disk import Disk, File

DELETED: Final = ".deleted"
PART: Final = ".part"

# A snapshot that was begun and never finished, or one that is being deleted, counts for nothing.
_SNAPSHOT_NAME: Final = re.compile(r"(\d{20})-(\d{10})\.checkpoint")


def snapshot_name(snapshot: SnapshotId) -> str:
    return f"{snapshot.end_offset:020d}-{snapshot.epoch:010d}.checkpoint"


def snapshot_in(name: str) -> SnapshotId | None:
    """Which snapshot a file of that name is; None for any other file."""
    found = _SNAPSHOT_NAME.fullmatch(name)
    return None if found is None else SnapshotId(int(found[1]), int(found[2]))


def is_leftover(name: str) -> bool:
    """Whether a crash left the file: a snapshot that was not finished, or not removed."""
    return name.endswith((PART, ".checkpoint" + DELETED))


def read_checkpoint(path: str, content: bytes, *, is_snapshot: bool = True) -> Iterator[LogBatch]:
    """The batches of a checkpoint. CorruptFile.

    A snapshot begins with its header and ends with its footer; what has lost its footer was cut
    off, and the rest passes for a cluster that has less.
    """
    if not content:
        raise CorruptFile(path, "the file is empty")
    ends: list[int] = []
    try:
        for batch in decoded(memoryview(content)):
            if is_snapshot and not ends and ControlType.SNAPSHOT_HEADER not in batch.control_types:
                raise CorruptFile(path, "the file does not begin with the header of a snapshot")
            ends = [*batch.control_types] or [-1]
            yield batch
    except (CorruptBatch, InvalidRecord, UnsupportedForMessageFormat, ValueError) as error:
        raise CorruptFile(path, f"the file is damaged: {error}") from error
    if is_snapshot and ControlType.SNAPSHOT_FOOTER not in ends:
        raise CorruptFile(
            path, "the file was cut off: it does not end with the footer of a snapshot"
        )


class SnapshotFile:
    """A snapshot being written, under a name that does not count until it is whole and synced."""

    def __init__(self, disk: Disk, path: str, snapshot: SnapshotId, timestamp_ms: int) -> None:
        self._disk = disk
        self._directory = path
        self._final = f"{path}/{snapshot_name(snapshot)}"
        self._part = self._final + PART
        self._timestamp_ms = timestamp_ms
        self._file: File = disk.open(self._part, create=True)
        if self._file.size:
            self._file.truncate(0)

    def append(self, batch: NewBatch) -> None:
        with no_room_if_full():
            self._file.append(encode(batch, self._timestamp_ms))

    def freeze(self) -> None:
        with no_room_if_full():
            self._file.fsync()
        self._disk.rename(self._part, self._final)
        self._disk.fsync_dir(self._directory)

    def abandon(self) -> None:
        self._disk.unlink(self._part)
