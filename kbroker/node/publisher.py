"""Makes this broker match the metadata image: opens, leads, configures and deletes partitions.

`apply` runs when committed records are replayed, before the requests that wait for them are
answered. A delta may concern thousands of partitions, so other requests are served in between.
These may see metadata that are ahead of the logs, as clients of Apache Kafka may.
Source: BrokerMetadataPublisher.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, Protocol

import trio

from kbroker.config import log_config
from kbroker.controller.features import DIRECTORY_ASSIGNMENT_SINCE
from kbroker.controller.topic_names import CONSUMER_OFFSETS
from kbroker.log_dirs.store import OfflineLogDir
from kbroker.partitions.partition import Partition
from kbroker.partitions.turns import Turn
from kbroker.storage.errors import DiskError, DiskFull, StorageError
from kbroker.wire.codes import ResourceType
from kbroker.wire.errors import ErrorCode

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from kbroker.config import DynamicConfigs
    from kbroker.controller.delta import ImageDelta
    from kbroker.controller.image import MetadataImage, TopicImage
    from kbroker.log_dirs.assignments import Assignments
    from kbroker.log_dirs.moves import Moves
    from kbroker.log_dirs.store import LogStore
    from kbroker.partitions.table import PartitionTable
    from kbroker.storage.log_dir import LogDir

# To make or to remove a partition's log takes half a millisecond or so, more on a slow disk.
PARTITIONS_A_TURN: Final = 16
RECONFIGURED_A_TURN: Final = 500
FAILED_AGAIN_MAX: Final = 16

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
        # Partitions that could not be made for want of room, whoever waits longest first.
        self._awaiting_space: dict[tuple[bytes, int], None] = {}
        # Topics whose configuration has changed; None: perhaps that of all.
        self._reconfigured: dict[str | None, None] = {}
        configs.on_topic_change(self._note_configuration)

    async def apply(self, delta: ImageDelta, image: MetadataImage) -> None:
        """One delta at a time, in order. `image` does not change until this returns.

        Done whole even if it is cancelled: what would be left of deleted topics, nobody would
        remove. What a crash leaves undone the next start does from the metadata log.
        """
        with trio.CancelScope(shield=True):
            if delta.topics_deleted:
                await self._delete_topics(delta.topics_deleted.values())
            if delta.configs_changed:
                self._configs.apply(delta.configs_changed)
            if self._reconfigured:
                await self._reconfigure()
            turn = Turn(PARTITIONS_A_TURN)
            for topic_id, indexes in delta.partitions_changed.items():
                topic = image.topics_by_id[topic_id]
                for index in sorted(indexes):
                    await turn.next()
                    self._follow(topic, index, image.metadata_version)

    async def open_awaiting_space(self, image: MetadataImage) -> None:
        """Try once more to open what could not be opened on a full disk, until some fail again."""
        turn = Turn(PARTITIONS_A_TURN)
        failures = 0
        for topic_id, index in list(self._awaiting_space):
            if failures == FAILED_AGAIN_MAX:
                return
            await turn.next()
            self._awaiting_space.pop((topic_id, index), None)
            topic = image.topics_by_id.get(topic_id)
            if topic is not None:
                self._follow(topic, index, image.metadata_version)
                failures += (topic_id, index) in self._awaiting_space

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
                if self._store.trouble.is_news(str(error)):
                    log.warning(
                        "some partitions cannot be opened (first %s-%d): %s",
                        topic.name,
                        index,
                        error,
                    )
                self._table.mark_unopened(topic.name, index, ErrorCode.NOT_LEADER_OR_FOLLOWER)
                return
            except StorageError as error:
                # This partition is lost to clients until somebody mends it; all others serve.
                if self._table.why_missing(topic.name, index) is not ErrorCode.KAFKA_STORAGE_ERROR:
                    self._store.report_trouble(f"{topic.name}-{index} cannot be opened", error)
                self._table.mark_unopened(topic.name, index, ErrorCode.KAFKA_STORAGE_ERROR)
                if isinstance(error, DiskFull):
                    self._awaiting_space[topic.topic_id, index] = None
                elif isinstance(error, DiskError):
                    self._store.report_holder(topic.name, index)
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
                self._store,
            )
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

    async def _delete_topics(self, topics: Collection[TopicImage]) -> None:
        directories: dict[LogDir, None] = {}
        turn = Turn(PARTITIONS_A_TURN)
        for topic in topics:
            self._configs.changed(ResourceType.TOPIC, topic.name)
            for partition in self._table.remove(topic.name, topic.topic_id):
                await turn.next()
                self._delete(partition, directories)
        # Before a topic of the same name may come, and once for all that lie in a directory: each
        # sync waits for the disk.
        for directory in directories:
            try:
                await trio.to_thread.run_sync(directory.sync_names)
            except DiskError as error:
                log.error("deleted topics may reappear as stray partitions: %s", error)
                self._store.report_failure(directory.path)
        self._groups.on_topics_deleted((topic.name, topic.topic_id) for topic in topics)

    def _delete(self, partition: Partition, directories: dict[LogDir, None]) -> None:
        """`directories` gets the one whose names have changed."""
        if partition.topic == CONSUMER_OFFSETS and partition.is_leader:
            self._groups.on_resigned(partition.index)
        partition.remove()
        self._moves.cancel(partition)
        directory = self._store.directory_of(partition.log)
        try:
            self._store.delete(partition)
        except DiskError as error:
            # The next start finds a directory of a topic that is no more, and sets it aside.
            log.error(
                "the directory of deleted partition %s-%d stays on disk: %s",
                partition.topic,
                partition.index,
                error,
            )
        if directory is not None:
            directories[directory] = None

    def _note_configuration(self, topic: str | None) -> None:
        self._reconfigured[topic] = None

    async def _reconfigure(self) -> None:
        """Tell the logs of the topics whose configuration has changed."""
        topics, self._reconfigured = self._reconfigured, {}
        turn = Turn(RECONFIGURED_A_TURN)
        for partition in self._partitions_of(topics):
            await turn.next()
            partition.log.update_config(log_config(self._configs.topic(partition.topic)))
            self._moves.reconfigure(partition)

    def _partitions_of(self, topics: Collection[str | None]) -> Iterable[Partition]:
        if None in topics:
            return self._table
        return (each for name in topics if name is not None for each in self._table.of_topic(name))
