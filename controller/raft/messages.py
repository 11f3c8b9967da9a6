"""Messages between quorum nodes, reduced to what Raft needs. A transport maps them to Kafka's RPCs.

Vote (52), BeginQuorumEpoch (53), EndQuorumEpoch (54), Fetch (1). Each reply carries the epoch of
the answering node and the leader that it knows. From that, a node that is behind learns the new
epoch.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from .log import LogPosition

if TYPE_CHECKING:
    from .voters import ReplicaKey


class Refusal(Enum):
    """Why a request was not served. Names as in Kafka's error codes."""

    NONE = "NONE"
    FENCED_LEADER_EPOCH = "FENCED_LEADER_EPOCH"
    UNKNOWN_LEADER_EPOCH = "UNKNOWN_LEADER_EPOCH"
    NOT_LEADER_OR_FOLLOWER = "NOT_LEADER_OR_FOLLOWER"
    INVALID_REQUEST = "INVALID_REQUEST"
    INVALID_VOTER_KEY = "INVALID_VOTER_KEY"
    SNAPSHOT_NEEDED = "SNAPSHOT_NEEDED"


class Vote(NamedTuple):
    epoch: int
    candidate: ReplicaKey
    voter: ReplicaKey
    log_end: LogPosition
    pre_vote: bool


class VoteReply(NamedTuple):
    epoch: int
    leader_id: int | None
    granted: bool
    pre_vote: bool
    refusal: Refusal = Refusal.NONE


class BeginQuorumEpoch(NamedTuple):
    epoch: int
    leader_id: int
    voter: ReplicaKey


class BeginQuorumEpochReply(NamedTuple):
    epoch: int
    leader_id: int | None
    refusal: Refusal = Refusal.NONE


class EndQuorumEpoch(NamedTuple):
    epoch: int
    leader_id: int
    successors: tuple[int, ...]


class EndQuorumEpochReply(NamedTuple):
    epoch: int
    leader_id: int | None
    refusal: Refusal = Refusal.NONE


class Fetch(NamedTuple):
    """A replica asks for records from `offset` on. With it, it promises that all before `offset` is
    durable.
    """

    epoch: int
    replica: ReplicaKey
    offset: int
    last_epoch: int
    max_wait_ms: int = 0

    @property
    def log_end(self) -> LogPosition:
        return LogPosition(self.last_epoch, self.offset)


class FetchedBatch(NamedTuple):
    """A batch of a fetch reply: where it lies; its bytes travel beside."""

    epoch: int
    base_offset: int
    end_offset: int


class FetchReply(NamedTuple):
    """`read_from` asks the sending driver to put log bytes from that offset into `records`.

    `batches` says what those bytes hold; the receiving driver fills it in when it has checked them.
    `asked` is the fetch's log end: a follower whose log has moved on since must not act on the
    answer.
    """

    epoch: int
    leader_id: int | None
    asked: LogPosition
    refusal: Refusal = Refusal.NONE
    diverging: LogPosition | None = None
    high_watermark: int = -1
    read_from: int | None = None
    records: bytes = b""
    batches: tuple[FetchedBatch, ...] = ()


Message: TypeAlias = (
    Vote
    | VoteReply
    | BeginQuorumEpoch
    | BeginQuorumEpochReply
    | EndQuorumEpoch
    | EndQuorumEpochReply
    | Fetch
    | FetchReply
)
