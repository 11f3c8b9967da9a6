"""AssignReplicasToDirs: a broker tells in which of its log directories its replicas lie (KIP-858).

Source: ReplicationControlManager.handleAssignReplicasToDirs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbroker.controller.features import DIRECTORY_ASSIGNMENT_SINCE
from kbroker.controller.model import LOST_DIRECTORY, MIGRATING_DIRECTORY, UNASSIGNED_DIRECTORY
from kbroker.wire.errors import ErrorCode, RequestError
from kbroker.wire.messages.assign_replicas_to_dirs import (
    AssignReplicasToDirsResponse,
    AssignReplicasToDirsResponseDirectoryData,
    AssignReplicasToDirsResponsePartitionData,
    AssignReplicasToDirsResponseTopicData,
)

from .brokers import broker_with_epoch
from .elections import Change, change_partition
from .partition_moves import when_replicas_are_lost
from .result import Result
from .topic_settings import topic_min_isr

if TYPE_CHECKING:
    from kbroker.controller.image import BrokerImage, MetadataImage
    from kbroker.wire.message import Message
    from kbroker.wire.messages.assign_replicas_to_dirs import AssignReplicasToDirsRequest

    from .config_schema import ConfigSchema


def decide_assign_replicas_to_dirs(
    image: MetadataImage, request: AssignReplicasToDirsRequest, *, schema: ConfigSchema
) -> Result[AssignReplicasToDirsResponse]:
    """Partition by partition. One assigned to a directory that is not online loses that replica.

    RequestError for a broker of another life, and below the level that knows of directories.
    """
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
                error = _error(image, topic.topic_id, index, broker.broker_id)
                partitions.append(
                    AssignReplicasToDirsResponsePartitionData(
                        partition_index=index, error_code=error
                    )
                )
                if error is not ErrorCode.NONE:
                    continue
                found = image.topics_by_id[topic.topic_id]
                replicas = len(found.partitions[index].replicas)
                record = change_partition(
                    image,
                    topic.topic_id,
                    index,
                    Change(
                        directories={broker.broker_id: directory.id},
                        min_isr=topic_min_isr(image, schema, found.name, replicas),
                        elr_enabled=image.elr_enabled,
                    ),
                )
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


def _error(image: MetadataImage, topic_id: bytes, index: int, broker_id: int) -> ErrorCode:
    topic = image.topics_by_id.get(topic_id)
    if topic is None:
        return ErrorCode.UNKNOWN_TOPIC_ID
    partition = topic.partitions.get(index)
    if partition is None:
        return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    if broker_id not in partition.replicas:
        return ErrorCode.NOT_LEADER_OR_FOLLOWER
    return ErrorCode.NONE
