"""Logs on a simulated disk, and batches for them, for the tests of this folder."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from kbroker.storage.assigned_batches import append_assigned
from kbroker.storage.batch import BatchHeader, Record
from kbroker.storage.builder import NewRecord, build_batch
from kbroker.storage.compression import Codec
from kbroker.storage.log_config import LogConfig
from kbroker.storage.log_opening import open_log
from kbroker.storage.origin import Origin
from tests.sim.disk import SimDisk

if TYPE_CHECKING:
    from kbroker.storage.append_info import AppendInfo
    from kbroker.storage.disk import Disk
    from kbroker.storage.log import Log
    from kbroker.storage.log_reader import FetchSlice

NOW_MS = 1_700_000_000_000
DIRECTORY = "/data/t-0"
# Room for a handful of small batches in a segment, an index entry for every other batch.
SMALL = LogConfig(segment_bytes=1000, index_interval_bytes=150, segment_index_bytes=4096)


def new_disk(seed: int = 0) -> SimDisk:
    disk = SimDisk(Random(seed))
    disk.make_dir("/data")
    disk.fsync_dir("/")
    disk.now_ms = NOW_MS
    return disk


def open_at(
    disk: Disk,
    config: LogConfig = SMALL,
    *,
    directory: str = DIRECTORY,
    now_ms: int = NOW_MS,
    clean: bool = False,
    recovery_point: int | None = None,
    log_start_offset: int = 0,
    keeps_synced: bool = False,
) -> Log:
    return open_log(
        disk,
        directory,
        config,
        now_ms=now_ms,
        rng=Random(1),
        clean=clean,
        recovery_point=recovery_point,
        log_start_offset=log_start_offset,
        keeps_synced=keeps_synced,
    )


def batch_of(
    count: int = 1,
    *,
    timestamp: int = NOW_MS,
    step_ms: int = 0,
    value: bytes = b"v" * 100,
    codec: Codec = Codec.NONE,
    producer_id: int = -1,
    sequence: int = -1,
    base_offset: int = 0,
    leader_epoch: int = -1,
    is_transactional: bool = False,
) -> memoryview:
    records = [NewRecord(timestamp + i * step_ms, b"k", value) for i in range(count)]
    batch = build_batch(
        records,
        codec=codec,
        base_offset=base_offset,
        leader_epoch=leader_epoch,
        producer_id=producer_id,
        producer_epoch=0 if producer_id >= 0 else -1,
        base_sequence=sequence,
        is_transactional=is_transactional,
    )
    return memoryview(bytearray(batch))


def append(
    log: Log,
    count: int = 1,
    *,
    leader_epoch: int = 0,
    now_ms: int = NOW_MS,
    timestamp: int = NOW_MS,
    step_ms: int = 0,
    producer_id: int = -1,
    sequence: int = -1,
) -> AppendInfo:
    batch = batch_of(
        count,
        timestamp=timestamp,
        step_ms=step_ms,
        producer_id=producer_id,
        sequence=sequence,
    )
    return log.append(batch, leader_epoch=leader_epoch, now_ms=now_ms)


def fill(log: Log, batches: int, count: int = 1) -> None:
    for _ in range(batches):
        append(log, count)


def offsets(fetched: FetchSlice) -> list[int]:
    """The base offsets of the whole batches in what was read."""
    if fetched.records is None:
        return []
    content = fetched.records.read()
    found = []
    at = 0
    while len(content) - at >= 61:
        header = BatchHeader(content, at)
        if at + header.size_bytes > len(content):
            break
        found.append(header.base_offset)
        at += header.size_bytes
    return found


def base_offsets(log: Log) -> list[int]:
    return [segment.base_offset for segment in log.segments]


def as_read(news: list[NewRecord], base_offset: int = 0) -> list[Record]:
    """What a reader finds of them."""
    return [
        Record(base_offset + index, new.timestamp, new.key, new.value, tuple(new.headers))
        for index, new in enumerate(news)
    ]


def assigned(*batches: tuple[int, int, int], tail: bytes = b"") -> memoryview:
    """(base offset, count, epoch) each."""
    return memoryview(
        b"".join(
            bytes(batch_of(count, base_offset=base, leader_epoch=epoch))
            for base, count, epoch in batches
        )
        + tail
    )


def replicate(log: Log, content: memoryview, origin: Origin = Origin.REPLICATION) -> AppendInfo:
    return append_assigned(log, content, leader_epoch=3, now_ms=NOW_MS, origin=origin)


def check_whole(log: Log, count: int) -> None:
    headers = [BatchHeader(batch) for batch in log.batches(0)]
    assert [header.base_offset for header in headers] == list(range(count))
    assert log.producers.producers[7].last_sequence == count - 1
    for offset in range(count):
        assert offsets(log.read(offset, 10_000))[0] == offset
