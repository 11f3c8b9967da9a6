"""The producer snapshot file `<offset>.snapshot` (ProducerSnapshot, version 1).

It contains the version (int16), the CRC-32C of what follows (uint32), the number of entries
(int32), and the entries.
"""

from __future__ import annotations

import os
import struct
from bisect import bisect_left, insort
from typing import TYPE_CHECKING, NamedTuple

from .crc import crc32c
from .errors import CorruptSnapshot

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .disk import Disk

SNAPSHOT_SUFFIX = ".snapshot"
VERSION = 1

_PREFIX = struct.Struct(">hI")
_COUNT = struct.Struct(">i")
_ENTRY = struct.Struct(">qhiqiqiq")
_OFFSET_DIGITS = 20


class SnapshotEntry(NamedTuple):
    """One producer. -1 is none: last offset, coordinator epoch, transaction's first offset."""

    producer_id: int
    producer_epoch: int
    last_sequence: int
    last_offset: int
    offset_delta: int
    timestamp: int
    coordinator_epoch: int
    current_transaction_first_offset: int


def snapshot_name(offset: int) -> str:
    """The file name of the snapshot that holds the state before `offset`."""
    return f"{offset:0{_OFFSET_DIGITS}d}{SNAPSHOT_SUFFIX}"


def snapshot_offset(name: str) -> int | None:
    """The offset in a snapshot's file name; None if it is no such name."""
    digits = name.removesuffix(SNAPSHOT_SUFFIX)
    if digits == name or len(digits) != _OFFSET_DIGITS or not digits.isdecimal():
        return None
    return int(digits)


def encode_snapshot(entries: Iterable[SnapshotEntry]) -> bytes:
    """The content of a snapshot file."""
    body = bytearray(_COUNT.size)
    count = 0
    for entry in entries:
        body += _ENTRY.pack(*entry)
        count += 1
    _COUNT.pack_into(body, 0, count)
    return _PREFIX.pack(VERSION, crc32c(body)) + body


def decode_snapshot(content: bytes, path: str) -> list[SnapshotEntry]:
    """The entries of a snapshot file. CorruptSnapshot names `path`."""
    if len(content) < _PREFIX.size + _COUNT.size:
        raise CorruptSnapshot(path, f"a producer snapshot of {len(content)} bytes is too short")
    version, stored = _PREFIX.unpack_from(content)
    if version != VERSION:
        raise CorruptSnapshot(path, f"unknown version of a producer snapshot: {version}")
    view = memoryview(content)
    computed = crc32c(view[_PREFIX.size :])
    if stored != computed:
        raise CorruptSnapshot(
            path, f"the CRC of a producer snapshot is wrong (stored {stored}, computed {computed})"
        )
    (count,) = _COUNT.unpack_from(content, _PREFIX.size)
    entries = view[_PREFIX.size + _COUNT.size :]
    if count * _ENTRY.size != len(entries):
        raise CorruptSnapshot(path, f"{count} producers announced in {len(entries)} bytes")
    return [SnapshotEntry(*fields) for fields in _ENTRY.iter_unpack(entries)]


class SnapshotFiles:
    """The snapshots in a partition's directory, by offset."""

    def __init__(self, disk: Disk, directory: str, names: Iterable[str] | None = None) -> None:
        """`names` are the directory's file names, where the caller has listed them already."""
        self._disk = disk
        self._directory = directory
        found = map(snapshot_offset, disk.list_dir(directory) if names is None else names)
        self._offsets = sorted(offset for offset in found if offset is not None)

    @property
    def offsets(self) -> tuple[int, ...]:
        """Ascending."""
        return tuple(self._offsets)

    @property
    def latest_offset(self) -> int | None:
        return self._offsets[-1] if self._offsets else None

    def path(self, offset: int) -> str:
        """Where the snapshot of `offset` is or would be."""
        return os.path.join(self._directory, snapshot_name(offset))

    def read(self, offset: int) -> list[SnapshotEntry]:
        """CorruptSnapshot, FileNotFoundError."""
        path = self.path(offset)
        return decode_snapshot(self._disk.read_file(path), path)

    def write(self, offset: int, entries: Iterable[SnapshotEntry], *, sync: bool) -> str:
        """Write the snapshot of `offset`, over an older one if need be; its path."""
        path = self.path(offset)
        self._disk.write_file_atomic(path, encode_snapshot(entries), sync=sync)
        if not self._has(offset):
            insort(self._offsets, offset)
        return path

    def delete(self, offset: int) -> None:
        """One that is not there is fine."""
        if self._has(offset):
            self._disk.unlink(self.path(offset))
            self._offsets.remove(offset)

    def delete_before(self, offset: int) -> None:
        """Those of lower offsets."""
        for lower in self._offsets[: bisect_left(self._offsets, offset)]:
            self.delete(lower)

    def release(self, offset: int) -> str | None:
        """Leave the file to the caller, who deletes it later; its path, None if there is none."""
        if not self._has(offset):
            return None
        self._offsets.remove(offset)
        return self.path(offset)

    def delete_stray(self, segment_base_offsets: Iterable[int]) -> None:
        """Delete those that belong to no segment, but for the newest, which a clean stop leaves.

        The newest goes too where a segment starts behind it.
        """
        base_offsets = set(segment_base_offsets)
        stray = [offset for offset in self._offsets if offset not in base_offsets]
        for offset in stray[:-1]:
            self.delete(offset)
        if stray and base_offsets and stray[-1] < max(base_offsets):
            self.delete(stray[-1])

    def update_directory(self, directory: str) -> None:
        """The partition's directory has been renamed."""
        self._directory = directory

    def _has(self, offset: int) -> bool:
        index = bisect_left(self._offsets, offset)
        return index < len(self._offsets) and self._offsets[index] == offset
