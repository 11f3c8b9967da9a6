"""Formats a directory, and reads the settings that a directory was formatted with.

These settings are in `bootstrap.checkpoint`, beside the metadata log, or since Kafka 4.4 in the
log's snapshot up to offset 0. Source: Formatter, BootstrapDirectory.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kbroker.controller.bootstrap import (
    BOOTSTRAP_FILE,
    BOOTSTRAP_SNAPSHOT,
    bootstrap_batches,
    default_bootstrap,
    levels_in,
    records_of,
)
from kbroker.controller.features import FRESH, METADATA_VERSION
from kbroker.controller.topic_names import CLUSTER_METADATA
from kbroker.storage.checkpoints import MetaProperties
from kbroker.storage.errors import CorruptFile
from kbroker.wire.errors import ProtocolError
from kbroker.wire.uuids import random_uuid, uuid_text

from .batches import encode
from .log import PARTITION
from .snapshots import read_checkpoint, snapshot_name

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

    from kbroker.controller.raft.log import SnapshotId
    from kbroker.storage.disk import Disk
    from kbroker.storage.log_dir import LogDir
    from kbroker.wire.message import Message


def format_log_dir(
    disk: Disk,
    log_dir: LogDir,
    *,
    node_id: int,
    cluster_id: str | None,
    rng: Random,
    now_ms: int,
    features: Mapping[str, int] = FRESH,
) -> MetaProperties:
    """Make a fresh directory this node's, as `kafka-storage format` does.

    `meta.properties` comes last: a crash before it leaves a directory that can be formatted again.
    """
    path = f"{log_dir.path}/{BOOTSTRAP_FILE}"
    content = b"".join(encode(each, now_ms) for each in bootstrap_batches(features))
    disk.write_file_atomic(path, content)
    meta = MetaProperties(
        cluster_id=cluster_id or uuid_text(random_uuid(rng)),
        node_id=node_id,
        directory_id=random_uuid(rng),
    )
    log_dir.format(meta)
    # The directory itself may be new.
    disk.fsync_dir(os.path.dirname(os.path.abspath(log_dir.path)))
    return meta


def read_bootstrap(disk: Disk, log_dir_path: str, latest: SnapshotId | None) -> list[Message]:
    """The records that the cluster begins with: those in the snapshot up to offset 0, if that is
    the `latest`, else those in `bootstrap.checkpoint`, else Kafka's defaults.

    That snapshot may hold the quorum's voters and nothing else. CorruptFile for a file that makes
    no sense.
    """
    records = default_bootstrap()
    paths = [f"{log_dir_path}/{BOOTSTRAP_FILE}"]
    if latest == BOOTSTRAP_SNAPSHOT:
        paths.append(f"{log_dir_path}/{CLUSTER_METADATA}-{PARTITION}/{snapshot_name(latest)}")
    for path in paths:
        try:
            content = disk.read_file(path)
        except FileNotFoundError:
            continue
        is_snapshot = not path.endswith(BOOTSTRAP_FILE)
        try:
            found = records_of(read_checkpoint(path, content, is_snapshot=is_snapshot))
        except ProtocolError as error:
            raise CorruptFile(path, f"the file is damaged: {error}") from error
        if (found or not is_snapshot) and METADATA_VERSION not in levels_in(found):
            raise CorruptFile(path, "no record in the file sets metadata.version")
        records = found or records
    return records
