"""Bytes that Apache Kafka 4.3.0 wrote; compat/codecs holds every codec against its classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kbroker.wire import codec
from kbroker.wire.messages.api_versions import (
    ApiVersion,
    ApiVersionsResponse,
    FinalizedFeatureKey,
    SupportedFeatureKey,
)
from kbroker.wire.messages.fetch import (
    AbortedTransaction,
    EpochEndOffset,
    FetchableTopicResponse,
    FetchResponse,
    PartitionData,
)
from kbroker.wire.messages.header import RequestHeader
from kbroker.wire.messages.produce import (
    LeaderIdAndEpoch,
    NodeEndpoint,
    PartitionProduceData,
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
    TopicProduceResponse,
)
from kbroker.wire.records.offset_commit_key import OffsetCommitKey
from kbroker.wire.records.offset_commit_value import OffsetCommitValue
from kbroker.wire.records.partition_change_record import PartitionChangeRecord
from kbroker.wire.records.partition_record import PartitionRecord
from kbroker.wire.records.topic_record import TopicRecord

if TYPE_CHECKING:
    from kbroker.wire.message import Message

TOPIC_ID = bytes(range(16))

PRODUCE = ProduceRequest(
    acks=-1,
    timeout_ms=30_000,
    topic_data=[
        TopicProduceData(
            name="orders", partition_data=[PartitionProduceData(index=3, records=b"batch")]
        )
    ],
)
FETCHED = FetchResponse(
    throttle_time_ms=1,
    session_id=7,
    responses=[
        FetchableTopicResponse(
            topic="orders",
            partitions=[
                PartitionData(
                    partition_index=2,
                    high_watermark=300,
                    last_stable_offset=299,
                    log_start_offset=4,
                    diverging_epoch=EpochEndOffset(epoch=5, end_offset=290),
                    aborted_transactions=[AbortedTransaction(producer_id=9, first_offset=100)],
                    records=b"batch",
                )
            ],
        )
    ],
)

GOLDEN: list[tuple[Message, int, str]] = [
    (
        PRODUCE,
        7,
        "ffffffff000075300000000100066f72646572730000000100000003000000056261746368",
    ),
    (
        PRODUCE,
        9,
        "00ffff0000753002076f72646572730200000003066261746368000000",
    ),
    (
        ProduceResponse(
            responses=[
                TopicProduceResponse(
                    name="orders",
                    partition_responses=[
                        PartitionProduceResponse(
                            index=3,
                            error_code=6,
                            base_offset=-1,
                            current_leader=LeaderIdAndEpoch(leader_id=2, leader_epoch=8),
                        )
                    ],
                )
            ],
            node_endpoints=[NodeEndpoint(node_id=2, host="b", port=9092)],
        ),
        10,
        "02076f726465727302000000030006ffffffffffffffffffffffffffffffffffffffffffffffff01"
        "00010009000000020000000800000000000001000d02000000020262000023840000",
    ),
    (
        FETCHED,
        12,
        "0000000100000000000702076f726465727302000000020000000000000000012c00000000000001"
        "2b0000000000000004020000000000000009000000000000006400ffffffff06626174636801000d"
        "000000050000000000000122000000",
    ),
    (
        ApiVersionsResponse(
            api_keys=[ApiVersion(api_key=18, max_version=4)],
            supported_features=[SupportedFeatureKey(name="kraft.version", max_version=1)],
            finalized_features_epoch=12,
            finalized_features=[
                FinalizedFeatureKey(
                    name="metadata.version", max_version_level=29, min_version_level=29
                )
            ],
        ),
        4,
        "0000020012000000040000000000030014020e6b726166742e76657273696f6e0000000100010800"
        "0000000000000c021702116d657461646174612e76657273696f6e001d001d00",
    ),
    (
        RequestHeader(request_api_key=18, request_api_version=4, correlation_id=1, client_id="c"),
        2,
        "001200040000000100016300",
    ),
    (
        OffsetCommitKey(group="g", topic="orders", partition=3),
        0,
        "00016700066f726465727300000003",
    ),
    (
        OffsetCommitValue(offset=42, metadata="m", commit_timestamp=1_700_000_000_000),
        3,
        "000000000000002affffffff00016d0000018bcfe56800",
    ),
    (
        TopicRecord(name="orders", topic_id=TOPIC_ID),
        0,
        "076f7264657273000102030405060708090a0b0c0d0e0f00",
    ),
    (
        PartitionRecord(
            partition_id=1,
            topic_id=TOPIC_ID,
            replicas=[1, 2],
            isr=[1],
            leader=1,
            leader_epoch=4,
            partition_epoch=9,
            directories=[TOPIC_ID, bytes(16)],
        ),
        2,
        "00000001000102030405060708090a0b0c0d0e0f0300000001000000020200000001010100000001"
        "000000040000000903000102030405060708090a0b0c0d0e0f000000000000000000000000000000"
        "0000",
    ),
    (
        PartitionChangeRecord(partition_id=1, topic_id=TOPIC_ID, isr=[1, 2], leader=2),
        2,
        "00000001000102030405060708090a0b0c0d0e0f020009030000000100000002010400000002",
    ),
]


@pytest.mark.parametrize(
    ("message", "version", "encoded"),
    GOLDEN,
    ids=[f"{type(message).__name__}-{version}" for message, version, _ in GOLDEN],
)
def test_kafkas_bytes(message: Message, version: int, encoded: str) -> None:
    assert codec.encode(message, version).hex() == encoded.replace(" ", "")
    assert codec.decode(type(message), version, bytes.fromhex(encoded)) == message
