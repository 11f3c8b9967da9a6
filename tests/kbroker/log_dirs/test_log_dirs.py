"""A broker with several log directories: where partitions go, how they move, which may fail."""

from __future__ import annotations

import errno
import os
import random

import pytest
import trio
import trio.testing

from kbroker.node.errors import BrokerStopped, StartupError
from kbroker.node.settings import TopicSpec
from kbroker.storage.checkpoints import (
    RECOVERY_POINT_CHECKPOINT,
    read_meta_properties,
    read_offsets,
)
from kbroker.storage.errors import DiskError
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.find_coordinator import (
    FindCoordinatorRequest,
    FindCoordinatorResponse,
)
from kbroker.wire.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)
from kbroker.wire.messages.init_producer_id import InitProducerIdRequest, InitProducerIdResponse
from kbroker.wire.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
    OffsetCommitResponse,
)
from kbroker.wire.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchResponse,
)
from tests.kbroker.asking import one
from tests.sim.broker import DATA, ConnectionEnded
from tests.sim.disk import PowerLoss

from .rig import OTHER, Admin, TwoDirs, create, delete_before, until_async

CRASH_SEEDS = int(os.environ.get("KBROKER_CRASH_SEEDS", "25"))
RATE = "replica.alter.log.dirs.io.max.bytes.per.second"


def elsewhere(machine: TwoDirs, topic: str, index: int = 0) -> str:
    """The directory that the partition does not lie in."""
    return OTHER if machine.holders(topic, index) == [DATA] else DATA


async def set_rate(admin: Admin, bytes_a_second: int | None) -> None:
    operation = 0 if bytes_a_second is not None else 1
    value = None if bytes_a_second is None else str(bytes_a_second)
    config = AlterableConfig(name=RATE, config_operation=operation, value=value)
    request = IncrementalAlterConfigsRequest(
        resources=[AlterConfigsResource(resource_type=4, resource_name="1", configs=[config])]
    )
    response = await admin.client.call(request, IncrementalAlterConfigsResponse)
    assert response.responses[0].error_code == 0, response.responses[0].error_message


# Where partitions go.


async def test_new_partitions_go_where_the_fewest_are() -> None:
    machine = TwoDirs()
    async with machine.two(TopicSpec("t", 6)):
        for directory in (DATA, OTHER):
            held = [i for i in range(6) if machine.holders("t", i) == [directory]]
            assert len(held) == 3
    metas = [read_meta_properties(machine.disk, each) for each in (DATA, OTHER)]
    assert all(meta is not None for meta in metas)
    assert len({meta.directory_id for meta in metas if meta}) == 2
    assert len({(meta.cluster_id, meta.node_id) for meta in metas if meta}) == 1


@pytest.mark.parametrize("clean", [True, False])
async def test_all_is_where_it_was_after_a_restart(clean: bool) -> None:
    machine = TwoDirs()
    async with machine.two(TopicSpec("t", 4, {"flush.messages": "1"})) as admin:
        for index in range(4):
            assert await admin.produce("t", b"%d" % index, index) is ErrorCode.NONE
        before = [machine.holders("t", index) for index in range(4)]
    if not clean:
        for directory in (DATA, OTHER):
            machine.disk.unlink(f"{directory}/.kafka_cleanshutdown")
    async with machine.two() as admin:
        assert [machine.holders("t", index) for index in range(4)] == before
        for index in range(4):
            assert await admin.leader("t", index) == 1
            assert await admin.values("t", index=index) == [b"%d" % index]
    for directory in (DATA, OTHER):
        assert ".kafka_cleanshutdown" in machine.disk.list_dir(directory)


async def test_a_directory_is_added_at_a_restart() -> None:
    machine = TwoDirs()
    async with machine.broker(TopicSpec("t", 3)) as client:
        await client.produce("t", one(b"x"))
    async with machine.two(TopicSpec("u", 3)) as admin:
        assert [machine.holders("u", i) for i in range(3)] == [[OTHER]] * 3
        assert await admin.values("t") == [b"x"]


async def test_partitions_of_a_directory_that_is_no_longer_there_begin_anew_and_wait() -> None:
    """As on Apache Kafka: the metadata still name the old directory, until the next election."""
    machine = TwoDirs()
    async with machine.two(TopicSpec("t", 2)) as admin:
        for index in range(2):
            await admin.produce("t", b"x", index)
        (lost,) = (i for i in range(2) if machine.holders("t", i) == [OTHER])
    async with machine.broker() as client:
        admin = Admin(client)
        assert await admin.leader("t", lost) == -1
        assert await admin.leader("t", 1 - lost) == 1
        assert await admin.produce("t", b"y", lost) is ErrorCode.NOT_LEADER_OR_FOLLOWER
        assert await admin.values("t", index=1 - lost) == [b"x"]
    machine.disk.remove_tree(f"{DATA}/t-{lost}")
    async with machine.two() as admin:
        assert await admin.values("t", index=lost) == [b"x"]


async def test_a_partition_in_two_directories_is_for_somebody_to_look_at() -> None:
    machine = TwoDirs()
    async with machine.two(TopicSpec("t", 1)):
        other = elsewhere(machine, "t")
    machine.disk.make_dir(f"{other}/t-0")
    with pytest.raises(StartupError, match="t-0 is both in /data and in /other"):
        async with machine.two():
            pass
    machine.disk.remove_tree(f"{other}/t-0")
    async with machine.two() as admin:
        assert await admin.values("t") == []


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"log.dirs": f"{DATA},{OTHER}/../data"}, "twice"),
        ({"metadata.log.dir": "/third"}, "/third .*the directory is empty, and"),
    ],
)
async def test_directories_that_do_not_fit_are_refused(
    settings: dict[str, str], match: str
) -> None:
    machine = TwoDirs()
    async with machine.two():
        pass
    with pytest.raises(StartupError, match=match):
        async with machine.two(settings=settings):
            pass


async def test_the_metadata_log_may_have_a_directory_of_its_own() -> None:
    machine = TwoDirs()
    settings = {"log.dirs": OTHER, "metadata.log.dir": DATA}
    for _ in range(2):
        async with machine.broker(TopicSpec("t", 2), settings=settings) as client:
            assert machine.holders("t") == [OTHER]
            assert (await client.produce("t", one(b"x")))[0] is ErrorCode.NONE
            assert set(await Admin(client).dir_errors()) == {OTHER}
    assert "__cluster_metadata-0" in machine.disk.list_dir(DATA)
    assert "__cluster_metadata-0" not in machine.disk.list_dir(OTHER)


async def test_a_cordoned_directory_takes_nothing_new() -> None:
    machine = TwoDirs()
    async with machine.two(TopicSpec("t", 2), settings={"cordoned.log.dirs": OTHER}) as admin:
        assert [machine.holders("t", i) for i in range(2)] == [[DATA]] * 2
        assert await admin.move(OTHER, "t") is ErrorCode.INVALID_REPLICA_ASSIGNMENT
        assert await admin.move(OTHER, "later") is ErrorCode.INVALID_REPLICA_ASSIGNMENT


async def test_a_partition_is_made_where_it_was_asked_to_be() -> None:
    machine = TwoDirs()
    async with machine.two(TopicSpec("t", 1)) as admin:
        full = machine.holders("t")[0]
        for index in range(3):
            assert await admin.move(full, "u", index) is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    async with machine.two(TopicSpec("u", 3)):
        held = [machine.holders("u", i) for i in range(3)]
        assert [full] in held  # what was asked for does not outlive the broker
    async with machine.two(TopicSpec("t", 1)) as admin:
        for index in range(3):
            assert await admin.move(full, "v", index) is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        await admin.client.call(*create("v", 3))
        assert [machine.holders("v", i) for i in range(3)] == [[full]] * 3


# Moves.


async def test_a_partition_moves_while_it_is_written_and_read() -> None:
    machine = TwoDirs()
    written: list[bytes | None] = []
    async with machine.two(TopicSpec("t", 1, {"internal.segment.bytes": "3000"})) as admin:
        for turn in range(6):
            for i in range(30):
                written.append(b"%d %d" % (turn, i) + bytes(200))
                assert await admin.produce("t", written[-1] or b"") is ErrorCode.NONE
            target = elsewhere(machine, "t")
            assert await admin.move(target, "t") is ErrorCode.NONE
            while machine.holders("t") != [target]:
                written.append(b"meanwhile %d" % len(written))
                assert await admin.produce("t", written[-1] or b"") is ErrorCode.NONE
                assert (await admin.values("t", len(written) - 1)) == written[-1:]
                await trio.sleep(0.001)  # the threads that copy need the interpreter too
            assert await admin.values("t") == written
            await admin.moved(target, "t")
            assert await admin.leader("t") == 1
    async with machine.two() as admin:
        assert await admin.values("t") == written


async def test_a_move_shows_and_can_be_taken_back() -> None:
    machine = TwoDirs()
    async with machine.two(TopicSpec("t", 1)) as admin:
        for i in range(20):
            await admin.produce("t", b"%d" % i + bytes(1000))
        home, target = machine.holders("t")[0], elsewhere(machine, "t")
        await set_rate(admin, 1000)
        assert await admin.move(target, "t") is ErrorCode.NONE
        await until_async(lambda: has_begun(admin, target))
        found = await admin.lies("t")
        assert not found[home].is_future_key
        assert found[home].offset_lag == 0
        assert found[target].is_future_key
        assert 0 < found[target].offset_lag < 20
        assert await admin.move(target, "t") is ErrorCode.NONE  # it goes on
        assert await admin.move(home, "t") is ErrorCode.NONE
        assert list(await admin.lies("t")) == [home]
        assert machine.holders("t", mark="-future") == []
        assert machine.holders("t", mark="-delete") == [target]
        await set_rate(admin, None)
        assert await admin.move(target, "t") is ErrorCode.NONE
        await admin.moved(target, "t")
        assert len(await admin.values("t")) == 20


async def is_called(machine: TwoDirs, call: str, since: int) -> bool:
    return any(line.endswith(call) for line in machine.disk.trace[since:])


async def test_a_copy_is_not_taken_for_what_lay_there_before() -> None:
    """Its directory knows how much of the log was synced that left it: nothing of the copy is."""
    machine = TwoDirs()
    async with machine.two(TopicSpec("t", 1)) as admin:
        for _ in range(20):
            await admin.produce("t", bytes(1000))
        home, other = machine.holders("t")[0], elsewhere(machine, "t")
    checkpoint = f"{home}/{RECOVERY_POINT_CHECKPOINT}"
    assert read_offsets(machine.disk, checkpoint)["t", 0] > 10
    async with machine.two() as admin:
        await admin.move(other, "t")
        await admin.moved(other, "t")
        assert read_offsets(machine.disk, checkpoint)["t", 0] > 10
        await set_rate(admin, 1000)
        await admin.move(home, "t")
        await until_async(lambda: has_begun(admin, home))
        assert read_offsets(machine.disk, checkpoint).get(("t", 0), 0) == 0


@pytest.mark.parametrize("seed", range(6))
async def test_a_move_that_was_taken_back_does_not_come_back_after_a_power_loss(seed: int) -> None:
    machine = TwoDirs(seed)
    home = target = ""
    reached = False

    async def live() -> None:
        nonlocal home, target, reached
        async with machine.two(TopicSpec("t", 1)) as admin:
            for _ in range(20):
                await admin.produce("t", bytes(1000))
            home, target = machine.holders("t")[0], elsewhere(machine, "t")
            await set_rate(admin, 1000)
            await admin.move(target, "t")
            await until_async(lambda: has_begun(admin, target))
            done = len(machine.disk.trace)
            assert await admin.move(home, "t") is ErrorCode.NONE
            await until_async(lambda: is_called(machine, f"fsync_dir {target}", done))
            reached = True
            machine.disk.crash_at = machine.disk.calls + 1
            await admin.client.call(*create("u", 1))

    with pytest.raises((PowerLoss, BaseExceptionGroup)):
        await live()
    assert reached
    machine.disk.power_loss(random.Random(seed))
    machine.disk.crash_at = None
    async with machine.two() as admin:
        assert machine.holders("t", mark="-future") == []
        assert list(await admin.lies("t")) == [home]


async def has_begun(admin: Admin, target: str) -> bool:
    found = (await admin.lies("t")).get(target)
    return found is not None and found.partition_size > 0


async def test_a_topic_may_be_deleted_while_it_moves() -> None:
    machine = TwoDirs()
    async with machine.two(TopicSpec("t", 1)) as admin:
        for _ in range(20):
            await admin.produce("t", bytes(1000))
        await set_rate(admin, 1000)
        await admin.move(elsewhere(machine, "t"), "t")
        await admin.produce("t", bytes(1000))
        assert await admin.delete("t") is ErrorCode.NONE
        assert machine.holders("t") == machine.holders("t", mark="-future") == []
        await admin.client.call(*create("t", 1))
        assert await admin.values("t") == []
        assert await admin.produce("t", b"new") is ErrorCode.NONE


@pytest.mark.parametrize("clean", [True, False])
async def test_a_move_goes_on_after_a_restart(clean: bool) -> None:
    machine = TwoDirs()
    async with machine.two(TopicSpec("t", 1)) as admin:
        for i in range(20):
            await admin.produce("t", b"%d" % i + bytes(1000))
        target = elsewhere(machine, "t")
        await set_rate(admin, 4000)
        await admin.move(target, "t")
        await until_async(lambda: has_begun(admin, target))
        assert machine.holders("t", mark="-future") == [target]
        await set_rate(admin, None) if not clean else None
    if not clean:
        for directory in (DATA, OTHER):
            machine.disk.unlink(f"{directory}/.kafka_cleanshutdown")
    async with machine.two() as admin:
        await set_rate(admin, None)
        await admin.moved(target, "t")
        assert len(await admin.values("t")) == 20
        assert machine.holders("t", mark="-future") == []


async def test_deleted_records_stay_deleted_over_a_move() -> None:
    machine = TwoDirs()
    async with machine.two(TopicSpec("t", 1, {"internal.segment.bytes": "3000"})) as admin:
        for i in range(30):
            await admin.produce("t", b"%d" % i + bytes(300))
        home, target = machine.holders("t")[0], elsewhere(machine, "t")
        await delete_before(admin, 5)
        await set_rate(admin, 2000)
        await admin.move(target, "t")
        await until_async(lambda: has_begun(admin, target))
        await delete_before(admin, 7)
        await delete_before(admin, 22)
        await set_rate(admin, None)
        await admin.moved(target, "t")
        assert await admin.start_offset("t") == 22
        assert len(await admin.values("t", 22)) == 8
        assert machine.holders("t", mark="-delete") == [home]
    async with machine.two() as admin:
        assert await admin.start_offset("t") == 22


async def test_a_producer_goes_on_over_a_move_and_its_duplicates_are_known() -> None:
    machine = TwoDirs()
    async with machine.two(TopicSpec("t", 1)) as admin:
        given = await admin.client.call(
            InitProducerIdRequest(transactional_id=None), InitProducerIdResponse, 5
        )
        producer = (given.producer_id, given.producer_epoch)
        for i in range(5):
            await admin.client.produce("t", one(b"%d" % i, (*producer, i)))
        await delete_before(admin, 5)  # nothing is left of it but what is known of the producer
        target = elsewhere(machine, "t")
        await admin.move(target, "t")
        await admin.moved(target, "t")
        again = await admin.client.produce("t", one(b"4", (*producer, 4)))
        assert again == (ErrorCode.NONE, 4)
        gap = await admin.client.produce("t", one(b"7", (*producer, 7)))
        assert gap[0] is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
        assert await admin.client.produce("t", one(b"5", (*producer, 5))) == (ErrorCode.NONE, 5)


async def test_a_move_waits_for_room_and_then_goes_on() -> None:
    machine = TwoDirs()
    settings = {"replica.fetch.backoff.ms": "10"}
    async with machine.two(TopicSpec("t", 1), settings=settings) as admin:
        for i in range(30):
            await admin.produce("t", b"%d" % i + bytes(2000))
        home, target = machine.holders("t")[0], elsewhere(machine, "t")
        machine.disk.limit(target, machine.disk.used(target) + 30_000)
        await admin.move(target, "t")
        await until_async(lambda: has_no_room(machine, target))
        assert await admin.produce("t", b"the old one serves") is ErrorCode.NONE
        assert not (await admin.lies("t"))[home].is_future_key
        machine.disk.limit(target, None)
        await admin.moved(target, "t")
        assert len(await admin.values("t")) == 31


@pytest.mark.parametrize("seed", range(CRASH_SEEDS))
async def test_a_power_loss_in_a_move_takes_nothing_that_was_acknowledged(seed: int) -> None:
    """Whenever it comes: each record is there, once, in order, and the partition in one place."""
    machine = TwoDirs(seed)
    rng = random.Random(seed)
    acknowledged: list[bytes] = []
    spec = TopicSpec("t", 1, {"flush.messages": "1", "internal.segment.bytes": "2000"})
    for life in range(4):
        ends: list[BaseException] = []
        try:
            async with machine.two(spec) as admin:
                found = await admin.values("t")
                assert found[: len(acknowledged)] == acknowledged
                acknowledged = [each or b"" for each in found]
                for number in range(60):
                    if number == (life == 0):  # one record there is in any case
                        machine.disk.crash_at = machine.disk.calls + rng.randrange(5, 160)
                    value = b"%d" % len(acknowledged) + bytes(rng.randrange(300))
                    code, offset = await admin.client.produce("t", one(value))
                    if code is not ErrorCode.NONE and machine.disk.has_no_power:
                        break
                    assert (code, offset) == (ErrorCode.NONE, len(acknowledged))
                    acknowledged.append(value)
                    if number % 10 == 3:
                        await admin.move(rng.choice((DATA, OTHER)), "t")
        except* (PowerLoss, ConnectionEnded, StartupError, BrokerStopped) as ended:
            ends.append(ended)
        assert machine.disk.has_no_power, ends
        machine.disk.power_loss(rng)
    async with machine.two() as admin:
        found = await admin.values("t")
        assert acknowledged
        assert found[: len(acknowledged)] == acknowledged
        assert len(found) <= len(acknowledged) + 1
        await until_async(lambda: is_settled(machine, admin))


async def is_settled(machine: TwoDirs, admin: Admin) -> bool:
    assert len(machine.holders("t")) <= 1
    return len(await admin.lies("t")) == 1 and machine.holders("t", mark="-future") == []


# Directories that fail.


async def test_a_directory_that_fails_takes_its_partitions_and_no_other() -> None:
    machine = TwoDirs()
    async with machine.two(TopicSpec("t", 4)) as admin:
        for index in range(4):
            await admin.produce("t", b"%d" % index, index)
        gone = [i for i in range(4) if machine.holders("t", i) == [OTHER]]
        kept = [i for i in range(4) if i not in gone]
        machine.disk.break_down(OTHER)
        assert await admin.produce("t", b"x", gone[0]) is ErrorCode.KAFKA_STORAGE_ERROR
        await until_async(lambda: is_leaderless(admin, gone))
        for index in gone:
            assert await admin.produce("t", b"x", index) is ErrorCode.KAFKA_STORAGE_ERROR
            found = await admin.partition("t", index)
            assert found.error_code == ErrorCode.LEADER_NOT_AVAILABLE
            assert (found.leader_id, found.offline_replicas) == (-1, [1])
        for index in kept:
            assert await admin.produce("t", b"x", index) is ErrorCode.NONE
            assert (await admin.partition("t", index)).offline_replicas == []
        assert await admin.dir_errors() == {
            DATA: ErrorCode.NONE,
            OTHER: ErrorCode.KAFKA_STORAGE_ERROR,
        }
        assert await admin.move(OTHER, "t", kept[0]) is ErrorCode.KAFKA_STORAGE_ERROR
        assert await admin.move(DATA, "t", gone[0]) is ErrorCode.KAFKA_STORAGE_ERROR
        await admin.client.call(*create("u", 3))
        assert await admin.produce("u", b"x", 2) is ErrorCode.NONE
    async with machine.two() as admin:  # still broken
        assert await admin.leader("t", gone[0]) == -1
        assert await admin.produce("t", b"x", gone[0]) is ErrorCode.NOT_LEADER_OR_FOLLOWER
        assert await admin.move(DATA, "t", gone[0]) is ErrorCode.REPLICA_NOT_AVAILABLE
        assert await admin.values("t", index=kept[0]) == [b"%d" % kept[0], b"x"]
    machine.disk.mend(OTHER)
    async with machine.two() as admin:
        for index in gone:
            assert await admin.values("t", index=index) == [b"%d" % index]
            assert await admin.produce("t", b"y", index) is ErrorCode.NONE


async def is_leaderless(admin: Admin, indexes: list[int]) -> bool:
    return all([await admin.leader("t", index) == -1 for index in indexes])


async def test_a_directory_that_vanishes_is_noticed_without_a_write() -> None:
    machine = TwoDirs()
    settings = {"replica.high.watermark.checkpoint.interval.ms": "20"}
    async with machine.two(TopicSpec("t", 2), settings=settings) as admin:
        gone = [i for i in range(2) if machine.holders("t", i) == [OTHER]]
        machine.disk.break_down(OTHER, errno.ENOENT)
        await until_async(lambda: is_leaderless(admin, gone))


@pytest.mark.parametrize("error", [errno.EIO, errno.EROFS])
async def test_a_move_into_a_directory_that_fails_is_over(
    error: int, caplog: pytest.LogCaptureFixture
) -> None:
    machine = TwoDirs()
    async with machine.two(TopicSpec("t", 1)) as admin:
        if machine.holders("t") == [OTHER]:
            await admin.move(DATA, "t")
            await admin.moved(DATA, "t")
        for _ in range(20):
            await admin.produce("t", bytes(1000))
        await set_rate(admin, 1000)
        await admin.move(OTHER, "t")
        machine.disk.break_down(OTHER, error)
        await set_rate(admin, None)
        await until_async(lambda: is_home(admin))
        # DescribeLogDirs looks for itself, and may find it failed before the broker does.
        await until_async(lambda: is_logged(f"log directory {OTHER} is offline", caplog))
        assert await admin.produce("t", b"x") is ErrorCode.NONE
        assert len(await admin.values("t")) == 21
    machine.disk.mend(OTHER)
    async with machine.two() as admin:
        assert len(await admin.values("t")) == 21


async def is_logged(text: str, caplog: pytest.LogCaptureFixture) -> bool:
    return text in caplog.text


async def is_home(admin: Admin) -> bool:
    errors = await admin.dir_errors()
    return errors[OTHER] is ErrorCode.KAFKA_STORAGE_ERROR and list(await admin.lies("t")) == [DATA]


async def test_without_the_metadata_logs_directory_the_broker_ends_with_a_sentence() -> None:
    machine = TwoDirs()

    async def live() -> None:
        async with machine.two(TopicSpec("t", 2)) as admin:
            index = 0 if machine.holders("t", 0) == [DATA] else 1
            machine.disk.break_down(DATA)
            await admin.produce("t", b"x", index)
            await trio.sleep(5)

    # Who notices it first: the watch of directories, or the quorum, which writes there.
    with pytest.raises(BrokerStopped, match=r"metadata log|__cluster_metadata-0"):
        await live()


async def test_without_any_directory_the_broker_ends_with_a_sentence() -> None:
    machine = TwoDirs()
    settings = {"log.dirs": OTHER, "metadata.log.dir": DATA}

    async def live() -> None:
        async with machine.broker(TopicSpec("t", 1), settings=settings) as client:
            machine.disk.break_down(OTHER)
            await client.produce("t", one(b"x"))
            await trio.sleep(5)

    with pytest.raises(BrokerStopped, match="no other log directory is left"):
        await live()


async def test_a_failed_directory_the_controller_cannot_be_told_of_ends_the_broker() -> None:
    machine = TwoDirs()
    settings = {"log.dir.failure.timeout.ms": "50", "broker.heartbeat.interval.ms": "20"}

    async def live() -> None:
        async with machine.two(TopicSpec("t", 2), settings=settings) as admin:
            index = 0 if machine.holders("t", 0) == [OTHER] else 1
            machine.disk.break_down(OTHER)
            machine.disk.limit(f"{DATA}/__cluster_metadata-0", 0)
            await admin.produce("t", b"x", index)
            await trio.sleep(5)

    with pytest.raises(BrokerStopped):
        await live()


@pytest.mark.parametrize("index", [0, 1])
async def test_a_partition_whose_directory_is_removed_is_gone_alone(index: int) -> None:
    """Somebody removes it under the running broker: nothing else suffers, and it can be deleted."""
    machine = TwoDirs()
    spec = TopicSpec("t", 2, {"internal.segment.bytes": "2000"})
    async with machine.two(spec, TopicSpec("u", 2)) as admin:
        await admin.produce("t", bytes(100), index)
        machine.disk.remove_tree(f"{machine.holders('t', index)[0]}/t-{index}")
        codes = [await admin.produce("t", bytes(1000), index) for _ in range(4)]
        assert codes[-1] is ErrorCode.KAFKA_STORAGE_ERROR  # when the next segment begins
        for other in range(2):
            assert await admin.produce("u", b"x", other) is ErrorCode.NONE
        assert await admin.produce("t", b"x", 1 - index) is ErrorCode.NONE
        assert set((await admin.dir_errors()).values()) == {ErrorCode.NONE}
        assert await admin.delete("t") is ErrorCode.NONE
        await admin.client.call(*create("t", 2))
        assert await admin.produce("t", b"x", index) is ErrorCode.NONE


# Full disks.


async def test_a_full_directory_refuses_its_own_partitions_until_there_is_room() -> None:
    machine = TwoDirs()
    written: dict[int, list[bytes | None]] = {0: [], 1: []}
    async with machine.two(TopicSpec("t", 2, {"internal.segment.bytes": "4000"})) as admin:
        full = 0 if machine.holders("t", 0) == [OTHER] else 1
        machine.disk.limit(OTHER, machine.disk.used(OTHER) + 20_000)
        refused = 0
        for i in range(40):
            for index, values in written.items():
                value = b"%d" % i + bytes(1000)
                code = await admin.produce("t", value, index)
                if code is ErrorCode.NONE:
                    values.append(value)
                else:
                    assert (code, index) == (ErrorCode.KAFKA_STORAGE_ERROR, full)
                    refused += 1
        assert 5 < refused < 40
        assert set((await admin.dir_errors()).values()) == {ErrorCode.NONE}
        for index, values in written.items():
            assert await admin.values("t", index=index) == values
        machine.disk.limit(OTHER, None)
        assert await admin.produce("t", b"room", full) is ErrorCode.NONE
        written[full].append(b"room")
    async with machine.two() as admin:
        for index, values in written.items():
            assert await admin.values("t", index=index) == values


async def test_a_full_metadata_log_refuses_changes_until_there_is_room() -> None:
    """And everything else is served; snapshots wait too."""
    machine = TwoDirs()
    settings = {"metadata.log.max.snapshot.interval.ms": "10"}
    async with machine.two(TopicSpec("t", 2), settings=settings) as admin:
        here = 0 if machine.holders("t", 0) == [OTHER] else 1
        for name in ("u", "v", "w"):
            machine.disk.limit(DATA, machine.disk.used(DATA))
            for _ in range(3):
                response = await admin.client.call(*create(name, 1))
                assert response.topics[0].error_code == ErrorCode.KAFKA_STORAGE_ERROR
            assert await admin.produce("t", b"x", here) is ErrorCode.NONE
            await trio.sleep(0.03)
            machine.disk.limit(DATA, None)
            response = await admin.client.call(*create(name, 1))
            assert response.topics[0].error_code == ErrorCode.NONE
            assert await admin.produce(name, b"x") is ErrorCode.NONE
    async with machine.two() as admin:
        for name in ("u", "v", "w"):
            assert await admin.values(name) == [b"x"]


@pytest.mark.parametrize(
    ("operation", "error"), [("append", errno.ENOSPC), ("create", errno.EMFILE)]
)
async def test_a_metadata_log_that_cannot_be_synced_for_want_of_room_waits(
    autojump_clock: trio.testing.MockClock, operation: str, error: int
) -> None:
    machine = TwoDirs()
    for _ in range(3):
        machine.disk.fail_next(operation, error, "__cluster_metadata-0/leader-epoch-checkpoint")
    began_s = trio.current_time()
    async with machine.two(TopicSpec("t", 1)) as admin:
        assert trio.current_time() - began_s >= 3
        assert await admin.produce("t", b"x") is ErrorCode.NONE
    machine.disk.power_loss(random.Random(1))
    async with machine.two() as admin:
        assert await admin.values("t") == [b"x"]


async def test_commits_on_a_full_disk_are_refused_and_none_is_lost() -> None:
    machine = TwoDirs()
    async with machine.two(TopicSpec("t", 1), settings={"offsets.topic.num.partitions": "1"}) as it:
        await it.client.call(
            FindCoordinatorRequest(key_type=0, coordinator_keys=["g"]), FindCoordinatorResponse, 4
        )
        assert await commit(it, 1) is ErrorCode.NONE
        (home,) = machine.holders("__consumer_offsets")
        machine.disk.limit(home, machine.disk.used(home))
        assert await commit(it, 2) is ErrorCode.NOT_COORDINATOR
        assert await committed(it) == 1
        machine.disk.limit(home, None)
        assert await commit(it, 3) is ErrorCode.NONE
        target = DATA if home == OTHER else OTHER
        assert await it.move(target, "__consumer_offsets") is ErrorCode.NONE
        await it.moved(target, "__consumer_offsets")
        assert await commit(it, 4) is ErrorCode.NONE
    async with machine.two() as it:
        assert await committed(it) == 4


async def commit(admin: Admin, offset: int) -> ErrorCode:
    partition = OffsetCommitRequestPartition(partition_index=0, committed_offset=offset)
    request = OffsetCommitRequest(
        group_id="g",
        generation_id_or_member_epoch=-1,
        topics=[OffsetCommitRequestTopic(name="t", partitions=[partition])],
    )
    response = await admin.client.call(request, OffsetCommitResponse, 9)
    return ErrorCode(response.topics[0].partitions[0].error_code)


async def committed(admin: Admin) -> int:
    request = OffsetFetchRequest(groups=[OffsetFetchRequestGroup(group_id="g", topics=None)])
    response = await admin.client.call(request, OffsetFetchResponse, 9)
    return response.groups[0].topics[0].partitions[0].committed_offset


async def test_checkpoints_on_a_full_disk_are_written_when_there_is_room() -> None:
    machine = TwoDirs()
    settings = {
        "log.flush.offset.checkpoint.interval.ms": "10",
        "replica.high.watermark.checkpoint.interval.ms": "10",
    }
    async with machine.two(TopicSpec("t", 1), settings=settings) as admin:
        (home,) = machine.holders("t")
        for i in range(10):
            await admin.produce("t", b"%d" % i)
        machine.disk.limit(home, machine.disk.used(home))
        await delete_before(admin, 5)
        checkpoint = f"{home}/log-start-offset-checkpoint"

        async def is_written() -> bool:
            disk = machine.disk
            return disk.exists(checkpoint) and disk.read_file(checkpoint) == b"0\n1\nt 0 5\n"

        await until_async(lambda: has_no_room(machine, checkpoint))
        assert set((await admin.dir_errors()).values()) == {ErrorCode.NONE}
        machine.disk.limit(home, None)
        await until_async(is_written)


async def has_no_room(machine: TwoDirs, path: str) -> bool:
    """Something was to be written there, and did not fit."""
    return any(each.startswith(path) for each in machine.disk.refused)


async def test_a_partition_made_on_a_full_disk_is_there_when_there_is_room() -> None:
    machine = TwoDirs()
    async with machine.two(TopicSpec("t", 2)) as admin:
        machine.disk.limit(OTHER, machine.disk.used(OTHER))
        await admin.client.call(*create("u", 2))
        (waiting,) = (i for i in range(2) if machine.holders("u", i) == [OTHER])
        assert await admin.produce("u", b"x", waiting) is ErrorCode.KAFKA_STORAGE_ERROR
        assert await admin.produce("u", b"x", 1 - waiting) is ErrorCode.NONE
        machine.disk.limit(OTHER, None)
        await until_async(lambda: is_there(admin, waiting))
        assert await admin.values("u", index=waiting) == [b"y"]
    async with machine.two() as admin:
        assert await admin.values("u", index=waiting) == [b"y"]


async def is_there(admin: Admin, index: int) -> bool:
    return await admin.produce("u", b"y", index) is ErrorCode.NONE


async def test_a_move_out_of_a_directory_that_fails_goes_on_when_it_is_mended() -> None:
    machine = TwoDirs()
    async with machine.two(TopicSpec("t", 1)) as admin:
        if machine.holders("t") == [DATA]:
            await admin.move(OTHER, "t")
            await admin.moved(OTHER, "t")
        for i in range(20):
            await admin.produce("t", b"%d" % i + bytes(1000))
        await set_rate(admin, 2000)
        await admin.move(DATA, "t")
        await until_async(lambda: has_begun(admin, DATA))
        machine.disk.break_down(OTHER)
        await admin.produce("t", b"x")
        await until_async(lambda: is_leaderless(admin, [0]))
        assert await admin.produce("t", b"x") is ErrorCode.KAFKA_STORAGE_ERROR
    async with machine.two() as admin:
        assert await admin.produce("t", b"x") is ErrorCode.NOT_LEADER_OR_FOLLOWER
        assert [each for each in machine.disk.list_dir(DATA) if each.endswith("-future")]
    machine.disk.mend(OTHER)
    async with machine.two() as admin:
        await set_rate(admin, None)
        await admin.moved(DATA, "t")
        assert len(await admin.values("t")) == 20


async def test_a_move_whose_last_step_fails_is_completed_at_the_next_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine = TwoDirs()
    rename = machine.disk.rename

    def fail(old: str, new: str) -> None:
        if new == f"{target}/t-0":
            raise DiskError(old, "it cannot be renamed")
        rename(old, new)

    async with machine.two(TopicSpec("t", 1)) as admin:
        for i in range(20):
            await admin.produce("t", b"%d" % i)
        target = elsewhere(machine, "t")
        monkeypatch.setattr(machine.disk, "rename", fail)
        await admin.move(target, "t")
        await until_async(lambda: is_refused(admin))
        assert machine.holders("t") == []
    monkeypatch.undo()
    async with machine.two() as admin:
        assert machine.holders("t") == [target]
        found = await admin.values("t")
        assert found[:20] == [b"%d" % i for i in range(20)]
        assert set(found[20:]) <= {b""}  # some of those that waited for the refusal
        assert await admin.produce("t", b"y") is ErrorCode.NONE


async def is_refused(admin: Admin) -> bool:
    return await admin.produce("t", b"") is ErrorCode.KAFKA_STORAGE_ERROR
