"""The groups of one partition of __consumer_offsets (Kafka's GroupCoordinatorShard)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from kbroker.coordinators.deadlines import Deadline
from kbroker.coordinators.result import Result
from kbroker.wire.errors import ErrorCode, refusal
from kbroker.wire.messages.delete_groups import DeletableGroupResult
from kbroker.wire.messages.describe_groups import DescribedGroup, DescribedGroupMember
from kbroker.wire.messages.join_group import JoinGroupResponse
from kbroker.wire.messages.list_groups import ListedGroup
from kbroker.wire.messages.offset_delete import (
    OffsetDeleteResponse,
    OffsetDeleteResponsePartition,
    OffsetDeleteResponseTopic,
)
from kbroker.wire.messages.sync_group import SyncGroupResponse

from .classic.factory import GroupFactory
from .classic.group import GroupState
from .classic.join_rules import JoinRules
from .classic.member_rules import MemberRules
from .classic.rebalance_rules import RebalanceRules
from .classic.result import AssignmentStored, GroupCreated, StaticMemberStored
from .committed_offsets import NO_PRODUCER, CommittedOffsets
from .deadlines import CleanupDue, JoinDue, SessionDue, SyncDue
from .records import GroupRemoved, GroupStored, OffsetRemoved, OffsetStored

if TYPE_CHECKING:
    from kbroker.config import BrokerConfig
    from kbroker.coordinators.deadlines import Deadlines
    from kbroker.coordinators.result import Now, Parked
    from kbroker.wire.messages.heartbeat import HeartbeatRequest
    from kbroker.wire.messages.join_group import JoinGroupRequest
    from kbroker.wire.messages.leave_group import (
        LeaveGroupRequest,
        LeaveGroupResponse,
        MemberIdentity,
    )
    from kbroker.wire.messages.offset_commit import OffsetCommitRequest, OffsetCommitResponse
    from kbroker.wire.messages.offset_delete import OffsetDeleteRequest
    from kbroker.wire.messages.offset_fetch import (
        OffsetFetchRequestGroup,
        OffsetFetchResponseGroup,
    )
    from kbroker.wire.messages.sync_group import SyncGroupRequest

    from .classic.group import ClassicGroup
    from .classic.join_rules import Client
    from .classic.result import GroupResult, OnCommit
    from .deadlines import GroupEvent
    from .records import Record

log = logging.getLogger("kbroker.groups")

GROUP_TYPE = "classic"
VERSION_WITH_GROUP_NOT_FOUND_ON_COMMIT = 9
VERSION_WITH_GROUP_NOT_FOUND_ON_DESCRIBE = 6


class GroupShard:
    """Routes decisions to the parts that make them, and records to what they change."""

    def __init__(self, index: int, config: BrokerConfig, deadlines: Deadlines[GroupEvent]) -> None:
        self.index = index  # of the partition
        self.groups: dict[str, ClassicGroup] = {}
        self.offsets = CommittedOffsets(config)
        self._config = config
        self._deadlines = deadlines
        self._factory = GroupFactory(self)
        self._rebalance_rules = RebalanceRules(config, deadlines)
        self._join_rules = JoinRules(
            self.groups, self._factory, self._rebalance_rules, config, deadlines
        )
        self._member_rules = MemberRules(self.groups, self._rebalance_rules)
        self._cleanup: Deadline[GroupEvent] = Deadline(self, CleanupDue())

    # --- members

    def decide_join(
        self,
        request: JoinGroupRequest,
        client: Client,
        parked: Parked[JoinGroupResponse],
        member_uuid: str,
        now: Now,
    ) -> GroupResult[JoinGroupResponse]:
        return self._join_rules.decide(request, client, parked, member_uuid, now)

    def decide_sync(
        self, request: SyncGroupRequest, parked: Parked[SyncGroupResponse], now: Now
    ) -> GroupResult[SyncGroupResponse]:
        return self._member_rules.decide_sync(request, parked, now)

    def decide_heartbeat(self, request: HeartbeatRequest, now: Now) -> ErrorCode:
        return self._member_rules.decide_heartbeat(request, now)

    def decide_leave(
        self, request: LeaveGroupRequest, identities: list[MemberIdentity], now: Now
    ) -> GroupResult[LeaveGroupResponse]:
        return self._member_rules.decide_leave(request, identities, now)

    # --- offsets

    def decide_commit(
        self, request: OffsetCommitRequest, api_version: int, now: Now
    ) -> GroupResult[OffsetCommitResponse] | ErrorCode:
        """An error code if the group refuses all of it."""
        group = self.groups.get(request.group_id)
        if group is None:
            if request.generation_id_or_member_epoch >= 0:
                if api_version >= VERSION_WITH_GROUP_NOT_FOUND_ON_COMMIT:
                    return ErrorCode.GROUP_ID_NOT_FOUND
                return ErrorCode.ILLEGAL_GENERATION
            # An admin, or a consumer that assigns itself: replay makes a group that only holds
            # offsets.
            return self.offsets.decide_commit(request, now)
        error = group.validate_offset_commit(request)
        if error is not ErrorCode.NONE:
            return error
        if group.state in (GroupState.STABLE, GroupState.PREPARING_REBALANCE):
            self._rebalance_rules.put_off_session(group.members[request.member_id], now)
        return self.offsets.decide_commit(request, now)

    def fetch_offsets(
        self, request: OffsetFetchRequestGroup, *, require_stable: bool
    ) -> OffsetFetchResponseGroup:
        """A group that nobody knows has no offsets: that is no error."""
        if request.topics is None:
            return self.offsets.fetch_all(request.group_id, require_stable=require_stable)
        return self.offsets.fetch(request.group_id, request.topics, require_stable=require_stable)

    def decide_delete_offsets(
        self, request: OffsetDeleteRequest, now: Now
    ) -> GroupResult[OffsetDeleteResponse]:
        result: GroupResult[OffsetDeleteResponse] = Result(now)
        group = self.groups.get(request.group_id)
        if group is None:
            result.response = OffsetDeleteResponse(error_code=ErrorCode.GROUP_ID_NOT_FOUND)
            return result
        if group.state is not GroupState.EMPTY and not group.uses_consumer_protocol:
            # Nobody knows what such members are using.
            result.response = OffsetDeleteResponse(error_code=ErrorCode.NON_EMPTY_GROUP)
            return result
        topics = []
        for topic in request.topics:
            error = ErrorCode.NONE
            try:
                if group.is_subscribed_to(topic.name):
                    error = ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC
            except Exception as failure:
                error = refusal(failure, f"OffsetDelete of {topic.name}").code
            partitions = []
            for partition in topic.partitions:
                index = partition.partition_index
                code = error
                try:
                    removal = self.offsets.removal(request.group_id, topic.name, index)
                    if error is ErrorCode.NONE and removal is not None:
                        result.records.append(removal)
                except Exception as failure:
                    code = refusal(failure, f"OffsetDelete of {topic.name}-{index}").code
                partitions.append(
                    OffsetDeleteResponsePartition(partition_index=index, error_code=code)
                )
            topics.append(OffsetDeleteResponseTopic(name=topic.name, partitions=partitions))
        result.response = OffsetDeleteResponse(topics=topics)
        return result

    # --- administration

    def describe(self, group_id: str, api_version: int) -> DescribedGroup:
        group = self.groups.get(group_id)
        if group is None:
            described = DescribedGroup(group_id=group_id, group_state=GroupState.DEAD.value)
            if api_version >= VERSION_WITH_GROUP_NOT_FOUND_ON_DESCRIBE:
                described.error_code = ErrorCode.GROUP_ID_NOT_FOUND
                described.error_message = f"Group {group_id} not found."
            return described
        protocol = group.protocol_name if group.state is GroupState.STABLE else None
        return DescribedGroup(
            group_id=group_id,
            group_state=group.state.value,
            protocol_type=group.protocol_type or "",
            protocol_data=protocol or "",
            members=[
                DescribedGroupMember(
                    member_id=member.member_id,
                    group_instance_id=member.instance_id,
                    client_id=member.client_id,
                    client_host=member.client_host,
                    member_metadata=b"" if protocol is None else member.metadata(protocol),
                    member_assignment=member.assignment,
                )
                for member in group.members.values()
            ],
        )

    def list_groups(self, states: set[str], types: set[str]) -> list[ListedGroup]:
        """`states` and `types` in lower case; an empty set lets everything through."""
        if types and GROUP_TYPE not in types:
            return []
        return [
            ListedGroup(
                group_id=group.group_id,
                protocol_type=group.protocol_type or "",
                group_state=group.state.value,
                group_type=GROUP_TYPE,
            )
            for group in self.groups.values()
            if not states or group.state.value.lower() in states
        ]

    def decide_delete_groups(
        self, group_ids: list[str], now: Now
    ) -> GroupResult[list[DeletableGroupResult]]:
        result: GroupResult[list[DeletableGroupResult]] = Result(now)
        result.response = []
        for group_id in group_ids:
            group = self.groups.get(group_id)
            error = ErrorCode.NONE
            if group is None:
                error = ErrorCode.GROUP_ID_NOT_FOUND
            elif group.state is not GroupState.EMPTY:
                error = ErrorCode.NON_EMPTY_GROUP
            else:
                try:
                    removals = self.offsets.removals(group_id)
                    result.records += [*removals, GroupRemoved(group_id)]
                except Exception as failure:
                    error = refusal(failure, f"DeleteGroups of {group_id!r}").code
            result.response.append(DeletableGroupResult(group_id=group_id, error_code=error))
        return result

    def decide_topic_deleted(self, topic: str, topic_id: bytes, now: Now) -> GroupResult[None]:
        result: GroupResult[None] = Result(now)
        result.records.extend(self.offsets.removals_of_topic(topic, topic_id))
        return result

    # --- time

    def on_deadline(self, event: GroupEvent, now: Now) -> GroupResult[None]:
        result: GroupResult[None] = Result(now)
        match event:
            case CleanupDue():
                self._clean_up(result)
            case SessionDue(group_id, member_id):
                if (group := self.groups.get(group_id)) is not None:
                    self._rebalance_rules.session_due(group, member_id, result)
            case JoinDue(group_id):
                if (group := self.groups.get(group_id)) is not None:
                    self._rebalance_rules.join_due(group, result)
            case SyncDue(group_id, generation_id):
                if (group := self.groups.get(group_id)) is not None:
                    self._rebalance_rules.sync_due(group, generation_id, result)
        return result

    def _clean_up(self, result: GroupResult[None]) -> None:
        """Offsets whose retention is over, and empty groups that hold none."""
        now = result.now
        for group in self.groups.values():
            removals, is_all = self.offsets.expired(group, now.wall_ms)
            result.records.extend(removals)
            if is_all and group.state is GroupState.EMPTY:
                result.records.append(GroupRemoved(group.group_id))
        self._schedule_cleanup(now)

    def _schedule_cleanup(self, now: Now) -> None:
        interval_ms = self._config.offsets_retention_check_interval_ms
        self._deadlines.set(self._cleanup, now.timer_ms + interval_ms)

    # --- what became of records

    def committed(self, on_commit: OnCommit, now: Now) -> GroupResult[Any]:
        result: GroupResult[Any] = Result(now)
        if self.groups.get(on_commit.group.group_id) is on_commit.group:
            match on_commit:
                case AssignmentStored():
                    self._rebalance_rules.assignment_stored(on_commit, result)
                case StaticMemberStored():
                    self._join_rules.static_member_stored(on_commit, result)
                case GroupCreated():
                    pass
        return result

    def failed(
        self, on_commit: OnCommit, error: ErrorCode, now: Now, *, is_appended: bool
    ) -> GroupResult[Any]:
        """The records could not be appended, so undo what was done in advance; or they were, but
        are not committed in time, so that nobody can rely on them.
        """
        result: GroupResult[Any] = Result(now)
        group = on_commit.group
        if self.groups.get(group.group_id) is not group:
            return result
        match on_commit:
            case AssignmentStored():
                self._rebalance_rules.assignment_failed(on_commit, error, result)
            case StaticMemberStored():
                self._join_rules.static_member_failed(
                    on_commit, error, result, is_appended=is_appended
                )
            case GroupCreated() if not is_appended:
                self._forget(group)
                for member in group.members.values():
                    response = JoinGroupResponse(error_code=error)
                    self._rebalance_rules.answer_join(group, member, response, result)
        return result

    # --- the log

    def replay_written(self, records: list[Record], first_offset: int) -> None:
        """Apply what a decision has written, but for GroupStored: a live group is ahead of its own
        record, as it knows who is waiting.
        """
        for offset, record in enumerate(records, first_offset):
            if not isinstance(record, GroupStored):
                self.replay(record, offset)

    def replay(self, record: Record, record_offset: int, producer_id: int = NO_PRODUCER) -> None:
        """Apply a record that is in the log."""
        match record:
            case OffsetStored(group_id):
                if group_id not in self.groups:
                    timestamp_ms = record.value.commit_timestamp_ms
                    self.groups[group_id] = self._factory.new_group(
                        group_id, GroupState.EMPTY, timestamp_ms
                    )
                self.offsets.replay_stored(record, record_offset, producer_id)
            case OffsetRemoved():
                self.offsets.replay_removed(record)
            case GroupStored():
                self.groups[record.group_id] = self._factory.from_record(record)
            case GroupRemoved(group_id):
                if (group := self.groups.get(group_id)) is not None:
                    self._forget(group)
                    if self.offsets.removals(group_id):
                        # It went on as a group of another protocol, to which its offsets belong.
                        self.groups[group_id] = self._factory.new_group(
                            group_id, GroupState.EMPTY, group.state_timestamp_ms
                        )

    def end_transaction(self, producer_id: int, *, is_commit: bool) -> None:
        self.offsets.end_transaction(producer_id, is_commit=is_commit)

    def _forget(self, group: ClassicGroup) -> None:
        del self.groups[group.group_id]
        for deadline in (group.join_due, group.sync_due, *group.pending_joins.values()):
            self._deadlines.cancel(deadline)
        for member in group.members.values():
            self._deadlines.cancel(member.session)

    # --- life

    def summary(self) -> str:
        return f"{len(self.groups)} groups"

    def on_loaded(self, now: Now) -> GroupResult[None]:
        """Everything is replayed: members' sessions begin anew."""
        result: GroupResult[None] = Result(now)
        for group in list(self.groups.values()):
            for member in group.members.values():
                self._rebalance_rules.put_off_session(member, now)
            if len(group.members) > self._config.group_max_size:
                self._rebalance_rules.prepare(
                    group, "the group has more members than group.max.size", result
                )
        self._schedule_cleanup(now)
        return result

    def on_unloaded(self, now: Now) -> GroupResult[None]:
        """Another broker coordinates these groups now: whoever waits must look for it."""
        result: GroupResult[None] = Result(now)
        for group in list(self.groups.values()):
            for member in group.members.values():
                response = JoinGroupResponse(
                    member_id=member.member_id, error_code=ErrorCode.NOT_COORDINATOR
                )
                self._rebalance_rules.answer_join(group, member, response, result)
                if member.awaiting_sync is not None:
                    moved = SyncGroupResponse(error_code=ErrorCode.NOT_COORDINATOR)
                    result.answer(member.awaiting_sync, moved)
                    member.awaiting_sync = None
            self._forget(group)
        self._deadlines.cancel(self._cleanup)
        return result
