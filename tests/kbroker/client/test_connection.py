"""A connection negotiates versions and turns what goes wrong into sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from kbroker.client.connection import Connection
from kbroker.client.errors import BrokerError, ClientError, Disconnected, check, is_retriable
from kbroker.wire import codec, frame
from kbroker.wire.api_keys import ApiKey
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from kbroker.wire.messages.metadata import MetadataRequest, MetadataResponse

from .peer import Peer, api_versions, framed

if TYPE_CHECKING:
    from kbroker.client.connection import Stream


async def open_to(peer: Peer) -> Connection:
    async def connect(host: str, port: int) -> Stream:
        await trio.lowlevel.checkpoint()
        return peer

    return await Connection.open("broker", 9092, connect)


async def test_the_highest_common_version_is_used() -> None:
    def answer(key: int, version: int, correlation_id: int) -> bytes:
        if key == ApiKey.API_VERSIONS:
            return api_versions(correlation_id, version, {ApiKey.HEARTBEAT: (0, 2)})
        header = frame.response_header(key, version, correlation_id)
        return framed(header + codec.encode(HeartbeatResponse(error_code=27), version))

    peer = Peer(answer)
    connection = await open_to(peer)
    response = await connection.ask(HeartbeatRequest(group_id="g"), HeartbeatResponse)
    assert response.error_code == 27
    assert peer.versions == [(ApiKey.API_VERSIONS, 3), (ApiKey.HEARTBEAT, 2)]


async def test_an_older_broker_is_asked_again_with_version_0() -> None:
    def answer(key: int, version: int, correlation_id: int) -> bytes:
        if version:
            return api_versions(correlation_id, 0, {}, ErrorCode.UNSUPPORTED_VERSION)
        return api_versions(correlation_id, 0, {ApiKey.METADATA: (0, 9)})

    connection = await open_to(Peer(answer))
    assert connection.serves(ApiKey.METADATA)
    assert not connection.serves(ApiKey.HEARTBEAT)


async def test_an_api_that_the_broker_lacks_is_named() -> None:
    peer = Peer(lambda key, version, id_: api_versions(id_, version, {ApiKey.METADATA: (99, 99)}))
    connection = await open_to(peer)
    with pytest.raises(ClientError, match="does not support Metadata in any version from 4 to 12"):
        await connection.ask(MetadataRequest(), MetadataResponse)


@pytest.mark.parametrize(
    ("bytes_", "error", "sentence"),
    [
        (b"", Disconnected, "closed the connection"),
        (b"\0\0\0\x10\0\0", Disconnected, "closed the connection"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", ClientError, "does not speak Kafka's protocol"),
        (framed(b"\0\0\0\1\xff"), ClientError, "does not speak Kafka's protocol"),
        (framed(b"\0\0\0\7"), ClientError, "a different request than the one it was sent"),
    ],
)
async def test_what_is_no_answer_is_one_sentence(
    bytes_: bytes, error: type[ClientError], sentence: str
) -> None:
    peer = Peer(lambda key, version, correlation_id: bytes_)
    with pytest.raises(error, match=sentence):
        await open_to(peer)
    assert peer.is_closed


async def test_a_refused_negotiation_closes_the_connection() -> None:
    peer = Peer(lambda key, version, id_: api_versions(id_, version, {}, ErrorCode.INVALID_REQUEST))
    with pytest.raises(BrokerError, match="refused to negotiate versions"):
        await open_to(peer)
    assert peer.is_closed


async def test_what_a_request_cannot_hold_is_one_sentence_and_costs_no_connection() -> None:
    peer = Peer(lambda key, version, id_: api_versions(id_, version, {ApiKey.HEARTBEAT: (0, 2)}))
    connection = await open_to(peer)
    with pytest.raises(ClientError, match="The Heartbeat request cannot be encoded: "):
        await connection.ask(HeartbeatRequest(group_id="g" * 40_000), HeartbeatResponse)
    with pytest.raises(ClientError, match="The Heartbeat request cannot be encoded: "):
        await connection.tell(HeartbeatRequest(group_id="g" * 40_000))
    assert connection.is_open
    assert not peer.is_closed


class Stuck(Peer):
    """Takes no request but the first, for which it says what it serves."""

    async def send_all(self, data: bytes) -> None:
        if self.versions:
            await trio.sleep_forever()
        await super().send_all(data)


def serving_heartbeats(key: int, version: int, correlation_id: int) -> bytes:
    return api_versions(correlation_id, version, {ApiKey.HEARTBEAT: (0, 2)})


async def test_a_request_without_answer_that_is_not_taken_is_given_up(
    autojump_clock: object,
) -> None:
    peer = Stuck(serving_heartbeats)
    connection = await open_to(peer)
    with pytest.raises(Disconnected, match="has not taken Heartbeat within 30 s"):
        await connection.tell(HeartbeatRequest(group_id="g"))
    assert not connection.is_open
    assert peer.is_closed


async def test_half_a_request_without_answer_spoils_the_connection(
    autojump_clock: object,
) -> None:
    peer = Stuck(serving_heartbeats)
    connection = await open_to(peer)
    with trio.move_on_after(1):
        await connection.tell(HeartbeatRequest(group_id="g"))
    assert not connection.is_open
    assert peer.is_closed


async def test_a_broker_that_says_nothing_is_given_up(autojump_clock: object) -> None:
    class Silent(Peer):
        async def receive_some(self, max_bytes: int | None = None) -> bytes:
            await trio.sleep_forever()
            raise AssertionError

    peer = Silent(lambda key, version, correlation_id: b"")
    with pytest.raises(Disconnected, match="has not answered ApiVersions within 30 s"):
        await open_to(peer)
    assert peer.is_closed


@pytest.mark.parametrize(
    ("failure", "sentence"),
    [
        (ConnectionRefusedError(111, "Connection refused"), "broker:9092: Connection refused."),
        (OSError("all attempts failed"), "broker:9092: all attempts failed."),
    ],
)
async def test_why_nobody_answers(failure: OSError, sentence: str) -> None:
    async def connect(host: str, port: int) -> Stream:
        await trio.lowlevel.checkpoint()
        raise failure

    with pytest.raises(Disconnected) as raised:
        await Connection.open("broker", 9092, connect)
    assert str(raised.value) == f"No broker answers at {sentence}"


def test_error_codes_become_sentences() -> None:
    check(0, "x")
    with pytest.raises(BrokerError) as raised:
        check(ErrorCode.NOT_LEADER_OR_FOLLOWER, "Partition t-0")
    assert str(raised.value).startswith("Partition t-0: ")
    assert str(raised.value).endswith("(NOT_LEADER_OR_FOLLOWER).")
    assert is_retriable(raised.value)
    with pytest.raises(BrokerError, match="UNKNOWN_SERVER_ERROR"):
        check(9999, "x")
