"""The requests of a group's members, in their shortest form."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from kbroker.wire.codec import encode
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.describe_groups import (
    DescribedGroup,
    DescribeGroupsRequest,
    DescribeGroupsResponse,
)
from kbroker.wire.messages.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse
from kbroker.wire.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from kbroker.wire.messages.join_group import (
    JoinGroupRequest,
    JoinGroupRequestProtocol,
    JoinGroupResponse,
)
from kbroker.wire.messages.leave_group import LeaveGroupRequest, LeaveGroupResponse, MemberIdentity
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
    OffsetFetchResponseGroup,
)
from kbroker.wire.messages.sync_group import (
    SyncGroupRequest,
    SyncGroupRequestAssignment,
    SyncGroupResponse,
)
from kbroker.wire.records.consumer_protocol_subscription import ConsumerProtocolSubscription

from .asking import assert_none

if TYPE_CHECKING:
    from compat.raw import RawClient

READY_TIMEOUT_S = 120
RETRIABLE = {
    ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
    ErrorCode.NOT_COORDINATOR,
}


def coordinate(raw: RawClient, group: str) -> None:
    """Wait until the group has a coordinator that answers."""
    deadline = time.monotonic() + READY_TIMEOUT_S
    while True:
        request = FindCoordinatorRequest(coordinator_keys=[group])
        found = raw.ask(request, 6, FindCoordinatorResponse).coordinators[0]
        if not found.error_code and fetch_offsets(raw, group).error_code not in RETRIABLE:
            return
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


def subscription(*topics: str) -> bytes:
    """What a consumer sends as its protocol's metadata."""
    return b"\0\0" + encode(ConsumerProtocolSubscription(topics=list(topics)), 0)


def join_request(
    group: str,
    member_id: str = "",
    *,
    instance: str | None = None,
    protocols: tuple[str, ...] = ("range",),
    protocol_type: str = "consumer",
    session_timeout_ms: int = 60_000,
    rebalance_timeout_ms: int = 60_000,
    topics: tuple[str, ...] = ("t",),
) -> JoinGroupRequest:
    return JoinGroupRequest(
        group_id=group,
        session_timeout_ms=session_timeout_ms,
        rebalance_timeout_ms=rebalance_timeout_ms,
        member_id=member_id,
        group_instance_id=instance,
        protocol_type=protocol_type,
        protocols=[
            JoinGroupRequestProtocol(name=name, metadata=subscription(*topics))
            for name in protocols
        ],
    )


def join(raw: RawClient, request: JoinGroupRequest, version: int = 9) -> JoinGroupResponse:
    """Join, with the second request that a dynamic member needs for its id."""
    response = raw.ask(request, version, JoinGroupResponse)
    if response.error_code == ErrorCode.MEMBER_ID_REQUIRED:
        request.member_id = response.member_id
        response = raw.ask(request, version, JoinGroupResponse)
    return response


def sync(
    raw: RawClient,
    group: str,
    joined: JoinGroupResponse,
    assignments: dict[str, bytes] | None = None,
    *,
    instance: str | None = None,
    protocol_name: str = "range",
) -> SyncGroupResponse:
    request = SyncGroupRequest(
        group_id=group,
        generation_id=joined.generation_id,
        member_id=joined.member_id,
        group_instance_id=instance,
        protocol_type="consumer",
        protocol_name=protocol_name,
        assignments=[
            SyncGroupRequestAssignment(member_id=member, assignment=data)
            for member, data in (assignments or {}).items()
        ],
    )
    return raw.ask(request, 5, SyncGroupResponse)


def heartbeat(
    raw: RawClient, group: str, generation: int, member_id: str, instance: str | None = None
) -> int:
    """Its error."""
    request = HeartbeatRequest(
        group_id=group, generation_id=generation, member_id=member_id, group_instance_id=instance
    )
    return raw.ask(request, 4, HeartbeatResponse).error_code


def leave(raw: RawClient, group: str, *members: tuple[str, str | None]) -> LeaveGroupResponse:
    """Members are (member id, instance id)."""
    identities = [MemberIdentity(member_id=m, group_instance_id=i) for m, i in members]
    return raw.ask(LeaveGroupRequest(group_id=group, members=identities), 5, LeaveGroupResponse)


def commit(
    raw: RawClient,
    group: str,
    topic: str,
    offset: int,
    *,
    metadata: str | None = "",
    partition: int = 0,
    generation: int = -1,
    member_id: str = "",
    instance: str | None = None,
    leader_epoch: int = -1,
    version: int = 9,
) -> int:
    """The partition's error."""
    one = OffsetCommitRequestPartition(
        partition_index=partition,
        committed_offset=offset,
        committed_leader_epoch=leader_epoch,
        committed_metadata=metadata,
    )
    request = OffsetCommitRequest(
        group_id=group,
        generation_id_or_member_epoch=generation,
        member_id=member_id,
        group_instance_id=instance,
        topics=[OffsetCommitRequestTopic(name=topic, partitions=[one])],
    )
    response = raw.ask(request, version, OffsetCommitResponse)
    return response.topics[0].partitions[0].error_code


def fetch_offsets(
    raw: RawClient,
    group: str,
    topics: dict[str, list[int]] | None = None,
    *,
    require_stable: bool = False,
) -> OffsetFetchResponseGroup:
    """What the group has committed: of these partitions, or of all (v9)."""
    wanted = (
        None
        if topics is None
        else [
            OffsetFetchRequestTopics(name=name, partition_indexes=partitions)
            for name, partitions in topics.items()
        ]
    )
    request = OffsetFetchRequest(
        groups=[OffsetFetchRequestGroup(group_id=group, topics=wanted)],
        require_stable=require_stable,
    )
    return raw.ask(request, 9, OffsetFetchResponse).groups[0]


def describe_group(raw: RawClient, group: str) -> DescribedGroup:
    return raw.ask(DescribeGroupsRequest(groups=[group]), 6, DescribeGroupsResponse).groups[0]


def stable_member(raw: RawClient, group: str, **options: str) -> JoinGroupResponse:
    """A group of one that has its assignment."""
    joined = join(raw, join_request(group, **options))  # type: ignore[arg-type]
    assert_none(joined.error_code)
    done = sync(raw, group, joined, {joined.member_id: b"all"}, instance=options.get("instance"))
    assert (done.error_code, done.assignment) == (0, b"all")
    return joined
