"""Syncs of logs beside the event loop: who is told of them, and what a failed one means."""

from __future__ import annotations

import errno
from random import Random
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from kbroker.storage.assigned_batches import append_assigned
from kbroker.storage.checkpoints import has_clean_shutdown
from kbroker.storage.errors import DiskError, OutOfDescriptors
from kbroker.storage.origin import Origin
from tests.kbroker.broker_parts import NOW_MS, new_directory
from tests.kbroker.handlers.data_path import batch

from .rig import Rig, new_rig, until

if TYPE_CHECKING:
    from kbroker.storage.log import Log

AT_EACH = {"flush.messages": "1"}


def copy_of(rig: Rig) -> Log:
    """The partition's log in another directory, of which nothing is synced."""
    partition = rig.partition
    directory = new_directory(rig.disk, "/other")
    future = directory.open_future(
        "t", 0, partition.log.config, now_ms=NOW_MS, topic_id=partition.topic_id
    )
    for each in partition.log.batches(0):
        append_assigned(future, each, leader_epoch=-1, now_ms=NOW_MS, origin=Origin.REPLICATION)
    return future


async def test_what_is_requested_before_it_runs_is_synced_then(nursery: trio.Nursery) -> None:
    rig = await new_rig(AT_EACH)
    rig.append(2)
    await trio.testing.wait_all_tasks_blocked()
    assert rig.partition.high_watermark == 0
    await nursery.start(rig.flusher.run)
    await until(lambda: rig.partition.high_watermark == 2)
    assert rig.partition.log.recovery_point == 2
    rig.append(1)
    await until(lambda: rig.partition.high_watermark == 3)


async def test_a_failed_fsync_takes_the_partition_offline_for_good(nursery: trio.Nursery) -> None:
    """A sync that succeeds after it would say nothing of what the failed one was about."""
    rig = await new_rig(AT_EACH)
    await nursery.start(rig.flusher.run)
    rig.disk.fail_next("fsync")
    rig.append(1)
    with trio.fail_after(10):
        while not rig.partition.offline:
            await trio.lowlevel.checkpoint()
    with pytest.raises(DiskError, match="t-0"):
        rig.append(1)
    rig.flusher.request(rig.partition)
    await trio.testing.wait_all_tasks_blocked()
    assert rig.partition.high_watermark == 0
    await rig.store.close(1)
    assert not has_clean_shutdown(rig.disk, "/data")


async def test_a_partition_that_is_gone_is_not_synced(nursery: trio.Nursery) -> None:
    rig = await new_rig(AT_EACH)
    rig.append(1)
    partition = rig.partition
    partition.remove()
    calls = rig.disk.calls
    await nursery.start(rig.flusher.run)
    await trio.testing.wait_all_tasks_blocked()
    assert (rig.disk.calls, partition.log.recovery_point) == (calls, 0)


async def test_a_sync_without_a_descriptor_waits_for_one(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    rig = await new_rig(AT_EACH)
    await rig.add_topic([1])
    other = rig.table.leader("t", 1)
    other.append(batch(b"x"), NOW_MS, Origin.CLIENT)
    assert other.log.segments.active.is_open
    await nursery.start(rig.flusher.run)
    await until(lambda: other.high_watermark == 1)
    rig.disk.fail_next("fsync", errno.EMFILE)
    rig.append(1)
    await until(lambda: rig.partition.high_watermark == 1)
    assert not other.log.segments.active.is_open  # it was asked to give back what it can
    assert rig.partition.log.recovery_point == 1


EPOCHS = "/t-0/leader-epoch-checkpoint"


async def test_leader_epochs_that_have_no_room_wait_for_it(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    rig = await new_rig(AT_EACH)
    await nursery.start(rig.flusher.run)
    for _ in range(12):
        rig.disk.fail_next("append", errno.ENOSPC, EPOCHS)
    rig.append(1)
    await trio.sleep(0.1 * (2**6 - 1) + 6 * 5 - 0.05)  # twelve pauses, of 5 s at most
    assert rig.partition.high_watermark == 0
    await trio.sleep(0.1)
    await until(lambda: rig.partition.high_watermark == 1)
    assert not rig.partition.offline
    rig.disk.power_loss(Random(1))
    assert rig.disk.read_file(f"/data{EPOCHS}").split() == [b"0", b"1", b"7", b"0"]  # epoch 7


async def test_a_sync_that_has_no_room_fails_the_log(nursery: trio.Nursery) -> None:
    """It may have lost what was written, as with quotas or over a network."""
    rig = await new_rig(AT_EACH)
    await nursery.start(rig.flusher.run)
    rig.disk.fail_next("fsync", errno.ENOSPC, ".log")
    rig.append(1)
    await until(lambda: rig.partition.offline)
    assert rig.partition.log.is_offline
    assert rig.partition.high_watermark == 0


@pytest.mark.parametrize("gets_any", [False, True])
async def test_a_log_that_waits_for_descriptors_at_the_end_is_clean_if_it_gets_some(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery, gets_any: bool
) -> None:
    rig = await new_rig(AT_EACH)
    await nursery.start(rig.flusher.run)
    for _ in range(1000):
        rig.disk.fail_next("fsync", errno.EMFILE, "/t-0/")
    rig.append(1)
    await trio.sleep(1)
    assert rig.partition.high_watermark == 0
    nursery.cancel_scope.cancel()
    with trio.CancelScope(shield=True):
        await trio.testing.wait_all_tasks_blocked()
        if gets_any:
            rig.disk.forget_failures()
            await rig.store.close(1)
        else:
            with pytest.raises(OutOfDescriptors):
                await rig.store.close(1)
    assert has_clean_shutdown(rig.disk, "/data") is gets_any


async def test_what_a_cancelled_sync_had_to_do_the_end_does(nursery: trio.Nursery) -> None:
    rig = await new_rig({})
    rig.append(1)
    log = rig.partition.log
    log.roll(NOW_MS)
    rig.append(1)
    snapshot = "/data/t-0/00000000000000000001.snapshot"
    content = rig.disk.read_file(snapshot)
    assert content
    await nursery.start(rig.flusher.run)
    nursery.cancel_scope.cancel()
    rig.flusher.request(rig.partition)
    with trio.CancelScope(shield=True):
        await trio.testing.wait_all_tasks_blocked()
        assert log.recovery_point == 0
        await rig.store.close(1)
    assert has_clean_shutdown(rig.disk, "/data")
    rig.disk.power_loss(Random(1))
    assert "00000000000000000001.log" in rig.disk.list_dir("/data/t-0")
    assert rig.disk.read_file(snapshot) == content


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("overrides", [AT_EACH, {}], ids=["somebody waits", "nobody waits"])
async def test_a_log_that_moves_while_it_is_synced_is_synced_where_it_lies_then(
    autojump_clock: trio.testing.MockClock,
    nursery: trio.Nursery,
    overrides: dict[str, str],
    fails: bool,
) -> None:
    rig = await new_rig(overrides)
    await nursery.start(rig.flusher.run)
    rig.append(1)
    log = "/data/t-0/00000000000000000000.log"
    gate = rig.disk.hold_syncs(log)
    rig.flusher.request(rig.partition)
    await until(lambda: rig.disk.exists(f"/data{EPOCHS}"))  # the next sync is that of the log
    committed = rig.partition.high_watermark
    rig.partition.replace_log(copy_of(rig))
    if fails:
        rig.disk.fail_next("fsync", path_part=log)
    rig.disk.fail_next("fsync", errno.EMFILE, "/other/")
    gate.set()
    await trio.sleep(0.05)
    assert rig.partition.high_watermark == committed == (0 if overrides else 1)
    await until(lambda: rig.partition.log.recovery_point == 1)
    await until(lambda: rig.partition.high_watermark == 1)
    assert not rig.partition.offline
