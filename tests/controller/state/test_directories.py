"""AssignReplicasToDirs: which replica lies in which log directory, and what follows from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from kbroker.controller.model import LOST_DIRECTORY, UNASSIGNED_DIRECTORY
from kbroker.controller.state import directories
from kbroker.controller.state.directories import decide_assign_replicas_to_dirs
from kbroker.controller.state.elections import change_partition
from kbroker.wire.errors import ErrorCode, RequestError
from kbroker.wire.messages.assign_replicas_to_dirs import (
    AssignReplicasToDirsRequest,
    AssignReplicasToDirsRequestDirectoryData,
    AssignReplicasToDirsRequestPartitionData,
    AssignReplicasToDirsRequestTopicData,
)
from tests.controller.parts import Cluster, directory_of, topic

if TYPE_CHECKING:
    from kbroker.controller.image import MetadataImage
    from kbroker.wire.records.partition_change_record import PartitionChangeRecord

ONE, TWO = b"directory one...", b"directory two..."


def cluster_of_two() -> Cluster:
    """Broker 1 with two directories, broker 2 with one; t-0 and t-1 lie on both."""
    cluster = Cluster(brokers=0)
    cluster.register(1, directories=[ONE, TWO])
    cluster.heartbeat(1)
    cluster.register(2)
    cluster.heartbeat(2)
    cluster.create(topic("t", -1, -1, assignments=[(0, [1, 2]), (1, [1, 2])]))
    return cluster


def assign(
    cluster: Cluster,
    directory: bytes,
    *indexes: int,
    topic_id: bytes | None = None,
    broker: int = 1,
) -> list[ErrorCode]:
    """Carry it out; the partitions' errors."""
    request = AssignReplicasToDirsRequest(
        broker_id=broker,
        broker_epoch=cluster.image.brokers[broker].epoch,
        directories=[
            AssignReplicasToDirsRequestDirectoryData(
                id=directory,
                topics=[
                    AssignReplicasToDirsRequestTopicData(
                        topic_id=topic_id or cluster.image.topics["t"].topic_id,
                        partitions=[
                            AssignReplicasToDirsRequestPartitionData(partition_index=index)
                            for index in indexes
                        ],
                    )
                ],
            )
        ],
    )
    result = decide_assign_replicas_to_dirs(cluster.context(), request)
    cluster.commit(result.records)
    (answered,) = result.response.directories
    assert answered.id == directory
    return [ErrorCode(each.error_code) for each in answered.topics[0].partitions]


def test_a_broker_with_several_directories_tells_where_a_replica_lies() -> None:
    cluster = cluster_of_two()
    partitions = cluster.image.topics["t"].partitions
    assert partitions[0].directories == [UNASSIGNED_DIRECTORY, directory_of(2)]
    assert assign(cluster, TWO, 0) == [ErrorCode.NONE]
    assert partitions[0].directories == [TWO, directory_of(2)]
    assert partitions[1].directories == [UNASSIGNED_DIRECTORY, directory_of(2)]
    assert (partitions[0].leader, partitions[0].leader_epoch) == (1, 0)
    length = len(cluster.log)
    assert assign(cluster, TWO, 0) == [ErrorCode.NONE]
    assert len(cluster.log) == length, "no news, no record"


def test_what_the_controller_does_not_know_is_said_of_each() -> None:
    cluster = cluster_of_two()
    assert assign(cluster, ONE, 0, 7) == [ErrorCode.NONE, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION]
    assert assign(cluster, ONE, 0, topic_id=b"i" * 16) == [ErrorCode.UNKNOWN_TOPIC_ID]
    cluster.register(3)
    assert assign(cluster, directory_of(3), 0, broker=3) == [ErrorCode.NOT_LEADER_OR_FOLLOWER]


def test_a_failure_nobody_foresees_costs_one_replica(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cluster = cluster_of_two()
    cluster.create(topic("u", -1, -1, assignments=[(i, [1, 2]) for i in range(3)]))
    topic_id = cluster.image.topics["u"].topic_id

    def fail_once(
        image: MetadataImage, topic_id: bytes, index: int, *rest: Any
    ) -> PartitionChangeRecord | None:
        if index == 1:
            raise KeyError("planted")
        return change_partition(image, topic_id, index, *rest)

    monkeypatch.setattr(directories, "change_partition", fail_once)
    assert assign(cluster, TWO, 0, 1, 2, topic_id=topic_id) == [
        ErrorCode.NONE,
        ErrorCode.UNKNOWN_SERVER_ERROR,
        ErrorCode.NONE,
    ]
    partitions = cluster.image.topics["u"].partitions
    assert [partitions[i].directory_of(1) for i in range(3)] == [TWO, UNASSIGNED_DIRECTORY, TWO]
    assert "planted" in caplog.text


@pytest.mark.parametrize("directory", [LOST_DIRECTORY, b"directory none.."])
def test_a_replica_in_a_directory_that_is_not_online_is_lost(directory: bytes) -> None:
    cluster = cluster_of_two()
    assert assign(cluster, directory, 0) == [ErrorCode.NONE]
    partition = cluster.image.topics["t"].partitions[0]
    assert (partition.leader, partition.isr) == (2, [2])
    assert partition.directories == [directory, directory_of(2)]


def test_a_broker_of_another_life_is_refused() -> None:
    cluster = cluster_of_two()
    request = AssignReplicasToDirsRequest(
        broker_id=1, broker_epoch=cluster.image.brokers[1].epoch + 1
    )
    with pytest.raises(RequestError) as refusal:
        decide_assign_replicas_to_dirs(cluster.context(), request)
    assert refusal.value.code == ErrorCode.STALE_BROKER_EPOCH


def test_below_the_level_that_knows_of_directories_it_is_not_supported() -> None:
    cluster = cluster_of_two()
    cluster.image.features["metadata.version"] = 16
    with pytest.raises(RequestError) as refusal:
        assign(cluster, ONE, 0)
    assert refusal.value.code == ErrorCode.UNSUPPORTED_VERSION
