"""What a handler may use: the parts of the broker, the header of the request, and its connection.

Handlers never import the broker. The broker builds `Services` once, and dispatch builds a
`RequestContext` for each request.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping

    import trio

    from kbroker.clock import Clock
    from kbroker.config import BrokerConfig, DynamicConfigs
    from kbroker.controller.channel import ControllerChannel
    from kbroker.controller.image import MetadataImage
    from kbroker.coordinators.group_coordinator import GroupCoordinator
    from kbroker.log_dirs.moves import Moves
    from kbroker.log_dirs.store import LogStore
    from kbroker.partitions.fetch_sessions import FetchSessionCache
    from kbroker.partitions.producer_ids import ProducerIdPool
    from kbroker.partitions.table import PartitionTable
    from kbroker.telemetry import Telemetry
    from kbroker.wire.messages.api_versions import ApiVersion


class CloseConnection(Exception):
    """The request cannot be answered on this connection any more; the text says why."""


@dataclass(slots=True, kw_only=True)
class Services:
    """The parts of one broker. Nothing here is shared between brokers of a process."""

    node_id: int
    cluster_id: str
    config: BrokerConfig
    configs: DynamicConfigs
    image: MetadataImage
    controller: ControllerChannel
    partitions: PartitionTable
    log_store: LogStore
    moves: Moves
    groups: GroupCoordinator
    fetch_sessions: FetchSessionCache
    producer_ids: ProducerIdPool
    clock: Clock
    rng: random.Random
    api_versions: tuple[ApiVersion, ...]  # what ApiVersions answers, from the API table
    kraft_version: Callable[[], int]  # the quorum's level, which the image does not hold
    supported_features: Mapping[str, tuple[int, int]]  # name -> lowest and highest level (KIP-584)
    telemetry: Telemetry
    stopping: trio.Event  # set when the broker begins to stop: long polls answer at once

    def endpoint(
        self, node_id: int, connection: ConnectionInfo
    ) -> tuple[str, int, str | None] | None:
        """Host, port and rack where a client of this connection's listener finds a broker (KIP-951,
        Metadata).
        """
        broker = self.image.brokers.get(node_id)
        if broker is None:
            return None
        if node_id == self.node_id:
            return (*connection.advertised, broker.rack)
        endpoint = broker.endpoints.get(connection.listener)
        return None if endpoint is None else (endpoint.host, endpoint.port, broker.rack)


@dataclass(slots=True)
class ConnectionInfo:
    """One client connection, as handlers see it."""

    connection_id: str
    listener: str
    local_host: str  # the address the client dialled: what advertise=auto answers
    local_port: int
    peer_host: str
    advertised: tuple[str, int]  # where this listener's clients find this broker
    client_software_name: str = ""
    client_software_version: str = ""
    peer_port: int = 0
    on_close: Callable[[], object] | None = None  # what to do when it is gone


class RequestContext:
    """One request: its header fields, its connection and the broker's services."""

    __slots__ = ("api_key", "api_version", "client_id", "connection", "correlation_id", "services")

    def __init__(
        self,
        services: Services,
        connection: ConnectionInfo,
        api_key: int,
        api_version: int,
        correlation_id: int,
        client_id: str | None,
    ) -> None:
        self.services = services
        self.connection = connection
        self.api_key = api_key
        self.api_version = api_version
        self.correlation_id = correlation_id
        self.client_id = client_id
