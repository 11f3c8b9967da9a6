"""JoinGroup for classic groups: new and returning members, dynamic and static ones.

v4 asks a new dynamic member to come back with its id (KIP-394) - v5 static members (KIP-345) - v9
lets a static leader skip the assignment it already has (KIP-814).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kbroker.coordinators.result import Result
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.join_group import JoinGroupResponse
from kbroker.wire.messages.sync_group import SyncGroupResponse

from .group import GroupState
from .member import Member
from .rebalance_rules import (
    NEW_MEMBER_JOIN_TIMEOUT_MS,
    empty_group_record,
    group_record,
    join_response,
)
from .result import GroupCreated, StaticMemberStored

if TYPE_CHECKING:
    from kbroker.config import BrokerConfig
    from kbroker.coordinators.deadlines import Deadlines
    from kbroker.coordinators.group.deadlines import GroupEvent
    from kbroker.coordinators.result import Now, Parked
    from kbroker.wire.messages.join_group import JoinGroupRequest

    from .factory import GroupFactory
    from .group import ClassicGroup
    from .rebalance_rules import RebalanceRules
    from .result import GroupResult

log = logging.getLogger("kbroker.groups")

UNKNOWN_MEMBER: Final = ""
VERSION_WITH_REQUIRED_ID: Final = 4
VERSION_WITH_SKIP_ASSIGNMENT: Final = 9

# How many new members of a group may have been given an id and not have come back with it. Kafka
# has no such bound. It keeps a broken client from filling the memory within a session timeout.
PENDING_JOINS_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks: what a member's description says of its client, and the version it speaks."""

    client_id: str
    host: str  # as Java prints an address: "/127.0.0.1"
    api_version: int


class JoinRules:
    """JoinGroup, over the groups of one shard."""

    def __init__(
        self,
        groups: dict[str, ClassicGroup],
        factory: GroupFactory,
        rebalance_rules: RebalanceRules,
        config: BrokerConfig,
        deadlines: Deadlines[GroupEvent],
    ) -> None:
        self._groups = groups
        self._factory = factory
        self._rebalance_rules = rebalance_rules
        self._config = config
        self._deadlines = deadlines

    def decide(
        self,
        request: JoinGroupRequest,
        client: Client,
        parked: Parked[JoinGroupResponse],
        member_uuid: str,
        now: Now,
    ) -> GroupResult[JoinGroupResponse]:
        """`member_uuid` makes the id of a new member. `parked` is answered later if the result
        has no response.
        """
        result: GroupResult[JoinGroupResponse] = Result(now)
        group = self._groups.get(request.group_id)
        is_new_group = group is None
        if group is None:
            if request.member_id != UNKNOWN_MEMBER:
                result.response = _refused(request.member_id, ErrorCode.UNKNOWN_MEMBER_ID)
                return result
            group = self._factory.new_group(request.group_id, GroupState.EMPTY, now.wall_ms)
            self._groups[request.group_id] = group
        if not self._accepts(group, request.member_id):
            self._rebalance_rules.remove(group, request.member_id)
            result.response = _refused(UNKNOWN_MEMBER, ErrorCode.GROUP_MAX_SIZE_REACHED)
        else:
            protocols = [(protocol.name, protocol.metadata) for protocol in request.protocols]
            join = _Join(request, client, parked, protocols)
            if request.member_id == UNKNOWN_MEMBER:
                self._new_member(group, join, member_uuid, result)
            else:
                self._known_member(group, join, result)
        if is_new_group and not result.records:
            # So that the group is there after a restart, as its member may come back then.
            result.records.append(empty_group_record(group))
            result.on_commit = GroupCreated(group)
        return result

    def _accepts(self, group: ClassicGroup, member_id: str) -> bool:
        """group.max.size. While a rebalance is prepared those who have joined count, so that the
        last ones to come are the ones to go; later the members do.
        """
        size_max = self._config.group_max_size
        member = group.members.get(member_id)
        match group.state:
            case GroupState.PREPARING_REBALANCE:
                is_waiting = member is not None and member.awaiting_join is not None
                return is_waiting or group.awaiting_join_count < size_max
            case GroupState.COMPLETING_REBALANCE | GroupState.STABLE:
                return member is not None or len(group.members) < size_max
            case _:
                return True

    # --- members without an id

    def _new_member(
        self,
        group: ClassicGroup,
        join: _Join,
        member_uuid: str,
        result: GroupResult[JoinGroupResponse],
    ) -> None:
        request = join.request
        if not group.supports(request.protocol_type, join.protocols):
            result.response = _refused(UNKNOWN_MEMBER, ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
            return
        instance_id = request.group_instance_id
        if instance_id is not None:
            member_id = f"{instance_id}-{member_uuid}"
            current = group.static_members.get(instance_id)
            if current is None:
                self._add(group, join, member_id, result)
            else:
                self._replace(group, join, group.members[current], member_id, result)
            return
        member_id = f"{join.client.client_id}-{member_uuid}"
        if join.client.api_version < VERSION_WITH_REQUIRED_ID:
            self._add(group, join, member_id, result)
        elif len(group.pending_joins) >= PENDING_JOINS_MAX:
            result.response = _refused(UNKNOWN_MEMBER, ErrorCode.GROUP_MAX_SIZE_REACHED)
        else:
            session = self._factory.new_session(group.group_id, member_id)
            group.pending_joins[member_id] = session
            self._deadlines.set(session, result.now.timer_ms + request.session_timeout_ms)
            result.response = _refused(member_id, ErrorCode.MEMBER_ID_REQUIRED)

    def _add(
        self,
        group: ClassicGroup,
        join: _Join,
        member_id: str,
        result: GroupResult[JoinGroupResponse],
    ) -> None:
        request = join.request
        session = group.pending_joins.get(member_id)
        if session is None:
            session = self._factory.new_session(group.group_id, member_id)
        member = Member(
            member_id=member_id,
            instance_id=request.group_instance_id,
            client_id=join.client.client_id,
            client_host=join.client.host,
            rebalance_timeout_ms=join.rebalance_timeout_ms,
            session_timeout_ms=request.session_timeout_ms,
            protocol_type=request.protocol_type,
            protocols=join.protocols,
            session=session,
        )
        member.is_new = True
        if (
            group.state is GroupState.PREPARING_REBALANCE
            and group.previous_state is GroupState.EMPTY
        ):
            group.new_member_added = True
        group.add(member, join.parked)
        self._deadlines.set(session, result.now.timer_ms + NEW_MEMBER_JOIN_TIMEOUT_MS)
        self._rebalance_rules.prepare_or_complete(
            group, f"new member {member_id}{join.reason}", result
        )

    def _replace(
        self,
        group: ClassicGroup,
        join: _Join,
        member: Member,
        member_id: str,
        result: GroupResult[JoinGroupResponse],
    ) -> None:
        """A static member started again: it takes over from its former self, which is fenced."""
        request = join.request
        assert request.group_instance_id is not None
        old_leader_id = group.leader_id or ""
        if member.awaiting_join is not None:
            result.answer(
                member.awaiting_join, _refused(member.member_id, ErrorCode.FENCED_INSTANCE_ID)
            )
        if member.awaiting_sync is not None:
            result.answer(
                member.awaiting_sync, SyncGroupResponse(error_code=ErrorCode.FENCED_INSTANCE_ID)
            )
        self._deadlines.cancel(member.session)
        replacement = group.replace_static(
            member, member_id, self._factory.new_session(group.group_id, member_id)
        )
        self._rebalance_rules.put_off_session(replacement, result.now)
        stored = StaticMemberStored(
            group=group,
            old_member_id=member.member_id,
            new_member_id=member_id,
            old_leader_id=old_leader_id,
            old_rebalance_timeout_ms=replacement.rebalance_timeout_ms,
            old_session_timeout_ms=replacement.session_timeout_ms,
            old_protocols=replacement.protocols,
            parked=join.parked,
            api_version=join.client.api_version,
        )
        self._update(group, replacement, join)
        match group.state:
            case GroupState.STABLE if group.select_protocol() == (group.protocol_name or ""):
                # The assignment stays as it is: no rebalance, only the new id in the log.
                assignment = {name: other.assignment for name, other in group.members.items()}
                result.records.append(group_record(group, assignment))
                result.on_commit = stored
            case GroupState.STABLE:
                reason = f"static member {member_id} changed its protocols{join.reason}"
                self._rebalance_rules.prepare_or_complete(group, reason, result)
            case GroupState.COMPLETING_REBALANCE:
                # The leader may be computing an assignment for the old id.
                reason = f"static member {member_id} has a new id{join.reason}"
                self._rebalance_rules.prepare(group, reason, result)
            case _:
                self._rebalance_rules.maybe_complete_join(group, result)

    # --- members with an id

    def _known_member(
        self, group: ClassicGroup, join: _Join, result: GroupResult[JoinGroupResponse]
    ) -> None:
        request = join.request
        member_id = request.member_id
        if not group.supports(request.protocol_type, join.protocols):
            result.response = _refused(member_id, ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
            return
        if member_id in group.pending_joins:
            if request.group_instance_id is not None:
                # A pending member is dynamic; Kafka ends in an IllegalStateException here.
                result.response = _refused(member_id, ErrorCode.UNKNOWN_SERVER_ERROR)
            else:
                self._add(group, join, member_id, result)
            return
        error = group.validate_member(member_id, request.group_instance_id)
        if error is not ErrorCode.NONE:
            result.response = _refused(member_id, error)
            return
        member = group.members[member_id]
        is_leader = member_id == group.leader_id
        has_changed = member.protocols != join.protocols
        match group.state:
            case GroupState.PREPARING_REBALANCE:
                self._update(group, member, join)
                self._rebalance_rules.maybe_complete_join(group, result)
            case GroupState.COMPLETING_REBALANCE if not has_changed:
                # It seems to have lost the answer to its JoinGroup.
                result.response = join_response(group, member_id, with_members=is_leader)
            case GroupState.STABLE if not has_changed and not is_leader:
                result.response = join_response(group, member_id, with_members=False)
            case GroupState.COMPLETING_REBALANCE | GroupState.STABLE:
                # A leader may join to make a rebalance: it may know of new partitions.
                self._update(group, member, join)
                reason = f"{'leader' if is_leader else 'member'} {member_id} rejoined{join.reason}"
                self._rebalance_rules.prepare_or_complete(group, reason, result)
            case _:
                log.warning(
                    "group %s: refusing a join of %s in state %s",
                    group.group_id,
                    member_id,
                    group.state,
                )
                result.response = _refused(member_id, ErrorCode.UNKNOWN_MEMBER_ID)

    @staticmethod
    def _update(group: ClassicGroup, member: Member, join: _Join) -> None:
        group.update(
            member,
            join.protocols,
            join.rebalance_timeout_ms,
            join.request.session_timeout_ms,
            join.parked,
        )

    # --- what became of the records

    def static_member_stored(
        self, stored: StaticMemberStored, result: GroupResult[JoinGroupResponse]
    ) -> None:
        group = stored.group
        member = group.members.get(stored.new_member_id)
        if member is None or member.awaiting_join is not stored.parked:
            return
        if stored.api_version >= VERSION_WITH_SKIP_ASSIGNMENT:
            is_leader = group.leader_id == stored.new_member_id
            response = join_response(group, stored.new_member_id, with_members=is_leader)
            response.skip_assignment = is_leader
        else:
            response = join_response(group, stored.new_member_id, with_members=False)
            # An old client that found itself the leader would compute an assignment.
            response.leader = stored.old_leader_id
        self._rebalance_rules.answer_join(group, member, response, result)

    def static_member_failed(
        self,
        stored: StaticMemberStored,
        error: ErrorCode,
        result: GroupResult[JoinGroupResponse],
        *,
        is_appended: bool,
    ) -> None:
        """The new id is not in the log: back to the old one. If it is, the next attempt replaces
        it.
        """
        group = stored.group
        member = group.members.get(stored.new_member_id)
        if member is None or member.awaiting_join is not stored.parked:
            return
        response = join_response(group, UNKNOWN_MEMBER, with_members=False)
        response.leader = stored.old_leader_id
        response.error_code = error
        self._rebalance_rules.answer_join(group, member, response, result)
        if is_appended:
            return
        group.update(
            member,
            stored.old_protocols,
            stored.old_rebalance_timeout_ms,
            stored.old_session_timeout_ms,
            None,
        )
        self._deadlines.cancel(member.session)
        session = self._factory.new_session(group.group_id, stored.old_member_id)
        former = group.replace_static(member, stored.old_member_id, session)
        self._rebalance_rules.put_off_session(former, result.now)


class _Join:
    """One request, with what every branch needs of it."""

    __slots__ = ("client", "parked", "protocols", "request")

    def __init__(
        self,
        request: JoinGroupRequest,
        client: Client,
        parked: Parked[JoinGroupResponse],
        protocols: list[tuple[str, bytes]],
    ) -> None:
        self.request = request
        self.client = client
        self.parked = parked
        self.protocols = protocols

    @property
    def rebalance_timeout_ms(self) -> int:
        """v0 has none and means its session timeout (KIP-62)."""
        if self.client.api_version == 0:
            return self.request.session_timeout_ms
        return self.request.rebalance_timeout_ms

    @property
    def reason(self) -> str:
        return f" ({self.request.reason})" if self.request.reason else ""


def _refused(member_id: str, error: ErrorCode) -> JoinGroupResponse:
    return JoinGroupResponse(member_id=member_id, error_code=error)
