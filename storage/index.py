"""What the two mapped indexes of a segment share: the file, its mapping and the binary search.

Kafka's AbstractIndex. Opening a log reads no index: the first lookup or append loads it. An empty
file is mapped only when its first entry is written. A file that exists is taken to be full of
entries, because closing an index trims it. That is true after a clean stop; after any other stop,
recovery rebuilds the index from the log file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from .errors import DiskError

if TYPE_CHECKING:
    import struct

    from .disk import Disk

_PAGE = 4096
_NO_VIEW = memoryview(b"")


class MappedIndex:
    """Fixed-size ascending entries in a mapped file. Not thread-safe."""

    ENTRY_SIZE: ClassVar[int]
    RESERVED_ENTRIES: ClassVar[int] = 0

    __slots__ = (
        "_capacity",
        "_disk",
        "_entries",
        "_file_size",
        "_loaded",
        "_view",
        "_written",
        "base_offset",
        "max_bytes",
        "path",
    )

    def __init__(self, disk: Disk, path: str, base_offset: int, max_bytes: int) -> None:
        """`max_bytes`: how large an active segment's index may grow (`segment.index.bytes`)."""
        self._disk = disk
        self.path = path
        self.base_offset = base_offset
        self.max_bytes = max_bytes - max_bytes % self.ENTRY_SIZE
        self._capacity = self.max_bytes // self.ENTRY_SIZE - self.RESERVED_ENTRIES
        self._entries = 0
        self._file_size = 0
        self._loaded = False
        self._view = _NO_VIEW
        self._written = 0  # bytes of the file that surely have room on the disk

    @property
    def entries(self) -> int:
        """How many entries there are."""
        if not self._loaded:
            self._load()
        return self._entries

    @property
    def is_full(self) -> bool:
        """Whether the segment must roll before another entry is added."""
        if not self._loaded:
            self._load()
        return self._entries >= self._capacity

    def load(self) -> None:
        """Read the file's size and its entries, once. An absent file is an empty index."""
        if not self._loaded:
            self._load()

    def reset(self) -> None:
        """Forget every entry; the file is empty, for a rebuild."""
        self._release()
        file = self._disk.open(self.path, create=True)
        file.truncate(0)
        self._file_size = self._written = self._entries = 0
        self._loaded = True
        self._on_entries_changed()

    def trim(self) -> None:
        """Cut the file to its entries: the segment is no longer active, or closes. DiskError."""
        if not self._loaded:
            return
        size = self._entries * self.ENTRY_SIZE
        if self._file_size != size:
            file = self._disk.open(self.path, create=True)
            self.release()
            file.truncate(size)

    def close(self) -> None:
        """Trim and unmap. It loads again if it is used again."""
        self.trim()
        self.release()

    def release(self) -> None:
        """Unmap without writing anything: the disk has failed, or the file is to go."""
        self._release()
        self._loaded = False

    def _load(self) -> None:
        try:
            size = self._disk.size(self.path)
        except FileNotFoundError:
            size = 0
        self._file_size = self._written = size
        self._entries = size // self.ENTRY_SIZE
        if size:
            self._view = self._disk.map(self.path, size)
        self._loaded = True
        self._on_entries_changed()

    def reserve(self) -> bool:
        """Make room for one more entry, so that adding it cannot fail; False if it is full.
        DiskError.
        """
        if not self._loaded:
            self._load()
        if self._entries >= self._capacity:
            return False
        end = (self._entries + 1) * self.ENTRY_SIZE
        if end > self._written:
            self._extend(end)
        return True

    def _next_slot(self) -> int:
        """The byte position for one more entry, mapped and with room on the disk."""
        if not self._loaded:
            self._load()
        at = self._entries * self.ENTRY_SIZE
        end = at + self.ENTRY_SIZE
        assert end <= self.max_bytes, f"{self.path} is full"
        if end > self._written:
            self._extend(end)
        return at

    def _extend(self, end: int) -> None:
        if self._file_size < self.max_bytes:
            self._release()
            self._resize(self.max_bytes)
        # A store into a mapped page that the full disk has no block for kills the process
        # (SIGBUS); a write of zeros fails politely instead.
        written = -(-end // _PAGE) * _PAGE
        written = min(written, self.max_bytes)
        self._disk.open(self.path).write_at(self._written, bytes(written - self._written))
        self._written = written

    def _keep(self, entries: int) -> None:
        if entries < self._entries:
            self._entries = entries
            self._on_entries_changed()

    def _resize(self, size: int) -> None:
        try:
            self._view = self._disk.map(self.path, size)
        except DiskError:
            self._loaded = False  # as it was before
            raise
        self._file_size = size

    def _release(self) -> None:
        view = self._view
        self._view = _NO_VIEW
        if view:
            view.release()

    def _floor(self, key: struct.Struct, at: int, target: int) -> int:
        """The last slot whose key, `at` bytes into the entry, is at or below `target`; -1 if
        none.
        """
        view = self._view
        size = self.ENTRY_SIZE
        unpack_from = key.unpack_from
        low = 0
        high = self._entries
        while low < high:
            middle = (low + high) >> 1
            if unpack_from(view, middle * size + at)[0] <= target:
                low = middle + 1
            else:
                high = middle
        return low - 1

    def _size_defect(self) -> str | None:
        self.load()
        if self._file_size % self.ENTRY_SIZE:
            return f"the size {self._file_size} is not a multiple of {self.ENTRY_SIZE}"
        return None

    def _on_entries_changed(self) -> None:
        """Refresh what is cached of the last entry."""
        raise NotImplementedError
