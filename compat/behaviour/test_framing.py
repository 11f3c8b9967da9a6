"""What is not served closes the connection; what is pipelined is answered in order."""

from __future__ import annotations

import struct
import time
from typing import TYPE_CHECKING

import pytest

from compat.raw import ConnectionClosed, RawClient
from kbroker.wire.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from kbroker.wire.messages.fetch import FetchResponse
from kbroker.wire.messages.metadata import MetadataRequest, MetadataResponse
from kbroker.wire.messages.produce import ProduceResponse

from .asking import (
    FETCH_VERSION,
    PRODUCE_VERSION,
    assert_none,
    batch,
    fetch_request,
    make_topic,
    produce_request,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from compat.brokers import Broker

pytestmark = [pytest.mark.ci, pytest.mark.item(4)]


@pytest.mark.parametrize(
    ("key", "version"),
    [
        (0, 2),  # Produce before records of format 2, though 0 is advertised
        (0, 14),
        (1, 3),
        (1, 19),
        (2, 0),
        (3, 14),
        (4, 7),  # LeaderAndIsr is gone
        (5, 0),
        (6, 8),
        (7, 3),
        (8, 1),
        (11, 10),
        (19, 1),
        (22, 6),  # in the schema, but unstable
        (52, 0),  # Vote belongs to the controllers' listener
        (62, 0),
        (93, 0),
        (1000, 0),
        (-1, 0),
    ],
)
def test_what_is_not_served_closes_the_connection(broker: Broker, key: int, version: int) -> None:
    with RawClient(broker.host, broker.port) as raw:
        raw.send_frame(struct.pack(">hhih6s", key, version, 1, 6, b"compat") + bytes(64))
        with pytest.raises(ConnectionClosed):
            raw.read_frame()


@pytest.mark.parametrize(
    "data",
    [
        struct.pack(">i", -1),
        struct.pack(">i", 0),
        struct.pack(">i", 100 * 1024 * 1024 + 1),  # socket.request.max.bytes
        struct.pack(">i", 0x7FFFFFFF),
        struct.pack(">ih", 2, 3),
        b"GET / HTTP/1.1\r\nHost: broker\r\n\r\n",
        struct.pack(">ihhih", 10, 3, 12, 1, 30),  # a client id longer than the frame
        struct.pack(">ihhih", 10, 3, 5, 1, -1),  # Metadata v5 without a body
    ],
    ids=lambda data: data[:8].hex(),
)
def test_a_malformed_frame_closes_the_connection(broker: Broker, data: bytes) -> None:
    with RawClient(broker.host, broker.port) as raw:
        raw.send_bytes(data)
        with pytest.raises(ConnectionClosed):
            raw.read_frame()


def test_answers_come_in_the_order_of_the_requests(
    raw: RawClient, unique: Callable[[str], str]
) -> None:
    """Also behind a fetch that waits."""
    topic = unique("ordered")
    topic_id = make_topic(raw, topic)
    started = time.monotonic()
    waiting = fetch_request(topic_id, 0, max_wait_ms=700)
    first = raw.send(waiting, FETCH_VERSION)
    second = raw.send(MetadataRequest(topics=[]), 12)
    third = raw.send(ApiVersionsRequest(client_software_name="c", client_software_version="1"), 4)
    assert_none(raw.receive(first, FETCH_VERSION, FetchResponse).error_code)
    assert time.monotonic() - started >= 0.6
    assert raw.receive(second, 12, MetadataResponse).brokers
    assert_none(raw.receive(third, 4, ApiVersionsResponse).error_code)


def test_many_produces_in_flight_are_appended_in_order(
    raw: RawClient, unique: Callable[[str], str]
) -> None:
    topic = unique("pipelined")
    make_topic(raw, topic)
    requests = [produce_request(topic, batch(b"%d" % i)) for i in range(100)]
    sent = [raw.send(request, PRODUCE_VERSION) for request in requests]
    offsets = []
    for correlation_id in sent:
        response = raw.receive(correlation_id, PRODUCE_VERSION, ProduceResponse)
        offsets.append(response.responses[0].partition_responses[0].base_offset)
    assert offsets == list(range(100))


def test_a_frame_may_come_in_pieces(broker: Broker) -> None:
    header = struct.pack(">hhih6s", 18, 0, 3, 6, b"compat")
    data = struct.pack(">i", len(header)) + header
    with RawClient(broker.host, broker.port) as raw:
        for i in range(len(data)):
            raw.send_bytes(data[i : i + 1])
            time.sleep(0.002)
        assert raw.read_frame()[:6] == struct.pack(">ih", 3, 0)
