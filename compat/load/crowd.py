"""Connections that behave badly, thousands of them, in one process.

    python -m compat.load.crowd HOST PORT TOPIC TOPIC_ID COUNT SEED

They come from many addresses of the loopback network. Prints "ready" when all have connected once,
runs until standard input ends, and prints as JSON how often each role connected, was refused,
was closed by the broker, and how many bytes it got.
"""

from __future__ import annotations

import json
import random
import socket
import struct
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import trio

from compat.behaviour.asking import PRODUCE_VERSION, batch, fetch_request, produce_request
from kbroker.wire import codec, frame
from kbroker.wire.messages.api_versions import ApiVersionsRequest
from kbroker.wire.messages.metadata import MetadataRequest

if TYPE_CHECKING:
    from kbroker.wire.message import Message

ADDRESSES = 100  # 127.0.0.2 and up
AT_A_TIME = 40  # connecting: fewer than a listener's backlog
AGAIN_S = 1.0  # before whoever was closed comes back
STORM_PAUSE_S = 0.25
REQUEST_BYTES_MAX = 104_857_600  # socket.request.max.bytes
RECORD_BYTES = 900_000  # near max.message.bytes
BIG = 50 << 20
POLL_MS = 3000  # a broker need not notice before its answer that a client is gone
FULL_PARTITION, EMPTY_PARTITION = 0, 1


@dataclass(slots=True)
class Tally:
    """What befell the connections of one role."""

    connections: int = 0
    connected: int = 0
    refused: int = 0
    closed: int = 0
    received_bytes: int = 0


class Member:
    """One connection after the other, in one role."""

    def __init__(self, crowd: Crowd, tally: Tally, address: str, rng: random.Random) -> None:
        self.crowd = crowd
        self.tally = tally
        self.rng = rng
        self._address = address
        self._stream: trio.SocketStream | None = None

    async def connect(self) -> trio.SocketStream:
        while True:
            sock = trio.socket.socket(socket.AF_INET)
            try:
                async with self.crowd.connecting:
                    await sock.bind((self._address, 0))
                    await sock.connect((self.crowd.host, self.crowd.port))
            except OSError:
                sock.close()
                self.tally.refused += 1
                await trio.sleep(AGAIN_S)
                continue
            self.tally.connected += 1
            return trio.SocketStream(sock)

    async def run(self, role: Role, *, task_status: trio.TaskStatus[None]) -> None:
        stream = await self.connect()
        task_status.started()
        while True:
            try:
                await role(self, stream)
            except (trio.BrokenResourceError, trio.ClosedResourceError, ConnectionClosed):
                self.tally.closed += 1
            await trio.aclose_forcefully(stream)
            await trio.sleep(AGAIN_S)
            stream = await self.connect()

    async def read(self, stream: trio.SocketStream, size: int = 65_536) -> bytes:
        received = await stream.receive_some(size)
        if not received:
            raise ConnectionClosed
        self.tally.received_bytes += len(received)
        return received

    async def read_on(self, stream: trio.SocketStream) -> None:
        """Until the broker closes it."""
        while True:
            await self.read(stream)


class ConnectionClosed(Exception):
    """The broker ended the connection."""


Role = Callable[[Member, trio.SocketStream], Awaitable[None]]


def framed(request: Message, version: int) -> bytes:
    assert request.API_KEY is not None
    body = frame.request_header(request.API_KEY, version, 1, "crowd")
    body += codec.encode(request, version)
    return struct.pack(">i", len(body)) + body


async def silent(member: Member, stream: trio.SocketStream) -> None:
    """Never says a word."""
    await member.read_on(stream)


async def idle(member: Member, stream: trio.SocketStream) -> None:
    """Asks once, as a client does that is then left alone."""
    await stream.send_all(framed(ApiVersionsRequest(), 0))
    await member.read_on(stream)


async def garbage(member: Member, stream: trio.SocketStream) -> None:
    """Something else: another protocol, or nothing at all."""
    await stream.send_all(
        member.rng.choice(
            [
                b"GET / HTTP/1.1\r\nHost: broker\r\n\r\n",
                b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + member.rng.randbytes(505),
                member.rng.randbytes(2000),
                struct.pack(">ihhi", 12, member.rng.randrange(-(1 << 15), 1 << 15), 0, 1) * 5,
                framed(MetadataRequest(topics=None), 12)[:-1] + b"\xff" * 9,
            ]
        )
    )
    await member.read_on(stream)


async def byte_a_second(member: Member, stream: trio.SocketStream) -> None:
    """A good request, a byte a second."""
    for byte in produce_frame(member):
        await stream.send_all(bytes([byte]))
        await trio.sleep(1.0)
    await member.read(stream)


async def reads_nothing(member: Member, stream: trio.SocketStream) -> None:
    """Asks for as much as may be asked for, again and again, and takes nothing."""
    request = framed(member.crowd.fetch(max_wait_ms=0), 17)
    for _ in range(1000):
        await stream.send_all(request)
    await trio.sleep_forever()


async def reads_slowly(member: Member, stream: trio.SocketStream) -> None:
    """Takes what it asked for in small pieces."""
    while True:
        await stream.send_all(framed(member.crowd.fetch(max_wait_ms=0), 17))
        for _ in range(100):
            await member.read(stream, 2048)
            await trio.sleep(0.2)


async def asks_ahead(member: Member, stream: trio.SocketStream) -> None:
    """Small requests with large answers, thousands of them in one go, and takes nothing."""
    await stream.send_all(framed(MetadataRequest(topics=None), 12) * 5000)
    await trio.sleep_forever()


async def waits(member: Member, stream: trio.SocketStream) -> None:
    """Long polls for what does not come."""
    while True:
        await stream.send_all(framed(member.crowd.fetch(empty=True, max_wait_ms=POLL_MS), 17))
        await member.read(stream)


async def half_closed(member: Member, stream: trio.SocketStream) -> None:
    """Ends its own direction in the midst of a request."""
    await stream.send_all(produce_frame(member)[:20])
    await stream.send_eof()
    await member.read_on(stream)


async def comes_and_goes(member: Member, stream: trio.SocketStream) -> None:
    """Connects, and is gone."""
    while True:
        await trio.aclose_forcefully(stream)
        await trio.sleep(STORM_PAUSE_S * 2 * member.rng.random())
        stream = await member.connect()


async def huge_size(member: Member, stream: trio.SocketStream) -> None:
    """Says that a request of the largest size comes (or of one too large), and sends some of it."""
    size = member.rng.choice([REQUEST_BYTES_MAX, REQUEST_BYTES_MAX, REQUEST_BYTES_MAX + 1, -1])
    await stream.send_all(struct.pack(">i", size) + bytes(30_000))
    await member.read_on(stream)


async def at_the_limit(member: Member, stream: trio.SocketStream) -> None:
    """Records as large as they may be, slowly enough to leave others their share."""
    request = produce_frame(member, RECORD_BYTES)
    while True:
        await stream.send_all(request)
        await member.read(stream)
        await trio.sleep(5.0 * member.rng.random() + 2.5)


def produce_frame(member: Member, size: int = 100) -> bytes:
    records = batch(bytes(size))
    return framed(produce_request(member.crowd.topic, records, acks=1), PRODUCE_VERSION)


# Of every 40: 20 that are idle.
ROLES: tuple[tuple[int, Role], ...] = (
    (10, silent),
    (10, idle),
    (3, garbage),
    (4, byte_a_second),
    (3, reads_nothing),
    (1, reads_slowly),
    (1, asks_ahead),
    (3, waits),
    (1, half_closed),
    (1, comes_and_goes),
    (2, huge_size),
    (1, at_the_limit),
)


class Crowd:
    """All of them."""

    def __init__(self, host: str, port: int, topic: str, topic_id: bytes) -> None:
        self.host, self.port, self.topic = host, port, topic
        self.connecting = trio.CapacityLimiter(AT_A_TIME)
        self.tallies = {role.__name__: Tally() for _, role in ROLES}
        self._topic_id = topic_id

    def fetch(self, *, max_wait_ms: int, empty: bool = False) -> Message:
        return fetch_request(
            self._topic_id,
            0,
            partition=EMPTY_PARTITION if empty else FULL_PARTITION,
            max_bytes=BIG,
            partition_max_bytes=BIG,
            max_wait_ms=max_wait_ms,
        )

    async def run(self, count: int, seed: int) -> None:
        order = [role for share, role in ROLES for _ in range(share)]
        async with trio.open_nursery() as nursery:
            async with trio.open_nursery() as starting:
                for i in range(count):
                    role = order[i % len(order)]
                    tally = self.tallies[role.__name__]
                    tally.connections += 1
                    address = f"127.0.0.{2 + i % ADDRESSES}"
                    member = Member(self, tally, address, random.Random(seed + i))
                    starting.start_soon(nursery.start, member.run, role)
            print("ready", flush=True)
            await trio.to_thread.run_sync(sys.stdin.read)
            nursery.cancel_scope.cancel()


def main() -> None:
    host, port, topic, topic_id = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
    crowd = Crowd(host, port, topic, bytes.fromhex(topic_id))
    trio.run(crowd.run, int(sys.argv[5]), int(sys.argv[6]))
    print(json.dumps({name: asdict(tally) for name, tally in crowd.tallies.items()}))


if __name__ == "__main__":
    main()
