"""A whole broker on a simulated disk and network, and a plain client that speaks the wire to it."""

from __future__ import annotations

import random
import struct
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

import trio

from kbroker.apis import apis_of
from kbroker.config import BrokerConfig
from kbroker.node.broker import Broker
from kbroker.node.settings import BrokerSettings, TopicSpec
from kbroker.releases.release import DEFAULT
from kbroker.wire import codec, frame
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.fetch import FetchPartition, FetchRequest, FetchResponse, FetchTopic
from kbroker.wire.messages.produce import (
    PartitionProduceData,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)

from .disk import SimDisk
from .network import MemoryNetwork

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from kbroker.clock import Clock
    from kbroker.wire.message import Message

    from .network import MemoryStream

T = TypeVar("T", bound="Message")
DATA = "/data"


NEWEST_SERVED: dict[int, int] = {api.key: api.max_version for api in apis_of(DEFAULT)}


class ConnectionEnded(Exception):
    """The broker closed the connection, or has gone."""


class Client:
    """One connection; requests one after the other, at the newest version that is served."""

    def __init__(self, stream: MemoryStream) -> None:
        self.stream = stream
        self._correlation_id = 0

    async def call(self, request: Message, response: type[T], version: int | None = None) -> T:
        """Send and receive. ConnectionEnded."""
        assert request.API_KEY is not None
        version = NEWEST_SERVED.get(request.API_KEY, 0) if version is None else version
        await self.send(request, version)
        (size,) = struct.unpack(">i", await self._read(4))
        answer = memoryview(await self._read(size))
        correlation_id, position = frame.parse_response_header(request.API_KEY, version, answer)
        assert correlation_id == self._correlation_id
        return codec.decode(response, version, answer, position)

    async def send(self, request: Message, version: int) -> None:
        assert request.API_KEY is not None
        self._correlation_id += 1
        body = frame.request_header(request.API_KEY, version, self._correlation_id, "sim")
        body += codec.encode(request, version)
        try:
            await self.stream.send_all(struct.pack(">i", len(body)) + body)
        except trio.BrokenResourceError as error:
            raise ConnectionEnded from error

    async def _read(self, size: int) -> bytes:
        content = b""
        while len(content) < size:
            chunk = await self.stream.receive_some(size - len(content))
            if not chunk:
                raise ConnectionEnded
            content += chunk
        return content

    async def produce(
        self, topic: str, batch: bytes, *, index: int = 0, acks: int = -1
    ) -> tuple[ErrorCode, int]:
        """(error, base offset) of one batch."""
        request = ProduceRequest(
            acks=acks,
            timeout_ms=10_000,
            topic_data=[
                TopicProduceData(
                    name=topic, partition_data=[PartitionProduceData(index=index, records=batch)]
                )
            ],
        )
        response = await self.call(request, ProduceResponse, 12)
        answer = response.responses[0].partition_responses[0]
        return ErrorCode(answer.error_code), answer.base_offset

    async def fetch(self, topic: str, offset: int, *, index: int = 0) -> memoryview:
        """The records from an offset on, as they are."""
        request = FetchRequest(
            max_wait_ms=0,
            min_bytes=1,
            max_bytes=50 << 20,
            topics=[
                FetchTopic(
                    topic=topic,
                    partitions=[
                        FetchPartition(
                            partition=index, fetch_offset=offset, partition_max_bytes=50 << 20
                        )
                    ],
                )
            ],
        )
        response = await self.call(request, FetchResponse, 12)
        answer = response.responses[0].partitions[0]
        assert answer.error_code == 0, ErrorCode(answer.error_code)
        assert isinstance(answer.records, memoryview)
        return answer.records


class Machine:
    """A disk and a network that outlive the brokers that run on them."""

    def __init__(self, seed: int = 1) -> None:
        self.rng = random.Random(seed)
        self.disk = SimDisk(self.rng)
        self.disk.make_dir(DATA)
        self.disk.fsync_dir("/")
        self.network = MemoryNetwork()

    @asynccontextmanager
    async def broker(
        self,
        *topics: TopicSpec,
        settings: Mapping[str, str] | None = None,
        clock: Clock | None = None,
    ) -> AsyncIterator[Client]:
        """A broker on this machine's data, and a client of it."""
        config = BrokerConfig(
            {
                "listeners": "PLAINTEXT://broker:0",
                "group.initial.rebalance.delay.ms": "0",
                "offsets.topic.num.partitions": "3",
                "log.index.size.max.bytes": "4096",
                **(settings or {}),
            }
        )
        broker = Broker(
            BrokerSettings(config=config, data_dir=DATA, topics=topics),
            disk=self.disk,
            network=self.network,
            rng=self.rng,
            clock=clock,
        )
        async with broker:
            yield Client(await self.network.connect(*broker.addresses[0]))
