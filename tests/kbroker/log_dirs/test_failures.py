"""Which log directories are examined, and which are taken offline."""

from __future__ import annotations

import errno
import random

import pytest
import trio
import trio.testing

from kbroker.config import BrokerConfig, DynamicConfigs
from kbroker.log_dirs.assignments import Assignments
from kbroker.log_dirs.failures import FailureWatch
from kbroker.log_dirs.moves import Moves
from kbroker.log_dirs.store import LogStore
from kbroker.partitions.table import PartitionTable
from kbroker.storage.checkpoints import MetaProperties
from kbroker.storage.log_dir_opening import open_log_dir
from tests.kbroker.broker_parts import CLUSTER_ID, NOW_MS, NobodyThere, WallClock
from tests.kbroker.cluster_image import NODE_ID, ClusterImage
from tests.kbroker.partitions.rig import until
from tests.sim.disk import SimDisk

POLL_S = 5.0  # replica.high.watermark.checkpoint.interval.ms


class Rig:
    """Three directories without partitions; `failed` are the ids of those that were lost."""

    def __init__(self) -> None:
        self.disk = SimDisk(random.Random(1))
        clock, config = WallClock(), BrokerConfig({"node.id": str(NODE_ID)})
        directories = []
        for name in ("/a", "/ab", "/c"):
            self.disk.make_dir(name)
            directory = open_log_dir(self.disk, name, rng=random.Random(2), now_ms=NOW_MS)
            directory.format(MetaProperties(CLUSTER_ID, NODE_ID, name.encode().ljust(16)))
            directories.append(directory)
        self.store = LogStore(directories, clock)
        configs = DynamicConfigs(config, ClusterImage().image.configs)
        assignments = Assignments(NobodyThere(), NODE_ID, lambda: 1)
        moves = Moves(NODE_ID, self.store, assignments, config, configs, clock)
        self.failed: list[str] = []
        self.watch = FailureWatch(
            self.disk,
            self.store,
            PartitionTable(),
            moves,
            config,
            lambda directory_id: self.failed.append(directory_id.decode().rstrip()),
        )
        self.disk.trace.clear()

    @property
    def found_well(self) -> set[str]:
        """The directories in which something could be written and synced."""
        calls = [call.split() for call in self.disk.trace]
        return {path.rpartition("/")[0] for _, operation, path in calls if operation == "fsync"}


@pytest.mark.parametrize(
    ("path", "directory"),
    [
        ("/a", "/a"),
        ("/a/t-0", "/a"),
        ("/a/t-0/00000000000000000000.log", "/a"),
        ("/c/../a/x", "/a"),
        ("/ab/t-0", "/ab"),
    ],
)
@pytest.mark.parametrize("is_broken", [True, False])
async def test_a_reported_directory_is_examined_and_no_other(
    autojump_clock: trio.testing.MockClock,
    nursery: trio.Nursery,
    path: str,
    directory: str,
    is_broken: bool,
) -> None:
    rig = Rig()
    await nursery.start(rig.watch.run)
    if is_broken:
        rig.disk.fail_next("fsync", errno.EIO, f"{directory}/")
    rig.store.report_failure(path)
    await until(lambda: bool(rig.failed or rig.found_well))
    assert rig.failed == rig.store.offline_paths == ([directory] if is_broken else [])
    await until(lambda: trio.current_time() > POLL_S)
    assert rig.found_well == (set() if is_broken else {directory})


async def test_a_report_is_followed_once(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    rig = Rig()
    await nursery.start(rig.watch.run)
    rig.store.report_failure("/a/t-0")
    await until(lambda: rig.found_well == {"/a"})
    rig.disk.trace.clear()
    await trio.sleep(3 * POLL_S)
    assert rig.found_well == set()


async def test_a_directory_that_is_gone_is_noticed_though_nobody_reports_it(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    rig = Rig()
    await nursery.start(rig.watch.run)
    rig.disk.unlink("/c/meta.properties")
    await trio.sleep(POLL_S - 1)
    assert rig.failed == []
    await until(lambda: rig.failed == ["/c"])
    assert rig.store.offline_paths == ["/c"]
    assert rig.found_well == {"/c"}
