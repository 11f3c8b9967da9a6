"""DescribeCluster, and authorized operations where there is no authorizer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.describe_cluster import DescribeClusterRequest, DescribeClusterResponse
from kbroker.wire.messages.metadata import MetadataRequest, MetadataResponse

from .asking import assert_error, assert_none

if TYPE_CHECKING:
    from compat.brokers import Broker
    from compat.raw import RawClient

pytestmark = [pytest.mark.ci, pytest.mark.item(29)]

# create, alter, describe, cluster action, describe and alter configs, idempotent write...
ALL_CLUSTER_OPERATIONS = 0x1FA0
NOT_ASKED = -(2**31)


@pytest.mark.parametrize("version", range(3))
def test_the_cluster(raw: RawClient, broker: Broker, version: int) -> None:
    response = raw.ask(DescribeClusterRequest(), version, DescribeClusterResponse)
    assert_none(response.error_code)
    metadata = raw.ask(MetadataRequest(topics=[]), 12, MetadataResponse)
    assert response.cluster_id == metadata.cluster_id
    assert len(response.cluster_id) == 22
    (node,) = response.brokers
    assert (node.host, node.port, node.rack) == (broker.host, broker.port, None)
    assert node.broker_id == metadata.brokers[0].node_id == response.controller_id
    assert response.cluster_authorized_operations == NOT_ASKED


def test_authorized_operations(raw: RawClient) -> None:
    request = DescribeClusterRequest(include_cluster_authorized_operations=True)
    response = raw.ask(request, 1, DescribeClusterResponse)
    assert response.cluster_authorized_operations == ALL_CLUSTER_OPERATIONS
    metadata = raw.ask(
        MetadataRequest(topics=[], include_cluster_authorized_operations=True),
        10,
        MetadataResponse,
    )
    assert metadata.cluster_authorized_operations == ALL_CLUSTER_OPERATIONS


def test_controllers_are_not_to_be_had_of_a_broker(raw: RawClient) -> None:
    response = raw.ask(DescribeClusterRequest(endpoint_type=2), 1, DescribeClusterResponse)
    assert_error(response.error_code, ErrorCode.MISMATCHED_ENDPOINT_TYPE)
    response = raw.ask(DescribeClusterRequest(endpoint_type=7), 1, DescribeClusterResponse)
    assert_error(response.error_code, ErrorCode.UNSUPPORTED_ENDPOINT_TYPE)
