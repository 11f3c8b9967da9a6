"""A connection's promises: whole frames only, answers in the order of requests, nothing unbounded,
a clean end.
"""

from __future__ import annotations

import gc
import struct
import threading
from random import Random
from typing import TYPE_CHECKING, Any, cast

import pytest
import trio
import trio.testing

from kbroker.requests.services import CloseConnection, RequestContext
from kbroker.server.buffers import (
    LENT_BUFFERS_MAX,
    POOLED_BUFFER_BYTES,
    BufferPool,
)
from kbroker.server.connection import (
    FILE_SEND_BYTES_MAX,
    PENDING_MAX,
    READ_AHEAD_BYTES_MAX,
    REQUESTS_A_TURN_MAX,
    RESIDENT_S,
)
from kbroker.storage.disk import FileRange
from kbroker.storage.os_disk import OsDisk
from kbroker.wire import codec
from kbroker.wire.api_keys import ApiKey
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from kbroker.wire.messages.fetch import (
    FetchRequest,
    FetchResponse,
)
from kbroker.wire.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from kbroker.wire.messages.produce import (
    PartitionProduceData,
    ProduceRequest,
    TopicProduceData,
)
from tests.sim.disk import SimDisk, SimFile
from tests.sim.network import WINDOW_BYTES

from .harness import REQUEST_BYTES_MAX, Harness, framed, produce

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kbroker.wire.message import Message


@pytest.fixture
async def harness(nursery: trio.Nursery) -> Harness:
    harness = Harness()
    nursery.start_soon(harness.connection.run)
    return harness


async def test_frames_split_at_every_byte_are_answered(harness: Harness) -> None:
    for byte in framed(produce(), 9, 1) + framed(produce(), 9, 2):
        await harness.stream.send_all(bytes([byte]))
        await trio.testing.wait_all_tasks_blocked()
    assert [await harness.next_correlation_id(), await harness.next_correlation_id()] == [1, 2]


async def test_many_requests_in_one_packet_are_answered_in_order(harness: Harness) -> None:
    await harness.stream.send_all(b"".join(framed(produce(), 9, i) for i in range(50)))
    assert [await harness.next_correlation_id() for _ in range(50)] == list(range(50))


async def test_a_request_larger_than_the_pooled_buffer_is_taken_whole(harness: Harness) -> None:
    request = produce("x" * 30_000)
    harness.gate("x" * 30_000).set()
    big = HeartbeatRequest(group_id="g", member_id="m" * 32_000)
    harness.gate("g").set()
    for i in range(30):  # more than one pooled buffer in flight at once, and frames across its end
        await harness.send(request, 9, 2 * i)
        await harness.send(big, 4, 2 * i + 1)
    assert [await harness.next_correlation_id() for _ in range(60)] == list(range(60))


async def test_a_waiting_request_mutes_the_connection(harness: Harness) -> None:
    await harness.send(HeartbeatRequest(group_id="slow"), 4, 1)
    await harness.send(produce(), 9, 2)
    await trio.testing.wait_all_tasks_blocked()
    assert harness.seen == ["slow"]
    harness.gate("slow").set()
    assert [await harness.next_correlation_id(), await harness.next_correlation_id()] == [1, 2]


async def test_a_waiting_produce_lets_the_next_requests_in_and_their_answers_wait(
    harness: Harness,
) -> None:
    await harness.send(produce("first"), 9, 1)
    await harness.send(produce("second"), 9, 2)
    await harness.send(produce(), 9, 3)
    await trio.testing.wait_all_tasks_blocked()
    assert harness.seen == ["first", "second", ""]
    harness.gate("second").set()
    with trio.move_on_after(0) as nothing:
        await harness.receive()
    assert nothing.cancelled_caught
    harness.gate("first").set()
    assert [await harness.next_correlation_id() for _ in range(3)] == [1, 2, 3]


async def test_waiting_answers_are_bounded(harness: Harness) -> None:
    async with trio.open_nursery() as nursery:
        packet = b"".join(framed(produce("held"), 9, i) for i in range(PENDING_MAX + 50))
        nursery.start_soon(harness.stream.send_all, packet)
        await trio.testing.wait_all_tasks_blocked()
        assert len(harness.seen) == PENDING_MAX
        harness.gate("held").set()
        got = [await harness.next_correlation_id() for _ in range(PENDING_MAX + 50)]
        assert got == list(range(PENDING_MAX + 50))


async def test_acks_0_has_no_answer(harness: Harness) -> None:
    await harness.send(produce(acks=0), 9, 1)
    await harness.send(produce(), 9, 2)
    assert await harness.next_correlation_id() == 2


async def test_records_are_sent_from_the_file(harness: Harness, tmp_path: Path) -> None:
    file = OsDisk().open(str(tmp_path / "segment"), create=True)
    file.append(bytes(range(256)) * 1000)
    harness.fetch_records = FileRange(file, 100, 200_000)
    await harness.send(FetchRequest(), 12, 5)
    body = await harness.receive()
    response = codec.decode(FetchResponse, 12, memoryview(body), 5)
    records = response.responses[0].partitions[0].records
    assert bytes(cast("memoryview", records)) == (bytes(range(256)) * 1000)[100:200_100]


@pytest.mark.parametrize(
    "frame_bytes",
    [
        struct.pack(">i", -1),
        struct.pack(">i", REQUEST_BYTES_MAX + 1),
        struct.pack(">i", 0x7FFFFFFF),
        struct.pack(">i", 0),
        struct.pack(">ihhih", 10, 9999, 0, 1, -1),
        struct.pack(">ihhih", 10, 12, 99, 1, -1),
        struct.pack(">ihhih", 10, 0, 2, 1, -1),
        struct.pack(">ihhih", 10, 12, 0, 1, -1),
        struct.pack(">ihhih", 10, 12, 0, 1, 30_000),
        b"GET / HTTP/1.1\r\n\r\n",
    ],
    ids=[
        "negative size",
        "over socket.request.max.bytes",
        "the largest size",
        "an empty frame",
        "an unknown key",
        "an unknown version",
        "a removed version that is advertised",
        "a body that is missing",
        "a client id beyond the frame",
        "not Kafka",
    ],
)
async def test_what_is_no_request_closes_the_connection(
    harness: Harness, frame_bytes: bytes
) -> None:
    await harness.send(produce(), 9, 1)
    await harness.stream.send_all(frame_bytes)
    assert await harness.next_correlation_id() == 1
    assert await harness.stream.receive_some(1) == b""


async def test_api_versions_of_the_future_is_answered_in_the_shape_of_v0(harness: Harness) -> None:
    body = struct.pack(">hhihb", ApiKey.API_VERSIONS, 99, 77, -1, 0)
    await harness.stream.send_all(struct.pack(">i", len(body)) + body)
    answer = await harness.receive()
    response = codec.decode(ApiVersionsResponse, 0, memoryview(answer), 4)
    assert int.from_bytes(answer[:4], "big") == 77
    assert response.error_code == ErrorCode.UNSUPPORTED_VERSION
    assert [(a.api_key, a.min_version, a.max_version) for a in response.api_keys] == [(18, 0, 4)]
    await harness.send(ApiVersionsRequest(), 0, 78)
    assert await harness.next_correlation_id() == 78


@pytest.mark.parametrize(
    ("version", "supported"),
    [(3, ["metadata.version"]), (4, ["group.version", "metadata.version"])],
)
async def test_api_versions_leaves_out_what_v3_cannot_say(
    harness: Harness, version: int, supported: list[str]
) -> None:
    request = ApiVersionsRequest(client_software_name="test", client_software_version="1.0")
    await harness.send(request, version, 1)
    answer = await harness.receive()
    response = codec.decode(ApiVersionsResponse, version, memoryview(answer), 4)
    assert [f.name for f in response.supported_features] == supported
    assert [(f.name, f.max_version_level) for f in response.finalized_features] == [
        ("group.version", 1)
    ]
    assert response.finalized_features_epoch == 7


async def test_a_bug_in_a_handler_is_answered_and_the_connection_goes_on(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    harness.gate("g").set()
    await harness.send(HeartbeatRequest(group_id="g", member_id="fail"), 4, 1)
    response = codec.decode(HeartbeatResponse, 4, memoryview(await harness.receive()), 5)
    assert response.error_code == ErrorCode.UNKNOWN_SERVER_ERROR
    assert "a bug" in caplog.text
    await harness.send(produce(), 9, 2)
    assert await harness.next_correlation_id() == 2


async def test_an_intercept_answers_delays_or_drops(harness: Harness) -> None:
    def drop(request: Message, ctx: RequestContext, proceed: Callable[..., Any]) -> None:
        raise CloseConnection("on purpose")

    def refuse(request: Message, ctx: RequestContext, proceed: Callable[..., Any]) -> Message:
        return HeartbeatResponse(error_code=ErrorCode.NOT_COORDINATOR)

    harness.dispatcher.intercept(ApiKey.HEARTBEAT, refuse)
    await harness.send(HeartbeatRequest(), 4, 1)
    response = codec.decode(HeartbeatResponse, 4, memoryview(await harness.receive()), 5)
    assert response.error_code == ErrorCode.NOT_COORDINATOR
    harness.dispatcher.intercept(ApiKey.HEARTBEAT, drop)
    await harness.send(HeartbeatRequest(), 4, 2)
    assert await harness.stream.receive_some(1) == b""


async def test_a_client_that_does_not_read_is_not_read_from(
    harness: Harness, autojump_clock: trio.testing.MockClock
) -> None:
    harness.fetch_records = None
    packet = b"".join(framed(produce(), 9, i) for i in range(20_000))
    with trio.move_on_after(0.2) as stuck:
        await harness.stream.send_all(packet)
    assert stuck.cancelled_caught
    assert len(harness.seen) < 20_000


@pytest.mark.parametrize(
    ("held", "version"),
    [(produce("held"), 9), (HeartbeatRequest(group_id="held"), 4)],
    ids=["others may overtake it", "the next waits for it"],
)
async def test_stop_answers_what_is_in_flight_and_takes_nothing_more(
    held: Message, version: int
) -> None:
    harness = Harness()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(harness.connection.run)
        await harness.send(held, version, 1)
        await trio.testing.wait_all_tasks_blocked()
        harness.connection.stop()
        await harness.send(produce(), 9, 2)
        await trio.testing.wait_all_tasks_blocked()
        harness.gate("held").set()
        assert await harness.next_correlation_id() == 1
        assert await harness.stream.receive_some(1) == b""
    assert harness.seen == ["held"]


async def test_a_client_that_goes_away_ends_its_connection_with_all_that_waits() -> None:
    harness = Harness()
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(harness.connection.run)
            await harness.send(produce("held"), 9, 1)
            await trio.testing.wait_all_tasks_blocked()
            await harness.stream.aclose()


async def test_a_client_that_goes_away_before_a_waiting_request_begins_to_wait() -> None:
    """It begins to, and is cancelled: Python would complain of a coroutine that never ran."""
    harness = Harness()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(harness.connection.run)
        await harness.stream.send_all(
            framed(produce(), 9, 1) + framed(HeartbeatRequest(group_id="slow"), 4, 2)
        )
        await harness.stream.aclose()
    assert harness.seen == ["", "slow"]
    gc.collect()


async def test_whoever_stops_within_a_request_is_lent_no_more_than_it_has_sent(
    nursery: trio.Nursery,
) -> None:
    """Of many. The first few keep a buffer: they are likely to go on at once."""
    buffers = BufferPool()
    harnesses = [Harness(buffers) for _ in range(LENT_BUFFERS_MAX * 3)]
    request = framed(produce("x" * 500), 9, 1)
    for harness in harnesses:
        harness.gate("x" * 500).set()
        nursery.start_soon(harness.connection.run)
    for start, stop in ((0, 1), (1, 2), (2, 300), (300, 301), (301, len(request))):
        for harness in harnesses:
            await harness.stream.send_all(request[start:stop])
        await trio.testing.wait_all_tasks_blocked()
        assert buffers.lent <= LENT_BUFFERS_MAX
    for harness in harnesses:
        assert await harness.next_correlation_id() == 1
    assert buffers.lent == 0


async def test_whoever_waits_for_an_answer_is_lent_nothing(nursery: trio.Nursery) -> None:
    """Of many: a thousand consumers in a long poll. What they have sent beyond it is kept."""
    buffers = BufferPool()
    harnesses = [Harness(buffers) for _ in range(LENT_BUFFERS_MAX * 3)]
    packet = framed(HeartbeatRequest(group_id="slow"), 4, 1) + framed(produce(), 9, 2)
    for harness in harnesses:
        nursery.start_soon(harness.connection.run)
        await harness.stream.send_all(packet + packet[:5])
    await trio.testing.wait_all_tasks_blocked()
    assert buffers.lent <= LENT_BUFFERS_MAX
    for harness in harnesses:
        harness.gate("slow").set()
        await harness.stream.send_all(packet[5:])
    for harness in harnesses:
        assert [await harness.next_correlation_id() for _ in range(4)] == [1, 2, 1, 2]
    assert buffers.lent == 0


async def test_whoever_does_not_read_is_lent_nothing(nursery: trio.Nursery) -> None:
    buffers = BufferPool()
    harnesses = [Harness(buffers) for _ in range(LENT_BUFFERS_MAX * 2)]
    for harness in harnesses:
        harness.produced_topic = "x" * 30_000
        nursery.start_soon(harness.connection.run)
        await harness.stream.send_all(b"".join(framed(produce(), 9, i) for i in range(5)))
    await trio.testing.wait_all_tasks_blocked()
    assert buffers.lent <= LENT_BUFFERS_MAX
    for harness in harnesses:
        assert [await harness.next_correlation_id() for _ in range(5)] == list(range(5))


@pytest.mark.parametrize("lent", [0, LENT_BUFFERS_MAX], ids=["alone", "among many"])
@pytest.mark.parametrize("more", [-1, 0, 1, 2 * POOLED_BUFFER_BYTES])
async def test_a_request_about_as_large_as_a_buffer_is_taken_whole(
    more: int, lent: int, nursery: trio.Nursery
) -> None:
    buffers = BufferPool()
    for _ in range(lent):
        buffers.take()
    harness = Harness(buffers)
    nursery.start_soon(harness.connection.run)
    sent = 3  # the next frame begins before this one has been asked for
    for i in range(sent):
        await harness.stream.send_all(_framed_to(POOLED_BUFFER_BYTES + more, i))
    assert [await harness.next_correlation_id() for _ in range(sent)] == list(range(sent))
    await trio.testing.wait_all_tasks_blocked()
    assert buffers.lent == lent


def _framed_to(size: int, correlation_id: int) -> bytes:
    """A request whose frame has `size` bytes."""

    def of(records: int) -> bytes:
        data = [PartitionProduceData(records=bytes(records))]
        request = ProduceRequest(acks=1, topic_data=[TopicProduceData(partition_data=data)])
        return framed(request, 3, correlation_id)

    return of(size - len(of(0)))


async def test_answers_to_one_packet_are_sent_as_they_grow(harness: Harness) -> None:
    """Requests of a few bytes can have answers of megabytes: only some are made ahead."""
    harness.produced_topic = "x" * 30_000
    packet = b"".join(framed(produce(), 9, i) for i in range(100))
    await harness.stream.send_all(packet)
    await trio.testing.wait_all_tasks_blocked()
    assert len(harness.seen) < 10
    for i in range(100):
        assert await harness.next_correlation_id() == i


async def test_a_large_answer_from_a_file_lets_others_run(
    harness: Harness, nursery: trio.Nursery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.sim.network.WINDOW_BYTES", 1 << 30)  # the socket takes it all
    pieces = 8
    size = pieces * FILE_SEND_BYTES_MAX
    file = OsDisk().open(str(tmp_path / "segment"), create=True)
    file.append(bytes(size))
    harness.fetch_records = FileRange(file, 0, size)
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    nursery.start_soon(other)
    await trio.lowlevel.checkpoint()
    before = turns
    await harness.send(FetchRequest(), 12, 5)
    await harness.receive_exactly(size)
    assert turns - before >= pieces - 1
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize("size", [1, READ_AHEAD_BYTES_MAX, 3 * READ_AHEAD_BYTES_MAX + 5])
async def test_what_is_on_the_disk_alone_is_read_in_threads_before_it_is_sent(
    harness: Harness, size: int
) -> None:
    # The simulated network refuses to send what is not resident.
    file = _Evicted(size)
    harness.fetch_records = FileRange(file, 1000, size)
    await harness.send(FetchRequest(), 12, 5)
    assert len(await harness.receive()) > size
    assert [begin for begin, _ in file.reads] == list(
        range(1000, 1000 + size, READ_AHEAD_BYTES_MAX)
    )
    assert sum(length for _, length in file.reads) == size
    assert threading.main_thread() not in file.threads


async def test_what_went_from_memory_while_nobody_read_is_read_again(
    harness: Harness, autojump_clock: trio.testing.MockClock
) -> None:
    size = READ_AHEAD_BYTES_MAX
    file = _Evicted(size)
    harness.fetch_records = FileRange(file, 0, size)
    await harness.send(FetchRequest(), 12, 5)
    await harness.receive_exactly(1000)  # the first bytes of the file too
    await trio.testing.wait_all_tasks_blocked()
    file.evict()
    await trio.sleep(2 * RESIDENT_S)
    await harness.receive_exactly(size - 1000)
    assert len(file.reads) == 2


async def test_a_read_that_fails_ends_the_connection(harness: Harness) -> None:
    file = _Evicted(10)
    file.disk.fail_next("read_at")
    harness.fetch_records = FileRange(file, 0, 10)
    await harness.send(FetchRequest(), 12, 5)
    content = b""
    while chunk := await harness.stream.receive_some():
        content += chunk
    assert len(content) < int.from_bytes(content[:4], "big")


async def test_who_reads_from_a_slow_disk_holds_up_nobody_else(
    harness: Harness, nursery: trio.Nursery
) -> None:
    file = _Evicted(10)
    file.gate.clear()
    harness.fetch_records = FileRange(file, 0, 10)
    other = Harness()
    nursery.start_soon(other.connection.run)
    await harness.send(FetchRequest(), 12, 5)
    try:
        await trio.testing.wait_all_tasks_blocked()
        await other.send(produce(), 9, 1)
        assert await other.next_correlation_id() == 1
        assert not file.reads
    finally:
        file.gate.set()
    assert await harness.next_correlation_id() == 5


class _Evicted(SimFile):
    """A file that is on the disk alone, which may be held up."""

    def __init__(self, size: int) -> None:
        self.disk = SimDisk(Random(1))
        file = self.disk.open("/segment", create=True)
        file.append(bytes(1000 + size))
        super().__init__(self.disk, "/segment", file._inode)
        self.reads: list[tuple[int, int]] = []
        self.threads: set[threading.Thread] = set()
        self.gate = threading.Event()
        self.gate.set()
        self.evict()

    def evict(self) -> None:
        self.disk.evict("/segment")

    def warm(self, position: int, size: int) -> None:
        self.gate.wait()
        self.threads.add(threading.current_thread())
        self.reads.append((position, size))
        super().warm(position, size)


async def test_a_packet_of_many_requests_lets_others_run(
    harness: Harness, nursery: trio.Nursery
) -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    packet = b"".join(framed(produce(acks=0), 9, i) for i in range(1000)) + framed(produce(), 9, 1)
    await harness.stream.send_all(packet)
    nursery.start_soon(other)
    assert await harness.next_correlation_id() == 1
    assert len(harness.seen) == 1001
    assert turns >= 1000 // REQUESTS_A_TURN_MAX - 1
    nursery.cancel_scope.cancel()


async def test_an_answer_that_finds_no_room_at_all_waits_for_some(harness: Harness) -> None:
    harness.produced_topic = "x" * 30_000
    await harness.send(produce(), 9, 0)
    missing = WINDOW_BYTES // 2 - 4 - len(await harness.receive())
    harness.produced_topic += "x" * missing
    for correlation_id in (1, 2, 3):  # two fill the window to the last byte
        await harness.send(produce(), 9, correlation_id)
        await trio.testing.wait_all_tasks_blocked()
    for correlation_id in (1, 2, 3):
        answer = await harness.receive()
        assert len(answer) == WINDOW_BYTES // 2 - 4
        assert int.from_bytes(answer[:4], "big") == correlation_id
