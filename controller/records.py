"""Metadata records as bytes: a frame version, the record's type, its version, its body.

The first three are unsigned varints. Source: MetadataRecordSerde, AbstractApiMessageSerde. Which
record version belongs to which metadata.version is from MetadataVersion.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kbroker.wire.codec import decode, encode
from kbroker.wire.errors import ProtocolError
from kbroker.wire.registry import metadata_record

from .features import (
    CONTROLLED_SHUTDOWN_SINCE,
    CORDONED_DIRECTORIES_SINCE,
    DIRECTORY_ASSIGNMENT_SINCE,
    ELR_SINCE,
    MIGRATION_SINCE,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from kbroker.wire.message import Message
    from kbroker.wire.records.broker_registration_change_record import (
        BrokerRegistrationChangeRecord,
    )

FRAME_VERSION: Final = 1
VARINT_BYTES_MAX: Final = 5

_BROKER_REGISTRATION_CHANGE: Final = 17

# Record type -> (metadata.version, record version), highest first. All others are at version 0.
_VERSIONS: Final[Mapping[int, tuple[tuple[int, int], ...]]] = {
    0: (
        (CORDONED_DIRECTORIES_SINCE, 4),
        (DIRECTORY_ASSIGNMENT_SINCE, 3),
        (MIGRATION_SINCE, 2),
        (CONTROLLED_SHUTDOWN_SINCE, 1),
    ),
    3: ((ELR_SINCE, 2), (DIRECTORY_ASSIGNMENT_SINCE, 1)),
    5: ((ELR_SINCE, 2), (DIRECTORY_ASSIGNMENT_SINCE, 1)),
}


def record_version(record: Message, metadata_version: int) -> int:
    """The version in which Kafka would write `record` at this metadata.version."""
    key = record.API_KEY
    assert key is not None, f"{record} is no metadata record"
    if key == _BROKER_REGISTRATION_CHANGE:
        return _registration_change_version(record)  # type: ignore[arg-type]
    for since, version in _VERSIONS.get(key, ()):
        if metadata_version >= since:
            return version
    return 0


def _registration_change_version(record: BrokerRegistrationChangeRecord) -> int:
    """The lowest that can say it, for it is written at every metadata.version."""
    if record.cordoned_log_dirs is not None:
        return 3
    if record.log_dirs:
        return 2
    return 1 if record.in_controlled_shutdown else 0


def encode_record(record: Message, metadata_version: int) -> bytes:
    """The value of a record of `__cluster_metadata`."""
    version = record_version(record, metadata_version)
    key = record.API_KEY
    assert key is not None
    # All three are below 128, so each is one byte of varint.
    return bytes((FRAME_VERSION, key, version)) + encode(record, version)


def encode_records(records: Iterable[Message], metadata_version: int) -> tuple[bytes, ...]:
    return tuple(encode_record(record, metadata_version) for record in records)


def decode_record(value: bytes | memoryview) -> Message:
    """ProtocolError for bytes that are no metadata record, or one of a later Kafka."""
    frame_version, position = _read_varint(value, 0)
    if frame_version != FRAME_VERSION:
        raise ProtocolError(f"metadata record frame version {frame_version}")
    key, position = _read_varint(value, position)
    version, position = _read_varint(value, position)
    try:
        record_class = metadata_record(key)
    except KeyError:
        raise ProtocolError(f"unknown metadata record type {key}") from None
    if not record_class.MIN_VERSION <= version <= record_class.MAX_VERSION:
        raise ProtocolError(f"{record_class.__name__} has no version {version}")
    return decode(record_class, version, value, position)


def _read_varint(value: bytes | memoryview, position: int) -> tuple[int, int]:
    number = 0
    for index in range(VARINT_BYTES_MAX):
        if position + index >= len(value):
            raise ProtocolError("metadata record ends within its header")
        byte = value[position + index]
        number |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return number, position + index + 1
    raise ProtocolError("metadata record header has a varint without end")
