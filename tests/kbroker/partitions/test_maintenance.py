"""What happens to logs by and by: retention, removal of deleted files, flushes, checkpoints."""

from __future__ import annotations

import errno
import random
from itertools import pairwise
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
import trio
import trio.testing

from kbroker.config import BrokerConfig, DynamicConfigs
from kbroker.partitions.flusher import Flusher
from kbroker.partitions.log_store import LogStore
from kbroker.partitions.maintenance import Maintenance
from kbroker.partitions.moves import Moves
from kbroker.partitions.publisher import PARTITIONS_A_TURN, Publisher
from kbroker.partitions.table import PartitionTable
from kbroker.storage.checkpoints import MetaProperties, read_offsets
from kbroker.storage.log_dir import open_log_dir
from kbroker.storage.origin import Origin
from tests.kbroker.handlers.data_path import NOW_MS, WallClock, batch
from tests.sim.disk import SimDisk

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kbroker.controller.delta import ImageDelta
    from kbroker.controller.image import MetadataImage
    from kbroker.partitions.assignments import Assignments
    from kbroker.partitions.partition import Partition
    from kbroker.partitions.publisher import Coordinator

DIRECTORY_ID = b"directory-id-of-"
TOPIC_ID = b"topic-id-of-t..."
HOUR_MS = 3_600_000


class Rig:
    """The logs of a broker with one topic, on a simulated disk."""

    def __init__(self, overrides: Mapping[str, str]) -> None:
        self.disk = SimDisk(random.Random(1))
        self.disk.make_dir("/data")
        self.clock = WallClock()
        self.config = BrokerConfig({"log.index.size.max.bytes": "4096"})
        values = {(2, "t"): dict(overrides)}
        self.table = PartitionTable()
        self.flusher = Flusher(self.clock)
        directory = open_log_dir(self.disk, "/data", rng=random.Random(2), now_ms=NOW_MS)
        directory.format(MetaProperties("c", 1, DIRECTORY_ID))
        self.store = LogStore([directory], self.clock)
        self.topic = SimpleNamespace(
            name="t",
            topic_id=TOPIC_ID,
            partitions={
                0: SimpleNamespace(
                    leader=1,
                    isr=[1],
                    replicas=[1],
                    leader_epoch=0,
                    directory_of=lambda broker_id: DIRECTORY_ID,
                )
            },
        )
        configs = DynamicConfigs(self.config, values)
        # Nothing moves here, so nobody is told.
        assignments = cast("Assignments", None)
        self.publisher = Publisher(
            1,
            self.table,
            self.store,
            configs,
            cast("Coordinator", SimpleNamespace(on_topics_deleted=lambda topics: None)),
            self.flusher.request,
            assignments,
            Moves(1, self.store, assignments, self.config, configs, self.clock),
        )
        self.maintenance = Maintenance(
            self.table,
            self.store,
            self.config,
            self.clock,
            self.flusher.request,
            trio.lowlevel.checkpoint,
        )

    async def publish(self, **changes: object) -> None:
        delta = {
            "topics_deleted": {},
            "partitions_changed": {},
            "configs_changed": {},
            **changes,
        }
        image = SimpleNamespace(topics_by_id={TOPIC_ID: self.topic}, metadata_version=30)
        await self.publisher.apply(
            cast("ImageDelta", SimpleNamespace(**delta)), cast("MetadataImage", image)
        )

    @property
    def partition(self) -> Partition:
        found = self.table.get("t", 0)
        assert found is not None
        return found

    def append(self, count: int) -> None:
        for _ in range(count):
            self.partition.append(batch(b"x" * 200), self.clock.now_ms, Origin.CLIENT)

    def files(self, suffix: str) -> list[str]:
        return [name for name in self.disk.list_dir("/data/t-0") if name.endswith(suffix)]


async def new_rig(overrides: Mapping[str, str]) -> Rig:
    rig = Rig(overrides)
    await rig.publish(partitions_changed={TOPIC_ID: {0}})
    return rig


async def until(condition: Callable[[], bool]) -> None:
    """Let (virtual) time pass until worker threads have done their part."""
    for _ in range(10_000):
        if condition():
            return
        await trio.sleep(0.5)
    raise AssertionError("it never happened")


SMALL_SEGMENTS = {"internal.segment.bytes": "600"}


@pytest.mark.parametrize(
    ("overrides", "kept"),
    [
        ({"retention.ms": "-1"}, 5),
        ({"retention.ms": str(HOUR_MS)}, 1),
        ({"retention.ms": "-1", "retention.bytes": "1100"}, 3),
        ({"retention.ms": str(HOUR_MS), "cleanup.policy": "compact"}, 5),
    ],
    ids=["for ever", "by time", "by size", "not deleting"],
)
async def test_retention(overrides: dict[str, str], kept: int) -> None:
    rig = await new_rig({**SMALL_SEGMENTS, **overrides})
    if "compact" not in overrides.values():
        rig.append(10)
    else:
        rig = await new_rig(SMALL_SEGMENTS)
        rig.append(10)
        rig.partition.log.update_config(
            type(rig.partition.log.config)(
                cleanup_policy=frozenset(("compact",)), retention_ms=HOUR_MS
            )
        )
    assert len(rig.files(".log")) == 5
    rig.clock.now_ms += 2 * HOUR_MS
    await rig.maintenance.delete_old_segments()
    assert len(rig.files(".log")) == kept


async def test_deleted_files_go_after_their_delay(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    rig = await new_rig({**SMALL_SEGMENTS, "retention.ms": "1000", "file.delete.delay.ms": "60000"})
    rig.append(10)
    rig.clock.now_ms += 5000
    await nursery.start(rig.flusher.run)
    await rig.maintenance.delete_old_segments()
    assert rig.files(".deleted")
    await nursery.start(rig.maintenance.run)
    await trio.sleep(3)
    assert rig.files(".deleted")
    rig.clock.now_ms += 60_000
    await until(lambda: rig.files(".deleted") == [])


async def test_a_deleted_topic_leaves_the_disk(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    rig = await new_rig({})
    rig.append(1)
    await rig.publish(topics_deleted={TOPIC_ID: rig.topic})
    assert rig.table.get("t", 0) is None
    names = [name for name in rig.disk.list_dir("/data") if name.startswith("t-0")]
    assert len(names) == 1
    assert names[0].endswith("-delete")
    await nursery.start(rig.maintenance.run)
    rig.clock.now_ms += 61_000
    await until(lambda: not rig.disk.exists(f"/data/{names[0]}"))


async def test_flush_ms_flushes_what_has_waited(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    rig = await new_rig({"flush.ms": "5000"})
    rig.config = BrokerConfig({"log.flush.scheduler.interval.ms": "1000"})
    maintenance = Maintenance(
        rig.table, rig.store, rig.config, rig.clock, rig.flusher.request, trio.lowlevel.checkpoint
    )
    await nursery.start(rig.flusher.run)
    await nursery.start(maintenance.run)
    rig.append(3)
    await trio.sleep(2)
    assert rig.partition.log.unflushed_records == 3
    rig.clock.now_ms += 6000
    await until(lambda: rig.partition.log.unflushed_records == 0)


async def test_checkpoints_are_written_when_something_moved(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    rig = await new_rig({})
    await nursery.start(rig.flusher.run)
    await nursery.start(rig.maintenance.run)
    rig.append(3)
    rig.flusher.request(rig.partition)
    moved, flushed = (
        f"/data/{name}-offset-checkpoint" for name in ("replication", "recovery-point")
    )
    await until(lambda: read_offsets(rig.disk, moved) == {("t", 0): 3})
    await until(lambda: read_offsets(rig.disk, flushed).get(("t", 0), 0) > 0)
    await until(lambda: rig.disk.exists("/data/log-start-offset-checkpoint"))
    calls = rig.disk.calls
    await trio.sleep(70)
    assert rig.disk.calls == calls


async def test_a_failed_fsync_takes_the_partition_offline(nursery: trio.Nursery) -> None:
    rig = await new_rig({"flush.messages": "1"})
    await nursery.start(rig.flusher.run)
    rig.disk.fail_next("fsync")
    rig.append(1)
    with trio.fail_after(10):
        while not rig.partition.offline:
            await trio.lowlevel.checkpoint()
    assert rig.partition.high_watermark == 0


def with_partitions(rig: Rig, count: int) -> Rig:
    rig.topic.partitions.update({index: rig.topic.partitions[0] for index in range(count)})
    return rig


async def test_a_large_delta_lets_others_have_their_turn(nursery: trio.Nursery) -> None:
    rig = with_partitions(Rig({}), 100)
    sizes = []

    async def look() -> None:
        while len(rig.table) < 100:
            sizes.append(len(rig.table))
            await trio.lowlevel.checkpoint()

    nursery.start_soon(look)
    await rig.publish(partitions_changed={TOPIC_ID: set(range(100))})
    assert len(rig.table) == 100
    assert sizes == sorted(sizes)
    # Tasks take turns in any order, so one may have two before the other has its next.
    steps = [after - before for before, after in pairwise([*sizes, 100])]
    assert max(steps) <= 2 * PARTITIONS_A_TURN


async def test_a_delta_that_was_begun_is_done_whole() -> None:
    rig = with_partitions(Rig({}), 100)
    with trio.CancelScope() as scope:
        scope.cancel()
        await rig.publish(partitions_changed={TOPIC_ID: set(range(100))})
    assert len(rig.table) == 100
    with trio.CancelScope() as scope:
        scope.cancel()
        await rig.publish(topics_deleted={TOPIC_ID: rig.topic})
    assert len(rig.table) == 0
    names = [name for name in rig.disk.list_dir("/data") if name.startswith("t-")]
    assert len(names) == 100
    assert all(name.endswith("-delete") for name in names)


async def test_deleted_topics_are_synced_before_anyone_is_told() -> None:
    rig = with_partitions(Rig({}), 100)
    await rig.publish(partitions_changed={TOPIC_ID: set(range(100))})
    rig.disk.fsync_dir("/")
    rig.disk.fsync_dir("/data")
    calls = rig.disk.calls
    await rig.publish(topics_deleted={TOPIC_ID: rig.topic})
    assert rig.disk.calls - calls == 100 + 1  # a rename each, one sync for all
    rig.disk.power_loss(random.Random(3))
    names = [name for name in rig.disk.list_dir("/data") if name.startswith("t-")]
    assert len(names) == 100
    assert all(name.endswith("-delete") for name in names)


async def test_a_sync_of_deleted_topics_that_fails_puts_the_directory_under_suspicion() -> None:
    rig = await new_rig({})
    suspects: list[str] = []
    rig.store.suspect = suspects.append
    rig.disk.fail_next("fsync_dir", path_part="/data")
    await rig.publish(topics_deleted={TOPIC_ID: rig.topic})
    assert suspects == ["/data"]
    assert rig.table.get("t", 0) is None


async def test_a_high_watermark_that_was_not_written_is_written_though_it_moves_no_more(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    rig = await new_rig({})
    await nursery.start(rig.maintenance.run)
    rig.append(3)
    rig.disk.fail_next("append", errno.ENOSPC, "replication-offset-checkpoint")
    path = "/data/replication-offset-checkpoint"
    await until(lambda: read_offsets(rig.disk, path) == {("t", 0): 3})


async def test_what_found_no_room_is_opened_when_there_is_some(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    rig = with_partitions(Rig({}), 100)
    rig.disk.capacity = 0
    await rig.publish(partitions_changed={TOPIC_ID: set(range(100))})
    assert len(rig.table) == 0
    image = cast(
        "MetadataImage", SimpleNamespace(topics_by_id={TOPIC_ID: rig.topic}, metadata_version=30)
    )
    calls = rig.disk.calls
    await rig.publisher.open_cramped(image)
    some = rig.disk.calls - calls
    assert len(rig.table) == 0
    rig.disk.capacity = None
    await rig.publisher.open_cramped(image)
    assert len(rig.table) == 100
    assert some < (rig.disk.calls - calls) / 3  # it was soon clear that there was none
