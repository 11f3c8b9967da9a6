"""The metadata log on disk: gives the quorum a storage log and the files around it.

`__cluster_metadata-0/` holds the log, `quorum-state` (who voted for whom) and snapshots
(`%020d-%010d.checkpoint`); `bootstrap.checkpoint` beside it is what a cluster begins with. All in
Kafka's formats, all through the storage Disk. Blocking; no Trio.

Source: KafkaMetadataLog, FileQuorumStateStore, Snapshots, FileRawSnapshotWriter, Formatter.
"""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from kbroker.controller.bootstrap import (
    BOOTSTRAP_FILE,
    BOOTSTRAP_SNAPSHOT,
    bootstrap_batches,
    default_bootstrap,
    levels_in,
    records_of,
)
from kbroker.controller.features import FRESH, METADATA_VERSION
from kbroker.controller.raft.election import ElectionState
from kbroker.controller.raft.log import EpochStart, LogBatch, LogPosition, NoRoom, SnapshotId
from kbroker.controller.raft.voters import ReplicaKey
from kbroker.storage.batch import ControlType, batches, control_key, control_type, records
from kbroker.storage.builder import NewRecord, build_batch
from kbroker.storage.checkpoints import PARTITION_METADATA, MetaProperties
from kbroker.storage.errors import (
    CorruptBatch,
    CorruptFile,
    DiskError,
    DiskFull,
    InvalidRecord,
    UnsupportedForMessageFormat,
)
from kbroker.storage.log_config import LogConfig
from kbroker.storage.origin import Origin
from kbroker.wire.errors import ProtocolError
from kbroker.wire.uuids import METADATA_TOPIC_ID, ZERO_UUID, parse_uuid, random_uuid, uuid_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from random import Random

    from kbroker.controller.raft.log import NewBatch
    from kbroker.controller.raft.voters import VoterSet
    from kbroker.storage.batch import BatchHeader
    from kbroker.storage.disk import Disk, File
    from kbroker.storage.log import Log
    from kbroker.storage.log_dir import LogDir
    from kbroker.wire.message import Message

TOPIC: Final = "__cluster_metadata"
PARTITION: Final = 0
QUORUM_STATE_FILE: Final = "quorum-state"
DELETED: Final = ".deleted"
PART: Final = ".part"

# A snapshot that was begun and never finished, or one that is being deleted, counts for nothing.
_SNAPSHOT_NAME: Final = re.compile(r"(\d{20})-(\d{10})\.checkpoint")


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataLogConfig:
    """`metadata.log.*`, `metadata.max.*`; defaults are Kafka's."""

    segment_bytes: int = 1 << 30
    segment_ms: int = 7 * 24 * 3_600_000
    retention_bytes: int = 100 << 20
    retention_ms: int = 7 * 24 * 3_600_000
    delete_delay_ms: int = 60_000
    batch_bytes_max: int = 8 << 20


def format_log_dir(
    disk: Disk,
    log_dir: LogDir,
    *,
    node_id: int,
    cluster_id: str | None,
    rng: Random,
    now_ms: int,
    features: Mapping[str, int] = FRESH,
) -> MetaProperties:
    """Make a fresh directory this node's, as `kafka-storage format` does.

    `meta.properties` comes last: a crash before it leaves a directory that can be formatted again.
    """
    path = f"{log_dir.path}/{BOOTSTRAP_FILE}"
    content = b"".join(_encode(each, now_ms) for each in bootstrap_batches(features))
    disk.write_file_atomic(path, content)
    meta = MetaProperties(
        cluster_id=cluster_id or uuid_text(random_uuid(rng)),
        node_id=node_id,
        directory_id=random_uuid(rng),
    )
    log_dir.format(meta)
    # The directory itself may be new.
    disk.fsync_dir(os.path.dirname(os.path.abspath(log_dir.path)))
    return meta


def read_bootstrap(disk: Disk, log_dir_path: str, latest: SnapshotId | None) -> list[Message]:
    """The records that the cluster begins with: those in the snapshot up to offset 0, if that is
    the `latest`, else those in `bootstrap.checkpoint`, else Kafka's defaults.

    That snapshot may hold the quorum's voters and nothing else. CorruptFile for a file that makes
    no sense.
    """
    records = default_bootstrap()
    paths = [f"{log_dir_path}/{BOOTSTRAP_FILE}"]
    if latest == BOOTSTRAP_SNAPSHOT:
        paths.append(f"{log_dir_path}/{TOPIC}-{PARTITION}/{snapshot_name(latest)}")
    for path in paths:
        try:
            content = disk.read_file(path)
        except FileNotFoundError:
            continue
        is_snapshot = not path.endswith(BOOTSTRAP_FILE)
        try:
            found = records_of(_read_checkpoint(path, content, is_snapshot=is_snapshot))
        except ProtocolError as error:
            raise CorruptFile(path, f"the file is damaged: {error}") from error
        if (found or not is_snapshot) and METADATA_VERSION not in levels_in(found):
            raise CorruptFile(path, "no record in the file sets metadata.version")
        records = found or records
    return records


def open_metadata_log(
    disk: Disk, log_dir: LogDir, config: MetadataLogConfig, *, now_ms: int
) -> MetadataLog:
    """The quorum's log in a formatted directory, made where there is none yet.

    DiskError, CorruptFile. `log_dir.close` closes it.
    """
    _check_topic_id(log_dir)
    log = log_dir.open_log(
        TOPIC,
        PARTITION,
        LogConfig(
            segment_bytes=config.segment_bytes,
            segment_ms=config.segment_ms,
            max_message_bytes=config.batch_bytes_max,
            file_delete_delay_ms=config.delete_delay_ms,
            retention_ms=-1,
            retention_bytes=-1,
        ),
        now_ms=now_ms,
        topic_id=METADATA_TOPIC_ID,
        keeps_synced=True,
    )
    _check_end(log)
    opened = MetadataLog(disk, log_dir, log, config)
    opened.settle(now_ms)
    return opened


def _check_topic_id(log_dir: LogDir) -> None:
    """CorruptFile where the directory says another. A partition's would be set aside then, and a
    new log would begin without all that is in this one.
    """
    if not log_dir.holds(TOPIC, PARTITION):
        return
    stored = log_dir.stored_topic_id(TOPIC, PARTITION)
    if stored not in (None, METADATA_TOPIC_ID):
        path = f"{log_dir.path}/{TOPIC}-{PARTITION}/{PARTITION_METADATA}"
        raise CorruptFile(
            path,
            f"the topic id is {uuid_text(stored)}, but that of the metadata log is "
            f"{uuid_text(METADATA_TOPIC_ID)}",
        )


def _check_end(log: Log) -> None:
    """CorruptFile if it ends before its clean stop said: with less than that in the metadata, a
    broker would take its partitions for somebody else's.
    """
    expected = log.log_end_offset
    log.batches(expected)  # looks at the end for itself
    if log.log_end_offset < expected:
        raise CorruptFile(
            log.directory,
            f"the log ends at offset {log.log_end_offset}, but it was synced up to {expected}",
        )


def _encode(batch: NewBatch, now_ms: int) -> bytes:
    if batch.control_types:
        keys = [control_key(ControlType(each)) for each in batch.control_types]
        made = [
            NewRecord(now_ms, key, value) for key, value in zip(keys, batch.values, strict=True)
        ]
    else:
        made = [NewRecord(now_ms, None, value) for value in batch.values]
    return build_batch(
        made,
        base_offset=batch.base_offset,
        leader_epoch=batch.epoch,
        is_control=bool(batch.control_types),
    )


def _decoded(view: memoryview) -> Iterator[LogBatch]:
    for header, batch in batches(view, check_crc=True):
        yield _decode(header, batch)


def _decode(header: BatchHeader, batch: memoryview) -> LogBatch:
    decoded = list(records(batch))
    return LogBatch(
        base_offset=header.base_offset,
        end_offset=header.next_offset,
        epoch=header.leader_epoch,
        timestamp_ms=header.max_timestamp,
        values=[each.value or b"" for each in decoded],
        control_types=[control_type(each.key) for each in decoded] if header.is_control else (),
    )


def _read_checkpoint(path: str, content: bytes, *, is_snapshot: bool = True) -> Iterator[LogBatch]:
    """The batches of a checkpoint. CorruptFile.

    A snapshot begins with its header and ends with its footer; what has lost its footer was cut
    off, and the rest passes for a cluster that has less.
    """
    if not content:
        raise CorruptFile(path, "the file is empty")
    ends: list[int] = []
    try:
        for batch in _decoded(memoryview(content)):
            if is_snapshot and not ends and ControlType.SNAPSHOT_HEADER not in batch.control_types:
                raise CorruptFile(path, "the file does not begin with the header of a snapshot")
            ends = [*batch.control_types] or [-1]
            yield batch
    except (CorruptBatch, InvalidRecord, UnsupportedForMessageFormat, ValueError) as error:
        raise CorruptFile(path, f"the file is damaged: {error}") from error
    if is_snapshot and ControlType.SNAPSHOT_FOOTER not in ends:
        raise CorruptFile(
            path, "the file was cut off: it does not end with the footer of a snapshot"
        )


@contextmanager
def _room() -> Iterator[None]:
    """What of the disk's errors the quorum may survive."""
    try:
        yield
    except DiskFull as error:
        raise NoRoom(str(error)) from error


def _with_room(write: Callable[[], None]) -> None:
    with _room():
        write()


def snapshot_name(snapshot: SnapshotId) -> str:
    return f"{snapshot.end_offset:020d}-{snapshot.epoch:010d}.checkpoint"


class MetadataLog:
    """ReplicatedLog over a storage Log. `settle` comes before anything else."""

    def __init__(self, disk: Disk, log_dir: LogDir, log: Log, config: MetadataLogConfig) -> None:
        self._disk = disk
        self._log_dir = log_dir
        self._log = log
        self._config = config
        self._path = log.directory
        self._snapshots: list[SnapshotId] = []

    def settle(self, now_ms: int) -> None:
        """Take away what a crash left half done; find the snapshots; begin behind the latest if the
        log ends before it.
        """
        for name in self._disk.list_dir(self._path):
            if name.endswith((PART, ".checkpoint" + DELETED)):
                self._disk.unlink(f"{self._path}/{name}")
            found = _SNAPSHOT_NAME.fullmatch(name)
            if found is not None:
                self._snapshots.append(SnapshotId(int(found[1]), int(found[2])))
        self._snapshots.sort()
        latest = self.latest_snapshot()
        if latest is not None and latest.end_offset > self._log.log_end_offset:
            self._log.truncate_fully_and_start_at(latest.end_offset, now_ms)
            self._log_dir.write_offset_checkpoints()
        start = self._log.log_start_offset
        if start > 0 and all(each.end_offset != start for each in self._snapshots):
            # Segments went away before their checkpoint said so, or the other way round.
            covering = [each for each in self._snapshots if each.end_offset > start]
            if not covering:
                raise CorruptFile(
                    self._path,
                    f"the metadata log starts at offset {start}, and no snapshot covers the "
                    "records before it",
                )
            self._log.increment_log_start_offset(covering[0].end_offset)

    # The log

    @property
    def start(self) -> LogPosition:
        offset = self._log.log_start_offset
        epochs = [each.epoch for each in self._snapshots if each.end_offset == offset]
        return LogPosition(epochs[0] if epochs else 0, offset)

    @property
    def end_offset(self) -> int:
        return self._log.log_end_offset

    @property
    def batch_bytes_max(self) -> int:
        # A record's own fields take up to half as much again as the small values of a full batch.
        return min(self._config.batch_bytes_max, self._config.segment_bytes) // 2

    def epochs(self) -> list[EpochStart]:
        return [EpochStart(epoch, start) for epoch, start in self._log.epochs.entries]

    def append(self, batch: NewBatch, timestamp_ms: int) -> None:
        encoded = bytearray(_encode(batch, timestamp_ms))
        with _room():
            self._append(encoded, batch.epoch, timestamp_ms, Origin.RAFT_LEADER)

    def append_fetched(self, fetched: bytes | memoryview, now_ms: int) -> None:
        self._append(bytearray(fetched), -1, now_ms, Origin.REPLICATION)

    def _append(self, encoded: bytearray, epoch: int, now_ms: int, origin: Origin) -> None:
        self._log.append(memoryview(encoded), leader_epoch=epoch, now_ms=now_ms, origin=origin)

    def read(self, offset: int, end_offset: int) -> Iterator[LogBatch]:
        for batch in self._log.batches(offset, end_offset):
            yield from _decoded(batch)

    def read_control(self, offset: int) -> Iterator[LogBatch]:
        for raw in self._log.batches(offset):
            for header, batch in batches(raw):
                if header.is_control:
                    yield _decode(header, batch)

    def truncate_to(self, offset: int, now_ms: int) -> None:
        self._log.truncate_to(offset, now_ms)
        self._log_dir.write_offset_checkpoints()

    def begin_flush(self) -> MetadataFlush:
        return MetadataFlush(self._log)

    # The quorum state

    def read_election_state(self) -> ElectionState | None:
        """None before the first election. CorruptFile."""
        import json

        path = f"{self._path}/{QUORUM_STATE_FILE}"
        try:
            content = self._disk.read_file(path)
        except FileNotFoundError:
            return None
        try:
            if not content:
                raise ValueError("the file is empty")
            data = json.loads(content)
            if data["data_version"] not in (0, 1):
                raise ValueError(f"version {data['data_version']} is unknown")
            voted, leader = data["votedId"], data["leaderId"]
            directory = parse_uuid(data["votedDirectoryId"]) if "votedDirectoryId" in data else None
            return ElectionState(
                epoch=data["leaderEpoch"],
                leader_id=leader if leader >= 0 else None,
                voted=ReplicaKey(voted, directory) if voted >= 0 else None,
            )
        except KeyError as error:
            raise CorruptFile(path, f"not a valid quorum state: {error} is missing") from error
        except UnicodeDecodeError:
            raise CorruptFile(
                path, "not a valid quorum state: the file is not UTF-8 text"
            ) from None
        except (ValueError, TypeError) as error:
            raise CorruptFile(path, f"not a valid quorum state: {error}") from error

    def write_election_state(
        self, state: ElectionState, voters: VoterSet, kraft_version: int
    ) -> None:
        leader = -1 if state.leader_id is None else state.leader_id
        voted = ReplicaKey(-1) if state.voted is None else state.voted
        if kraft_version:
            directory = uuid_text(voted.directory_id or ZERO_UUID)
            text = (
                f'{{"leaderId":{leader},"leaderEpoch":{state.epoch},"votedId":{voted.id},'
                f'"votedDirectoryId":"{directory}","data_version":1}}'
            )
        else:
            listed = ",".join(f'{{"voterId":{each.key.id}}}' for each in voters)
            text = (
                f'{{"clusterId":"","leaderId":{leader},"leaderEpoch":{state.epoch},'
                f'"votedId":{voted.id},"appliedOffset":0,"currentVoters":[{listed}],'
                '"data_version":0}'
            )
        self._disk.write_file_atomic(f"{self._path}/{QUORUM_STATE_FILE}", text.encode())

    # Snapshots

    def latest_snapshot(self) -> SnapshotId | None:
        return self._snapshots[-1] if self._snapshots else None

    def read_snapshot(self, snapshot: SnapshotId) -> Iterator[LogBatch]:
        path = self._snapshot_path(snapshot)
        return _read_checkpoint(path, self._disk.read_file(path))

    def create_snapshot(self, snapshot: SnapshotId, timestamp_ms: int) -> SnapshotFile:
        with _room():
            return SnapshotFile(self._disk, self._path, snapshot, timestamp_ms)

    def clean(self, now_ms: int) -> Iterator[Callable[[], None]]:
        """Also takes in a snapshot that was frozen since. Keeps the latest, and of the others those
        that the retention settings want; the log starts at the oldest kept.

        What it yields blocks, and may be run in a thread before it goes on.
        """
        known = set(self._snapshots)
        for name in self._disk.list_dir(self._path):
            found = _SNAPSHOT_NAME.fullmatch(name)
            if found is not None:
                known.add(SnapshotId(int(found[1]), int(found[2])))
        self._snapshots = sorted(known)
        sizes = {each: self._disk.size(self._snapshot_path(each)) for each in self._snapshots}
        total = sum(sizes.values()) + self._log.size
        while len(self._snapshots) > 1 and self._is_needless(self._snapshots[0], total, now_ms):
            oldest = self._snapshots.pop(0)
            # First the log: a snapshot may only go when nothing starts at it any more.
            size_before = self._log.size
            self._log.increment_log_start_offset(self._snapshots[0].end_offset)
            for write in self._log_dir.offset_checkpoints():
                yield partial(_with_room, write)
            with _room():
                self._log.delete_old_segments(now_ms)
            self._disk.unlink(self._snapshot_path(oldest))
            total -= sizes[oldest] + size_before - self._log.size
        # Of the log only what follows the oldest snapshot is of use, whatever retention says.

    def _is_needless(self, snapshot: SnapshotId, total_bytes: int, now_ms: int) -> bool:
        config = self._config
        if config.retention_bytes >= 0 and total_bytes > config.retention_bytes:
            return True
        age_ms = now_ms - self._disk.modified_ms(self._snapshot_path(snapshot))
        return 0 <= config.retention_ms < age_ms

    def _snapshot_path(self, snapshot: SnapshotId) -> str:
        return f"{self._path}/{snapshot_name(snapshot)}"


class MetadataFlush:
    """One sync of the log, begun with this object."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._plan = log.begin_flush()

    def run(self) -> None:
        _with_room(self._plan.run)

    def abandon(self) -> None:
        self._log.abandon_flush(self._plan)

    def finish(self) -> int:
        self._log.finish_flush(self._plan)
        return self._log.recovery_point

    def fail(self, error: Exception) -> None:
        if isinstance(error, DiskError):
            self._log.fail(error)


class SnapshotFile:
    """A snapshot being written, under a name that does not count until it is whole and synced."""

    def __init__(self, disk: Disk, path: str, snapshot: SnapshotId, timestamp_ms: int) -> None:
        self._disk = disk
        self._directory = path
        self._final = f"{path}/{snapshot_name(snapshot)}"
        self._part = self._final + PART
        self._timestamp_ms = timestamp_ms
        self._file: File = disk.open(self._part, create=True)
        if self._file.size:
            self._file.truncate(0)

    def append(self, batch: NewBatch) -> None:
        with _room():
            self._file.append(_encode(batch, self._timestamp_ms))

    def freeze(self) -> None:
        with _room():
            self._file.fsync()
        self._disk.rename(self._part, self._final)
        self._disk.fsync_dir(self._directory)

    def abandon(self) -> None:
        self._disk.unlink(self._part)
