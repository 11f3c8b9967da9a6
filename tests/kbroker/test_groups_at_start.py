"""A start and its groups: little to load is there when clients come, much is loaded meanwhile."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
import trio

from kbroker.client.cluster import Cluster, connect
from kbroker.client.group_offsets import commit_offsets, delete_group
from kbroker.client.groups import GroupListing, committed_offsets, describe_group
from kbroker.client.groups import list_groups as list_listings
from kbroker.coordinators.load import TURN_S
from kbroker.node.broker import LOADED_AT_START_BYTES
from kbroker.node.settings import TopicSpec
from kbroker.storage.builder import NewRecord, build_batch
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse
from kbroker.wire.messages.list_groups import ListGroupsRequest, ListGroupsResponse
from kbroker.wire.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
    OffsetCommitResponse,
)
from kbroker.wire.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopics,
    OffsetFetchResponse,
)
from tests.sim.broker import Client, Machine
from tests.sim.clock import TickingClock

if TYPE_CHECKING:
    from collections.abc import Sequence

PARTITIONS = 200  # and as many records, and turns to load them, a commit
TOPIC = TopicSpec("t", PARTITIONS)
METADATA_BYTES = 30_000
SETTINGS = {"offset.metadata.max.bytes": str(METADATA_BYTES), "offsets.topic.num.partitions": "5"}
LISTENER = "PLAINTEXT://broker:9092"
SMALL_GROUPS = [f"small-{number}" for number in range(12)]


@pytest.fixture
def ticking() -> TickingClock:
    return TickingClock(TURN_S)


async def commit(
    client: Client, group_id: str, offset: int, metadata: str = "", *, partitions: int = 1
) -> None:
    request = OffsetCommitRequest(
        group_id=group_id,
        topics=[
            OffsetCommitRequestTopic(
                name="t",
                partitions=[
                    OffsetCommitRequestPartition(
                        partition_index=index, committed_offset=offset, committed_metadata=metadata
                    )
                    for index in range(partitions)
                ],
            )
        ],
    )
    response = await client.call(request, OffsetCommitResponse, 9)
    assert {p.error_code for p in response.topics[0].partitions} == {ErrorCode.NONE}


async def committed(client: Client, group_id: str) -> int | ErrorCode:
    """The offset, or why it is not told."""
    request = OffsetFetchRequest(
        groups=[
            OffsetFetchRequestGroup(
                group_id=group_id,
                topics=[OffsetFetchRequestTopics(name="t", partition_indexes=[0])],
            )
        ]
    )
    (group,) = (await client.call(request, OffsetFetchResponse, 9)).groups
    if group.error_code != ErrorCode.NONE:
        return ErrorCode(group.error_code)
    return group.topics[0].partitions[0].committed_offset


async def find(client: Client, group_id: str) -> tuple[int, int]:
    request = FindCoordinatorRequest(key_type=0, coordinator_keys=[group_id])
    (found,) = (await client.call(request, FindCoordinatorResponse)).coordinators
    return found.error_code, found.node_id


async def list_groups(client: Client) -> int | list[str]:
    response = await client.call(ListGroupsRequest(), ListGroupsResponse)
    return response.error_code or sorted(group.group_id for group in response.groups)


async def fill(machine: Machine, groups: Sequence[str], *, large: str | None = None) -> None:
    """Groups with commits, one of them with more than is loaded at the start."""
    async with machine.broker(TOPIC, settings=SETTINGS) as client:
        for group in groups:
            assert await find(client, group) == (ErrorCode.NONE, 1)
            for offset in (3, 4):
                await commit(client, group, offset, partitions=PARTITIONS)
        if large is not None:
            assert await find(client, large) == (ErrorCode.NONE, 1)
            for offset in range(LOADED_AT_START_BYTES // METADATA_BYTES + 1):
                await commit(client, large, offset, "x" * METADATA_BYTES)
            await commit(client, large, 1_234)


async def test_little_is_there_when_clients_come(ticking: TickingClock) -> None:
    machine = Machine()
    await fill(machine, SMALL_GROUPS)
    for _ in range(2):
        async with machine.broker(TOPIC, settings=SETTINGS) as client:
            for group in SMALL_GROUPS:
                assert await committed(client, group) == 4
            assert await list_groups(client) == sorted(SMALL_GROUPS)
        machine.disk.power_loss(machine.rng)


async def test_much_is_loaded_while_clients_are_served(ticking: TickingClock) -> None:
    machine = Machine()
    await fill(machine, SMALL_GROUPS, large="large")
    async with machine.broker(TOPIC, settings=SETTINGS) as client:
        assert await committed(client, "large") is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
        answers = {group: await committed(client, group) for group in SMALL_GROUPS}
        assert await find(client, "large") == (ErrorCode.NONE, 1)
        assert await list_groups(client) == ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
        error, _ = await client.produce("t", build_batch([NewRecord(0, b"k", b"v")]))
        assert error is ErrorCode.NONE
        assert await committed(client, "large") is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
        while (found := await committed(client, "large")) is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS:
            pass
        assert found == 1_234
        assert await list_groups(client) == sorted(["large", *SMALL_GROUPS])
        # Only those of the large one's partition have waited for it.
        waited = [group for group, answer in answers.items() if answer != 4]
        assert len(SMALL_GROUPS) - len(waited) > 0
        assert [await committed(client, group) for group in waited] == [4] * len(waited)


async def test_a_stop_while_it_loads_loses_nothing(
    ticking: TickingClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "kbroker.groups")
    machine = Machine()
    await fill(machine, [], large="large")
    for _ in range(2):
        async with machine.broker(TOPIC, settings=SETTINGS) as client:
            assert await committed(client, "large") is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
            with trio.fail_after(1):
                await commit_refused(client)
    assert not [r for r in caplog.records if "loaded" in r.getMessage()]
    async with machine.broker(TOPIC, settings=SETTINGS) as client:
        while (found := await committed(client, "large")) is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS:
            pass
        assert found == 1_234


async def test_the_commands_wait_for_groups_that_load(ticking: TickingClock) -> None:
    machine = Machine()
    await fill(machine, [], large="large")

    async def list_all(cluster: Cluster) -> object:
        return [group.group_id for group in await list_listings(cluster)]

    async def describe(cluster: Cluster) -> object:
        listing = GroupListing("large", "Empty", "classic", "")
        return (await describe_group(cluster, listing)).partitions[0].committed

    async def offsets(cluster: Cluster) -> object:
        return await committed_offsets(cluster, "large")

    async def move(cluster: Cluster) -> object:
        await cluster.retry(lambda: commit_offsets(cluster, "large", {("t", 0): 1_234}))
        return await committed_offsets(cluster, "large")

    async def remove(cluster: Cluster) -> object:
        await cluster.retry(lambda: delete_group(cluster, "large"))
        return await committed_offsets(cluster, "large")

    for operation, expected in (
        (list_all, ["large"]),
        (describe, 1_234),
        (offsets, {("t", 0): 1_234}),
        (move, {("t", 0): 1_234}),
        (remove, {}),
    ):
        async with machine.broker(TOPIC, settings={**SETTINGS, "listeners": LISTENER}) as client:
            assert await committed(client, "large") is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
            async with connect([("broker", 9092)], machine.network.connect) as cluster:
                assert await operation(cluster) == expected


async def commit_refused(client: Client) -> None:
    request = OffsetCommitRequest(
        group_id="large",
        topics=[
            OffsetCommitRequestTopic(
                name="t",
                partitions=[OffsetCommitRequestPartition(partition_index=0, committed_offset=1)],
            )
        ],
    )
    response = await client.call(request, OffsetCommitResponse, 9)
    error = response.topics[0].partitions[0].error_code
    assert error == ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
