"""A quorum node as a whole, on a simulated disk: starts, restarts, order of answers, snapshots."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
import trio

from kbroker.controller import controller as controller_module
from kbroker.controller.controller import Controller
from kbroker.controller.features import FRESH
from kbroker.controller.loader import load
from kbroker.controller.raft.control import quorum_records
from kbroker.controller.raft.log import SnapshotId
from kbroker.controller.raft.voters import Endpoint, ReplicaKey, Voter, VoterSet
from kbroker.controller.snapshot import snapshot_batches
from kbroker.metadata_log.log import MetadataLogConfig
from kbroker.metadata_log.snapshots import SnapshotFile, snapshot_name
from kbroker.storage.errors import DiskError
from kbroker.wire.errors import ErrorCode, RequestError
from kbroker.wire.messages.broker_heartbeat import BrokerHeartbeatRequest, BrokerHeartbeatResponse
from kbroker.wire.messages.broker_registration import BrokerRegistrationResponse
from kbroker.wire.messages.create_topics import CreateTopicsRequest, CreateTopicsResponse
from kbroker.wire.messages.delete_topics import DeleteTopicsRequest
from kbroker.wire.records.quorum_state_data import QuorumStateData

from .parts import DATA, Machine, registration, topic

if TYPE_CHECKING:
    from collections.abc import Callable

    from kbroker.controller.delta import ImageDelta

METADATA = f"{DATA}/__cluster_metadata-0"


async def create(controller: Controller, *names: str, partitions: int = 1) -> None:
    response = await controller.channel.send(
        CreateTopicsRequest(topics=[topic(name, partitions) for name in names])
    )
    assert isinstance(response, CreateTopicsResponse)
    assert [each.error_code for each in response.topics] == [ErrorCode.NONE] * len(names)


async def delete(controller: Controller, name: str) -> None:
    await controller.channel.send(DeleteTopicsRequest(topic_names=[name], timeout_ms=1_000))


def snapshots(machine: Machine) -> list[str]:
    return [name for name in machine.disk.list_dir(METADATA) if name.endswith(".checkpoint")]


async def test_an_empty_directory_becomes_a_fresh_cluster() -> None:
    machine = Machine()
    async with machine.running() as controller:
        assert controller.is_active
        assert controller.leader_id == 1
        assert controller.epoch == 1
        assert controller.image.features == FRESH
        assert controller.image.configs == {(4, ""): {"min.insync.replicas": "1"}}
        assert list(controller.image.controllers) == [1]
        assert not controller.image.controllers[1].zk_migration_ready
        assert controller.image.is_active(1)
    assert machine.disk.exists(f"{DATA}/bootstrap.checkpoint")
    assert machine.disk.exists(f"{DATA}/meta.properties")


async def test_everything_is_there_again_after_a_restart_in_a_higher_epoch() -> None:
    machine = Machine()
    async with machine.running() as controller:
        await create(controller, "a", "b", partitions=3)
        await controller.channel.send(DeleteTopicsRequest(topic_names=["a"], timeout_ms=1_000))
        ids = controller.image.topics["b"].topic_id
        epoch, offset = controller.epoch, controller.image.offset
        assert controller.applied_offset == offset
    async with machine.running() as controller:
        assert list(controller.image.topics) == ["b"]
        assert controller.image.topics["b"].topic_id == ids
        assert [p.leader for p in controller.image.topics["b"].partitions.values()] == [1, 1, 1]
        assert controller.epoch > epoch
        assert controller.image.offset > offset


async def test_listeners_hear_of_all_there_is_and_then_of_each_change() -> None:
    machine = Machine()
    async with machine.running() as controller:
        await create(controller, "old")
    heard: list[tuple[list[str], int]] = []

    def listen(delta: ImageDelta, offset: int, epoch: int) -> None:
        heard.append(([each.name for each in delta.topics_created.values()], offset))

    async with machine.running(listen) as controller:
        assert heard[0][0] == ["old"]
        await create(controller, "new")
        assert heard[-1] == (["new"], controller.image.offset)
    offsets = [offset for _, offset in heard]
    assert offsets == sorted(set(offsets))


async def test_the_answer_comes_after_the_listeners() -> None:
    machine = Machine()
    order: list[str] = []

    async def slow(delta: ImageDelta, offset: int, epoch: int) -> None:
        await trio.lowlevel.checkpoint()
        order.extend(f"applied {each.name}" for each in delta.topics_created.values())

    async with machine.running(slow) as controller:
        for name in ("a", "b"):
            await create(controller, name)
            order.append(f"answered {name}")
    assert order == ["applied a", "answered a", "applied b", "answered b"]


async def test_a_refusal_waits_for_what_it_has_seen() -> None:
    machine = Machine()
    order: list[str] = []
    async with machine.running() as controller, trio.open_nursery() as nursery:

        async def ask(label: str) -> None:
            response = await controller.channel.send(CreateTopicsRequest(topics=[topic("t")]))
            assert isinstance(response, CreateTopicsResponse)
            order.append(f"{label} {response.topics[0].error_code} {len(controller.image.topics)}")

        nursery.start_soon(ask, "one")
        nursery.start_soon(ask, "other")
    assert sorted(each.split(maxsplit=1)[1] for each in order) == ["0 1", "36 1"]


async def test_requests_that_come_together_share_a_sync() -> None:
    machine = Machine()
    async with machine.running() as controller:
        machine.disk.trace.clear()
        async with trio.open_nursery() as nursery:
            for number in range(50):
                nursery.start_soon(create, controller, f"t{number}")
        syncs = [each for each in machine.disk.trace if " fsync " in each and ".log" in each]
        assert len(controller.image.topics) == 50
        assert len(syncs) <= 3


class Steps(trio.abc.Instrument):
    """How often any task has gone on."""

    count = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.count += 1


async def test_a_node_that_has_nothing_to_write_sleeps() -> None:
    machine = Machine()
    async with machine.running() as controller:
        await create(controller, "t")
        steps = Steps()
        trio.lowlevel.add_instrument(steps)
        await trio.sleep(0.1)
        trio.lowlevel.remove_instrument(steps)
        assert steps.count < 20


async def test_a_failed_sync_stops_the_node_and_answers_nobody() -> None:
    machine = Machine()
    controller = machine.open()
    answered = False

    async def ask() -> None:
        nonlocal answered
        await create(controller, "t")
        answered = True

    async def run() -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(controller.run)
            await machine.join(controller)
            machine.disk.fail_next("fsync", path_part=".log")
            nursery.start_soon(ask)

    with pytest.raises(ExceptionGroup) as stopped:
        await run()
    assert stopped.group_contains(DiskError)
    assert not answered


async def test_a_failed_write_stops_the_node() -> None:
    machine = Machine()
    controller = machine.open()
    refused: list[DiskError] = []

    async def ask() -> None:
        with pytest.raises(DiskError) as failure:
            await machine.join(controller)
        refused.append(failure.value)

    async def run() -> None:
        with trio.fail_after(10):
            async with trio.open_nursery() as nursery:
                await nursery.start(controller.run)
                machine.disk.fail_next("append", path_part="__cluster_metadata")
                nursery.start_soon(ask)

    with pytest.raises(ExceptionGroup) as stopped:
        await run()
    assert stopped.group_contains(DiskError)
    assert len(refused) == 1


async def test_a_start_is_over_when_the_first_records_of_its_epoch_are_applied() -> None:
    machine = Machine()
    incarnations = []
    for _ in range(2):
        controller = machine.open()
        async with trio.open_nursery() as nursery:
            await nursery.start(controller.run)
            incarnations.append(controller.image.controllers[1].incarnation_id)
            nursery.cancel_scope.cancel()
        machine.directory.close()
    assert incarnations[0] != incarnations[1]


async def test_an_exception_in_a_listener_stops_the_node() -> None:
    machine = Machine()

    def refuse(delta: ImageDelta, offset: int, epoch: int) -> None:
        assert not delta.topics_created, "this broker cannot hold topics"

    with pytest.raises(ExceptionGroup) as stopped:
        async with machine.running(refuse) as controller:
            await create(controller, "t")
    assert stopped.group_contains(AssertionError)


async def test_more_than_a_batch_can_hold_is_refused_or_split() -> None:
    machine = Machine()
    machine.log_config = MetadataLogConfig(segment_bytes=4_096)
    async with machine.running() as controller:
        with pytest.raises(RequestError) as refusal:
            await create(controller, "large", partitions=100)
        assert refusal.value.code == ErrorCode.RECORD_LIST_TOO_LARGE
        assert "large" not in controller.image.topics
        for number in range(10):
            await create(controller, f"t{number}", partitions=10)
        epoch, offset = controller.image.brokers[1].epoch, controller.image.offset
        await controller.channel.send(
            BrokerHeartbeatRequest(broker_id=1, broker_epoch=epoch, want_shut_down=True)
        )
        assert len(controller.image.leaderless) == 100
        written = list(machine.log.read(offset + 1, controller.image.offset + 1))
        assert sum(len(batch.values) for batch in written) >= 100
        assert 1 < len(written) < 10


async def test_before_it_leads_a_node_refuses_requests() -> None:
    controller = Machine().open()
    with pytest.raises(RequestError) as refusal:
        await controller.handle(CreateTopicsRequest())
    assert refusal.value.code == ErrorCode.NOT_CONTROLLER


async def test_a_stale_broker_is_told_in_the_answer() -> None:
    machine = Machine()
    async with machine.running() as controller:
        heard = await controller.channel.send(BrokerHeartbeatRequest(broker_id=1, broker_epoch=0))
        assert isinstance(heard, BrokerHeartbeatResponse)
        assert heard.error_code == ErrorCode.STALE_BROKER_EPOCH
        registered = await controller.channel.send(registration(cluster_id="other"))
        assert isinstance(registered, BrokerRegistrationResponse)
        assert registered.error_code == ErrorCode.INCONSISTENT_CLUSTER_ID


async def test_a_silent_broker_is_fenced_when_its_session_ends(
    mock_clock: trio.testing.MockClock,
) -> None:
    machine = Machine()
    async with machine.running() as controller:
        await create(controller, "t")
        await pass_time(mock_clock, 20)
        await await_fenced(controller)
        assert controller.image.topics["t"].partitions[0].leader == -1


async def test_a_controller_that_did_not_run_takes_nobody_for_silent(
    mock_clock: trio.testing.MockClock,
) -> None:
    """A node that was stopped for a while would fence itself, before it can beat again."""
    machine = Machine()
    async with machine.running() as controller:
        await create(controller, "t")
        mock_clock.jump(60)
        await pass_time(mock_clock, 8)
        assert not controller.image.brokers[1].fenced
        await pass_time(mock_clock, 2)  # nobody beats here
        await await_fenced(controller)


async def await_fenced(controller: Controller) -> None:
    while not controller.image.brokers[1].fenced:
        await trio.to_thread.run_sync(int)


async def pass_time(clock: trio.testing.MockClock, seconds: int) -> None:
    """The clock moves, and what it has set off happens."""
    for _ in range(seconds):
        clock.jump(1)
        await trio.testing.wait_all_tasks_blocked()
        with trio.move_on_after(0):
            await trio.to_thread.run_sync(int)


async def test_a_quorum_of_several_voters_is_refused_by_name() -> None:
    machine = Machine()
    with pytest.raises(ValueError, match="quorum of 3 voters is not supported yet"):
        machine.open(voters=VoterSet.of(*(ReplicaKey(i) for i in (1, 2, 3))))


async def test_a_snapshot_is_written_by_size_and_loaded_at_the_next_start() -> None:
    machine = Machine()
    machine.settings = {"metadata_log_max_record_bytes_between_snapshots": 2_000}
    async with machine.running() as controller:
        while not snapshots(machine):
            await create(controller, f"t{len(controller.image.topics)}")
        names = set(controller.image.topics)
    seen: list[int] = []

    def listen(delta: ImageDelta, offset: int, epoch: int) -> None:
        seen.append(len(delta.topics_created))

    loaded: list[int] = []
    async with machine.running(
        listen, on_open=lambda controller: loaded.append(len(controller.image.topics))
    ) as controller:
        assert loaded[0] > 0, "the snapshot is loaded before anything else"
        assert set(controller.image.topics) == names
        assert seen[0] == len(names), "the first delta tells of the snapshot too"


async def test_a_snapshot_is_written_when_the_last_one_is_old(
    mock_clock: trio.testing.MockClock,
) -> None:
    machine = Machine()
    async with machine.running() as controller:
        await create(controller, "t")
        assert snapshots(machine) == []
        mock_clock.jump(3_601)
        while not snapshots(machine):
            await trio.to_thread.run_sync(int)
        end = int(snapshots(machine)[0].partition("-")[0])
        assert end <= controller.image.offset + 1


async def test_the_time_of_a_snapshot_runs_from_the_first_record_after_the_last(
    mock_clock: trio.testing.MockClock,
) -> None:
    machine = Machine()
    machine.settings = {"metadata_log_max_snapshot_interval_ms": 500}
    async with machine.running() as controller:
        for number in range(3):
            before = snapshots(machine)
            await create(controller, f"t{number}")
            await trio.testing.wait_all_tasks_blocked()
            mock_clock.jump(0.5)
            for _ in range(400):  # what a thread does takes no time of this clock
                if snapshots(machine) != before:
                    break
                await trio.to_thread.run_sync(time.sleep, 0.005)
            assert snapshots(machine) != before


async def test_old_snapshots_and_the_log_before_them_are_dropped() -> None:
    machine = Machine()
    machine.log_config = MetadataLogConfig(segment_bytes=4_096, retention_bytes=12_000)
    machine.settings = {"metadata_log_max_record_bytes_between_snapshots": 1 << 20}
    for number in range(6):
        async with machine.running() as controller:
            for each in range(6):
                await create(controller, f"t{number}.{each}", partitions=5)
            await controller.write_snapshot()
            assert len(controller.image.topics) == 6 * (number + 1)
    assert 1 <= len(snapshots(machine)) < 6
    controller = machine.open()
    assert machine.log.start.offset == int(snapshots(machine)[0].partition("-")[0])
    assert machine.log.start.offset > 0
    assert len(controller.image.topics) == 36
    machine.directory.close()


async def test_two_who_want_a_snapshot_at_once_get_one_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A stop may come while one is written; both clean up behind it."""
    machine = Machine()
    call = machine.disk.call

    def slow(operation: str, path: str, part: Callable[[], object] | None = None) -> None:
        if operation == "fsync" and path.startswith(METADATA) and ".checkpoint" in path:
            trio.from_thread.run(trio.sleep, 0.01)
        call(operation, path, part)

    monkeypatch.setattr(machine.disk, "call", slow)
    machine.log_config = MetadataLogConfig(segment_bytes=4_096, retention_bytes=3_000)
    machine.settings = {"metadata_log_max_record_bytes_between_snapshots": 1 << 20}
    async with machine.running() as controller:
        for number in range(4):
            await create(controller, f"t{number}", partitions=20)
            async with trio.open_nursery() as nursery:
                for _ in range(2):
                    nursery.start_soon(controller.write_snapshot)
        assert len(controller.image.topics) == 4
    assert snapshots(machine) == snapshots(machine)[:1]
    assert len(machine.open().image.topics) == 4
    machine.directory.close()


async def test_a_stop_leaves_a_snapshot_where_the_next_start_would_replay_much(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(controller_module, "REPLAYED_RECORDS_MAX", 40)
    machine = Machine()
    async with machine.running() as controller:
        await create(controller, "t", partitions=30)
        await controller.condense()
        assert snapshots(machine) == []  # a snapshot would hold as many records
        for number in range(8):
            await create(controller, f"deleted-{number}", partitions=10)
            await delete(controller, f"deleted-{number}")
        await controller.condense()
        assert len(snapshots(machine)) == 1
        await controller.condense()
        assert len(snapshots(machine)) == 1


async def test_a_start_that_replays_much_is_followed_by_a_snapshot(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine = Machine()
    async with machine.running() as controller:
        for number in range(8):
            await create(controller, f"deleted-{number}", partitions=10)
            await delete(controller, f"deleted-{number}")
    monkeypatch.setattr(controller_module, "SNAPSHOT_AFTER_START_MS", 0)
    async with machine.running():
        await trio.sleep(0.01)
        assert snapshots(machine) == []
    monkeypatch.setattr(controller_module, "REPLAYED_RECORDS_MAX", 40)
    written = trio.Event()
    write_snapshot = Controller.write_snapshot

    async def write_and_tell(controller: Controller) -> None:
        await write_snapshot(controller)
        written.set()

    monkeypatch.setattr(Controller, "write_snapshot", write_and_tell)
    async with machine.running():
        with trio.fail_after(10):
            await written.wait()
    assert len(snapshots(machine)) == 1


async def test_voters_that_stand_in_the_log_are_kept_in_snapshots() -> None:
    """As `kafka-storage format --standalone` leaves a directory: kraft.version 1, one voter."""
    machine = Machine()
    machine.open()
    me = Voter(ReplicaKey(1, machine.directory_id), (("CONTROLLER", Endpoint("h", 9093)),))
    quorum = quorum_records(VoterSet({1: me}), 1)
    first = SnapshotFile(machine.disk, METADATA, SnapshotId(0, 0), 0)
    for batch in snapshot_batches(
        [], metadata_version=30, epoch=0, last_contained_timestamp_ms=0, control=quorum
    ):
        first.append(batch)
    first.freeze()
    machine.directory.close()
    async with machine.running() as controller:
        await create(controller, "t")
        await controller.write_snapshot()
        state = machine.disk.read_file(f"{METADATA}/quorum-state").decode()
        assert state.endswith('"votedDirectoryId":"AAAAAAAAAAAAAAAAAAAAAA","data_version":1}')
    machine.disk.unlink(f"{METADATA}/{snapshot_name(SnapshotId(0, 0))}")
    loaded = load(machine.reopened_log(), VoterSet.of(ReplicaKey(7)))
    assert loaded.kraft_version == 1
    assert list(loaded.voters) == [me]


async def test_the_quorum_state_is_kept_as_kafka_keeps_it() -> None:
    machine = Machine()
    async with machine.running():
        pass
    text = machine.disk.read_file(f"{METADATA}/quorum-state").decode()
    assert text == (
        '{"clusterId":"","leaderId":1,"leaderEpoch":1,"votedId":-1,"appliedOffset":0,'
        '"currentVoters":[{"voterId":1}],"data_version":0}'
    )
    assert QuorumStateData.MAX_VERSION == 1
