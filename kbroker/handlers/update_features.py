"""UpdateFeatures (key 57), v0-2 (KIP-584): changes the levels at which the cluster runs.

Decided in `controller/state/features.py`.
v1 upgrade types instead of allow_downgrade, validate_only (KIP-778) - v2 no results by feature,
since either all of a request is changed or nothing (KIP-1022)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.update_features import UpdatableFeatureResult, UpdateFeaturesResponse

if TYPE_CHECKING:
    from kbroker.requests.services import RequestContext
    from kbroker.wire.messages.update_features import UpdateFeaturesRequest

WITH_RESULTS_LAST = 1


async def handle(request: UpdateFeaturesRequest, ctx: RequestContext) -> UpdateFeaturesResponse:
    response = await ctx.services.controller.send(request)
    if ctx.api_version <= WITH_RESULTS_LAST and response.error_code == ErrorCode.NONE:
        response.results = [
            # Kafka writes the name of no error for a message.
            UpdatableFeatureResult(feature=each.feature, error_message=ErrorCode.NONE.name)
            for each in request.feature_updates
        ]
    return response
