"""Removes the topics and groups that a session of the suite made on someone else's broker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compat.raw import RawClient
from kbroker.wire.api_keys import API_TABLE
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from kbroker.wire.messages.consumer_group_describe import (
    ConsumerGroupDescribeRequest,
    ConsumerGroupDescribeResponse,
)
from kbroker.wire.messages.consumer_group_heartbeat import (
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse,
)
from kbroker.wire.messages.delete_groups import DeleteGroupsRequest, DeleteGroupsResponse
from kbroker.wire.messages.delete_topics import (
    DeleteTopicsRequest,
    DeleteTopicsResponse,
    DeleteTopicState,
)
from kbroker.wire.messages.describe_groups import DescribeGroupsRequest, DescribeGroupsResponse
from kbroker.wire.messages.leave_group import LeaveGroupRequest, LeaveGroupResponse, MemberIdentity
from kbroker.wire.messages.list_groups import ListGroupsRequest, ListGroupsResponse
from kbroker.wire.messages.metadata import MetadataRequest, MetadataResponse
from kbroker.wire.messages.share_group_describe import (
    ShareGroupDescribeRequest,
    ShareGroupDescribeResponse,
)
from kbroker.wire.messages.share_group_heartbeat import (
    ShareGroupHeartbeatRequest,
    ShareGroupHeartbeatResponse,
)

if TYPE_CHECKING:
    from compat.brokers import Broker
    from kbroker.wire.message import Message

GONE = (ErrorCode.NONE, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.GROUP_ID_NOT_FOUND)
NAMES_ONLY = 5  # the last version of DeleteTopics that takes names alone
LEAVES_FOR_OTHERS = 3  # the first version of LeaveGroup that names several members
LEAVING = -1  # the epoch of a member of a consumer or share group that leaves
ONE_LISTING = 4  # the last version of Metadata that has no topic ids to leave out


def made_by(session: str) -> str:
    """What every name of a session has in it."""
    return f"-{session}-"


def remove(broker: Broker, session: str) -> list[str]:
    """Remove all that a session made; the names of what stays, or why nothing could be asked."""
    mark = made_by(session)
    try:
        with RawClient(broker.host, broker.port) as raw:
            served = {
                one.api_key: one.max_version
                for one in raw.ask(ApiVersionsRequest(), 0, ApiVersionsResponse).api_keys
            }

            def newest(request: type[Message], at_most: int = 99) -> int:
                key = request.API_KEY or 0
                return min(served[key], API_TABLE[key].max_version, at_most)

            version = newest(MetadataRequest, ONE_LISTING)
            found = raw.ask(MetadataRequest(topics=None), version, MetadataResponse).topics
            names = [topic.name for topic in found if topic.name and mark in topic.name]
            listed = raw.ask(ListGroupsRequest(), newest(ListGroupsRequest), ListGroupsResponse)
            ours = [group for group in listed.groups if mark in group.group_id]
            groups = [group.group_id for group in ours]
            for group in ours:
                if group.group_type == "consumer":
                    _empty_consumer_group(raw, group.group_id)
                elif group.group_type == "share":
                    _empty_share_group(raw, group.group_id)
                else:
                    versions = newest(DescribeGroupsRequest), newest(LeaveGroupRequest)
                    _empty(raw, group.group_id, *versions)
            # Before their topics, of which a share group has state.
            left = _groups(raw, groups, newest(DeleteGroupsRequest))
            return left + _topics(raw, names, newest(DeleteTopicsRequest, NAMES_ONLY))
    except (OSError, ValueError, KeyError) as error:
        return [f"whatever has {mark} in its name ({type(error).__name__}: {error})"]


def _topics(raw: RawClient, names: list[str], version: int) -> list[str]:
    request = DeleteTopicsRequest(topic_names=names, timeout_ms=30_000)
    if not names:
        return []
    if version > NAMES_ONLY:
        request = DeleteTopicsRequest(
            topics=[DeleteTopicState(name=name) for name in names], timeout_ms=30_000
        )
    answers = raw.ask(request, version, DeleteTopicsResponse).responses
    return [str(answer.name) for answer in answers if answer.error_code not in GONE]


def _empty(raw: RawClient, group: str, describe: int, leave: int) -> None:
    """Have the members leave that a test left to time out; by name, if the broker knows that."""
    if leave < LEAVES_FOR_OTHERS:
        return
    request = DescribeGroupsRequest(groups=[group])
    found = raw.ask(request, describe, DescribeGroupsResponse).groups[0].members
    if found:
        members = [MemberIdentity(member_id=member.member_id) for member in found]
        leaving = LeaveGroupRequest(group_id=group, members=members)
        raw.ask(leaving, leave, LeaveGroupResponse)


def _empty_consumer_group(raw: RawClient, group: str) -> None:
    request = ConsumerGroupDescribeRequest(group_ids=[group])
    (found,) = raw.ask(request, 0, ConsumerGroupDescribeResponse).groups
    for member in found.members:
        leaving = ConsumerGroupHeartbeatRequest(
            group_id=group,
            member_id=member.member_id,
            instance_id=member.instance_id,
            member_epoch=LEAVING,
        )
        raw.ask(leaving, 0, ConsumerGroupHeartbeatResponse)


def _empty_share_group(raw: RawClient, group: str) -> None:
    request = ShareGroupDescribeRequest(group_ids=[group])
    (found,) = raw.ask(request, 1, ShareGroupDescribeResponse).groups
    for member in found.members:
        leaving = ShareGroupHeartbeatRequest(
            group_id=group, member_id=member.member_id, member_epoch=LEAVING
        )
        raw.ask(leaving, 1, ShareGroupHeartbeatResponse)


def _groups(raw: RawClient, groups: list[str], version: int) -> list[str]:
    if not groups:
        return []
    request = DeleteGroupsRequest(groups_names=groups)
    answers = raw.ask(request, version, DeleteGroupsResponse).results
    return [answer.group_id for answer in answers if answer.error_code not in GONE]
