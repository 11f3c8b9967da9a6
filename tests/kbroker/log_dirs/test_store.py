"""The logs of a directory as the broker stops: many at a time, and honest about what failed."""

from __future__ import annotations

import errno
import random

import pytest

from kbroker.config import BrokerConfig, DynamicConfigs
from kbroker.controller.model import UNASSIGNED_DIRECTORY
from kbroker.log_dirs.store import LOGS_A_THREAD, RELEASED_LOGS_MAX, LogStore
from kbroker.storage.checkpoints import MetaProperties, has_clean_shutdown
from kbroker.storage.closing import release_descriptors
from kbroker.storage.errors import DiskError, OutOfDescriptors
from kbroker.storage.log_config import LogConfig
from kbroker.storage.log_dir_opening import open_log_dir
from kbroker.storage.names import DELETE_DIR, FUTURE_DIR, STRAY_DIR, parse_partition_dir
from tests.kbroker.broker_parts import NOW_MS, WallClock, new_directory
from tests.kbroker.handlers.data_path import batch
from tests.sim.disk import SimDisk

COUNT = 5 * LOGS_A_THREAD


class Rig:
    """A directory of `COUNT` logs with a record each, not synced."""

    def __init__(self) -> None:
        self.disk = SimDisk(random.Random(1))
        self.disk.make_dir("/data")
        self.disk.fsync_dir("/")
        self.configs = DynamicConfigs(BrokerConfig({"log.index.size.max.bytes": "4096"}), {})

    def open(self) -> LogStore:
        directory = open_log_dir(self.disk, "/data", rng=random.Random(2), now_ms=NOW_MS)
        if directory.meta is None:
            directory.format(MetaProperties(node_id=1, cluster_id="c", directory_id=b"d" * 16))
        return LogStore([directory], WallClock())

    def fill(self, store: LogStore) -> None:
        for index in range(COUNT):
            log = store.open("t", index, b"t" * 16, self.configs, UNASSIGNED_DIRECTORY)
            log.append(batch(b"x"), leader_epoch=0, now_ms=NOW_MS)
        self.disk.fsync_dir("/data")


async def test_a_clean_stop_syncs_every_log_and_says_so() -> None:
    rig = Rig()
    store = rig.open()
    rig.fill(store)
    await store.close(7)
    assert has_clean_shutdown(rig.disk, "/data")
    rig.disk.power_loss(random.Random(3))
    store = rig.open()
    for index in range(COUNT):
        log = store.open("t", index, b"t" * 16, rig.configs, UNASSIGNED_DIRECTORY)
        assert [bytes(each) for each in log.batches(0)], index
        assert log.log_end_offset == 1


async def test_a_log_that_cannot_be_synced_leaves_the_others_to_be() -> None:
    rig = Rig()
    store = rig.open()
    rig.fill(store)
    rig.disk.fail_next("fsync", path_part="/t-3/")
    with pytest.raises(DiskError, match="t-3"):
        await store.close(7)
    assert not has_clean_shutdown(rig.disk, "/data")
    rig.disk.power_loss(random.Random(3))
    store = rig.open()  # nobody holds the directory any more
    for index in range(COUNT):
        log = store.open("t", index, b"t" * 16, rig.configs, UNASSIGNED_DIRECTORY)
        assert index == 3 or log.log_end_offset == 1


async def test_logs_give_back_their_files_in_turns() -> None:
    rig = Rig()
    store = rig.open()
    logs = [
        store.open("t", index, b"t" * 16, rig.configs, UNASSIGNED_DIRECTORY)
        for index in range(RELEASED_LOGS_MAX + 5)
    ]

    def opened() -> list[int]:
        return [i for i, log in enumerate(logs) if log.segments.active.is_open]

    for log in logs:
        log.append(batch(b"x"), leader_epoch=0, now_ms=NOW_MS)
    assert store.release_descriptors()
    assert opened() == list(range(RELEASED_LOGS_MAX, len(logs)))
    logs[0].append(batch(b"y"), leader_epoch=0, now_ms=NOW_MS)
    assert store.release_descriptors()
    assert opened() == []
    assert not store.release_descriptors()
    assert logs[0].log_end_offset == 2


async def test_a_log_is_opened_with_what_others_give_back() -> None:
    rig = Rig()
    store = rig.open()
    first = store.open("t", 0, b"t" * 16, rig.configs, UNASSIGNED_DIRECTORY)
    rig.disk.fail_next("create", errno.EMFILE, "/t-1/")
    second = store.open("t", 1, b"t" * 16, rig.configs, UNASSIGNED_DIRECTORY)
    assert not first.segments.active.is_open
    assert second.append(batch(b"x"), leader_epoch=0, now_ms=NOW_MS).first_offset == 0
    rig.disk.fail_next("create", errno.EMFILE, "/u-0/")
    release_descriptors(first)
    release_descriptors(second)
    with pytest.raises(OutOfDescriptors):
        store.open("u", 0, b"u" * 16, rig.configs, UNASSIGNED_DIRECTORY)
    assert store.open("u", 0, b"u" * 16, rig.configs, UNASSIGNED_DIRECTORY).log_end_offset == 0


async def test_so_many_changes_are_taken_up_of_all_directories_together() -> None:
    disk = SimDisk(random.Random(1))
    directories = []
    for path in ("/data", "/other"):
        disk.make_dir(path)
        directories.append(new_directory(disk, path))
    store = LogStore(directories, WallClock())
    for directory in directories:
        for index in range(3):
            directory.open_log(f"t{directory.path[1:]}", index, LogConfig(), now_ms=NOW_MS)
    assert [store.note_offsets(4) for _ in range(3)] == [4, 2, 0]


async def test_what_belongs_to_no_partition_of_this_broker_is_set_aside() -> None:
    rig = Rig()
    store = rig.open()
    (directory,) = store.directories
    for topic in ("kept", "gone", "__cluster_metadata"):
        directory.open_log(topic, 0, LogConfig(), now_ms=NOW_MS)
    for topic in ("coming", "over"):
        directory.open_future(topic, 0, LogConfig(), now_ms=NOW_MS, topic_id=b"t" * 16)
    await store.close(7)
    store = rig.open()
    (directory,) = store.directories
    store.set_strays_aside(lambda topic, index: topic in ("kept", "coming"))
    assert directory.logs.partitions() == [("__cluster_metadata", 0), ("kept", 0)]
    assert directory.futures.partitions() == [("coming", 0)]
    found = map(parse_partition_dir, rig.disk.list_dir("/data"))
    assert {each for each in found if each is not None} == {
        ("__cluster_metadata", 0, ""),
        ("kept", 0, ""),
        ("gone", 0, STRAY_DIR),
        ("coming", 0, FUTURE_DIR),
        ("over", 0, DELETE_DIR),
    }
