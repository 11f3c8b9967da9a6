"""ApiVersions (key 18), v0-5: the APIs that the broker serves, and the supported and the
finalized features.

A request of an unknown version is answered UNSUPPORTED_VERSION in the format of v0, with the
versions of ApiVersions alone.
v3 client software name and version (KIP-511), features (KIP-584) - v4 features with minimum 0
(KIP-1022) - v5 cluster id and node id: a client that meant another broker is sent back to its
bootstrap addresses (KIP-1242)
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

NO_NODE_ID = -1
_SOFTWARE = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?")


def handle(request: ApiVersionsRequest, ctx: RequestContext) -> ApiVersionsResponse:
    if ctx.api_version >= 3:
        name, version = request.client_software_name, request.client_software_version
        if not (_SOFTWARE.fullmatch(name) and _SOFTWARE.fullmatch(version)):
            return ApiVersionsResponse(error_code=ErrorCode.INVALID_REQUEST)
        ctx.connection.client_software_name = name
        ctx.connection.client_software_version = version
    misrouted = _check_destination(request, ctx)
    if misrouted is not ErrorCode.NONE:
        return ApiVersionsResponse(error_code=misrouted)
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


def _check_destination(request: ApiVersionsRequest, ctx: RequestContext) -> ErrorCode:
    """Whether the client meant this broker; versions before v5 do not say."""
    cluster_id, node_id = request.cluster_id, request.node_id
    if cluster_id is None and node_id == NO_NODE_ID:
        return ErrorCode.NONE
    if cluster_id is None or node_id == NO_NODE_ID:
        return ErrorCode.INVALID_REQUEST
    services = ctx.services
    if (cluster_id, node_id) != (services.cluster_id, services.node_id):
        return ErrorCode.REBOOTSTRAP_REQUIRED
    return ErrorCode.NONE


def unsupported_version(min_version: int, max_version: int) -> ApiVersionsResponse:
    """For a request newer than ours: what the client may ask with instead (KIP-511)."""
    return ApiVersionsResponse(
        error_code=ErrorCode.UNSUPPORTED_VERSION,
        api_keys=[
            ApiVersion(
                api_key=ApiKey.API_VERSIONS, min_version=min_version, max_version=max_version
            )
        ],
    )


def rows(served: Sequence[tuple[int, int, int]]) -> tuple[ApiVersion, ...]:
    """Response rows for (key, min version, max version)."""
    return tuple(
        ApiVersion(api_key=k, min_version=low, max_version=high) for k, low, high in served
    )
