"""The metadata log of one node: the quorum's interface to a storage log and the files beside it.

`__cluster_metadata-0/` holds the segments, `quorum-state` and the snapshots. Calls block; Trio is
not used here. Source: KafkaMetadataLog.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from kbroker.controller.raft.log import EpochStart, LogPosition, SnapshotId
from kbroker.controller.topic_names import CLUSTER_METADATA
from kbroker.storage.assigned_batches import append_assigned
from kbroker.storage.batch import batches
from kbroker.storage.checkpoints import PARTITION_METADATA
from kbroker.storage.errors import CorruptFile, DiskError
from kbroker.storage.flush import abandon_flush, begin_flush, finish_flush
from kbroker.storage.log_config import LogConfig
from kbroker.storage.origin import Origin
from kbroker.storage.retention import delete_old_segments
from kbroker.storage.truncation import (
    increment_log_start_offset,
    truncate_fully_and_start_at,
    truncate_to,
)
from kbroker.wire.uuids import METADATA_TOPIC_ID, uuid_text

from .batches import decode, decoded, encode
from .full_disk import no_room_if_full, run_or_no_room
from .quorum_state import read_quorum_state, write_quorum_state
from .snapshots import SnapshotFile, is_leftover, read_checkpoint, snapshot_in, snapshot_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kbroker.controller.raft.election import ElectionState
    from kbroker.controller.raft.log import LogBatch, NewBatch
    from kbroker.controller.raft.voters import VoterSet
    from kbroker.storage.disk import Disk
    from kbroker.storage.log import Log
    from kbroker.storage.log_dir import LogDir

PARTITION: Final = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataLogConfig:
    """`metadata.log.*`, `metadata.max.*`; defaults are Kafka's."""

    segment_bytes: int = 1 << 30
    segment_ms: int = 7 * 24 * 3_600_000
    retention_bytes: int = 100 << 20
    retention_ms: int = 7 * 24 * 3_600_000
    delete_delay_ms: int = 60_000
    batch_bytes_max: int = 8 << 20


def open_metadata_log(
    disk: Disk, log_dir: LogDir, config: MetadataLogConfig, *, now_ms: int
) -> MetadataLog:
    """The quorum's log in a formatted directory, made where there is none yet.

    DiskError, CorruptFile. `log_dir.close` closes it.
    """
    _check_topic_id(log_dir)
    log = log_dir.open_log(
        CLUSTER_METADATA,
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
    opened.recover(now_ms)
    return opened


def _check_topic_id(log_dir: LogDir) -> None:
    """CorruptFile where the directory says another. A partition's would be set aside then, and a
    new log would begin without all that is in this one.
    """
    if not log_dir.logs.holds(CLUSTER_METADATA, PARTITION):
        return
    stored = log_dir.stored_topic_id(CLUSTER_METADATA, PARTITION)
    if stored not in (None, METADATA_TOPIC_ID):
        path = f"{log_dir.path}/{CLUSTER_METADATA}-{PARTITION}/{PARTITION_METADATA}"
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
            log.directory.path,
            f"the log ends at offset {log.log_end_offset}, but it was synced up to {expected}",
        )


class MetadataLog:
    """The quorum's ReplicatedLog over a storage Log. `recover` comes before anything else."""

    def __init__(self, disk: Disk, log_dir: LogDir, log: Log, config: MetadataLogConfig) -> None:
        self._disk = disk
        self._log_dir = log_dir
        self._log = log
        self._config = config
        self._path = log.directory.path
        self._snapshots: list[SnapshotId] = []

    def recover(self, now_ms: int) -> None:
        """Remove what a crash left half done, and find the snapshots.

        If the log ends before the latest of them, it is emptied and begins where that one ends.
        """
        for name in self._disk.list_dir(self._path):
            if is_leftover(name):
                self._disk.unlink(f"{self._path}/{name}")
            found = snapshot_in(name)
            if found is not None:
                self._snapshots.append(found)
        self._snapshots.sort()
        latest = self.latest_snapshot()
        if latest is not None and latest.end_offset > self._log.log_end_offset:
            truncate_fully_and_start_at(self._log, latest.end_offset, now_ms)
            self._log_dir.checkpoints.write_offsets()
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
            increment_log_start_offset(self._log, covering[0].end_offset)

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
        encoded = bytearray(encode(batch, timestamp_ms))
        with no_room_if_full():
            self._append(encoded, batch.epoch, timestamp_ms, Origin.RAFT_LEADER)

    def append_fetched(self, fetched: bytes | memoryview, now_ms: int) -> None:
        self._append(bytearray(fetched), -1, now_ms, Origin.REPLICATION)

    def _append(self, encoded: bytearray, epoch: int, now_ms: int, origin: Origin) -> None:
        append_assigned(
            self._log, memoryview(encoded), leader_epoch=epoch, now_ms=now_ms, origin=origin
        )

    def read(self, offset: int, end_offset: int) -> Iterator[LogBatch]:
        for batch in self._log.batches(offset, end_offset):
            yield from decoded(batch)

    def read_control(self, offset: int) -> Iterator[LogBatch]:
        for raw in self._log.batches(offset):
            for header, batch in batches(raw):
                if header.is_control:
                    yield decode(header, batch)

    def truncate_to(self, offset: int, now_ms: int) -> None:
        truncate_to(self._log, offset, now_ms)
        self._log_dir.checkpoints.write_offsets()

    def begin_flush(self) -> MetadataFlush:
        return MetadataFlush(self._log)

    # The quorum state

    def read_election_state(self) -> ElectionState | None:
        """None before the first election. CorruptFile."""
        return read_quorum_state(self._disk, self._path)

    def write_election_state(
        self, state: ElectionState, voters: VoterSet, kraft_version: int
    ) -> None:
        write_quorum_state(self._disk, self._path, state, voters, kraft_version)

    # Snapshots

    def latest_snapshot(self) -> SnapshotId | None:
        return self._snapshots[-1] if self._snapshots else None

    def read_snapshot(self, snapshot: SnapshotId) -> Iterator[LogBatch]:
        path = self._snapshot_path(snapshot)
        return read_checkpoint(path, self._disk.read_file(path))

    def create_snapshot(self, snapshot: SnapshotId, timestamp_ms: int) -> SnapshotFile:
        with no_room_if_full():
            return SnapshotFile(self._disk, self._path, snapshot, timestamp_ms)

    def clean(self, now_ms: int) -> Iterator[Callable[[], None]]:
        """Also takes in a snapshot that was frozen since. Keeps the latest, and of the others those
        that the retention settings want; the log starts at the oldest kept.

        What it yields blocks, and may be run in a thread before it goes on.
        """
        known = set(self._snapshots)
        for name in self._disk.list_dir(self._path):
            found = snapshot_in(name)
            if found is not None:
                known.add(found)
        self._snapshots = sorted(known)
        sizes = {each: self._disk.size(self._snapshot_path(each)) for each in self._snapshots}
        total = sum(sizes.values()) + self._log.size
        while len(self._snapshots) > 1 and self._is_needless(self._snapshots[0], total, now_ms):
            oldest = self._snapshots.pop(0)
            # First the log: a snapshot may only go when nothing starts at it any more.
            size_before = self._log.size
            increment_log_start_offset(self._log, self._snapshots[0].end_offset)
            for write in self._log_dir.checkpoints.offset_writes():
                yield partial(run_or_no_room, write)
            with no_room_if_full():
                delete_old_segments(self._log, now_ms)
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
        self._plan = begin_flush(log)

    def run(self) -> None:
        run_or_no_room(self._plan.run)

    def abandon(self) -> None:
        abandon_flush(self._log, self._plan)

    def finish(self) -> int:
        finish_flush(self._log, self._plan)
        return self._log.recovery_point

    def fail(self, error: Exception) -> None:
        if isinstance(error, DiskError):
            self._log.fail(error)
