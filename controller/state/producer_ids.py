"""Decides AllocateProducerIds: gives out blocks of ids, each block once.

Source: ProducerIdControlManager.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.allocate_producer_ids import AllocateProducerIdsResponse
from kbroker.wire.records.producer_ids_record import ProducerIdsRecord

from .result import Result

if TYPE_CHECKING:
    from kbroker.controller.context import DecisionContext
    from kbroker.wire.messages.allocate_producer_ids import AllocateProducerIdsRequest

BLOCK_SIZE: Final = 1000
PRODUCER_ID_MAX: Final = (1 << 63) - 1


def decide_allocate_producer_ids(
    context: DecisionContext, request: AllocateProducerIdsRequest
) -> Result[AllocateProducerIdsResponse]:
    """The next block, for the broker in its present life. An id that is lost with it is no harm."""
    image = context.image
    broker = image.brokers.get(request.broker_id)
    if broker is None or broker.epoch != request.broker_epoch:
        return Result((), AllocateProducerIdsResponse(error_code=ErrorCode.STALE_BROKER_EPOCH))
    first = image.next_producer_id
    if first > PRODUCER_ID_MAX - BLOCK_SIZE:
        return Result((), AllocateProducerIdsResponse(error_code=ErrorCode.UNKNOWN_SERVER_ERROR))
    record = ProducerIdsRecord(
        broker_id=request.broker_id,
        broker_epoch=request.broker_epoch,
        next_producer_id=first + BLOCK_SIZE,
    )
    response = AllocateProducerIdsResponse(
        error_code=ErrorCode.NONE, producer_id_start=first, producer_id_len=BLOCK_SIZE
    )
    return Result((record,), response)
