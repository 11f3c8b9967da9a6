"""A consumer group of many members, driven frame by frame so that no client is the limit.

Every member heartbeats at once when something has happened, where a client would within its
heartbeat interval; what is measured is the broker's part of a rebalance.
"""

from __future__ import annotations

import struct
import time
from typing import TYPE_CHECKING

from compat.bench import admin
from compat.bench.findings import Findings
from compat.raw import RawClient
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.find_coordinator import (
    FindCoordinatorRequest,
    FindCoordinatorResponse,
)
from kbroker.wire.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from kbroker.wire.messages.join_group import (
    JoinGroupRequest,
    JoinGroupRequestProtocol,
    JoinGroupResponse,
)
from kbroker.wire.messages.leave_group import (
    LeaveGroupRequest,
    LeaveGroupResponse,
    MemberIdentity,
)
from kbroker.wire.messages.sync_group import (
    SyncGroupRequest,
    SyncGroupRequestAssignment,
    SyncGroupResponse,
)

if TYPE_CHECKING:
    from compat.bench.sizes import Sizes
    from compat.brokers import BrokerProcess

TOPIC = "bench-group"
GROUP = "bench"
TIMEOUT_MS = 60_000
JOIN, SYNC, HEARTBEAT, LEAVE, FIND_COORDINATOR = 5, 3, 3, 3, 2  # versions
COORDINATOR_TIMEOUT_S = 30
COORDINATOR_POLL_S = 0.05


class Member:
    """One member on a connection of its own. What it begins, it ends later: others go on."""

    def __init__(self, broker: BrokerProcess) -> None:
        self.client = RawClient(broker.host, broker.port, timeout_s=TIMEOUT_MS / 1000)
        self.member_id = ""
        self.generation = -1
        self.others: list[str] = []  # a leader knows all
        self._under_way = 0

    def introduce(self) -> None:
        """Get a member id (KIP-394)."""
        deadline = time.monotonic() + COORDINATOR_TIMEOUT_S
        while not self.member_id:
            self.begin_join()
            response = self.client.receive(self._under_way, JOIN, JoinGroupResponse)
            if response.error_code == ErrorCode.MEMBER_ID_REQUIRED:
                self.member_id = response.member_id
            elif time.monotonic() > deadline:
                raise TimeoutError(f"no member id: {ErrorCode(response.error_code).name}")
            else:  # the coordinator loads, or its topic is being made
                self.client.ask(
                    FindCoordinatorRequest(key=GROUP), FIND_COORDINATOR, FindCoordinatorResponse
                )
                time.sleep(COORDINATOR_POLL_S)

    def begin_join(self) -> None:
        topic = TOPIC.encode()
        subscription = struct.pack(">hih", 0, 1, len(topic)) + topic + struct.pack(">i", -1)
        self._under_way = self.client.send(
            JoinGroupRequest(
                group_id=GROUP,
                session_timeout_ms=TIMEOUT_MS // 2,
                rebalance_timeout_ms=TIMEOUT_MS,
                member_id=self.member_id,
                protocol_type="consumer",
                protocols=[JoinGroupRequestProtocol(name="range", metadata=subscription)],
            ),
            JOIN,
        )

    def end_join(self) -> bool:
        """Whether it leads."""
        response = self.client.receive(self._under_way, JOIN, JoinGroupResponse)
        _check(response.error_code)
        self.generation = response.generation_id
        self.others = [member.member_id for member in response.members]
        return response.leader == self.member_id

    def begin_sync(self, partitions: int) -> None:
        """A leader's tells who gets what of `partitions` partitions."""
        self._under_way = self.client.send(
            SyncGroupRequest(
                group_id=GROUP,
                generation_id=self.generation,
                member_id=self.member_id,
                assignments=[
                    SyncGroupRequestAssignment(
                        member_id=member_id, assignment=_assignment(slot, partitions, self.others)
                    )
                    for slot, member_id in enumerate(self.others)
                ],
            ),
            SYNC,
        )

    def end_sync(self) -> int:
        """How many partitions it got."""
        response = self.client.receive(self._under_way, SYNC, SyncGroupResponse)
        _check(response.error_code)
        (count,) = struct.unpack_from(">i", response.assignment, 2 + 4 + 2 + len(TOPIC.encode()))
        return int(count)

    def begin_heartbeat(self) -> None:
        request = HeartbeatRequest(
            group_id=GROUP, generation_id=self.generation, member_id=self.member_id
        )
        self._under_way = self.client.send(request, HEARTBEAT)

    def end_heartbeat(self) -> bool:
        """Whether it is to join again."""
        response = self.client.receive(self._under_way, HEARTBEAT, HeartbeatResponse)
        if response.error_code == ErrorCode.REBALANCE_IN_PROGRESS:
            return True
        _check(response.error_code)
        return False

    def leave(self) -> None:
        request = LeaveGroupRequest(
            group_id=GROUP, members=[MemberIdentity(member_id=self.member_id)]
        )
        _check(self.client.ask(request, LEAVE, LeaveGroupResponse).error_code)


def rebalance(broker: BrokerProcess, sizes: Sizes, _groups: frozenset[str]) -> Findings:
    """The last member joins a stable group, and a member leaves."""
    admin.create_topics(broker, {TOPIC: sizes.member_partitions}, a_request=1)
    members = [Member(broker) for _ in range(sizes.members)]
    try:
        for member in members:
            member.introduce()
        present, last = members[:-1], members[-1]
        for member in present:
            member.begin_join()
        _settle(present, sizes.member_partitions)

        began = time.perf_counter()
        last.begin_join()
        _await_rebalance(present)
        for member in present:
            member.begin_join()
        _settle(members, sizes.member_partitions)
        join_s = time.perf_counter() - began

        began = time.perf_counter()
        last.leave()
        _await_rebalance(present)
        for member in present:
            member.begin_join()
        _settle(present, sizes.member_partitions)
        leave_s = time.perf_counter() - began
    finally:
        for member in members:
            member.client.close()
    return Findings({"group-100.join": join_s, "group-100.leave": leave_s})


def _await_rebalance(members: list[Member]) -> None:
    """Every one of them hears of it."""
    unaware = members
    while unaware:
        for member in unaware:
            member.begin_heartbeat()
        unaware = [member for member in unaware if not member.end_heartbeat()]


def _settle(members: list[Member], partitions: int) -> None:
    """All have begun to join: bring them to their assignments."""
    leaders = [member for member in members if member.end_join()]
    assert len(leaders) == 1, f"{len(leaders)} leaders"
    assert len(leaders[0].others) == len(members), f"{len(leaders[0].others)} members"
    for member in members:
        member.begin_sync(partitions)
    shared = sum(member.end_sync() for member in members)
    assert shared == partitions, f"{shared} of {partitions} partitions are assigned"


def _assignment(slot: int, partitions: int, members: list[str]) -> bytes:
    mine = range(slot, partitions, len(members))
    topic = TOPIC.encode()
    return (
        struct.pack(">hih", 0, 1, len(topic))
        + topic
        + struct.pack(f">i{len(mine)}ii", len(mine), *mine, -1)
    )


def _check(error_code: int) -> None:
    if error_code:
        raise ValueError(f"the group answers {ErrorCode(error_code).name}")
