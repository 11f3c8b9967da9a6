"""How the records of a log get into a shard while its partition is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable, Iterator

    from kbroker.storage.batch import BatchHeader, KeyValue

REASONS_NAMED_MAX: Final = 32  # to skip a record, in the one line that is logged of it


class UnreadableValue(Exception):
    """The last value of a key cannot be read. Raised only by a Replay that keeps the latest values:
    the load must start over and replay each record at its place.
    """


class Replay(Protocol):
    """One pass over the log of one partition, into one shard."""

    skipped: Counter[str]
    """Records that the coordinator does not use, by reason (see `count_skipped`)."""

    def take(self, records: Iterable[KeyValue]) -> None:
        """(offset, key, value) of records of no producer, in their order."""
        ...

    def take_batch(self, header: BatchHeader, records: Iterable[KeyValue]) -> Iterator[None]:
        """Any batch, a record at a time. InvalidRecord where its records are broken."""
        ...

    def flush(self) -> Iterator[None]:
        """Put into the shard what was kept back, a step at a time. UnreadableValue."""
        ...


def count_skipped(skipped: Counter[str], reason: str, count: int) -> None:
    """Name the first few reasons, and count the rest together."""
    if reason not in skipped and len(skipped) >= REASONS_NAMED_MAX:
        reason = "others"
    skipped[reason] += count
