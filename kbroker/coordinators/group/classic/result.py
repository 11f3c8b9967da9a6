"""What decisions about groups come back with once their records are committed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from kbroker.coordinators.group.records import Record
from kbroker.coordinators.result import ResponseT, Result

if TYPE_CHECKING:
    from kbroker.coordinators.result import Parked
    from kbroker.wire.messages.join_group import JoinGroupResponse

    from .group import ClassicGroup

# Each holds its group itself: one of the same name may have been made since.


@dataclass(frozen=True, slots=True)
class GroupCreated:
    """A group that a JoinGroup created is in the log."""

    group: ClassicGroup


@dataclass(frozen=True, slots=True)
class AssignmentStored:
    """The leader's assignment is in the log: the generation can become stable."""

    group: ClassicGroup
    generation_id: int
    assignment: dict[str, bytes]


@dataclass(frozen=True, slots=True)
class StaticMemberStored:
    """A static member's new id is in the log, and needs no rebalance (KIP-345)."""

    group: ClassicGroup
    old_member_id: str
    new_member_id: str
    old_leader_id: str
    old_rebalance_timeout_ms: int
    old_session_timeout_ms: int
    old_protocols: list[tuple[str, bytes]]
    parked: Parked[JoinGroupResponse]
    api_version: int


OnCommit = GroupCreated | AssignmentStored | StaticMemberStored

GroupResult: TypeAlias = Result[Record, OnCommit, ResponseT]
