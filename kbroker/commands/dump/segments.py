"""The batches and records of a segment file, or of a snapshot of the metadata, as rows.

The file is read from the front, one batch in memory at a time. Damage becomes a row too, and ends
the file, because after it nobody knows where a batch begins.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from kbroker.commands.shared.record_json import bytes_json
from kbroker.storage import formats
from kbroker.storage.batch import HEADER, TimestampType, increment_sequence
from kbroker.storage.errors import StorageError
from kbroker.wire.errors import ProtocolError

from .decoders import decode_control

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from kbroker.commands.shared.output import Json
    from kbroker.storage.batch import BatchHeader
    from kbroker.storage.record import Record

    from .decoders import Decoder

NO_SEQUENCE = -1


class Found(NamedTuple):
    """A batch where it lies; `flaw` says why its CRC is wrong, if so."""

    position: int
    header: BatchHeader
    batch: memoryview
    flaw: str | None

    @property
    def base_offset(self) -> int:
        """Of its first record, as far as that can be told."""
        return formats.first_offset(self.batch, self.header)


class Damage(NamedTuple):
    """Where no batch can be read, and why; room that was set aside is none."""

    position: int
    reason: str
    is_room: bool = False


def batches(file: BinaryIO) -> Iterator[Found | Damage]:
    """Every batch of an open file."""
    size = os.fstat(file.fileno()).st_size
    position = 0
    while position < size:
        file.seek(position)
        head = file.read(HEADER)
        if not any(head) and _is_zero(file):
            yield Damage(position, f"there are {size - position} bytes of zeros", is_room=True)
            return
        if len(head) < formats.SIZE_MIN:
            yield Damage(position, f"there are {size - position} extra bytes after the last batch")
            return
        header = formats.read_header(head)
        try:
            formats.check_header(header)
        except StorageError as error:
            yield Damage(position, str(error))
            return
        if position + header.size_bytes > size:
            yield Damage(
                position,
                f"the batch has {header.size_bytes} bytes, but only {size - position} are in the "
                "file",
            )
            return
        file.seek(position)
        batch = memoryview(file.read(header.size_bytes))
        flaw = None
        try:
            formats.verify_crc(batch)
        except StorageError as error:
            flaw = str(error)
        yield Found(position, header, batch, flaw)
        position += header.size_bytes


def _is_zero(file: BinaryIO) -> bool:
    """Whether the rest is room that was set aside for the log to grow."""
    while part := file.read(1 << 20):
        if any(part):
            return False
    return True


def batch_row(path: str, found: Found) -> dict[str, Json]:
    header = found.header
    return {
        "kind": "batch",
        "file": path,
        "position": found.position,
        "size_bytes": header.size_bytes,
        "base_offset": found.base_offset,
        "last_offset": header.last_offset,
        "records": header.record_count if header.record_count >= 0 else None,
        "leader_epoch": header.leader_epoch,
        "producer_id": header.producer_id,
        "producer_epoch": header.producer_epoch,
        "base_sequence": header.base_sequence,
        "last_sequence": header.last_sequence,
        "transactional": header.is_transactional,
        "control": header.is_control,
        "delete_horizon_ms": header.delete_horizon_ms,
        "timestamp_type": TimestampType(header.timestamp_type).name,
        "max_timestamp": header.max_timestamp,
        "compression": _compression(header),
        "magic": header.magic,
        "crc": header.crc,
        "valid": found.flaw is None,
    }


def _compression(header: BatchHeader) -> str:
    try:
        return header.codec.name.lower()
    except StorageError:
        return "unknown"


def damage_row(path: str, damage: Damage) -> dict[str, Json]:
    return {
        "kind": "damage",
        "file": path,
        "position": damage.position,
        "reason": damage.reason,
    }


def record_rows(path: str, found: Found, decoder: Decoder | None) -> Iterator[dict[str, Json]]:
    """The records of a batch; a row of damage where one is broken."""
    header = found.header
    try:
        for index, record in enumerate(formats.records(found.batch, header)):
            sequence = (
                NO_SEQUENCE
                if header.base_sequence == NO_SEQUENCE
                else increment_sequence(header.base_sequence, index)
            )
            key, value, flaw = _decoded(record, header, decoder)
            yield {
                "kind": "record",
                "file": path,
                "offset": record.offset,
                "timestamp": record.timestamp,
                "sequence": sequence,
                "key": key,
                "value": value,
                "headers": [[name, bytes_json(content)] for name, content in record.headers],
                "undecoded": flaw,
            }
    except StorageError as error:
        yield damage_row(path, Damage(found.position, str(error)))


def _decoded(
    record: Record, header: BatchHeader, decoder: Decoder | None
) -> tuple[Json, Json, str | None]:
    """Key and value, and why they could not be decoded, if so: then they are as they are."""
    decode = decode_control if header.is_control else decoder
    if decode is not None:
        try:
            return *decode(record), None
        except ProtocolError as error:
            return bytes_json(record.key), bytes_json(record.value), str(error)
    return bytes_json(record.key), bytes_json(record.value), None
