"""A member of a classic consumer group that reads one topic, with the `range` assignor.

async with joined(cluster, group_id, topic) as member:
    positions = await member.join()      # again whenever member.must_rejoin
    await member.commit(positions)
"""

from __future__ import annotations

from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import trio

from kbroker.wire import codec
from kbroker.wire.errors import ErrorCode
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
from kbroker.wire.records.consumer_protocol_assignment import (
    ConsumerProtocolAssignment,
    TopicPartition,
)
from kbroker.wire.records.consumer_protocol_subscription import ConsumerProtocolSubscription

from .errors import BrokerError, ClientError, check
from .group_offsets import commit_offsets
from .groups import assigned_partitions, committed_offsets
from .records import offsets_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from .cluster import Cluster

SESSION_TIMEOUT_MS = 45_000
REBALANCE_TIMEOUT_MS = 20_000  # a JoinGroup must be answered within a request's time
HEARTBEAT_S = 3.0
JOINS_MAX = 100
PROTOCOL_TYPE = "consumer"
ASSIGNOR = "range"
_VERSION = 0
_VERSION_PREFIX = _VERSION.to_bytes(2, "big")
_REJOIN = (
    ErrorCode.REBALANCE_IN_PROGRESS,
    ErrorCode.ILLEGAL_GENERATION,
    ErrorCode.UNKNOWN_MEMBER_ID,
)


class GroupConsumer:
    """One member. `must_rejoin` says that the group is being shared out anew."""

    def __init__(
        self, cluster: Cluster, group_id: str, topic: str, start_at: int, heartbeat_s: float
    ) -> None:
        self.must_rejoin = True
        self._heartbeat_s = heartbeat_s
        self._cluster = cluster
        self._group_id = group_id
        self._topic = topic
        self._start_at = start_at  # a ListOffsets timestamp, where nothing is committed
        self._member_id = ""
        self._generation = -1

    async def join(self) -> dict[tuple[str, int], int]:
        """The partitions assigned to this member, and where to read each from. ClientError."""
        for _ in range(JOINS_MAX):
            try:
                partitions = await self._cluster.retry(self._join)
            except BrokerError as error:
                if error.code not in _REJOIN:
                    raise
                if error.code == ErrorCode.UNKNOWN_MEMBER_ID:
                    self._member_id = ""
                continue
            self.must_rejoin = False
            return await self._positions(partitions)
        raise ClientError(
            f"Group {self._group_id!r} keeps rebalancing, and this member could not join it."
        )

    async def _join(self) -> list[tuple[str, int]]:
        coordinator = await self._cluster.coordinator(self._group_id)
        subscription = codec.encode(ConsumerProtocolSubscription(topics=[self._topic]), _VERSION)
        request = JoinGroupRequest(
            group_id=self._group_id,
            session_timeout_ms=SESSION_TIMEOUT_MS,
            rebalance_timeout_ms=REBALANCE_TIMEOUT_MS,
            member_id=self._member_id,
            protocol_type=PROTOCOL_TYPE,
            protocols=[
                JoinGroupRequestProtocol(name=ASSIGNOR, metadata=_VERSION_PREFIX + subscription)
            ],
        )
        joined = await self._cluster.ask(coordinator, request, JoinGroupResponse)
        if joined.error_code == ErrorCode.MEMBER_ID_REQUIRED:
            self._member_id = request.member_id = joined.member_id
            joined = await self._cluster.ask(coordinator, request, JoinGroupResponse)
        check(joined.error_code, f"Cannot join group {self._group_id!r}")
        self._member_id, self._generation = joined.member_id, joined.generation_id
        assignments = []
        if joined.leader == joined.member_id:
            members = [member.member_id for member in joined.members]
            assignments = await self._assign(members)
        synced = await self._cluster.ask(
            coordinator,
            SyncGroupRequest(
                group_id=self._group_id,
                generation_id=self._generation,
                member_id=self._member_id,
                protocol_type=PROTOCOL_TYPE,
                protocol_name=ASSIGNOR,
                assignments=assignments,
            ),
            SyncGroupResponse,
        )
        check(synced.error_code, f"Cannot join group {self._group_id!r}")
        return assigned_partitions(synced.assignment)

    async def _assign(self, members: list[str]) -> list[SyncGroupRequestAssignment]:
        """The range assignor's shares: consecutive partitions, the first members get one more."""
        topic = await self._cluster.topic(self._topic)
        shares = range_shares(len(topic.partitions), sorted(members))
        return [
            SyncGroupRequestAssignment(
                member_id=member,
                assignment=_VERSION_PREFIX
                + codec.encode(
                    ConsumerProtocolAssignment(
                        assigned_partitions=[
                            TopicPartition(topic=self._topic, partitions=list(share))
                        ]
                        if share
                        else []
                    ),
                    _VERSION,
                ),
            )
            for member, share in shares.items()
        ]

    async def _positions(self, partitions: list[tuple[str, int]]) -> dict[tuple[str, int], int]:
        await self._cluster.refresh([self._topic])
        committed = await committed_offsets(self._cluster, self._group_id)
        new = [partition for partition in partitions if partition not in committed]
        found = await offsets_for(self._cluster, dict.fromkeys(new, self._start_at))
        return {
            partition: committed.get(partition, found.get(partition, 0)) for partition in partitions
        }

    async def commit(self, positions: Mapping[tuple[str, int], int]) -> None:
        """Commit where reading goes on. A rebalance meanwhile is no error: it is read again."""
        if not positions:
            return

        async def commit_once() -> None:
            await commit_offsets(
                self._cluster,
                self._group_id,
                positions,
                member_id=self._member_id,
                generation=self._generation,
            )

        try:
            await self._cluster.retry(commit_once)
        except BrokerError as error:
            if error.code not in _REJOIN:
                raise
            self.must_rejoin = True

    async def heartbeats(self) -> None:
        """Until cancelled: keeps the membership, and notices rebalances."""
        while True:
            await trio.sleep(self._heartbeat_s)
            if self.must_rejoin:
                continue
            try:
                await self._cluster.retry(self._heartbeat)
            except BrokerError as error:
                if error.code not in _REJOIN:
                    raise
                self.must_rejoin = True

    async def _heartbeat(self) -> None:
        response = await self._cluster.ask(
            await self._cluster.coordinator(self._group_id),
            HeartbeatRequest(
                group_id=self._group_id,
                generation_id=self._generation,
                member_id=self._member_id,
            ),
            HeartbeatResponse,
        )
        check(response.error_code, f"Cannot stay in group {self._group_id!r}")

    async def leave(self) -> None:
        """Give the partitions back at once instead of at the session's end."""
        if not self._member_id:
            return
        coordinator = await self._cluster.coordinator(self._group_id)
        await self._cluster.ask(
            coordinator,
            LeaveGroupRequest(
                group_id=self._group_id, members=[MemberIdentity(member_id=self._member_id)]
            ),
            LeaveGroupResponse,
        )


LEAVE_TIMEOUT_S = 2.0


@asynccontextmanager
async def joined(
    cluster: Cluster, group_id: str, topic: str, start_at: int, heartbeat_s: float = HEARTBEAT_S
) -> AsyncIterator[GroupConsumer]:
    """A member that sends heartbeats inside the block and leaves the group at its end."""
    member = GroupConsumer(cluster, group_id, topic, start_at, heartbeat_s)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(member.heartbeats)
        try:
            yield member
        finally:
            nursery.cancel_scope.cancel()
            with trio.move_on_after(LEAVE_TIMEOUT_S) as scope:
                scope.shield = True
                with suppress(ClientError):  # else the session ends by itself
                    await member.leave()


def range_shares(partition_count: int, members: list[str]) -> dict[str, range]:
    """Kafka's RangeAssignor for one topic; `members` sorted."""
    each, more = divmod(partition_count, len(members))
    shares: dict[str, range] = {}
    start = 0
    for position, member in enumerate(members):
        end = start + each + (position < more)
        shares[member] = range(start, end)
        start = end
    return shares
