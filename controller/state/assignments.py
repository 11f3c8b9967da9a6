"""The replicas of new partitions, as the request or the placer assigns them, and their records.

Source: ReplicationControlManager.createTopic, createPartitions, validateManualPartitionAssignment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kbroker.controller.image_records import partition_record
from kbroker.controller.model import PartitionImage
from kbroker.wire.errors import ErrorCode, RequestError

from .placement import PlacementError, default_directory, place_replicas

if TYPE_CHECKING:
    from random import Random

    from kbroker.controller.image import MetadataImage
    from kbroker.wire.records.partition_record import PartitionRecord

# More new partitions than this in one request are refused at once (MAX_PARTITIONS_PER_BATCH).
PARTITIONS_A_REQUEST_MAX: Final = 10_000
# And so are requests whose records would not fit one batch (MAX_RECORDS_PER_USER_OP).
RECORDS_A_REQUEST_MAX: Final = 10_000

TOO_MANY_PARTITIONS: Final = "Excessively large number of partitions per request."
TOO_MANY_RECORDS: Final = "Unable to perform excessively large batch operation."


def check_assignment(
    image: MetadataImage, replicas: list[int], replication_factor: int | None
) -> None:
    """RequestError unless `replicas` are distinct registered brokers, as many as they should be."""
    code = ErrorCode.INVALID_REPLICA_ASSIGNMENT
    if not replicas:
        raise RequestError(code, "The manual partition assignment includes an empty replica list.")
    previous: int | None = None
    for broker_id in sorted(replicas):
        if broker_id not in image.brokers:
            raise RequestError(
                code,
                f"The manual partition assignment includes broker {broker_id}, but no such broker "
                "is registered.",
            )
        if broker_id == previous:
            raise RequestError(
                code,
                f"The manual partition assignment includes the broker {broker_id} more than once.",
            )
        previous = broker_id
    if replication_factor is not None and len(replicas) != replication_factor:
        raise RequestError(
            code,
            f"The manual partition assignment includes a partition with {len(replicas)} "
            "replica(s), but this is not consistent with previous partitions, which have "
            f"{replication_factor} replica(s).",
        )


def check_alive(image: MetadataImage, partition_id: int, replicas: list[int]) -> None:
    """RequestError if nobody could lead a partition that was assigned by hand."""
    if not any(image.is_active(broker_id) for broker_id in replicas):
        raise RequestError(
            ErrorCode.INVALID_REPLICA_ASSIGNMENT,
            "All brokers specified in the manual partition assignment for partition "
            f"{partition_id} are fenced or in controlled shutdown.",
        )


def placed(
    image: MetadataImage, partitions: int, replication_factor: int, rng: Random
) -> list[list[int]]:
    """Replicas for new partitions, chosen by the placer. RequestError if it cannot."""
    try:
        return place_replicas(image.brokers.values(), partitions, replication_factor, rng)
    except PlacementError as error:
        raise RequestError(
            ErrorCode.INVALID_REPLICATION_FACTOR,
            f"Unable to replicate the partition {replication_factor} time(s): {error}",
        ) from error


def new_partition(
    image: MetadataImage, topic_id: bytes, partition_id: int, replicas: list[int]
) -> PartitionRecord:
    """The record of a new partition. RequestError if none of its replicas is alive."""
    isr = [broker_id for broker_id in replicas if image.is_active(broker_id)]
    if not isr:
        raise RequestError(
            ErrorCode.INVALID_REPLICATION_FACTOR,
            f"Unable to replicate the partition {len(replicas)} time(s): All brokers are currently "
            "fenced or in controlled shutdown.",
        )
    return partition_record(
        image,
        topic_id,
        partition_id,
        PartitionImage(
            replicas=replicas,
            isr=isr,
            leader=isr[0],
            leader_epoch=0,
            partition_epoch=0,
            directories=[default_directory(image, broker_id) for broker_id in replicas],
        ),
    )
