"""PushTelemetry (key 72), v0 (KIP-714): the metrics of a client, which are checked and dropped.

It is not advertised, because kbroker has no reporter that takes the metrics (`telemetry.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from kbroker.storage.compression import Codec, decompress
from kbroker.storage.errors import CompressionError
from kbroker.wire.errors import ErrorCode, RequestError
from kbroker.wire.messages.push_telemetry import PushTelemetryResponse

if TYPE_CHECKING:
    from kbroker.requests.services import RequestContext
    from kbroker.wire.messages.push_telemetry import PushTelemetryRequest


async def handle(request: PushTelemetryRequest, ctx: RequestContext) -> PushTelemetryResponse:
    metrics = request.metrics or b""
    ctx.services.telemetry.push(
        request.client_instance_id,
        ctx.client_id,
        ctx.connection,
        subscription_id=request.subscription_id,
        is_terminating=request.terminating,
        compression_type=request.compression_type,
        size=len(metrics),
    )
    if metrics and request.compression_type != Codec.NONE:
        codec = Codec(request.compression_type)
        try:
            await trio.to_thread.run_sync(decompress, codec, metrics)
        except CompressionError as error:
            raise RequestError(ErrorCode.INVALID_RECORD) from error
    return PushTelemetryResponse()
