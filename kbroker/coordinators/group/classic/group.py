"""One classic group: its members, its state, and which changes of state are legal (Kafka's
ClassicGroup).
"""

from __future__ import annotations

import logging
from collections import Counter
from enum import Enum
from struct import error as StructError
from typing import TYPE_CHECKING, Final

from kbroker.java_order import hash_map_order, string_hash
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.join_group import JoinGroupResponseMember

from .member import Member
from .subscription import CONSUMER_PROTOCOL, subscription_topics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kbroker.coordinators.deadlines import Deadline
    from kbroker.coordinators.group.deadlines import GroupEvent
    from kbroker.coordinators.result import Parked
    from kbroker.wire.messages.join_group import JoinGroupResponse
    from kbroker.wire.messages.offset_commit import OffsetCommitRequest

log = logging.getLogger("kbroker.groups")


class GroupState(Enum):
    """The values are what DescribeGroups and ListGroups say."""

    EMPTY = "Empty"  # no members; offsets may linger
    PREPARING_REBALANCE = "PreparingRebalance"  # waiting for members to join
    COMPLETING_REBALANCE = "CompletingRebalance"  # waiting for the leader's assignment
    STABLE = "Stable"
    DEAD = "Dead"  # no such group: never the state of one


_MAY_COME_FROM: Final = {
    GroupState.EMPTY: {GroupState.PREPARING_REBALANCE},
    GroupState.PREPARING_REBALANCE: {
        GroupState.STABLE,
        GroupState.COMPLETING_REBALANCE,
        GroupState.EMPTY,
    },
    GroupState.COMPLETING_REBALANCE: {GroupState.PREPARING_REBALANCE},
    GroupState.STABLE: {GroupState.COMPLETING_REBALANCE},
}


class ClassicGroup:
    """A group and its members. Methods keep its counts true; the rules of the protocol are in the
    other modules.
    """

    __slots__ = (
        "_supported",
        "awaiting_join_count",
        "generation_id",
        "group_id",
        "initial_delay",
        "join_due",
        "leader_id",
        "members",
        "new_member_added",
        "pending_joins",
        "pending_syncs",
        "previous_state",
        "protocol_name",
        "protocol_type",
        "state",
        "state_timestamp_ms",
        "static_members",
        "subscribed_topics",
        "sync_due",
    )

    def __init__(
        self,
        group_id: str,
        *,
        state: GroupState,
        state_timestamp_ms: int,
        join_due: Deadline[GroupEvent],
        sync_due: Deadline[GroupEvent],
        generation_id: int,
        protocol_type: str | None,
        protocol_name: str | None,
        leader_id: str | None,
    ) -> None:
        self.group_id = group_id
        self.state = state
        self.previous_state = GroupState.DEAD
        self.state_timestamp_ms = state_timestamp_ms  # -1: not known, in records of old versions
        self.generation_id = generation_id
        self.protocol_type = protocol_type  # None: nobody ever joined, the group only holds offsets
        self.protocol_name = protocol_name
        self.leader_id = leader_id
        self.members: dict[str, Member] = {}
        self.static_members: dict[str, str] = {}  # group.instance.id -> member id
        # Member ids that were given out, and with which their clients must come back.
        self.pending_joins: dict[str, Deadline[GroupEvent]] = {}
        self.pending_syncs: set[str] = set()
        self.awaiting_join_count = 0
        # Topics the members subscribe to; None if they are not known (another protocol, metadata
        # we cannot read).
        self.subscribed_topics: set[str] | None = None
        self.new_member_added = False  # while the initial delay ran: it may be prolonged
        self.initial_delay: tuple[int, int] | None = None  # (this delay, what remains), ms
        self.join_due = join_due
        self.sync_due = sync_due
        self._supported: dict[str, int] = {}  # protocol -> how many members have it

    # --- what it is

    @property
    def uses_consumer_protocol(self) -> bool:
        return self.protocol_type == CONSUMER_PROTOCOL

    @property
    def can_rebalance(self) -> bool:
        return self.state in _MAY_COME_FROM[GroupState.PREPARING_REBALANCE]

    @property
    def rebalance_timeout_ms(self) -> int:
        """The longest of its members'."""
        return max((member.rebalance_timeout_ms for member in self.members.values()), default=0)

    @property
    def has_all_joined(self) -> bool:
        return len(self.members) == self.awaiting_join_count and not self.pending_joins

    def is_subscribed_to(self, topic: str) -> bool:
        if self.subscribed_topics is None:
            return self.uses_consumer_protocol
        return topic in self.subscribed_topics

    def validate_member(self, member_id: str, instance_id: str | None) -> ErrorCode:
        """NONE, UNKNOWN_MEMBER_ID, or FENCED_INSTANCE_ID: another process has taken the instance
        id.
        """
        if instance_id is not None:
            current = self.static_members.get(instance_id)
            if current is None:
                return ErrorCode.UNKNOWN_MEMBER_ID
            if current != member_id:
                return ErrorCode.FENCED_INSTANCE_ID
        return ErrorCode.NONE if member_id in self.members else ErrorCode.UNKNOWN_MEMBER_ID

    def validate_offset_commit(self, request: OffsetCommitRequest) -> ErrorCode:
        """NONE, or why the group refuses the commit."""
        generation_id = request.generation_id_or_member_epoch
        if generation_id < 0 and self.state is GroupState.EMPTY:
            return ErrorCode.NONE
        if generation_id < 0 and not request.member_id and request.group_instance_id is None:
            # Not even an admin may move the offsets of members that are there.
            return ErrorCode.UNKNOWN_MEMBER_ID
        error = self.validate_member(request.member_id, request.group_instance_id)
        if error is not ErrorCode.NONE:
            return error
        if generation_id != self.generation_id:
            return ErrorCode.ILLEGAL_GENERATION
        if self.state is GroupState.COMPLETING_REBALANCE:
            return ErrorCode.REBALANCE_IN_PROGRESS
        return ErrorCode.NONE

    def supports(self, protocol_type: str, protocols: Sequence[tuple[str, bytes]]) -> bool:
        """Whether a member with these protocols could talk to all others."""
        names = _named_once(protocols)
        if self.state is GroupState.EMPTY:
            return protocol_type != "" and len(names) > 0
        size = len(self.members)
        return self.protocol_type == protocol_type and any(
            self._supported.get(name, 0) == size for name in names
        )

    # --- state

    def transition(self, state: GroupState, wall_ms: int) -> None:
        assert self.state in _MAY_COME_FROM[state], f"{self.group_id}: {self.state} -> {state}"
        self.previous_state = self.state
        self.state = state
        self.state_timestamp_ms = wall_ms

    def next_generation(self, wall_ms: int) -> None:
        """All who joined form the next generation; EMPTY if nobody did."""
        self.generation_id += 1
        self.protocol_name = self.select_protocol() if self.members else None
        self.subscribed_topics = self.compute_subscribed_topics()
        self.transition(
            GroupState.COMPLETING_REBALANCE if self.members else GroupState.EMPTY, wall_ms
        )
        self.pending_syncs.clear()

    # --- members

    def add(self, member: Member, parked: Parked[JoinGroupResponse] | None = None) -> None:
        if member.instance_id is not None:
            assert member.instance_id not in self.static_members, member.instance_id
            self.static_members[member.instance_id] = member.member_id
        if not self.members:
            self.protocol_type = member.protocol_type
        assert self.protocol_type == member.protocol_type, member.protocol_type
        if self.leader_id is None:
            self.leader_id = member.member_id
        self.members[member.member_id] = member
        self._count(member, 1)
        self.park_join(member, parked)
        self.pending_joins.pop(member.member_id, None)

    def remove(self, member_id: str) -> Member | None:
        """Forget a member, or one that was to become a member. The next one becomes the leader."""
        member = self.members.pop(member_id, None)
        if member is not None:
            self._count(member, -1)
            self.park_join(member, None)
            if member.instance_id is not None:
                del self.static_members[member.instance_id]
        if self.leader_id == member_id:
            self.leader_id = next(iter(self.members), None)
        self.pending_joins.pop(member_id, None)
        self.pending_syncs.discard(member_id)
        return member

    def replace_static(
        self, member: Member, new_member_id: str, session: Deadline[GroupEvent]
    ) -> Member:
        """A process with the same instance id takes a member's place; who waits is the caller's
        to answer.
        """
        assert member.instance_id is not None
        del self.members[member.member_id]
        self.park_join(member, None)
        replacement = Member(
            member_id=new_member_id,
            instance_id=member.instance_id,
            client_id=member.client_id,
            client_host=member.client_host,
            rebalance_timeout_ms=member.rebalance_timeout_ms,
            session_timeout_ms=member.session_timeout_ms,
            protocol_type=member.protocol_type,
            protocols=member.protocols,
            session=session,
            assignment=member.assignment,
        )
        self.members[new_member_id] = replacement
        if self.leader_id == member.member_id:
            self.leader_id = new_member_id
        self.static_members[member.instance_id] = new_member_id
        return replacement

    def update(
        self,
        member: Member,
        protocols: list[tuple[str, bytes]],
        rebalance_timeout_ms: int,
        session_timeout_ms: int,
        parked: Parked[JoinGroupResponse] | None,
    ) -> None:
        """What a member says of itself when it joins again."""
        self._count(member, -1)
        member.protocols = protocols
        self._count(member, 1)
        member.rebalance_timeout_ms = rebalance_timeout_ms
        member.session_timeout_ms = session_timeout_ms
        self.park_join(member, parked)

    def park_join(self, member: Member, parked: Parked[JoinGroupResponse] | None) -> None:
        """A member waits for the rebalance to complete; with None, no longer."""
        self.awaiting_join_count += (parked is not None) - (member.awaiting_join is not None)
        member.awaiting_join = parked

    def elect_joined_leader(self) -> bool:
        """Keep a leader who has joined, or take one who has; False if nobody has."""
        if self.leader_id is None:
            return False
        if self.members[self.leader_id].awaiting_join is not None:
            return True
        for member in self.members.values():
            if member.awaiting_join is not None:
                log.info(
                    "group %s: leader %s did not rejoin in time, the new leader is %s",
                    self.group_id,
                    self.leader_id,
                    member.member_id,
                )
                self.leader_id = member.member_id
                return True
        return False

    # --- protocols

    def _count(self, member: Member, change: int) -> None:
        for name in _named_once(member.protocols):
            self._supported[name] = self._supported.get(name, 0) + change
            if self._supported[name] == 0:
                del self._supported[name]

    def select_protocol(self) -> str | None:
        """Of the protocols everybody has, the one that most members like best."""
        size = len(self.members)
        candidates = {name for name, count in self._supported.items() if count == size}
        votes: dict[str, int] = {}
        for member in self.members.values():
            choice = member.vote(candidates)
            if choice is not None:
                votes[choice] = votes.get(choice, 0) + 1
        if len(votes) <= 1:
            return next(iter(votes), None)
        return max(hash_map_order(votes, string_hash), key=votes.__getitem__)

    def compute_subscribed_topics(self) -> set[str] | None:
        if not self.uses_consumer_protocol:
            return None
        if not self.members:
            return set()
        if self.protocol_name is None:
            return None
        topics: set[str] = set()
        try:
            for member in self.members.values():
                topics.update(subscription_topics(member.metadata(self.protocol_name)))
        except (StructError, ValueError) as error:
            log.warning(
                "group %s: cannot read the subscriptions of protocol %s: %s",
                self.group_id,
                self.protocol_name,
                error,
            )
            return None
        return topics

    def joined_members(self) -> list[JoinGroupResponseMember]:
        """What the leader is told to compute assignments from."""
        protocol = self.protocol_name
        assert protocol is not None
        return [
            JoinGroupResponseMember(
                member_id=member.member_id,
                group_instance_id=member.instance_id,
                metadata=member.metadata(protocol),
            )
            for member in self.members.values()
        ]


def _named_once(protocols: Sequence[tuple[str, bytes]]) -> set[str]:
    """The protocols that a group may agree on. Kafka counts one that a member names twice for two
    members, and so takes another; where there is none it never answers.
    """
    times = Counter(name for name, _ in protocols)
    return {name for name, count in times.items() if count == 1}
