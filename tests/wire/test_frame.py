"""Headers: the version that the API calls for, also where key or version is not known."""

from __future__ import annotations

import random

import pytest

from kbroker.wire import codec, frame
from kbroker.wire.api_keys import API_TABLE, ApiKey
from kbroker.wire.errors import ProtocolError
from kbroker.wire.messages.header import RequestHeader, ResponseHeader

EVERY_API_VERSION = pytest.mark.parametrize(
    ("key", "version"),
    [
        (api.key, version)
        for api in API_TABLE.values()
        for version in range(api.min_version, api.max_version + 1)
    ],
)


@EVERY_API_VERSION
def test_a_request_header_is_read_as_the_api_calls_for(key: int, version: int) -> None:
    header_version = 2 if API_TABLE[key].is_flexible(version) else 1
    for client_id in ("client", "", None):
        sent = RequestHeader(
            request_api_key=key,
            request_api_version=version,
            correlation_id=-7,
            client_id=client_id,
        )
        encoded = codec.encode(sent, header_version)
        assert frame.request_header(key, version, -7, client_id) == encoded
        header = frame.parse_request_header(memoryview(encoded + b"body"))
        assert (header.api_key, header.api_version) == (key, version)
        assert (header.correlation_id, header.client_id) == (-7, client_id)
        assert header.body_position == len(encoded)


@EVERY_API_VERSION
def test_a_response_header_is_what_the_api_calls_for(key: int, version: int) -> None:
    flexible = API_TABLE[key].is_flexible(version) and key != ApiKey.API_VERSIONS
    expected = codec.encode(ResponseHeader(correlation_id=9), 1 if flexible else 0)
    assert frame.response_header(key, version, 9) == expected
    assert frame.parse_response_header(key, version, expected + b"body") == (9, len(expected))


def test_api_versions_is_never_answered_with_a_tagged_header() -> None:
    for version in range(6):
        assert frame.response_header(ApiKey.API_VERSIONS, version, 1) == b"\0\0\0\1"


def test_tags_of_a_header_are_skipped() -> None:
    plain = frame.request_header(ApiKey.HEARTBEAT, 4, 1, "c")
    tagged = plain[:-1] + b"\2" + b"\0\3abc" + b"\x80\1\0"
    assert frame.parse_request_header(tagged + b"body").body_position == len(tagged)
    response = b"\0\0\0\1" + b"\1\5\2ab"
    assert frame.parse_response_header(ApiKey.HEARTBEAT, 4, response) == (1, len(response))


def test_an_api_version_of_the_future_still_has_a_header() -> None:
    """ApiVersions at a version that we do not know is answered, so its header must be read."""
    encoded = frame.request_header(ApiKey.API_VERSIONS, 99, 5, "c")
    header = frame.parse_request_header(encoded + b"whatever follows")
    assert (header.api_version, header.correlation_id, header.client_id) == (99, 5, "c")
    assert header.body_position == len(encoded)


@pytest.mark.parametrize("key", [4, 5, 6, 7, 93, 1000, -1])
def test_a_key_that_is_not_known_still_has_a_header(key: int) -> None:
    encoded = frame.request_header(key, 3, 5, "c")
    header = frame.parse_request_header(encoded)
    assert (header.api_key, header.api_version, header.client_id) == (key, 3, "c")
    assert f"api_key={key}" in repr(header)


@pytest.mark.parametrize("version", [3, 4])
def test_a_header_cut_short_is_malformed(version: int) -> None:
    encoded = frame.request_header(ApiKey.HEARTBEAT, version, 1, "client")
    for end in range(len(encoded)):
        with pytest.raises(ProtocolError):
            frame.parse_request_header(encoded[:end])
    for end in range(5):
        with pytest.raises(ProtocolError):
            frame.parse_response_header(ApiKey.HEARTBEAT, 4, bytes(end))


@pytest.mark.parametrize(
    ("client_id", "text"),
    [
        (b"\xff\xfe", None),
        (b"\x80\0", None),
        (b"\0\1\xff", "\ufffd"),
        (b"\0\3\xed\xa0\x80", "\ufffd" * 3),
    ],
)
def test_odd_client_ids_are_taken_as_kafka_takes_them(client_id: bytes, text: str | None) -> None:
    header = frame.parse_request_header(b"\0\x0c\0\3\0\0\0\1" + client_id)
    assert header.client_id == text


def test_a_client_id_over_the_end_is_malformed() -> None:
    with pytest.raises(ProtocolError):
        frame.parse_request_header(b"\0\x0c\0\3\0\0\0\1\x7f\xff")


def test_garbage_is_a_header_or_malformed() -> None:
    rng = random.Random(5)
    for _ in range(3000):
        data = bytearray(rng.randbytes(rng.randrange(40)))
        data[:4] = rng.choice((b"\0\x0c\0\4", b"\0\0\0\3", b"\0\x12\0\4", bytes(data[:4])))
        try:
            header = frame.parse_request_header(memoryview(data))
        except ProtocolError:
            continue
        assert 10 <= header.body_position <= len(data)
