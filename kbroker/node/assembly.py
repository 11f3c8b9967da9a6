"""Creates the parts of a broker. Each gets everything that it needs when it is created.

Nothing runs yet: `Broker` starts the parts in their order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import trio

from kbroker.apis import apis_of
from kbroker.config import DynamicConfigs
from kbroker.controller.features import SUPPORTED
from kbroker.controller.topic_names import CONSUMER_OFFSETS
from kbroker.coordinators.group_coordinator import GroupCoordinator
from kbroker.coordinators.internal_topics import consumer_offsets_topic
from kbroker.handlers import api_versions
from kbroker.log_dirs.assignments import Assignments
from kbroker.log_dirs.failures import FailureWatch
from kbroker.log_dirs.maintenance import Maintenance
from kbroker.log_dirs.moves import Moves
from kbroker.partitions.fetch_sessions import FetchSessionCache
from kbroker.partitions.flusher import Flusher
from kbroker.partitions.producer_ids import ProducerIdPool
from kbroker.partitions.table import PartitionTable
from kbroker.requests.services import Services
from kbroker.server.dispatch import Dispatcher
from kbroker.server.limits import ConnectionLimits
from kbroker.server.server import Server
from kbroker.telemetry import Telemetry

from .publisher import Publisher
from .registration import Registration
from .topics import create_topic

if TYPE_CHECKING:
    import random

    from kbroker.clock import Clock
    from kbroker.config import BrokerConfig
    from kbroker.controller.controller import Controller
    from kbroker.log_dirs.store import LogStore
    from kbroker.server.binding import BoundListeners
    from kbroker.server.transport import Network
    from kbroker.storage.disk import Disk

    from .opening import Node

GRACE_S = 0.75  # for requests in flight when the broker stops


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """One broker's parts that run, and what else `Broker` needs of them."""

    controller: Controller
    store: LogStore
    table: PartitionTable
    flusher: Flusher
    groups: GroupCoordinator
    registration: Registration
    assignments: Assignments
    moves: Moves
    failures: FailureWatch
    maintenance: Maintenance
    dispatcher: Dispatcher
    server: Server
    stopping: trio.Event  # as in Services


def assemble(
    node: Node,
    listeners: BoundListeners,
    config: BrokerConfig,
    *,
    clock: Clock,
    disk: Disk,
    network: Network,
    rng: random.Random,
) -> Parts:
    """The parts of a broker that serves these listeners. ConfigError."""
    controller, store = node.controller, node.store
    channel, image = controller.channel, controller.image
    configs = DynamicConfigs(config, image.configs)
    table = PartitionTable()
    flusher = Flusher(clock)
    stopping = trio.Event()

    async def ensure_topic(name: str) -> None:
        assert name == CONSUMER_OFFSETS
        live = sum(1 for broker in image.brokers.values() if broker.is_active)
        await create_topic(channel, consumer_offsets_topic(config, live))

    groups = GroupCoordinator(
        node_id=config.node_id,
        config=config,
        clock=clock,
        rng=rng,
        image=image,
        ensure_topic=ensure_topic,
    )
    registration = Registration(
        channel,
        config.node_id,
        lambda: config.broker_heartbeat_interval_ms,
        lambda: controller.applied_offset,
        cordoned=lambda: store.cordoned_ids,
        failure_timeout_ms=config.log_dir_failure_timeout_ms,
    )
    assignments = Assignments(channel, config.node_id, lambda: registration.broker_epoch)
    moves = Moves(config.node_id, store, assignments, config, configs, clock)
    publisher = Publisher(
        config.node_id, table, store, configs, groups, flusher.request, assignments, moves
    )
    telemetry = Telemetry(image, rng, lambda: config.telemetry_max_bytes)
    controller.add_listener(lambda delta, offset, epoch: publisher.apply(delta, image))
    controller.add_listener(lambda delta, offset, epoch: registration.on_metadata(delta, image))
    controller.add_listener(lambda delta, offset, epoch: telemetry.on_metadata(delta))
    apis = apis_of(config.release)
    services = Services(
        node_id=config.node_id,
        cluster_id=node.cluster_id,
        config=config,
        configs=configs,
        image=image,
        controller=channel,
        partitions=table,
        log_store=store,
        moves=moves,
        groups=groups,
        fetch_sessions=FetchSessionCache(config.max_incremental_fetch_session_cache_slots, rng),
        producer_ids=ProducerIdPool(channel, config.node_id, lambda: registration.broker_epoch),
        clock=clock,
        rng=rng,
        api_versions=api_versions.rows(
            [
                (api.key, api.advertised_min_version, api.max_version)
                for api in apis
                if api.is_advertised
            ]
        ),
        kraft_version=lambda: controller.kraft_version,
        supported_features=SUPPORTED,
        telemetry=telemetry,
        stopping=stopping,
    )
    dispatcher = Dispatcher(apis, config.socket_request_max_bytes, services, config.release.limits)
    server = Server(
        listeners,
        dispatcher,
        ConnectionLimits(config, network.look_up),
        grace_s=GRACE_S,
        queued_request_bytes_max=config.queued_max_request_bytes,
    )
    configs.on_broker_change(server.limits_changed)
    server.limits_changed(configs.broker.set_names)
    return Parts(
        controller=controller,
        store=store,
        table=table,
        flusher=flusher,
        groups=groups,
        registration=registration,
        assignments=assignments,
        moves=moves,
        failures=FailureWatch(disk, store, table, moves, config, registration.on_directory_failed),
        maintenance=Maintenance(
            table,
            store,
            config,
            clock,
            flusher.request,
            lambda: publisher.open_awaiting_space(image),
        ),
        dispatcher=dispatcher,
        server=server,
        stopping=stopping,
    )
