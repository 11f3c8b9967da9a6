"""GetTelemetrySubscriptions (key 71), v0 (KIP-714): the metrics that a client is to push.

It is not advertised, because kbroker has no reporter that takes the metrics (`telemetry.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kbroker.storage.compression import Codec
from kbroker.wire.messages.get_telemetry_subscriptions import GetTelemetrySubscriptionsResponse

if TYPE_CHECKING:
    from kbroker.requests.services import RequestContext
    from kbroker.wire.messages.get_telemetry_subscriptions import GetTelemetrySubscriptionsRequest

# Kafka prefers them in this order.
ACCEPTED: Final = (Codec.ZSTD, Codec.LZ4, Codec.GZIP, Codec.SNAPPY)


def handle(
    request: GetTelemetrySubscriptionsRequest, ctx: RequestContext
) -> GetTelemetrySubscriptionsResponse:
    telemetry = ctx.services.telemetry
    instance_id, instance = telemetry.subscribe(
        request.client_instance_id, ctx.client_id, ctx.connection
    )
    return GetTelemetrySubscriptionsResponse(
        client_instance_id=instance_id,
        subscription_id=instance.subscription_id,
        accepted_compression_types=list(ACCEPTED),
        push_interval_ms=instance.interval_ms,
        telemetry_max_bytes=telemetry.bytes_max,
        delta_temporality=True,
        requested_metrics=instance.metrics,
    )
