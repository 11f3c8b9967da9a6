"""An image as the records of a snapshot, in the order in which Kafka's ImageWriter writes them.

The records of a snapshot stand between a SnapshotHeader and a SnapshotFooter control record
(KIP-630); replaying them on an empty image gives the image again.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from kbroker.wire.codec import encode
from kbroker.wire.records.config_record import ConfigRecord
from kbroker.wire.records.feature_level_record import FeatureLevelRecord
from kbroker.wire.records.partition_record import PartitionRecord
from kbroker.wire.records.producer_ids_record import ProducerIdsRecord
from kbroker.wire.records.register_broker_record import (
    BrokerEndpoint,
    BrokerFeature,
    RegisterBrokerRecord,
)
from kbroker.wire.records.register_controller_record import (
    ControllerEndpoint,
    ControllerFeature,
    RegisterControllerRecord,
)
from kbroker.wire.records.snapshot_footer_record import SnapshotFooterRecord
from kbroker.wire.records.snapshot_header_record import SnapshotHeaderRecord
from kbroker.wire.records.topic_record import TopicRecord

from .features import METADATA_VERSION
from .raft.control import ControlType
from .raft.log import NewBatch
from .records import encode_records

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kbroker.wire.message import Message

    from .image import BrokerImage, ControllerImage, MetadataImage, PartitionImage

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
            yield partition_record(topic.topic_id, partition_id, partition)
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


def controller_record(controller: ControllerImage) -> RegisterControllerRecord:
    return RegisterControllerRecord(
        controller_id=controller.controller_id,
        incarnation_id=controller.incarnation_id,
        zk_migration_ready=controller.zk_migration_ready,
        end_points=[
            ControllerEndpoint(
                name=name,
                host=endpoint.host,
                port=endpoint.port,
                security_protocol=endpoint.security_protocol,
            )
            for name, endpoint in controller.endpoints.items()
        ],
        features=[
            ControllerFeature(name=name, min_supported_version=low, max_supported_version=high)
            for name, (low, high) in controller.features.items()
        ],
    )


def broker_record(broker: BrokerImage) -> RegisterBrokerRecord:
    return RegisterBrokerRecord(
        broker_id=broker.broker_id,
        is_migrating_zk_broker=broker.is_migrating,
        incarnation_id=broker.incarnation_id,
        broker_epoch=broker.epoch,
        end_points=[
            BrokerEndpoint(
                name=name,
                host=endpoint.host,
                port=endpoint.port,
                security_protocol=endpoint.security_protocol,
            )
            for name, endpoint in broker.endpoints.items()
        ],
        features=[
            BrokerFeature(name=name, min_supported_version=low, max_supported_version=high)
            for name, (low, high) in broker.features.items()
        ],
        rack=broker.rack,
        fenced=broker.fenced,
        in_controlled_shutdown=broker.in_controlled_shutdown,
        log_dirs=broker.log_dirs,
        cordoned_log_dirs=broker.cordoned_log_dirs,
    )


def partition_record(
    topic_id: bytes, partition_id: int, partition: PartitionImage
) -> PartitionRecord:
    return PartitionRecord(
        partition_id=partition_id,
        topic_id=topic_id,
        replicas=partition.replicas,
        isr=partition.isr,
        removing_replicas=partition.removing_replicas,
        adding_replicas=partition.adding_replicas,
        leader=partition.leader,
        leader_recovery_state=partition.leader_recovery_state,
        leader_epoch=partition.leader_epoch,
        partition_epoch=partition.partition_epoch,
        directories=partition.directories,
        # An empty list of eligible leaders is not written at all.
        eligible_leader_replicas=partition.elr or None,
        last_known_elr=partition.last_known_elr or None,
    )


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
