"""The deadlines of a coordinator, in one heap.

Most deadlines are put off again and again, so that costs nothing: it only writes the new time. The
heap keeps the earlier time. When that has come, it finds the new one and puts the deadline there.
Times are milliseconds of a monotonic clock.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

EventT = TypeVar("EventT")

NEVER: Final = 1 << 62
_STALE_MIN: Final = 256  # below this, stale entries are not worth a rebuild


class DeadlineOwner(Protocol):
    """The shard whose deadline it is."""

    @property
    def index(self) -> int:
        """Of its partition."""
        ...


class Deadline(Generic[EventT]):
    """A time at which `event` happens to `owner`; set and cancelled through Deadlines."""

    __slots__ = ("armed_ms", "due_ms", "event", "owner")

    def __init__(self, owner: DeadlineOwner, event: EventT) -> None:
        self.owner = owner
        self.event = event
        self.due_ms: int = NEVER
        self.armed_ms: int = NEVER  # of its entry in the heap; never later than due_ms


class Deadlines(Generic[EventT]):
    """All deadlines of one coordinator."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Deadline[EventT]]] = []
        self._pushed = 0
        self._stale = 0

    def __len__(self) -> int:
        return len(self._heap)

    def set(self, deadline: Deadline[EventT], due_ms: int) -> None:
        """Put a deadline at due_ms, wherever it was. O(1) if that is no earlier than before."""
        deadline.due_ms = due_ms
        if due_ms < deadline.armed_ms:
            if deadline.armed_ms != NEVER:
                self._stale += 1
            deadline.armed_ms = due_ms
            self._pushed += 1
            heapq.heappush(self._heap, (due_ms, self._pushed, deadline))

    def cancel(self, deadline: Deadline[EventT]) -> None:
        deadline.due_ms = NEVER
        if deadline.armed_ms != NEVER:
            deadline.armed_ms = NEVER
            self._stale += 1
            if self._stale > _STALE_MIN and self._stale * 2 > len(self._heap):
                self._rebuild()

    def next_ms(self) -> int:
        """When `expired` may have something to say; NEVER if nothing is set."""
        return self._heap[0][0] if self._heap else NEVER

    def expired(self, now_ms: int) -> Iterator[Deadline[EventT]]:
        """The deadlines that are due. What is set to a time already past meanwhile is for the
        next call.
        """
        for _ in range(len(self._heap)):
            if not self._heap or self._heap[0][0] > now_ms:
                return
            armed_ms, _, deadline = heapq.heappop(self._heap)
            if deadline.armed_ms != armed_ms:
                self._stale -= 1
                continue
            deadline.armed_ms = NEVER
            if deadline.due_ms > now_ms:
                self.set(deadline, deadline.due_ms)
            else:
                deadline.due_ms = NEVER
                yield deadline

    def _rebuild(self) -> None:
        # A cancelled deadline that was set again to the same time has two equal entries: keep one.
        live: dict[int, tuple[int, int, Deadline[EventT]]] = {}
        for entry in self._heap:
            if entry[2].armed_ms == entry[0]:
                live[id(entry[2])] = entry
        self._heap = list(live.values())
        heapq.heapify(self._heap)
        self._stale = 0
