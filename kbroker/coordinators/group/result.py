"""What goes into a decision and what comes out of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from kbroker.wire.messages.join_group import JoinGroupResponse
    from kbroker.wire.messages.sync_group import SyncGroupResponse

    from .classic_group import ClassicGroup
    from .records import Record

ResponseT = TypeVar("ResponseT")
ParkedT = TypeVar("ParkedT")


class Now(NamedTuple):
    """The time of a decision."""

    timer_ms: int  # of the monotonic clock that timers run on
    wall_ms: int  # since the Unix epoch: what records and retention go by


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks: what a member's description says of its client, and the version it speaks."""

    client_id: str
    host: str  # as Java prints an address: "/127.0.0.1"
    api_version: int


class Parked(Generic[ParkedT]):
    """A request whose answer comes later. The driver makes one that wakes the waiting task."""

    __slots__ = ("response",)

    def __init__(self) -> None:
        self.response: ParkedT | None = None

    def answer(self, response: ParkedT) -> None:
        self.response = response


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


Committed = GroupCreated | AssignmentStored | StaticMemberStored


@dataclass(slots=True)
class Result(Generic[ResponseT]):
    """What a decision produced.

    `response` goes out once `records` are committed, `answers` at once. None: the request is
    parked, or there was none. `then` goes to GroupShard.committed or GroupShard.failed when it is
    known what became of the records.
    """

    now: Now
    response: ResponseT | None = None
    records: list[Record] = field(default_factory=list)
    join_answers: list[tuple[Parked[JoinGroupResponse], JoinGroupResponse]] = field(
        default_factory=list
    )
    sync_answers: list[tuple[Parked[SyncGroupResponse], SyncGroupResponse]] = field(
        default_factory=list
    )
    then: Committed | None = None
