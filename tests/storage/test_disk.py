from __future__ import annotations

import errno
import os
import sys
from functools import partial
from random import Random
from typing import TYPE_CHECKING

import pytest

from kbroker import descriptors
from kbroker.storage.disk import FileRange
from kbroker.storage.errors import DiskError, DiskFull, LogDirLocked, OutOfDescriptors
from kbroker.storage.os_disk import OsDisk
from tests.sim.disk import SimDisk

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kbroker.storage.disk import Disk, File


@pytest.fixture(params=["os", "sim"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Disk, str]:
    """A disk and an empty directory on it: what holds for the one must hold for the other."""
    if request.param == "os":
        return OsDisk(), str(tmp_path)
    disk = SimDisk(Random(0))
    disk.make_dir("/d")
    return disk, "/d"


def test_appends_are_read_back_where_they_were_put(place: tuple[Disk, str]) -> None:
    disk, directory = place
    file = disk.open(f"{directory}/f", create=True)
    assert file.append(b"abc") == 0
    assert file.append(memoryview(b"defg")) == 3
    assert file.size == 7
    assert file.read_at(2, 3) == b"cde"
    assert file.read_at(5, 100) == b"fg"
    assert disk.read_file(f"{directory}/f") == b"abcdefg"
    assert disk.size(f"{directory}/f") == 7
    reopened = disk.open(f"{directory}/f")
    assert reopened.append(b"h") == 7


def test_truncating_cuts_and_extends_with_zeros(place: tuple[Disk, str]) -> None:
    disk, directory = place
    file = disk.open(f"{directory}/f", create=True)
    file.append(b"abcdef")
    file.truncate(2)
    file.append(b"x")
    assert disk.read_file(f"{directory}/f") == b"abx"
    file.truncate(5)
    assert disk.read_file(f"{directory}/f") == b"abx\0\0"


def test_appends_go_behind_what_was_written_not_what_was_reserved(
    place: tuple[Disk, str],
) -> None:
    disk, directory = place
    file = disk.open(f"{directory}/f", create=True)
    file.reserve(100)
    file.append(b"ab")
    assert disk.size(f"{directory}/f") == 100
    assert file.read_at(0, 2) == b"ab"


def test_a_mapping_and_the_file_show_each_others_writes(place: tuple[Disk, str]) -> None:
    disk, directory = place
    path = f"{directory}/f"
    view = disk.map(path, 8192)
    view[5000:5003] = b"abc"
    file = disk.open(path)
    assert file.read_at(5000, 3) == b"abc"
    file.write_at(10, b"xy")
    assert bytes(view[10:12]) == b"xy"
    view.release()
    assert disk.size(path) == 8192


@pytest.mark.skipif(sys.platform == "win32", reason="no directory is synced there")
def test_a_small_file_is_synced_before_it_has_its_name_and_the_name_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[tuple[str, int]] = []

    def watched(name: str) -> Callable[[int], None]:
        return lambda fd: done.append((name, os.fstat(fd).st_ino))

    monkeypatch.setattr(os, "fsync", watched("fsync"))
    monkeypatch.setattr("kbroker.storage.os_disk._sync", watched("sync"))
    path = tmp_path / "f"
    OsDisk().write_file_atomic(str(path), b"x")
    assert done == [("sync", path.stat().st_ino), ("fsync", tmp_path.stat().st_ino)]


@pytest.mark.skipif(sys.platform == "win32", reason="there is no limit to lower")
@pytest.mark.parametrize("size", [3, 8, 4096])
def test_a_file_that_cannot_be_mapped_has_its_old_size(tmp_path: Path, size: int) -> None:
    """A mapping takes a descriptor of its own, and there may be none left."""
    import resource

    disk, path = OsDisk(), str(tmp_path / "f")
    disk.write_file_atomic(path, b"abcdefgh")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors.in_use() + 1, before[1]))
    try:
        with pytest.raises(OutOfDescriptors):
            disk.map(path, size)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert disk.size(path) == 8
    with disk.map(path, 8) as view:
        assert bytes(view[:3]) == b"abc"


def test_the_time_of_the_last_write_is_told_in_milliseconds(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"x")
    os.utime(path, ns=(0, 1_700_000_000_123_999_900))
    assert OsDisk().modified_ms(str(path)) == 1_700_000_000_123


def test_missing_files_are_file_not_found(place: tuple[Disk, str]) -> None:
    disk, directory = place
    for call in (disk.open, disk.read_file, disk.size, disk.list_dir, disk.fsync_dir):
        with pytest.raises(FileNotFoundError):
            call(f"{directory}/none")
    with pytest.raises(FileNotFoundError):
        disk.rename(f"{directory}/none", f"{directory}/other")
    disk.unlink(f"{directory}/none")
    disk.remove_tree(f"{directory}/none")
    assert not disk.exists(f"{directory}/none")


def test_a_small_file_is_replaced_whole(place: tuple[Disk, str]) -> None:
    disk, directory = place
    disk.write_file_atomic(f"{directory}/f", b"a longer one")
    disk.write_file_atomic(f"{directory}/f", b"short", sync=False)
    assert disk.read_file(f"{directory}/f") == b"short"
    assert disk.list_dir(directory) == ["f"]


def test_a_tree_goes_with_all_in_it(place: tuple[Disk, str]) -> None:
    disk, directory = place
    disk.make_dir(f"{directory}/a/b")
    disk.make_dir(f"{directory}/a/b")
    disk.open(f"{directory}/a/b/f", create=True)
    disk.open(f"{directory}/a/g", create=True)
    disk.remove_tree(f"{directory}/a")
    assert disk.list_dir(directory) == []


def test_a_range_stays_readable_after_its_file_is_unlinked(place: tuple[Disk, str]) -> None:
    disk, directory = place
    file = disk.open(f"{directory}/f", create=True)
    file.append(b"abcdef")
    found = FileRange(file, 2, 3)
    del file
    disk.unlink(f"{directory}/f")
    assert len(found) == 3
    assert found.read() == b"cde"


def test_a_directory_is_locked_once(place: tuple[Disk, str]) -> None:
    disk, directory = place
    lock = disk.lock(directory)
    with pytest.raises(LogDirLocked):
        disk.lock(directory)
    lock.release()
    lock.release()
    disk.lock(directory).release()


def test_the_descriptor_closes_with_the_last_reference(tmp_path: Path) -> None:
    file = OsDisk().open(str(tmp_path / "f"), create=True)
    fd = file.fileno()
    found = FileRange(file, 0, 0)
    del file
    os.fstat(fd)
    del found
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


def test_what_was_just_written_is_resident(tmp_path: Path) -> None:
    file = OsDisk().open(str(tmp_path / "f"), create=True)
    file.append(bytes(300_000))
    file.warm(10, 299_000)
    file.warm(0, 300_000 + 1)  # there may be less
    assert file.is_resident(10, 299_000)


def test_errors_of_the_system_name_path_and_reason(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    disk = OsDisk()
    with pytest.raises(DiskError, match=r"file/f: Not a directory"):
        disk.open(f"{tmp_path}/file/f", create=True)
    with pytest.raises(DiskError, match="Is a directory"):
        disk.open(str(tmp_path))


@pytest.mark.parametrize(
    "call",
    [
        OsDisk().open,
        partial(OsDisk().map, size=10),
        OsDisk().read_file,
        partial(OsDisk().write_file_atomic, content=b"x"),
        OsDisk().size,
        OsDisk().modified_ms,
        OsDisk().list_dir,
        OsDisk().make_dir,
        lambda path: OsDisk().rename(path, f"{path}2"),
        OsDisk().unlink,
        OsDisk().remove_tree,
        OsDisk().fsync_dir,
        OsDisk().lock,
        OsDisk().space,
    ],
)
def test_whatever_is_asked_of_a_path_that_cannot_be_is_an_error_of_the_disk(
    tmp_path: Path, call: Callable[[str], object]
) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DiskError):
        call(f"{tmp_path}/file/f")


@pytest.mark.parametrize(
    "call",
    [
        lambda file: file.append(b"x"),
        lambda file: file.read_at(0, 1),
        lambda file: file.write_at(0, b"x"),
        lambda file: file.truncate(0),
        lambda file: file.reserve(10),
        lambda file: file.fsync(),
        lambda file: file.warm(0, 1),
    ],
    ids=["append", "read_at", "write_at", "truncate", "reserve", "fsync", "warm"],
)
def test_a_file_that_cannot_be_used_is_an_error_of_the_disk(
    tmp_path: Path, call: Callable[[File], object]
) -> None:
    path = str(tmp_path / "f")
    file = OsDisk().open(path, create=True)
    file.append(b"abc")
    ends = os.pipe()
    os.dup2(ends[0], file.fileno())  # of which there is no writing, and no reading anywhere
    with pytest.raises(DiskError, match=f"^{path}: "):
        call(file)
    for end in ends:
        os.close(end)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fcntl")
def test_a_file_system_without_locks_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "fcntl", refuse)
    monkeypatch.setattr(fcntl, "flock", refuse)
    before = descriptors.in_use()
    with pytest.raises(DiskError, match=r"\.lock: No locks available"):
        OsDisk().lock(str(tmp_path))
    assert descriptors.in_use() == before


@pytest.mark.parametrize(
    "writes",
    [
        [100, OSError(errno.ENOSPC, "No space left on device")],
        [0, 0],
        [OSError(errno.EIO, "Input/output error")],
    ],
    ids=["short, then full", "nothing written", "failed"],
)
def test_a_failed_append_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writes: list[int | OSError]
) -> None:
    file = OsDisk().open(str(tmp_path / "f"), create=True)
    file.append(b"whole")
    real = os.pwrite
    outcomes = iter(writes)

    def pwrite(fd: int, chunk: bytes, position: int) -> int:
        outcome = next(outcomes)
        if isinstance(outcome, OSError):
            raise outcome
        return real(fd, bytes(chunk)[:outcome], position)

    monkeypatch.setattr(os, "pwrite", pwrite)
    with pytest.raises(DiskError):
        file.append(b"x" * 1000)
    assert file.size == 5
    assert (tmp_path / "f").read_bytes() == b"whole"


def test_a_short_write_is_carried_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = OsDisk().open(str(tmp_path / "f"), create=True)
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, chunk, at: real(fd, bytes(chunk)[:7], at))
    file.append(bytes(range(100)))
    assert (tmp_path / "f").read_bytes() == bytes(range(100))


# The simulated disk's fault model.


def test_unsynced_writes_are_lost_torn_or_kept() -> None:
    outcomes = set()
    for seed in range(200):
        disk = SimDisk(Random(seed))
        file = disk.open("/f", create=True)
        file.append(b"a" * 2000)
        file.fsync()
        disk.fsync_dir("/")
        file.append(b"b" * 2000)
        file.write_at(0, b"c" * 512)
        disk.power_loss(Random(seed))
        content = disk.read_file("/f")
        assert content[512:2000] == b"a" * 1488
        outcomes.add(content)
    assert b"a" * 2000 in outcomes
    assert b"c" * 512 + b"a" * 1488 + b"b" * 2000 in outcomes
    assert len(outcomes) > 20


def test_unsynced_names_are_forgotten_from_the_last_one_on() -> None:
    outcomes = set()
    for seed in range(100):
        disk = SimDisk(Random(seed))
        for name in ("a", "b"):
            disk.open(f"/{name}", create=True)
        disk.fsync_dir("/")
        disk.rename("/a", "/c")
        disk.unlink("/b")
        disk.power_loss(Random(seed))
        outcomes.add(tuple(disk.list_dir("/")))
    assert outcomes == {("a", "b"), ("b", "c"), ("c",)}


def test_a_failed_fsync_may_lose_what_the_next_one_reports_safe() -> None:
    outcomes = set()
    for seed in range(50):
        disk = SimDisk(Random(seed))
        file = disk.open("/f", create=True)
        disk.fsync_dir("/")
        file.append(b"a" * 512)
        disk.fail_next("fsync")
        with pytest.raises(DiskError):
            file.fsync()
        file.append(b"b" * 512)
        file.fsync()
        disk.power_loss(Random(seed))
        outcomes.add(disk.read_file("/f"))
    assert bytes(512) + b"b" * 512 in outcomes
    assert b"a" * 512 + b"b" * 512 in outcomes


def test_a_full_disk_refuses_what_does_not_fit() -> None:
    disk = SimDisk(Random(0), capacity=1000)
    file = disk.open("/f", create=True)
    file.append(bytes(900))
    with pytest.raises(DiskError, match="No space left"):
        file.append(bytes(200))
    assert file.size == 900
    assert disk.space("/") == (1000, 100)


def test_what_nobody_may_write_is_read(tmp_path: Path) -> None:
    """As Kafka leaves its snapshots."""
    path = tmp_path / "snapshot"
    path.write_bytes(b"whole")
    path.chmod(0o400)
    assert OsDisk().read_file(str(path)) == b"whole"


@pytest.mark.skipif(sys.platform != "linux", reason="others may write a program that runs")
def test_what_not_even_root_may_write_is_read() -> None:
    running = os.path.realpath(sys.executable)
    with pytest.raises(DiskError):
        OsDisk().open(running)
    assert len(OsDisk().read_file(running)) == os.path.getsize(running)


def test_a_directory_that_cannot_be_made_says_what_is_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "gone").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    for name, reason in (
        ("file", "it is not a directory"),
        ("file/a/b", f"{tmp_path}/file is not a directory"),
        ("gone", "it is a link to nowhere, which does not exist"),
        ("gone/a", f"{tmp_path}/gone is a link to nowhere, which does not exist"),
        ("loop", "it is a link that leads to itself"),
        ("loop/a", f"{tmp_path}/loop is a link that leads to itself"),
        ("x" * 300, "it cannot be created: File name too long"),
    ):
        with pytest.raises(DiskError) as caught:
            OsDisk().make_dir(f"{tmp_path}/{name}")
        assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("error", "kind", "reason"),
    [
        (errno.EACCES, DiskError, "Permission denied"),
        (errno.EROFS, DiskError, "it cannot be created: Read-only file system"),
        (errno.ENOSPC, DiskFull, "it cannot be created: No space left on device"),
    ],
)
def test_what_a_system_says_that_makes_no_directory(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: int,
    kind: type[DiskError],
    reason: str,
) -> None:
    def refuse(path: str) -> None:
        raise OSError(error, os.strerror(error), path)

    monkeypatch.setattr(os, "mkdir", refuse)
    with pytest.raises(kind) as caught:
        OsDisk().make_dir(f"{tmp_path}/new")
    assert (type(caught.value), caught.value.reason) == (kind, reason)
