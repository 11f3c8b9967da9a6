"""The transaction index (`.txnindex`): aborted transactions whose markers are in a segment.

Kafka's TransactionIndex and AbortedTxn v0. An entry has 34 bytes, big-endian: version (int16), then
producer id, first offset, last offset and last stable offset (int64 each). The file exists only if
something was aborted. It is small, and written at once instead of being mapped.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from .errors import CorruptIndex

if TYPE_CHECKING:
    from .disk import Disk, File

_RECORD = struct.Struct(">hqqqq")
_VERSION = 0


class AbortedTransaction(NamedTuple):
    """Offsets are inclusive; `last_offset` is the marker's."""

    producer_id: int
    first_offset: int
    last_offset: int
    last_stable_offset: int


class TransactionIndex:
    """The aborted transactions of one segment, by ascending last offset."""

    __slots__ = ("_disk", "_file", "_records", "base_offset", "path")

    def __init__(self, disk: Disk, path: str, base_offset: int) -> None:
        self._disk = disk
        self._file: File | None = None
        self._records: list[AbortedTransaction] | None = None
        self.path = path
        self.base_offset = base_offset

    def append(self, aborted: AbortedTransaction) -> None:
        """Last offsets ascend."""
        records = self.records()
        assert not records or aborted.last_offset > records[-1].last_offset
        if self._file is None:
            self._file = self._disk.open(self.path, create=True)
        self._file.append(_RECORD.pack(_VERSION, *aborted))
        records.append(aborted)

    def records(self) -> list[AbortedTransaction]:
        """All of them. CorruptIndex."""
        if self._records is None:
            self._records = self._read()
        return self._records

    def collect(self, fetch_offset: int, end_offset: int) -> tuple[list[AbortedTransaction], bool]:
        """Those that overlap [fetch_offset, end_offset), and whether later segments hold none."""
        found = []
        for aborted in self.records():
            if aborted.last_offset >= fetch_offset and aborted.first_offset < end_offset:
                found.append(aborted)
            if aborted.last_stable_offset >= end_offset:
                return found, True
        return found, False

    def truncate_to(self, offset: int) -> None:
        """Drop the transactions whose markers are at or above `offset`."""
        records = self.records()
        kept = [aborted for aborted in records if aborted.last_offset < offset]
        if len(kept) < len(records):
            self._disk.open(self.path).truncate(len(kept) * _RECORD.size)
            self._file = None
            self._records = kept

    def reset(self) -> None:
        """Drop everything, for a rebuild."""
        if self._disk.exists(self.path):
            self._disk.open(self.path).truncate(0)
        self._file = None
        self._records = []

    def release(self) -> None:
        """Let go of the file. It opens again if it is used again."""
        self._file = None
        self._records = None

    def defect(self) -> str | None:
        """Why the file cannot be trusted, if so (Kafka's sanity check)."""
        try:
            records = self.records()
        except CorruptIndex as error:
            return error.reason
        for aborted in records:
            if aborted.last_offset < self.base_offset:
                return f"{aborted} is below the base offset {self.base_offset}"
        return None

    def _read(self) -> list[AbortedTransaction]:
        try:
            content = self._disk.read_file(self.path)
        except FileNotFoundError:
            return []
        if len(content) % _RECORD.size:
            raise CorruptIndex(
                self.path, f"the size {len(content)} is not a multiple of {_RECORD.size}"
            )
        records = []
        for version, *fields in _RECORD.iter_unpack(content):
            if version != _VERSION:
                raise CorruptIndex(self.path, f"a record has the unknown version {version}")
            records.append(AbortedTransaction(*fields))
        return records
