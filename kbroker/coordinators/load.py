"""One load: reads a partition's log into a coordinator's state, while the broker serves other
requests (Kafka's CoordinatorLoader).

A thread reads what is not in the page cache, and decompresses large batches. All other work is done
on the event loop in short turns, so that no request waits for longer than one of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import trio

from kbroker.storage import formats
from kbroker.storage.errors import CorruptBatch, InvalidRecord
from kbroker.storage.lone_records import lone_records

if TYPE_CHECKING:
    import logging

    from kbroker.partitions.turns import TimedTurn
    from kbroker.storage.batch import BatchHeader
    from kbroker.storage.disk import FileRange

    from .partition import LeaderReplica
    from .replay import Replay

TURN_S: Final = 0.001
READ_BYTES_MAX: Final = 256 * 1024
STEP_RECORDS: Final = 64  # between two looks at the clock
LARGE_BATCH_BYTES: Final = 16 * 1024  # compressed: it may take milliseconds to decompress


class Loaded(NamedTuple):
    """How much a load was."""

    start_offset: int
    end_offset: int
    record_count: int
    byte_count: int


class Load:
    """One load of one partition. A state that is only half loaded, because `run` was cancelled, is
    to be dropped.
    """

    def __init__(
        self,
        name: str,
        replica: LeaderReplica,
        replay: Replay,
        read_bytes_max: int,
        log: logging.Logger,
    ) -> None:
        self._name = name
        self._log = log
        self._replica = replica
        self._replay = replay
        self._read_bytes_max = min(read_bytes_max, READ_BYTES_MAX)
        self._start_offset = self._offset = replica.log_start_offset
        self._records = 0
        self._bytes = 0

    async def run(self, turn: TimedTurn) -> Loaded:
        """When it returns there is nothing in the log that is not in the state. After a
        StorageError it may be called again, and goes on where it was.
        """
        replica = self._replica
        while True:
            end_offset = replica.log_end_offset
            offset = max(self._offset, replica.log_start_offset)
            found = replica.read_local(offset, self._read_bytes_max)
            if found is not None:
                await self._take(await _read(found), turn)
                continue
            for _ in self._replay.flush():
                await turn.next()
            if end_offset == replica.log_end_offset:
                return Loaded(self._start_offset, end_offset, self._records, self._bytes)

    async def _take(self, chunk: bytes, turn: TimedTurn) -> None:
        """Its whole batches."""
        position = 0
        while True:
            step = lone_records(chunk, position, self._offset, STEP_RECORDS)
            if step.found:
                self._replay.take(step.found)
                self._records += len(step.found)
                position, self._offset = step.position, step.next_offset
            else:
                rest = memoryview(chunk)[position:]
                other = next(formats.batches(rest, partial_tail=True), None)
                if other is None:
                    break
                header, batch = other
                await self._take_batch(header, batch, turn)
                position, self._offset = position + len(batch), header.next_offset
            await turn.next()
        if not position:
            raise CorruptBatch(f"the log ends within the batch at offset {self._offset}")
        self._bytes += position

    async def _take_batch(self, header: BatchHeader, batch: memoryview, turn: TimedTurn) -> None:
        """One that cannot be read is left where it is."""
        try:
            if header.is_compressed and len(batch) >= LARGE_BATCH_BYTES:
                records = await trio.to_thread.run_sync(
                    formats.key_values, batch, header, abandon_on_cancel=True
                )
            else:
                records = formats.key_values(batch, header)
            for _ in self._replay.take_batch(header, records):
                self._records += 1
                await turn.next()
        except InvalidRecord as error:
            self._log.error(
                "%s: skipping the batch at offset %d: %s", self._name, header.base_offset, error
            )


async def _read(found: FileRange) -> bytes:
    if found.is_resident:
        return found.read()
    return await trio.to_thread.run_sync(found.read, abandon_on_cancel=True)
