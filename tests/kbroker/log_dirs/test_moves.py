"""How fast a partition moves to another directory, and where the controller is told it lies."""

from __future__ import annotations

import errno
import random
import threading
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from kbroker.config import BrokerConfig, DynamicConfigs
from kbroker.config.dynamic import MOVE_RATE
from kbroker.log_dirs.assignments import Assignments
from kbroker.log_dirs.moves import COPIED_AT_ONCE_BYTES, Moves
from kbroker.log_dirs.store import LogStore
from kbroker.partitions.partition import Partition
from kbroker.storage.checkpoints import MetaProperties
from kbroker.storage.log_dir_opening import open_log_dir
from kbroker.storage.origin import Origin
from kbroker.wire.codes import ResourceType
from kbroker.wire.messages.assign_replicas_to_dirs import (
    AssignReplicasToDirsRequest,
    AssignReplicasToDirsResponse,
)
from tests.kbroker.broker_parts import CLUSTER_ID, NOW_MS, WallClock
from tests.kbroker.cluster_image import NODE_ID, ClusterImage, topic_id
from tests.kbroker.handlers.data_path import batch
from tests.kbroker.partitions.rig import until
from tests.sim.disk import SimDisk, SimFile

if TYPE_CHECKING:
    from kbroker.storage.log_dir import LogDir
    from kbroker.wire.message import Request

HOME, TARGET = b"h" * 16, b"t" * 16


class Controller:
    """Takes every assignment once it may."""

    def __init__(self) -> None:
        self.told: list[tuple[float, bytes]] = []
        self.may_answer = trio.Event()
        self.was_told = trio.Event()

    async def send(self, request: Request[Any]) -> Any:
        assert isinstance(request, AssignReplicasToDirsRequest)
        self.told += [(trio.current_time(), each.id) for each in request.directories]
        self.was_told.set()
        self.was_told = trio.Event()
        await self.may_answer.wait()
        return AssignReplicasToDirsResponse()


class Rig:
    """A partition in one of two directories."""

    def __init__(self, disk: SimDisk | None = None) -> None:
        self.disk = disk or SimDisk(random.Random(1))
        self.cluster = ClusterImage()
        self.controller = Controller()
        self.home, self.target = self._directory("/home", HOME), self._directory("/target", TARGET)
        clock, config = WallClock(), BrokerConfig({"node.id": str(NODE_ID)})
        configs = DynamicConfigs(config, self.cluster.image.configs)
        self.store = store = LogStore([self.home, self.target], clock)
        self.assignments = Assignments(self.controller, NODE_ID, lambda: 1)
        self.moves = Moves(NODE_ID, store, self.assignments, config, configs, clock)
        self.cluster.add_topic("t")
        log = store.open("t", 0, topic_id("t"), configs, HOME)
        state = self.cluster.topic("t").partitions[0]
        self.partition = Partition(
            "t", 0, topic_id("t"), log, state, NODE_ID, 0, lambda partition: None, store
        )

    def _directory(self, path: str, directory_id: bytes) -> LogDir:
        self.disk.make_dir(path)
        directory = open_log_dir(self.disk, path, rng=random.Random(2), now_ms=NOW_MS)
        if directory.meta is None:
            directory.format(MetaProperties(CLUSTER_ID, NODE_ID, directory_id))
        return directory

    def restarted(self) -> Rig:
        for directory in (self.home, self.target):
            directory.close()
        return Rig(self.disk)

    async def start(self, nursery: trio.Nursery) -> None:
        await nursery.start(self.assignments.run)
        await nursery.start(self.moves.run)

    def append(self, count: int) -> None:
        for _ in range(count):
            self.partition.append(batch(b"x" * 900), NOW_MS, Origin.CLIENT)

    def set_rate(self, rate: int | None, name: str = str(NODE_ID)) -> None:
        self.cluster.set_config(ResourceType.BROKER, name, MOVE_RATE, str(rate or 1 << 40))


@pytest.mark.parametrize(
    ("rate", "count", "name"),
    [(1000, 20, str(NODE_ID)), (1000, 20, ""), (1, 2, "")],
    ids=["of this broker", "of all brokers", "the lowest"],
)
@pytest.mark.parametrize("waited_s", [0, 500], ids=["at once", "no credit for a long time idle"])
async def test_a_move_keeps_to_its_rate(
    autojump_clock: trio.testing.MockClock,
    nursery: trio.Nursery,
    rate: int,
    count: int,
    name: str,
    waited_s: int,
) -> None:
    rig = Rig()
    rig.append(count)
    rig.set_rate(rate, name)
    await rig.start(nursery)
    await trio.sleep(waited_s)
    began = trio.current_time()
    rig.moves.begin(rig.partition, rig.target)
    await rig.controller.was_told.wait()
    (told,) = rig.controller.told
    # All but the last piece, of a batch or a second, has been waited for.
    last_s = rig.partition.log_size / rate
    assert last_s - max(2, 1000 / rate) < told[0] - began <= last_s
    assert told[1] == TARGET


async def test_a_move_follows_a_rate_that_changes(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    rig = Rig()
    rig.append(20)
    rig.set_rate(1)
    await rig.start(nursery)
    began = trio.current_time()
    rig.moves.begin(rig.partition, rig.target)
    await trio.sleep(10.5)
    assert rig.controller.told == []
    rig.set_rate(None)
    await rig.controller.was_told.wait()
    assert rig.controller.told[0][0] - began < 12


async def test_the_controller_is_told_again_when_the_log_fails_at_the_end_of_its_move(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    rig = Rig()
    rig.append(3)
    await rig.start(nursery)
    rig.moves.begin(rig.partition, rig.target)
    await rig.controller.was_told.wait()
    assert [directory for _, directory in rig.controller.told] == [TARGET]
    rig.append(1)
    rig.disk.fail_next("read_at", path_part="/home/t-0/")
    rig.controller.may_answer.set()
    await until(lambda: rig.partition.offline)
    assert rig.moves.get(rig.partition) is None
    await until(lambda: len(rig.controller.told) == 2)
    assert [directory for _, directory in rig.controller.told] == [TARGET, HOME]


async def test_what_comes_at_the_end_of_a_move_comes_along(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    rig = Rig()
    rig.append(3)
    await rig.start(nursery)
    rig.moves.begin(rig.partition, rig.target)
    await rig.controller.was_told.wait()
    rig.append(2)
    rig.controller.may_answer.set()
    await until(lambda: rig.moves.get(rig.partition) is None)
    assert rig.partition.log.directory.log_dir == "/target"
    assert rig.partition.log.log_end_offset == 5
    assert [directory for _, directory in rig.controller.told] == [TARGET]


async def test_names_of_moves_taken_back_are_synced_once_for_each(nursery: trio.Nursery) -> None:
    rig = Rig()
    rig.append(3)
    await rig.start(nursery)
    for _ in range(2):
        done = len(rig.disk.trace)
        rig.moves.begin(rig.partition, rig.target)
        rig.moves.cancel(rig.partition)
        with trio.fail_after(20):  # whatever goes round and round never blocks
            while not any("fsync_dir /target" in call for call in rig.disk.trace[done:]):
                await trio.lowlevel.checkpoint()
            await trio.testing.wait_all_tasks_blocked()
        synced = [call for call in rig.disk.trace[done:] if call.endswith("fsync_dir /target")]
        assert len(synced) == 1
    assert rig.moves.get(rig.partition) is None
    assert rig.partition.log.directory.log_dir == "/home"


async def test_a_move_that_cannot_go_on_is_gone_for_good_before_the_log_is_written_to() -> None:
    rig = Rig()
    rig.append(3)
    rig.moves.begin(rig.partition, rig.target)
    rig = rig.restarted()
    assert rig.target.futures.holds("t", 0)
    rig.disk.fail_next("open", errno.EIO, "-future/")
    rig.disk.trace.clear()
    rig.moves.resume(rig.partition)
    assert rig.moves.get(rig.partition) is None
    assert not rig.target.futures.holds("t", 0)
    assert rig.disk.trace[-1].endswith("fsync_dir /target")


async def test_a_move_that_is_taken_back_while_it_reads_writes_no_more(
    nursery: trio.Nursery, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig()
    rig.append(2 * COPIED_AT_ONCE_BYTES // 900)
    await rig.start(nursery)
    begun, gate, done = threading.Event(), threading.Event(), threading.Event()
    genuine = SimFile.read_at

    def slow_in_threads(file: SimFile, position: int, size: int) -> bytes:
        """From the second part on."""
        if position and threading.current_thread() is not threading.main_thread():
            begun.set()
            gate.wait(30)
            done.set()
        return genuine(file, position, size)

    monkeypatch.setattr(SimFile, "read_at", slow_in_threads)
    rig.moves.begin(rig.partition, rig.target)
    await trio.to_thread.run_sync(begun.wait, 30)
    rig.moves.cancel(rig.partition)
    gate.set()
    await trio.to_thread.run_sync(done.wait, 30)
    await trio.testing.wait_all_tasks_blocked(0.05)
    assert rig.moves.get(rig.partition) is None
    assert rig.store.failures.take() == set()
    assert caplog.records == []
