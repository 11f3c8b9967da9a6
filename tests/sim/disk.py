"""A disk in memory that loses power.

Fault model. A file has two contents: what its readers see and what an fsync has made durable. At
`power_loss` each 512-byte sector that differs becomes either one, independently of all others, so
unsynced writes are lost, torn and reordered; one sector in a few is torn in the middle. The size
becomes anything between the durable and the seen one; bytes that were never written are zeros.
Writes through a mapping are writes like any other. A directory has a list of changes (create,
rename, unlink) since its last fsync: a power loss keeps some first part of it and forgets the rest,
as journals do; a rename happens or does not. An fsync of a file does not make its name durable.
After a failed fsync the seen content is still seen, and may be lost even though the next fsync
succeeds.

Besides: `fail_next` makes a call fail, `break_down` every call below a path; `capacity` fills the
disk up, `limit` what lies below a path; `hold_reads` lets reads hang; `crash_at` cuts the power in
the middle of a call (`PowerLoss`). Handles from before a power loss are dead.
"""

from __future__ import annotations

import errno
import os
import threading
from typing import TYPE_CHECKING

from kbroker.storage.disk import TEMPORARY_SUFFIX, disk_error
from kbroker.storage.errors import LogDirLocked

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from _typeshed import ReadableBuffer

    from kbroker.storage.errors import DiskError

SECTOR = 512
TORN_SECTORS = 0.2  # of those that differ


class PowerLoss(Exception):
    """The power went out during a call. Call `SimDisk.power_loss`, then start again."""


class _Inode:
    """A file, whatever its names. `forgotten`: an fsync failed, the seen bytes may be gone."""

    def __init__(self) -> None:
        self.seen = bytearray()
        self.durable = b""
        self.modified_ms = 0
        self.forgotten: bytes | None = None
        # What `warm` has read since the page cache lost the file; None while it never did.
        self.warmed: list[tuple[int, int]] | None = None
        self.gate: threading.Event | None = None  # for reads
        self.sync_gate: threading.Event | None = None


def _pass(gate: threading.Event | None) -> None:
    if gate is not None:
        assert threading.current_thread() is not threading.main_thread(), "waits for the disk"
        gate.wait()


class _Directory:
    """Names to files and directories; `changes` are replayed over `durable`."""

    def __init__(self) -> None:
        self.seen: dict[str, _Inode | _Directory] = {}
        self.durable: dict[str, _Inode | _Directory] = {}
        self.changes: list[tuple[str | None, str | None, _Inode | _Directory]] = []

    def link(self, name: str, node: _Inode | _Directory) -> None:
        self.seen[name] = node
        self.changes.append((None, name, node))

    def unlink(self, name: str) -> None:
        self.changes.append((name, None, self.seen.pop(name)))

    def rename(self, old: str, new: str) -> None:
        node = self.seen.pop(old)
        self.seen[new] = node
        self.changes.append((old, new, node))

    def sync(self) -> None:
        self.durable = dict(self.seen)
        self.changes.clear()


class SimFile:
    """An open file of a SimDisk."""

    def __init__(self, disk: SimDisk, path: str, inode: _Inode) -> None:
        self.path = path
        self.size = len(inode.seen)
        self._disk = disk
        self._inode = inode
        self._life = disk.lives

    def append(self, chunk: ReadableBuffer) -> int:
        content = bytes(chunk)
        position = self.size
        self._call("append", lambda: self._put(position, content[: self._cut(content)]))
        self._disk.check_room(self.path, len(content))
        self._put(position, content)
        self.size = position + len(content)
        return position

    def read_at(self, position: int, size: int) -> bytes:
        self._call("read_at")
        _pass(self._inode.gate)
        return bytes(self._inode.seen[position : position + size])

    def write_at(self, position: int, chunk: ReadableBuffer) -> None:
        content = bytes(chunk)
        self._call("write_at", lambda: self._put(position, content[: self._cut(content)]))
        self._disk.check_room(self.path, position + len(content) - len(self._inode.seen))
        self._put(position, content)
        self.size = max(self.size, position + len(content))

    def truncate(self, size: int) -> None:
        self._call("truncate")
        self._inode.modified_ms = self._disk.now_ms  # be the size another or not
        self._disk.resize(self._inode, size)
        self.size = size

    def reserve(self, size: int) -> None:
        self._call("reserve")
        if size > len(self._inode.seen):
            self._disk.resize(self._inode, size)

    def fsync(self) -> None:
        inode = self._inode
        _pass(inode.sync_gate)
        try:
            self._call("fsync")
        except PowerLoss:
            raise
        except Exception:
            inode.forgotten = bytes(inode.seen)
            raise
        if inode.forgotten is None:
            inode.durable = bytes(inode.seen)
            return
        # The kernel took the failed pages for clean: only what was written since is synced.
        kept = bytearray(inode.durable.ljust(len(inode.seen), b"\0")[: len(inode.seen)])
        for at in range(len(inode.seen)):
            if at >= len(inode.forgotten) or inode.seen[at] != inode.forgotten[at]:
                kept[at] = inode.seen[at]
        inode.durable = bytes(kept)

    def is_resident(self, position: int, size: int) -> bool:
        warmed = self._inode.warmed
        return warmed is None or any(
            start <= position and position + size <= end for start, end in warmed
        )

    def warm(self, position: int, size: int) -> None:
        self._call("read_at")
        if self._inode.warmed is not None:
            self._inode.warmed.append((position, position + size))

    def fileno(self) -> int:
        raise OSError(errno.ENOTSUP, "a simulated file has no descriptor")

    def close(self) -> None:
        self._life = -1

    def _put(self, position: int, content: bytes) -> None:
        inode = self._inode
        inode.modified_ms = self._disk.now_ms
        end = position + len(content)
        if end > len(inode.seen):
            self._disk.resize(inode, end)
        inode.seen[position:end] = content

    def _cut(self, content: bytes) -> int:
        return self._disk.rng.randrange(len(content) + 1)

    def _call(self, operation: str, part: Callable[[], object] | None = None) -> None:
        assert self._life == self._disk.lives, f"{self.path} was opened before the power loss"
        self._disk.call(operation, self.path, part)


class SimLock:
    """A directory taken."""

    def __init__(self, disk: SimDisk, path: str) -> None:
        self._disk = disk
        self._path = path

    def release(self) -> None:
        self._disk.locked.discard(self._path)


class SimDisk:
    """The disk. `rng` decides what a crash in the middle of a call has done of it."""

    def __init__(self, rng: Random, *, capacity: int | None = None) -> None:
        self.rng = rng
        self.capacity = capacity
        self.now_ms = 0
        self.lives = 0  # power losses so far
        self.calls = 0  # that change something
        self.crash_at: int | None = None  # the number of such a call
        self.locked: set[str] = set()
        self.trace: list[str] = []  # of the calls since the last power loss
        self.refused: set[str] = set()  # paths for which there was no room
        self._root = _Directory()
        self._failures: list[tuple[str, int, str]] = []
        self._broken: dict[str, int] = {}
        self._volumes: dict[str, int] = {}

    # Faults.

    @property
    def has_no_power(self) -> bool:
        """It went out, and `power_loss` has not been called yet."""
        return self.crash_at is not None and self.calls >= self.crash_at

    def break_down(self, path: str, error: int = errno.EIO) -> None:
        """From now on every call on what lies there fails, until `mend`."""
        self._broken[path] = error

    def mend(self, path: str) -> None:
        """The same disk with all that it had."""
        del self._broken[path]

    def limit(self, path: str, capacity: int | None) -> None:
        """What lies there has a disk of its own, of so many bytes (None: no end)."""
        self._volumes[path] = capacity if capacity is not None else 1 << 40

    def fail_next(self, operation: str, error: int = errno.EIO, path_part: str = "") -> None:
        """The next call of `operation` on a path that has `path_part` fails with this errno."""
        self._failures.append((operation, error, path_part))

    def forget_failures(self) -> None:
        """Those of `fail_next` that have not come to pass."""
        self._failures.clear()

    def power_loss(self, rng: Random) -> None:
        """Everything unsynced goes its own way; the machine is on again."""
        self.lives += 1
        self.crash_at = None
        self.locked.clear()
        self.trace.clear()
        self._failures.clear()
        self._lose(self._root, rng, set())

    def _lose(self, directory: _Directory, rng: Random, done: set[int]) -> None:
        kept = rng.randint(0, len(directory.changes))
        entries = dict(directory.durable)
        for old, new, node in directory.changes[:kept]:
            if old is not None:
                entries.pop(old, None)
            if new is not None:
                entries[new] = node
        directory.seen = entries
        directory.sync()
        for node in entries.values():
            if isinstance(node, _Directory):
                self._lose(node, rng, done)
            elif id(node) not in done:
                done.add(id(node))
                content = _surviving(node, rng)
                node.seen = bytearray(content)
                node.durable = content
                node.forgotten = None

    def call(self, operation: str, path: str, part: Callable[[], object] | None = None) -> None:
        """One call begins; `part` does some of it, for a crash in the middle."""
        broken = self._broken_by(path)
        if broken is not None:
            raise disk_error(path, OSError(broken, os.strerror(broken)))
        for failure in self._failures:
            if failure[0] == operation and failure[2] in path:
                self._failures.remove(failure)
                raise disk_error(path, OSError(failure[1], os.strerror(failure[1])))
        if operation in ("read_at", "open", "list_dir", "space"):
            return
        self.calls += 1
        self.trace.append(f"{self.calls} {operation} {path}")
        if self.has_no_power:
            if part is not None:
                part()
            raise PowerLoss

    def _broken_by(self, path: str) -> int | None:
        for root, error in self._broken.items():
            if path == root or path.startswith(f"{root}/"):
                return error
        return None

    def check_room(self, path: str, more: int) -> None:
        """DiskError if `more` bytes do not fit."""
        is_full = self.capacity is not None and self._used(self._root) + more > self.capacity
        for root, capacity in self._volumes.items():
            if path.startswith(f"{root}/") and self.used(root) + more > capacity:
                is_full = True
        if is_full:
            self.refused.add(path)
            raise disk_error(path, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))

    def used(self, path: str = "/") -> int:
        """Bytes in all files there."""
        return self._used(self._directory(path))

    def _used(self, directory: _Directory) -> int:
        return sum(
            self._used(node) if isinstance(node, _Directory) else len(node.seen)
            for node in directory.seen.values()
        )

    def resize(self, inode: _Inode, size: int) -> None:
        """Cut or extend what is seen; a mapping of it must have been released."""
        if size < len(inode.seen):
            del inode.seen[size:]
        else:
            inode.seen.extend(bytes(size - len(inode.seen)))

    def evict(self, path: str) -> None:
        """The page cache forgets the file."""
        self._inode(path).warmed = []

    def hold_reads(self, path: str) -> threading.Event:
        """The page cache forgets the file, and reads of it wait until the event is set."""
        self.evict(path)
        gate = self._inode(path).gate = threading.Event()
        return gate

    def hold_syncs(self, path: str) -> threading.Event:
        """Syncs of the file wait until the event is set."""
        gate = self._inode(path).sync_gate = threading.Event()
        return gate

    # Disk.

    def open(self, path: str, *, create: bool = False) -> SimFile:
        self.call("open", path)
        parent, name = self._parent(path)
        node = parent.seen.get(name)
        if node is None:
            if not create:
                raise _missing(path)
            self.call("create", path)
            node = _Inode()
            node.modified_ms = self.now_ms
            parent.link(name, node)
        if isinstance(node, _Directory):
            raise disk_error(path, OSError(errno.EISDIR, os.strerror(errno.EISDIR)))
        return SimFile(self, path, node)

    def map(self, path: str, size: int) -> memoryview:
        file = self.open(path, create=True)
        if file.size != size:
            file.truncate(size)
        return memoryview(self._inode(path).seen)

    def read_file(self, path: str) -> bytes:
        return bytes(self.open(path)._inode.seen)

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
            self.fsync_dir(os.path.dirname(path))

    def exists(self, path: str) -> bool:
        return self._broken_by(path) is None and self._find(path) is not None

    def is_dir(self, path: str) -> bool:
        return self._broken_by(path) is None and isinstance(self._find(path), _Directory)

    def size(self, path: str) -> int:
        return len(self._inode(path).seen)

    def modified_ms(self, path: str) -> int:
        return self._inode(path).modified_ms

    def list_dir(self, path: str) -> list[str]:
        self.call("list_dir", path)
        return sorted(self._directory(path).seen)

    def make_dir(self, path: str) -> None:
        directory = self._root
        for name in _parts(path):
            node = directory.seen.get(name)
            if node is None:
                self.call("make_dir", path)
                node = _Directory()
                directory.link(name, node)
            assert isinstance(node, _Directory)
            directory = node

    def rename(self, old: str, new: str) -> None:
        parent, name = self._parent(old)
        new_parent, new_name = self._parent(new)
        if name not in parent.seen:
            raise _missing(old)
        assert parent is new_parent, "storage renames within a directory only"
        self.call("rename", old)
        parent.rename(name, new_name)

    def unlink(self, path: str) -> None:
        if self._broken_by(path) is not None:
            self.call("unlink", path)
        parent, name = self._parent(path)
        if name in parent.seen:
            self.call("unlink", path)
            parent.unlink(name)

    def remove_tree(self, path: str) -> None:
        if not self.is_dir(path):
            return
        for name in self.list_dir(path):
            if self.is_dir(f"{path}/{name}"):
                self.remove_tree(f"{path}/{name}")
            else:
                self.unlink(f"{path}/{name}")
        parent, name = self._parent(path)
        self.call("rmdir", path)
        parent.unlink(name)

    def fsync_dir(self, path: str) -> None:
        directory = self._directory(path)
        self.call("fsync_dir", path)
        directory.sync()

    def lock(self, path: str) -> SimLock:
        if path in self.locked:
            raise LogDirLocked(path)
        self.open(f"{path}/.lock", create=True)
        self.locked.add(path)
        return SimLock(self, path)

    def space(self, path: str) -> tuple[int, int]:
        self.call("space", path)
        total = 1 << 40 if self.capacity is None else self.capacity
        return total, total - self._used(self._root)

    def _find(self, path: str) -> _Inode | _Directory | None:
        node: _Inode | _Directory | None = self._root
        for name in _parts(path):
            if not isinstance(node, _Directory):
                return None
            node = node.seen.get(name)
        return node

    def _inode(self, path: str) -> _Inode:
        node = self._find(path)
        if not isinstance(node, _Inode):
            raise _missing(path)
        return node

    def _directory(self, path: str) -> _Directory:
        node = self._find(path)
        if not isinstance(node, _Directory):
            raise _missing(path)
        return node

    def _parent(self, path: str) -> tuple[_Directory, str]:
        directory, _, name = path.rpartition("/")
        return self._directory(directory), name


def _missing(path: str) -> DiskError:
    return disk_error(path, OSError(errno.ENOENT, os.strerror(errno.ENOENT)))


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part]


def _surviving(inode: _Inode, rng: Random) -> bytes:
    seen = bytes(inode.seen)
    durable = inode.durable
    if seen == durable:
        return seen
    low, high = sorted((len(seen), len(durable)))
    size = rng.choice((low, high, rng.randint(low, high)))
    seen = seen.ljust(size, b"\0")[:size]
    durable = durable.ljust(size, b"\0")[:size]
    pieces = []
    # Now and then all or nothing: in a large file a mix is all one would ever see.
    keep = rng.choice((0.0, 0.5, 0.5, 0.9, 1.0))
    for at in range(0, size, SECTOR):
        new, old = seen[at : at + SECTOR], durable[at : at + SECTOR]
        if new == old:
            pieces.append(new)
        elif rng.random() < TORN_SECTORS and 0.0 < keep < 1.0:
            cut = rng.randrange(len(new) + 1)
            pieces.append(new[:cut] + old[cut:])
        else:
            pieces.append(new if rng.random() < keep else old)
    return b"".join(pieces)
