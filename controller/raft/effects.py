"""Events that go into RaftNode.step, and the effects that come out of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .election import ElectionState
    from .log import NewBatch
    from .messages import Message
    from .voters import ReplicaKey, VoterSet


class Tick(NamedTuple):
    """Time has passed; look at the deadlines."""


class Append(NamedTuple):
    """The leader's state machine has a batch of records for the log; they take the offsets from
    `end_offset` on.
    """

    values: Sequence[bytes]


class NameVoters(NamedTuple):
    """The leader writes the quorum's kraft.version and its voters, who stay the same nodes, into
    the log, where they stood in the configuration before.
    """

    kraft_version: int
    voters: VoterSet


class Unwritten(NamedTuple):
    """The batch that was to be appended at this offset could not be written: it is taken back, and
    with it what it said of the quorum.
    """

    base_offset: int
    kraft_version: int
    voters: VoterSet


class Flushed(NamedTuple):
    """The local log is durable up to `end_offset`."""

    end_offset: int


class Receive(NamedTuple):
    """A message from another node of the quorum."""

    source: ReplicaKey
    message: Message


class Resign(NamedTuple):
    """Give up leadership, to stop this node without a gap."""


Event: TypeAlias = Tick | Append | NameVoters | Unwritten | Flushed | Receive | Resign


class Outbound(NamedTuple):
    """A message for a node."""

    to: int
    message: Message


@dataclass(slots=True)
class Effects:
    """What the driver must do after a step, in this order, before the next step.

    1. `persist`: write the quorum-state file, durably. Votes and epochs that others are told of
       stand in it.
    2. `truncate_to`, then `append` and `append_fetched`: change the log. Need not be durable yet.
    3. `send` the messages.
    4. if `flush`: begin a flush; it may run while other steps happen; step(Flushed) when it is
       done.
    5. `commit`: records below this offset are committed; hand them to the listeners.
    Afterwards `RaftNode.deadline_ms` says when to step(Tick) at the latest.
    """

    persist: ElectionState | None = None
    truncate_to: int | None = None
    append: list[NewBatch] = field(default_factory=list)
    append_fetched: bytes = b""
    send: list[Outbound] = field(default_factory=list)
    flush: bool = False
    commit: int | None = None
