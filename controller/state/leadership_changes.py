"""How partitions change when brokers come and go: their leaders, ISRs and eligible replicas.

Each function looks at every partition. Brokers come and go rarely, while an index of partitions by
broker would always take memory. Source: ReplicationControlManager.generateLeaderAndIsrUpdates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kbroker.controller.image import MetadataImage
    from kbroker.wire.records.partition_change_record import PartitionChangeRecord

    from .config_schema import ConfigSchema

NOBODY = -1


def when_broker_leaves(
    image: MetadataImage, schema: ConfigSchema, broker_id: int
) -> list[PartitionChangeRecord]:
    """The broker is fenced or shuts down: it leaves ISRs, others lead in its stead."""
    return _update(image, schema, _with_in_isr(image, broker_id), leaves=broker_id)


def when_broker_was_killed(
    image: MetadataImage, schema: ConfigSchema, broker_id: int
) -> list[PartitionChangeRecord]:
    """The broker comes back without having said goodbye: what it had not synced may be gone."""
    if not image.elr_enabled:
        return when_broker_leaves(image, schema, broker_id)
    touched = [*_with_in_isr(image, broker_id), *_with_in_elr(image, broker_id)]
    return _update(image, schema, touched, killed=broker_id)


def when_broker_is_unregistered(
    image: MetadataImage, schema: ConfigSchema, broker_id: int
) -> list[PartitionChangeRecord]:
    """The broker is no more, though its replicas still stand where they stood."""
    touched = [*_with_in_isr(image, broker_id), *_with_in_elr(image, broker_id)]
    return _update(image, schema, touched, leaves=broker_id)


def when_broker_arrives(
    image: MetadataImage, schema: ConfigSchema, broker_id: int
) -> list[PartitionChangeRecord]:
    """The broker is unfenced: partitions without a leader may have one again."""
    return _update(image, schema, sorted(image.leaderless), arrives=broker_id)


def when_directory_fails(
    image: MetadataImage, schema: ConfigSchema, broker_id: int, directories: Iterable[bytes]
) -> list[PartitionChangeRecord]:
    """The replicas in those directories of the broker are gone."""
    failed = set(directories)
    touched = [
        (topic_id, partition_id)
        for topic_id, partition_id in _with_in_isr(image, broker_id)
        if image.topics_by_id[topic_id].partitions[partition_id].directory_of(broker_id) in failed
    ]
    return _update(image, schema, touched, leaves=broker_id)


def when_replicas_are_lost(
    image: MetadataImage,
    schema: ConfigSchema,
    broker_id: int,
    partitions: Sequence[tuple[bytes, int]],
) -> list[PartitionChangeRecord]:
    """The broker's replicas of these partitions lie in directories that are not online."""
    return _update(image, schema, partitions, leaves=broker_id)


def leads_any(image: MetadataImage, broker_id: int) -> bool:
    return image.leader_counts.get(broker_id, 0) > 0


def _with_in_isr(image: MetadataImage, broker_id: int) -> list[tuple[bytes, int]]:
    return [
        (topic.topic_id, partition_id)
        for topic in image.topics.values()
        for partition_id, partition in topic.partitions.items()
        if broker_id in partition.isr
    ]


def _with_in_elr(image: MetadataImage, broker_id: int) -> list[tuple[bytes, int]]:
    return [
        (topic.topic_id, partition_id)
        for topic in image.topics.values()
        for partition_id, partition in topic.partitions.items()
        if broker_id in partition.elr
    ]


def _update(
    image: MetadataImage,
    schema: ConfigSchema,
    partitions: Sequence[tuple[bytes, int]],
    *,
    leaves: int = NOBODY,
    arrives: int = NOBODY,
    killed: int = NOBODY,
) -> list[PartitionChangeRecord]:
    if not partitions:
        return []
    # A first start has no partitions, and need not wait for this.
    from .elections import Change, Election, change_partition, leader_acceptor
    from .topic_settings import allows_unclean_election, topic_min_isr

    def may_lead(broker_id: int) -> bool:
        # The image does not show yet that the broker arrives or leaves.
        if broker_id in (leaves, killed):
            return False
        return broker_id == arrives or image.is_active(broker_id)

    records: list[PartitionChangeRecord] = []
    for topic_id, partition_id in partitions:
        topic = image.topics_by_id[topic_id]
        partition = topic.partitions[partition_id]
        unclean = allows_unclean_election(image, schema, topic.name)
        record = change_partition(
            image,
            topic_id,
            partition_id,
            Change(
                election=Election.UNCLEAN if unclean else Election.ONLINE,
                isr=[each for each in partition.isr if each not in (leaves, killed)],
                unclean_shutdown=(killed,) if killed != NOBODY else (),
                min_isr=topic_min_isr(image, schema, topic.name, len(partition.replicas)),
                elr_enabled=image.elr_enabled,
            ),
            leader_acceptor(image, partition, may_lead),
        )
        if record is not None:
            records.append(record)
    return records
