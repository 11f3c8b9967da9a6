"""Clients that are gone while their request waits: what the broker still holds of them, and when
it lets go.

As Kafka, the broker reads nothing behind a request that waits, so it learns of a client's end when
it answers, or when the connection has been idle for too long.
"""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from kbroker.node.settings import TopicSpec
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.describe_groups import DescribeGroupsRequest, DescribeGroupsResponse
from kbroker.wire.messages.fetch import FetchPartition, FetchRequest, FetchTopic
from kbroker.wire.messages.find_coordinator import (
    FindCoordinatorRequest,
    FindCoordinatorResponse,
)
from kbroker.wire.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from kbroker.wire.messages.join_group import JoinGroupRequest, JoinGroupResponse
from kbroker.wire.messages.leave_group import LeaveGroupRequest, MemberIdentity
from kbroker.wire.messages.sync_group import SyncGroupRequest, SyncGroupResponse
from tests.sim.broker import Client, Machine

from .asking import one
from .coordinators.rig import GROUP, join_request, sync_request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

SESSION_S = 10.0  # of join_request
VISITORS = 20
DAY_MS = 86_400_000


class Office:
    """A broker with one client that stays, and others that do not."""

    def __init__(self, machine: Machine, client: Client) -> None:
        self.client = client
        self._machine = machine

    async def visitor(self) -> Client:
        return Client(
            await self._machine.network.connect(*self.client.stream.transport.peer_address)
        )

    async def join(self, client: Client, member_id: str = "") -> JoinGroupResponse:
        return await client.call(join_request(member_id), JoinGroupResponse)

    async def alone(self) -> str:
        """The id of the only member of a stable group."""
        await self.coordinated()
        given = await self.join(self.client)
        joined = await self.join(self.client, given.member_id)
        await self.sync(joined, {joined.member_id: b"all"})
        return joined.member_id

    async def coordinated(self) -> None:
        """Returns when there is a coordinator. To make its topic takes the disk's threads, for
        which the virtual clock does not wait: the first requests may run out of time.
        """
        for _ in range(100):
            found = await self.client.call(
                FindCoordinatorRequest(coordinator_keys=[GROUP]), FindCoordinatorResponse
            )
            if found.coordinators[0].error_code == ErrorCode.NONE:
                return
            await trio.testing.wait_all_threads_completed()
        raise AssertionError("there is no coordinator")

    async def sync(self, joined: JoinGroupResponse, assignments: dict[str, bytes]) -> ErrorCode:
        request = self.sync_request(joined, assignments)
        return ErrorCode((await self.client.call(request, SyncGroupResponse)).error_code)

    @staticmethod
    def sync_request(
        joined: JoinGroupResponse, assignments: dict[str, bytes] | None = None
    ) -> SyncGroupRequest:
        return sync_request(
            joined.member_id,
            joined.generation_id,
            assignments or {},
            protocol_type="consumer",
            protocol_name="range",
        )

    async def beat(self, joined: JoinGroupResponse) -> ErrorCode:
        request = HeartbeatRequest(
            group_id=GROUP, generation_id=joined.generation_id, member_id=joined.member_id
        )
        return ErrorCode((await self.client.call(request, HeartbeatResponse)).error_code)

    async def members(self) -> int:
        request = DescribeGroupsRequest(groups=[GROUP])
        return len((await self.client.call(request, DescribeGroupsResponse)).groups[0].members)

    async def until_rebalance(self, joined: JoinGroupResponse) -> float:
        """How long until a member that keeps its session is told to join again."""
        started = trio.current_time()
        while True:
            await trio.sleep(0.1)
            if await self.beat(joined) is not ErrorCode.NONE:
                return trio.current_time() - started


@pytest.fixture
async def office() -> AsyncIterator[Office]:
    machine = Machine()
    async with machine.broker(TopicSpec("t", 1)) as client:
        assert await client.produce("t", one(b"w")) == (ErrorCode.NONE, 0)
        office = Office(machine, client)
        (await office.visitor()).stream.hang_up()  # the listener remembers the last one it let in
        await trio.testing.wait_all_tasks_blocked()
        yield office


def held() -> tuple[int, int]:
    """Tasks, and events that tasks could be waiting for."""
    gc.collect()
    root = trio.lowlevel.current_root_task()
    assert root is not None
    events = sum(isinstance(each, trio.Event) for each in gc.get_objects())
    return sum(1 for _ in _tasks(root)), events


def _tasks(task: trio.lowlevel.Task) -> Iterator[trio.lowlevel.Task]:
    yield task
    for nursery in task.child_nurseries:
        for child in nursery.child_tasks:
            yield from _tasks(child)


def long_poll(max_wait_ms: int) -> FetchRequest:
    partition = FetchPartition(partition=0, fetch_offset=1, partition_max_bytes=1000)
    return FetchRequest(
        max_wait_ms=max_wait_ms,
        min_bytes=1,
        max_bytes=1000,
        topics=[FetchTopic(topic="t", partitions=[partition])],
    )


async def test_a_long_poll_ends_with_its_time(autojump_clock: object, office: Office) -> None:
    before = held()
    await poll_and_hang_up(office, 5000)
    await trio.sleep(4.9)
    assert held()[0] >= before[0] + VISITORS
    await trio.sleep(0.2)
    assert held() == before


async def test_a_long_poll_ends_with_the_next_record(
    autojump_clock: object, office: Office
) -> None:
    before = held()
    await poll_and_hang_up(office, DAY_MS)
    assert held()[0] >= before[0] + VISITORS
    assert await office.client.produce("t", one(b"y")) == (ErrorCode.NONE, 1)
    await trio.testing.wait_all_tasks_blocked()
    assert held() == before


async def poll_and_hang_up(office: Office, max_wait_ms: int) -> None:
    for _ in range(VISITORS):
        visitor = await office.visitor()
        await visitor.send(long_poll(max_wait_ms), 12)
        await trio.testing.wait_all_tasks_blocked()
        visitor.stream.hang_up()


async def test_a_member_gone_between_its_joins_holds_up_a_rebalance_for_its_session(
    autojump_clock: object, office: Office
) -> None:
    member_id = await office.alone()
    before = held()
    visitor = await office.visitor()
    given = await office.join(visitor)
    assert given.error_code == ErrorCode.MEMBER_ID_REQUIRED
    visitor.stream.hang_up()
    started = trio.current_time()
    rejoined = await office.join(office.client, member_id)
    assert trio.current_time() - started == pytest.approx(SESSION_S, abs=0.1)
    assert len(rejoined.members) == 1
    assert held() == before


async def test_a_member_gone_while_its_join_waits_is_out_after_its_session(
    autojump_clock: object, office: Office
) -> None:
    """It counts as joined, so that it holds up nobody before."""
    member_id = await office.alone()
    before = held()
    await join_and_hang_up(office)
    started = trio.current_time()
    rejoined = await office.join(office.client, member_id)
    assert (len(rejoined.members), trio.current_time() - started) == (2, 0.0)
    assert await office.sync(rejoined, {member_id: b"all"}) is ErrorCode.NONE
    assert await office.until_rebalance(rejoined) == pytest.approx(SESSION_S, abs=0.2)
    assert len((await office.join(office.client, member_id)).members) == 1
    assert held() == before


async def test_a_member_that_left_behind_its_join_is_out_when_the_join_is_answered(
    autojump_clock: object, office: Office
) -> None:
    """librdkafka gives up its LeaveGroup after 5 s, and closes the connection."""
    member_id = await office.alone()
    before = held()
    await join_and_hang_up(office, leaves=True)
    assert await office.members() == 2
    rejoined = await office.join(office.client, member_id)
    assert len(rejoined.members) == 2
    await trio.testing.wait_all_tasks_blocked()
    assert await office.members() == 1
    assert await office.beat(rejoined) is ErrorCode.REBALANCE_IN_PROGRESS
    assert len((await office.join(office.client, member_id)).members) == 1
    assert held() == before


async def test_a_member_gone_while_its_sync_waits_is_out_after_its_session(
    autojump_clock: object, office: Office
) -> None:
    member_id = await office.alone()
    before = held()
    visitor = await office.visitor()
    answers: list[JoinGroupResponse] = []

    async def join(client: Client, known_id: str) -> None:
        answers.append(await office.join(client, known_id))

    given = await office.join(visitor)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(join, visitor, given.member_id)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(join, office.client, member_id)
    theirs, ours = sorted(answers, key=lambda answer: answer.member_id == member_id)
    await visitor.send(office.sync_request(theirs), 5)
    await trio.testing.wait_all_tasks_blocked()
    visitor.stream.hang_up()
    assert await office.sync(ours, {member_id: b"all"}) is ErrorCode.NONE
    assert await office.until_rebalance(ours) == pytest.approx(SESSION_S, abs=0.2)
    assert len((await office.join(office.client, member_id)).members) == 1
    assert held() == before


async def join_and_hang_up(office: Office, *, leaves: bool = False) -> None:
    visitor = await office.visitor()
    given = await office.join(visitor)
    request: JoinGroupRequest = join_request(given.member_id)
    await visitor.send(request, 9)
    if leaves:
        identity = MemberIdentity(member_id=given.member_id)
        await visitor.send(LeaveGroupRequest(group_id=GROUP, members=[identity]), 5)
    await trio.testing.wait_all_tasks_blocked()
    visitor.stream.hang_up()
