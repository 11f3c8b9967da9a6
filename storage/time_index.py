"""The time index (`.timeindex`): which offset was last when a timestamp was first reached.

Kafka's TimeIndex. An entry has 12 bytes, big-endian: the largest timestamp so far (int64), and the
last offset of the batch that has it, relative to the segment's base (int32). Timestamps ascend
strictly. The file is sized and trimmed as that of the offset index.
"""

from __future__ import annotations

import struct

from .index import MappedIndex

_ENTRY = struct.Struct(">qi")
_TIMESTAMP = struct.Struct(">q")
_RELATIVE_OFFSET = struct.Struct(">i")
NO_TIMESTAMP = -1


class TimeIndex(MappedIndex):
    """Timestamps to offsets of one segment. Nothing is read before it is first used."""

    ENTRY_SIZE = 12
    # The last slot is for the entry a roll or close writes: by it retention judges the segment.
    RESERVED_ENTRIES = 1

    __slots__ = ("_last",)

    def _on_entries_changed(self) -> None:
        self._last = (
            self._entry(self._entries - 1) if self._entries else (NO_TIMESTAMP, self.base_offset)
        )

    def maybe_append(self, timestamp: int, offset: int) -> None:
        """Add an entry unless the timestamp is no larger than the last one."""
        if not self._loaded:
            self._load()
        if timestamp <= self._last[0]:
            return
        assert offset >= self._last[1], f"{self.path}: {offset} after {self._last}"
        at = self._next_slot()
        _ENTRY.pack_into(self._view, at, timestamp, offset - self.base_offset)
        self._entries += 1
        self._last = (timestamp, offset)

    def lookup(self, timestamp: int) -> tuple[int, int]:
        """The last entry (timestamp, offset) at or below; (-1, base offset) if there is none."""
        self.load()
        slot = self._floor(_TIMESTAMP, 0, timestamp)
        return (NO_TIMESTAMP, self.base_offset) if slot < 0 else self._entry(slot)

    def truncate_to(self, offset: int) -> None:
        """Drop the entries at or above `offset`."""
        self.load()
        self._keep(self._floor(_RELATIVE_OFFSET, 8, offset - self.base_offset - 1) + 1)

    def last_entry(self) -> tuple[int, int]:
        """(timestamp, offset), or (-1, base offset)."""
        self.load()
        return self._last

    def defect(self) -> str | None:
        """Why the file cannot be trusted, if so (Kafka's sanity check)."""
        reason = self._size_defect()
        if reason is None and self._entries:
            timestamp, offset = self._last
            if timestamp < self._entry(0)[0]:
                return f"the last timestamp {timestamp} is below the first, {self._entry(0)[0]}"
            if offset < self.base_offset:
                return f"the last offset {offset} is below the base offset {self.base_offset}"
        return reason

    def _entry(self, slot: int) -> tuple[int, int]:
        timestamp, relative = _ENTRY.unpack_from(self._view, slot * 12)
        return timestamp, self.base_offset + relative
