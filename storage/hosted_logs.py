"""The logs in one log directory: the open ones, and those that were found and are not open yet.

A log directory has two of these: one for its logs, one for the future logs. A future log is a copy
that is on its way here from another log directory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .checkpoints import Partition
    from .log import Log


class HostedLogs:
    """`opened` has the open logs, `found` the paths of the directories of all others."""

    __slots__ = ("found", "opened")

    def __init__(self, found: dict[Partition, str]) -> None:
        self.opened: dict[Partition, Log] = {}
        self.found = found

    def __len__(self) -> int:
        return len(self.opened) + len(self.found)

    def holds(self, topic: str, partition: int) -> bool:
        """Whether the partition has a directory here."""
        return (topic, partition) in self.opened or (topic, partition) in self.found

    def partitions(self) -> list[Partition]:
        """All that have a directory here."""
        return sorted(self.found.keys() | self.opened.keys())

    def add(self, log: Log) -> None:
        """The log was opened, or made."""
        key = (log.topic, log.partition)
        self.opened[key] = log
        self.found.pop(key, None)

    def has_open(self, log: Log) -> bool:
        """Whether this log object is the partition's."""
        return self.opened.get((log.topic, log.partition)) is log

    def clear(self) -> None:
        self.opened.clear()
        self.found.clear()
