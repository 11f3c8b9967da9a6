"""The brokers behind a bootstrap address: connections by node, leaders, coordinators, retries."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import trio

from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.find_coordinator import (
    FindCoordinatorRequest,
    FindCoordinatorResponse,
)
from kbroker.wire.messages.metadata import (
    MetadataRequest,
    MetadataRequestTopic,
    MetadataResponse,
)

from .connection import Connection
from .errors import (
    BrokerError,
    ClientError,
    Disconnected,
    check,
    error_code,
    is_loading,
    is_retriable,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence

    from kbroker.wire.message import Message

    from .connection import Connect, ResponseT

T = TypeVar("T")
TopicPartition = tuple[str, int]

ATTEMPTS_MAX = 10
BACKOFF_S = 0.1
BACKOFF_MAX_S = 1.0
LOAD_PATIENCE_S = 60.0  # as long as Apache Kafka's administration client (default.api.timeout.ms)
GROUP_COORDINATOR = 0


@dataclass(slots=True)
class Partition:
    """A partition as clients see it; leader -1 while there is none."""

    index: int
    leader: int
    leader_epoch: int
    replicas: list[int]
    isr: list[int]
    offline: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Topic:
    """A topic, its partitions in order."""

    name: str
    topic_id: bytes
    is_internal: bool
    partitions: list[Partition] = field(default_factory=list)


class Cluster:
    """Use `connect`. Tasks may share one: requests to one broker take turns."""

    def __init__(self, bootstrap: Sequence[tuple[str, int]], connect: Connect) -> None:
        self._bootstrap = bootstrap
        self._connect = connect
        self._addresses: dict[int, tuple[str, int]] = {}
        self._connections: dict[tuple[str, int], Connection] = {}
        self._opening: dict[tuple[str, int], trio.Lock] = {}
        self._coordinators: dict[str, int] = {}
        self.topics: dict[str, Topic] = {}  # as last asked for
        self.controller_id = -1

    # --- requests

    async def ask_any(self, request: Message, response_class: type[ResponseT]) -> ResponseT:
        """Ask whichever broker answers, known ones first."""
        failure: ClientError | None = None
        for address in dict.fromkeys((*self._addresses.values(), *self._bootstrap)):
            try:
                connection = await self._connection(address)
                return await connection.ask(request, response_class)
            except Disconnected as error:
                failure = error
        assert failure is not None, "there is a bootstrap address"
        raise failure

    async def ask(
        self, node_id: int, request: Message, response_class: type[ResponseT]
    ) -> ResponseT:
        """Ask one broker. Disconnected also where the broker is not known (any more)."""
        connection = await self.connection(node_id)
        return await connection.ask(request, response_class)

    async def connection(self, node_id: int) -> Connection:
        address = self._addresses.get(node_id)
        if address is None:
            await self.refresh([])
            address = self._addresses.get(node_id)
            if address is None:
                raise Disconnected(f"Broker {node_id} is not in the cluster.")
        return await self._connection(address)

    async def retry(self, operation: Callable[[], Awaitable[T]]) -> T:
        """Do it, and again after an error that may pass, at most ATTEMPTS_MAX times; while a
        coordinator loads its groups, for LOAD_PATIENCE_S.

        Before another try the metadata is asked for anew.
        """
        began = trio.current_time()
        attempts = 0
        backoff_s = BACKOFF_S
        is_first = True
        while True:
            try:
                if not is_first:
                    self._coordinators.clear()
                    await self.refresh(list(self.topics))
                return await operation()
            except ClientError as error:
                if is_loading(error):
                    is_over = trio.current_time() - began >= LOAD_PATIENCE_S
                else:
                    attempts += 1
                    is_over = attempts == ATTEMPTS_MAX
                if is_over or not is_retriable(error):
                    raise
            is_first = False
            await trio.sleep(backoff_s)
            backoff_s = min(backoff_s * 2, BACKOFF_MAX_S)

    # --- what is where

    async def refresh(
        self, topics: Iterable[str] | None, *, allow_auto_creation: bool = False
    ) -> MetadataResponse:
        """Ask for the brokers and some topics (None: all). `topics` keeps those that exist."""
        wanted = None if topics is None else [MetadataRequestTopic(name=name) for name in topics]
        response = await self.ask_any(
            MetadataRequest(topics=wanted, allow_auto_topic_creation=allow_auto_creation),
            MetadataResponse,
        )
        self._addresses = {
            broker.node_id: (broker.host, broker.port) for broker in response.brokers
        }
        self.controller_id = response.controller_id
        if topics is None:
            self.topics.clear()
        for topic in response.topics:
            if topic.error_code != ErrorCode.NONE or topic.name is None:
                self.topics.pop(topic.name or "", None)
                continue
            partitions = [
                Partition(
                    p.partition_index,
                    p.leader_id,
                    p.leader_epoch,
                    p.replica_nodes,
                    p.isr_nodes,
                    p.offline_replicas,
                )
                for p in sorted(topic.partitions, key=lambda p: p.partition_index)
            ]
            self.topics[topic.name] = Topic(
                topic.name, topic.topic_id, topic.is_internal, partitions
            )
        return response

    async def topic(self, name: str, *, create: bool = False) -> Topic:
        """A topic with a leader for every partition; `create`: the broker may create it.

        Waits for a topic that is being created; ClientError for one that does not exist.
        """

        async def look() -> Topic:
            response = await self.refresh([name], allow_auto_creation=create)
            found = next((t for t in response.topics if t.name == name), None)
            code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION if found is None else found.error_code
            if code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION and not create:
                raise ClientError(f"There is no topic {name!r}.")
            check(code, f"Topic {name!r}")
            for partition in self.topics[name].partitions:
                if partition.leader < 0:
                    raise BrokerError(
                        f"Partition {name}-{partition.index}", ErrorCode.LEADER_NOT_AVAILABLE
                    )
            return self.topics[name]

        try:
            return await self.retry(look)
        except BrokerError as error:
            if error.code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION:
                raise ClientError(
                    f"There is no topic {name!r}, and the broker did not create it."
                ) from error
            raise

    def leader(self, topic: str, index: int) -> int:
        """The leader as last known. Retriable where there is none."""
        found = self.topics.get(topic)
        if found is None or index >= len(found.partitions) or found.partitions[index].leader < 0:
            raise BrokerError(f"Partition {topic}-{index}", ErrorCode.LEADER_NOT_AVAILABLE)
        return found.partitions[index].leader

    async def coordinator(self, group_id: str) -> int:
        """The node that coordinates a group."""
        known = self._coordinators.get(group_id)
        if known is not None:
            return known
        response = await self.ask_any(
            FindCoordinatorRequest(key_type=GROUP_COORDINATOR, coordinator_keys=[group_id]),
            FindCoordinatorResponse,
        )
        for found in response.coordinators:
            if found.key == group_id:
                if found.error_code != ErrorCode.NONE:
                    raise BrokerError(
                        f"Cannot find the coordinator of group {group_id!r}",
                        error_code(found.error_code),
                        found.error_message,
                    )
                self._addresses.setdefault(found.node_id, (found.host, found.port))
                self._coordinators[group_id] = found.node_id
                return found.node_id
        raise BrokerError(
            f"Cannot find the coordinator of group {group_id!r}",
            ErrorCode.COORDINATOR_NOT_AVAILABLE,
        )

    @property
    def node_ids(self) -> list[int]:
        return sorted(self._addresses)

    async def _connection(self, address: tuple[str, int]) -> Connection:
        async with self._opening.setdefault(address, trio.Lock()):
            connection = self._connections.get(address)
            if connection is None or not connection.is_open:
                connection = await Connection.open(*address, self._connect)
                self._connections[address] = connection
            return connection

    async def close(self) -> None:
        for connection in self._connections.values():
            await connection.close()


@asynccontextmanager
async def connect(
    bootstrap: Sequence[tuple[str, int]], opener: Connect = trio.open_tcp_stream
) -> AsyncIterator[Cluster]:
    """The cluster behind the addresses, asked who is in it. Connections close at the end."""
    cluster = Cluster(bootstrap, opener)
    try:
        await cluster.refresh([])
        yield cluster
    finally:
        await cluster.close()


def by_leader(
    cluster: Cluster, partitions: Iterable[TopicPartition]
) -> dict[int, list[TopicPartition]]:
    """The partitions by the node that leads them, as last known. Retriable where one has none."""
    leaders: dict[int, list[TopicPartition]] = {}
    for topic, index in partitions:
        leaders.setdefault(cluster.leader(topic, index), []).append((topic, index))
    return leaders
