"""InitProducerId (key 22), v0-5: a producer id for an idempotent producer (KIP-98, KIP-360).

Without a transactional id, every request gets a new id with epoch 0. A request with a transactional
id is refused, because there is no transaction coordinator. The error is one after which clients do
not try again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbroker.wire.errors import ErrorCode, RequestError
from kbroker.wire.messages.init_producer_id import InitProducerIdRequest, InitProducerIdResponse

if TYPE_CHECKING:
    from kbroker.requests.services import RequestContext

NONE = -1


async def handle(request: InitProducerIdRequest, ctx: RequestContext) -> InitProducerIdResponse:
    # Other negative numbers Kafka lets pass, and does not look at either.
    if request.transactional_id is not None or (request.producer_id == NONE) != (
        request.producer_epoch == NONE
    ):
        return InitProducerIdResponse(
            error_code=ErrorCode.INVALID_REQUEST, producer_id=-1, producer_epoch=-1
        )
    try:
        producer_id = await ctx.services.producer_ids.next_id()
    except RequestError as error:
        return InitProducerIdResponse(error_code=error.code, producer_id=-1, producer_epoch=-1)
    return InitProducerIdResponse(producer_id=producer_id, producer_epoch=0)
