"""What happens to logs by and by: retention, removal of deleted files, flushes, checkpoints."""

from __future__ import annotations

import errno
import random
from itertools import pairwise

import pytest
import trio
import trio.testing

from kbroker.config import BrokerConfig
from kbroker.log_dirs.maintenance import Maintenance
from kbroker.node.publisher import PARTITIONS_A_TURN
from kbroker.storage.checkpoints import read_offsets
from kbroker.storage.origin import Origin
from tests.kbroker.handlers.data_path import batch
from tests.kbroker.partitions.rig import Rig, new_rig, until

HOUR_MS = 3_600_000
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
    await rig.remove_topic()
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


async def test_a_large_checkpoint_lets_others_have_their_turn(
    nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kbroker.log_dirs.maintenance.CHANGES_A_TURN", 10)
    rig = Rig()
    await rig.add_topic(100)
    for partition in rig.table:
        partition.append(batch(b"x"), rig.clock.now_ms, Origin.CLIENT)
    left = []

    async def look() -> None:
        while rig.store.unsaved_high_watermarks:
            left.append(len(rig.store.unsaved_high_watermarks))
            await trio.lowlevel.checkpoint()

    assert len(rig.store.unsaved_high_watermarks) == 100
    nursery.start_soon(look)
    await nursery.start(rig.maintenance.run)
    path = "/data/replication-offset-checkpoint"
    await until(lambda: len(read_offsets(rig.disk, path)) == 100)
    steps = [before - after for before, after in pairwise([*left, 0])]
    assert max(steps) <= 20  # tasks take turns in any order


async def test_a_large_delta_lets_others_have_their_turn(nursery: trio.Nursery) -> None:
    rig = Rig()
    sizes = []

    async def look() -> None:
        while len(rig.table) < 100:
            sizes.append(len(rig.table))
            await trio.lowlevel.checkpoint()

    nursery.start_soon(look)
    await rig.add_topic(100)
    assert len(rig.table) == 100
    assert sizes == sorted(sizes)
    # Tasks take turns in any order, so one may have two before the other has its next.
    steps = [after - before for before, after in pairwise([*sizes, 100])]
    assert max(steps) <= 2 * PARTITIONS_A_TURN


async def test_a_delta_that_was_begun_is_done_whole() -> None:
    rig = Rig()
    with trio.CancelScope() as scope:
        scope.cancel()
        await rig.add_topic(100)
    assert len(rig.table) == 100
    with trio.CancelScope() as scope:
        scope.cancel()
        await rig.remove_topic()
    assert len(rig.table) == 0
    names = [name for name in rig.disk.list_dir("/data") if name.startswith("t-")]
    assert len(names) == 100
    assert all(name.endswith("-delete") for name in names)


async def test_deleted_topics_are_synced_before_anyone_is_told() -> None:
    rig = Rig()
    await rig.add_topic(100)
    rig.disk.fsync_dir("/")
    rig.disk.fsync_dir("/data")
    calls = rig.disk.calls
    await rig.remove_topic()
    assert rig.disk.calls - calls == 100 + 1  # a rename each, one sync for all
    rig.disk.power_loss(random.Random(3))
    names = [name for name in rig.disk.list_dir("/data") if name.startswith("t-")]
    assert len(names) == 100
    assert all(name.endswith("-delete") for name in names)


async def test_a_sync_of_deleted_topics_that_fails_puts_the_directory_under_suspicion() -> None:
    rig = await new_rig({})
    rig.disk.fail_next("fsync_dir", path_part="/data")
    await rig.remove_topic()
    assert rig.store.failures.take() == {"/data"}
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
    rig = Rig()
    rig.disk.capacity = 0
    await rig.add_topic(100)
    assert len(rig.table) == 0
    calls = rig.disk.calls
    await rig.publisher.open_awaiting_space(rig.cluster.image)
    some = rig.disk.calls - calls
    assert len(rig.table) == 0
    rig.disk.capacity = None
    await rig.publisher.open_awaiting_space(rig.cluster.image)
    assert len(rig.table) == 100
    assert some < (rig.disk.calls - calls) / 3  # it was soon clear that there was none


async def test_retention_comes_again(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    rig = await new_rig({**SMALL_SEGMENTS, "retention.ms": str(HOUR_MS)})
    await nursery.start(rig.maintenance.run)
    await trio.sleep(60)
    rig.append(10)
    rig.clock.now_ms += 2 * HOUR_MS
    assert len(rig.files(".log")) == 5
    await trio.sleep(rig.config.log_retention_check_interval_ms / 1000)
    assert len(rig.files(".log")) == 1


async def test_a_log_that_retention_finds_broken_is_offline_and_its_directory_suspected() -> None:
    rig = await new_rig({**SMALL_SEGMENTS, "retention.ms": str(HOUR_MS)})
    rig.append(10)
    rig.clock.now_ms += 2 * HOUR_MS
    rig.disk.fail_next("rename", errno.EIO, "t-0/")
    await rig.maintenance.delete_old_segments()
    assert rig.partition.offline
    assert rig.store.failures.take() == {"/data"}
    assert rig.partition.log.is_offline


async def test_producers_that_are_silent_are_forgotten(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    rig = await new_rig({})
    await nursery.start(rig.maintenance.run)
    now_ms = rig.clock.now_ms
    rig.partition.append(batch(b"x", producer=(7, 0, 0)), now_ms, Origin.CLIENT)
    rig.clock.now_ms += rig.config.producer_id_expiration_ms - 1000
    await trio.sleep(rig.config.producer_id_expiration_check_interval_ms / 1000 + 1)
    assert list(rig.partition.log.producers.producers) == [7]
    rig.clock.now_ms += 2000
    await trio.sleep(rig.config.producer_id_expiration_check_interval_ms / 1000 + 1)
    assert list(rig.partition.log.producers.producers) == []


async def test_a_look_at_many_logs_lets_others_have_their_turn(
    autojump_clock: trio.testing.MockClock,
    nursery: trio.Nursery,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("kbroker.log_dirs.maintenance.LOOKED_AT_A_TURN", 10)
    rig = Rig()
    await rig.add_topic(100)
    for partition in rig.table:
        sent = batch(b"x", producer=(7, 0, 0))
        partition.append(sent, rig.clock.now_ms, Origin.CLIENT)
    rig.clock.now_ms += 2 * rig.config.producer_id_expiration_ms
    await nursery.start(rig.maintenance.run)

    def known() -> int:
        return sum(len(partition.log.producers.producers) for partition in rig.table)

    assert known() == 100
    await trio.sleep(rig.config.producer_id_expiration_check_interval_ms / 1000)
    left = [100]
    for _ in range(1000):  # time stands still meanwhile
        await trio.lowlevel.checkpoint()
        left.append(known())
    assert left[-1] == 0
    steps = [before - after for before, after in pairwise(left)]
    assert max(steps) <= 20  # tasks take turns in any order


@pytest.mark.parametrize(
    ("error", "suspects"), [(errno.EIO, True), (errno.ENOSPC, False)], ids=["broken", "full"]
)
async def test_a_checkpoint_that_cannot_be_written_puts_the_directory_under_suspicion(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery, error: int, suspects: bool
) -> None:
    rig = await new_rig({})
    rig.disk.fail_next("append", error, "replication-offset-checkpoint")
    rig.append(1)
    await nursery.start(rig.maintenance.run)
    path = "/data/replication-offset-checkpoint"
    await until(lambda: read_offsets(rig.disk, path) == {("t", 0): 1})
    reported = rig.store.failures.take()
    assert bool(reported) == suspects
    assert all(each.startswith("/data") for each in reported)


async def test_a_high_watermark_that_moved_is_in_the_next_checkpoint() -> None:
    rig = await new_rig({})
    rig.append(3)
    for write in rig.store.high_watermark_checkpoints():
        write()
    assert read_offsets(rig.disk, "/data/replication-offset-checkpoint") == {("t", 0): 3}
    assert rig.store.high_watermark_checkpoints() == []
