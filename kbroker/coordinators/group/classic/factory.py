"""Makes groups and the sessions of their members, with deadlines that are their shard's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbroker.coordinators.deadlines import Deadline
from kbroker.coordinators.group.deadlines import JoinDue, SessionDue, SyncDue

from .group import ClassicGroup, GroupState
from .member import Member

if TYPE_CHECKING:
    from kbroker.coordinators.deadlines import DeadlineOwner
    from kbroker.coordinators.group.deadlines import GroupEvent
    from kbroker.coordinators.group.records import GroupStored


class GroupFactory:
    """The maker of the groups of one shard."""

    def __init__(self, owner: DeadlineOwner) -> None:
        """`owner`: the shard."""
        self._owner = owner

    def new_group(
        self,
        group_id: str,
        state: GroupState,
        state_timestamp_ms: int,
        *,
        generation_id: int = 0,
        protocol_type: str | None = None,
        protocol_name: str | None = None,
        leader_id: str | None = None,
    ) -> ClassicGroup:
        return ClassicGroup(
            group_id,
            state=state,
            state_timestamp_ms=state_timestamp_ms,
            join_due=Deadline(self._owner, JoinDue(group_id)),
            sync_due=Deadline(self._owner, SyncDue(group_id, generation_id)),
            generation_id=generation_id,
            protocol_type=protocol_type,
            protocol_name=protocol_name,
            leader_id=leader_id,
        )

    def new_session(self, group_id: str, member_id: str) -> Deadline[GroupEvent]:
        return Deadline(self._owner, SessionDue(group_id, member_id))

    def from_record(self, record: GroupStored) -> ClassicGroup:
        """A group as the log knows it."""
        value = record.value
        group = self.new_group(
            record.group_id,
            GroupState.STABLE if value.members else GroupState.EMPTY,
            value.current_state_timestamp,
            generation_id=value.generation,
            protocol_type=value.protocol_type or None,
            protocol_name=value.protocol,
            leader_id=value.leader,
        )
        for member in value.members:
            rebalance_timeout_ms = member.rebalance_timeout
            if rebalance_timeout_ms == -1:  # version 0 of the record
                rebalance_timeout_ms = member.session_timeout
            group.add(
                Member(
                    member_id=member.member_id,
                    instance_id=member.group_instance_id,
                    client_id=member.client_id,
                    client_host=member.client_host,
                    rebalance_timeout_ms=rebalance_timeout_ms,
                    session_timeout_ms=member.session_timeout,
                    protocol_type=value.protocol_type,
                    protocols=[(value.protocol or "", member.subscription)],
                    session=self.new_session(record.group_id, member.member_id),
                    assignment=member.assignment,
                )
            )
        group.subscribed_topics = group.compute_subscribed_topics()
        return group
