"""Failures planted where nobody foresees one: in the broker's own functions, as they are called for
one part of a request.

A `Watch` looks at every call that is made for a request. What a call is about, its arguments say:
the name or the id of a topic, the index of a partition, a group, a member, a path, or an object
that has one of these. A call that is about one part, and about no other, is a seam, but for those
that catch what fails (with `refusal`), and those that `NO_SEAMS` names.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from inspect import CO_ASYNC_GENERATOR, CO_COROUTINE, CO_GENERATOR
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import kbroker

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import CodeType, FrameType

    Part = str | int

_PACKAGE: Final = os.path.dirname(kbroker.__file__) + os.sep
_WIRE: Final = os.path.join(_PACKAGE, "wire") + os.sep  # messages: they hold values
_RESUMED: Final = CO_COROUTINE | CO_GENERATOR | CO_ASYNC_GENERATOR
_DISPATCH: Final = os.path.join(_PACKAGE, "server", "dispatch.py")
NO_SEAMS: Final = {
    "FetchPartition.__init__": "holds values",
    "Partition.add_waiter": "puts into a set",
    "Partition.remove_waiter": "takes out of a set",
    "_path": "is what an answer calls its directory by",
    "ClassicGroup._count": "is the middle of a change of a group's members",
    "ClassicGroup.park_join": "is the middle of a change of a group's members",
    "_Answer.add_by_name": "hands over to those that catch what fails",
    "_Answer.add_by_id": "hands over to those that catch what fails",
    "hash_map_order.<locals>.bucket": "is about the order of all",
    "string_hash": "is about the order of all",
    "topic_partition_hash": "is about the order of all",
}
_GUARDS: Final = {"refusal", "_refused"}
# What is in the log is replayed, and cannot be refused any more.
_REPLAYS: Final = ("MetadataImage.apply", "GroupShard.replay")
# What objects are about.
_ATTRIBUTES: Final = (
    "topic",
    "name",
    "topic_name",
    "topic_id",
    "index",
    "partition",
    "partition_index",
    "group_id",
    "resource_name",
    "member_id",
    "path",
    "directory",
)


class Planted(Exception):
    """A failure that no code of the broker knows."""


class Seam(NamedTuple):
    """One call of a function for the part; of several the first or the last."""

    code: CodeType
    nth: int

    def __str__(self) -> str:
        return f"{self.code.co_qualname} of {self.code.co_filename}, call {self.nth}"


class Watch:
    """While it is entered: counts the calls for the part `bad`, and fails one of them.

    `names` are the parts of the request by all that they are known by: what a request says of
    them, ids, paths.
    """

    def __init__(
        self,
        names: Mapping[object, Part],
        bad: Part,
        seam: Seam | None = None,
        failure: Exception | None = None,
    ) -> None:
        self.has_failed = False
        self._names = names
        self._bad = {bad}
        self._seam = seam
        self._failure = failure or Planted("planted")
        self._calls: Counter[CodeType] = Counter()
        self._begun: list[FrameType] = []

    def __enter__(self) -> Watch:
        self._before = sys.gettrace()
        sys.settrace(self._on_event)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)
        self._begun.clear()

    @property
    def seams(self) -> list[Seam]:
        """In the order of their first calls."""
        return [
            Seam(code, nth)
            for code, calls in self._calls.items()
            for nth in dict.fromkeys((1, calls))
        ]

    def _on_event(self, frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if (
            event != "call"
            or not code.co_filename.startswith(_PACKAGE)
            or code.co_filename.startswith(_WIRE)
            or code.co_qualname in NO_SEAMS
            or not _GUARDS.isdisjoint(code.co_names)
            or (self._seam is not None and (self.has_failed or code is not self._seam.code))
            or not self._is_about_the_part(frame)
            or not _serves_a_request(frame)
        ):
            return
        if code.co_flags & _RESUMED:
            if any(frame is each for each in self._begun):
                return  # it goes on
            self._begun.append(frame)
        self._calls[code] += 1
        if self._seam is not None and self._calls[code] == self._seam.nth:
            self.has_failed = True
            raise self._failure

    def _is_about_the_part(self, frame: FrameType) -> bool:
        code = frame.f_code
        count = code.co_argcount + code.co_kwonlyargcount
        values = frame.f_locals
        found: set[Part] = set()
        for name in code.co_varnames[:count]:
            if name in values:
                self._look(values[name], found)
        return found == self._bad

    def _look(self, value: object, found: set[Part]) -> None:
        if isinstance(value, (str, bytes, int)):
            self._look_up(value, found)
        elif isinstance(value, tuple):
            for each in value:
                self._look_up(each, found)
        else:
            for name in _ATTRIBUTES:
                self._look_up(getattr(value, name, None), found)

    def _look_up(self, value: Any, found: set[Part]) -> None:
        if type(value) not in (str, bytes, int):
            return
        part = self._names.get(value)
        if part is None and type(value) is str and "/" in value:
            # A file lies below what it belongs to: /data/topic-0/00000000000000000000.log
            pieces = value.split("/")
            part = next((self._names[each] for each in pieces if each in self._names), None)
        if part is not None:
            found.add(part)


def _serves_a_request(frame: FrameType) -> bool:
    """Rather than being something that the broker does beside it, or has to do behind it."""
    caller: FrameType | None = frame
    while caller is not None:
        code = caller.f_code
        if code.co_filename == _DISPATCH:
            return True
        if code.co_qualname in _REPLAYS:
            return False
        caller = caller.f_back
    return False
