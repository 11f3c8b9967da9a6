"""Frames that are wrong: what becomes of the connection, and what else is answered.

For every API at every version: the smallest request, cut short at each of its bytes, with each byte
of it overwritten (lengths below zero), with bytes behind it, with tags that are unknown, twice
there, out of order or over the end; then headers and sizes that are wrong.
"""

from __future__ import annotations

import struct
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from compat.differential.scenarios import scenario
from kbroker.wire.api_keys import API_TABLE, ApiKey
from kbroker.wire.codec import encode
from kbroker.wire.frame import request_header
from kbroker.wire.messages.api_versions import ApiVersionsRequest
from kbroker.wire.messages.metadata import MetadataRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

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
    ApiKey.ADD_PARTITIONS_TO_TXN,  # from version 4 it is not answered without a transaction
)
# Tags behind the last field: their number, then tag, size and bytes of each.
TAGS = {
    "a tag": b"\x01\x63\x02hi",
    "a tag twice": b"\x02\x63\x02hi\x63\x02hi",
    "tags out of order": b"\x02\x64\x02hi\x63\x02hi",
    "a tag without bytes": b"\x01\x63\x00",
    "a tag over the end": b"\x01\x63\x7fhi",
    "tags over the end": b"\x05\x63\x02hi",
    "a tag of 2 GiB": b"\x01\x63\xff\xff\xff\xff\x0f",
    "2 GiB of tags": b"\xff\xff\xff\xff\x0f",
    "a tag over 32 bits": b"\x01\xff\xff\xff\xff\xff\x01\x00",
}
CUT_AT_MOST = 40
KEY_AND_VERSION = 4  # of a header; more of them says what is meant


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


def _send(peer: Peer, api: str, version: int, step: str, data: bytes) -> None:
    peer.outcome(step, data, "frames", api=api, version=version)


def goes_on(peer: Peer, step: str) -> None:
    """Whether the connection still serves."""
    peer.alive(f"{step}: the connection", "frames")


class _Request(NamedTuple):
    """A small request, and how to send bytes in its name: `send(step, frame)`."""

    name: str
    key: int
    version: int
    header: bytes
    body: bytes
    send: Callable[[str, bytes], None]


def _requests(peer: Peer, keys: range) -> Iterator[_Request]:
    """One of each version that is served of these keys; in parts, so that they run side by side."""
    for key, served in peer.versions.items():
        if key not in keys or key in HARMFUL:
            continue
        for version in served:
            header = request_header(key, version, 7, "frames")
            body = encode(smallest(peer, key, version), version)
            api = API_TABLE[key].name
            send = partial(_send, peer, api, version)
            yield _Request(f"{api} v{version}", key, version, header, body, send)


def damaged(peer: Peer, keys: range) -> None:
    for name, key, version, header, body, send in _requests(peer, keys):
        if len(body) > CUT_AT_MOST:
            continue
        send(f"{name} whole", sized(header + body))
        for size in range(len(body)):
            send(f"{name} cut at {size}", sized(header + body[:size]))
        for size in range(KEY_AND_VERSION, len(header)):
            send(f"{name} header cut at {size}", sized(header[:size]))
        for tail in (b"\0", b"\0" * 5, b"\xff"):
            send(f"{name} and {tail.hex()}", sized(header + body + tail))
        flexible = API_TABLE[key].first_flexible_version
        if flexible is None or version < flexible:
            continue
        for what, tags in TAGS.items():
            send(f"{name} with {what}", sized(header + body[:-1] + tags))
            send(f"{name} with {what} in its header", sized(header[:-1] + tags + body))


def overwritten(peer: Peer, keys: range) -> None:
    """Each byte of the body that is no text is ff in its turn: lengths below zero, or of 2 GiB."""
    for name, _, _, header, body, send in _requests(peer, keys):
        for place in range(min(len(body), CUT_AT_MOST)):
            if chr(body[place]).isprintable():
                continue  # text, or the length of a longer one
            changed = body[:place] + b"\xff" + body[place + 1 :]
            send(f"{name} ff at {place}", sized(header + changed))


@scenario(ApiVersionsRequest)
def of_records(peer: Peer) -> None:
    damaged(peer, range(0, 8))
    overwritten(peer, range(0, 8))


@scenario(ApiVersionsRequest)
def of_groups(peer: Peer) -> None:
    damaged(peer, range(8, 18))
    overwritten(peer, range(8, 18))


@scenario(ApiVersionsRequest)
def of_topics(peer: Peer) -> None:
    damaged(peer, range(18, 32))
    overwritten(peer, range(18, 32))


@scenario(ApiVersionsRequest)
def of_administrators(peer: Peer) -> None:
    damaged(peer, range(32, 100))
    overwritten(peer, range(32, 100))


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
    for size in (-1, -(2**31), 0, 104_857_601, 2**31 - 1):
        peer.outcome(f"a frame of {size}", struct.pack(">i", size), "frames")
        peer.drop("frames")
    # What is to come is waited for: silence.
    peer.outcome("a frame of 1", struct.pack(">i", 1), "frames", silence_expected=True)
    peer.drop("frames")
    request = request_header(ApiKey.API_VERSIONS, 0, 5, None)
    peer.outcome("two frames at once", sized(request) * 2, "frames")
    goes_on(peer, "two frames at once")
    peer.drop("frames")
    peer.outcome("a good frame, then rubbish", sized(request) + b"GET / HTTP/1.1\r\n\r\n", "frames")
    peer.outcome("HTTP", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "frames")
    peer.drop("frames")
    tls = bytes.fromhex("16030100f4010000f00303") + b"\0" * 40
    peer.outcome("TLS", tls, "frames")


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
