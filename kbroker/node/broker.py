"""One broker: opens its directories, creates its parts, starts them, and stops them in reverse.

    async with Broker(settings) as broker:
        broker.addresses          # clients are served from here on, small coordinators included

Order of the start: addresses (bound, not served yet), log directories, controller, logs that the
metadata image names, registration, small coordinators, clients, large coordinators. Everything that
runs is a task of the nurseries in `_serve`. At the end of the `async with`, requests in flight are
answered, the logs are flushed and closed, and nothing is left running.
"""

from __future__ import annotations

import contextlib
import logging
import os
import random
from functools import partial
from typing import TYPE_CHECKING, Self

import trio

from kbroker.clock import SystemClock
from kbroker.config import ConfigError
from kbroker.config.names import check_names, notice
from kbroker.controller.features import UnsupportedLevel
from kbroker.server.binding import BoundListeners
from kbroker.server.transport import SocketNetwork
from kbroker.storage.errors import CorruptBatch, StorageError
from kbroker.storage.os_disk import OsDisk
from kbroker.wire.errors import RequestError

from .addresses import bind, listeners
from .assembly import Parts, assemble
from .errors import BrokerStopped, StartupError
from .opening import Node, open_node
from .registration import DirectoryNotTold, registration_request
from .topics import creatable, create_topic

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping
    from types import TracebackType

    from kbroker.clock import Clock
    from kbroker.config import BrokerConfig
    from kbroker.controller.image import MetadataImage
    from kbroker.server.dispatch import Intercept
    from kbroker.server.transport import Network
    from kbroker.storage.disk import Disk
    from kbroker.wire.api_keys import ApiKey

    from .settings import BrokerSettings

LEAVE_S = 0.5  # for the controlled shutdown
# Of groups, before clients are served, which takes some tens of milliseconds; the rest meanwhile.
LOADED_AT_START_BYTES = 4 << 20

log = logging.getLogger("kbroker.broker")


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
        self._parts: Parts | None = None  # once the node is open
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
        assert self._parts is not None
        await self._parts.groups.wait_loaded()

    def intercept(self, key: ApiKey, hook: Intercept | None) -> None:
        """Let `hook(request, ctx, proceed)` answer, delay or drop every request of an API."""
        assert self._parts is not None
        self._parts.dispatcher.intercept(key, hook)

    @contextlib.asynccontextmanager
    async def _run(self) -> AsyncIterator[None]:
        config = self._config
        _check_names(config)
        with contextlib.ExitStack() as stack:
            bound = BoundListeners(self._network)
            stack.callback(bound.close)
            self.addresses += [bind(bound, each) for each in listeners(config)]
            node = self._open_node(stack)
            try:
                self._parts = assemble(
                    node,
                    bound,
                    config,
                    clock=self._clock,
                    disk=self._disk,
                    network=self._network,
                    rng=self._rng,
                )
                async with self._serve(node, self._parts):
                    yield
            except BaseException:
                try:
                    await self._close(node)
                except StorageError as error:
                    log.error("%s", error)  # what ended the broker comes first
                raise
            await self._close(node)

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
    async def _serve(self, node: Node, parts: Parts) -> AsyncIterator[None]:
        controller, registration, groups = parts.controller, parts.registration, parts.groups
        async with trio.open_nursery() as logs:
            await logs.start(parts.flusher.run)
            async with trio.open_nursery() as state:
                await state.start(groups.run)
                await state.start(controller.run)
                await registration.register(
                    registration_request(
                        self._config,
                        node.cluster_id,
                        zip(listeners(self._config), self.addresses, strict=True),
                        log_dirs=node.store.directory_ids,
                        previous_broker_epoch=node.closed_epoch,
                        rng=self._rng,
                    )
                )
                # From here on: what follows may take longer than the broker's session lasts.
                await state.start(registration.run)
                await state.start(parts.assignments.run)
                parts.store.set_strays_aside(
                    partial(_has_replica, controller.image, self._config.node_id)
                )
                await self._create_topics(parts)
                await groups.wait_loaded(LOADED_AT_START_BYTES)
                await logs.start(parts.maintenance.run)
                await logs.start(parts.failures.run)
                await state.start(parts.moves.run)
                async with self._serve_clients(parts):
                    yield
                await registration.leave(LEAVE_S)
                await controller.condense()
                state.cancel_scope.cancel()
            logs.cancel_scope.cancel()

    @contextlib.asynccontextmanager
    async def _serve_clients(self, parts: Parts) -> AsyncIterator[None]:
        async with trio.open_nursery() as clients:
            try:
                await clients.start(parts.server.run, self._config.socket_listen_backlog_size)
            except OSError as error:
                raise StartupError(f"cannot listen: {error.strerror}.") from error
            parts.groups.begin_large_loads()
            yield
            parts.stopping.set()
            for each in parts.table:
                each.wake()
            parts.groups.shutdown()
            parts.server.stop()

    async def _close(self, node: Node) -> None:
        if not node.is_temporary:
            epoch = -1 if self._parts is None else self._parts.registration.broker_epoch
            with trio.CancelScope(shield=True):
                await node.close(epoch)

    async def _create_topics(self, parts: Parts) -> None:
        for spec in self._settings.topics:
            try:
                await create_topic(parts.controller.channel, creatable(spec))
            except RequestError as error:
                raise StartupError(f"cannot create topic {spec.name}: {error}") from error


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
