"""Makes records from parts of an image: replaying them gives the same parts again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbroker.wire.records.partition_record import PartitionRecord
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

from .features import DIRECTORY_ASSIGNMENT_SINCE

if TYPE_CHECKING:
    from .image import BrokerImage, ControllerImage, MetadataImage, PartitionImage


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
    image: MetadataImage, topic_id: bytes, partition_id: int, partition: PartitionImage
) -> PartitionRecord:
    """At the levels of `image`, which need not have the partition yet."""
    knows_directories = image.metadata_version >= DIRECTORY_ASSIGNMENT_SINCE
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
        directories=partition.directories if knows_directories else [],
        # An empty list of eligible leaders is not written at all.
        eligible_leader_replicas=(partition.elr or None) if image.elr_enabled else None,
        last_known_elr=(partition.last_known_elr or None) if image.elr_enabled else None,
    )
