"""A broker's parts without the broker: the real ones, on simulated seams, each as it is at a start
unless a test gives its own.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import trio

from kbroker.config import BrokerConfig, DynamicConfigs
from kbroker.controller.image import MetadataImage
from kbroker.coordinators.group_coordinator import GroupCoordinator
from kbroker.log_dirs.assignments import Assignments
from kbroker.log_dirs.moves import Moves
from kbroker.log_dirs.store import LogStore
from kbroker.partitions.fetch_sessions import FetchSessionCache
from kbroker.partitions.producer_ids import ProducerIdPool
from kbroker.partitions.table import PartitionTable
from kbroker.requests.services import ConnectionInfo, Services
from kbroker.storage.checkpoints import MetaProperties
from kbroker.storage.log_dir_opening import open_log_dir
from kbroker.telemetry import Telemetry

from .cluster_image import LISTENER, NODE_ID, directory_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kbroker.clock import Clock
    from kbroker.controller.channel import ControllerChannel
    from kbroker.storage.disk import Disk
    from kbroker.storage.log_dir import LogDir
    from kbroker.wire.message import Request

CLUSTER_ID = "4L6g3nShT-eMCtK--X86sw"
DIALLED = ("dialled.example", 19092)
NOW_MS = 1_700_000_000_000


class WallClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now_ms = NOW_MS

    def wall_ms(self) -> int:
        return self.now_ms


class NobodyThere:
    """A channel to a controller that no test has anything to ask."""

    async def send(self, request: Request[Any]) -> Any:
        raise AssertionError(f"nobody answers {request}")


def connection(peer_host: str = "client") -> ConnectionInfo:
    return ConnectionInfo("c", LISTENER, *DIALLED, peer_host, DIALLED)


def new_directory(disk: Disk, path: str = "/data") -> LogDir:
    """A log directory of this broker, just formatted."""
    directory = open_log_dir(disk, path, rng=random.Random(2), now_ms=NOW_MS)
    directory.format(MetaProperties(CLUSTER_ID, NODE_ID, directory_id(NODE_ID)))
    return directory


def new_groups(config: BrokerConfig, image: MetadataImage, clock: Clock) -> GroupCoordinator:
    """A coordinator of no partition; nobody may ask it for its topic."""

    async def ensure_topic(name: str) -> None:
        raise AssertionError(f"nobody creates {name}")

    return GroupCoordinator(
        node_id=NODE_ID,
        config=config,
        clock=clock,
        rng=random.Random(1),
        image=image,
        ensure_topic=ensure_topic,
    )


def new_services(
    *,
    config: BrokerConfig | None = None,
    image: MetadataImage | None = None,
    controller: ControllerChannel | None = None,
    clock: Clock | None = None,
    directories: Sequence[LogDir] = (),
) -> Services:
    """What handlers may use. It serves no API yet, and knows no feature."""
    config = config or BrokerConfig({"node.id": str(NODE_ID)})
    image = image or MetadataImage()
    controller = controller or NobodyThere()
    clock = clock or WallClock()
    configs = DynamicConfigs(config, image.configs)
    store = LogStore(directories, clock)
    assignments = Assignments(controller, NODE_ID, lambda: 1)
    return Services(
        node_id=NODE_ID,
        cluster_id=CLUSTER_ID,
        config=config,
        configs=configs,
        image=image,
        controller=controller,
        partitions=PartitionTable(),
        log_store=store,
        moves=Moves(NODE_ID, store, assignments, config, configs, clock),
        groups=new_groups(config, image, clock),
        fetch_sessions=FetchSessionCache(
            config.max_incremental_fetch_session_cache_slots, random.Random(1)
        ),
        producer_ids=ProducerIdPool(controller, NODE_ID, lambda: 1),
        clock=clock,
        rng=random.Random(1),
        api_versions=(),
        kraft_version=lambda: 0,
        supported_features={},
        telemetry=Telemetry(image, random.Random(1), lambda: config.telemetry_max_bytes),
        stopping=trio.Event(),
    )
