"""DescribeCluster (key 60), v0-2: the brokers, the id of the cluster, and the broker that takes
admin requests.

v1 endpoint types (KIP-919) - v2 fenced brokers (KIP-1073)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbroker.requests.authorized_operations import CLUSTER_OPERATIONS, NOT_ASKED
from kbroker.requests.cluster_view import NO_NODE, ClusterView
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.describe_cluster import (
    DescribeClusterBroker,
    DescribeClusterRequest,
    DescribeClusterResponse,
)

if TYPE_CHECKING:
    from kbroker.requests.services import RequestContext

BROKER_ENDPOINT, CONTROLLER_ENDPOINT = 1, 2


def handle(request: DescribeClusterRequest, ctx: RequestContext) -> DescribeClusterResponse:
    if request.endpoint_type != BROKER_ENDPOINT:
        return _wrong_endpoint_type(request.endpoint_type)
    view = ClusterView(ctx.services, ctx.connection)
    nodes = view.nodes(fenced=request.include_fenced_brokers)
    controller_id = view.controller_id()
    return DescribeClusterResponse(
        endpoint_type=BROKER_ENDPOINT,
        cluster_id=ctx.services.cluster_id,
        controller_id=controller_id if any(n.node_id == controller_id for n in nodes) else NO_NODE,
        brokers=[
            DescribeClusterBroker(
                broker_id=node.node_id,
                host=node.host,
                port=node.port,
                rack=node.rack,
                # A version that lacks the field never asks for fenced brokers.
                is_fenced=node.is_fenced,
            )
            for node in nodes
        ],
        cluster_authorized_operations=(
            CLUSTER_OPERATIONS if request.include_cluster_authorized_operations else NOT_ASKED
        ),
    )


def _wrong_endpoint_type(endpoint_type: int) -> DescribeClusterResponse:
    if endpoint_type == CONTROLLER_ENDPOINT:
        return DescribeClusterResponse(
            error_code=ErrorCode.MISMATCHED_ENDPOINT_TYPE,
            error_message=(
                "The request was sent to an endpoint of type BROKER, "
                "but we wanted an endpoint of type CONTROLLER"
            ),
        )
    return DescribeClusterResponse(
        error_code=ErrorCode.UNSUPPORTED_ENDPOINT_TYPE,
        error_message=f"Unsupported endpoint type {endpoint_type}",
    )
