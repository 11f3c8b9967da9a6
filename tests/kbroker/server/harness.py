"""One connection before handlers that a test holds back or lets go."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import trio

from kbroker.handlers import api_versions
from kbroker.requests.api import Api, serve
from kbroker.server.buffers import BufferPool, RequestMemory
from kbroker.server.connection import Connection
from kbroker.server.dispatch import Dispatcher
from kbroker.wire import codec, frame
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.api_versions import ApiVersionsRequest
from kbroker.wire.messages.fetch import (
    FetchableTopicResponse,
    FetchRequest,
    FetchResponse,
    PartitionData,
)
from kbroker.wire.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from kbroker.wire.messages.produce import ProduceRequest, ProduceResponse, TopicProduceResponse
from kbroker.wire.records.feature_level_record import FeatureLevelRecord
from tests.kbroker.broker_parts import connection, new_services
from tests.kbroker.cluster_image import ClusterImage
from tests.sim.network import MemoryStream, link

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from kbroker.requests.services import RequestContext
    from kbroker.storage.disk import FileRange
    from kbroker.wire.message import Message

REQUEST_BYTES_MAX = 1 << 20
IMAGE_OFFSET = 7


class Harness:
    """One connection with handlers that a test holds back or lets go."""

    def __init__(self, buffers: BufferPool | None = None) -> None:
        self.seen: list[object] = []
        self.gates: dict[str, trio.Event] = {}
        self.fetch_records: FileRange | None = None
        self.produced_topic = ""  # makes answers to Produce as large as one likes
        cluster = ClusterImage()
        level = FeatureLevelRecord(name="group.version", feature_level=1)
        cluster.image.apply([level], IMAGE_OFFSET, 1)
        services = new_services(image=cluster.image)
        services.api_versions = api_versions.rows([(18, 0, 4)])
        services.supported_features = {"group.version": (0, 1), "metadata.version": (7, 30)}
        self.dispatcher = Dispatcher(self.apis(), REQUEST_BYTES_MAX, services)
        client, server = link()
        self.stream = MemoryStream(client)
        self.connection = Connection(
            server,
            connection(),
            self.dispatcher,
            buffers or BufferPool(),
            RequestMemory(-1),
            trio.CapacityLimiter(1),
        )

    def apis(self) -> tuple[Api, ...]:
        return (
            serve(ApiVersionsRequest, 0, 4, api_versions.handle),
            serve(HeartbeatRequest, 0, 4, self.heartbeat),
            serve(ProduceRequest, 3, 13, self.produce, pipelined=True),
            serve(FetchRequest, 4, 18, self.fetch),
        )

    def gate(self, name: str) -> trio.Event:
        return self.gates.setdefault(name, trio.Event())

    async def heartbeat(self, request: HeartbeatRequest, ctx: RequestContext) -> HeartbeatResponse:
        self.seen.append(request.group_id)
        await self.gate(request.group_id).wait()
        if request.member_id == "fail":
            raise ZeroDivisionError("a bug")
        return HeartbeatResponse(error_code=ErrorCode.REBALANCE_IN_PROGRESS)

    def produce(
        self, request: ProduceRequest, ctx: RequestContext
    ) -> ProduceResponse | Coroutine[object, object, ProduceResponse] | None:
        name = request.transactional_id or ""
        self.seen.append(name)
        if request.acks == 0:
            return None
        response = ProduceResponse(
            throttle_time_ms=request.timeout_ms,
            responses=[TopicProduceResponse(name=self.produced_topic)],
        )
        return response if not name else self.later(name, response)

    async def later(self, name: str, response: ProduceResponse) -> ProduceResponse:
        await self.gate(name).wait()
        return response

    def fetch(self, request: FetchRequest, ctx: RequestContext) -> FetchResponse:
        partition = PartitionData(records=self.fetch_records)
        return FetchResponse(responses=[FetchableTopicResponse(topic="t", partitions=[partition])])

    async def send(self, request: Message, version: int, correlation_id: int) -> None:
        await self.stream.send_all(framed(request, version, correlation_id))

    async def receive(self) -> bytes:
        """The next answer, without its size."""
        (size,) = struct.unpack(">i", await self.receive_exactly(4))
        return await self.receive_exactly(size)

    async def receive_exactly(self, size: int) -> bytes:
        content = b""
        while len(content) < size:
            chunk = await self.stream.receive_some(size - len(content))
            assert chunk, f"connection closed after {len(content)} of {size} bytes"
            content += chunk
        return content

    async def next_correlation_id(self) -> int:
        return int.from_bytes((await self.receive())[:4], "big")


def framed(request: Message, version: int, correlation_id: int) -> bytes:
    assert request.API_KEY is not None
    body = frame.request_header(request.API_KEY, version, correlation_id, "test") + codec.encode(
        request, version
    )
    return struct.pack(">i", len(body)) + body


def produce(name: str | None = None, *, acks: int = 1, tag: int = 0) -> ProduceRequest:
    return ProduceRequest(transactional_id=name, acks=acks, timeout_ms=tag)
