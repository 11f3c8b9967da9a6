"""A hostile world against a whole broker: whatever a request says, it is answered with something
that can be decoded, by an error code that fits, or its connection is closed; and the broker serves
the next client as if nothing had been.
"""

from __future__ import annotations

import logging
import os
import random
import struct
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest
import trio

from kbroker.apis import apis_of
from kbroker.node.settings import TopicSpec
from kbroker.releases.release import DEFAULT
from kbroker.wire import codec, frame
from kbroker.wire.api_keys import ApiKey
from kbroker.wire.errors import ErrorCode
from kbroker.wire.message import Struct
from kbroker.wire.messages.join_group import JoinGroupRequest
from kbroker.wire.messages.metadata import MetadataRequest, MetadataResponse
from kbroker.wire.messages.produce import ProduceRequest
from tests.kbroker.hostile_requests import Hostile
from tests.sim.broker import Machine
from tests.sim.clock import patient_clock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from kbroker.requests.api import Api
    from kbroker.wire.message import Message
    from tests.sim.clock import BusyThreads
    from tests.sim.network import MemoryStream

SEEDS = int(os.environ.get("KBROKER_HOSTILE_SEEDS", "10"))
REQUESTS = 300
PIPELINED = 30
SETTINGS = {"group.min.session.timeout.ms": "1000", "num.partitions": "2"}
TOPICS = (
    TopicSpec("t", 3),
    TopicSpec("compacted", 1, {"cleanup.policy": "compact"}),
    TopicSpec("stamped", 1, {"message.timestamp.type": "LogAppendTime"}),
)
# Once it is unregistered, a broker refuses nearly all without a further look.
ASKED = [api for api in apis_of(DEFAULT) if api.key != ApiKey.UNREGISTER_BROKER]
# Virtual time after which a request counts as forgotten. None here asks to wait as long.
FORGOTTEN_S = 100.0


@pytest.fixture
def clock(busy_threads: BusyThreads) -> trio.testing.MockClock:
    """Jumps only when nothing has happened for a while, not even in a thread."""
    return patient_clock(busy_threads, autojump_threshold=0.003)


class World:
    """A broker, and the seed of all that is done to it."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self._machine = Machine(seed)
        self._address = ("", 0)
        self.hostile = Hostile(self.rng, ())

    @asynccontextmanager
    async def broker(self) -> AsyncIterator[None]:
        """Serves to the end."""
        async with self._machine.broker(*TOPICS, settings=SETTINGS) as client:
            self._address = client.stream.transport.peer_address
            metadata = await client.call(MetadataRequest(topics=None), MetadataResponse)
            self.hostile = Hostile(self.rng, [topic.topic_id for topic in metadata.topics])
            yield
            assert (await client.call(MetadataRequest(topics=[]), MetadataResponse)).brokers

    async def connect(self) -> MemoryStream:
        return await self._machine.network.connect(*self._address)

    def ask(self) -> Asked:
        """Some request."""
        api = self.rng.choice(ASKED)
        version = self.rng.randint(api.min_version, api.max_version)
        return Asked(api, version, self.hostile.request(api.request, version))


class Asked:
    """One request and what may be answered."""

    def __init__(self, api: Api, version: int, request: Message) -> None:
        self._api = api
        self._version = version
        self._request = request
        self.has_answer = not (isinstance(request, ProduceRequest) and request.acks == 0)

    def __repr__(self) -> str:
        return f"{self._request} v{self._version}"

    def framed(self, correlation_id: int) -> bytes:
        header = frame.request_header(self._api.key, self._version, correlation_id, "hostile")
        body = header + codec.encode(self._request, self._version)
        return struct.pack(">i", len(body)) + body

    async def answer(self, stream: MemoryStream, correlation_id: int) -> Message | None:
        """The next response, which makes sense; None where the broker has closed the connection."""
        with trio.move_on_after(FORGOTTEN_S) as forgotten:
            answer = await next_frame(stream)
        assert not forgotten.cancelled_caught, f"no answer to {self}"
        if answer is None:
            return None
        view = memoryview(answer)
        key, version = self._api.key, self._version
        answered_id, position = frame.parse_response_header(key, version, view)
        assert answered_id == correlation_id
        response = codec.decode(self._api.response, version, view, position)
        assert codec.encode(response, version) == view[position:]
        if not self._fails_in_kafka_too():
            unknown = ErrorCode.UNKNOWN_SERVER_ERROR
            assert unknown not in _error_codes(response), f"{self}: {response}"
        return response

    def _fails_in_kafka_too(self) -> bool:
        """A static member that takes a dynamic one's id may end in an IllegalStateException."""
        request = self._request
        return isinstance(request, JoinGroupRequest) and request.group_instance_id is not None


async def next_frame(stream: MemoryStream) -> bytes | None:
    """The next answer without its size; None at the end of the stream."""
    head = await _exactly(stream, 4)
    if not head:
        return None
    (size,) = struct.unpack(">i", head)
    answer = await _exactly(stream, size)
    assert len(answer) == size, f"the answer ends after {len(answer)} of {size} bytes"
    return answer


async def _exactly(stream: MemoryStream, size: int) -> bytes:
    content = b""
    while len(content) < size:
        chunk = await stream.receive_some(size - len(content))
        if not chunk:
            break
        content += chunk
    return content


def _error_codes(value: object) -> Iterator[int]:
    """Of a response, wherever they stand."""
    if isinstance(value, list):
        for element in value:
            yield from _error_codes(element)
    elif isinstance(value, Struct):
        for name in value.__slots__:
            if name == "error_code":
                yield getattr(value, name)
            else:
                yield from _error_codes(getattr(value, name))


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_any_request_is_answered_or_closes_its_connection(
    seed: int, clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    world = World(seed)
    answered = 0
    async with world.broker():
        for _ in range(REQUESTS):
            asked = world.ask()
            stream = await world.connect()
            await stream.send_all(asked.framed(7))
            response = await asked.answer(stream, 7) if asked.has_answer else None
            await stream.aclose()
            assert not caplog.records, f"{asked}: {caplog.text}"
            if response is not None:
                answered += 1
                world.hostile.learn(response)
    assert answered > REQUESTS // 2


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_requests_of_all_kinds_in_one_packet_are_answered_in_order(
    seed: int, clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Up to the first that closes the connection; some go away before they have read it all."""
    caplog.set_level(logging.ERROR)
    world = World(seed)
    answered = 0

    async def pipeline() -> None:
        nonlocal answered
        stream = await world.connect()
        asked = [world.ask() for _ in range(PIPELINED)]
        packet = b"".join(each.framed(i) for i, each in enumerate(asked))
        answers = [(i, each) for i, each in enumerate(asked) if each.has_answer]
        if world.rng.random() < 0.3:
            answers = answers[: world.rng.randrange(PIPELINED)]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_send, stream, packet)
            for i, each in answers:
                if await each.answer(stream, i) is None:
                    break
                answered += 1
            nursery.cancel_scope.cancel()
        await stream.aclose()

    async with world.broker():
        for _ in range(3):
            async with trio.open_nursery() as nursery:
                for _ in range(4):
                    nursery.start_soon(pipeline)
    assert not caplog.records, caplog.text
    assert answered > PIPELINED


async def _send(stream: MemoryStream, packet: bytes) -> None:
    with suppress(trio.BrokenResourceError):  # one of the requests may close the connection
        await stream.send_all(packet)


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_damaged_requests_harm_nobody_else(
    seed: int, clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    world = World(seed)
    async with world.broker():
        for _ in range(REQUESTS):
            packet = world.hostile.damaged(world.ask().framed(7))
            stream = await world.connect()
            await stream.send_all(packet)
            with trio.move_on_after(1.0):  # it may ask to wait for weeks now, or for no answer
                await next_frame(stream)
            await stream.aclose()
            assert not caplog.records, f"{packet!r}: {caplog.text}"
