"""Power losses and failures at any call: what was flushed is there, and nothing else than was
appended.

A seed drives one log through appends, flushes, truncations, deletions and clean stops until the
power goes out in the middle of some call; the log is opened again, compared with a model, and goes
on from there. As with Apache Kafka, what was not flushed may be missing in the middle, between two
segments. KBROKER_CRASH_SEEDS sets how many seeds; KBROKER_CRASH_FIRST_SEED where they start.
"""

from __future__ import annotations

import errno
import os
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING, NamedTuple

import pytest

from kbroker.storage.batch import BatchHeader
from kbroker.storage.builder import NewRecord, build_batch
from kbroker.storage.checkpoints import MetaProperties
from kbroker.storage.closing import release_descriptors
from kbroker.storage.errors import DiskError
from kbroker.storage.flush import begin_flush, finish_flush
from kbroker.storage.log_config import LogConfig
from kbroker.storage.log_dir_opening import open_log_dir
from kbroker.storage.names import OFFSET_INDEX
from kbroker.storage.retention import delete_old_segments
from kbroker.storage.truncation import (
    increment_log_start_offset,
    truncate_fully_and_start_at,
    truncate_to,
)
from tests.sim.disk import PowerLoss, SimDisk

if TYPE_CHECKING:
    from kbroker.storage.log import Log
    from kbroker.storage.log_dir import LogDir

SEEDS = int(os.environ.get("KBROKER_CRASH_SEEDS", "200"))
FIRST_SEED = int(os.environ.get("KBROKER_CRASH_FIRST_SEED", "0"))
LIVES = 3
STEPS = 60
PATH = "/data"
TOPIC_ID = bytes(range(16))
PRODUCERS = (7, 8)


class Appended(NamedTuple):
    base_offset: int
    end_offset: int
    content: bytes
    leader_epoch: int
    producer_id: int
    last_sequence: int


class World:
    """The log on its disk, and beside it what must be in it."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self.disk = SimDisk(self.rng)
        self.config = LogConfig(
            segment_bytes=self.rng.choice((600, 1500, 4000)),
            index_interval_bytes=self.rng.choice((1, 150, 400)),
            segment_index_bytes=self.rng.choice((120, 1200)),
            retention_ms=-1,
        )
        self.now_ms = 1_000_000
        self.disk.make_dir(PATH)
        self.disk.fsync_dir("/")
        self.history: list[Appended] = []
        self.doubtful: Appended | None = None  # being appended when the power went
        self.flushed = 0  # must be there up to here, exclusive
        self.start = 0  # may have been deleted up to here, exclusive
        self.resumed = 0  # where the log went on after its last power loss
        self.epoch = 0
        self.sequences: dict[int, int] = {}
        self.log_dir: LogDir
        self.log: Log

    @property
    def end(self) -> int:
        return max(self.history[-1].end_offset if self.history else self.start, self.resumed)

    def open(self) -> None:
        self.log_dir = open_log_dir(self.disk, PATH, rng=self.rng, now_ms=self.now_ms, node_id=1)
        if self.log_dir.meta is None:
            self.log_dir.format(MetaProperties("cluster", 1, TOPIC_ID))
        self.log = self.log_dir.open_log("t", 0, self.config, now_ms=self.now_ms, topic_id=TOPIC_ID)

    # Steps.

    def step(self) -> None:
        self.now_ms += self.rng.randrange(1000)
        self.disk.now_ms = self.now_ms
        steps = (
            (60, self.append),
            (10, self.flush),
            (5, self.checkpoint),
            (4, self.bump_epoch),
            (3, self.truncate),
            (3, self.delete_records),
            (3, self.retain),
            (3, self.remove_deleted),
            (1, self.start_anew),
            (2, self.restart),
            (4, self.let_go),
        )
        weights = [weight for weight, _ in steps]
        self.rng.choices([step for _, step in steps], weights)[0]()

    def let_go(self) -> None:
        release_descriptors(self.log)

    def append(self) -> None:
        count = self.rng.randint(1, 4)
        producer_id = self.rng.choice((-1, *PRODUCERS))
        sequence = self.sequences.get(producer_id, 0)
        records = [
            NewRecord(self.now_ms + i, None, self.rng.randbytes(self.rng.randrange(120)))
            for i in range(count)
        ]
        batch = bytearray(
            build_batch(
                records,
                producer_id=producer_id,
                producer_epoch=0 if producer_id >= 0 else -1,
                base_sequence=sequence if producer_id >= 0 else -1,
            )
        )
        # What the log is about to write, so that it may be found after a crash.
        written = bytearray(batch)
        written[0:8] = self.end.to_bytes(8, "big")
        written[12:16] = self.epoch.to_bytes(4, "big")
        appended = Appended(
            self.end,
            self.end + count,
            bytes(written),
            self.epoch,
            producer_id,
            sequence + count - 1 if producer_id >= 0 else -1,
        )
        self.doubtful = appended
        info = self.log.append(memoryview(batch), leader_epoch=self.epoch, now_ms=self.now_ms)
        assert (info.first_offset, info.last_offset) == (self.end, self.end + count - 1)
        assert not info.duplicate
        self.doubtful = None
        self.history.append(appended)
        self.sequences[producer_id] = sequence + count

    def flush(self) -> None:
        plan = begin_flush(self.log)
        for _ in range(self.rng.randrange(3)):
            self.append()
        try:
            plan.run()
        except DiskError as error:
            self.log.fail(error)
            raise
        for _ in range(self.rng.randrange(2)):
            self.append()
        finish_flush(self.log, plan)
        self.flushed = max(self.flushed, plan.end_offset)

    def checkpoint(self) -> None:
        self.log_dir.checkpoints.write_offsets()

    def bump_epoch(self) -> None:
        self.epoch += 1
        self.log.assign_epoch(self.epoch)

    def truncate(self) -> None:
        # Never below the log start: that is at or below the high watermark.
        offsets = [
            batch.base_offset
            for batch in self.history[-5:]
            if batch.base_offset >= self.log.log_start_offset
        ]
        if not offsets:
            return
        offset = self.rng.choice(offsets)
        self.flushed = min(self.flushed, offset)
        before = self.history
        truncate_to(self.log, offset, self.now_ms)
        self.history = [batch for batch in before if batch.end_offset <= offset]
        self.start = min(self.start, offset)
        self.resumed = min(self.resumed, offset)
        self._forget_sequences()
        self.log_dir.checkpoints.write_offsets()
        self.bump_epoch()

    def delete_records(self) -> None:
        offset = self.rng.randint(self.log.log_start_offset, self.log.log_end_offset)
        self.start = max(self.start, offset)
        increment_log_start_offset(self.log, offset)

    def retain(self) -> None:
        delete_old_segments(self.log, self.now_ms)

    def remove_deleted(self) -> None:
        for remove in self.log_dir.take_expired_deletions(self.now_ms + 100_000):
            remove()

    def start_anew(self) -> None:
        offset = self.end + self.rng.randrange(50)
        self.flushed = 0
        self.start = self.resumed = offset
        truncate_fully_and_start_at(self.log, offset, self.now_ms)
        self.history = []
        self.sequences.clear()
        self.log_dir.checkpoints.write_offsets()

    def restart(self) -> None:
        self.log_dir.close()
        self.flushed = self.end
        if self.rng.random() < 0.3:
            raise PowerLoss
        self.open()
        assert self.log_dir.is_clean
        assert self.log.log_end_offset == self.end
        if self.rng.random() < 0.5:
            self.check()

    def _forget_sequences(self) -> None:
        # Checked against what is in the log; of what was deleted from it a snapshot may know.
        self._check_producers()
        self.sequences = {
            producer_id: entry.last_sequence + 1
            for producer_id, entry in self.log.producers.producers.items()
        }

    # What must hold.

    def recover(self) -> None:
        """After the power loss: open, compare, and take what there is as the history."""
        self.disk.power_loss(self.rng)
        self.open()
        there = self.check(after_crash=True)
        if self.doubtful is not None:
            self.history.append(self.doubtful)
        # What was deleted stays in it: a later power loss may undo that.
        self.start = self.log.log_start_offset
        self.history = [
            batch
            for batch in self.history
            if batch.base_offset in there or batch.end_offset <= self.start
        ]
        self.doubtful = None
        self.resumed = self.log.log_end_offset
        self._forget_sequences()
        self.epoch += 1

    def check(self, *, after_crash: bool = False) -> set[int]:
        """Where the batches that are there begin."""
        log = self.log
        known = {batch.base_offset: batch for batch in self.history}
        if self.doubtful is not None:
            known[self.doubtful.base_offset] = self.doubtful
        found = [bytes(batch) for batch in log.batches(0)]
        headers = [BatchHeader(batch) for batch in found]
        for content, header in zip(found, headers, strict=True):
            assert content == known[header.base_offset].content
        there = {header.base_offset for header in headers}
        for batch in known.values():
            if log.log_start_offset < batch.end_offset and batch.base_offset not in there:
                assert after_crash
                assert batch.end_offset > self.flushed
        bases = {segment.base_offset for segment in log.segments}
        for header, behind in pairwise(headers):
            assert header.next_offset <= behind.base_offset
            assert header.next_offset == behind.base_offset or behind.base_offset in bases
        next_offset = headers[-1].next_offset if headers else log.log_start_offset
        assert log.log_end_offset in (next_offset, log.segments.active.base_offset)
        assert log.log_start_offset <= log.log_end_offset
        assert log.log_end_offset >= self.flushed
        assert log.log_start_offset <= max(self.start, self.flushed)
        assert log.directory.topic_id == TOPIC_ID
        self._check_epochs(headers)
        self._check_producers()
        self._check_indexes()
        return there

    def _check_epochs(self, headers: list[BatchHeader]) -> None:
        for header in headers:
            if header.base_offset >= self.log.log_start_offset:
                assert self.log.epochs.epoch_for_offset(header.base_offset) == header.leader_epoch

    def _check_producers(self) -> None:
        producers = self.log.producers
        assert producers.map_end_offset == self.log.log_end_offset
        last = {
            header.producer_id: header
            for header in map(BatchHeader, self.log.batches(self.log.log_start_offset))
            if header.producer_id >= 0
        }
        for producer_id, header in last.items():
            entry = producers.producers[producer_id]
            assert entry.last_sequence == header.last_sequence
            assert entry.batches[-1].last_offset == header.last_offset
        for entry in producers.producers.values():
            assert entry.batches[-1].last_offset < self.log.log_end_offset

    def _check_indexes(self) -> None:
        for segment in self.log.segments:
            last_offsets = {position: header.last_offset for position, header in segment.headers()}
            index = segment.offset_index
            assert index.defect() is None
            assert segment.time_index.defect() is None
            for position, offset in last_offsets.items():
                at, position_found = index.lookup(offset)
                assert at <= offset
                assert position_found == 0 or last_offsets[position_found] == at
                located = segment.locate(offset)
                assert located is not None
                assert located[0] == position
            assert self.disk.exists(segment.path(OFFSET_INDEX))


@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + SEEDS))
def test_a_power_loss_at_any_call_leaves_a_valid_log(seed: int) -> None:
    world = World(seed)
    for life in range(LIVES):
        world.disk.crash_at = world.disk.calls + world.rng.randint(1, 400)
        try:
            if life == 0:
                world.open()
            for _ in range(STEPS):
                world.step()
        except PowerLoss:
            pass
        world.recover()
        world.append()
        world.check()


@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + SEEDS // 2))
def test_a_failed_call_takes_the_log_offline_and_leaves_it_valid(seed: int) -> None:
    world = World(seed)
    world.open()
    for _ in range(LIVES):
        fails_at = world.rng.randrange(STEPS // 2)
        operation = world.rng.choice(("append", "fsync", "fsync_dir", "truncate", "rename"))
        try:
            for step in range(STEPS * 4):
                if step == fails_at:
                    error = world.rng.choice((errno.EIO, errno.ENOSPC))
                    world.disk.fail_next(operation, error, "/t-0/")
                world.step()
        except (DiskError, PowerLoss):
            pass
        if world.log.is_offline:
            batch = build_batch([NewRecord(world.now_ms, None, b"")])
            with pytest.raises(DiskError):
                world.log.append(memoryview(batch), leader_epoch=0, now_ms=world.now_ms)
            with pytest.raises(DiskError):
                begin_flush(world.log)
        world.recover()
        world.append()
        world.check()
