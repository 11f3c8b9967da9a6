"""ApiVersions: which clients are told what, and which are sent away."""

from __future__ import annotations

import pytest

from kbroker.handlers import api_versions
from kbroker.requests.services import RequestContext
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from tests.kbroker.broker_parts import CLUSTER_ID, connection, new_services
from tests.kbroker.cluster_image import NODE_ID

ROWS = api_versions.rows([(0, 3, 13), (18, 0, 5)])


def ask(request: ApiVersionsRequest, version: int = 5) -> ApiVersionsResponse:
    services = new_services()
    services.api_versions = ROWS
    return api_versions.handle(request, RequestContext(services, connection(), 18, version, 1, "c"))


def asked_of(cluster_id: str | None, node_id: int) -> ApiVersionsRequest:
    return ApiVersionsRequest(
        client_software_name="c",
        client_software_version="1",
        cluster_id=cluster_id,
        node_id=node_id,
    )


@pytest.mark.parametrize(
    ("cluster_id", "node_id", "code"),
    [
        (None, -1, ErrorCode.NONE),
        (CLUSTER_ID, NODE_ID, ErrorCode.NONE),
        (CLUSTER_ID, -1, ErrorCode.INVALID_REQUEST),
        ("", -1, ErrorCode.INVALID_REQUEST),
        (None, NODE_ID, ErrorCode.INVALID_REQUEST),
        (None, -2, ErrorCode.INVALID_REQUEST),
        (CLUSTER_ID, NODE_ID + 1, ErrorCode.REBOOTSTRAP_REQUIRED),
        (CLUSTER_ID, -2, ErrorCode.REBOOTSTRAP_REQUIRED),
        ("another", NODE_ID, ErrorCode.REBOOTSTRAP_REQUIRED),
        ("", NODE_ID, ErrorCode.REBOOTSTRAP_REQUIRED),
    ],
)
def test_a_client_that_meant_another_broker_bootstraps_again(
    cluster_id: str | None, node_id: int, code: ErrorCode
) -> None:
    response = ask(asked_of(cluster_id, node_id))
    assert response.error_code == code
    assert response.api_keys == (list(ROWS) if code is ErrorCode.NONE else [])
    if code is not ErrorCode.NONE:
        assert response.finalized_features_epoch == -1


def test_names_of_software_come_first() -> None:
    request = asked_of("another", 9)
    request.client_software_name = "-"
    assert ask(request).error_code == ErrorCode.INVALID_REQUEST
