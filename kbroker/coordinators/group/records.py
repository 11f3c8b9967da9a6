"""The records of classic groups in __consumer_offsets, as values and as Kafka's bytes.

Keys open with the record's type as an int16, values with their version (CoordinatorRecordSerde).
Records are written in the versions that Kafka 4.3 writes (GroupCoordinatorRecordHelpers), and read
in every older one too.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple

from kbroker.wire import codec
from kbroker.wire.errors import ProtocolError
from kbroker.wire.message import ZERO_UUID
from kbroker.wire.records.group_metadata_key import GroupMetadataKey
from kbroker.wire.records.group_metadata_value import GroupMetadataValue
from kbroker.wire.records.offset_commit_key import OffsetCommitKey
from kbroker.wire.records.offset_commit_value import OffsetCommitValue

if TYPE_CHECKING:
    from kbroker.wire.message import Message

_INT16 = Struct(">h")

LEGACY_OFFSET_COMMIT: Final = 0  # of the oldest logs; its key has the same fields
OFFSET_COMMIT: Final = 1
GROUP_METADATA: Final = 2

_OFFSET_COMMIT_TYPE: Final = _INT16.pack(OFFSET_COMMIT)
_GROUP_METADATA_TYPE: Final = _INT16.pack(GROUP_METADATA)
_LEGACY_TYPE: Final = _INT16.pack(LEGACY_OFFSET_COMMIT)

KEY_VERSION: Final = 0
OFFSET_VERSION: Final = 4
OFFSET_VERSION_WITH_EXPIRY: Final = 1  # the only one with an expire timestamp
GROUP_VERSION: Final = 3

NO_TIMESTAMP: Final = -1
NO_LEADER_EPOCH: Final = -1


class UnknownRecord(Exception):
    """A record that this version of kbroker does not use: of another kind of group, or newer."""

    def __init__(self, record_type: int, reason: str) -> None:
        super().__init__(reason)
        self.record_type = record_type


class CommittedOffset(NamedTuple):
    """What a group committed for a partition (Kafka's OffsetAndMetadata)."""

    offset: int
    leader_epoch: int  # NO_LEADER_EPOCH if the client knew none
    metadata: str
    commit_timestamp_ms: int
    expire_timestamp_ms: int = NO_TIMESTAMP  # where the client gave a retention (OffsetCommit v2-4)
    topic_id: bytes = ZERO_UUID  # zero in records from before Kafka 4.1


class OffsetStored(NamedTuple):
    """A group committed an offset."""

    group_id: str
    topic: str
    partition: int
    value: CommittedOffset


class OffsetRemoved(NamedTuple):
    """A tombstone: the group has no offset for the partition any more."""

    group_id: str
    topic: str
    partition: int


class GroupStored(NamedTuple):
    """The latest generation of a group."""

    group_id: str
    value: GroupMetadataValue


class GroupRemoved(NamedTuple):
    """A tombstone: there is no such group any more."""

    group_id: str


Record = OffsetStored | OffsetRemoved | GroupStored | GroupRemoved


def encode(record: Record) -> tuple[bytes, bytes | None]:
    """Key and value; None is a tombstone."""
    match record:
        case OffsetStored(group_id, topic, partition, value):
            return _offset_key(group_id, topic, partition), _offset_value(value)
        case OffsetRemoved(group_id, topic, partition):
            return _offset_key(group_id, topic, partition), None
        case GroupStored(group_id, group):
            return _group_key(group_id), _versioned(GROUP_VERSION, group)
        case GroupRemoved(group_id):
            return _group_key(group_id), None


def decode(key: bytes | memoryview, value: bytes | memoryview | None) -> Record:
    """The record of a key and value. Raises UnknownRecord, ProtocolError."""
    record_type, body = _split(key)
    if record_type in (OFFSET_COMMIT, LEGACY_OFFSET_COMMIT):
        return _decode_offset(body, value)
    if record_type != GROUP_METADATA:
        raise UnknownRecord(record_type, f"unknown record type {record_type}")
    group_id = codec.decode(GroupMetadataKey, KEY_VERSION, body).group
    if value is None:
        return GroupRemoved(group_id)
    version, body = _split(value)
    _check_version(GroupMetadataValue, version)
    group = codec.decode(GroupMetadataValue, version, body)
    instance_ids = [m.group_instance_id for m in group.members if m.group_instance_id is not None]
    if len(set(instance_ids)) < len(instance_ids):
        raise UnknownRecord(record_type, "two members of a group have the same instance id")
    return GroupStored(group_id, group)


def is_known(key: bytes) -> bool:
    """Whether `decode` knows the type of the key. The rest of the key may be anything."""
    return key[:2] in (_OFFSET_COMMIT_TYPE, _GROUP_METADATA_TYPE)


def modern_key(key: bytes) -> bytes:
    """The key as later logs have it: the oldest ones have another type for committed offsets."""
    return _OFFSET_COMMIT_TYPE + key[2:] if key[:2] == _LEGACY_TYPE else key


def _decode_offset(body: memoryview, value: bytes | memoryview | None) -> Record:
    key = codec.decode(OffsetCommitKey, KEY_VERSION, body)
    if value is None:
        return OffsetRemoved(key.group, key.topic, key.partition)
    version, body = _split(value)
    _check_version(OffsetCommitValue, version)
    stored = codec.decode(OffsetCommitValue, version, body)
    committed = CommittedOffset(
        stored.offset,
        stored.leader_epoch,
        stored.metadata,
        stored.commit_timestamp,
        stored.expire_timestamp,
        stored.topic_id,
    )
    return OffsetStored(key.group, key.topic, key.partition, committed)


def _offset_key(group_id: str, topic: str, partition: int) -> bytes:
    key = OffsetCommitKey(group=group_id, topic=topic, partition=partition)
    return _INT16.pack(OFFSET_COMMIT) + codec.encode(key, KEY_VERSION)


def _group_key(group_id: str) -> bytes:
    return _INT16.pack(GROUP_METADATA) + codec.encode(GroupMetadataKey(group=group_id), KEY_VERSION)


def _offset_value(value: CommittedOffset) -> bytes:
    has_expiry = value.expire_timestamp_ms != NO_TIMESTAMP
    return _versioned(
        OFFSET_VERSION_WITH_EXPIRY if has_expiry else OFFSET_VERSION,
        OffsetCommitValue(
            offset=value.offset,
            leader_epoch=value.leader_epoch,
            metadata=value.metadata,
            commit_timestamp=value.commit_timestamp_ms,
            expire_timestamp=value.expire_timestamp_ms,
            topic_id=value.topic_id,
        ),
    )


def _versioned(version: int, message: Message) -> bytes:
    return _INT16.pack(version) + codec.encode(message, version)


def _split(data: bytes | memoryview) -> tuple[int, memoryview]:
    if len(data) < _INT16.size:
        raise ProtocolError(f"{len(data)} bytes are too short for a type or version")
    view = memoryview(data)
    return _INT16.unpack_from(view)[0], view[_INT16.size :]


def _check_version(cls: type[Message], version: int) -> None:
    if not cls.MIN_VERSION <= version <= cls.MAX_VERSION:
        raise UnknownRecord(cls.API_KEY or 0, f"unknown version {version} of {cls.__name__}")
