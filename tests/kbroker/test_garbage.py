"""What a broker lets go of goes with its last reference: `kbroker serve` keeps what a start made
out of the collector's sight, so a cycle in it would stay for good.
"""

from __future__ import annotations

import gc
from collections import Counter
from typing import TYPE_CHECKING

import pytest
import trio

from kbroker.controller.image import PartitionImage, TopicImage
from kbroker.node.settings import TopicSpec
from kbroker.partitions.partition import Partition
from kbroker.server.connection import Connection
from kbroker.storage.leader_epochs import LeaderEpochCache
from kbroker.storage.log import Log
from kbroker.storage.offset_index import OffsetIndex
from kbroker.storage.producer_state import ProducerState
from kbroker.storage.segment import LogSegment
from kbroker.wire.messages.delete_topics import (
    DeleteTopicsRequest,
    DeleteTopicsResponse,
    DeleteTopicState,
)
from tests.sim.broker import Client, Machine
from tests.storage.logs import batch_of

if TYPE_CHECKING:
    from collections.abc import Iterator

PARTITIONS = 20
OF_PARTITIONS = (Partition, Log, LogSegment, OffsetIndex, LeaderEpochCache, ProducerState)


@pytest.fixture
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def alive() -> Counter[type]:
    return Counter(type(each) for each in gc.get_objects())


@pytest.mark.usefixtures("_no_collector")
async def test_a_deleted_topic_leaves_nothing(autojump_clock: trio.testing.MockClock) -> None:
    machine = Machine()
    async with machine.broker(TopicSpec("t", PARTITIONS)):
        pass
    gc.collect()  # a broker that has stopped, whole as it was
    async with machine.broker() as client:  # the topic is there from the start on
        for index in range(PARTITIONS):
            await client.produce("t", bytes(batch_of(1)), index=index)
            await client.fetch("t", 0, index=index)
        before = alive()
        request = DeleteTopicsRequest(topics=[DeleteTopicState(name="t")], timeout_ms=1000)
        response = await client.call(request, DeleteTopicsResponse, 6)
        assert response.responses[0].error_code == 0
        await trio.sleep(120)  # until the files are gone too
        after = alive()
    for kind in OF_PARTITIONS:
        assert before[kind] - after[kind] == PARTITIONS, kind
    images = 2  # the controller's, and the one of what is committed
    assert before[TopicImage] - after[TopicImage] == images
    assert before[PartitionImage] - after[PartitionImage] == images * PARTITIONS


@pytest.mark.usefixtures("_no_collector")
async def test_a_connection_that_has_gone_leaves_nothing(
    autojump_clock: trio.testing.MockClock,
) -> None:
    machine = Machine()
    async with machine.broker(TopicSpec("t", 1)) as client:
        await client.produce("t", bytes(batch_of(1)))
        before = alive()[Connection]
        assert before == 1
        for _ in range(PARTITIONS):
            other = Client(await machine.network.connect(*client.stream.transport.peer_address))
            await other.produce("t", bytes(batch_of(1)))
            await other.fetch("t", 0)
            await other.stream.aclose()
        await trio.sleep(1)
        assert alive()[Connection] == before
