"""What a decision returns: records and a response."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from kbroker.wire.message import Message

T_co = TypeVar("T_co", covariant=True)


class Result(NamedTuple, Generic[T_co]):
    """Nothing has changed yet. The records go into the log."""

    records: tuple[Message, ...]
    response: T_co
    # The level at which the quorum is to run from now on; it is written before the records.
    kraft_version: int | None = None
