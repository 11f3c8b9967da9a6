"""How a classic group gets from one generation to the next (Kafka's GroupMetadataManager, classic
part).

PREPARING_REBALANCE collects JoinGroups until everybody is there or time is over;
COMPLETING_REBALANCE waits for the leader's assignment; STABLE comes when that is in the log.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from kbroker.coordinators.group.deadlines import SyncDue
from kbroker.coordinators.group.records import GroupStored
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.join_group import JoinGroupResponse
from kbroker.wire.messages.sync_group import SyncGroupResponse
from kbroker.wire.records.group_metadata_value import GroupMetadataValue, MemberMetadata

from .group import GroupState

if TYPE_CHECKING:
    from kbroker.config import BrokerConfig
    from kbroker.coordinators.deadlines import Deadlines
    from kbroker.coordinators.group.deadlines import GroupEvent
    from kbroker.coordinators.result import Now

    from .group import ClassicGroup
    from .member import Member
    from .result import AssignmentStored, GroupResult

log = logging.getLogger("kbroker.groups")

# A new member cannot send heartbeats before it knows its id, and nobody sees its connection break
# while its JoinGroup is parked: it must ask again after this long (GroupMetadataManager).
NEW_MEMBER_JOIN_TIMEOUT_MS: Final = 5 * 60 * 1000


class RebalanceRules:
    """The rules. The groups themselves hold the state."""

    def __init__(self, config: BrokerConfig, deadlines: Deadlines[GroupEvent]) -> None:
        self._config = config
        self._deadlines = deadlines

    def put_off_session(self, member: Member, now: Now) -> None:
        """A member was heard of."""
        self._deadlines.set(member.session, now.timer_ms + member.session_timeout_ms)

    def remove(self, group: ClassicGroup, member_id: str) -> None:
        """Forget a member, or one that was to become a member: nothing is awaited of it."""
        pending = group.pending_joins.get(member_id)
        if pending is not None:
            self._deadlines.cancel(pending)
        member = group.remove(member_id)
        if member is not None:
            self._deadlines.cancel(member.session)

    # --- the join phase

    def prepare_or_complete(
        self, group: ClassicGroup, reason: str, result: GroupResult[Any]
    ) -> None:
        """Something changed that the members must hear of."""
        if group.can_rebalance:
            self.prepare(group, reason, result)
        else:
            self.maybe_complete_join(group, result)

    def prepare(self, group: ClassicGroup, reason: str, result: GroupResult[Any]) -> None:
        """Start a rebalance. The first of an empty group waits a little, so that more members
        make it.
        """
        if group.state is GroupState.COMPLETING_REBALANCE:
            self._reset_assignment(group, ErrorCode.REBALANCE_IN_PROGRESS, result)
        group.pending_syncs.clear()
        self._deadlines.cancel(group.sync_due)
        is_initial = group.state is GroupState.EMPTY
        group.initial_delay = None
        if is_initial:
            delay_ms = self._config.group_initial_rebalance_delay_ms
            group.initial_delay = (delay_ms, max(group.rebalance_timeout_ms - delay_ms, 0))
            self._deadlines.set(group.join_due, result.now.timer_ms + delay_ms)
        group.transition(GroupState.PREPARING_REBALANCE, result.now.wall_ms)
        log.info(
            "group %s: rebalancing after generation %d: %s",
            group.group_id,
            group.generation_id,
            reason,
        )
        if is_initial:
            return
        if group.has_all_joined:
            self.complete_join(group, result)
        else:
            self._reschedule_join(group, result.now)

    def maybe_complete_join(self, group: ClassicGroup, result: GroupResult[Any]) -> None:
        """Go on if the last one has joined; an initial rebalance always waits for its delay."""
        if (
            group.state is GroupState.PREPARING_REBALANCE
            and group.previous_state is not GroupState.EMPTY
            and group.has_all_joined
        ):
            self.complete_join(group, result)

    def complete_join(self, group: ClassicGroup, result: GroupResult[Any]) -> None:
        """Everybody is there, or time is over: dynamic members who are not there are removed."""
        now = result.now
        self._deadlines.cancel(group.join_due)
        group.initial_delay = None
        missing = [
            member
            for member in group.members.values()
            if member.awaiting_join is None and member.instance_id is None
        ]
        for member in missing:
            self.remove(group, member.member_id)
        if missing:
            names = ", ".join(member.member_id for member in missing)
            log.info("group %s: removed members who did not rejoin: %s", group.group_id, names)

        if not group.elect_joined_leader() and group.members:
            # Static members only, none of them here: wait until their sessions are over.
            log.warning("group %s: no member rejoined", group.group_id)
            self._reschedule_join(group, now)
            return
        group.next_generation(now.wall_ms)
        if group.state is GroupState.EMPTY:
            log.info(
                "group %s: became empty with generation %d", group.group_id, group.generation_id
            )
            result.records.append(group_record(group, {}))
            return
        log.info(
            "group %s: generation %d has %d members",
            group.group_id,
            group.generation_id,
            len(group.members),
        )
        for member in group.members.values():
            is_leader = member.member_id == group.leader_id
            self.answer_join(
                group,
                member,
                join_response(group, member.member_id, with_members=is_leader),
                result,
            )
            self.put_off_session(member, now)
            member.is_new = False
            group.pending_syncs.add(member.member_id)
        group.sync_due.event = SyncDue(group.group_id, group.generation_id)
        self._deadlines.set(group.sync_due, now.timer_ms + group.rebalance_timeout_ms)

    def _reschedule_join(self, group: ClassicGroup, now: Now) -> None:
        # At least 1 ms: a rebalance timeout of 0 must not turn this into a busy loop.
        self._deadlines.set(group.join_due, now.timer_ms + max(group.rebalance_timeout_ms, 1))

    def answer_join(
        self,
        group: ClassicGroup,
        member: Member,
        response: JoinGroupResponse,
        result: GroupResult[Any],
    ) -> None:
        """Answer a member's JoinGroup, if it has one waiting."""
        if member.awaiting_join is not None:
            result.answer(member.awaiting_join, response)
            group.park_join(member, None)

    def answer_removed(self, group: ClassicGroup, member: Member, result: GroupResult[Any]) -> None:
        """A member that is being removed may still wait for us: it joins anew if it is there."""
        self.answer_join(
            group, member, JoinGroupResponse(error_code=ErrorCode.UNKNOWN_MEMBER_ID), result
        )
        if member.awaiting_sync is not None:
            # Kafka leaves this one without an answer.
            gone = SyncGroupResponse(error_code=ErrorCode.UNKNOWN_MEMBER_ID)
            result.answer(member.awaiting_sync, gone)
            member.awaiting_sync = None

    # --- the sync phase

    def assignment_stored(self, stored: AssignmentStored, result: GroupResult[Any]) -> None:
        """The assignment is committed. A rebalance since then has made it void."""
        group = stored.group
        if not _still_completing(stored):
            return
        for member in group.members.values():
            member.assignment = stored.assignment.get(member.member_id, b"")
        self._propagate(group, ErrorCode.NONE, result)
        group.transition(GroupState.STABLE, result.now.wall_ms)

    def assignment_failed(
        self, stored: AssignmentStored, error: ErrorCode, result: GroupResult[Any]
    ) -> None:
        if not _still_completing(stored):
            return
        self._reset_assignment(stored.group, error, result)
        reason = f"the assignment could not be stored: {error.name}"
        self.prepare_or_complete(stored.group, reason, result)

    def _reset_assignment(
        self, group: ClassicGroup, error: ErrorCode, result: GroupResult[Any]
    ) -> None:
        for member in group.members.values():
            member.assignment = b""
        self._propagate(group, error, result)

    def _propagate(self, group: ClassicGroup, error: ErrorCode, result: GroupResult[Any]) -> None:
        """Answer every parked SyncGroup. Sessions begin anew: they may have passed while the
        members waited for us.
        """
        for member in group.members.values():
            if member.awaiting_sync is None:
                continue
            result.answer(
                member.awaiting_sync,
                sync_response(group, member)
                if error is ErrorCode.NONE
                else SyncGroupResponse(error_code=error),
            )
            member.awaiting_sync = None
            self.put_off_session(member, result.now)

    def note_synced(self, group: ClassicGroup, member_id: str) -> None:
        """A member has sent its SyncGroup; the last one ends the wait."""
        group.pending_syncs.discard(member_id)
        if not group.pending_syncs:
            self._deadlines.cancel(group.sync_due)

    # --- time

    def session_due(self, group: ClassicGroup, member_id: str, result: GroupResult[Any]) -> None:
        if member_id in group.pending_joins:
            log.info("group %s: %s did not come back with its member id", group.group_id, member_id)
            self.remove(group, member_id)
            if group.state is GroupState.PREPARING_REBALANCE and group.has_all_joined:
                self.complete_join(group, result)
            return
        member = group.members.get(member_id)
        if member is None or member.has_satisfied_heartbeat:
            return
        log.info("group %s: the session of %s has expired", group.group_id, member_id)
        self.answer_removed(group, member, result)
        self.remove(group, member_id)
        if group.state in (GroupState.STABLE, GroupState.COMPLETING_REBALANCE):
            self.prepare_or_complete(group, f"the session of {member_id} has expired", result)
        elif group.state is GroupState.PREPARING_REBALANCE and group.has_all_joined:
            self.complete_join(group, result)

    def join_due(self, group: ClassicGroup, result: GroupResult[Any]) -> None:
        if group.initial_delay is not None:
            delay_ms, remaining_ms = group.initial_delay
            if group.new_member_added and remaining_ms != 0:
                group.new_member_added = False
                next_delay_ms = min(self._config.group_initial_rebalance_delay_ms, remaining_ms)
                group.initial_delay = (next_delay_ms, max(remaining_ms - delay_ms, 0))
                self._deadlines.set(group.join_due, result.now.timer_ms + next_delay_ms)
                return
        if group.state is GroupState.PREPARING_REBALANCE:
            self.complete_join(group, result)

    def sync_due(self, group: ClassicGroup, generation_id: int, result: GroupResult[Any]) -> None:
        if (
            group.generation_id != generation_id
            or group.state not in (GroupState.COMPLETING_REBALANCE, GroupState.STABLE)
            or not group.pending_syncs
        ):
            return
        late = sorted(group.pending_syncs)
        for member_id in late:
            self.remove(group, member_id)
        self.prepare(group, f"no SyncGroup from {', '.join(late)}", result)


def _still_completing(stored: AssignmentStored) -> bool:
    group = stored.group
    return (
        group.state is GroupState.COMPLETING_REBALANCE
        and group.generation_id == stored.generation_id
    )


def join_response(group: ClassicGroup, member_id: str, *, with_members: bool) -> JoinGroupResponse:
    """The current generation, as a member is told of it."""
    return JoinGroupResponse(
        members=group.joined_members() if with_members else [],
        member_id=member_id,
        generation_id=group.generation_id,
        protocol_name=group.protocol_name,
        protocol_type=group.protocol_type,
        leader=group.leader_id or "",
        error_code=ErrorCode.NONE,
    )


def sync_response(group: ClassicGroup, member: Member) -> SyncGroupResponse:
    """The current assignment of a member."""
    return SyncGroupResponse(
        protocol_type=group.protocol_type,
        protocol_name=group.protocol_name,
        assignment=member.assignment,
        error_code=ErrorCode.NONE,
    )


def group_record(group: ClassicGroup, assignment: dict[str, bytes]) -> GroupStored:
    """The record of a group's current generation with this assignment."""
    protocol = group.protocol_name
    assert protocol is not None or not group.members
    return GroupStored(
        group.group_id,
        GroupMetadataValue(
            protocol_type=group.protocol_type or "",
            generation=group.generation_id,
            protocol=protocol,
            leader=group.leader_id,
            current_state_timestamp=group.state_timestamp_ms,
            members=[
                MemberMetadata(
                    member_id=member.member_id,
                    group_instance_id=member.instance_id,
                    client_id=member.client_id,
                    client_host=member.client_host,
                    rebalance_timeout=member.rebalance_timeout_ms,
                    session_timeout=member.session_timeout_ms,
                    subscription=member.metadata(protocol or ""),
                    assignment=assignment[member.member_id],
                )
                for member in group.members.values()
            ],
        ),
    )


def empty_group_record(group: ClassicGroup) -> GroupStored:
    """The record of a group that was only just made."""
    return GroupStored(
        group.group_id,
        GroupMetadataValue(
            protocol_type="",
            generation=0,
            protocol=None,
            leader=None,
            current_state_timestamp=group.state_timestamp_ms,
        ),
    )
