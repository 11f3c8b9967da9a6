"""Requests of group members, in their shortest form, and a member that does what clients do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.describe_groups import DescribeGroupsRequest, DescribeGroupsResponse
from kbroker.wire.messages.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse
from kbroker.wire.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from kbroker.wire.messages.join_group import (
    JoinGroupRequest,
    JoinGroupRequestProtocol,
    JoinGroupResponse,
)
from kbroker.wire.messages.leave_group import LeaveGroupRequest, MemberIdentity
from kbroker.wire.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from kbroker.wire.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchResponse,
)
from kbroker.wire.messages.sync_group import (
    SyncGroupRequest,
    SyncGroupRequestAssignment,
    SyncGroupResponse,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .peer import Peer, Pending

# Nothing waits until these are over but what says so with one of its own.
SESSION_MS = REBALANCE_MS = 120_000
CONSUMER = "consumer"


def subscription(*topics: str) -> bytes:
    """ConsumerProtocolSubscription v0 of these topics, without user data."""
    data = b"\0\0" + len(topics).to_bytes(4, "big")
    for topic in topics:
        data += len(topic).to_bytes(2, "big") + topic.encode()
    return data + b"\xff\xff\xff\xff"


def join(
    group: str,
    member_id: str = "",
    *,
    instance: str | None = None,
    protocols: Mapping[str, bytes] | None = None,
    protocol_type: str = CONSUMER,
    session_ms: int = SESSION_MS,
    rebalance_ms: int = REBALANCE_MS,
) -> JoinGroupRequest:
    if protocols is None:
        protocols = {"range": subscription("t")}
    return JoinGroupRequest(
        group_id=group,
        member_id=member_id,
        group_instance_id=instance,
        protocol_type=protocol_type,
        session_timeout_ms=session_ms,
        rebalance_timeout_ms=rebalance_ms,
        protocols=[JoinGroupRequestProtocol(name=n, metadata=m) for n, m in protocols.items()],
    )


def sync(
    group: str,
    member_id: str,
    generation: int,
    assignments: Mapping[str, bytes] | None = None,
    *,
    instance: str | None = None,
    protocol_type: str | None = CONSUMER,
    protocol: str | None = "range",
) -> SyncGroupRequest:
    return SyncGroupRequest(
        group_id=group,
        member_id=member_id,
        generation_id=generation,
        group_instance_id=instance,
        protocol_type=protocol_type,
        protocol_name=protocol,
        assignments=[
            SyncGroupRequestAssignment(member_id=one, assignment=data)
            for one, data in (assignments or {}).items()
        ],
    )


def heartbeat(
    group: str, member_id: str, generation: int, instance: str | None = None
) -> HeartbeatRequest:
    return HeartbeatRequest(
        group_id=group,
        member_id=member_id,
        generation_id=generation,
        group_instance_id=instance,
    )


def leave(group: str, version: int, *members: tuple[str, str | None]) -> LeaveGroupRequest:
    """`members`: member id and instance id; one, without instance, below version 3."""
    if version < 3:
        return LeaveGroupRequest(group_id=group, member_id=members[0][0])
    identities = [MemberIdentity(member_id=m, group_instance_id=i) for m, i in members]
    return LeaveGroupRequest(group_id=group, members=identities)


def commit(
    group: str,
    topics: Sequence[tuple[str, bytes, Mapping[int, int]]],
    *,
    by: Member | None = None,
    member_id: str = "",
    generation: int = -1,
    instance: str | None = None,
    metadata: str | None = "",
    leader_epoch: int = -1,
    retention_ms: int = -1,
) -> OffsetCommitRequest:
    """`topics`: name, id and offsets by partition. `by` gives member id and generation."""
    if by is not None:
        member_id, generation = by.id, by.generation
    return OffsetCommitRequest(
        group_id=group,
        member_id=member_id,
        generation_id_or_member_epoch=generation,
        group_instance_id=instance,
        retention_time_ms=retention_ms,
        topics=[
            OffsetCommitRequestTopic(
                name=name,
                topic_id=topic_id,
                partitions=[
                    OffsetCommitRequestPartition(
                        partition_index=index,
                        committed_offset=offset,
                        committed_leader_epoch=leader_epoch,
                        committed_metadata=metadata,
                    )
                    for index, offset in offsets.items()
                ],
            )
            for name, topic_id, offsets in topics
        ],
    )


def await_coordinator(peer: Peer, *groups: str) -> None:
    """Wait until the groups can be used: Apache Kafka loads its coordinators after its start."""
    for group in groups:
        peer.until(
            FindCoordinatorRequest(coordinator_keys=[group]),
            peer.last(FindCoordinatorRequest),
            FindCoordinatorResponse,
            lambda answer: not answer.coordinators[0].error_code,
        )
        peer.until(
            OffsetFetchRequest(groups=[OffsetFetchRequestGroup(group_id=group, topics=[])]),
            9,
            OffsetFetchResponse,
            lambda answer: not answer.groups[0].error_code,
        )


def await_group(peer: Peer, group: str) -> None:
    """Wait until a group made just now can be seen.

    Apache Kafka answers a join before the new group's first record is committed, and describes and
    lists what is committed.
    """
    peer.until(
        DescribeGroupsRequest(groups=[group]),
        peer.last(DescribeGroupsRequest),
        DescribeGroupsResponse,
        lambda answer: answer.groups[0].group_state != "Dead",
    )


class Member:
    """A member of a group, on a connection of its own. What it is told is compared."""

    def __init__(
        self,
        peer: Peer,
        group: str,
        label: str,
        *,
        instance: str | None = None,
        version: int | None = None,
        protocols: Mapping[str, bytes] | None = None,
        session_ms: int = SESSION_MS,
        rebalance_ms: int = REBALANCE_MS,
    ) -> None:
        self.peer = peer
        self.group = group
        self.label = label
        self.instance = instance
        self.version = peer.last(JoinGroupRequest) if version is None else version
        self.protocols = protocols
        self.session_ms = session_ms
        self.rebalance_ms = rebalance_ms
        self.id = ""
        self.generation = -1
        self.answer = JoinGroupResponse()

    @property
    def leads(self) -> bool:
        return self.answer.leader == self.id

    def start_join(self, step: str = "joins") -> Pending:
        """Send a join; a new member's first is answered at once with its id (KIP-394)."""
        if not self.id and not self.instance and self.version >= 4:
            answer = self._send_join(f"{step}, first").answer(JoinGroupResponse)
            if answer.error_code == ErrorCode.MEMBER_ID_REQUIRED:
                self.id = answer.member_id
        return self._send_join(step)

    def joined(self, pending: Pending) -> JoinGroupResponse:
        self.answer = pending.answer(JoinGroupResponse)
        if not self.answer.error_code:
            self.id = self.answer.member_id
            self.generation = self.answer.generation_id
            await_group(self.peer, self.group)
        return self.answer

    def join(self, step: str = "joins") -> JoinGroupResponse:
        return self.joined(self.start_join(step))

    def start_sync(
        self, assignments: Mapping[str, bytes] | None = None, step: str = "syncs"
    ) -> Pending:
        version = min(self.version, self.peer.last(SyncGroupRequest))
        request = sync(
            self.group,
            self.id,
            self.generation,
            assignments,
            instance=self.instance if version >= 3 else None,
            protocol_type=self.answer.protocol_type or CONSUMER,
            protocol=self.answer.protocol_name,
        )
        return self.peer.send(f"{self.label} {step}", request, version, connection=self.label)

    def sync(self, assignments: Mapping[str, bytes] | None = None, step: str = "syncs") -> None:
        self.start_sync(assignments, step).answer(SyncGroupResponse)

    def beat(self, step: str = "beats") -> None:
        version = min(self.version, self.peer.last(HeartbeatRequest))
        instance = self.instance if version >= 3 else None
        request = heartbeat(self.group, self.id, self.generation, instance)
        self.peer.probe(f"{self.label} {step}", request, version, connection=f"{self.label} side")

    def await_rebalance(self) -> None:
        """Wait until the group knows of a join that another connection has sent."""
        self.peer.until(
            heartbeat(self.group, self.id, self.generation, self.instance),
            self.peer.last(HeartbeatRequest),
            HeartbeatResponse,
            lambda answer: answer.error_code == ErrorCode.REBALANCE_IN_PROGRESS,
        )

    def leave(self, step: str = "leaves") -> None:
        version = min(self.version, self.peer.last(LeaveGroupRequest))
        request = leave(self.group, version, (self.id, self.instance))
        self.peer.probe(f"{self.label} {step}", request, version, connection=f"{self.label} side")

    def _send_join(self, step: str) -> Pending:
        request = join(
            self.group,
            self.id,
            instance=self.instance if self.version >= 5 else None,
            protocols=self.protocols,
            session_ms=self.session_ms,
            rebalance_ms=self.rebalance_ms,
        )
        step = f"{self.label} {step}"
        return self.peer.send(step, request, self.version, connection=self.label)
