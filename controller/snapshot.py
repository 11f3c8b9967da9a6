"""An image as the records of a snapshot, in the order in which Kafka's ImageWriter writes them.

The records stand between the control records SnapshotHeader and SnapshotFooter (KIP-630). Replaying
them on an empty image gives the image again.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from kbroker.wire.codec import encode
from kbroker.wire.records.config_record import ConfigRecord
from kbroker.wire.records.feature_level_record import FeatureLevelRecord
from kbroker.wire.records.producer_ids_record import ProducerIdsRecord
from kbroker.wire.records.snapshot_footer_record import SnapshotFooterRecord
from kbroker.wire.records.snapshot_header_record import SnapshotHeaderRecord
from kbroker.wire.records.topic_record import TopicRecord

from .features import METADATA_VERSION
from .image_records import broker_record, controller_record, partition_record
from .raft.control import ControlType
from .raft.log import NewBatch
from .records import encode_records

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kbroker.wire.message import Message

    from .image import MetadataImage

RECORDS_A_BATCH: Final = 1024


def snapshot_records(image: MetadataImage) -> Iterator[Message]:
    """Everything in `image`, as records."""
    if METADATA_VERSION in image.features:
        yield FeatureLevelRecord(name=METADATA_VERSION, feature_level=image.metadata_version)
    for name in sorted(image.features.keys() - {METADATA_VERSION}):
        yield FeatureLevelRecord(name=name, feature_level=image.features[name])
    for controller in image.controllers.values():
        yield controller_record(controller)
    for broker in image.brokers.values():
        yield broker_record(broker)
    for topic in image.topics.values():
        yield TopicRecord(name=topic.name, topic_id=topic.topic_id)
        for partition_id, partition in topic.partitions.items():
            yield partition_record(image, topic.topic_id, partition_id, partition)
    for (resource_type, resource_name), values in image.configs.items():
        for key in sorted(values):
            yield ConfigRecord(
                resource_type=resource_type,
                resource_name=resource_name,
                name=key,
                value=values[key],
            )
    kept = image.kept
    yield from kept.quotas.values()
    if image.next_producer_id > 0:
        yield ProducerIdsRecord(
            broker_id=-1, broker_epoch=-1, next_producer_id=image.next_producer_id
        )
    yield from kept.acls.values()
    yield from kept.scram.values()
    yield from kept.tokens.values()
    yield from kept.zk_migration.values()


def snapshot_batches(
    records: Iterable[Message],
    *,
    metadata_version: int,
    epoch: int,
    last_contained_timestamp_ms: int,
    control: Iterable[tuple[ControlType, Message]] = (),
) -> Iterator[NewBatch]:
    """Header, records, footer. `control` are more control records for the header's batch
    (voters).
    """
    header: list[tuple[ControlType, Message]] = [
        (
            ControlType.SNAPSHOT_HEADER,
            SnapshotHeaderRecord(last_contained_log_timestamp=last_contained_timestamp_ms),
        ),
        *control,
    ]
    offset = 0

    def batch(values: tuple[bytes, ...], control_types: tuple[int, ...] = ()) -> NewBatch:
        nonlocal offset
        made = NewBatch(
            base_offset=offset,
            epoch=epoch,
            values=values,
            control_types=control_types,
        )
        offset = made.end_offset
        return made

    yield batch(
        tuple(encode(message, 0) for _, message in header),
        tuple(control_type for control_type, _ in header),
    )
    rest = iter(records)
    while some := tuple(islice(rest, RECORDS_A_BATCH)):
        yield batch(encode_records(some, metadata_version))
    yield batch((encode(SnapshotFooterRecord(), 0),), (ControlType.SNAPSHOT_FOOTER,))
