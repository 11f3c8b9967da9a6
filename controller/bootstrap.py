"""The first records of a cluster, which come from a file that formatting a directory leaves.

The file is `bootstrap.checkpoint` beside the metadata log (up to Kafka 4.3) or the log's snapshot
up to offset 0 (from 4.4 on). It is not state: its records count when the first leader has written
them into the log. Source: BootstrapMetadata, Formatter, QuorumController.handleLoadBootstrap,
ActivationRecordsGenerator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kbroker.wire.codes import CLUSTER_DEFAULT, ResourceType
from kbroker.wire.records.begin_transaction_record import BeginTransactionRecord
from kbroker.wire.records.config_record import ConfigRecord
from kbroker.wire.records.end_transaction_record import EndTransactionRecord
from kbroker.wire.records.feature_level_record import FeatureLevelRecord

from .features import (
    ELIGIBLE_LEADER_REPLICAS,
    FRESH,
    METADATA_TRANSACTIONS_SINCE,
    METADATA_VERSION,
    check_level,
)
from .raft.log import SnapshotId
from .records import decode_record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from kbroker.wire.message import Message

    from .image import MetadataImage
    from .raft.log import LogBatch, NewBatch

BOOTSTRAP_FILE: Final = "bootstrap.checkpoint"
BOOTSTRAP_SNAPSHOT: Final = SnapshotId(end_offset=0, epoch=0)
TRANSACTION_NAME: Final = "Bootstrap records"
MIN_INSYNC_REPLICAS: Final = "min.insync.replicas"


def bootstrap_records(features: Mapping[str, int] = FRESH) -> list[Message]:
    """What a fresh cluster begins with: its feature levels, metadata.version first."""
    rest = sorted(features.keys() - {METADATA_VERSION})
    return [
        FeatureLevelRecord(name=name, feature_level=features[name])
        for name in (METADATA_VERSION, *rest)
        if features[name] > 0
    ]


def default_bootstrap() -> list[Message]:
    """What Kafka begins with where a formatted directory has no `bootstrap.checkpoint`."""
    return bootstrap_records({METADATA_VERSION: FRESH[METADATA_VERSION]})


def bootstrap_batches(features: Mapping[str, int] = FRESH) -> list[NewBatch]:
    """The contents of `bootstrap.checkpoint`."""
    from .snapshot import snapshot_batches

    return list(
        snapshot_batches(
            bootstrap_records(features),
            metadata_version=features[METADATA_VERSION],
            epoch=0,
            last_contained_timestamp_ms=0,
        )
    )


def records_of(batches: Iterable[LogBatch]) -> list[Message]:
    """The metadata records in a checkpoint that somebody else may have written."""
    return [
        decode_record(value) for batch in batches if not batch.is_control for value in batch.values
    ]


def first_records(bootstrap: Iterable[Message], static_min_isr: int) -> list[Message]:
    """The first batch after the first leader change: the bootstrap, in one metadata transaction."""
    features = feature_levels(bootstrap)
    records = list(bootstrap)
    if features.get(ELIGIBLE_LEADER_REPLICAS, 0) > 0:
        records.append(cluster_min_isr(static_min_isr))
    return _in_transaction(records, features[METADATA_VERSION])


def late_records(
    image: MetadataImage, bootstrap: Iterable[Message], static_min_isr: int
) -> list[Message]:
    """The same for a log that goes on without them: `image` holds them, with what came since.

    Kafka, which takes nothing but the log for state, is to read from it what `image` says.
    """
    records = bootstrap_records(image.features)
    records += [each for each in bootstrap if not isinstance(each, FeatureLevelRecord)]
    of_cluster = image.configs.get((ResourceType.BROKER, CLUSTER_DEFAULT), {})
    if image.elr_enabled and MIN_INSYNC_REPLICAS not in of_cluster:
        records.append(cluster_min_isr(static_min_isr))
    return _in_transaction(records, image.metadata_version)


def begins_with_bootstrap(first: Message) -> bool:
    """Whether a log whose first metadata record is this one begins with its bootstrap records."""
    return isinstance(first, BeginTransactionRecord | FeatureLevelRecord)


def _in_transaction(records: list[Message], metadata_version: int) -> list[Message]:
    if metadata_version < METADATA_TRANSACTIONS_SINCE:
        return records
    return [BeginTransactionRecord(name=TRANSACTION_NAME), *records, EndTransactionRecord()]


def levels_in(bootstrap: Iterable[Message]) -> dict[str, int]:
    """The levels that the records set, by feature."""
    return {
        record.name: record.feature_level
        for record in bootstrap
        if isinstance(record, FeatureLevelRecord)
    }


def feature_levels(bootstrap: Iterable[Message]) -> dict[str, int]:
    """The same. UnsupportedLevel if this software cannot work at one."""
    levels = levels_in(bootstrap)
    for name, level in {METADATA_VERSION: 0, **levels}.items():
        check_level(name, level)
    return levels


def cluster_min_isr(value: int) -> ConfigRecord:
    """Min ISR as the quorum reckons with it."""
    return ConfigRecord(
        resource_type=ResourceType.BROKER,
        resource_name=CLUSTER_DEFAULT,
        name=MIN_INSYNC_REPLICAS,
        value=str(value),
    )
