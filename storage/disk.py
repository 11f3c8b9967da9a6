"""The interface to the file system: storage does everything to files through a `Disk`.

`os_disk.OsDisk` is the one of the operating system. In tests, `tests/sim/disk.py` loses, tears and
reorders what was not synced. A failed call raises `DiskError` and nothing else, but for a file that
does not exist: that is `FileNotFoundError`. What must survive a power loss needs two syncs:
`File.fsync` for the bytes of a file, `Disk.fsync_dir` for its name (create, rename, unlink).
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Protocol

from .errors import DiskError, DiskFull, MissingFile, OutOfDescriptors

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

LOCK_FILE_NAME = ".lock"
TEMPORARY_SUFFIX = ".tmp"


class File(Protocol):
    """One open file. It stays open for as long as something refers to it, also after an unlink."""

    path: str
    size: int  # bytes; where the next append goes

    def append(self, chunk: ReadableBuffer) -> int:
        """Write all of `chunk` at the end; the position it starts at.

        DiskError: `size` is what it was, and the file is cut back to it as far as the disk still
        obeys.
        """
        ...

    def read_at(self, position: int, size: int) -> bytes:
        """Up to `size` bytes from `position`; fewer only at the end of the file."""
        ...

    def write_at(self, position: int, chunk: ReadableBuffer) -> None:
        """Write all of `chunk` at `position`, which may lie behind the end."""
        ...

    def truncate(self, size: int) -> None:
        """Cut or extend (with zeros) to `size` bytes."""
        ...

    def reserve(self, size: int) -> None:
        """Extend the file on disk to `size` bytes ahead of appends, which still start at
        `self.size`.
        """
        ...

    def fsync(self) -> None:
        """Return when the bytes written so far survive a power loss. May run in a thread."""
        ...

    def is_resident(self, position: int, size: int) -> bool:
        """Whether a read would probably not wait for the disk: a few pages of it are looked at."""
        ...

    def warm(self, position: int, size: int) -> None:
        """Read it into the page cache. Blocks; for a thread. DiskError."""
        ...

    def fileno(self) -> int:
        """The descriptor, for sendfile. Valid while this object is referenced."""
        ...

    def close(self) -> None:
        """Close at once. Only for a file that has not been handed to anyone."""
        ...


class DirectoryLock(Protocol):
    """Exclusive use of a directory."""

    def release(self) -> None:
        """Let others have it. Idempotent."""
        ...


class Disk(Protocol):
    """A file system. Paths are absolute or relative to the process; parents must exist unless
    said.
    """

    def open(self, path: str, *, create: bool = False) -> File:
        """Open for reading and writing; with `create` an absent file is made. FileNotFoundError."""
        ...

    def map(self, path: str, size: int) -> memoryview:
        """The file, cut or extended to `size` (> 0) bytes, as shared writable memory until
        released. After an error it has its old size.

        Writes show in reads of the file at once and are durable after an fsync of the file. A page
        that was never written through a `File` may have no room on the disk: write zeros there
        first, or a full disk is fatal.
        """
        ...

    def read_file(self, path: str) -> bytes:
        """All of a small file. FileNotFoundError."""
        ...

    def write_file_atomic(self, path: str, content: bytes, *, sync: bool = True) -> None:
        """Replace a small file whole: after a crash it has the old content or the new (with `sync`,
        the new).

        Without `sync` a power loss may leave anything, an empty file included.
        """
        ...

    def exists(self, path: str) -> bool: ...

    def is_dir(self, path: str) -> bool: ...

    def size(self, path: str) -> int:
        """Bytes. FileNotFoundError."""
        ...

    def modified_ms(self, path: str) -> int:
        """When the file was last written, milliseconds since the epoch. FileNotFoundError."""
        ...

    def list_dir(self, path: str) -> list[str]:
        """Names in a directory, sorted. FileNotFoundError."""
        ...

    def make_dir(self, path: str) -> None:
        """Make the directory and its parents; one that is there is fine."""
        ...

    def rename(self, old: str, new: str) -> None:
        """Atomic; replaces a file named `new`. FileNotFoundError."""
        ...

    def unlink(self, path: str) -> None:
        """Remove a file; one that is not there is fine."""
        ...

    def remove_tree(self, path: str) -> None:
        """Remove a directory with all in it; one that is not there is fine."""
        ...

    def fsync_dir(self, path: str) -> None:
        """Return when names made, renamed and removed in `path` survive a power loss. May run in a
        thread.
        """
        ...

    def lock(self, path: str) -> DirectoryLock:
        """Take the directory by its `.lock` file, against this and other processes.
        LogDirLocked.
        """
        ...

    def space(self, path: str) -> tuple[int, int]:
        """(total, usable) bytes of the volume that holds `path`."""
        ...


class FileRange:
    """`size` bytes of a file from `position`, open for as long as this is referenced. Sent, not
    read.
    """

    __slots__ = ("file", "position", "size")

    def __init__(self, file: File, position: int, size: int) -> None:
        self.file = file
        self.position = position
        self.size = size

    def __len__(self) -> int:
        return self.size

    @property
    def is_resident(self) -> bool:
        """Whether to read it would probably not wait for the disk."""
        return self.file.is_resident(self.position, self.size)

    def read(self) -> bytes:
        """The bytes themselves, for a transport that cannot send from a file."""
        return self.file.read_at(self.position, self.size)


def disk_error(path: str, error: OSError) -> DiskError:
    """What a failed call on `path` is to storage's callers."""
    kind = DiskError
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        kind = DiskFull
    elif error.errno in (errno.EMFILE, errno.ENFILE):
        kind = OutOfDescriptors
    elif error.errno == errno.ENOENT:
        kind = MissingFile
    return kind(path, error.strerror or str(error))
