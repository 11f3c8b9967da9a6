"""Opens the log directories of a node, the metadata log in one of them, and the controller.

An empty directory is formatted (meta.properties, bootstrap.checkpoint), as
`kafka-storage format --standalone` would do. A directory that Apache Kafka formatted is used as it
is; it gets a directory.id if it is older than Kafka 3.7.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kbroker.config.schema import ConfigSchema
from kbroker.controller.controller import Controller
from kbroker.controller.raft.voters import ReplicaKey, VoterSet
from kbroker.controller.settings import ControllerSettings
from kbroker.controller.topic_names import CLUSTER_METADATA
from kbroker.log_dirs.store import LogStore
from kbroker.metadata_log.format import format_log_dir, read_bootstrap
from kbroker.metadata_log.log import PARTITION, MetadataLogConfig, open_metadata_log
from kbroker.storage.checkpoints import META_PROPERTIES, MetaProperties
from kbroker.storage.directory_contents import ForeignLogDir
from kbroker.storage.errors import CorruptFile, DiskError
from kbroker.storage.log_dir_opening import open_log_dir
from kbroker.wire.errors import ProtocolError
from kbroker.wire.uuids import random_uuid, uuid_text

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable, Sequence

    from kbroker.clock import Clock
    from kbroker.config import BrokerConfig
    from kbroker.storage.disk import Disk
    from kbroker.storage.log_dir import LogDir

log = logging.getLogger("kbroker.logs")


@dataclass(slots=True, kw_only=True)
class Node:
    """What `open_node` took into use; `close` gives it back, flushed and marked clean."""

    store: LogStore
    controller: Controller
    cluster_id: str
    is_temporary: bool

    @property
    def closed_epoch(self) -> int:
        """The epoch of the broker that left every log directory in order, -1 where none did."""
        if self.store.offline_paths:
            return -1
        epochs = {each.closed_epoch for each in self.store.directories}
        epoch = epochs.pop()
        return -1 if epoch is None or epochs else epoch

    async def close(self, broker_epoch: int) -> None:
        """Waits for the fsyncs of what was written. DiskError.

        `broker_epoch` goes into the marker of a clean stop: -1 if the broker never registered.
        """
        await self.store.close(broker_epoch)


def open_node(
    disk: Disk,
    paths: Sequence[str],
    metadata_path: str,
    config: BrokerConfig,
    *,
    rng: random.Random,
    clock: Clock,
    is_temporary: bool,
    cluster_id: str | None = None,
) -> Node:
    """`paths` are the log directories; `metadata_path` is one of them, or one beside them.

    A new metadata log is `cluster_id`'s; one that there is already keeps its own.
    A log directory whose disk fails is left out, unless the metadata log lies in it or it is the
    only one. StorageError or ValueError, each with a sentence; nothing is damaged then.
    """
    now_ms = clock.wall_ms()
    opened: dict[str, LogDir] = {}
    try:
        quorum = _open(disk, metadata_path, config, rng, now_ms, cluster_id=None)
        opened[metadata_path] = quorum
        failed = _open_others(disk, paths, config, rng, now_ms, opened)
        directories = [opened[path] for path in paths if path in opened]
        if not directories:
            raise ValueError(f"none of the log directories {', '.join(paths)} can be used")
        _check_metadata_log(quorum, opened.values())
        _check_unique(directories, opened.values())
        controller, cluster_id = _open_controller(
            disk, quorum, config, rng=rng, clock=clock, new_cluster_id=cluster_id
        )
        _format_others(disk, directories, cluster_id, config, rng)
    except BaseException as error:
        for each in opened.values():
            each.abandon()
        if isinstance(error, ProtocolError | KeyError | AssertionError):
            raise ValueError(f"the metadata in {metadata_path} is inconsistent: {error}") from error
        raise
    return Node(
        store=LogStore(
            directories,
            clock,
            quorum=quorum,
            offline=failed,
            cordoned=lambda: config.cordoned_log_dirs or (),
        ),
        controller=controller,
        cluster_id=cluster_id,
        is_temporary=is_temporary,
    )


def _open(
    disk: Disk,
    path: str,
    config: BrokerConfig,
    rng: random.Random,
    now_ms: int,
    *,
    cluster_id: str | None,
) -> LogDir:
    return open_log_dir(
        disk,
        path,
        rng=rng,
        now_ms=now_ms,
        node_id=config.node_id,
        cluster_id=cluster_id,
        deletion_delay_ms=config.log_segment_delete_delay_ms,
    )


def _open_others(
    disk: Disk,
    paths: Sequence[str],
    config: BrokerConfig,
    rng: random.Random,
    now_ms: int,
    opened: dict[str, LogDir],
) -> list[str]:
    """Into `opened`; those that cannot be, because their disk fails."""
    (quorum,) = opened.values()
    failed = []
    for path in paths:
        if path in opened:
            continue
        cluster_id = None if quorum.meta is None else quorum.meta.cluster_id
        try:
            found = _open(disk, path, config, rng, now_ms, cluster_id=cluster_id)
        except (DiskError, CorruptFile) as error:
            log.error("log directory %s is offline: %s", path, error)
            failed.append(path)
            continue
        opened[path] = found
        if found.meta is not None and quorum.meta is None:
            raise ForeignLogDir(
                quorum.path,
                "the metadata log belongs in this directory, but the directory is empty, and "
                f"{path} is already in use by cluster {found.meta.cluster_id}",
            )
    return failed


def _format_others(
    disk: Disk,
    directories: Iterable[LogDir],
    cluster_id: str,
    config: BrokerConfig,
    rng: random.Random,
) -> None:
    """Those that are new: they have an id of their own, and no metadata."""
    for directory in directories:
        if directory.meta is None:
            directory.format(MetaProperties(cluster_id, config.node_id, random_uuid(rng)))
            disk.fsync_dir(os.path.dirname(os.path.abspath(directory.path)))
        elif directory.meta.directory_id is None:
            _identify(directory, random_uuid(rng))


def _identify(directory: LogDir, directory_id: bytes) -> None:
    """It is of Kafka 3.3 to 3.6, and has no id."""
    log.info("%s is given the directory.id %s", directory.path, uuid_text(directory_id))
    directory.assign_directory_id(directory_id)


def _check_metadata_log(quorum: LogDir, directories: Iterable[LogDir]) -> None:
    """ForeignLogDir where the metadata lie elsewhere: to begin new ones beside them would set every
    partition aside.
    """
    is_new = not quorum.logs.holds(CLUSTER_METADATA, PARTITION)
    for each in directories:
        if each is not quorum and each.logs.holds(CLUSTER_METADATA, PARTITION):
            raise ForeignLogDir(
                each.path,
                f"it holds a metadata log, {CLUSTER_METADATA}-{PARTITION}, but the metadata log of "
                f"this broker belongs in {quorum.path} (set by metadata.log.dir, else the first of "
                "log.dirs)",
            )
        partitions = each.logs.partitions()
        if is_new and partitions and each.meta is not None and each.meta.version == 0:
            topic, index = partitions[0]
            raise ForeignLogDir(
                each.path,
                f"its {META_PROPERTIES} is of version 0, from a Kafka with ZooKeeper, and no "
                f"metadata log describes its partitions ({topic}-{index}); migrate the cluster to "
                "KRaft with Kafka 3.9 first",
            )


def _check_unique(directories: Sequence[LogDir], with_quorum: Iterable[LogDir]) -> None:
    """Two with the same id, or a partition that lies in two, are for somebody to look at."""
    ids: dict[bytes, LogDir] = {}
    for directory in with_quorum:
        directory_id = None if directory.meta is None else directory.meta.directory_id
        twin = directory if directory_id is None else ids.setdefault(directory_id, directory)
        if twin is not directory:
            raise ValueError(
                f"{twin.path} and {directory.path} have the same directory.id in their "
                f"{META_PROPERTIES}: one is a copy of the other"
            )
    if len(directories) == 1:
        return
    holders: dict[tuple[str, int], LogDir] = {}
    for directory in directories:
        for topic, index in directory.logs.partitions():
            other = holders.setdefault((topic, index), directory)
            if other is not directory:
                raise ValueError(
                    f"{topic}-{index} is both in {other.path} and in {directory.path}: remove the "
                    "older of the two"
                )


def _open_controller(
    disk: Disk,
    quorum: LogDir,
    config: BrokerConfig,
    *,
    rng: random.Random,
    clock: Clock,
    new_cluster_id: str | None,
) -> tuple[Controller, str]:
    """With the metadata log in `quorum`, which is formatted if need be; the cluster's id."""
    now_ms, path = clock.wall_ms(), quorum.path
    meta = quorum.meta or format_log_dir(
        disk, quorum, node_id=config.node_id, cluster_id=new_cluster_id, rng=rng, now_ms=now_ms
    )
    if new_cluster_id not in (None, meta.cluster_id):
        log.warning(
            "%s belongs to cluster %s, not to cluster %s", path, meta.cluster_id, new_cluster_id
        )
    cluster_id = meta.cluster_id
    assert cluster_id is not None, f"{path} was opened without one"
    directory_id = meta.directory_id or random_uuid(rng)
    metadata_log = open_metadata_log(
        disk,
        quorum,
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
        bootstrap=read_bootstrap(disk, path, metadata_log.latest_snapshot()),
        voters=VoterSet.of(ReplicaKey(config.node_id)),
        rng=rng,
        wall_ms=clock.wall_ms,
    )
    if meta.directory_id is None:
        _identify(quorum, directory_id)
    return controller, cluster_id
