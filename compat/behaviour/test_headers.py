"""Request headers with and without tags, and the response header that never has them."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from kbroker.wire.codec import decode, encode
from kbroker.wire.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from kbroker.wire.messages.metadata import MetadataRequest, MetadataResponse

from .asking import assert_none

if TYPE_CHECKING:
    from compat.raw import RawClient

pytestmark = [pytest.mark.ci, pytest.mark.item(2)]

# One tagged field, number 9, of three bytes, that no version knows.
UNKNOWN_TAG = b"\x01\x09\x03abc"


def test_the_answer_to_api_versions_has_no_tagged_header(raw: RawClient) -> None:
    request = ApiVersionsRequest(client_software_name="c", client_software_version="1")
    for version in range(5):
        header = struct.pack(">hhih", 18, version, 9, -1) + (b"\0" if version >= 3 else b"")
        frame = raw.exchange(header + encode(request, version))
        assert_none(decode(ApiVersionsResponse, version, frame, 4).error_code)


def test_every_other_flexible_answer_has_one(raw: RawClient) -> None:
    header = struct.pack(">hhih", 3, 9, 9, -1) + b"\0"
    frame = raw.exchange(header + encode(MetadataRequest(topics=[]), 9))
    assert frame[:5] == struct.pack(">ib", 9, 0)
    assert decode(MetadataResponse, 9, frame, 5).brokers
    header = struct.pack(">hhih", 3, 8, 9, -1)
    frame = raw.exchange(header + encode(MetadataRequest(topics=[]), 8))
    assert decode(MetadataResponse, 8, frame, 4).brokers


def test_unknown_tags_in_header_and_body_are_skipped(raw: RawClient) -> None:
    header = struct.pack(">hhih6s", 3, 12, 9, 6, b"compat") + UNKNOWN_TAG
    body = encode(MetadataRequest(topics=[]), 12)
    assert body[-1:] == b"\0"
    frame = raw.exchange(header + body[:-1] + UNKNOWN_TAG)
    assert decode(MetadataResponse, 12, frame, 5).brokers


def test_what_follows_the_request_is_left_alone(raw: RawClient) -> None:
    """librdkafka sends such bytes after a Metadata request for all topics."""
    for version in (1, 12, 13):
        header = struct.pack(">hhih", 3, version, 9, -1) + (b"\0" if version >= 9 else b"")
        body = encode(MetadataRequest(topics=[]), version)
        frame = raw.exchange(header + body + b"\1\2\3")
        assert decode(MetadataResponse, version, frame, 5 if version >= 9 else 4).brokers
