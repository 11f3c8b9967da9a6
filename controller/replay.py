"""How each metadata record changes an image: one function for each record type.

The functions accept every record of a log that Kafka or kbroker wrote. A record that contradicts
what came before it is a broken invariant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kbroker.wire.codes import ResourceType

from .features import KRAFT_VERSION, check_level
from .kept import quota_key
from .model import (
    MIGRATING_DIRECTORY,
    NO_LEADER,
    BrokerImage,
    ControllerImage,
    EndpointImage,
    LeaderRecovery,
    PartitionImage,
    TopicImage,
    collision_key,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from kbroker.wire.records.access_control_entry_record import AccessControlEntryRecord
    from kbroker.wire.records.broker_registration_change_record import (
        BrokerRegistrationChangeRecord,
    )
    from kbroker.wire.records.clear_elr_record import ClearElrRecord
    from kbroker.wire.records.client_quota_record import ClientQuotaRecord
    from kbroker.wire.records.config_record import ConfigRecord
    from kbroker.wire.records.delegation_token_record import DelegationTokenRecord
    from kbroker.wire.records.feature_level_record import FeatureLevelRecord
    from kbroker.wire.records.fence_broker_record import FenceBrokerRecord
    from kbroker.wire.records.no_op_record import NoOpRecord
    from kbroker.wire.records.partition_change_record import PartitionChangeRecord
    from kbroker.wire.records.partition_record import PartitionRecord
    from kbroker.wire.records.producer_ids_record import ProducerIdsRecord
    from kbroker.wire.records.register_broker_record import RegisterBrokerRecord
    from kbroker.wire.records.register_controller_record import RegisterControllerRecord
    from kbroker.wire.records.remove_access_control_entry_record import (
        RemoveAccessControlEntryRecord,
    )
    from kbroker.wire.records.remove_delegation_token_record import RemoveDelegationTokenRecord
    from kbroker.wire.records.remove_topic_record import RemoveTopicRecord
    from kbroker.wire.records.remove_user_scram_credential_record import (
        RemoveUserScramCredentialRecord,
    )
    from kbroker.wire.records.topic_record import TopicRecord
    from kbroker.wire.records.unfence_broker_record import UnfenceBrokerRecord
    from kbroker.wire.records.unregister_broker_record import UnregisterBrokerRecord
    from kbroker.wire.records.user_scram_credential_record import UserScramCredentialRecord
    from kbroker.wire.records.zk_migration_state_record import ZkMigrationStateRecord

    from .delta import ImageDelta
    from .image import MetadataImage

BEGIN_TRANSACTION: Final = 23
END_TRANSACTION: Final = 24
ABORT_TRANSACTION: Final = 25

NO_LEADER_CHANGE: Final = -2


# Topics and partitions


def topic(image: MetadataImage, record: TopicRecord, delta: ImageDelta) -> None:
    assert record.name not in image.topics, f"topic {record.name} exists"
    assert record.topic_id not in image.topics_by_id, f"topic id of {record.name} exists"
    made = TopicImage(record.name, record.topic_id)
    image.topics[record.name] = image.topics_by_id[record.topic_id] = made
    key = collision_key(record.name)
    if key is not None:
        image.collisions.setdefault(key, set()).add(record.name)
    delta.note_topic_created(made)


def remove_topic(image: MetadataImage, record: RemoveTopicRecord, delta: ImageDelta) -> None:
    gone = image.topics_by_id.pop(record.topic_id)
    del image.topics[gone.name]
    key = collision_key(gone.name)
    if key is not None:
        image.collisions[key].discard(gone.name)
        if not image.collisions[key]:
            del image.collisions[key]
    for partition_id, old in gone.partitions.items():
        _count(image, old, -1)
        image.leaderless.discard((gone.topic_id, partition_id))
    image.configs.pop((ResourceType.TOPIC, gone.name), None)
    delta.note_topic_deleted(gone)


def partition(image: MetadataImage, record: PartitionRecord, delta: ImageDelta) -> None:
    of = image.topics_by_id[record.topic_id]
    old = of.partitions.get(record.partition_id)
    if old is not None:
        _count(image, old, -1)
    made = PartitionImage(
        replicas=record.replicas,
        isr=record.isr,
        leader=record.leader,
        leader_epoch=record.leader_epoch,
        partition_epoch=record.partition_epoch,
        directories=record.directories or [MIGRATING_DIRECTORY] * len(record.replicas),
        elr=record.eligible_leader_replicas or [],
        last_known_elr=record.last_known_elr or [],
        adding_replicas=record.adding_replicas,
        removing_replicas=record.removing_replicas,
        leader_recovery_state=record.leader_recovery_state,
    )
    of.partitions[record.partition_id] = made
    _index(image, of.topic_id, record.partition_id, made)
    delta.note_partition(of.topic_id, record.partition_id)


def partition_change(
    image: MetadataImage, record: PartitionChangeRecord, delta: ImageDelta
) -> None:
    """None, and the leader -2, stand for "as it was"; any leader, the same too, starts an epoch."""
    of = image.topics_by_id[record.topic_id]
    changed = of.partitions[record.partition_id]
    _count(image, changed, -1)
    changed.partition_epoch += 1
    if record.leader != NO_LEADER_CHANGE:
        changed.leader = record.leader
        changed.leader_epoch += 1
    if record.isr is not None:
        changed.isr = record.isr
    if record.replicas is not None:
        changed.replicas = record.replicas
    if record.removing_replicas is not None:
        changed.removing_replicas = record.removing_replicas
    if record.adding_replicas is not None:
        changed.adding_replicas = record.adding_replicas
    if record.directories is not None:
        changed.directories = record.directories
    elif len(changed.directories) != len(changed.replicas):
        # A metadata.version that does not know of directories moved it.
        changed.directories = [MIGRATING_DIRECTORY] * len(changed.replicas)
    if record.eligible_leader_replicas is not None:
        changed.elr = record.eligible_leader_replicas
    if record.last_known_elr is not None:
        changed.last_known_elr = record.last_known_elr
    if record.leader_recovery_state != LeaderRecovery.NO_CHANGE:
        changed.leader_recovery_state = record.leader_recovery_state
    assert len(changed.directories) == len(changed.replicas), f"directories of {record}"
    _index(image, of.topic_id, record.partition_id, changed)
    delta.note_partition(of.topic_id, record.partition_id)


def clear_elr(image: MetadataImage, record: ClearElrRecord, delta: ImageDelta) -> None:
    """Of one topic, or of all if none is named. Costs as much as they are large."""
    topics: Iterable[TopicImage] = image.topics.values()
    if record.topic_name:
        topics = [image.topics[record.topic_name]]
    for each in topics:
        for partition_id, cleared in each.partitions.items():
            if cleared.elr or cleared.last_known_elr:
                cleared.elr, cleared.last_known_elr = [], []
                cleared.partition_epoch += 1
                delta.note_partition(each.topic_id, partition_id)


def _count(image: MetadataImage, counted: PartitionImage, sign: int) -> None:
    for broker_id in counted.replicas:
        image.replica_counts[broker_id] = image.replica_counts.get(broker_id, 0) + sign
    if counted.leader != NO_LEADER:
        leader = counted.leader
        image.leader_counts[leader] = image.leader_counts.get(leader, 0) + sign


def _index(
    image: MetadataImage, topic_id: bytes, partition_id: int, indexed: PartitionImage
) -> None:
    _count(image, indexed, 1)
    if indexed.leader == NO_LEADER:
        image.leaderless.add((topic_id, partition_id))
    else:
        image.leaderless.discard((topic_id, partition_id))


# Configurations, features, producer ids


def config(image: MetadataImage, record: ConfigRecord, delta: ImageDelta) -> None:
    resource = (record.resource_type, record.resource_name)
    if record.value is not None:
        image.configs.setdefault(resource, {})[record.name] = record.value
    else:
        values = image.configs.get(resource, {})
        values.pop(record.name, None)
        if not values:
            image.configs.pop(resource, None)
    delta.note_config(resource, record.name, record.value)


def feature_level(image: MetadataImage, record: FeatureLevelRecord, delta: ImageDelta) -> None:
    """UnsupportedLevel: whatever follows may say things that we would misread."""
    check_level(record.name, record.feature_level)
    if record.name == KRAFT_VERSION:
        return
    if record.feature_level:
        image.features[record.name] = record.feature_level
    else:
        image.features.pop(record.name, None)
    delta.features_changed[record.name] = record.feature_level


def producer_ids(image: MetadataImage, record: ProducerIdsRecord, delta: ImageDelta) -> None:
    assert record.next_producer_id >= image.next_producer_id, f"producer ids fall: {record}"
    image.next_producer_id = record.next_producer_id
    delta.producer_ids_changed = True


def no_op(image: MetadataImage, record: NoOpRecord, delta: ImageDelta) -> None:
    """Moves the offset, and that is all."""


# Brokers and controllers


def register_broker(image: MetadataImage, record: RegisterBrokerRecord, delta: ImageDelta) -> None:
    image.brokers[record.broker_id] = BrokerImage(
        broker_id=record.broker_id,
        epoch=record.broker_epoch,
        incarnation_id=record.incarnation_id,
        endpoints={
            each.name: EndpointImage(each.host, each.port, each.security_protocol)
            for each in record.end_points
        },
        features={
            each.name: (each.min_supported_version, each.max_supported_version)
            for each in record.features
        },
        rack=record.rack,
        fenced=record.fenced,
        in_controlled_shutdown=record.in_controlled_shutdown,
        log_dirs=record.log_dirs,
        cordoned_log_dirs=record.cordoned_log_dirs,
        is_migrating=record.is_migrating_zk_broker,
    )
    delta.brokers_changed.add(record.broker_id)


def unregister_broker(
    image: MetadataImage, record: UnregisterBrokerRecord, delta: ImageDelta
) -> None:
    _broker(image, record.broker_id, record.broker_epoch)
    del image.brokers[record.broker_id]
    delta.brokers_changed.add(record.broker_id)


def fence_broker(image: MetadataImage, record: FenceBrokerRecord, delta: ImageDelta) -> None:
    _broker(image, record.id, record.epoch).fenced = True
    delta.brokers_changed.add(record.id)


def unfence_broker(image: MetadataImage, record: UnfenceBrokerRecord, delta: ImageDelta) -> None:
    _broker(image, record.id, record.epoch).fenced = False
    delta.brokers_changed.add(record.id)


def broker_registration_change(
    image: MetadataImage, record: BrokerRegistrationChangeRecord, delta: ImageDelta
) -> None:
    """`fenced` is 1, -1 or 0 for "as it was"; a controlled shutdown only ever begins."""
    changed = _broker(image, record.broker_id, record.broker_epoch)
    if record.fenced:
        changed.fenced = record.fenced > 0
    if record.in_controlled_shutdown:
        changed.in_controlled_shutdown = record.in_controlled_shutdown > 0
    if record.log_dirs:
        changed.log_dirs = record.log_dirs
    if record.cordoned_log_dirs is not None:
        changed.cordoned_log_dirs = record.cordoned_log_dirs
    delta.brokers_changed.add(record.broker_id)


def _broker(image: MetadataImage, broker_id: int, epoch: int) -> BrokerImage:
    found = image.brokers.get(broker_id)
    assert found is not None, f"broker {broker_id} is not registered"
    assert found.epoch == epoch, f"broker {broker_id} has epoch {found.epoch}, not {epoch}"
    return found


def register_controller(
    image: MetadataImage, record: RegisterControllerRecord, delta: ImageDelta
) -> None:
    image.controllers[record.controller_id] = ControllerImage(
        controller_id=record.controller_id,
        incarnation_id=record.incarnation_id,
        endpoints={
            each.name: EndpointImage(each.host, each.port, each.security_protocol)
            for each in record.end_points
        },
        features={
            each.name: (each.min_supported_version, each.max_supported_version)
            for each in record.features
        },
        zk_migration_ready=record.zk_migration_ready,
    )
    delta.other_changes = True


# What is only kept


def acl(image: MetadataImage, record: AccessControlEntryRecord, delta: ImageDelta) -> None:
    image.kept.acls[record.id] = record
    delta.other_changes = True


def remove_acl(
    image: MetadataImage, record: RemoveAccessControlEntryRecord, delta: ImageDelta
) -> None:
    image.kept.acls.pop(record.id, None)
    delta.other_changes = True


def scram(image: MetadataImage, record: UserScramCredentialRecord, delta: ImageDelta) -> None:
    image.kept.scram[record.name, record.mechanism] = record
    delta.other_changes = True


def remove_scram(
    image: MetadataImage, record: RemoveUserScramCredentialRecord, delta: ImageDelta
) -> None:
    image.kept.scram.pop((record.name, record.mechanism), None)
    delta.other_changes = True


def quota(image: MetadataImage, record: ClientQuotaRecord, delta: ImageDelta) -> None:
    key = quota_key(record)
    if record.remove:
        image.kept.quotas.pop(key, None)
    else:
        image.kept.quotas[key] = record
    delta.other_changes = True


def token(image: MetadataImage, record: DelegationTokenRecord, delta: ImageDelta) -> None:
    image.kept.tokens[record.token_id] = record
    delta.other_changes = True


def remove_token(
    image: MetadataImage, record: RemoveDelegationTokenRecord, delta: ImageDelta
) -> None:
    image.kept.tokens.pop(record.token_id, None)
    delta.other_changes = True


def zk_migration(image: MetadataImage, record: ZkMigrationStateRecord, delta: ImageDelta) -> None:
    image.kept.zk_migration[0] = record
    delta.other_changes = True


REPLAY: Final[Mapping[int, Callable[[MetadataImage, Any, ImageDelta], None]]] = {
    0: register_broker,
    1: unregister_broker,
    2: topic,
    3: partition,
    4: config,
    5: partition_change,
    7: fence_broker,
    8: unfence_broker,
    9: remove_topic,
    10: token,
    11: scram,
    12: feature_level,
    14: quota,
    15: producer_ids,
    17: broker_registration_change,
    18: acl,
    19: remove_acl,
    20: no_op,
    21: zk_migration,
    22: remove_scram,
    26: remove_token,
    27: register_controller,
    28: clear_elr,
}
