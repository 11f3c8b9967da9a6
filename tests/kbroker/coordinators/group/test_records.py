"""What is written must be what Kafka 4.3 writes, byte for byte, and what it ever wrote must be
read.
"""

from __future__ import annotations

import pytest

from kbroker.coordinators.group.records import (
    CommittedOffset,
    GroupRemoved,
    GroupStored,
    OffsetRemoved,
    OffsetStored,
    Record,
    UnknownRecord,
    decode,
    encode,
)
from kbroker.wire import codec
from kbroker.wire.errors import ProtocolError
from kbroker.wire.records.group_metadata_value import GroupMetadataValue, MemberMetadata
from kbroker.wire.records.offset_commit_value import OffsetCommitValue
from tests.kbroker.coordinators.rig import TOPIC_ID

GROUP_VALUE = GroupMetadataValue(
    protocol_type="consumer",
    generation=3,
    protocol="range",
    leader="m",
    current_state_timestamp=5,
    members=[
        MemberMetadata(
            member_id="m",
            group_instance_id="i",
            client_id="c",
            client_host="/h",
            rebalance_timeout=60_000,
            session_timeout=10_000,
            subscription=b"s",
            assignment=b"a",
        )
    ],
)

RECORDS: list[Record] = [
    OffsetStored("g", "t", 2, CommittedOffset(7, 4, "meta", 9, topic_id=TOPIC_ID)),
    OffsetStored("g", "t", 2, CommittedOffset(7, -1, "", 9, expire_timestamp_ms=11)),
    OffsetRemoved("g", "t", 2),
    GroupStored("g", GROUP_VALUE),
    GroupRemoved("g"),
]


@pytest.mark.parametrize("record", RECORDS)
def test_records_come_back_as_they_were(record: Record) -> None:
    assert decode(*encode(record)) == record


def test_an_offset_is_written_with_its_topic_id_as_version_4() -> None:
    key, value = encode(RECORDS[0])
    assert key == b"\x00\x01" + b"\x00\x01g" + b"\x00\x01t" + b"\x00\x00\x00\x02"
    assert value == (
        b"\x00\x04"
        + (7).to_bytes(8, "big")
        + (4).to_bytes(4, "big")
        + b"\x05meta"
        + (9).to_bytes(8, "big")
        + b"\x01\x00\x10"
        + TOPIC_ID
    )


def test_an_offset_with_an_expiry_of_its_own_is_written_as_version_1() -> None:
    _, value = encode(RECORDS[1])
    assert value is not None
    assert value[:2] == b"\x00\x01"


def test_a_group_is_written_as_version_3() -> None:
    key, value = encode(RECORDS[3])
    assert key == b"\x00\x02\x00\x01g"
    assert value == b"\x00\x03" + codec.encode(GROUP_VALUE, 3)


@pytest.mark.parametrize("version", range(5))
def test_offsets_of_every_version_are_read(version: int) -> None:
    value = OffsetCommitValue(offset=7, metadata="m", commit_timestamp=9)
    record = decode(
        encode(RECORDS[0])[0], version.to_bytes(2, "big") + codec.encode(value, version)
    )
    assert record == OffsetStored("g", "t", 2, CommittedOffset(7, -1, "m", 9))


def test_the_oldest_keys_are_read() -> None:
    key, value = encode(RECORDS[0])
    assert decode(b"\x00\x00" + key[2:], value) == RECORDS[0]


@pytest.mark.parametrize("record_type", [3, 8, 9, 15, 17, 99])
def test_records_of_other_groups_are_named(record_type: int) -> None:
    with pytest.raises(UnknownRecord, match=f"record type {record_type}"):
        decode(record_type.to_bytes(2, "big") + b"\x00\x01g", None)


def test_a_version_from_the_future_is_named() -> None:
    with pytest.raises(UnknownRecord, match="unknown version 5 of OffsetCommitValue"):
        decode(encode(RECORDS[0])[0], b"\x00\x05")


@pytest.mark.parametrize(("key", "value"), [(b"", None), (b"\x00\x01\x00", None), (b"\x00", b"")])
def test_garbage_is_a_protocol_error(key: bytes, value: bytes | None) -> None:
    with pytest.raises(ProtocolError):
        decode(key, value)
