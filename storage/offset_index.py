"""The sparse offset index (`.index`): where in the log file to start looking for an offset.

Kafka's OffsetIndex. An entry has 8 bytes, big-endian: the offset relative to the segment's base
(int32), and a file position (int32). Both ascend. The offset is that of the *last* record of the
batch at the position. While its segment is active, the file is as large as the index may grow, with
zeros behind the entries. A roll or close trims it.
"""

from __future__ import annotations

import struct

from .index import MappedIndex

_ENTRY = struct.Struct(">ii")
_RELATIVE_OFFSET = struct.Struct(">i")
MAX_RELATIVE_OFFSET = (1 << 31) - 1


class OffsetIndex(MappedIndex):
    """Offsets to file positions of one segment. Nothing is read before it is first used."""

    ENTRY_SIZE = 8

    __slots__ = ("_last",)

    def _on_entries_changed(self) -> None:
        self._last = self._entry(self._entries - 1) if self._entries else (self.base_offset, 0)

    def append(self, offset: int, position: int) -> None:
        """Offset and position must be above the last ones, and the index not full."""
        at = self._next_slot()
        assert offset > self._last[0] or not at, f"{self.path}: {offset} after {self._last}"
        _ENTRY.pack_into(self._view, at, offset - self.base_offset, position)
        self._entries += 1
        self._last = (offset, position)

    def lookup(self, offset: int) -> tuple[int, int]:
        """The last entry (offset, position) at or below `offset`; (base offset, 0) if none."""
        if not self._loaded:
            self._load()
        last = self._last
        if offset >= last[0]:
            return last
        slot = self._floor(_RELATIVE_OFFSET, 0, offset - self.base_offset)
        return (self.base_offset, 0) if slot < 0 else self._entry(slot)

    def upper_bound(self, position: int) -> int | None:
        """The offset of the first entry at or after `position`, None if there is none.

        It lies outside of what can be read before `position` (Kafka's fetchUpperBoundOffset).
        """
        self.load()
        slot = self._floor(_RELATIVE_OFFSET, 4, position - 1) + 1
        return self._entry(slot)[0] if slot < self._entries else None

    def truncate_to(self, offset: int) -> None:
        """Drop the entries at or above `offset`."""
        self.load()
        self._keep(self._floor(_RELATIVE_OFFSET, 0, offset - self.base_offset - 1) + 1)

    def last_entry(self) -> tuple[int, int]:
        """(offset, position), or (base offset, 0)."""
        self.load()
        return self._last

    def defect(self) -> str | None:
        """Why the file cannot be trusted, if so (Kafka's sanity check)."""
        reason = self._size_defect()
        if reason is None and self._entries and self._last[0] < self.base_offset:
            reason = f"the last offset {self._last[0]} is below the base offset {self.base_offset}"
        return reason

    def _entry(self, slot: int) -> tuple[int, int]:
        relative, position = _ENTRY.unpack_from(self._view, slot * 8)
        return self.base_offset + relative, position
