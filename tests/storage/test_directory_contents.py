"""What may lie in a log directory that is new, and in one that is in use."""

from __future__ import annotations

import re
from random import Random

import pytest

from kbroker.storage.checkpoints import META_PROPERTIES
from kbroker.storage.directory_contents import ForeignLogDir, check_contents
from tests.sim.disk import SimDisk

# Name, whether it is a directory, whether a new one may hold it, whether one in use may.
NAMES = [
    (".gitkeep", False, True, True),
    (".keep", False, True, True),
    (".gitignore", False, True, True),
    (".DS_Store", False, True, True),
    ("._data", False, True, True),
    ("Thumbs.db", False, True, True),
    (".nfs00000000000012ab00000001", False, True, True),
    ("aquota.user", False, True, True),
    ("lost+found", True, True, True),
    (".snapshot", True, True, True),
    (".zfs", True, True, True),
    (".Spotlight-V100", True, True, True),
    (".fseventsd", True, True, True),
    ("System Volume Information", True, True, True),
    ("$RECYCLE.BIN", True, True, True),
    (".lock", False, True, True),
    ("bootstrap.checkpoint", False, True, True),
    ("meta.properties.tmp", False, True, True),
    ("photo.jpg", False, False, True),
    (".bashrc", False, False, True),
    ("README.md", False, False, True),
    ("lost+found.tar", False, False, True),
    ("recovery-point-offset-checkpoint", False, False, True),
    (".kafka_cleanshutdown", False, False, True),
    ("t-0", True, False, True),
    ("t-0.0123456789abcdef0123456789abcdef-stray", True, False, True),
    ("remote-log-index-cache", True, False, True),
    ("holiday", True, False, False),
    (".ssh", True, False, False),
    (".git", True, False, False),
    ("t-x", True, False, False),
    (".lock", True, False, False),
]


def holding(name: str, is_dir: bool, *, in_use: bool) -> SimDisk:
    disk = SimDisk(Random(1))
    disk.make_dir("/data")
    if in_use:
        disk.write_file_atomic(f"/data/{META_PROPERTIES}", b"")
    if is_dir:
        disk.make_dir(f"/data/{name}")
    else:
        disk.open(f"/data/{name}", create=True)
    return disk


@pytest.mark.parametrize(("name", "is_dir", "in_new", "in_used"), NAMES)
@pytest.mark.parametrize("in_use", [False, True])
def test_what_may_lie_there(
    name: str, is_dir: bool, in_new: bool, in_used: bool, in_use: bool
) -> None:
    disk = holding(name, is_dir, in_use=in_use)
    before = disk.list_dir("/data")
    if in_used if in_use else in_new:
        check_contents(disk, "/data")
    else:
        with pytest.raises(ForeignLogDir, match=re.escape(name)):
            check_contents(disk, "/data")
    assert disk.list_dir("/data") == before


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["a"], "must be new and empty, but it contains 'a'$"),
        (["a", "b", "c"], "contains 'a', 'b', 'c'$"),
        (["a", "b", "c", "d", "e"], "contains 'a', 'b', 'c' and 2 more$"),
        (["a", "b", "c", "t-0"], "has no meta.properties, which identifies its owner, but .*Kafka"),
    ],
)
def test_what_a_new_directory_holds_is_named(names: list[str], reason: str) -> None:
    disk = SimDisk(Random(1))
    disk.make_dir("/data")
    for name in (*names, ".gitkeep"):
        disk.make_dir(f"/data/{name}")
    with pytest.raises(ForeignLogDir, match=reason):
        check_contents(disk, "/data")
