"""The image: what single records do to it, what a delta tells, what a copy shares."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kbroker.controller.features import UnsupportedLevel
from kbroker.controller.image import MetadataImage
from kbroker.controller.model import MIGRATING_DIRECTORY
from kbroker.controller.snapshot import snapshot_records
from kbroker.wire.records.abort_transaction_record import AbortTransactionRecord
from kbroker.wire.records.access_control_entry_record import AccessControlEntryRecord
from kbroker.wire.records.begin_transaction_record import BeginTransactionRecord
from kbroker.wire.records.broker_registration_change_record import (
    BrokerRegistrationChangeRecord,
)
from kbroker.wire.records.clear_elr_record import ClearElrRecord
from kbroker.wire.records.client_quota_record import ClientQuotaRecord, EntityData
from kbroker.wire.records.config_record import ConfigRecord
from kbroker.wire.records.delegation_token_record import DelegationTokenRecord
from kbroker.wire.records.end_transaction_record import EndTransactionRecord
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

from .parts import Cluster, topic

if TYPE_CHECKING:
    from kbroker.wire.message import Message

ID = b"t" * 16


def new_topic(name: str = "t", topic_id: bytes = ID, partitions: int = 1) -> list[Message]:
    return [
        TopicRecord(name=name, topic_id=topic_id),
        *(
            PartitionRecord(
                partition_id=index,
                topic_id=topic_id,
                replicas=[1, 2],
                isr=[1, 2],
                leader=1,
                leader_epoch=0,
                partition_epoch=0,
                directories=[b"1" * 16, b"2" * 16],
            )
            for index in range(partitions)
        ),
    ]


def test_a_partition_change_says_only_what_changes() -> None:
    image = MetadataImage()
    image.apply(new_topic(), 0, 1)
    change = PartitionChangeRecord(topic_id=ID, partition_id=0, isr=[1])
    image.apply([change], 2, 1)
    partition = image.topics["t"].partitions[0]
    assert (partition.isr, partition.leader) == ([1], 1)
    assert (partition.leader_epoch, partition.partition_epoch) == (0, 1)
    image.apply([PartitionChangeRecord(topic_id=ID, partition_id=0, leader=1)], 3, 1)
    assert (partition.leader_epoch, partition.partition_epoch) == (1, 2)
    image.apply([PartitionChangeRecord(topic_id=ID, partition_id=0, leader=-1)], 4, 1)
    assert image.leaderless == {(ID, 0)}
    assert image.leader_counts == {1: 0}
    assert image.replica_counts == {1: 1, 2: 1}


def test_a_removed_topic_takes_its_configs_counts_and_collisions_along() -> None:
    image = MetadataImage()
    empty = image.copy()
    image.apply(new_topic("a.b", partitions=3), 0, 1)
    image.apply([ConfigRecord(resource_type=2, resource_name="a.b", name="x", value="y")], 4, 1)
    assert image.collisions == {"a_b": {"a.b"}}
    image.apply([RemoveTopicRecord(topic_id=ID)], 5, 1)
    empty.offset, empty.epoch = image.offset, image.epoch
    assert image == empty


def test_a_delta_tells_of_topics_partitions_configs_and_brokers() -> None:
    image = MetadataImage()
    delta = image.apply(
        [*new_topic(), ConfigRecord(resource_type=2, resource_name="t", name="x", value="y")], 0, 1
    )
    assert [each.name for each in delta.topics_created.values()] == ["t"]
    assert delta.partitions_changed == {ID: {0}}
    assert delta.configs_changed == {(2, "t"): {"x": "y"}}
    delta = image.apply([RemoveTopicRecord(topic_id=ID)], 3, 1)
    assert [each.name for each in delta.topics_deleted.values()] == ["t"]
    assert delta.partitions_changed == {}
    assert not image.apply([], 4, 1)


def test_a_topic_that_came_and_went_in_one_delta_is_not_told_of() -> None:
    image = MetadataImage()
    assert not image.apply([*new_topic(), RemoveTopicRecord(topic_id=ID)], 0, 1)


def test_a_topic_made_again_in_one_delta_is_both_deleted_and_created() -> None:
    image = MetadataImage()
    image.apply(new_topic(), 0, 1)
    delta = image.apply([RemoveTopicRecord(topic_id=ID), *new_topic(topic_id=b"u" * 16)], 2, 1)
    assert list(delta.topics_deleted) == [ID]
    assert list(delta.topics_created) == [b"u" * 16]


def test_records_of_a_transaction_count_at_its_end_and_not_if_it_is_aborted() -> None:
    image = MetadataImage()
    delta = image.apply([BeginTransactionRecord(name="x"), *new_topic()], 0, 1)
    assert image.in_transaction
    assert not image.topics
    assert not delta
    delta = image.apply([EndTransactionRecord()], 3, 1)
    assert list(image.topics) == ["t"]
    assert delta.partitions_changed == {ID: {0}}
    image.apply([BeginTransactionRecord(), RemoveTopicRecord(topic_id=ID)], 4, 1)
    image.apply([AbortTransactionRecord()], 6, 1)
    assert list(image.topics) == ["t"]
    assert not image.in_transaction


def test_records_that_cannot_follow_are_broken_invariants() -> None:
    image = MetadataImage()
    image.apply(new_topic(), 0, 1)
    image.apply([ProducerIdsRecord(next_producer_id=2000)], 2, 1)
    impossible: list[Message] = [
        TopicRecord(name="t", topic_id=b"u" * 16),
        TopicRecord(name="u", topic_id=ID),
        RemoveTopicRecord(topic_id=b"u" * 16),
        PartitionChangeRecord(topic_id=ID, partition_id=7),
        FenceBrokerRecord(id=1, epoch=0),
        ProducerIdsRecord(next_producer_id=1000),
        EndTransactionRecord(),
    ]
    for record in impossible:
        with pytest.raises((AssertionError, KeyError)):
            image.copy().replay(record, 9)


def test_a_feature_at_level_zero_is_none() -> None:
    image = MetadataImage()
    image.apply([FeatureLevelRecord(name="group.version", feature_level=1)], 0, 1)
    image.apply([FeatureLevelRecord(name="group.version", feature_level=0)], 1, 1)
    assert image.features == {}


@pytest.mark.parametrize(
    ("name", "level", "problem"),
    [
        ("nosuch", -1, "does not know this feature"),
        ("nosuch", 1, "does not know this feature"),
        ("group.version", -1, "from an earlier Kafka"),
        ("group.version", 2, "from a later Kafka"),
        ("metadata.version", 6, "from an earlier Kafka, .* supports 7 to 30"),
        ("metadata.version", 31, "from a later Kafka, .* supports 7 to 30"),
    ],
)
def test_levels_that_are_not_understood_are_refused(name: str, level: int, problem: str) -> None:
    record = FeatureLevelRecord(name=name, feature_level=level)
    with pytest.raises(UnsupportedLevel, match=f"{name} is at level {level}, .*{problem}"):
        MetadataImage().replay(record, 0)


def kept_records() -> list[Message]:
    quota = [EntityData(entity_type="user", entity_name="u")]
    return [
        AccessControlEntryRecord(id=b"a" * 16, resource_name="r"),
        AccessControlEntryRecord(id=b"b" * 16, resource_name="s"),
        UserScramCredentialRecord(name="u", mechanism=1, salt=b"s"),
        UserScramCredentialRecord(name="u", mechanism=2, salt=b"s"),
        ClientQuotaRecord(entity=quota, key="producer_byte_rate", value=1.5),
        ClientQuotaRecord(entity=quota, key="consumer_byte_rate", value=2.5),
        DelegationTokenRecord(owner="o", token_id="t"),
        ZkMigrationStateRecord(zk_migration_state=1),
    ]


def test_records_of_features_that_are_not_built_survive_a_snapshot() -> None:
    image = MetadataImage()
    image.apply(kept_records(), 0, 1)
    assert list(snapshot_records(image)) == sorted(
        kept_records(), key=list(snapshot_records(image)).index
    )
    assert len(list(snapshot_records(image))) == len(kept_records())


def test_kept_records_go_when_they_are_removed() -> None:
    image = MetadataImage()
    image.apply(kept_records(), 0, 1)
    quota = [EntityData(entity_type="user", entity_name="u")]
    image.apply(
        [
            RemoveAccessControlEntryRecord(id=b"a" * 16),
            RemoveUserScramCredentialRecord(name="u", mechanism=1),
            ClientQuotaRecord(entity=quota, key="producer_byte_rate", remove=True),
        ],
        9,
        1,
    )
    assert list(image.kept.acls) == [b"b" * 16]
    assert list(image.kept.scram) == [("u", 2)]
    assert [key for _, key in image.kept.quotas] == ["consumer_byte_rate"]


@pytest.mark.parametrize("names", [("u", "c"), (None, "c"), ("u", None), (None, None)])
def test_a_quota_is_of_its_entity_in_whatever_order_a_record_names_it(
    names: tuple[str | None, str | None],
) -> None:
    user = EntityData(entity_type="user", entity_name=names[0])
    client = EntityData(entity_type="client-id", entity_name=names[1])
    image = MetadataImage()
    key = "producer_byte_rate"
    image.apply([ClientQuotaRecord(entity=[user, client], key=key, value=1.5)], 0, 1)
    image.apply([ClientQuotaRecord(entity=[client, user], key=key, value=2.5)], 1, 1)
    (kept,) = image.kept.quotas.values()
    assert kept.value == 2.5
    image.apply([ClientQuotaRecord(entity=[user, client], key=key, remove=True)], 2, 1)
    assert image.kept.quotas == {}


def test_a_broker_is_fenced_and_unfenced_by_the_records_of_the_oldest_level() -> None:
    image = Cluster(brokers=2).image
    assert [image.brokers[node].fenced for node in (1, 2)] == [False, False]
    epoch = image.brokers[1].epoch
    delta = image.apply([FenceBrokerRecord(id=1, epoch=epoch)], 90, 1)
    assert [image.brokers[node].fenced for node in (1, 2)] == [True, False]
    assert delta.brokers_changed == {1}
    delta = image.apply([UnfenceBrokerRecord(id=1, epoch=epoch)], 91, 1)
    assert [image.brokers[node].fenced for node in (1, 2)] == [False, False]
    assert delta.brokers_changed == {1}


@pytest.mark.parametrize(
    "record",
    [
        RegisterControllerRecord(controller_id=1),
        *kept_records(),
        RemoveAccessControlEntryRecord(id=b"a" * 16),
        RemoveUserScramCredentialRecord(name="u", mechanism=1),
        RemoveDelegationTokenRecord(token_id="t"),
    ],
    ids=lambda record: type(record).__name__,
)
def test_a_delta_tells_that_something_else_changed(record: Message) -> None:
    image = MetadataImage()
    image.apply(kept_records(), 0, 1)
    assert not image.apply([NoOpRecord()], 10, 1)
    delta = image.apply([record], 11, 1)
    assert delta.other_changes
    assert delta


def test_a_delta_names_the_brokers_that_came_and_went() -> None:
    image = MetadataImage()
    for offset, (record, changed) in enumerate(
        [
            (RegisterBrokerRecord(broker_id=3, broker_epoch=0), {3}),
            (BrokerRegistrationChangeRecord(broker_id=3, broker_epoch=0, fenced=-1), {3}),
            (UnregisterBrokerRecord(broker_id=3, broker_epoch=0), {3}),
            (NoOpRecord(), set()),
        ]
    ):
        delta = image.apply([record], offset, 1)
        assert delta.brokers_changed == changed
        assert bool(delta) == bool(changed)


@pytest.mark.parametrize("next_id", [1, 1000])
def test_a_snapshot_keeps_the_next_producer_id(next_id: int) -> None:
    image = MetadataImage()
    image.apply([ProducerIdsRecord(next_producer_id=next_id)], 0, 1)
    kept = [each for each in snapshot_records(image) if isinstance(each, ProducerIdsRecord)]
    assert kept == [ProducerIdsRecord(broker_id=-1, broker_epoch=-1, next_producer_id=next_id)]
    again = MetadataImage()
    again.apply(kept, 0, 1)
    assert again.next_producer_id == next_id


@pytest.mark.parametrize(
    ("replicas", "directories", "expected"),
    [
        (None, None, [b"1" * 16, b"2" * 16]),
        ([2, 1], None, [b"1" * 16, b"2" * 16]),
        ([1, 2, 3], None, [MIGRATING_DIRECTORY] * 3),
        ([2], None, [MIGRATING_DIRECTORY]),
        ([3], [b"3" * 16], [b"3" * 16]),
    ],
)
def test_replicas_that_a_change_gives_no_directories_are_somewhere(
    replicas: list[int] | None, directories: list[bytes] | None, expected: list[bytes]
) -> None:
    image = MetadataImage()
    image.apply(new_topic(), 0, 1)
    change = PartitionChangeRecord(
        topic_id=ID, partition_id=0, replicas=replicas, directories=directories
    )
    image.apply([change], 2, 1)
    partition = image.topics["t"].partitions[0]
    assert partition.directories == expected
    assert partition.replicas == (replicas or [1, 2])


@pytest.mark.parametrize("name", ["t", ""])
def test_cleared_eligible_leaders_are_a_change_of_the_partitions_that_had_some(name: str) -> None:
    image = MetadataImage()
    image.apply(new_topic(partitions=3), 0, 1)
    changes = [
        PartitionChangeRecord(topic_id=ID, partition_id=0, eligible_leader_replicas=[2]),
        PartitionChangeRecord(topic_id=ID, partition_id=1, last_known_elr=[1]),
    ]
    image.apply(changes, 1, 1)
    partitions = image.topics["t"].partitions
    before = [partitions[index].partition_epoch for index in range(3)]
    delta = image.apply([ClearElrRecord(topic_name=name)], 2, 1)
    assert delta.partitions_changed == {ID: {0, 1}}
    for index in range(3):
        assert (partitions[index].elr, partitions[index].last_known_elr) == ([], [])
        assert partitions[index].partition_epoch == before[index] + (index < 2)


def test_a_copy_goes_its_own_way() -> None:
    cluster = Cluster(brokers=3)
    cluster.create(topic("t", 4, 3), topic("a.b"))
    twin = cluster.image.copy()
    assert twin == cluster.image
    before = cluster.image.copy()
    topic_id = twin.topics["t"].topic_id
    twin.apply(
        [
            PartitionChangeRecord(topic_id=topic_id, partition_id=0, isr=[2], leader=2),
            RemoveTopicRecord(topic_id=topic_id),
            RemoveTopicRecord(topic_id=twin.topics["a.b"].topic_id),
        ],
        twin.offset + 1,
        1,
    )
    cluster_image = cluster.image
    assert cluster_image == before
    assert cluster_image.collisions == {"a_b": {"a.b"}}


def test_a_snapshot_keeps_who_may_lead_a_partition() -> None:
    cluster = Cluster(brokers=3)
    cluster.create(topic("t", 1, 3), topic("u", 1, 3))
    change = PartitionChangeRecord(
        topic_id=cluster.image.topics["t"].topic_id,
        partition_id=0,
        isr=[1],
        eligible_leader_replicas=[2],
        last_known_elr=[3],
    )
    cluster.commit([change])
    again = MetadataImage()
    for record in snapshot_records(cluster.image):
        again.replay(record, cluster.image.offset)
    partition = again.topics["t"].partitions[0]
    assert (partition.elr, partition.last_known_elr) == ([2], [3])
    again.offset, again.epoch = cluster.image.offset, cluster.image.epoch
    assert again == cluster.image
