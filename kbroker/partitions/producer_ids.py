"""Hands out producer ids from blocks that the controller allocates (KIP-730).

Source: RPCProducerIdManager.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from kbroker.wire.errors import ErrorCode, RequestError
from kbroker.wire.messages.allocate_producer_ids import (
    AllocateProducerIdsRequest,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from kbroker.controller.channel import ControllerChannel


class ProducerIdPool:
    """One broker's block. An id is never handed out twice; a block's rest is lost when the broker
    stops.
    """

    def __init__(
        self, controller: ControllerChannel, node_id: int, broker_epoch: Callable[[], int]
    ) -> None:
        self._controller = controller
        self._node_id = node_id
        self._broker_epoch = broker_epoch
        self._next = 0
        self._end = 0
        self._refill = trio.Lock()

    async def next_id(self) -> int:
        """RequestError when the controller gives no block."""
        while self._next >= self._end:
            async with self._refill:
                if self._next < self._end:
                    break
                response = await self._controller.send(
                    AllocateProducerIdsRequest(
                        broker_id=self._node_id, broker_epoch=self._broker_epoch()
                    )
                )
                if response.error_code:
                    raise RequestError(ErrorCode(response.error_code))
                self._next = response.producer_id_start
                self._end = self._next + response.producer_id_len
        producer_id = self._next
        self._next += 1
        return producer_id
