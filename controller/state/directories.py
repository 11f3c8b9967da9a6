"""Decides AssignReplicasToDirs: a broker reports which of its log directories hold its replicas
(KIP-858).

Source: ReplicationControlManager.handleAssignReplicasToDirs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbroker.controller.features import DIRECTORY_ASSIGNMENT_SINCE
from kbroker.controller.model import LOST_DIRECTORY, MIGRATING_DIRECTORY, UNASSIGNED_DIRECTORY
from kbroker.wire.errors import ErrorCode, RequestError, refusal
from kbroker.wire.messages.assign_replicas_to_dirs import (
    AssignReplicasToDirsResponse,
    AssignReplicasToDirsResponseDirectoryData,
    AssignReplicasToDirsResponsePartitionData,
    AssignReplicasToDirsResponseTopicData,
)

from .brokers import broker_with_epoch
from .elections import Change, change_partition
from .leadership_changes import when_replicas_are_lost
from .result import Result
from .topic_settings import topic_min_isr

if TYPE_CHECKING:
    from kbroker.controller.context import DecisionContext
    from kbroker.controller.image import BrokerImage, MetadataImage
    from kbroker.wire.message import Message
    from kbroker.wire.messages.assign_replicas_to_dirs import AssignReplicasToDirsRequest
    from kbroker.wire.records.partition_change_record import PartitionChangeRecord

    from .config_schema import ConfigSchema


def decide_assign_replicas_to_dirs(
    context: DecisionContext, request: AssignReplicasToDirsRequest
) -> Result[AssignReplicasToDirsResponse]:
    """Partition by partition. One assigned to a directory that is not online loses that replica.

    RequestError for a broker of another life, and below the level that knows of directories.
    """
    image, schema = context.image, context.schema
    if image.metadata_version < DIRECTORY_ASSIGNMENT_SINCE:
        raise RequestError(
            ErrorCode.UNSUPPORTED_VERSION, "Directory assignment is not supported yet."
        )
    broker = broker_with_epoch(image, request.broker_id, request.broker_epoch)
    records: list[Message] = []
    lost: list[tuple[bytes, int]] = []
    response = AssignReplicasToDirsResponse()
    for directory in request.directories:
        online = _is_online(broker, directory.id)
        answered = AssignReplicasToDirsResponseDirectoryData(id=directory.id)
        response.directories.append(answered)
        for topic in directory.topics:
            partitions: list[AssignReplicasToDirsResponsePartitionData] = []
            answered.topics.append(
                AssignReplicasToDirsResponseTopicData(
                    topic_id=topic.topic_id, partitions=partitions
                )
            )
            for index in (each.partition_index for each in topic.partitions):
                answer = AssignReplicasToDirsResponsePartitionData(partition_index=index)
                partitions.append(answer)
                replica = (topic.topic_id, index, broker.broker_id)
                try:
                    record = _assign(image, *replica, directory.id, schema)
                except Exception as error:
                    what = f"the directory of {topic.topic_id.hex()}-{index}"
                    answer.error_code = refusal(error, what).code
                    continue
                if record is not None:
                    records.append(record)
                if not online:
                    lost.append((topic.topic_id, index))
    records += when_replicas_are_lost(image, schema, broker.broker_id, lost)
    return Result(tuple(records), response)


def _is_online(broker: BrokerImage, directory: bytes) -> bool:
    if directory in (UNASSIGNED_DIRECTORY, MIGRATING_DIRECTORY):
        return True
    return directory != LOST_DIRECTORY and directory in broker.log_dirs


def _assign(
    image: MetadataImage,
    topic_id: bytes,
    index: int,
    broker_id: int,
    directory: bytes,
    schema: ConfigSchema,
) -> PartitionChangeRecord | None:
    """The record of one replica; None if nothing needs to change. RequestError."""
    topic = image.topics_by_id.get(topic_id)
    if topic is None:
        raise RequestError(ErrorCode.UNKNOWN_TOPIC_ID)
    partition = topic.partitions.get(index)
    if partition is None:
        raise RequestError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    if broker_id not in partition.replicas:
        raise RequestError(ErrorCode.NOT_LEADER_OR_FOLLOWER)
    change = Change(
        directories={broker_id: directory},
        min_isr=topic_min_isr(image, schema, topic.name, len(partition.replicas)),
        elr_enabled=image.elr_enabled,
    )
    return change_partition(image, topic_id, index, change)
