"""The checks of `kbroker dump --verify`: what is wrong with a segment or an index.

Problems are returned one at a time. Only the current batch is kept in memory.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kbroker.storage import names
from kbroker.storage.batch import HEADER
from kbroker.storage.errors import StorageError
from kbroker.storage.formats import SIZE_MIN, check_header, read_header
from kbroker.storage.legacy import NO_COUNT

from .files import offset_index_rows, time_index_rows
from .segments import Damage, Found, batches, record_rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from kbroker.commands.shared.progress import Meter

    from .decoders import Decoder


class SegmentCheck:
    """CRCs, records, and that offsets ascend."""

    def __init__(self, path: str, decoder: Decoder | None) -> None:
        self.batches = 0
        self.records = 0
        self._path = path
        self._decoder = decoder

    def problems(self, progress: Meter) -> Iterator[str]:
        last_offset = -1
        with open(self._path, "rb") as file:
            for found in batches(file):
                if isinstance(found, Damage):
                    if not found.is_room:
                        yield f"at position {found.position}: {found.reason}"
                    return
                self.batches += 1
                header = found.header
                base_offset = found.base_offset
                where = f"the batch with offset {base_offset} at position {found.position}"
                if base_offset <= last_offset:
                    yield f"{where}: the previous batch ends at offset {last_offset}"
                last_offset = header.last_offset
                if found.flaw is not None:
                    yield f"{where}: {found.flaw}"
                else:
                    yield from self._record_problems(found, where)
                progress.update(found.position + header.size_bytes, self.records, found.position)

    def _record_problems(self, found: Found, where: str) -> Iterator[str]:
        header = found.header
        count, before = 0, found.base_offset - 1
        for row in record_rows(self._path, found, self._decoder):
            if row["kind"] == "damage":
                yield f"{where}: {row['reason']}"
                return
            offset = row["offset"]
            assert isinstance(offset, int)
            count += 1
            if not before < offset <= header.last_offset:
                yield f"{where}: a record with offset {offset} follows offset {before}"
            before = offset
            if row["undecoded"] is not None:
                yield f"{where}: the record of offset {offset}: {row['undecoded']}"
        self.records += count
        if header.record_count not in (count, NO_COUNT):
            yield f"{where}: it holds {count} records, but its header says {header.record_count}"


def offset_index_problems(path: str, base_offset: int) -> Iterator[str]:
    """Entries ascend, and each points at the beginning of a batch that is not behind its offset."""
    log = _log_of(path)
    last_offset = last_position = -1
    with open(log, "rb") as file:
        for row in offset_index_rows(path, base_offset):
            offset, position = row["offset"], row["position"]
            assert isinstance(offset, int)
            assert isinstance(position, int)
            if offset <= last_offset or (position <= last_position and last_position >= 0):
                yield (
                    f"the entry for offset {offset} at position {position} comes after the one for "
                    f"{last_offset} at {last_position}"
                )
            last_offset, last_position = offset, position
            reason = _no_batch(file, position, offset)
            if reason is not None:
                yield f"the entry for offset {offset} points at position {position}, where {reason}"


def _no_batch(file: BinaryIO, position: int, offset: int) -> str | None:
    file.seek(position)
    head = file.read(HEADER)
    if len(head) < SIZE_MIN:
        return "the log has ended"
    header = read_header(head)
    try:
        check_header(header)
    except StorageError as error:
        return f"no batch begins ({error})"
    if not header.base_offset <= offset:
        return f"a batch begins with offset {header.base_offset}"
    return None


def time_index_problems(path: str, base_offset: int) -> Iterator[str]:
    """Entries ascend, and the largest timestamp up to an entry's offset is the entry's."""
    last_timestamp = last_offset = -1
    largest = -1
    with open(_log_of(path), "rb") as file:
        found = batches(file)
        reached = base_offset - 1
        for row in time_index_rows(path, base_offset):
            timestamp, offset = row["timestamp"], row["offset"]
            assert isinstance(timestamp, int)
            assert isinstance(offset, int)
            if timestamp <= last_timestamp or offset < last_offset:
                yield (
                    f"the entry for timestamp {timestamp} at offset {offset} comes after the "
                    f"one for {last_timestamp} at {last_offset}"
                )
            last_timestamp, last_offset = timestamp, offset
            while reached < offset:
                batch = next(found, None)
                if not isinstance(batch, Found):
                    yield (
                        f"the entry for timestamp {timestamp} points at offset {offset}, which is "
                        "not in the log"
                    )
                    return
                reached = batch.header.last_offset
                largest = max(largest, batch.header.max_timestamp)
            if largest != timestamp:
                yield (
                    f"the entry for timestamp {timestamp} at offset {offset} is wrong: the largest "
                    f"timestamp up to there is {largest}"
                )


def _log_of(path: str) -> str:
    return os.path.splitext(path)[0] + names.LOG
