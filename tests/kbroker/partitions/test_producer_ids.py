"""Producer ids from the controller's blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from kbroker.partitions.producer_ids import ProducerIdPool
from kbroker.wire.errors import ErrorCode, RequestError
from kbroker.wire.messages.allocate_producer_ids import (
    AllocateProducerIdsRequest,
    AllocateProducerIdsResponse,
)

if TYPE_CHECKING:
    from kbroker.wire.message import Request


class Channel:
    """The controller's end: gives blocks of three, or an error."""

    def __init__(self, *starts: int, code: ErrorCode = ErrorCode.NONE) -> None:
        self.asked: list[tuple[int, int]] = []
        self._starts = list(starts)
        self._code = code

    async def send(self, request: Request[Any]) -> Any:
        assert isinstance(request, AllocateProducerIdsRequest)
        self.asked.append((request.broker_id, request.broker_epoch))
        await trio.sleep(1)
        if self._code:
            return AllocateProducerIdsResponse(error_code=self._code)
        return AllocateProducerIdsResponse(producer_id_start=self._starts.pop(0), producer_id_len=3)


async def test_ids_are_handed_out_one_after_another_to_the_end_of_each_block(
    autojump_clock: trio.testing.MockClock,
) -> None:
    channel = Channel(10, 50)
    pool = ProducerIdPool(channel, 4, lambda: 9)
    assert [await pool.next_id() for _ in range(3)] == [10, 11, 12]
    assert channel.asked == [(4, 9)]
    assert [await pool.next_id() for _ in range(2)] == [50, 51]
    assert channel.asked == [(4, 9)] * 2


async def test_those_who_come_together_share_a_block(
    autojump_clock: trio.testing.MockClock,
) -> None:
    channel = Channel(0, 50)
    pool = ProducerIdPool(channel, 4, lambda: 1)
    given: list[int] = []

    async def take() -> None:
        given.append(await pool.next_id())

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(take)
    assert sorted(given) == [0, 1, 2, 50, 51]
    assert len(channel.asked) == 2


async def test_without_a_block_there_is_no_id(autojump_clock: trio.testing.MockClock) -> None:
    pool = ProducerIdPool(Channel(code=ErrorCode.STALE_BROKER_EPOCH), 4, lambda: 1)
    with pytest.raises(RequestError) as refused:
        await pool.next_id()
    assert refused.value.code == ErrorCode.STALE_BROKER_EPOCH
