"""Metadata records against a log that Apache Kafka 4.3.0 wrote: same bytes, same meaning."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbroker.controller.image import MetadataImage
from kbroker.controller.records import decode_record, encode_record, record_version
from kbroker.controller.snapshot import snapshot_records
from kbroker.storage.batch import batches, records
from kbroker.wire.errors import ProtocolError
from kbroker.wire.records.broker_registration_change_record import BrokerRegistrationChangeRecord
from kbroker.wire.records.partition_record import PartitionRecord
from kbroker.wire.records.register_broker_record import RegisterBrokerRecord
from kbroker.wire.varint import encode_unsigned

if TYPE_CHECKING:
    from kbroker.wire.message import Message

# Format, first start, two topics, kill -9, start again: leaders lost and elected, ELR, last leader.
KAFKA_LOG = Path(__file__).parent / "data" / "apache-kafka-4.3.0-after-kill.log"
METADATA_VERSION = 30


def kafka_values() -> list[tuple[int, bytes]]:
    view = memoryview(KAFKA_LOG.read_bytes())
    return [
        (record.offset, bytes(record.value or b""))
        for header, batch in batches(view, check_crc=True)
        if not header.is_control
        for record in records(batch)
    ]


def test_records_of_apache_kafka_are_written_byte_for_byte_alike() -> None:
    for offset, value in kafka_values():
        assert encode_record(decode_record(value), METADATA_VERSION) == value, offset


def test_the_log_of_apache_kafka_replays_to_what_it_says() -> None:
    image = MetadataImage()
    for offset, value in kafka_values():
        image.replay(decode_record(value), offset)
    assert image.features == {
        "metadata.version": 30,
        "eligible.leader.replicas.version": 1,
        "group.version": 1,
        "share.version": 1,
        "streams.version": 1,
        "transaction.version": 2,
    }
    assert sorted(image.topics) == ["k0", "k1"]
    partition = image.topics["k0"].partitions[1]
    assert (partition.leader, partition.isr, partition.leader_epoch) == (1, [1], 2)
    assert (partition.elr, partition.last_known_elr) == ([], [])
    assert partition.leader_recovery_state == 1
    assert image.brokers[1].epoch == 53
    assert not image.brokers[1].fenced
    assert image.leader_counts[1] == 4
    assert not image.leaderless
    again = MetadataImage()
    for record in snapshot_records(image):
        again.replay(record, image.offset)
    assert again == image


@pytest.mark.parametrize(
    ("record", "metadata_version", "version"),
    [
        (PartitionRecord(), 16, 0),
        (PartitionRecord(), 17, 1),
        (PartitionRecord(), 23, 2),
        (RegisterBrokerRecord(), 7, 1),
        (RegisterBrokerRecord(), 8, 2),
        (RegisterBrokerRecord(), 29, 3),
        (RegisterBrokerRecord(), 30, 4),
        (BrokerRegistrationChangeRecord(fenced=1), 30, 0),
        (BrokerRegistrationChangeRecord(in_controlled_shutdown=1), 30, 1),
        (BrokerRegistrationChangeRecord(log_dirs=[b"d" * 16]), 30, 2),
        (BrokerRegistrationChangeRecord(cordoned_log_dirs=[]), 30, 3),
    ],
)
def test_record_versions_follow_the_metadata_version(
    record: Message, metadata_version: int, version: int
) -> None:
    assert record_version(record, metadata_version) == version


@pytest.mark.parametrize(
    "value",
    [b"", b"\x01", b"\x02\x02\x00", b"\x01\x06\x00", b"\x01\x02\x01", b"\x80" * 9, b"\x01\x02\x00"],
    ids=["empty", "short", "frame version", "type", "version", "varint", "no body"],
)
def test_bytes_that_are_no_record_are_refused(value: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_record(value)


@given(st.sampled_from(kafka_values()), st.data())
def test_damaged_records_are_refused_or_read_as_others(
    value: tuple[int, bytes], data: st.DataObject
) -> None:
    damaged = bytearray(value[1])
    at = data.draw(st.integers(0, len(damaged) - 1))
    damaged[at] = data.draw(st.integers(0, 255))
    with suppress(ProtocolError):
        decode_record(bytes(damaged[: data.draw(st.integers(0, len(damaged)))]))


def test_numbers_of_a_header_may_be_longer_than_they_need_be() -> None:
    (_, value) = next(iter(kafka_values()))
    frame_version, key, version = value[:3]
    longer = bytes((frame_version | 0x80, 0, key | 0x80, 0x80, 0, version | 0x80, 0)) + value[3:]
    assert decode_record(longer) == decode_record(value)


@pytest.mark.parametrize("number", [127, 128, 200, 300, 1 << 14, (1 << 28) + 5, (1 << 32) - 1])
def test_a_record_of_a_type_that_is_not_known_is_named(number: int) -> None:
    with pytest.raises(ProtocolError, match=f"unknown metadata record type {number}$"):
        decode_record(b"\x01" + encode_unsigned(number) + b"\x00")
