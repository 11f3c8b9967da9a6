"""Bytes made to hurt: one named error, at once, and no memory for what is not there."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

import pytest

from kbroker.wire import codec, reference
from kbroker.wire.errors import ProtocolError
from kbroker.wire.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from kbroker.wire.messages.fetch import FetchRequest
from kbroker.wire.messages.heartbeat import HeartbeatRequest
from kbroker.wire.messages.join_group import JoinGroupRequest
from kbroker.wire.messages.metadata import MetadataRequest
from kbroker.wire.messages.produce import ProduceRequest
from kbroker.wire.messages.sync_group import SyncGroupRequest

if TYPE_CHECKING:
    from kbroker.wire.message import Message

EMPTY_TEXT = b"\0\0"
PRODUCE_7 = b"\xff\xff" + b"\0\1" + b"\0\0\0\1"  # no transactional id, acks, timeout
PRODUCE_9 = b"\0" + b"\0\1" + b"\0\0\0\1"
VARINT_MAX = b"\xff\xff\xff\xff\x0f"

HOSTILE: dict[str, tuple[type[Message], int, bytes]] = {
    "array count 2**31 - 1": (ProduceRequest, 7, PRODUCE_7 + b"\x7f\xff\xff\xff"),
    "array count -2**31": (ProduceRequest, 7, PRODUCE_7 + b"\x80\0\0\0"),
    "array count -2 where null may be": (MetadataRequest, 1, b"\xff\xff\xff\xfe"),
    "array null where null may not be": (ProduceRequest, 7, PRODUCE_7 + b"\xff\xff\xff\xff"),
    "compact array null": (ProduceRequest, 9, PRODUCE_9 + b"\0\0"),
    "compact array count 2**32 - 2": (ProduceRequest, 9, PRODUCE_9 + VARINT_MAX + bytes(40)),
    "varint of six bytes": (ProduceRequest, 9, PRODUCE_9 + b"\x80\x80\x80\x80\x80\1" + bytes(9)),
    "varint of 33 bits": (ProduceRequest, 9, PRODUCE_9 + b"\xff\xff\xff\xff\x1f" + bytes(9)),
    "varint that does not end": (ProduceRequest, 9, PRODUCE_9 + b"\x80\x80"),
    "text length 32767": (HeartbeatRequest, 0, b"\x7f\xff"),
    "text length -2": (HeartbeatRequest, 3, bytes(8) + b"\xff\xfe"),
    "text null": (HeartbeatRequest, 0, b"\xff\xff" + bytes(6)),
    "compact text null": (HeartbeatRequest, 4, b"\0" + bytes(8)),
    "compact text over Kafka's limit": (
        HeartbeatRequest,
        4,
        b"\x81\x80\x02" + b"x" * 32768 + bytes(4) + b"\1\0\0",
    ),
    "text that is not UTF-8": (HeartbeatRequest, 0, b"\0\1\xff" + bytes(6)),
    "text with half a surrogate pair": (HeartbeatRequest, 0, b"\0\3\xed\xa0\x80" + bytes(6)),
    "bytes length 2**31 - 1": (
        SyncGroupRequest,
        0,
        EMPTY_TEXT + bytes(4) + EMPTY_TEXT + b"\0\0\0\1" + EMPTY_TEXT + b"\x7f\xff\xff\xff",
    ),
    "bytes null": (
        SyncGroupRequest,
        0,
        EMPTY_TEXT + bytes(4) + EMPTY_TEXT + b"\0\0\0\1" + EMPTY_TEXT + b"\xff\xff\xff\xff",
    ),
    "records longer than the request": (
        ProduceRequest,
        7,
        PRODUCE_7 + b"\0\0\0\1\0\1t\0\0\0\1\0\0\0\0\x7f\xff\xff\xff",
    ),
    "records of length -2": (
        ProduceRequest,
        7,
        PRODUCE_7 + b"\0\0\0\1\0\1t\0\0\0\1\0\0\0\0\xff\xff\xff\xfe",
    ),
    "2**32 - 1 tags": (ApiVersionsRequest, 3, b"\1\1" + VARINT_MAX),
    "tag longer than the request": (ApiVersionsRequest, 3, b"\1\1\1\0\x10"),
    "tag twice": (ApiVersionsRequest, 3, b"\1\1\2\5\0\5\0"),
    "tags that fall": (ApiVersionsRequest, 3, b"\1\1\2\5\0\4\0"),
    "tag with a value shorter than it says": (
        ApiVersionsResponse,
        3,
        b"\0\0\1\0\0\0\0\1\1\x09" + bytes(8) + b"\0",
    ),
    "tag with a value longer than it says": (
        ApiVersionsResponse,
        3,
        b"\0\0\1\0\0\0\0\1\1\x07" + bytes(8),
    ),
    "tag of a later version": (
        FetchRequest,
        12,
        bytes(12) + b"\0\0\0\0\0" + bytes(8) + b"\1\1\1" + b"\1\1\0",
    ),
}


@pytest.mark.parametrize(("cls", "version", "data"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_bytes_are_refused_at_once(cls: type[Message], version: int, data: bytes) -> None:
    codec.decoder(cls, version)  # made beforehand: what it takes is not what the bytes cost
    tracemalloc.start()
    try:
        with pytest.raises(ProtocolError):
            codec.decode(cls, version, data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100_000 + 3 * len(data)
    with pytest.raises(ProtocolError):
        reference.decode(cls, version, data)


def test_a_long_list_costs_memory_in_proportion_to_its_bytes() -> None:
    """A count that the bytes could hold is believed only element by element."""
    count = 1 << 20
    data = EMPTY_TEXT + bytes(4) + EMPTY_TEXT * 2 + count.to_bytes(4) + b"\xff" * (6 * count)
    tracemalloc.start()
    try:
        with pytest.raises(ProtocolError):
            codec.decode(JoinGroupRequest, 0, data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < len(data) + 100_000


def test_unknown_tags_are_skipped() -> None:
    data = b"\2a\2b" + b"\2" + b"\x05\3abc" + b"\x80\1\0"
    expected = ApiVersionsRequest(client_software_name="a", client_software_version="b")
    assert codec.decode(ApiVersionsRequest, 3, data) == expected
    assert reference.decode(ApiVersionsRequest, 3, data) == expected


def test_a_version_that_does_not_exist_is_the_callers_mistake() -> None:
    for version in (-1, 2, 14):
        with pytest.raises(ValueError, match="has versions 3 to 13"):
            codec.decode(ProduceRequest, version, b"")
        with pytest.raises(ValueError, match="has versions 3 to 13"):
            codec.encode(ProduceRequest(), version)
