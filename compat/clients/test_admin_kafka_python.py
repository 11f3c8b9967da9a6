"""kafka-python's admin client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from compat.clients.records import Position
from compat.late import comes_to

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from compat.brokers import Broker
    from compat.clients.records import StockClient

pytestmark = [pytest.mark.ci, pytest.mark.client("kafka-python")]


@pytest.fixture
def admin(broker: Broker) -> Iterator[Any]:
    from kafka import KafkaAdminClient

    client = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    yield client
    client.close()


def test_creates_describes_and_deletes_topics(admin: Any, unique: Callable[[str], str]) -> None:
    one, two = unique("one"), unique("two")
    topics = {
        one: {"num_partitions": 3, "configs": {"retention.ms": "12345"}},
        two: {},
    }
    admin.create_topics(topics, wait_for_metadata=True)
    comes_to(lambda: {one, two} <= set(admin.list_topics()), True)
    described = {topic["name"]: topic for topic in admin.describe_topics([one, two])}
    partitions = {p["partition_index"] for p in described[one]["partitions"]}
    assert partitions == {0, 1, 2}
    assert len(described[two]["partitions"]) == 1
    by_partitions = admin.describe_topic_partitions([one])
    assert len(by_partitions["topics"][0]["partitions"]) == 3
    admin.delete_topics([one, two])
    comes_to(lambda: {one, two} & set(admin.list_topics()), set())


def test_refuses_what_kafka_refuses(admin: Any, unique: Callable[[str], str]) -> None:
    from kafka import errors

    name = unique("topic")
    admin.create_topics([name], wait_for_metadata=True)
    with pytest.raises(errors.TopicAlreadyExistsError):
        admin.create_topics([name])
    with pytest.raises(errors.InvalidTopicError):
        admin.create_topics(["no/slash"])
    with pytest.raises(errors.InvalidReplicationFactorError):
        admin.create_topics({unique("rf"): {"replication_factor": 7}})
    with pytest.raises(errors.InvalidPartitionsError):
        admin.create_topics({unique("zero"): {"num_partitions": 0}})
    with pytest.raises(errors.InvalidConfigurationError):
        admin.create_topics({unique("conf"): {"configs": {"no.such.key": "1"}}})
    with pytest.raises(errors.UnknownTopicOrPartitionError):
        admin.delete_topics([unique("absent")])


def test_adds_partitions(admin: Any, new_topic: Callable[..., str]) -> None:
    from kafka import errors

    topic = new_topic(2)
    admin.create_partitions({topic: 5}, validate_only=True)
    assert len(admin.describe_topics([topic])[0]["partitions"]) == 2
    admin.create_partitions({topic: 5})
    admin.wait_for_topics([topic])
    comes_to(lambda: len(admin.describe_topics([topic])[0]["partitions"]), 5)
    with pytest.raises(errors.InvalidPartitionsError):
        admin.create_partitions({topic: 4})


def test_changes_configs_one_by_one(admin: Any, new_topic: Callable[..., str]) -> None:
    from kafka.admin import ConfigResource, ConfigResourceType

    topic = new_topic(1, retention_ms="1000")

    def modified() -> dict[str, str]:
        resource = ConfigResource(ConfigResourceType.TOPIC, topic)
        found = admin.describe_configs([resource], config_filter="modified")["topic"][topic]
        return {name: config["value"] for name, config in found.items()}

    def alter(**changes: Any) -> None:
        named = {name.replace("_", "."): change for name, change in changes.items()}
        resource = ConfigResource(ConfigResourceType.TOPIC, topic, named)
        assert admin.alter_configs([resource])["topic"][topic] == "OK"

    comes_to(modified, {"retention.ms": "1000"})
    alter(cleanup_policy=("APPEND", "compact"), max_message_bytes="5000")
    comes_to(
        modified,
        {
            "retention.ms": "1000",
            "cleanup.policy": "delete,compact",
            "max.message.bytes": "5000",
        },
    )
    alter(cleanup_policy=("SUBTRACT", "delete"), retention_ms=("DELETE", None))
    comes_to(modified, {"cleanup.policy": "compact", "max.message.bytes": "5000"})


def test_describes_the_cluster(admin: Any, broker: Broker) -> None:
    cluster = admin.describe_cluster()
    assert cluster["cluster_id"]
    assert [(b["host"], b["port"]) for b in cluster["brokers"]] == [(broker.host, broker.port)]
    assert cluster["controller_id"] == cluster["brokers"][0]["broker_id"]


def test_lists_describes_and_deletes_groups(
    admin: Any,
    broker: Broker,
    clients: dict[str, StockClient],
    new_topic: Callable[..., str],
    unique: Callable[[str], str],
) -> None:
    from kafka import TopicPartition, errors

    topic, group = new_topic(2), unique("group")
    client = clients["kafka-python"]
    for partition in range(2):
        client.commit(broker.bootstrap, group, topic, partition, Position(7, "m"), wait=True)
    listed = {one["group_id"]: one for one in admin.list_groups()}
    assert listed[group]["group_state"] == "Empty"
    assert admin.describe_groups([group])[group]["group_state"] == "Empty"
    offsets = admin.list_group_offsets({group: None})[group]
    assert {tp.partition: found.offset for tp, found in offsets.items()} == {0: 7, 1: 7}

    deleted = admin.delete_group_offsets(group, [TopicPartition(topic, 0)])
    assert set(deleted.values()) == {errors.NoError}
    offsets = admin.list_group_offsets({group: None})[group]
    assert {tp.partition for tp in offsets} == {1}
    admin.delete_groups([group])
    assert group not in {one["group_id"] for one in admin.list_groups()}


def test_lists_partition_offsets(
    admin: Any,
    broker: Broker,
    clients: dict[str, StockClient],
    new_topic: Callable[..., str],
) -> None:
    from kafka import TopicPartition
    from kafka.admin import OffsetSpec

    from compat.clients.records import sample_records

    topic = new_topic()
    records = sample_records(1)
    clients["librdkafka"].produce(broker.bootstrap, topic, records)
    where = TopicPartition(topic, 0)

    def offset(spec: Any) -> int:
        return int(admin.list_partition_offsets({where: spec})[where].offset)

    assert offset(OffsetSpec.EARLIEST) == 0
    assert offset(OffsetSpec.LATEST) == len(records)
    assert offset(OffsetSpec.MAX_TIMESTAMP) == len(records) - 1
