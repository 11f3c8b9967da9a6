"""What a Produce may not hold: too much, no key where one is needed, damage, old formats."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from compat.raw import ConnectionClosed, RawClient
from kbroker.storage.batch import batch_crc
from kbroker.storage.compression import Codec
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.produce import ProduceResponse

from .asking import (
    LATEST,
    PRODUCE_VERSION,
    assert_error,
    assert_none,
    batch,
    bytes_of,
    describe,
    fetch,
    fetch_request,
    list_offset,
    make_topic,
    now_ms,
    produce,
    produce_request,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from compat.brokers import Broker

pytestmark = [pytest.mark.ci, pytest.mark.item(7)]

HOUR_MS = 3_600_000


@pytest.fixture
def topic(raw: RawClient, unique: Callable[[str], str]) -> str:
    name = unique("produce")
    make_topic(raw, name)
    return name


def test_a_batch_over_max_message_bytes_is_too_large(
    raw: RawClient, unique: Callable[[str], str]
) -> None:
    name = unique("small")
    make_topic(raw, name, max_message_bytes="1000")
    exactly = batch(bytes(1000 - len(batch(b"")) - 2))
    assert len(exactly) == 1000
    assert_none(produce(raw, name, exactly).error_code)
    answer = produce(raw, name, exactly[:8] + batch(bytes(1000))[8:])
    assert_error(answer.error_code, ErrorCode.MESSAGE_TOO_LARGE)
    assert answer.base_offset == -1
    # It is the batch as it comes that counts, compressed.
    assert_none(produce(raw, name, batch(bytes(100_000), codec=Codec.GZIP)).error_code)


def test_a_record_without_a_key_on_a_compacted_topic_is_named(
    raw: RawClient, unique: Callable[[str], str]
) -> None:
    name = unique("compacted")
    make_topic(raw, name, cleanup_policy="compact")
    answer = produce(raw, name, batch(b"a", b"b", key=None))
    assert_error(answer.error_code, ErrorCode.INVALID_RECORD)
    assert [one.batch_index for one in answer.record_errors] == [0, 1]
    assert all(one.batch_index_error_message for one in answer.record_errors)
    assert answer.error_message
    assert_none(produce(raw, name, batch(b"a", key=b"")).error_code)


def test_one_bad_batch_does_not_spoil_another_partition(
    raw: RawClient, unique: Callable[[str], str]
) -> None:
    name = unique("two")
    make_topic(raw, name, 2)
    request = produce_request(name, batch(b"good"))
    damaged = bytearray(batch(b"bad", b"worse"))
    damaged[-1] ^= 0xFF
    other = produce_request(name, bytes(damaged), partition=1).topic_data[0].partition_data[0]
    request.topic_data[0].partition_data.append(other)
    answer = raw.ask(request, PRODUCE_VERSION, ProduceResponse).responses[0].partition_responses
    assert {one.index: one.error_code for one in answer} == {0: 0, 1: ErrorCode.CORRUPT_MESSAGE}


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        # Apache Kafka trips over a length that never ends, and says UNKNOWN_SERVER_ERROR.
        pytest.param(
            b"\xff" * 10,
            (ErrorCode.INVALID_RECORD, ErrorCode.UNKNOWN_SERVER_ERROR),
            id="never ends",
        ),
        pytest.param(b"\xff\xff\xff\xff\x7f", (ErrorCode.INVALID_RECORD,), id="33 bits"),
        pytest.param(b"\x81\x00", (ErrorCode.INVALID_RECORD,), id="below 0"),
        pytest.param(b"\xc8\x01", (ErrorCode.INVALID_RECORD,), id="beyond the batch"),
    ],
)
def test_a_record_of_an_impossible_length_spoils_its_partition_alone(
    raw: RawClient,
    unique: Callable[[str], str],
    length: bytes,
    expected: tuple[ErrorCode, ...],
) -> None:
    """The checksum is right: whoever decodes the record finds out."""
    name = unique("three")
    make_topic(raw, name, 3)
    hostile = bytearray(batch(b"value"))
    hostile[61:62] = length
    hostile[8:12] = (len(hostile) - 12).to_bytes(4, "big")
    hostile[17:21] = batch_crc(memoryview(hostile)).to_bytes(4, "big")
    request = produce_request(name, batch(b"before"))
    for partition, records in ((1, bytes(hostile)), (2, batch(b"behind"))):
        other = produce_request(name, records, partition=partition).topic_data[0].partition_data[0]
        request.topic_data[0].partition_data.append(other)
    answer = raw.ask(request, PRODUCE_VERSION, ProduceResponse).responses[0].partition_responses
    found = {one.index: one.error_code for one in answer}
    assert found.pop(1) in expected
    assert found == {0: 0, 2: 0}
    ends = [list_offset(raw, name, LATEST, partition=partition).offset for partition in range(3)]
    assert ends == [1, 0, 1]


def test_a_wrong_checksum_is_corruption(raw: RawClient, topic: str) -> None:
    good = batch(b"value")
    for position in (17, 25, 40, len(good) - 1):
        damaged = bytearray(good)
        damaged[position] ^= 0x01
        answer = produce(raw, topic, bytes(damaged))
        assert_error(answer.error_code, ErrorCode.CORRUPT_MESSAGE)
    assert list_offset(raw, topic, LATEST).offset == 0


@pytest.mark.parametrize("magic", [0, 1, 3])
def test_other_magic_is_refused(raw: RawClient, topic: str, magic: int) -> None:
    damaged = bytearray(batch(b"value"))
    damaged[16] = magic
    answer = produce(raw, topic, bytes(damaged))
    expected = ErrorCode.CORRUPT_MESSAGE if magic == 3 else ErrorCode.INVALID_RECORD
    assert_error(answer.error_code, expected)


def test_two_batches_for_a_partition_are_refused(raw: RawClient, topic: str) -> None:
    answer = produce(raw, topic, batch(b"one") + batch(b"two"))
    assert_error(answer.error_code, ErrorCode.INVALID_RECORD)
    answer = produce(raw, topic, b"")
    assert_error(answer.error_code, ErrorCode.INVALID_RECORD)


def test_zstd_needs_version_7(raw: RawClient, topic: str) -> None:
    squeezed = batch(bytes(1000), codec=Codec.ZSTD)
    answer = produce(raw, topic, squeezed, version=6)
    assert_error(answer.error_code, ErrorCode.UNSUPPORTED_COMPRESSION_TYPE)
    assert_none(produce(raw, topic, squeezed, version=7).error_code)


def test_a_stamp_too_far_ahead_is_refused(raw: RawClient, topic: str) -> None:
    now = now_ms()
    ahead = batch(b"a", b"b", b"c", timestamps=[now, now + 2 * HOUR_MS, now])
    answer = produce(raw, topic, ahead)
    assert_error(answer.error_code, ErrorCode.INVALID_TIMESTAMP)
    assert [one.batch_index for one in answer.record_errors] == [1]
    assert_none(produce(raw, topic, batch(b"a", timestamps=[now - 1000 * HOUR_MS])).error_code)


@pytest.mark.parametrize("acks", [2, -2, 100])
def test_acks_must_be_0_1_or_all(raw: RawClient, topic: str, acks: int) -> None:
    answer = produce(raw, topic, batch(b"v"), acks=acks)
    assert_error(answer.error_code, ErrorCode.INVALID_REQUIRED_ACKS)


def test_acks_0_has_no_answer(raw: RawClient, topic: str) -> None:
    raw.send(produce_request(topic, batch(b"v"), acks=0), PRODUCE_VERSION)
    assert produce(raw, topic, batch(b"v"), acks=1).base_offset == 1


def test_an_error_with_acks_0_closes_the_connection(broker: Broker, topic: str) -> None:
    with RawClient(broker.host, broker.port) as raw:
        damaged = bytearray(batch(b"value"))
        damaged[-1] ^= 0xFF
        raw.send(produce_request(topic, bytes(damaged), acks=0), PRODUCE_VERSION)
        with pytest.raises(ConnectionClosed):
            raw.read_frame()


def test_an_unknown_topic_or_partition_is_said_so(
    raw: RawClient, topic: str, unique: Callable[[str], str]
) -> None:
    answer = produce(raw, unique("absent"), batch(b"v"))
    assert_error(answer.error_code, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    answer = produce(raw, topic, batch(b"v"), partition=1)
    assert_error(answer.error_code, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)


def test_topic_ids_from_version_13(raw: RawClient, unique: Callable[[str], str]) -> None:
    name = unique("by-id")
    topic_id = make_topic(raw, name)
    request = produce_request("", batch(b"v"))
    request.topic_data[0].topic_id = topic_id
    answer = raw.ask(request, 13, ProduceResponse).responses[0]
    assert answer.topic_id == topic_id
    assert_none(answer.partition_responses[0].error_code)
    request.topic_data[0].topic_id = b"\x01" * 16
    answer = raw.ask(request, 13, ProduceResponse).responses[0]
    assert_error(answer.partition_responses[0].error_code, ErrorCode.UNKNOWN_TOPIC_ID)


def test_more_in_sync_replicas_than_replicas_are_not_asked_for(
    raw: RawClient, unique: Callable[[str], str]
) -> None:
    name = unique("min-isr")
    make_topic(raw, name, min_insync_replicas="2")
    assert_none(produce(raw, name, batch(b"v"), acks=-1).error_code)


def test_writing_to_an_internal_topic_is_refused(raw: RawClient) -> None:
    from .groups import coordinate

    coordinate(raw, "makes-the-offsets-topic")
    answer = produce(raw, "__consumer_offsets", batch(b"v"))
    assert_error(answer.error_code, ErrorCode.INVALID_TOPIC_EXCEPTION)


@pytest.mark.parametrize("version", range(3, 14))
def test_every_version_appends(raw: RawClient, unique: Callable[[str], str], version: int) -> None:
    name = unique("version")
    topic_id = make_topic(raw, name)
    request = produce_request(name if version < 13 else "", batch(b"a", b"b"))
    if version >= 13:
        request.topic_data[0].topic_id = topic_id
    response = raw.ask(request, version, ProduceResponse)
    answer = response.responses[0].partition_responses[0]
    assert (answer.error_code, answer.base_offset) == (0, 0)
    assert answer.log_append_time_ms == -1
    assert answer.log_start_offset == (0 if version >= 5 else -1)


def test_less_than_a_header_after_the_batch_is_left_out(raw: RawClient, topic: str) -> None:
    sent = batch(b"v")
    assert_none(produce(raw, topic, sent + b"\0" * 5).error_code)
    found = fetch(raw, fetch_request(describe(raw, topic).topic_id, 0))
    assert bytes_of(found)[16:] == sent[16:]  # what goes before are the offset and the epoch


def test_a_batch_that_is_not_whole_is_refused(raw: RawClient, topic: str) -> None:
    whole = batch(b"v")
    too_long = bytearray(whole)
    struct.pack_into(">i", too_long, 8, len(whole) - 12 + 100)
    for damaged in (whole[:-1], whole[:40], whole[:11], bytes(too_long)):
        answer = produce(raw, topic, damaged)
        assert_error(answer.error_code, ErrorCode.INVALID_RECORD)
    assert list_offset(raw, topic, LATEST).offset == 0
