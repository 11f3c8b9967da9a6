"""librdkafka's admin client."""

# confluent-kafka re-exports its admin types without saying so.
# mypy: disable-error-code="attr-defined, no-untyped-call"

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    OffsetSpec,
    ResourceType,
)
from confluent_kafka.cimpl import NewPartitions, NewTopic

from compat.clients.records import Position, sample_records
from compat.late import comes_to

if TYPE_CHECKING:
    from collections.abc import Callable

    from compat.brokers import Broker
    from compat.clients.records import StockClient

pytestmark = [pytest.mark.ci, pytest.mark.client("librdkafka")]
TIMEOUT_S = 30


@pytest.fixture
def admin(broker: Broker) -> AdminClient:
    return AdminClient({"bootstrap.servers": broker.bootstrap, "log_level": 0})


def error_name(future: Any) -> str:
    """The name of the error that it ends in, or "" if it succeeds."""
    error = future.exception(TIMEOUT_S)
    return "" if error is None else str(error.args[0].name())


def partitions_of(admin: AdminClient, topic: str) -> int:
    return len(admin.list_topics(topic, timeout=TIMEOUT_S).topics[topic].partitions)


def test_creates_describes_and_deletes_topics(
    admin: AdminClient, unique: Callable[[str], str]
) -> None:
    good, bad = unique("topic"), "no/slash"
    new = [NewTopic(good, 3, 1), NewTopic(bad, 1, 1)]
    created = admin.create_topics(new, operation_timeout=TIMEOUT_S)
    assert error_name(created[good]) == ""
    assert error_name(created[bad]) == "TOPIC_EXCEPTION"
    (again,) = admin.create_topics([NewTopic(good, 3, 1)]).values()
    assert error_name(again) == "TOPIC_ALREADY_EXISTS"
    comes_to(lambda: partitions_of(admin, good), 3)

    (deleted,) = admin.delete_topics([good], operation_timeout=TIMEOUT_S).values()
    assert error_name(deleted) == ""
    comes_to(lambda: good in admin.list_topics(timeout=TIMEOUT_S).topics, False)
    (absent,) = admin.delete_topics([unique("absent")]).values()
    assert error_name(absent) == "UNKNOWN_TOPIC_OR_PART"


def test_validates_without_creating(admin: AdminClient, unique: Callable[[str], str]) -> None:
    topic = unique("topic")
    (checked,) = admin.create_topics([NewTopic(topic, 3, 1)], validate_only=True).values()
    assert error_name(checked) == ""
    assert topic not in admin.list_topics(timeout=TIMEOUT_S).topics


def test_adds_partitions(admin: AdminClient, new_topic: Callable[..., str]) -> None:
    topic = new_topic(2)
    (grown,) = admin.create_partitions([NewPartitions(topic, 6)], operation_timeout=30).values()
    assert error_name(grown) == ""
    comes_to(lambda: partitions_of(admin, topic), 6)
    (shrunk,) = admin.create_partitions([NewPartitions(topic, 1)]).values()
    assert error_name(shrunk) == "INVALID_PARTITIONS"


def test_changes_configs_one_by_one(admin: AdminClient, new_topic: Callable[..., str]) -> None:
    topic = new_topic(1, retention_ms="1000")

    def alter(name: str, value: str | None, operation: Any) -> str:
        entry = ConfigEntry(name, value, incremental_operation=operation)
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
        (altered,) = admin.incremental_alter_configs([resource]).values()
        return error_name(altered)

    def value(name: str) -> str:
        (described,) = admin.describe_configs([ConfigResource(ResourceType.TOPIC, topic)]).values()
        return str(described.result(TIMEOUT_S)[name].value)

    comes_to(lambda: value("retention.ms"), "1000")
    assert alter("retention.ms", "2000", AlterConfigOpType.SET) == ""
    comes_to(lambda: value("retention.ms"), "2000")
    assert alter("retention.ms", None, AlterConfigOpType.DELETE) == ""
    comes_to(lambda: value("retention.ms"), "604800000")
    assert alter("cleanup.policy", "compact", AlterConfigOpType.APPEND) == ""
    comes_to(lambda: value("cleanup.policy"), "delete,compact")
    assert alter("cleanup.policy", "delete", AlterConfigOpType.SUBTRACT) == ""
    comes_to(lambda: value("cleanup.policy"), "compact")
    assert alter("no.such.key", "1", AlterConfigOpType.SET) == "INVALID_CONFIG"
    assert alter("retention.ms", "soon", AlterConfigOpType.SET) == "INVALID_CONFIG"


def test_describes_the_cluster(admin: AdminClient, broker: Broker) -> None:
    cluster = admin.describe_cluster(request_timeout=TIMEOUT_S).result(TIMEOUT_S)
    assert cluster.cluster_id
    assert [(node.host, node.port) for node in cluster.nodes] == [(broker.host, broker.port)]


def test_lists_describes_and_deletes_groups(
    admin: AdminClient,
    broker: Broker,
    clients: dict[str, StockClient],
    new_topic: Callable[..., str],
    unique: Callable[[str], str],
) -> None:
    topic, group = new_topic(), unique("group")
    clients["librdkafka"].commit(broker.bootstrap, group, topic, 0, Position(7, ""), wait=True)
    listed = admin.list_consumer_groups(request_timeout=TIMEOUT_S).result(TIMEOUT_S).valid
    assert group in {one.group_id for one in listed}
    described = admin.describe_consumer_groups([group])[group].result(TIMEOUT_S)
    assert described.state.name == "EMPTY"
    asked = [ConsumerGroupTopicPartitions(group)]
    offsets = admin.list_consumer_group_offsets(asked)[group].result(TIMEOUT_S)
    assert [found.offset for found in offsets.topic_partitions] == [7]

    moved = [ConsumerGroupTopicPartitions(group, [TopicPartition(topic, 0, 3)])]
    admin.alter_consumer_group_offsets(moved)[group].result(TIMEOUT_S)
    offsets = admin.list_consumer_group_offsets(asked)[group].result(TIMEOUT_S)
    assert [found.offset for found in offsets.topic_partitions] == [3]

    assert error_name(admin.delete_consumer_groups([group])[group]) == ""
    gone = admin.delete_consumer_groups([group])[group]
    assert error_name(gone) == "GROUP_ID_NOT_FOUND"


def test_lists_offsets(
    admin: AdminClient,
    broker: Broker,
    clients: dict[str, StockClient],
    new_topic: Callable[..., str],
) -> None:
    topic, records = new_topic(), sample_records(1)
    clients["librdkafka"].produce(broker.bootstrap, topic, records)
    where = TopicPartition(topic, 0)

    def offset(spec: Any) -> int:
        (found,) = admin.list_offsets({where: spec}).values()
        return int(found.result(TIMEOUT_S).offset)

    assert offset(OffsetSpec.earliest()) == 0
    assert offset(OffsetSpec.latest()) == len(records)
    assert offset(OffsetSpec.max_timestamp()) == len(records) - 1
    assert offset(OffsetSpec.for_timestamp(records[30].timestamp_ms)) == 30


def test_an_unknown_topic_is_an_error_without_auto_creation(
    broker: Broker, unique: Callable[[str], str]
) -> None:
    from compat.clients.librdkafka import Librdkafka

    with pytest.raises(KafkaException):
        Librdkafka().offset_range(broker.bootstrap, unique("absent"), 0)
