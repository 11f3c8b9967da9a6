"""ApiVersions: what it lists, and how it answers a version of the future."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from kbroker.wire.codec import decode, encode
from kbroker.wire.errors import ErrorCode
from kbroker.wire.frame import request_header
from kbroker.wire.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse

from .asking import assert_error, assert_none

if TYPE_CHECKING:
    from compat.raw import RawClient

pytestmark = [pytest.mark.ci, pytest.mark.item(1)]

API_VERSIONS = 18
NAMED = ApiVersionsRequest(client_software_name="compat", client_software_version="1.0")

# What Apache Kafka 4.3.0 advertises of the APIs that this broker serves so far.
RANGES = {
    0: (0, 13),  # Produce: 3 is the first that works, 0 what old librdkafkas look at
    1: (4, 18),
    2: (1, 11),
    3: (0, 13),
    8: (2, 10),
    9: (1, 10),
    10: (0, 6),
    11: (0, 9),
    12: (0, 4),
    13: (0, 5),
    14: (0, 5),
    15: (0, 6),
    16: (0, 5),
    18: (0, 4),
    19: (2, 7),
    20: (1, 6),
    22: (0, 5),
    23: (2, 4),
    32: (1, 4),
    37: (0, 3),
    42: (0, 2),
    44: (0, 1),
    47: (0, 0),
    60: (0, 2),
    75: (0, 0),
}
FEATURES = {  # of a fresh cluster
    "eligible.leader.replicas.version": 1,
    "group.version": 1,
    "metadata.version": 30,
    "share.version": 1,
    "streams.version": 1,
    "transaction.version": 2,
}


@pytest.mark.item(3)
@pytest.mark.parametrize("version", range(5))
def test_lists_kafkas_ranges(raw: RawClient, version: int) -> None:
    response = raw.ask(NAMED, version, ApiVersionsResponse)
    assert_none(response.error_code)
    found = {one.api_key: (one.min_version, one.max_version) for one in response.api_keys}
    assert {key: found.get(key) for key in RANGES} == RANGES


@pytest.mark.item(3)
def test_lists_the_features_of_a_fresh_cluster(raw: RawClient) -> None:
    response = raw.ask(NAMED, 4, ApiVersionsResponse)
    finalized = {one.name: one.max_version_level for one in response.finalized_features}
    # On a broker judged before: the test of Java's `features upgrade` raises it for good.
    assert finalized in (FEATURES, FEATURES | {"kraft.version": 1})
    supported = {
        one.name: (one.min_version, one.max_version) for one in response.supported_features
    }
    assert supported["metadata.version"] == (7, 30)
    assert supported["group.version"] == (0, 1)
    assert response.finalized_features_epoch >= 0


def test_a_version_of_the_future_gets_an_answer_of_version_0(raw: RawClient) -> None:
    """With the range of ApiVersions itself, and the connection stays open."""
    for version in (5, 99, 32767):
        head = struct.pack(">hhih", API_VERSIONS, version, 77, 6) + b"compat\0"
        frame = raw.exchange(head + encode(NAMED, 4))
        assert struct.unpack_from(">i", frame) == (77,)
        response = decode(ApiVersionsResponse, 0, frame, 4)
        assert_error(response.error_code, ErrorCode.UNSUPPORTED_VERSION)
        found = [(one.api_key, one.min_version, one.max_version) for one in response.api_keys]
        assert found == [(API_VERSIONS, 0, 4)]
    assert_none(raw.ask(NAMED, 4, ApiVersionsResponse).error_code)


@pytest.mark.parametrize(
    ("name", "version"), [("", "1"), ("x", ""), ("with space", "1"), ("-x", "1"), ("x", "1.-")]
)
def test_a_client_must_name_itself_properly(raw: RawClient, name: str, version: str) -> None:
    request = ApiVersionsRequest(client_software_name=name, client_software_version=version)
    response = raw.ask(request, 3, ApiVersionsResponse)
    assert_error(response.error_code, ErrorCode.INVALID_REQUEST)


def test_a_null_client_id_is_accepted(raw: RawClient) -> None:
    frame = raw.exchange(request_header(API_VERSIONS, 3, 5, None) + encode(NAMED, 3))
    assert_none(decode(ApiVersionsResponse, 3, frame, 4).error_code)
