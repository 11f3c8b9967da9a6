"""Every version that is advertised is answered in its own shape."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from compat.raw import CLIENT_ID, ConnectionClosed, RawClient
from kbroker.wire.api_keys import API_TABLE, ApiKey
from kbroker.wire.codec import decode, encode
from kbroker.wire.errors import ProtocolError
from kbroker.wire.frame import parse_response_header, request_header
from kbroker.wire.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compat.brokers import Broker

pytestmark = [pytest.mark.ci, pytest.mark.item(3)]

# The least that a request has to say to be understood; none changes anything.
ASKED: Mapping[int, Mapping[str, object]] = {
    ApiKey.PRODUCE: {"acks": 1},
    ApiKey.FETCH: {},
    ApiKey.LIST_OFFSETS: {"replica_id": -1},
    ApiKey.METADATA: {"topics": []},
    ApiKey.HEARTBEAT: {"group_id": "compat-nobody"},
    ApiKey.DESCRIBE_GROUPS: {},
    ApiKey.LIST_GROUPS: {},
    ApiKey.API_VERSIONS: {"client_software_name": "compat", "client_software_version": "1"},
    ApiKey.CREATE_TOPICS: {},
    ApiKey.DELETE_TOPICS: {},
    ApiKey.DESCRIBE_CONFIGS: {},
    ApiKey.CREATE_PARTITIONS: {},
    ApiKey.DESCRIBE_CLUSTER: {},
    ApiKey.INCREMENTAL_ALTER_CONFIGS: {},
    ApiKey.INIT_PRODUCER_ID: {"transactional_id": None},
}


def test_every_advertised_version_is_answered_in_its_shape(broker: Broker) -> None:
    """Decoded to the last byte, on one connection."""
    wrong = []
    with RawClient(broker.host, broker.port) as raw:
        found = raw.ask(ApiVersionsRequest(), 0, ApiVersionsResponse).api_keys
    for one in found:
        if one.api_key not in ASKED:
            continue
        api = API_TABLE[one.api_key]
        # Kafka too advertises versions of Produce that it refuses (KAFKA-18659).
        first = max(one.min_version, api.min_version)
        for version in range(first, min(one.max_version, api.max_version) + 1):
            request = api.request()
            for name, value in ASKED[one.api_key].items():
                setattr(request, name, value)
            header = request_header(one.api_key, version, 3, CLIENT_ID)
            with RawClient(broker.host, broker.port) as raw:
                try:
                    frame = raw.exchange(header + encode(request, version))
                    answered, position = parse_response_header(one.api_key, version, frame)
                    understood = decode(api.response, version, frame, position)
                    size = position + len(encode(understood, version))
                    if (answered, size) != (3, len(frame)):
                        wrong.append(f"{api.name} v{version}: {len(frame)} bytes, not {size}")
                except (ConnectionClosed, TimeoutError, ProtocolError) as error:
                    wrong.append(f"{api.name} v{version}: {error}")
    assert not wrong, "; ".join(wrong)


def test_versions_are_a_range_that_its_clients_know(broker: Broker) -> None:
    """From the first to the last, within what the protocol has."""
    with RawClient(broker.host, broker.port) as raw:
        found = raw.ask(ApiVersionsRequest(), 0, ApiVersionsResponse).api_keys
    keys = [one.api_key for one in found]
    assert ApiVersionsRequest.API_KEY in keys
    assert len(keys) == len(set(keys))
    assert all(0 <= one.min_version <= one.max_version for one in found)
