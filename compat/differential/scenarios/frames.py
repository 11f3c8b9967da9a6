"""Frames that are wrong: what becomes of the connection, and what else is answered.

For every API at every version: the smallest request, cut short at each of its bytes, with bytes
behind it, with unknown tags; then headers and sizes that are wrong.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from compat.differential.scenarios import scenario
from kbroker.wire.api_keys import API_TABLE, ApiKey
from kbroker.wire.codec import encode
from kbroker.wire.frame import request_header
from kbroker.wire.messages.api_versions import ApiVersionsRequest
from kbroker.wire.messages.metadata import MetadataRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compat.differential.peer import Peer
    from kbroker.wire.message import Message

# What the smallest request of an API has to say, to be understood and do no harm.
SMALLEST: Mapping[int, Mapping[str, object]] = {
    ApiKey.PRODUCE: {"acks": 1},
    ApiKey.METADATA: {"topics": []},
    ApiKey.LIST_OFFSETS: {"replica_id": -1},
    ApiKey.API_VERSIONS: {"client_software_name": "a", "client_software_version": "1"},
    ApiKey.OFFSET_FETCH: {"group_id": "none"},
    ApiKey.FIND_COORDINATOR: {"key": "none"},
    ApiKey.INIT_PRODUCER_ID: {"transactional_id": None},
    ApiKey.DELETE_TOPICS: {"topics": []},
}
# Their smallest requests do something to the cluster.
HARMFUL = (
    ApiKey.UNREGISTER_BROKER,
    ApiKey.ELECT_LEADERS,
    ApiKey.UPDATE_FEATURES,
    ApiKey.ADD_RAFT_VOTER,
    ApiKey.REMOVE_RAFT_VOTER,
    ApiKey.WRITE_TXN_MARKERS,
    ApiKey.SASL_HANDSHAKE,
    ApiKey.SASL_AUTHENTICATE,
)
CUT_AT_MOST = 40


def smallest(peer: Peer, key: int, version: int) -> Message:
    api = API_TABLE[key]
    request = api.request()
    for name, value in SMALLEST.get(key, {}).items():
        setattr(request, name, value)
    if "group_id" in request.__slots__:
        request.group_id = peer.name("none") if version < 8 or key != ApiKey.OFFSET_FETCH else ""  # type: ignore[attr-defined]
    if key == ApiKey.FIND_COORDINATOR and version >= 4:
        request.key = ""  # type: ignore[attr-defined]
    return request


def sized(frame: bytes) -> bytes:
    return struct.pack(">i", len(frame)) + frame


def goes_on(peer: Peer, step: str) -> None:
    """Whether the connection still serves."""
    peer.alive(f"{step}: the connection", "frames")


@scenario(ApiVersionsRequest)
def cut_and_trailing(peer: Peer) -> None:
    for key, served in peer.versions.items():
        for version in served if key not in HARMFUL else ():
            header = request_header(key, version, 7, "frames")
            body = encode(smallest(peer, key, version), version)
            name = f"{API_TABLE[key].name} v{version}"
            if len(body) > CUT_AT_MOST:
                continue
            peer.outcome(f"{name} whole", sized(header + body), "frames")
            for size in range(len(body)):
                peer.outcome(f"{name} cut at {size}", sized(header + body[:size]), "frames")
            for tail in (b"\0", b"\0" * 5, b"\xff"):
                frame = sized(header + body + tail)
                peer.outcome(f"{name} and {tail.hex()}", frame, "frames")
            if header.endswith(b"\0") and API_TABLE[key].first_flexible_version is not None:
                tagged = body[:-1] + b"\x01\x63\x02hi"
                peer.outcome(f"{name} with a tag", sized(header + tagged), "frames")
                in_header = header[:-1] + b"\x01\x63\x02hi" + body
                peer.outcome(f"{name} with a tag in its header", sized(in_header), "frames")


@scenario(ApiVersionsRequest, MetadataRequest)
def headers(peer: Peer) -> None:
    for key in (*range(-1, 95), 1000, 32767, -32768):
        served = peer.versions.get(key)
        if served is None and key in API_TABLE:
            continue  # one of the two serves it
        for version in (0, -1, 99, 32767, *((served.start - 1, served.stop) if served else ())):
            if served is not None and version in served:
                continue
            frame = struct.pack(">hhih", key, version, 7, -1) + b"\0" * 8
            if key == ApiKey.API_VERSIONS:
                peer.exchange(f"ApiVersions v{version}", sized(frame), connection="frames")
            else:
                peer.outcome(f"key {key} v{version}", sized(frame), "frames")
    head = struct.pack(">hhi", ApiKey.METADATA, 1, 7)
    body = struct.pack(">i", 0)
    for step, text in (
        ("null client id", b"\xff\xff"),
        ("empty client id", b"\0\0"),
        ("client id that is not UTF-8", b"\0\2\xff\xfe"),
        ("client id over the end", b"\x7f\xff"),
        ("negative client id", b"\xff\xfe"),
    ):
        peer.outcome(step, sized(head + text + body), "frames")
        goes_on(peer, step)
    for step, name in (("not UTF-8", b"\xff\xfe"), ("UTF-8 cut short", b"a\xc3")):
        topic = head + b"\0\0" + struct.pack(">ih", 1, len(name)) + name
        peer.outcome(f"a topic name that is {step}", sized(topic), "frames")
    for size in range(len(head + b"\0\0")):
        peer.outcome(f"header cut at {size}", sized((head + b"\0\0")[:size]), "frames")


@scenario(ApiVersionsRequest)
def sizes(peer: Peer) -> None:
    for size in (-1, -(2**31), 0, 1, 104_857_601, 2**31 - 1):
        peer.outcome(f"a frame of {size}", struct.pack(">i", size), "frames", timeout_s=1)
        peer.drop("frames")
    request = request_header(ApiKey.API_VERSIONS, 0, 5, None)
    peer.outcome("two frames at once", sized(request) * 2, "frames")
    goes_on(peer, "two frames at once")
    peer.drop("frames")
    peer.outcome("a good frame, then rubbish", sized(request) + b"GET / HTTP/1.1\r\n\r\n", "frames")
    peer.outcome("HTTP", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "frames", timeout_s=1)
    peer.drop("frames")
    tls = bytes.fromhex("16030100f4010000f00303") + b"\0" * 40
    peer.outcome("TLS", tls, "frames", timeout_s=1)


@scenario(ApiVersionsRequest, MetadataRequest)
def pipelined(peer: Peer) -> None:
    """Many at once are answered in their order."""
    sent = []
    for number in range(40):
        if number % 2:
            request: Message = MetadataRequest(topics=[])
            sent.append(peer.send(f"{number}", request, peer.last(MetadataRequest)))
        else:
            named = ApiVersionsRequest(client_software_name="a", client_software_version="1")
            sent.append(peer.send(f"{number}", named, peer.last(ApiVersionsRequest)))
    for pending in sent:
        pending.outcome()
