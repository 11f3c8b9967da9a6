"""A node's data directory in use: the log directory, the metadata log in it, the controller on top.

An empty directory formats itself (meta.properties, bootstrap.checkpoint), as Apache Kafka's
`kafka-storage format --standalone` would have; one that Apache Kafka formatted is taken as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kbroker.config.schema import ConfigSchema
from kbroker.controller.controller import Controller
from kbroker.controller.raft.voters import ReplicaKey, VoterSet
from kbroker.controller.settings import ControllerSettings
from kbroker.metadata_log import (
    MetadataLogConfig,
    format_log_dir,
    open_metadata_log,
    read_bootstrap,
)
from kbroker.partitions.log_store import LogStore
from kbroker.storage.errors import CorruptBatch
from kbroker.storage.log_dir import LogDir, open_log_dir
from kbroker.wire.errors import ProtocolError

if TYPE_CHECKING:
    import random

    from kbroker.clock import Clock
    from kbroker.config import BrokerConfig
    from kbroker.storage.disk import Disk
    from kbroker.wire.message import Message


@dataclass(slots=True, kw_only=True)
class Node:
    """What `open_node` took into use; `close` gives it back, flushed and marked clean."""

    directory: LogDir
    store: LogStore
    controller: Controller
    cluster_id: str
    directory_id: bytes
    is_temporary: bool
    broker_epoch: int = -1

    @property
    def closed_epoch(self) -> int:
        """The epoch of the broker that left the directory in order, -1 where none did."""
        epoch = self.directory.closed_epoch
        return -1 if epoch is None else epoch

    async def close(self) -> None:
        """Waits for the fsyncs of what was written. DiskError."""
        await self.store.close(self.broker_epoch)


def open_node(
    disk: Disk,
    path: str,
    config: BrokerConfig,
    *,
    rng: random.Random,
    clock: Clock,
    is_temporary: bool,
) -> Node:
    """StorageError or ValueError, each with a sentence; nothing is damaged then."""
    now_ms = clock.wall_ms()
    directory = open_log_dir(
        disk,
        path,
        rng=rng,
        now_ms=now_ms,
        node_id=config.node_id,
        deletion_delay_ms=config.log_segment_delete_delay_ms,
    )
    try:
        meta = directory.meta or format_log_dir(
            disk, directory, node_id=config.node_id, cluster_id=None, rng=rng, now_ms=now_ms
        )
        cluster_id, directory_id = meta.cluster_id, meta.directory_id
        if cluster_id is None or directory_id is None:
            raise ValueError(
                f"{path}/meta.properties has no cluster.id or no directory.id: it was written "
                "before KRaft and cannot be used"
            )
        metadata_log = open_metadata_log(
            disk,
            directory,
            MetadataLogConfig(
                segment_bytes=config.metadata_log_segment_bytes,
                segment_ms=config.metadata_log_segment_ms,
                retention_bytes=config.metadata_max_retention_bytes,
                retention_ms=config.metadata_max_retention_ms,
                delete_delay_ms=config.log_segment_delete_delay_ms,
            ),
            now_ms=now_ms,
        )
        controller = Controller(
            metadata_log,
            ControllerSettings(
                node_id=config.node_id,
                cluster_id=cluster_id,
                directory_id=directory_id,
                controller_listener_names=config.controller_listener_names,
                num_partitions=config.num_partitions,
                default_replication_factor=config.default_replication_factor,
                min_insync_replicas=config.min_insync_replicas,
                delete_topic_enable=config.delete_topic_enable,
                broker_session_timeout_ms=config.broker_session_timeout_ms,
                metadata_max_idle_interval_ms=config.metadata_max_idle_interval_ms,
                metadata_log_max_record_bytes_between_snapshots=(
                    config.metadata_log_max_record_bytes_between_snapshots
                ),
                metadata_log_max_snapshot_interval_ms=config.metadata_log_max_snapshot_interval_ms,
            ),
            ConfigSchema(config),
            bootstrap=_read_bootstrap(disk, path),
            voters=VoterSet.of(ReplicaKey(config.node_id)),
            rng=rng,
            wall_ms=clock.wall_ms,
        )
    except BaseException as error:
        directory.abandon()
        if isinstance(error, ProtocolError | KeyError | AssertionError):
            raise ValueError(f"the metadata in {path} make no sense: {error}") from error
        raise
    return Node(
        directory=directory,
        store=LogStore(directory, clock),
        controller=controller,
        cluster_id=cluster_id,
        directory_id=directory_id,
        is_temporary=is_temporary,
    )


def _read_bootstrap(disk: Disk, path: str) -> list[Message]:
    try:
        return read_bootstrap(disk, path)
    except CorruptBatch as error:
        raise ValueError(f"{path}/bootstrap.checkpoint: {error}") from error
