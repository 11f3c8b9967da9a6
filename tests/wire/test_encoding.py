"""What an encoder lets through, what it refuses, and how records pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kbroker.wire import codec, reference
from kbroker.wire.errors import EncodeError, UnsupportedFieldError
from kbroker.wire.messages.fetch import (
    FetchableTopicResponse,
    FetchRequest,
    FetchResponse,
    PartitionData,
    ReplicaState,
)
from kbroker.wire.messages.heartbeat import HeartbeatRequest
from kbroker.wire.messages.metadata import MetadataRequest
from kbroker.wire.messages.offset_fetch import OffsetFetchRequest, OffsetFetchRequestGroup
from kbroker.wire.messages.produce import (
    LeaderIdAndEpoch,
    PartitionProduceData,
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
    TopicProduceResponse,
)
from kbroker.wire.records.consumer_group_member_metadata_value import (
    ClassicMemberMetadata,
    ConsumerGroupMemberMetadataValue,
)
from kbroker.wire.records.partition_change_record import PartitionChangeRecord

if TYPE_CHECKING:
    from kbroker.wire.message import Blob, Message


class Range:
    """Stands for a range of a file: it knows its size only."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size


def fetch_response(*records: Blob | None) -> FetchResponse:
    partitions = [PartitionData(partition_index=i, records=each) for i, each in enumerate(records)]
    return FetchResponse(responses=[FetchableTopicResponse(partitions=partitions)])


@pytest.mark.parametrize("version", range(FetchResponse.MIN_VERSION, FetchResponse.MAX_VERSION + 1))
def test_records_pass_through_as_chunks_of_their_own(version: int) -> None:
    first, second = Range(300), Range(5)
    chunks = codec.encode_chunks(fetch_response(first, None, b"", second), version)
    assert [chunk for chunk in chunks if isinstance(chunk, Range)] == [first, second]
    assert isinstance(chunks[0], bytes)
    whole = b"".join(c if isinstance(c, bytes) else bytes(len(c)) for c in chunks)
    expected = fetch_response(bytes(300), None, b"", bytes(5))
    assert whole == codec.encode(expected, version) == reference.encode(expected, version)


def test_records_are_views_of_the_request() -> None:
    partition = PartitionProduceData(index=1, records=b"records")
    request = ProduceRequest(topic_data=[TopicProduceData(name="t", partition_data=[partition])])
    data = bytearray(b"head" + codec.encode(request, 9))
    decoded = codec.decode(ProduceRequest, 9, data, 4)
    records = decoded.topic_data[0].partition_data[0].records
    assert isinstance(records, memoryview)
    assert records.obj is data
    assert decoded == request


def test_all_else_is_copied() -> None:
    data = bytearray(codec.encode(HeartbeatRequest(group_id="group", member_id="member"), 4))
    decoded = codec.decode(HeartbeatRequest, 4, memoryview(data))
    data[:] = bytes(len(data))
    assert (decoded.group_id, decoded.member_id) == ("group", "member")


REFUSED: dict[str, tuple[Message, int, type[EncodeError]]] = {
    "a field that the version lacks": (
        FetchRequest(replica_state=ReplicaState(replica_id=1)),
        14,
        UnsupportedFieldError,
    ),
    "a field of an element that the version lacks": (
        ProduceResponse(
            responses=[
                TopicProduceResponse(
                    partition_responses=[
                        PartitionProduceResponse(current_leader=LeaderIdAndEpoch(leader_id=1))
                    ]
                )
            ]
        ),
        9,
        UnsupportedFieldError,
    ),
    "a list that the version lacks": (
        OffsetFetchRequest(groups=[OffsetFetchRequestGroup()]),
        7,
        UnsupportedFieldError,
    ),
    "null where null may not be": (MetadataRequest(topics=None), 0, EncodeError),
    "an int8 of 128": (FetchRequest(isolation_level=128), 4, EncodeError),
    "an int32 of 2**31": (HeartbeatRequest(generation_id=2**31), 0, EncodeError),
    "a UUID of 15 bytes": (PartitionChangeRecord(topic_id=bytes(15)), 0, EncodeError),
    "a long text": (HeartbeatRequest(group_id="x" * 32768), 0, EncodeError),
    "a long compact text": (HeartbeatRequest(group_id="x" * 32768), 4, EncodeError),
    "half a surrogate pair": (HeartbeatRequest(group_id="\ud800"), 4, EncodeError),
    "a text that is a number": (HeartbeatRequest(group_id=1), 4, EncodeError),  # type: ignore[arg-type]
}


@pytest.mark.parametrize(("message", "version", "error"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_said_is_refused(
    message: Message, version: int, error: type[EncodeError]
) -> None:
    for encode in (codec.encode, reference.encode):
        with pytest.raises(EncodeError) as raised:
            encode(message, version)
        assert type(raised.value) is error


def test_a_text_at_the_limit_is_let_through() -> None:
    request = HeartbeatRequest(group_id="x" * 32767)
    for version in (0, 4):
        assert codec.decode(HeartbeatRequest, version, codec.encode(request, version)) == request


def test_a_range_cannot_be_joined() -> None:
    with pytest.raises(TypeError):
        codec.encode(fetch_response(Range(3)), 12)


def test_null_and_empty_are_told_apart() -> None:
    """In the tagged section too: only the default is left out."""
    assert MetadataRequest().topics == []
    assert (
        codec.decode(MetadataRequest, 9, codec.encode(MetadataRequest(topics=None), 9)).topics
        is None
    )
    for isr in (None, [], [1, 2]):
        record = PartitionChangeRecord(isr=isr)
        assert codec.decode(PartitionChangeRecord, 2, codec.encode(record, 2)).isr == isr


@pytest.mark.parametrize(
    "classic", [None, ClassicMemberMetadata(), ClassicMemberMetadata(session_timeout_ms=1)]
)
def test_a_nullable_tagged_struct_comes_back(classic: ClassicMemberMetadata | None) -> None:
    value = ConsumerGroupMemberMetadataValue(classic_member_metadata=classic)
    decoded = codec.decode(ConsumerGroupMemberMetadataValue, 0, codec.encode(value, 0))
    assert decoded.classic_member_metadata == classic


def test_messages_are_equal_by_class_and_fields_and_are_not_hashable() -> None:
    assert FetchRequest() == FetchRequest()
    assert FetchRequest(max_bytes=1) != FetchRequest()
    assert FetchRequest() != HeartbeatRequest()
    assert repr(HeartbeatRequest(group_id="g")).startswith("HeartbeatRequest(group_id='g', ")
    with pytest.raises(TypeError):
        hash(FetchRequest())


def test_messages_do_not_share_what_can_change() -> None:
    first, second = FetchResponse(), FetchResponse()
    first.responses.append(FetchableTopicResponse())
    assert second.responses == []
    assert PartitionData().current_leader is not PartitionData().current_leader
