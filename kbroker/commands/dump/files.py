"""Indexes, producer snapshots and checkpoints as rows.

The files are read as they are; nothing is mapped, trimmed or repaired.
"""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import TYPE_CHECKING

from kbroker.storage import checkpoints
from kbroker.storage.errors import CorruptFile
from kbroker.storage.os_disk import OsDisk
from kbroker.storage.producer_snapshot import decode_snapshot
from kbroker.storage.txn_index import TransactionIndex

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kbroker.commands.shared.output import Json

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
                raise CorruptFile(
                    path, f"there are {len(part) - whole} extra bytes after the last entry"
                )


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
        raise CorruptFile(path, f"the content is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise CorruptFile(path, "the content is not a JSON object")
    for key, value in document.items():
        yield {"kind": "property", "file": path, "key": key, "value": value}
