"""The disk of the operating system: files, a lock, and the page cache."""

from __future__ import annotations

import errno
import mmap
import os
import stat
import struct
from typing import TYPE_CHECKING

from .disk import LOCK_FILE_NAME, TEMPORARY_SUFFIX, disk_error
from .errors import LogDirLocked

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

# Everything but the data itself may lag behind: the size of a grown file is synced by fdatasync
# too.
_sync = getattr(os, "fdatasync", os.fsync)

_RWF_NOWAIT = getattr(os, "RWF_NOWAIT", 0)
_PROBE_BYTES = 128 * 1024  # what the kernel reads ahead, so what is there or not as a whole
_BUFFERS_MAX = 64  # of one call; the system has a limit, 1024 on Linux


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
