"""DescribeCluster: brokers, controller, fenced ones where asked."""

from __future__ import annotations

import pytest

from kbroker.handlers import describe_cluster
from kbroker.wire import codec
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.describe_cluster import (
    DescribeClusterRequest,
    DescribeClusterResponse,
)
from tests.kbroker.broker_parts import CLUSTER_ID, DIALLED

from .cluster_rig import ClusterRig

LATEST = 2


def ask(
    rig: ClusterRig, request: DescribeClusterRequest, version: int = LATEST
) -> DescribeClusterResponse:
    response = describe_cluster.handle(request, rig.context(version))
    return codec.decode(DescribeClusterResponse, version, codec.encode(response, version))


@pytest.mark.parametrize("version", range(LATEST + 1))
def test_the_live_brokers(version: int) -> None:
    rig = ClusterRig()
    rig.add_broker(2, rack="r")
    rig.add_broker(3, fenced=True)
    response = ask(rig, DescribeClusterRequest(), version)
    assert [(b.broker_id, b.host, b.port, b.rack, b.is_fenced) for b in response.brokers] == [
        (1, *DIALLED, None, False),
        (2, "host2", 9002, "r", False),
    ]
    assert response.cluster_id == CLUSTER_ID
    assert response.controller_id in (1, 2)
    assert response.cluster_authorized_operations == -(1 << 31)


def test_fenced_brokers_where_asked() -> None:
    rig = ClusterRig()
    rig.add_broker(3, fenced=True)
    response = ask(rig, DescribeClusterRequest(include_fenced_brokers=True))
    assert [(b.broker_id, b.is_fenced) for b in response.brokers] == [(1, False), (3, True)]
    assert response.controller_id == 1


def test_authorized_operations_where_asked() -> None:
    response = ask(ClusterRig(), DescribeClusterRequest(include_cluster_authorized_operations=True))
    assert response.cluster_authorized_operations == 8096


@pytest.mark.parametrize(
    ("endpoint_type", "code"),
    [(2, ErrorCode.MISMATCHED_ENDPOINT_TYPE), (7, ErrorCode.UNSUPPORTED_ENDPOINT_TYPE)],
)
def test_only_brokers_are_here(endpoint_type: int, code: ErrorCode) -> None:
    response = ask(ClusterRig(), DescribeClusterRequest(endpoint_type=endpoint_type))
    assert (response.error_code, response.brokers) == (code, [])
    assert response.error_message
