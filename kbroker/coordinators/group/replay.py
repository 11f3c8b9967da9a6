"""Replays a partition's log into a group shard, from its start to its end.

Of each key only the last value counts, and most values in a log are replaced by later ones. Plain
commits and groups are therefore kept as bytes by their keys, and decoded at the end (`flush`).
Records whose order matters are replayed at their place. A tombstone first replays the kept value of
its key, so that the group of a commit exists. All records of transactions are replayed at their
place, because their commits count from the transaction's marker on.

The state is the same as if each record had been replayed, with one exception: if the last value of
a key cannot be read, an earlier one is still in force. `UnreadableValue` reports that, and the
loader starts over with `keeps_latest` off.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from kbroker.coordinators.replay import UnreadableValue, count_skipped
from kbroker.storage import batch as record_batch
from kbroker.storage.batch import NO_PRODUCER_ID, ControlType
from kbroker.wire.errors import ProtocolError

from . import records as group_records
from .records import UnknownRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kbroker.storage.batch import BatchHeader, KeyValue

    from .shard import GroupShard


class GroupReplay:
    """One pass over one log."""

    def __init__(self, shard: GroupShard, *, keeps_latest: bool = True) -> None:
        self._shard = shard
        self._keeps_latest = keeps_latest
        self._latest: dict[bytes, tuple[int, bytes]] = {}  # key -> offset and value
        self.skipped: Counter[str] = Counter()  # records that are not used, by reason

    def take(self, records: Iterable[KeyValue]) -> None:
        """(offset, key, value) of records of no producer, in their order."""
        latest = self._latest
        for offset, key, value in records:
            if value is not None and key in latest:
                latest[key] = (offset, value)
            else:
                self._take_other(offset, key, value)

    def take_batch(self, header: BatchHeader, records: Iterable[KeyValue]) -> Iterator[None]:
        """Any batch, record by record. What is before a broken record is taken."""
        if header.is_control:
            # What is kept is later than what the transaction committed, and is taken over it.
            for _, key, _ in records:
                kind = record_batch.control_type(key)
                if kind in (ControlType.COMMIT, ControlType.ABORT):
                    is_commit = kind is ControlType.COMMIT
                    self._shard.end_transaction(header.producer_id, is_commit=is_commit)
            return
        is_plain = header.producer_id == NO_PRODUCER_ID
        if not is_plain:
            yield from self.flush()
        for record in records:
            if is_plain:
                self.take((record,))
            else:
                self._replay(*record, header.producer_id)
            yield

    def flush(self) -> Iterator[None]:
        """Take what is kept into the shard. UnreadableValue."""
        for key in list(self._latest):  # in their order, and each let go of in its step
            self._replay_kept(key, *self._latest.pop(key))
            yield

    def _take_other(self, offset: int, key: bytes | None, value: bytes | None) -> None:
        """A tombstone, or the first value of a key."""
        if key is None or not self._keeps_latest:
            self._replay(offset, key, value, NO_PRODUCER_ID)
            return
        key = group_records.modern_key(key)
        if value is not None and group_records.is_known(key):
            self._latest[key] = (offset, value)
            return
        kept = self._latest.pop(key, None)
        if kept is not None:
            self._replay_kept(key, *kept)
        self._replay(offset, key, value, NO_PRODUCER_ID)

    def _replay_kept(self, key: bytes, offset: int, value: bytes) -> None:
        try:
            record = group_records.decode(key, value)
        except (UnknownRecord, ProtocolError) as error:
            raise UnreadableValue(str(error)) from error
        self._shard.replay(record, offset)

    def _replay(
        self, offset: int, key: bytes | None, value: bytes | None, producer_id: int
    ) -> None:
        if key is None:
            self._skip("record without a key")
            return
        try:
            record = group_records.decode(key, value)
        except (UnknownRecord, ProtocolError) as error:
            self._skip(str(error))
        else:
            self._shard.replay(record, offset, producer_id)

    def _skip(self, reason: str) -> None:
        count_skipped(self.skipped, reason, 1)
