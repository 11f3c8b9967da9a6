"""Makes this broker what the metadata image says: opens, leads, configures and deletes its
partitions (Kafka's BrokerMetadataPublisher).

`apply` runs as the committed records are replayed, before anyone who waits for them is answered.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

from kbroker.config import log_config
from kbroker.storage.errors import DiskError

from .partition import Partition

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from kbroker.clock import Clock
    from kbroker.config import DynamicConfigs
    from kbroker.controller.delta import ImageDelta
    from kbroker.controller.image import MetadataImage, TopicImage
    from kbroker.storage.log import Log

    from .table import PartitionTable

TOPIC_RESOURCE, BROKER_RESOURCE = 2, 4

log = logging.getLogger("kbroker.publisher")


class LogStore(Protocol):
    """Where partitions' logs live."""

    def open(self, topic: str, index: int, topic_id: bytes, configs: DynamicConfigs) -> Log:
        """The log that is there, or a new one. DiskError."""
        ...

    def high_watermark(self, topic: str, index: int) -> int:
        """As last checkpointed; 0 where it is not known."""
        ...


class Coordinators(Protocol):
    """Whoever serves from a partition of an internal topic that this broker leads."""

    topic: str

    def on_elected(self, partition_index: int, partition: Partition, leader_epoch: int) -> None: ...

    def on_resigned(self, partition_index: int) -> None: ...


class Publisher:
    """One broker's. Nothing else adds or removes partitions."""

    def __init__(
        self,
        node_id: int,
        table: PartitionTable,
        store: LogStore,
        configs: DynamicConfigs,
        coordinators: Coordinators,
        clock: Clock,
        rng: random.Random,
        request_flush: Callable[[Partition], None],
    ) -> None:
        self._node_id = node_id
        self._table = table
        self._store = store
        self._configs = configs
        self._coordinators = coordinators
        self._clock = clock
        self._rng = rng
        self._request_flush = request_flush

    def apply(self, delta: ImageDelta, image: MetadataImage) -> None:
        for topic in delta.topics_deleted.values():
            self._delete(topic)
        if delta.configs_changed:
            self._reconfigure(delta)
        for topic_id, indexes in delta.partitions_changed.items():
            topic = image.topics_by_id[topic_id]
            for index in sorted(indexes):
                self._follow(topic, index)

    def _follow(self, topic: TopicImage, index: int) -> None:
        state = topic.partitions[index]
        partition = self._table.get(topic.name, index)
        if partition is None:
            if self._node_id not in state.replicas:
                return
            opened = self._store.open(topic.name, index, topic.topic_id, self._configs)
            partition = Partition(
                topic.name,
                index,
                topic.topic_id,
                opened,
                state,
                self._node_id,
                self._store.high_watermark(topic.name, index),
                self._request_flush,
            )
            self._table.add(partition)
            was_leader = False
        else:
            was_leader = partition.is_leader
            partition.apply(state)
        if topic.name == self._coordinators.topic and not partition.offline:
            if partition.is_leader:
                self._coordinators.on_elected(index, partition, state.leader_epoch)
            elif was_leader:
                self._coordinators.on_resigned(index)

    def _delete(self, topic: TopicImage) -> None:
        for partition in self._table.remove(topic.name, topic.topic_id):
            if topic.name == self._coordinators.topic and partition.is_leader:
                self._coordinators.on_resigned(partition.index)
            partition.remove()
            try:
                partition.log.delete(self._clock.wall_ms(), self._rng.randbytes(16))
            except DiskError as error:
                # The next start finds a directory of a topic that is no more, and sets it aside.
                log.error("%s-%d stays on disk: %s", topic.name, partition.index, error)

    def _reconfigure(self, delta: ImageDelta) -> None:
        self._configs.apply(delta.configs_changed)
        changed = delta.configs_changed
        if any(resource_type == BROKER_RESOURCE for resource_type, _ in changed):
            partitions = list(self._table)  # a broker's default may be in any topic's configuration
        else:
            partitions = [
                partition
                for resource_type, name in changed
                if resource_type == TOPIC_RESOURCE
                for partition in self._table.of_topic(name)
            ]
        for partition in partitions:
            partition.log.update_config(log_config(self._configs.topic(partition.topic)))
