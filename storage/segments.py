"""The segments of one log, ordered by base offset. There is always an active one, the last."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .segment import LogSegment


class Segments:
    """Kafka's LogSegments: floor and higher searches in O(log n)."""

    __slots__ = ("_bases", "_segments", "active")

    def __init__(self, segments: Iterable[LogSegment]) -> None:
        self._segments = sorted(segments, key=lambda segment: segment.base_offset)
        self._bases = [segment.base_offset for segment in self._segments]
        self.active = self._segments[-1]

    def __len__(self) -> int:
        return len(self._segments)

    def __iter__(self) -> Iterator[LogSegment]:
        """Ascending, over the segments of this moment."""
        return iter(self._segments.copy())

    @property
    def first(self) -> LogSegment:
        return self._segments[0]

    @property
    def size(self) -> int:
        """Bytes of batches in all of them."""
        return sum(segment.size for segment in self._segments)

    def floor(self, offset: int) -> LogSegment | None:
        """The last segment that starts at or below `offset`."""
        slot = bisect_right(self._bases, offset)
        return self._segments[slot - 1] if slot else None

    def after(self, segment: LogSegment) -> LogSegment | None:
        """The one behind it, None for the active one."""
        slot = bisect_right(self._bases, segment.base_offset)
        return self._segments[slot] if slot < len(self._segments) else None

    def from_offset(self, offset: int) -> list[LogSegment]:
        """The one that holds `offset`, or the first above it, and all behind it."""
        return self._segments[max(bisect_right(self._bases, offset) - 1, 0) :]

    def add(self, segment: LogSegment) -> None:
        """It must start above all others: it is the active one from now on."""
        assert not self._bases or segment.base_offset > self._bases[-1]
        self._segments.append(segment)
        self._bases.append(segment.base_offset)
        self.active = segment

    def remove(self, segment: LogSegment) -> None:
        """Take it out. While others are added in its place the log may be without an active one."""
        slot = self._segments.index(segment)
        del self._segments[slot], self._bases[slot]
        if self._segments:
            self.active = self._segments[-1]
