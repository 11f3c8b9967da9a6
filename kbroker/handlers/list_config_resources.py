"""ListConfigResources (key 74), v0-1: the resources that can have a configuration.

v0 only client metrics subscriptions; its name is ListClientMetricsResources (KIP-1000) - v1 types
of resources (KIP-1142)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kbroker.requests.cluster_view import ClusterView
from kbroker.wire.codes import ResourceType
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.list_config_resources import (
    ConfigResource,
    ListConfigResourcesRequest,
    ListConfigResourcesResponse,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kbroker.requests.services import RequestContext

TYPES_SINCE: Final = 1
# In the order of Kafka's answer.
TYPES: Final = (
    ResourceType.GROUP,
    ResourceType.CLIENT_METRICS,
    ResourceType.BROKER_LOGGER,
    ResourceType.BROKER,
    ResourceType.TOPIC,
)


def handle(request: ListConfigResourcesRequest, ctx: RequestContext) -> ListConfigResourcesResponse:
    """No types ask for all. Topics and brokers are listed whether or not they have values."""
    if ctx.api_version < TYPES_SINCE:
        wanted: set[int] = {ResourceType.CLIENT_METRICS}
    else:
        wanted = set(request.resource_types) or set(TYPES)
    if not wanted.issubset(TYPES):
        return ListConfigResourcesResponse(error_code=ErrorCode.UNSUPPORTED_VERSION)
    return ListConfigResourcesResponse(
        config_resources=[
            ConfigResource(resource_name=name, resource_type=resource_type)
            for resource_type in TYPES
            if resource_type in wanted
            for name in _names(resource_type, ctx)
        ]
    )


def _names(resource_type: ResourceType, ctx: RequestContext) -> Iterable[str]:
    image = ctx.services.image
    if resource_type == ResourceType.TOPIC:
        return image.topics
    if resource_type in (ResourceType.BROKER, ResourceType.BROKER_LOGGER):
        view = ClusterView(ctx.services, ctx.connection)
        return [str(node.node_id) for node in view.nodes()]
    return [name for kind, name in image.configs if kind == resource_type]
