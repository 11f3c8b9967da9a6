"""The small text files of a log directory and of a partition. Each is replaced as a whole.

A file that does not exist is read as None or as empty. A file in a wrong format raises CorruptFile
with its path and what is wrong.

Checkpoints (CheckpointFile) have a line with the version, a line with the number of entries, and a
line for each entry. An entry is "topic partition offset" in `recovery-point-offset-checkpoint`,
`replication-offset-checkpoint`, `log-start-offset-checkpoint` and `cleaner-offset-checkpoint`, and
"epoch offset" in `leader-epoch-checkpoint`.
`partition.metadata` contains the topic id of a partition. `meta.properties` says which node and
cluster a log directory belongs to. `.kafka_cleanshutdown` says that it needs no recovery.
"""

from __future__ import annotations

import binascii
import os
import re
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from .errors import CorruptFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from .disk import Disk

RECOVERY_POINT_CHECKPOINT = "recovery-point-offset-checkpoint"
REPLICATION_OFFSET_CHECKPOINT = "replication-offset-checkpoint"
LOG_START_OFFSET_CHECKPOINT = "log-start-offset-checkpoint"
CLEANER_OFFSET_CHECKPOINT = "cleaner-offset-checkpoint"
LEADER_EPOCH_CHECKPOINT = "leader-epoch-checkpoint"
PARTITION_METADATA = "partition.metadata"
META_PROPERTIES = "meta.properties"
CLEAN_SHUTDOWN = ".kafka_cleanshutdown"

_CHECKPOINT_VERSION = 0
_RESERVED_UUIDS = 100  # the lowest: Kafka's DirectoryId has meanings for some
_SPACES = re.compile(r"\s+")

Entry = TypeVar("Entry")
Partition = tuple[str, int]  # topic, partition


def _read_text(disk: Disk, path: str) -> str | None:
    try:
        content = disk.read_file(path)
    except FileNotFoundError:
        return None
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise CorruptFile(path, "the file is not UTF-8 text") from None


# Checkpoints.


def _read_entries(disk: Disk, path: str, parse: Callable[[str], Entry]) -> list[Entry]:
    """The entries of a checkpoint; none where the file is absent or empty. `parse`: ValueError."""
    lines = (_read_text(disk, path) or "").splitlines()
    if not lines:
        return []
    version = _int_line(path, lines[0])
    if version != _CHECKPOINT_VERSION:
        raise CorruptFile(
            path, f"the checkpoint has version {version}, expected {_CHECKPOINT_VERSION}"
        )
    if len(lines) == 1:
        return []
    count = _int_line(path, lines[1])
    entries = []
    for line in lines[2:]:
        try:
            entries.append(parse(line))
        except ValueError:
            raise CorruptFile(path, f"malformed line in a checkpoint: {line!r}") from None
    if len(entries) != count:
        raise CorruptFile(path, f"expected {count} entries in a checkpoint, found {len(entries)}")
    return entries


def _int_line(path: str, line: str) -> int:
    try:
        return int(line)
    except ValueError:
        raise CorruptFile(path, f"malformed line in a checkpoint: {line!r}") from None


def _write_entries(disk: Disk, path: str, lines: list[str], *, sync: bool = True) -> None:
    text = "".join(f"{line}\n" for line in (str(_CHECKPOINT_VERSION), str(len(lines)), *lines))
    disk.write_file_atomic(path, text.encode(), sync=sync)


def _parse_offset(line: str) -> tuple[Partition, int]:
    topic, partition, offset = _SPACES.split(line)
    return (topic, int(partition)), int(offset)


def read_offsets(disk: Disk, path: str) -> dict[Partition, int]:
    """The offset of each partition."""
    return dict(_read_entries(disk, path, _parse_offset))


def write_offsets(
    disk: Disk, path: str, offsets: Mapping[Partition, int], *, sync: bool = True
) -> None:
    """Replace the file. Without `sync` a power loss may take it."""
    lines = [f"{topic} {partition} {offset}" for (topic, partition), offset in offsets.items()]
    _write_entries(disk, path, lines, sync=sync)


def _parse_epoch(line: str) -> tuple[int, int]:
    epoch, start_offset = map(int, _SPACES.split(line))
    if epoch < 0 or start_offset < 0:
        raise ValueError("negative")
    return epoch, start_offset


def read_leader_epochs(disk: Disk, path: str) -> list[tuple[int, int]]:
    """(leader epoch, start offset), in the order of the file."""
    return _read_entries(disk, path, _parse_epoch)


def write_leader_epochs(
    disk: Disk, path: str, epochs: Iterable[tuple[int, int]], *, sync: bool = True
) -> None:
    """Replace the file."""
    _write_entries(disk, path, [f"{epoch} {start}" for epoch, start in epochs], sync=sync)


# partition.metadata.


def uuid_text(uuid: bytes) -> str:
    """16 bytes as Kafka prints them: base64url without padding."""
    return binascii.b2a_base64(uuid, newline=False).decode().translate(_TO_URL).rstrip("=")


def parse_uuid(text: str) -> bytes:
    """The 16 bytes of a printed Uuid; ValueError if it is none."""
    unpadded = text.translate(_FROM_URL).rstrip("=")
    uuid = binascii.a2b_base64(unpadded + "=" * (-len(unpadded) % 4), strict_mode=True)
    if len(uuid) != 16:
        raise ValueError(f"not a Uuid: {text!r}")
    return uuid


_TO_URL = str.maketrans("+/", "-_")
_FROM_URL = str.maketrans("-_", "+/")


def read_partition_metadata(disk: Disk, path: str) -> bytes | None:
    """The topic id, 16 bytes."""
    text = _read_text(disk, path)
    if text is None:
        return None
    fields = {}
    for line in text.splitlines():
        name, separator, value = line.partition(":")
        if not separator:
            raise CorruptFile(path, f"malformed line: {line!r}")
        fields[name.strip()] = value.strip()
    if fields.get("version") != "0":
        raise CorruptFile(path, f"the file has version {fields.get('version')}, expected 0")
    try:
        topic_id = parse_uuid(fields["topic_id"])
    except (KeyError, ValueError):
        raise CorruptFile(path, f"invalid topic id: {fields.get('topic_id')}") from None
    if not any(topic_id):
        raise CorruptFile(path, "the topic id is zero")
    return topic_id


def write_partition_metadata(disk: Disk, path: str, topic_id: bytes, *, sync: bool = True) -> None:
    """Replace the file."""
    text = f"version: 0\ntopic_id: {uuid_text(topic_id)}"  # Kafka ends no line here
    disk.write_file_atomic(path, text.encode(), sync=sync)


# meta.properties.


class MetaProperties(NamedTuple):
    """Whose log directory this is. Version 0 is of the ZooKeeper days and may lack the ids.

    Kafka before 3.7 gave directories no id.
    """

    cluster_id: str | None
    node_id: int | None
    directory_id: bytes | None  # 16 bytes
    version: int = 1


def read_meta_properties(disk: Disk, log_dir: str) -> MetaProperties | None:
    """None where the directory has not been formatted."""
    path = os.path.join(log_dir, META_PROPERTIES)
    text = _read_text(disk, path)
    if text is None:
        return None
    properties = _parse_properties(text)
    if not properties.keys() & {"version", "cluster.id", "node.id", "broker.id"}:
        what = "no line in the file is known to Kafka" if text.strip() else "the file is empty"
        raise CorruptFile(path, f"{what}; it must contain cluster.id, node.id and version")
    version_text = properties.get("version", "0").strip()
    if version_text not in ("0", "1"):
        raise CorruptFile(path, f"unknown version {version_text!r}")
    version = int(version_text)
    cluster_id = properties.get("cluster.id")
    node_key = "node.id" if version else "broker.id"
    node_text = properties.get(node_key)
    try:
        node_id = None if node_text is None else int(node_text)
    except ValueError:
        raise CorruptFile(path, f"{node_key} is not a number: {node_text!r}") from None
    directory_text = properties.get("directory.id")
    try:
        directory_id = None if directory_text is None else parse_uuid(directory_text)
    except ValueError:
        raise CorruptFile(path, f"directory.id is not a valid Uuid: {directory_text!r}") from None
    if directory_id is not None and int.from_bytes(directory_id) < _RESERVED_UUIDS:
        raise CorruptFile(path, f"directory.id is reserved by Kafka: {directory_text}")
    if version and (cluster_id is None or node_id is None):
        raise CorruptFile(path, f"{'cluster.id' if cluster_id is None else 'node.id'} is missing")
    return MetaProperties(cluster_id, node_id, directory_id, version)


def write_meta_properties(disk: Disk, log_dir: str, properties: MetaProperties) -> None:
    """Replace the file, in the version that `properties` has."""
    lines = ["#"]
    if properties.cluster_id is not None:
        lines.append(f"cluster.id={_escape(properties.cluster_id)}")
    if properties.directory_id is not None:
        lines.append(f"directory.id={uuid_text(properties.directory_id)}")
    if properties.node_id is not None:
        lines.append(f"{'node.id' if properties.version else 'broker.id'}={properties.node_id}")
    lines.append(f"version={properties.version}")
    path = os.path.join(log_dir, META_PROPERTIES)
    disk.write_file_atomic(path, "".join(f"{line}\n" for line in lines).encode())


_PROPERTY = re.compile(r"((?:\\.|[^\\=:\s])*)[ \t\f]*[=:]?[ \t\f]*(.*)", re.DOTALL)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "f": "\f"}


def _parse_properties(text: str) -> dict[str, str]:
    """Java's Properties format, as Kafka writes it (no continued lines)."""
    properties = {}
    for raw_line in text.splitlines():
        line = raw_line.lstrip()
        if not line or line[0] in "#!":
            continue
        match = _PROPERTY.fullmatch(line)
        if match:
            properties[_unescape(match[1])] = _unescape(match[2])
    return properties


def _unescape(text: str) -> str:
    def plain(match: re.Match[str]) -> str:
        escape = match[1]
        if len(escape) == 5:
            return chr(int(escape[1:], 16))
        return _ESCAPED.get(escape, escape)

    return _ESCAPE.sub(plain, text)


def _escape(text: str) -> str:
    return re.sub(r"[\\=:#! ]", r"\\\g<0>", text)


# The clean shutdown marker.


def write_clean_shutdown(disk: Disk, log_dir: str, broker_epoch: int) -> None:
    """Mark the directory as closed cleanly by the broker of this epoch, -1 where it had none."""
    path = os.path.join(log_dir, CLEAN_SHUTDOWN)
    disk.write_file_atomic(path, b'{"version":0,"brokerEpoch":%d}' % broker_epoch)


def has_clean_shutdown(disk: Disk, log_dir: str) -> bool:
    """Whether the directory was closed cleanly; what the marker says does not matter."""
    return disk.exists(os.path.join(log_dir, CLEAN_SHUTDOWN))


def read_clean_shutdown_epoch(disk: Disk, log_dir: str) -> int | None:
    """The broker epoch in the marker; None without one, or where it does not tell (KIP-966)."""
    import json

    try:
        content = json.loads(disk.read_file(os.path.join(log_dir, CLEAN_SHUTDOWN)))
    except (FileNotFoundError, ValueError):
        return None
    epoch = content.get("brokerEpoch") if isinstance(content, dict) else None
    return epoch if isinstance(epoch, int) else None


def delete_clean_shutdown(disk: Disk, log_dir: str) -> None:
    """From now on the directory needs recovery, until it is closed cleanly."""
    disk.unlink(os.path.join(log_dir, CLEAN_SHUTDOWN))
    disk.fsync_dir(log_dir)
