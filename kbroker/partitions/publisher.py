"""Makes this broker what the metadata image says: opens, leads, configures and deletes its
partitions (Kafka's BrokerMetadataPublisher).

`apply` runs as the committed records are replayed, before anyone who waits for them is answered.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

from kbroker.config import log_config
from kbroker.controller.features import DIRECTORY_ASSIGNMENT_SINCE
from kbroker.storage.errors import DiskError, DiskFull, StorageError
from kbroker.wire.codes import ResourceType
from kbroker.wire.errors import ErrorCode

from .log_store import OfflineLogDir
from .partition import Partition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kbroker.config import DynamicConfigs
    from kbroker.controller.delta import ImageDelta
    from kbroker.controller.image import MetadataImage, TopicImage

    from .assignments import Assignments
    from .log_store import LogStore
    from .moves import Moves
    from .table import PartitionTable

CONSUMER_OFFSETS = "__consumer_offsets"

log = logging.getLogger("kbroker.publisher")


class Coordinator(Protocol):
    """Whoever serves from the partitions of an internal topic that this broker leads."""

    def on_elected(self, index: int, partition: Partition, leader_epoch: int) -> None: ...

    def on_resigned(self, index: int) -> None: ...

    def on_topics_deleted(self, topics: Iterable[tuple[str, bytes]]) -> None: ...


class Publisher:
    """One broker's. Nothing else adds or removes partitions."""

    def __init__(
        self,
        node_id: int,
        table: PartitionTable,
        store: LogStore,
        configs: DynamicConfigs,
        groups: Coordinator,
        request_flush: Callable[[Partition], None],
        assignments: Assignments,
        moves: Moves,
    ) -> None:
        self._node_id = node_id
        self._table = table
        self._store = store
        self._configs = configs
        self._groups = groups
        self._request_flush = request_flush
        self._assignments = assignments
        self._moves = moves
        # Partitions that could not be made for want of room.
        self._cramped: set[tuple[bytes, int]] = set()
        configs.on_topic_change(self._reconfigure)

    def apply(self, delta: ImageDelta, image: MetadataImage) -> None:
        for topic in delta.topics_deleted.values():
            self._delete(topic)
        if delta.topics_deleted:
            self._groups.on_topics_deleted(
                (t.name, t.topic_id) for t in delta.topics_deleted.values()
            )
        if delta.configs_changed:
            self._configs.apply(delta.configs_changed)
        for topic_id, indexes in delta.partitions_changed.items():
            topic = image.topics_by_id[topic_id]
            for index in sorted(indexes):
                self._follow(topic, index, image.metadata_version)

    def open_cramped(self, image: MetadataImage) -> None:
        """Try once more to open what could not be opened on a full disk."""
        waiting, self._cramped = self._cramped, set()
        for topic_id, index in sorted(waiting):
            topic = image.topics_by_id.get(topic_id)
            if topic is not None:
                self._follow(topic, index, image.metadata_version)

    def _follow(self, topic: TopicImage, index: int, metadata_version: int) -> None:
        state = topic.partitions[index]
        partition = self._table.get(topic.name, index)
        if partition is None:
            if self._node_id not in state.replicas:
                return
            assigned = state.directory_of(self._node_id)
            try:
                opened = self._store.open(
                    topic.name, index, topic.topic_id, self._configs, assigned
                )
            except OfflineLogDir as error:
                log.warning("%s-%d is not opened: %s", topic.name, index, error)
                self._table.mark_unopened(topic.name, index, ErrorCode.NOT_LEADER_OR_FOLLOWER)
                return
            except StorageError as error:
                # This partition is lost to clients until somebody mends it; all others serve.
                if self._table.why_missing(topic.name, index) is not ErrorCode.KAFKA_STORAGE_ERROR:
                    log.error("%s-%d cannot be opened: %s", topic.name, index, error)
                self._table.mark_unopened(topic.name, index, ErrorCode.KAFKA_STORAGE_ERROR)
                if isinstance(error, DiskFull):
                    self._cramped.add((topic.topic_id, index))
                elif isinstance(error, DiskError):
                    self._store.suspect_holder(topic.name, index)
                return
            partition = Partition(
                topic.name,
                index,
                topic.topic_id,
                opened,
                state,
                self._node_id,
                self._store.high_watermark(opened),
                self._request_flush,
                self._store.moved,
            )
            partition.relieve = self._store.relieve
            partition.suspect = self._store.suspect
            self._table.add(partition)
            self._moves.resume(partition)
            directory_id = self._store.directory_id_of(opened)
            if directory_id != assigned and metadata_version >= DIRECTORY_ASSIGNMENT_SINCE:
                self._assignments.assign(topic.topic_id, index, directory_id)
            was_leader = False
        else:
            was_leader = partition.is_leader
            partition.apply(state)
        if topic.name == CONSUMER_OFFSETS:
            if partition.is_leader:
                self._groups.on_elected(index, partition, state.leader_epoch)
            elif was_leader:
                self._groups.on_resigned(index)

    def _delete(self, topic: TopicImage) -> None:
        self._configs.changed(ResourceType.TOPIC, topic.name)
        for partition in self._table.remove(topic.name, topic.topic_id):
            if topic.name == CONSUMER_OFFSETS and partition.is_leader:
                self._groups.on_resigned(partition.index)
            partition.remove()
            self._moves.cancel(partition)
            try:
                self._store.delete(partition)
            except DiskError as error:
                # The next start finds a directory of a topic that is no more, and sets it aside.
                log.error("%s-%d stays on disk: %s", topic.name, partition.index, error)

    def _reconfigure(self, topic: str | None) -> None:
        """The configuration of a topic changed, or (None) perhaps that of all."""
        for partition in self._table if topic is None else self._table.of_topic(topic):
            partition.log.update_config(log_config(self._configs.topic(partition.topic)))
            self._moves.reconfigure(partition)
