"""A broker as a whole: what is there after a restart, what survives a crash, how it ends."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

import pytest
import trio

from kbroker.apis import apis_of
from kbroker.config import BrokerConfig
from kbroker.node.broker import Broker
from kbroker.node.errors import BrokerStopped, StartupError
from kbroker.node.settings import BrokerSettings, TopicSpec
from kbroker.releases.release import DEFAULT, RELEASES
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from kbroker.wire.messages.delete_topics import (
    DeleteTopicsRequest,
    DeleteTopicsResponse,
    DeleteTopicState,
)
from kbroker.wire.messages.fetch import FetchPartition, FetchRequest, FetchResponse, FetchTopic
from kbroker.wire.messages.find_coordinator import (
    FindCoordinatorRequest,
    FindCoordinatorResponse,
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
from tests.kbroker.asking import metadata, metadata_end, one, values
from tests.sim.broker import DATA, Client, ConnectionEnded, Machine
from tests.sim.disk import PowerLoss

if TYPE_CHECKING:
    from pathlib import Path

    from kbroker.releases.release import Release

CRASH_SEEDS = int(os.environ.get("KBROKER_CRASH_SEEDS", "25"))


@pytest.mark.parametrize("release", RELEASES.values(), ids=str)
def test_every_api_is_served_at_the_versions_of_the_release(release: Release) -> None:
    apis = apis_of(release)
    assert len(apis) > 40
    for api in apis:
        assert (api.min_version, api.max_version) == release.api_versions(api.key), api.name
        assert api.advertised_min_version in (api.min_version, 0)


async def test_what_is_advertised_is_the_api_table() -> None:
    async with Machine().broker() as client:
        response = await client.call(
            ApiVersionsRequest(client_software_name="t", client_software_version="1"),
            ApiVersionsResponse,
        )
    assert [(a.api_key, a.min_version, a.max_version) for a in response.api_keys] == [
        (a.key, a.advertised_min_version, a.max_version)
        for a in apis_of(DEFAULT)
        if a.is_advertised
    ]
    assert {f.name for f in response.finalized_features} >= {"metadata.version", "group.version"}


async def test_records_topics_and_ids_are_there_after_a_restart() -> None:
    machine = Machine()
    async with machine.broker(TopicSpec("t", 2, {"retention.ms": "-1"})) as client:
        for i in range(20):
            assert await client.produce("t", one(b"%d" % i)) == (ErrorCode.NONE, i)
        before = await metadata(client, "t")
    async with machine.broker() as client:
        after = await metadata(client, "t")
        assert await values(client, "t") == [b"%d" % i for i in range(20)]
        assert await client.produce("t", one(b"20")) == (ErrorCode.NONE, 20)
    assert before.cluster_id == after.cluster_id
    assert before.topics[0].topic_id == after.topics[0].topic_id
    assert [p.partition_index for p in after.topics[0].partitions] == [0, 1]


async def test_a_clean_stop_is_not_taken_for_a_crash() -> None:
    """After a crash every partition has one more change: this broker may not lead unasked."""
    machine = Machine()
    partitions = 50
    ends = []
    async with machine.broker(TopicSpec("t", partitions)) as client:
        ends.append(await metadata_end(client))
    for _ in range(2):
        async with machine.broker() as client:
            ends.append(await metadata_end(client))
    assert ends[1] - ends[0] < 3 * partitions  # one to resign and one to lead, for each
    assert ends[2] - ends[1] < 3 * partitions


async def test_a_topic_is_there_as_soon_as_it_is_said_to_be() -> None:
    async with Machine().broker() as client:
        response = await metadata(client, "auto", create=True)
        assert response.topics[0].error_code == 0
        assert response.topics[0].partitions[0].leader_id == response.brokers[0].node_id
        assert await client.produce("auto", one(b"x")) == (ErrorCode.NONE, 0)


async def test_a_topic_deleted_and_made_again_is_empty() -> None:
    machine = Machine()
    async with machine.broker(TopicSpec("t", 1)) as client:
        await client.produce("t", one(b"old"))
        response = await client.call(
            DeleteTopicsRequest(topics=[DeleteTopicState(name="t")], timeout_ms=1000),
            DeleteTopicsResponse,
        )
        assert response.responses[0].error_code == 0
        assert (await client.produce("t", one(b"x")))[0] is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        await metadata(client, "t", create=True)
        assert await client.produce("t", one(b"new")) == (ErrorCode.NONE, 0)
    async with machine.broker() as client:
        assert await values(client, "t") == [b"new"]


async def test_committed_offsets_are_there_after_a_restart() -> None:
    machine = Machine()
    async with machine.broker(TopicSpec("t", 1)) as client:
        await find_coordinator(client)
        commit = OffsetCommitRequest(
            group_id="g",
            generation_id_or_member_epoch=-1,
            topics=[
                OffsetCommitRequestTopic(
                    name="t",
                    partitions=[
                        OffsetCommitRequestPartition(
                            partition_index=0,
                            committed_offset=42,
                            committed_leader_epoch=0,
                            committed_metadata="note",
                        )
                    ],
                )
            ],
        )
        response = await client.call(commit, OffsetCommitResponse, 9)
        assert response.topics[0].partitions[0].error_code == 0
    async with machine.broker() as client:
        fetched = await client.call(
            OffsetFetchRequest(groups=[OffsetFetchRequestGroup(group_id="g", topics=None)]),
            OffsetFetchResponse,
            9,
        )
    partition = fetched.groups[0].topics[0].partitions[0]
    assert (partition.committed_offset, partition.metadata, partition.committed_leader_epoch) == (
        42,
        "note",
        0,
    )


async def init_producer(client: Client) -> InitProducerIdResponse:
    request = InitProducerIdRequest(transactional_id=None)
    return await client.call(request, InitProducerIdResponse, 5)


async def find_coordinator(client: Client) -> None:
    response = await client.call(
        FindCoordinatorRequest(key_type=0, coordinator_keys=["g"]), FindCoordinatorResponse
    )
    assert response.coordinators[0].error_code == 0


@pytest.mark.parametrize("clean", [True, False], ids=["stopped", "killed"])
async def test_an_idempotent_producer_goes_on_after_a_restart(clean: bool) -> None:
    machine = Machine()
    async with machine.broker(TopicSpec("t", 1)) as client:
        given = await client.call(
            InitProducerIdRequest(transactional_id=None), InitProducerIdResponse, 5
        )
        producer = (given.producer_id, given.producer_epoch)
        for i in range(3):
            await client.produce("t", one(b"%d" % i, (*producer, i)))
        if not clean:
            with trio.CancelScope() as killed:
                killed.cancel()
                await trio.lowlevel.checkpoint()
    async with machine.broker() as client:
        assert await client.produce("t", one(b"2", (*producer, 2))) == (ErrorCode.NONE, 2)
        assert await client.produce("t", one(b"3", (*producer, 3))) == (ErrorCode.NONE, 3)
        gap = await client.produce("t", one(b"5", (*producer, 5)))
        assert gap[0] is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
        again = await client.call(
            InitProducerIdRequest(transactional_id=None), InitProducerIdResponse, 5
        )
        assert again.producer_id != given.producer_id
        assert await values(client, "t") == [b"0", b"1", b"2", b"3"]


@pytest.mark.parametrize("seed", range(CRASH_SEEDS))
async def test_a_power_loss_takes_nothing_that_was_acknowledged(seed: int) -> None:
    """With flush.messages=1 every acknowledged record is there, once, in order, after any crash."""
    machine = Machine(seed)
    rng = random.Random(seed)
    acknowledged: list[bytes] = []
    producer: tuple[int, int] | None = None
    spec = TopicSpec("t", 1, {"flush.messages": "1", "internal.segment.bytes": "2000"})
    for life in range(3):
        ends: list[BaseException] = []
        try:
            async with machine.broker(spec) as client:
                if producer is None:
                    given = await client.call(
                        InitProducerIdRequest(transactional_id=None), InitProducerIdResponse, 5
                    )
                    producer = (given.producer_id, given.producer_epoch)
                for number in range(40):
                    if number == (life == 0):  # one record there is in any case
                        machine.disk.crash_at = machine.disk.calls + rng.randrange(5, 120)
                    sequence = len(acknowledged)
                    value = b"%d" % sequence
                    code, offset = await client.produce("t", one(value, (*producer, sequence)))
                    if code is not ErrorCode.NONE and machine.disk.has_no_power:
                        break
                    assert (code, offset) == (ErrorCode.NONE, sequence)
                    acknowledged.append(value)
        except* (PowerLoss, ConnectionEnded, StartupError) as ended:
            ends.append(ended)
        assert machine.disk.has_no_power, ends
        machine.disk.power_loss(rng)
    async with machine.broker() as client:
        found = await values(client, "t")
    assert acknowledged
    assert found[: len(acknowledged)] == acknowledged
    assert len(found) <= len(acknowledged) + 1


async def test_a_log_that_cannot_be_opened_takes_only_its_partition_away() -> None:
    machine = Machine()
    async with machine.broker(TopicSpec("t", 2)):
        pass
    for _ in range(5):  # it is tried again whenever the partition's state changes
        machine.disk.fail_next("list_dir", path_part="/t-0")
    async with machine.broker() as client:
        assert (await client.produce("t", one(b"x")))[0] is ErrorCode.KAFKA_STORAGE_ERROR
        assert await client.produce("t", one(b"x"), index=1) == (ErrorCode.NONE, 0)


async def test_a_taken_address_is_one_sentence(tmp_path: Path) -> None:
    config = BrokerConfig({"listeners": "PLAINTEXT://127.0.0.1:0"})
    async with Broker(BrokerSettings(config=config, data_dir=str(tmp_path / "a"))) as broker:
        taken = BrokerConfig({"listeners": f"PLAINTEXT://127.0.0.1:{broker.addresses[0][1]}"})
        with pytest.raises(StartupError, match=r"cannot listen on 127\.0\.0\.1"):
            async with Broker(BrokerSettings(config=taken, data_dir=str(tmp_path / "b"))):
                pass
        again = BrokerConfig({"listeners": "PLAINTEXT://127.0.0.1:0"})
        with pytest.raises(StartupError, match="in use by another process"):
            async with Broker(BrokerSettings(config=again, data_dir=str(tmp_path / "a"))):
                pass


async def test_a_foreign_directory_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    config = BrokerConfig({"listeners": "PLAINTEXT://127.0.0.1:0"})
    with pytest.raises(StartupError, match=r"thesis\.txt"):
        async with Broker(BrokerSettings(config=config, data_dir=str(tmp_path))):
            pass
    assert sorted(os.listdir(tmp_path)) == ["thesis.txt"]


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("at", [0, 100, 400])
async def test_a_damaged_metadata_log_ends_the_start_and_nothing_is_lost(
    at: int, times: int
) -> None:
    """With an empty one in its place every partition would look like somebody else's."""
    machine = Machine()
    async with machine.broker(TopicSpec("t", 1)) as client:
        await client.produce("t", one(b"x"))
    log = machine.disk.open(f"{DATA}/__cluster_metadata-0/00000000000000000000.log")
    content = log.read_at(0, log.size)
    log.write_at(at, b"damage" * 5)
    for _ in range(times):
        with pytest.raises(StartupError):
            async with machine.broker():
                pass
    assert machine.disk.is_dir(f"{DATA}/t-0")
    log.write_at(0, content)
    async with machine.broker() as client:
        assert await values(client, "t") == [b"x"]


@pytest.mark.parametrize("name", ["meta.properties", "bootstrap.checkpoint"])
async def test_a_start_that_fails_leaves_the_directory_as_it_was(name: str) -> None:
    machine = Machine()
    async with machine.broker(TopicSpec("t", 1)):
        pass
    content = machine.disk.read_file(f"{DATA}/{name}")
    machine.disk.write_file_atomic(f"{DATA}/{name}", b"garbage")
    before = machine.disk.list_dir(DATA)
    with pytest.raises(StartupError, match=name):
        async with machine.broker():
            pass
    assert machine.disk.list_dir(DATA) == before
    machine.disk.write_file_atomic(f"{DATA}/{name}", content)
    async with machine.broker():
        pass


async def test_a_broker_whose_metadata_log_fails_stops_with_one_sentence() -> None:
    machine = Machine()

    async def live() -> None:
        async with machine.broker() as client:
            machine.disk.fail_next("fsync", path_part="__cluster_metadata-0")
            await metadata(client, "t", create=True)

    with pytest.raises(BrokerStopped, match="__cluster_metadata-0"):
        await live()


async def test_a_stop_that_cannot_sync_a_log_says_so() -> None:
    machine = Machine()

    async def live() -> None:
        async with machine.broker(TopicSpec("t", 1)) as client:
            await client.produce("t", one(b"x"))
            machine.disk.fail_next("fsync", path_part="/t-0/")

    with pytest.raises(BrokerStopped, match="t-0"):
        await live()
    assert ".kafka_cleanshutdown" not in machine.disk.list_dir(DATA)


async def test_a_full_disk_refuses_producers_and_serves_readers_until_there_is_room(
    caplog: pytest.LogCaptureFixture,
) -> None:
    machine = Machine()
    acknowledged: list[bytes | None] = []
    async with machine.broker(TopicSpec("t", 1, {"internal.segment.bytes": "5000"})) as client:
        machine.disk.capacity = machine.disk.used() + 30_000
        for i in range(60):
            value = b"%d" % i + bytes(1000)
            code, _ = await client.produce("t", one(value))
            if code is ErrorCode.NONE:
                acknowledged.append(value)
            else:
                assert code is ErrorCode.KAFKA_STORAGE_ERROR
        assert 5 < len(acknowledged) < 60
        assert len([r for r in caplog.records if "No space left" in r.message]) == 1
        assert await values(client, "t") == acknowledged
        machine.disk.capacity = None
        offset = len(acknowledged)
        assert await client.produce("t", one(b"room")) == (ErrorCode.NONE, offset)
        acknowledged.append(b"room")
        assert await values(client, "t") == acknowledged
    async with machine.broker() as client:
        assert await values(client, "t") == acknowledged


async def test_a_failed_sync_acknowledges_nothing() -> None:
    """flush.messages=1: who waits for the disk is told, and nobody is served from then on."""
    machine = Machine()
    async with machine.broker(TopicSpec("t", 1, {"flush.messages": "1"})) as client:
        assert await client.produce("t", one(b"0")) == (ErrorCode.NONE, 0)
        machine.disk.fail_next("fsync", path_part="/t-0/")
        for _ in range(2):
            code, offset = await client.produce("t", one(b"1"))
            assert (code, offset) == (ErrorCode.KAFKA_STORAGE_ERROR, -1)
        assert (await metadata(client, "t")).topics[0].error_code == 0
        client.stream.transport.close()
    async with machine.broker() as client:
        found = await values(client, "t")
        assert found in ([b"0"], [b"0", b"1"])
        assert await client.produce("t", one(b"2")) == (ErrorCode.NONE, len(found))


async def test_a_partition_that_cannot_be_opened_is_left_where_it_is() -> None:
    """It is not a stray: whoever mends it finds it, and all that was in it."""
    machine = Machine()
    async with machine.broker(TopicSpec("t", 2)) as client:
        await client.produce("t", one(b"x"))
    path = f"{DATA}/t-0/partition.metadata"
    content = machine.disk.read_file(path)
    machine.disk.write_file_atomic(path, b"garbage")
    async with machine.broker() as client:
        assert (await client.produce("t", one(b"y")))[0] is ErrorCode.KAFKA_STORAGE_ERROR
        assert await client.produce("t", one(b"y"), index=1) == (ErrorCode.NONE, 0)
    machine.disk.write_file_atomic(path, content)
    async with machine.broker() as client:
        assert await values(client, "t") == [b"x"]


async def test_a_long_poll_is_answered_when_the_broker_stops(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """And not cut off at the end of the time that requests in flight are given."""
    machine = Machine()
    responses: list[FetchResponse] = []

    async def poll(client: Client) -> None:
        request = FetchRequest(
            max_wait_ms=60_000,
            min_bytes=1,
            max_bytes=1000,
            topics=[FetchTopic(topic="t", partitions=[FetchPartition(partition_max_bytes=1000)])],
        )
        responses.append(await client.call(request, FetchResponse, 12))

    async with trio.open_nursery() as nursery, machine.broker(TopicSpec("t", 1)) as client:
        nursery.start_soon(poll, client)
        await trio.sleep(1)
    assert responses[0].responses[0].partitions[0].error_code == 0


async def test_another_nodes_directory_is_refused() -> None:
    machine = Machine()
    async with machine.broker():
        pass
    with pytest.raises(StartupError, match="node"):
        async with machine.broker(settings={"node.id": "7"}):
            pass


async def test_a_temporary_directory_is_gone_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import stat

    monkeypatch.setenv("TMPDIR", str(tmp_path))  # other brokers have theirs elsewhere
    config = BrokerConfig({"listeners": "PLAINTEXT://127.0.0.1:0"})
    async with Broker(BrokerSettings(config=config)):
        (name,) = os.listdir(tmp_path)
        assert name.startswith("kbroker-")
        mode = os.stat(f"{tmp_path}/{name}").st_mode
        assert stat.S_IMODE(mode) == 0o700  # nobody else's business
    assert not os.listdir(tmp_path)


async def test_brokers_of_one_process_know_nothing_of_each_other() -> None:
    first, second = Machine(1), Machine(2)
    async with first.broker(TopicSpec("t", 1)) as one_client, second.broker() as other_client:
        await one_client.produce("t", one(b"x"))
        code, _ = await other_client.produce("t", one(b"y"))
    assert code is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert first.disk.is_dir(f"{DATA}/t-0")
    assert not second.disk.is_dir(f"{DATA}/t-0")


async def test_an_invalid_topic_on_the_command_line_is_one_sentence() -> None:
    with pytest.raises(StartupError, match=r"topic a/b:.*invalid"):
        async with Machine().broker(TopicSpec("a/b", 1)):
            pass
