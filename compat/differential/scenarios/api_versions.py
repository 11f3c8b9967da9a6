"""ApiVersions and DescribeCluster: what a broker says of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compat.differential.scenarios import scenario
from kbroker.wire.messages.api_versions import ApiVersionsRequest
from kbroker.wire.messages.describe_cluster import DescribeClusterRequest

if TYPE_CHECKING:
    from compat.differential.peer import Peer


@scenario(ApiVersionsRequest)
def versions(peer: Peer) -> None:
    """The software's name must be what KIP-511 allows."""
    names = ["client", "a", "with-dash.and.dot", "", " ", "-x", "x-", "a b", "ünicode", "a" * 300]
    for version in peer.shared(ApiVersionsRequest):
        request = ApiVersionsRequest(client_software_name="diff", client_software_version="1.0")
        peer.probe(f"v{version}", request, version)
        for text in names if version >= 3 else []:
            named = ApiVersionsRequest(client_software_name=text, client_software_version="1")
            peer.probe(f"v{version} software name {text[:20]!r}", named, version)
            numbered = ApiVersionsRequest(client_software_name="a", client_software_version=text)
            peer.probe(f"v{version} software version {text[:20]!r}", numbered, version)


@scenario(DescribeClusterRequest)
def cluster(peer: Peer) -> None:
    """Endpoint types (KIP-919) and fenced brokers (KIP-1073)."""
    for version in peer.shared(DescribeClusterRequest):
        peer.probe(f"v{version}", DescribeClusterRequest(), version)
        authorized = DescribeClusterRequest(include_cluster_authorized_operations=True)
        peer.probe(f"v{version} authorized operations", authorized, version)
        for kind in (0, 1, 2, 3, -1) if version >= 1 else ():
            typed = DescribeClusterRequest(endpoint_type=kind)
            peer.probe(f"v{version} endpoint type {kind}", typed, version)
        if version >= 2:
            fenced = DescribeClusterRequest(include_fenced_brokers=True)
            peer.probe(f"v{version} fenced brokers", fenced, version)
