"""What a decision produced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from kbroker.wire.message import Message

T = TypeVar("T")


class Result(NamedTuple, Generic[T]):
    """Nothing has changed yet. The records go into the log as one batch, all or none."""

    records: tuple[Message, ...]
    response: T
