"""ApiVersions (key 18), v0-4: the APIs that the broker serves, and the supported and the
finalized features.

A request of an unknown version is answered UNSUPPORTED_VERSION in the format of v0, with the
versions of ApiVersions alone.
v3 client software name and version (KIP-511), features (KIP-584) - v4 features with minimum 0
(KIP-1022)
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kbroker.controller.features import KRAFT_VERSION
from kbroker.wire.api_keys import ApiKey
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.api_versions import (
    ApiVersion,
    ApiVersionsRequest,
    ApiVersionsResponse,
    FinalizedFeatureKey,
    SupportedFeatureKey,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kbroker.requests.services import RequestContext

MIN_VERSION, MAX_VERSION = 0, 4
_SOFTWARE = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?")


def handle(request: ApiVersionsRequest, ctx: RequestContext) -> ApiVersionsResponse:
    if ctx.api_version >= 3:
        name, version = request.client_software_name, request.client_software_version
        if not (_SOFTWARE.fullmatch(name) and _SOFTWARE.fullmatch(version)):
            return ApiVersionsResponse(error_code=ErrorCode.INVALID_REQUEST)
        ctx.connection.client_software_name = name
        ctx.connection.client_software_version = version
    image = ctx.services.image
    response = ApiVersionsResponse(
        api_keys=list(ctx.services.api_versions), finalized_features_epoch=image.offset
    )
    if ctx.api_version >= 3:
        for feature, (low, high) in sorted(ctx.services.supported_features.items()):
            # v3 cannot carry a minimum of 0: Kafka leaves such features out.
            if low > 0 or ctx.api_version >= 4:
                response.supported_features.append(
                    SupportedFeatureKey(name=feature, min_version=low, max_version=high)
                )
        finalized = {**image.features, KRAFT_VERSION: ctx.services.kraft_version()}
        for feature, level in sorted(finalized.items()):
            if level > 0:
                response.finalized_features.append(
                    FinalizedFeatureKey(
                        name=feature, min_version_level=level, max_version_level=level
                    )
                )
    return response


def unsupported_version() -> ApiVersionsResponse:
    """For a request newer than ours: what the client may ask with instead (KIP-511)."""
    return ApiVersionsResponse(
        error_code=ErrorCode.UNSUPPORTED_VERSION,
        api_keys=[
            ApiVersion(
                api_key=ApiKey.API_VERSIONS, min_version=MIN_VERSION, max_version=MAX_VERSION
            )
        ],
    )


def rows(served: Sequence[tuple[int, int, int]]) -> tuple[ApiVersion, ...]:
    """Response rows for (key, min version, max version)."""
    return tuple(
        ApiVersion(api_key=k, min_version=low, max_version=high) for k, low, high in served
    )
