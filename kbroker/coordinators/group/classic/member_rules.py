"""SyncGroup, Heartbeat and LeaveGroup for classic groups."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from kbroker.coordinators.result import Result
from kbroker.wire.errors import ErrorCode, refusal
from kbroker.wire.messages.leave_group import LeaveGroupResponse, MemberResponse
from kbroker.wire.messages.sync_group import SyncGroupResponse

from .group import GroupState
from .join_rules import UNKNOWN_MEMBER
from .rebalance_rules import group_record, sync_response
from .result import AssignmentStored

if TYPE_CHECKING:
    from kbroker.coordinators.result import Now, Parked
    from kbroker.wire.messages.heartbeat import HeartbeatRequest
    from kbroker.wire.messages.leave_group import LeaveGroupRequest, MemberIdentity
    from kbroker.wire.messages.sync_group import SyncGroupRequest

    from .group import ClassicGroup
    from .rebalance_rules import RebalanceRules
    from .result import GroupResult

log = logging.getLogger("kbroker.groups")


class MemberRules:
    """What members do between joins, over the groups of one shard."""

    def __init__(self, groups: dict[str, ClassicGroup], rebalance_rules: RebalanceRules) -> None:
        self._groups = groups
        self._rebalance_rules = rebalance_rules

    # --- SyncGroup

    def decide_sync(
        self, request: SyncGroupRequest, parked: Parked[SyncGroupResponse], now: Now
    ) -> GroupResult[SyncGroupResponse]:
        """`parked` is answered later if the result has no response."""
        result: GroupResult[SyncGroupResponse] = Result(now)
        group = self._groups.get(request.group_id)
        if group is None or group.state is GroupState.EMPTY:
            result.response = SyncGroupResponse(error_code=ErrorCode.UNKNOWN_MEMBER_ID)
            return result
        error = _sync_error(group, request)
        if error is not ErrorCode.NONE:
            result.response = SyncGroupResponse(error_code=error)
            return result
        member = group.members[request.member_id]
        self._rebalance_rules.note_synced(group, member.member_id)
        if group.state is GroupState.STABLE:
            result.response = sync_response(group, member)
            return result
        member.awaiting_sync = parked
        if group.leader_id == member.member_id:
            self._store_assignment(group, request, result)
        return result

    @staticmethod
    def _store_assignment(
        group: ClassicGroup, request: SyncGroupRequest, result: GroupResult[Any]
    ) -> None:
        assignment = {given.member_id: given.assignment for given in request.assignments}
        missing = [member_id for member_id in group.members if member_id not in assignment]
        for member_id in missing:
            assignment[member_id] = b""
        if missing:
            log.warning(
                "group %s: leader %s assigned nothing to %s",
                group.group_id,
                request.member_id,
                ", ".join(missing),
            )
        result.records.append(group_record(group, assignment))
        result.on_commit = AssignmentStored(group, group.generation_id, assignment)

    # --- Heartbeat

    def decide_heartbeat(self, request: HeartbeatRequest, now: Now) -> ErrorCode:
        group = self._groups.get(request.group_id)
        if group is None:
            return ErrorCode.UNKNOWN_MEMBER_ID
        error = group.validate_member(request.member_id, request.group_instance_id)
        if error is not ErrorCode.NONE:
            return error
        if request.generation_id != group.generation_id:
            return ErrorCode.ILLEGAL_GENERATION
        self._rebalance_rules.put_off_session(group.members[request.member_id], now)
        if group.state is GroupState.PREPARING_REBALANCE:
            return ErrorCode.REBALANCE_IN_PROGRESS
        return ErrorCode.NONE

    # --- LeaveGroup

    def decide_leave(
        self, request: LeaveGroupRequest, identities: list[MemberIdentity], now: Now
    ) -> GroupResult[LeaveGroupResponse]:
        """`identities`: who leaves; before v3 the request's one member."""
        result: GroupResult[LeaveGroupResponse] = Result(now)
        group = self._groups.get(request.group_id)
        responses = []
        for identity in identities:
            error = ErrorCode.UNKNOWN_MEMBER_ID
            if group is not None:
                try:
                    error = self._leave(group, identity, result)
                except Exception as failure:
                    error = refusal(failure, f"LeaveGroup of {identity.member_id}").code
            responses.append(
                MemberResponse(
                    member_id=identity.member_id,
                    group_instance_id=identity.group_instance_id,
                    error_code=error,
                )
            )
        result.response = LeaveGroupResponse(members=responses)
        gone = [
            response.member_id for response in responses if response.error_code == ErrorCode.NONE
        ]
        if group is not None and gone:
            reason = f"{', '.join(gone)} left"
            try:
                if group.state in (GroupState.STABLE, GroupState.COMPLETING_REBALANCE):
                    self._rebalance_rules.prepare_or_complete(group, reason, result)
                elif group.state is GroupState.PREPARING_REBALANCE:
                    self._rebalance_rules.maybe_complete_join(group, result)
            except Exception as failure:
                # They have left, and are told so.
                refusal(failure, f"the rebalance of group {request.group_id!r}")
        return result

    def _leave(
        self, group: ClassicGroup, identity: MemberIdentity, result: GroupResult[Any]
    ) -> ErrorCode:
        member_id = identity.member_id
        if member_id == UNKNOWN_MEMBER:
            # An admin removes a static member by its instance id alone (KIP-345).
            instance_id = identity.group_instance_id
            current = None if instance_id is None else group.static_members.get(instance_id)
            if current is None:
                return ErrorCode.UNKNOWN_MEMBER_ID
            member_id = current
        elif member_id in group.pending_joins:
            self._rebalance_rules.remove(group, member_id)
            return ErrorCode.NONE
        else:
            error = group.validate_member(member_id, identity.group_instance_id)
            if error is not ErrorCode.NONE:
                return error
        member = group.members[member_id]
        log.info(
            "group %s: %s left (%s)",
            group.group_id,
            member_id,
            identity.reason or "no reason given",
        )
        self._rebalance_rules.answer_removed(group, member, result)
        self._rebalance_rules.remove(group, member_id)
        return ErrorCode.NONE


def _sync_error(group: ClassicGroup, request: SyncGroupRequest) -> ErrorCode:
    error = group.validate_member(request.member_id, request.group_instance_id)
    if error is not ErrorCode.NONE:
        return error
    if request.generation_id != group.generation_id:
        return ErrorCode.ILLEGAL_GENERATION
    if _differs(request.protocol_type, group.protocol_type) or _differs(
        request.protocol_name, group.protocol_name
    ):
        return ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    if group.state is GroupState.PREPARING_REBALANCE:
        return ErrorCode.REBALANCE_IN_PROGRESS
    return ErrorCode.NONE


def _differs(given: str | None, known: str | None) -> bool:
    return given is not None and known is not None and given != known
