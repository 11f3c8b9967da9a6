"""What a log directory contains, and whether this broker may use it.

In a directory that is in use, files do not matter, and every subdirectory must be a partition's
(Kafka's LogManager). A directory that is not in use yet is formatted by the first start, although
nobody has run `kafka-storage format` on it. So it must contain nothing that somebody might miss.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from . import names
from .checkpoints import CLEAN_SHUTDOWN, META_PROPERTIES
from .disk import LOCK_FILE_NAME, TEMPORARY_SUFFIX
from .errors import StorageError

if TYPE_CHECKING:
    from .checkpoints import MetaProperties, Partition
    from .disk import Disk

# Left by file systems, by systems that show directories, and by whoever keeps an empty directory
# in a repository or an image.
_NOBODYS: Final = re.compile(
    r"lost\+found|\.snapshots?|\.zfs|aquota\.(user|group)|\.nfs[0-9a-f]+|\.fuse_hidden[0-9a-f]+"
    r"|\.DS_Store|\._.*|\.Spotlight-V100|\.Trashes|\.TemporaryItems|\.fseventsd"
    r"|\.directory|Thumbs\.db|desktop\.ini|System Volume Information|\$RECYCLE\.BIN"
    r"|\.(git|docker)?keep|\.gitignore|\.placeholder"
)
# Ours, of a start that did not come as far as meta.properties.
_OF_A_FORMAT: Final = frozenset((LOCK_FILE_NAME, "bootstrap.checkpoint"))
# Directories of Kafka's own beside the partitions'.
_KAFKAS: Final = frozenset(("remote-log-index-cache",))
# Files of Kafka's own, by which a directory shows that it was in use.
_FILES: Final = frozenset((LOCK_FILE_NAME, META_PROPERTIES, CLEAN_SHUTDOWN, "bootstrap.checkpoint"))
_CHECKPOINT: Final = "-checkpoint"
_NAMED_MAX: Final = 3


class ForeignLogDir(StorageError):
    """The directory is not one of Kafka's, or not this broker's; nothing in it was touched."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path} cannot be a log directory: {reason}")


def check_contents(disk: Disk, path: str) -> None:
    """ForeignLogDir for a directory that does not look like one of Kafka's, or a new one."""
    contents = disk.list_dir(path)
    if META_PROPERTIES not in contents:
        _check_new(path, contents)
    for name in contents:
        if (
            names.parse_partition_dir(name) is not None
            or _NOBODYS.fullmatch(name) is not None
            or name in _KAFKAS
            or not disk.is_dir(f"{path}/{name}")
        ):
            continue
        if _is_kafkas_file(name):
            raise ForeignLogDir(path, f"{name!r} in it is a directory, but must be a file")
        raise ForeignLogDir(path, f"{name!r} in it is not the directory of a partition")


def check_owner(
    path: str, meta: MetaProperties, node_id: int | None, cluster_id: str | None
) -> None:
    """ForeignLogDir for a directory of another node or cluster (None: any)."""
    if meta.node_id is None or meta.cluster_id is None:
        missing = "cluster.id" if meta.cluster_id is None else "broker.id"
        raise ForeignLogDir(path, f"its {META_PROPERTIES} has no {missing}")
    if node_id not in (None, meta.node_id):
        raise ForeignLogDir(path, f"it belongs to node {meta.node_id}, but this is node {node_id}")
    if cluster_id not in (None, meta.cluster_id):
        raise ForeignLogDir(
            path, f"it belongs to cluster {meta.cluster_id}, but this is cluster {cluster_id}"
        )


class PartitionDirs(NamedTuple):
    """The paths of the partitions' directories in a log directory."""

    logs: dict[Partition, str]
    futures: dict[Partition, str]
    leftovers: list[str]  # what is to be deleted


def find_partition_dirs(disk: Disk, path: str, contents: list[str]) -> PartitionDirs:
    """Those among `contents`, the names in the log directory `path`."""
    found = PartitionDirs({}, {}, [])
    for name in contents:
        parsed = names.parse_partition_dir(name)
        directory = f"{path}/{name}"
        if parsed is None or not disk.is_dir(directory):
            continue
        key = (parsed.topic, parsed.partition)
        if not parsed.mark:
            found.logs[key] = directory
        elif parsed.mark == names.FUTURE_DIR:
            if found.futures.setdefault(key, directory) != directory:
                found.leftovers.append(directory)
        elif parsed.mark == names.DELETE_DIR:
            found.leftovers.append(directory)
    return found


def _check_new(path: str, contents: list[str]) -> None:
    strange = [
        name
        for name in contents
        if name not in _OF_A_FORMAT
        and not name.endswith(TEMPORARY_SUFFIX)
        and _NOBODYS.fullmatch(name) is None
    ]
    if not strange:
        return
    listed = ", ".join(map(repr, strange[:_NAMED_MAX]))
    if len(strange) > _NAMED_MAX:
        listed += f" and {len(strange) - _NAMED_MAX} more"
    if any(_is_kafkas_file(name) or names.parse_partition_dir(name) for name in strange):
        raise ForeignLogDir(
            path,
            f"it has no {META_PROPERTIES}, which identifies its owner, but it contains Kafka's "
            f"files ({listed}). Restore that file, or choose an empty directory",
        )
    raise ForeignLogDir(
        path, f"it has no {META_PROPERTIES}, so it must be new and empty, but it contains {listed}"
    )


def _is_kafkas_file(name: str) -> bool:
    return name in _FILES or name.endswith(_CHECKPOINT)
