"""What goes into a decision of a coordinator's state machine, and what comes out of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

RecordT = TypeVar("RecordT")
OnCommitT = TypeVar("OnCommitT")
ResponseT = TypeVar("ResponseT")
AnswerT = TypeVar("AnswerT")


class Now(NamedTuple):
    """The time of a decision."""

    timer_ms: int  # of the monotonic clock that deadlines run on
    wall_ms: int  # since the Unix epoch: what records and retention go by


class Parked(Generic[ResponseT]):
    """A request whose answer comes later. The runtime makes one that wakes the waiting task."""

    __slots__ = ("response",)

    def __init__(self) -> None:
        self.response: ResponseT | None = None

    def answer(self, response: ResponseT) -> None:
        self.response = response


@dataclass(slots=True)
class Result(Generic[RecordT, OnCommitT, ResponseT]):
    """What a decision produced.

    `response` goes out once `records` are committed, `answers` at once. No response: the request is
    parked, or there was none. `on_commit` goes to the shard's `committed` or `failed` when it is
    known what became of the records.
    """

    now: Now
    response: ResponseT | None = None
    records: list[RecordT] = field(default_factory=list)
    answers: list[tuple[Parked[Any], Any]] = field(default_factory=list)
    on_commit: OnCommitT | None = None

    def answer(self, parked: Parked[AnswerT], response: AnswerT) -> None:
        self.answers.append((parked, response))
