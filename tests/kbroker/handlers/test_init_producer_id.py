"""Which requests for a producer id are refused."""

from __future__ import annotations

import pytest

from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.init_producer_id import InitProducerIdRequest, InitProducerIdResponse
from tests.sim.broker import Machine


@pytest.mark.parametrize(
    ("producer_id", "epoch", "code"),
    [
        (-1, -1, ErrorCode.NONE),
        (5, 0, ErrorCode.NONE),
        (5, -1, ErrorCode.INVALID_REQUEST),
        (-1, 0, ErrorCode.INVALID_REQUEST),
        (-5, 0, ErrorCode.NONE),
        (5, -5, ErrorCode.NONE),
    ],
)
async def test_an_id_and_an_epoch_come_together(
    producer_id: int, epoch: int, code: ErrorCode
) -> None:
    request = InitProducerIdRequest(
        transactional_id=None, producer_id=producer_id, producer_epoch=epoch
    )
    async with Machine().broker() as client:
        answer = await client.call(request, InitProducerIdResponse, 5)
    assert answer.error_code == code
    assert (answer.producer_id >= 0, answer.producer_epoch) == (not code, -1 if code else 0)
