"""Indexes, producer snapshots and checkpoints, as rows; and what is wrong with an index.

The files are read as they lie there; nothing is mapped, trimmed or repaired.
"""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import TYPE_CHECKING

from kbroker.storage import checkpoints, names
from kbroker.storage.batch import HEADER, BatchHeader, check_header
from kbroker.storage.disk import OsDisk
from kbroker.storage.errors import CorruptFile, StorageError
from kbroker.storage.producer_snapshot import decode_snapshot
from kbroker.storage.txn_index import TransactionIndex

from .dump_segments import Found, batches

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from .output import Json

_OFFSET_ENTRY = struct.Struct(">ii")
_TIME_ENTRY = struct.Struct(">qi")
_READ_ENTRIES = 8192


def offset_index_rows(path: str, base_offset: int) -> Iterator[dict[str, Json]]:
    for relative, position in _entries(path, _OFFSET_ENTRY):
        yield {
            "kind": "offset_index",
            "file": path,
            "offset": base_offset + relative,
            "position": position,
        }


def time_index_rows(path: str, base_offset: int) -> Iterator[dict[str, Json]]:
    for timestamp, relative in _entries(path, _TIME_ENTRY):
        yield {
            "kind": "time_index",
            "file": path,
            "timestamp": timestamp,
            "offset": base_offset + relative,
        }


def _entries(path: str, entry: struct.Struct) -> Iterator[tuple[int, ...]]:
    """Up to the zeros that an active segment's index has behind its entries."""
    with open(path, "rb") as file:
        while part := file.read(entry.size * _READ_ENTRIES):
            whole = len(part) - len(part) % entry.size
            for fields in entry.iter_unpack(part[:whole]):
                if not any(fields):
                    return
                yield fields
            if whole < len(part):
                raise CorruptFile(path, f"{len(part) - whole} bytes after the last entry")


def transaction_index_rows(path: str, base_offset: int) -> Iterator[dict[str, Json]]:
    for aborted in TransactionIndex(OsDisk(), path, base_offset).records():
        yield {"kind": "transaction_index", "file": path, **aborted._asdict()}


def snapshot_rows(path: str) -> Iterator[dict[str, Json]]:
    for entry in decode_snapshot(Path(path).read_bytes(), path):
        yield {"kind": "producer", "file": path, **entry._asdict()}


def epoch_rows(path: str) -> Iterator[dict[str, Json]]:
    for epoch, start_offset in checkpoints.read_leader_epochs(OsDisk(), path):
        yield {"kind": "leader_epoch", "file": path, "epoch": epoch, "start_offset": start_offset}


def checkpoint_rows(path: str) -> Iterator[dict[str, Json]]:
    for (topic, partition), offset in checkpoints.read_offsets(OsDisk(), path).items():
        yield {
            "kind": "checkpoint",
            "file": path,
            "topic": topic,
            "partition": partition,
            "offset": offset,
        }


def properties_rows(path: str) -> Iterator[dict[str, Json]]:
    """meta.properties and partition.metadata: lines of `key=value` or `key: value`."""
    separator = "=" if os.path.basename(path) == checkpoints.META_PROPERTIES else ":"
    for line in Path(path).read_text().splitlines():
        key, found, value = line.partition(separator)
        if found and not line.startswith("#"):
            yield {"kind": "property", "file": path, "key": key.strip(), "value": value.strip()}


def json_rows(path: str) -> Iterator[dict[str, Json]]:
    """quorum-state and .kafka_cleanshutdown: an object."""
    try:
        document = json.loads(Path(path).read_text())
    except ValueError as error:
        raise CorruptFile(path, f"no JSON: {error}") from error
    if not isinstance(document, dict):
        raise CorruptFile(path, "no JSON object")
    for key, value in document.items():
        yield {"kind": "property", "file": path, "key": key, "value": value}


# What is wrong with an index, next to the segment's log.


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
                yield f"entry {offset} at {position} comes after {last_offset} at {last_position}"
            last_offset, last_position = offset, position
            reason = _no_batch(file, position, offset)
            if reason is not None:
                yield f"entry {offset} points at position {position}, where {reason}"


def _no_batch(file: BinaryIO, position: int, offset: int) -> str | None:
    file.seek(position)
    head = file.read(HEADER)
    if len(head) < HEADER:
        return "the log has ended"
    header = BatchHeader(memoryview(head))
    try:
        check_header(header)
    except StorageError as error:
        return f"no batch begins: {error}"
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
                    f"entry {timestamp} for offset {offset} comes after {last_timestamp} "
                    f"for {last_offset}"
                )
            last_timestamp, last_offset = timestamp, offset
            while reached < offset:
                batch = next(found, None)
                if not isinstance(batch, Found):
                    yield f"entry {timestamp} is for offset {offset}, which the log does not have"
                    return
                reached = batch.header.last_offset
                largest = max(largest, batch.header.max_timestamp)
            if largest != timestamp:
                yield f"entry {timestamp} for offset {offset}: the largest timestamp is {largest}"


def _log_of(path: str) -> str:
    return os.path.splitext(path)[0] + names.LOG
