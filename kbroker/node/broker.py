"""One broker: builds the parts, starts them in order, stops them in the reverse.

    async with Broker(settings) as broker:
        broker.addresses          # clients are served from here on, small coordinators included

Start: addresses (taken, not yet served), log directory, controller, logs as the metadata image
says, registration, small coordinators, clients, large coordinators. All that runs is a task of the
nurseries in `_run`; nothing outlives the `async with`, which answers requests in flight, flushes
and closes.
"""

from __future__ import annotations

import contextlib
import logging
import os
import random
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Self

import trio

from kbroker.apis import APIS
from kbroker.clock import SystemClock
from kbroker.config import ConfigError, DynamicConfigs
from kbroker.config.listeners import advertised_listeners, client_listeners
from kbroker.config.names import check_names, notice
from kbroker.controller.features import SUPPORTED, UnsupportedLevel
from kbroker.coordinators.group_coordinator import GroupCoordinator
from kbroker.coordinators.internal_topics import CONSUMER_OFFSETS, consumer_offsets_topic
from kbroker.handlers import api_versions
from kbroker.log_dirs.assignments import Assignments
from kbroker.log_dirs.failures import FailureWatch
from kbroker.log_dirs.maintenance import Maintenance
from kbroker.log_dirs.moves import Moves
from kbroker.node.opening import Node, open_node
from kbroker.node.publisher import Publisher
from kbroker.node.registration import DirectoryNotTold, Lifecycle
from kbroker.partitions.fetch_sessions import FetchSessionCache
from kbroker.partitions.flusher import Flusher
from kbroker.partitions.producer_ids import ProducerIdPool
from kbroker.partitions.table import PartitionTable
from kbroker.requests.services import Services
from kbroker.server.dispatch import Dispatcher
from kbroker.server.limits import ConnectionLimits
from kbroker.server.server import ListenerSettings, Server
from kbroker.server.transport import SocketNetwork
from kbroker.storage.disk import OsDisk
from kbroker.storage.errors import CorruptBatch, StorageError
from kbroker.telemetry import Telemetry
from kbroker.wire.errors import ErrorCode, RequestError
from kbroker.wire.messages.broker_registration import (
    BrokerRegistrationRequest,
    Feature,
    Listener,
)
from kbroker.wire.messages.create_topics import (
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from kbroker.wire.uuids import random_uuid

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping
    from types import TracebackType

    from kbroker.clock import Clock
    from kbroker.config import BrokerConfig
    from kbroker.controller.channel import ControllerChannel
    from kbroker.controller.image import MetadataImage
    from kbroker.server.dispatch import Intercept
    from kbroker.server.transport import Network
    from kbroker.storage.disk import Disk
    from kbroker.wire.api_keys import ApiKey

GRACE_S = 0.75  # for requests in flight when the broker stops
LEAVE_S = 0.5  # for the controlled shutdown
CREATE_TIMEOUT_MS = 30_000
# Of groups, before clients are served, which takes some tens of milliseconds; the rest meanwhile.
LOADED_AT_START_BYTES = 4 << 20

log = logging.getLogger("kbroker.broker")


class BrokerStopped(Exception):
    """The broker could not go on; the text is one sentence for whoever started it."""


class StartupError(BrokerStopped):
    """It cannot even start."""


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic to be there once the broker serves; one that is there already stays as it is."""

    name: str
    partitions: int | None = None  # None: num.partitions
    configs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """What to run. Without `data_dir` and log.dirs the data is temporary: gone with the broker."""

    config: BrokerConfig
    data_dir: str | None = None
    cluster_id: str | None = None  # of a directory that is new; None: a random one
    topics: tuple[TopicSpec, ...] = ()


class Broker:
    """An asynchronous context manager; several may live in one process.

    The seams are arguments: a test gives its own clock, disk, network and randomness.
    """

    def __init__(
        self,
        settings: BrokerSettings,
        *,
        clock: Clock | None = None,
        disk: Disk | None = None,
        network: Network | None = None,
        rng: random.Random | None = None,
    ) -> None:
        config = settings.config
        self._settings = settings
        self._config = config
        self._clock = clock or SystemClock()
        self._disk = disk or OsDisk()
        self._network = network or SocketNetwork(
            send_buffer=config.socket_send_buffer_bytes,
            receive_buffer=config.socket_receive_buffer_bytes,
        )
        self._rng = rng or random.SystemRandom()
        self._server: Server | None = None
        self._dispatcher: Dispatcher | None = None
        self._groups: GroupCoordinator | None = None
        self._lifetime: contextlib.AbstractAsyncContextManager[None] | None = None
        self.addresses: list[tuple[str, int]] = []

    async def __aenter__(self) -> Self:
        self._lifetime = self._run()
        try:
            await self._lifetime.__aenter__()
        except BaseExceptionGroup as group:
            for each in leaves(group):
                if isinstance(each, StartupError):
                    raise each from None
                if isinstance(each, StorageError):
                    raise StartupError(_sentence(each)) from each
                if isinstance(each, UnsupportedLevel):
                    raise StartupError(f"{each}.") from each
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        assert self._lifetime is not None
        try:
            return await self._lifetime.__aexit__(kind, error, traceback)
        except StorageError as failure:
            raise BrokerStopped(f"{failure}: the next start will check the logs.") from failure
        except BaseExceptionGroup as group:
            causes = list(leaves(group))
            if error is not None and all(each is error for each in causes):
                return False  # what the body raised, without the nurseries it came through
            for each in causes:
                if isinstance(each, StorageError):
                    # Of the metadata log, or the last log directory: no broker can go on.
                    raise BrokerStopped(_sentence(each)) from each
                if isinstance(each, DirectoryNotTold):
                    raise BrokerStopped(f"{each}.") from each
            raise

    async def wait_loaded(self) -> None:
        """Until all groups are loaded."""
        assert self._groups is not None
        await self._groups.wait_loaded()

    def intercept(self, key: ApiKey, hook: Intercept | None) -> None:
        """Let `hook(request, ctx, proceed)` answer, delay or drop every request of an API."""
        assert self._dispatcher is not None
        self._dispatcher.intercept(key, hook)

    @contextlib.asynccontextmanager
    async def _run(self) -> AsyncIterator[None]:
        _check_names(self._config)
        with contextlib.ExitStack() as stack:
            listeners = _listeners(self._config)
            limits = ConnectionLimits(self._config, self._network.look_up)
            dispatcher = Dispatcher(APIS, self._config.socket_request_max_bytes)
            server = Server(
                self._network,
                dispatcher,
                limits,
                grace_s=GRACE_S,
                queued_request_bytes_max=self._config.queued_max_request_bytes,
            )
            stack.callback(server.close_listeners)
            for listener in listeners:
                self.addresses.append(_bind(server, listener))
            node = self._open_node(stack)
            try:
                async with self._serve(node, server, dispatcher):
                    yield
            except BaseException:
                try:
                    await _close(node)
                except StorageError as error:
                    log.error("%s", error)  # what ended the broker comes first
                raise
            await _close(node)

    def _open_node(self, stack: contextlib.ExitStack) -> Node:
        """Take the data directory, with its metadata log. StartupError."""
        config = self._config
        is_set = bool({"log.dirs", "log.dir"} & set(config.set_names))
        is_temporary = self._settings.data_dir is None and not is_set
        if is_temporary:
            path = f"{temporary_root(os.environ)}/kbroker-{self._rng.randbytes(6).hex()}"
            _make_private(path)
            stack.callback(self._disk.remove_tree, path)
            paths = [path]
        elif is_set:
            paths = list(config.log_dirs or config.log_dir)
        else:
            assert self._settings.data_dir is not None
            paths = [self._settings.data_dir]
        if len(set(map(os.path.realpath, paths))) < len(paths):
            raise StartupError(f"log.dirs={','.join(paths)}: a directory is listed twice.")
        metadata_path = config.metadata_log_dir or paths[0]
        for each in paths:
            if os.path.realpath(each) == os.path.realpath(metadata_path):
                metadata_path = each
        try:
            return open_node(
                self._disk,
                paths,
                metadata_path,
                config,
                rng=self._rng,
                clock=self._clock,
                is_temporary=is_temporary,
                cluster_id=self._settings.cluster_id,
            )
        except (StorageError, ValueError) as error:
            raise StartupError(f"{error}.") from error

    @contextlib.asynccontextmanager
    async def _serve(
        self, node: Node, server: Server, dispatcher: Dispatcher
    ) -> AsyncIterator[None]:
        config, clock = self._config, self._clock
        controller = node.controller
        image = controller.image
        configs = DynamicConfigs(config, image.configs)
        configs.on_broker_change(server.limits_changed)
        server.limits_changed(configs.broker.set_names)
        table = PartitionTable()
        flusher = Flusher(clock)
        stopping = trio.Event()

        async def ensure_topic(name: str) -> None:
            assert name == CONSUMER_OFFSETS
            live = sum(1 for broker in image.brokers.values() if broker.is_active)
            await _create(controller.channel, consumer_offsets_topic(config, live))

        groups = self._groups = GroupCoordinator(
            node_id=config.node_id,
            config=config,
            clock=clock,
            rng=self._rng,
            image=image,
            ensure_topic=ensure_topic,
        )
        lifecycle = Lifecycle(
            controller.channel,
            config.node_id,
            lambda: config.broker_heartbeat_interval_ms,
            lambda: controller.applied_offset,
            cordoned=lambda: node.store.cordoned_ids,
            failure_timeout_ms=config.log_dir_failure_timeout_ms,
        )
        assignments = Assignments(
            controller.channel, config.node_id, lambda: lifecycle.broker_epoch
        )
        moves = Moves(config.node_id, node.store, assignments, config, configs, clock)
        watch = FailureWatch(
            self._disk, node.store, table, moves, config, lifecycle.on_directory_failed
        )
        publisher = Publisher(
            config.node_id,
            table,
            node.store,
            configs,
            groups,
            flusher.request,
            assignments,
            moves,
        )
        controller.add_listener(lambda delta, offset, epoch: publisher.apply(delta, image))
        controller.add_listener(lambda delta, offset, epoch: lifecycle.on_metadata(delta, image))
        telemetry = Telemetry(image, self._rng, lambda: config.telemetry_max_bytes)
        controller.add_listener(lambda delta, offset, epoch: telemetry.on_metadata(delta))
        producer_ids = ProducerIdPool(controller.channel, config.node_id)
        dispatcher.services = Services(
            node_id=config.node_id,
            cluster_id=node.cluster_id,
            config=config,
            configs=configs,
            image=image,
            controller=controller.channel,
            partitions=table,
            log_store=node.store,
            moves=moves,
            groups=groups,
            fetch_sessions=FetchSessionCache(
                config.max_incremental_fetch_session_cache_slots, self._rng
            ),
            producer_ids=producer_ids,
            clock=clock,
            rng=self._rng,
            api_versions=api_versions.rows(
                [
                    (api.key, api.advertised_min_version, api.max_version)
                    for api in APIS
                    if api.is_advertised
                ]
            ),
            kraft_version=lambda: controller.kraft_version,
            supported_features=SUPPORTED,
            telemetry=telemetry,
            stopping=stopping,
        )
        self._dispatcher = dispatcher
        maintenance = Maintenance(
            table,
            node.store,
            config,
            clock,
            flusher.request,
            lambda: publisher.open_awaiting_space(image),
        )

        async with trio.open_nursery() as logs:
            await logs.start(flusher.run)
            async with trio.open_nursery() as state:
                await state.start(groups.run)
                await state.start(controller.run)
                await lifecycle.register(self._registration(node))
                # From here on: what follows may take longer than the broker's session lasts.
                await state.start(lifecycle.run)
                await state.start(assignments.run)
                node.broker_epoch = producer_ids.broker_epoch = lifecycle.broker_epoch
                node.store.set_strays_aside(partial(_has_replica, image, config.node_id))
                for topic in self._settings.topics:
                    await self._create_topic(controller.channel, topic)
                await groups.wait_loaded(LOADED_AT_START_BYTES)
                await logs.start(maintenance.run)
                await logs.start(watch.run)
                await state.start(moves.run)
                async with trio.open_nursery() as clients:
                    try:
                        await clients.start(server.run, config.socket_listen_backlog_size)
                    except OSError as error:
                        raise StartupError(f"cannot listen: {error.strerror}.") from error
                    groups.begin_large_loads()
                    yield
                    stopping.set()
                    for each in table:
                        each.wake()
                    groups.shutdown()
                    server.stop()
                await lifecycle.leave(LEAVE_S)
                await controller.condense()
                state.cancel_scope.cancel()
            logs.cancel_scope.cancel()

    def _registration(self, node: Node) -> BrokerRegistrationRequest:
        listeners = [
            Listener(name=each.name, host=(each.advertised or bound)[0], port=bound[1])
            for each, bound in zip(_listeners(self._config), self.addresses, strict=True)
        ]
        return BrokerRegistrationRequest(
            broker_id=self._config.node_id,
            cluster_id=node.cluster_id,
            incarnation_id=random_uuid(self._rng),
            # Without it the controller takes the stop for a crash, and strikes this broker from
            # the eligible leaders of every partition.
            previous_broker_epoch=node.closed_epoch,
            listeners=listeners,
            features=[
                Feature(name=name, min_supported_version=low, max_supported_version=high)
                for name, (low, high) in SUPPORTED.items()
            ],
            rack=self._config.broker_rack,
            log_dirs=node.store.directory_ids,
        )

    async def _create_topic(self, channel: ControllerChannel, spec: TopicSpec) -> None:
        topic = CreatableTopic(
            name=spec.name,
            num_partitions=-1 if spec.partitions is None else spec.partitions,
            replication_factor=-1,
            configs=[CreatableTopicConfig(name=k, value=v) for k, v in spec.configs.items()],
        )
        try:
            await _create(channel, topic)
        except RequestError as error:
            raise StartupError(f"cannot create topic {spec.name}: {error}") from error


async def _close(node: Node) -> None:
    if not node.is_temporary:
        with trio.CancelScope(shield=True):
            await node.close()


async def _create(channel: ControllerChannel, topic: CreatableTopic) -> None:
    """Returns when the topic is there, be it made now or before. RequestError."""
    response = await channel.send(CreateTopicsRequest(topics=[topic], timeout_ms=CREATE_TIMEOUT_MS))
    assert isinstance(response, CreateTopicsResponse)
    result = response.topics[0]
    if result.error_code not in (ErrorCode.NONE, ErrorCode.TOPIC_ALREADY_EXISTS):
        raise RequestError(ErrorCode(result.error_code), result.error_message)


def _has_replica(image: MetadataImage, node_id: int, topic: str, index: int) -> bool:
    """Whether this broker has a replica of the partition."""
    found = image.topics.get(topic)
    partition = None if found is None else found.partitions.get(index)
    return partition is not None and node_id in partition.replicas


def temporary_root(environment: Mapping[str, str]) -> str:
    """Where temporary files go. The tempfile module would cost a start 10 ms of imports."""
    found = (environment.get(name) for name in ("TMPDIR", "TEMP", "TMP"))
    return next(filter(None, found), "/tmp").rstrip("/")


def _make_private(path: str) -> None:
    try:
        os.mkdir(path, 0o700)
    except OSError as error:
        raise StartupError(f"cannot create {path}: {error.strerror}.") from error


def _listeners(config: BrokerConfig) -> list[ListenerSettings]:
    """StartupError for listeners that cannot be served."""
    try:
        advertised = advertised_listeners(config)
        return [
            ListenerSettings(
                each.name,
                each.host,
                each.port,
                (advertised[each.name].host, advertised[each.name].port)
                if each.name in advertised
                else None,
            )
            for each in client_listeners(config)
        ]
    except ConfigError as error:
        raise StartupError(str(error)) from error


def _bind(server: Server, listener: ListenerSettings) -> tuple[str, int]:
    try:
        return server.bind(listener)
    except OSError as error:
        raise StartupError(
            f"cannot listen on {listener.host or '*'}:{listener.port}: {error.strerror or error}."
        ) from error


def _check_names(config: BrokerConfig) -> None:
    """Say in one warning what is set without effect. StartupError for a key that is a mistake."""
    try:
        check_names(config)
        said = notice(config)
    except ConfigError as error:
        raise StartupError(str(error)) from error
    if said is not None:
        log.warning(said)


def _sentence(error: StorageError) -> str:
    if isinstance(error, CorruptBatch):
        return f"the metadata log is damaged: {error}."
    return f"{error}."


def leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    """The exceptions in a tree of groups."""
    for each in group.exceptions:
        if isinstance(each, BaseExceptionGroup):
            yield from leaves(each)
        else:
            yield each
