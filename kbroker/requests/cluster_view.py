"""The cluster as the clients of one listener see it: the brokers that they can reach, and the
replicas that are offline (KRaftMetadataCache).

A view is made for one request, and looks each broker up once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kbroker.controller.model import LOST_DIRECTORY, MIGRATING_DIRECTORY, UNASSIGNED_DIRECTORY

if TYPE_CHECKING:
    from kbroker.controller.image import BrokerImage, PartitionImage
    from kbroker.requests.services import ConnectionInfo, Services

NO_NODE = -1


class BrokerNode(NamedTuple):
    """Where clients of this listener find a broker."""

    node_id: int
    host: str
    port: int
    rack: str | None
    is_fenced: bool


class ClusterView:
    """One listener's view of the image at one moment."""

    def __init__(self, services: Services, connection: ConnectionInfo) -> None:
        self._services = services
        self._connection = connection
        self._brokers = services.image.brokers
        self._nodes: dict[int, BrokerNode | None] = {}

    def node(self, node_id: int) -> BrokerNode | None:
        """None for an unknown broker, and for one without this listener."""
        try:
            return self._nodes[node_id]
        except KeyError:
            node = self._nodes[node_id] = self._look_up(node_id)
            return node

    def is_registered(self, node_id: int) -> bool:
        return node_id in self._brokers

    def nodes(self, *, fenced: bool = False) -> list[BrokerNode]:
        """The brokers with this listener, by id; the fenced ones where asked."""
        found = (self.node(node_id) for node_id in sorted(self._brokers))
        return [node for node in found if node is not None and (fenced or not node.is_fenced)]

    def controller_id(self) -> int:
        """Any live broker, which passes requests on to the controller; NO_NODE without one."""
        nodes = self.nodes()
        return self._services.rng.choice(nodes).node_id if nodes else NO_NODE

    def reachable(self, node_ids: list[int]) -> list[int]:
        return [node_id for node_id in node_ids if self.node(node_id) is not None]

    def offline_replicas(self, partition: PartitionImage) -> list[int]:
        return [
            node_id
            for node_id, directory in zip(partition.replicas, partition.directories, strict=True)
            if not self._is_online(node_id, directory)
        ]

    def _is_online(self, node_id: int, directory: bytes) -> bool:
        node = self.node(node_id)
        return (
            node is not None
            and not node.is_fenced
            and _has_online(self._brokers[node_id], directory)
        )

    def _look_up(self, node_id: int) -> BrokerNode | None:
        endpoint = self._services.endpoint(node_id, self._connection)
        if endpoint is None:
            return None
        return BrokerNode(node_id, *endpoint, self._brokers[node_id].fenced)


def _has_online(broker: BrokerImage, directory: bytes) -> bool:
    if not broker.log_dirs or directory in (UNASSIGNED_DIRECTORY, MIGRATING_DIRECTORY):
        return True
    return directory != LOST_DIRECTORY and directory in broker.log_dirs
