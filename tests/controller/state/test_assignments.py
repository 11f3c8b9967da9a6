"""How many records a request may make: as many as Apache Kafka's controller writes at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kbroker.controller.state.configs import decide_incremental_alter_configs
from kbroker.controller.state.delete_topics import decide_delete_topics
from kbroker.controller.state.elect_leaders import decide_elect_leaders
from kbroker.controller.state.reassignments import decide_alter_partition_reassignments
from kbroker.wire.errors import ErrorCode, RequestError
from kbroker.wire.messages.alter_partition_reassignments import (
    AlterPartitionReassignmentsRequest,
    ReassignablePartition,
    ReassignableTopic,
)
from kbroker.wire.messages.delete_topics import DeleteTopicsRequest, DeleteTopicState
from kbroker.wire.messages.elect_leaders import ElectLeadersRequest, TopicPartitions
from kbroker.wire.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
)
from kbroker.wire.records.partition_change_record import PartitionChangeRecord
from kbroker.wire.records.topic_record import TopicRecord
from tests.controller.parts import Cluster, topic

if TYPE_CHECKING:
    from collections.abc import Callable

    from kbroker.controller.state.result import Result

RECORDS_MAX = 10_000
MESSAGE = "Unable to perform excessively large batch operation."
GROUP = 32


def a_cluster() -> Cluster:
    """Of a topic whose only partition is not led by its preferred replica."""
    cluster = Cluster(brokers=2)
    cluster.create(topic("t", -1, -1, assignments=[(0, [1, 2])]))
    topic_id = cluster.image.topics["t"].topic_id
    cluster.commit([PartitionChangeRecord(topic_id=topic_id, partition_id=0, leader=2)])
    return cluster


def elect(count: int) -> Result[object]:
    request = ElectLeadersRequest(
        topic_partitions=[TopicPartitions(topic="t", partitions=[0] * count)]
    )
    return decide_elect_leaders(a_cluster().context(), request)


def reassign(count: int) -> Result[object]:
    target = ReassignablePartition(partition_index=0, replicas=[2, 1])
    request = AlterPartitionReassignmentsRequest(
        topics=[ReassignableTopic(name="t", partitions=[target] * count)]
    )
    return decide_alter_partition_reassignments(a_cluster().context(), request)


@pytest.mark.parametrize("ask", [elect, reassign])
def test_a_request_that_would_make_more_records_is_refused(
    ask: Callable[[int], Result[object]],
) -> None:
    assert len(ask(RECORDS_MAX).records) == RECORDS_MAX
    with pytest.raises(RequestError) as refusal:
        ask(RECORDS_MAX + 1)
    assert (refusal.value.code, refusal.value.message) == (ErrorCode.POLICY_VIOLATION, MESSAGE)


def test_of_more_resources_those_that_come_last_are_refused() -> None:
    change = AlterableConfig(name="consumer.session.timeout.ms", value="50000")
    resources = [
        AlterConfigsResource(resource_type=GROUP, resource_name=f"g{number}", configs=[change])
        for number in range(RECORDS_MAX + 2)
    ]
    result = decide_incremental_alter_configs(
        Cluster().context(), IncrementalAlterConfigsRequest(resources=resources)
    )
    assert len(result.records) == RECORDS_MAX
    answers = [(each.error_code, each.error_message) for each in result.response.responses]
    assert (
        answers
        == [(ErrorCode.NONE, None)] * RECORDS_MAX + [(ErrorCode.POLICY_VIOLATION, MESSAGE)] * 2
    )


def test_more_topics_are_not_deleted_at_once() -> None:
    cluster = Cluster()
    names = [f"t{number}" for number in range(RECORDS_MAX + 1)]
    cluster.commit(
        TopicRecord(name=name, topic_id=number.to_bytes(16, "big"))
        for number, name in enumerate(names, 1)
    )
    for asked, code in ((names, ErrorCode.POLICY_VIOLATION), (names[1:], ErrorCode.NONE)):
        request = DeleteTopicsRequest(
            timeout_ms=1_000, topics=[DeleteTopicState(name=name) for name in asked]
        )
        result = decide_delete_topics(cluster.context(), request)
        assert {each.error_code for each in result.response.responses} == {code}
        assert len(result.records) == (RECORDS_MAX if code == ErrorCode.NONE else 0)


@pytest.mark.parametrize(
    ("partitions", "code"), [(9_997, ErrorCode.NONE), (9_998, ErrorCode.POLICY_VIOLATION)]
)
def test_more_topics_with_their_partitions_are_not_made_at_once(
    partitions: int, code: ErrorCode
) -> None:
    response = Cluster().create(topic("large", partitions), topic("small"))
    assert [each.error_code for each in response.topics] == [code, code]
