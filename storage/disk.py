"""THE file seam: everything storage does to a file system goes through a `Disk`.

`OsDisk` is the machine's; tests/sim/disk.py loses, tears and reorders what was not synced. A failed
call raises `DiskError` and nothing else, but for a file that is not there, which is
`FileNotFoundError`. What must survive a power loss is synced twice: the file's bytes by
`File.fsync`, its name (create, rename, unlink) by `Disk.fsync_dir`.
"""

from __future__ import annotations

import errno
import mmap
import os
import stat
import struct
from typing import TYPE_CHECKING, Protocol

from .errors import DiskError, DiskFull, LogDirLocked, MissingFile, OutOfDescriptors

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

LOCK_FILE_NAME = ".lock"
TEMPORARY_SUFFIX = ".tmp"

# Everything but the data itself may lag behind: the size of a grown file is synced by fdatasync
# too.
_sync = getattr(os, "fdatasync", os.fsync)

_RWF_NOWAIT = getattr(os, "RWF_NOWAIT", 0)
_PROBE_BYTES = 128 * 1024  # what the kernel reads ahead, so what is there or not as a whole
_BUFFERS_MAX = 64  # of one call; the system has a limit, 1024 on Linux


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


class OsFile:
    """A file of the operating system."""

    __slots__ = ("_fd", "path", "size")

    def __init__(self, path: str, fd: int, size: int) -> None:
        self.path = path
        self.size = size
        self._fd = fd

    def __del__(self) -> None:
        self.close()

    def append(self, chunk: ReadableBuffer) -> int:
        position = self.size
        try:
            written = os.pwrite(self._fd, chunk, position)
            size = memoryview(chunk).nbytes
            if written != size:
                _write_rest(self._fd, memoryview(chunk).cast("B"), position, written)
        except OSError as error:
            # What was written of it must not be found by recovery, which could take it for whole.
            try:
                os.ftruncate(self._fd, position)
            except OSError as also:
                raise disk_error(self.path, also) from error
            raise disk_error(self.path, error) from error
        self.size = position + size
        return position

    def read_at(self, position: int, size: int) -> bytes:
        try:
            chunk = os.pread(self._fd, size, position)
            while len(chunk) < size and position + len(chunk) < self.size:
                more = os.pread(self._fd, size - len(chunk), position + len(chunk))
                if not more:
                    break
                chunk += more
        except OSError as error:
            raise disk_error(self.path, error) from error
        return chunk

    def write_at(self, position: int, chunk: ReadableBuffer) -> None:
        view = memoryview(chunk).cast("B")
        try:
            _write_rest(self._fd, view, position, 0)
        except OSError as error:
            raise disk_error(self.path, error) from error
        self.size = max(self.size, position + len(view))

    def truncate(self, size: int) -> None:
        try:
            os.ftruncate(self._fd, size)
        except OSError as error:
            raise disk_error(self.path, error) from error
        self.size = size

    def reserve(self, size: int) -> None:
        try:
            if size > os.fstat(self._fd).st_size:
                os.ftruncate(self._fd, size)
        except OSError as error:
            raise disk_error(self.path, error) from error

    def fsync(self) -> None:
        try:
            _sync(self._fd)
        except OSError as error:
            raise disk_error(self.path, error) from error

    def is_resident(self, position: int, size: int) -> bool:
        if not _RWF_NOWAIT:
            return True
        probe = [bytearray(1)]
        last = position + size - 1
        for at in (*range(position, last, _PROBE_BYTES), last):
            try:
                os.preadv(self._fd, probe, at, _RWF_NOWAIT)
            except BlockingIOError:
                return False
            except OSError:
                return True  # a file system that cannot tell
        return True

    def warm(self, position: int, size: int) -> None:
        end = position + size
        try:
            if hasattr(os, "posix_fadvise"):
                # All of it at once, a window a call, then a byte of each to wait for it:
                # nothing is copied.
                windows = range(position, end, _PROBE_BYTES)
                for at in windows:
                    os.posix_fadvise(
                        self._fd, at, min(_PROBE_BYTES, end - at), os.POSIX_FADV_WILLNEED
                    )
                for at in windows:
                    os.pread(self._fd, 1, min(at + _PROBE_BYTES, end) - 1)
                return
            # What is read is thrown away: into one buffer, over and over.
            buffer = memoryview(bytearray(min(_PROBE_BYTES, size)))
            while position < end:
                whole, rest = divmod(end - position, len(buffer))
                buffers = [buffer] * min(whole, _BUFFERS_MAX) or [buffer[:rest]]
                got = os.preadv(self._fd, buffers, position)
                if not got:
                    return
                position += got
        except OSError as error:
            raise disk_error(self.path, error) from error

    def fileno(self) -> int:
        return self._fd

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


class OsDirectoryLock:
    """An open file description lock, or flock where there is none."""

    __slots__ = ("_fd",)

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def __del__(self) -> None:
        self.release()

    def release(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


class OsDisk:
    """The machine's file system."""

    __slots__ = ()

    def open(self, path: str, *, create: bool = False) -> OsFile:
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0), 0o644)
            return OsFile(path, fd, os.fstat(fd).st_size)
        except OSError as error:
            raise disk_error(path, error) from error

    def map(self, path: str, size: int) -> memoryview:
        file = self.open(path, create=True)
        before = file.size
        if before != size:
            file.truncate(size)
        try:
            return memoryview(mmap.mmap(file.fileno(), size))
        except OSError as error:
            if before != size:
                file.truncate(before)
            raise disk_error(path, error) from error

    def read_file(self, path: str) -> bytes:
        # Kafka takes the right to write away from its snapshots.
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            file = OsFile(path, fd, os.fstat(fd).st_size)
        except OSError as error:
            raise disk_error(path, error) from error
        return file.read_at(0, file.size)

    def write_file_atomic(self, path: str, content: bytes, *, sync: bool = True) -> None:
        temporary = path + TEMPORARY_SUFFIX
        file = self.open(temporary, create=True)
        if file.size:
            file.truncate(0)
        file.append(content)
        if sync:
            file.fsync()
        self.rename(temporary, path)
        if sync:
            self.fsync_dir(os.path.dirname(path) or ".")

    def exists(self, path: str) -> bool:
        return os.path.exists(path)

    def is_dir(self, path: str) -> bool:
        return os.path.isdir(path)

    def size(self, path: str) -> int:
        return self._stat(path).st_size

    def modified_ms(self, path: str) -> int:
        return self._stat(path).st_mtime_ns // 1_000_000

    def list_dir(self, path: str) -> list[str]:
        try:
            return sorted(os.listdir(path))
        except OSError as error:
            raise disk_error(path, error) from error

    def make_dir(self, path: str) -> None:
        try:
            try:
                os.mkdir(path)  # its parents are most often there
            except FileNotFoundError:
                os.makedirs(path, exist_ok=True)
            except FileExistsError:
                if not os.path.isdir(path):
                    raise
        except OSError as error:
            raise type(disk_error(path, error))(path, _why_not_made(path, error)) from error

    def rename(self, old: str, new: str) -> None:
        try:
            os.rename(old, new)
        except OSError as error:
            raise disk_error(old, error) from error

    def unlink(self, path: str) -> None:
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise disk_error(path, error) from error

    def remove_tree(self, path: str) -> None:
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        self.remove_tree(entry.path)
                    else:
                        self.unlink(entry.path)
            os.rmdir(path)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise disk_error(path, error) from error

    def fsync_dir(self, path: str) -> None:
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)
        except OSError as error:
            raise disk_error(path, error) from error

    def lock(self, path: str) -> OsDirectoryLock:
        import fcntl

        lock_path = f"{path}/{LOCK_FILE_NAME}"
        try:
            fd = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise disk_error(lock_path, error) from error
        try:
            # Java's FileChannel.lock is a POSIX record lock. Only an open file description lock
            # keeps both Apache Kafka and a second broker of this very process out.
            if hasattr(fcntl, "F_OFD_SETLK"):
                whole_file = struct.pack("hhqqi0q", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
                fcntl.fcntl(fd, fcntl.F_OFD_SETLK, whole_file)
            else:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(fd)
            if error.errno in (errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK):
                raise LogDirLocked(path) from error
            raise disk_error(lock_path, error) from error
        return OsDirectoryLock(fd)

    def space(self, path: str) -> tuple[int, int]:
        try:
            volume = os.statvfs(path)
        except OSError as error:
            raise disk_error(path, error) from error
        return volume.f_blocks * volume.f_frsize, volume.f_bavail * volume.f_frsize

    def _stat(self, path: str) -> os.stat_result:
        try:
            return os.stat(path)
        except OSError as error:
            raise disk_error(path, error) from error


def _why_not_made(path: str, error: OSError) -> str:
    """Why a directory could not be made, by what stands in its place or on the way to it."""
    wanted = place = os.path.abspath(path)
    while not os.path.lexists(place):
        place = os.path.dirname(place)
    what = "it" if place == wanted else place
    try:
        if not stat.S_ISDIR(os.stat(place).st_mode):
            return f"{what} is not a directory"
    except OSError as failed:
        if failed.errno == errno.ENOENT:
            return f"{what} is a link to {os.readlink(place)}, which does not exist"
        if failed.errno == errno.ELOOP:
            return f"{what} is a link that leads to itself"
    if error.errno == errno.EACCES:
        return str(error.strerror)  # it may be there
    return f"it cannot be created: {error.strerror}"


def _write_rest(fd: int, view: memoryview, position: int, written: int) -> None:
    while written < len(view):
        count = os.pwrite(fd, view[written:], position + written)
        if count == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written += count
