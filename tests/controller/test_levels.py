"""What a quorum node writes at each metadata.version, and as it rises while the node runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kbroker.controller.bootstrap import feature_levels
from kbroker.controller.features import UnsupportedLevel
from kbroker.controller.loader import load
from kbroker.controller.model import MIGRATING_DIRECTORY
from kbroker.controller.raft.voters import ReplicaKey, VoterSet
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.create_topics import CreateTopicsRequest, CreateTopicsResponse
from kbroker.wire.messages.update_features import (
    FeatureUpdateKey,
    UpdateFeaturesRequest,
    UpdateFeaturesResponse,
)
from kbroker.wire.records.begin_transaction_record import BeginTransactionRecord
from kbroker.wire.records.feature_level_record import FeatureLevelRecord
from kbroker.wire.records.topic_record import TopicRecord

from .parts import DATA, Cluster, Machine, registration, topic

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kbroker.controller.controller import Controller
    from kbroker.controller.raft.log import LogBatch

MV, ELR = "metadata.version", "eligible.leader.replicas.version"
LEVELS = range(7, 31)

REGISTER_BROKER, PARTITION, PARTITION_CHANGE, REGISTRATION_CHANGE = 0, 3, 5, 17
BEGIN_TRANSACTION, REGISTER_CONTROLLER = 23, 27


def written(machine: Machine) -> list[tuple[int, int]]:
    """Type and version of each record in the log of a node that was closed."""
    log = machine.reopened_log()
    found = record_versions(log.read(0, log.end_offset))
    machine.directory.close()
    return found


def record_versions(batches: Iterable[LogBatch]) -> list[tuple[int, int]]:
    return [
        (value[1], value[2]) for batch in batches if not batch.is_control for value in batch.values
    ]


async def update(controller: Controller, **levels: int) -> UpdateFeaturesResponse:
    """Features by name, with _ for dots."""
    response = await controller.channel.send(
        UpdateFeaturesRequest(
            feature_updates=[
                FeatureUpdateKey(feature=name.replace("_", "."), max_version_level=level)
                for name, level in levels.items()
            ]
        )
    )
    assert isinstance(response, UpdateFeaturesResponse)
    return response


async def create(controller: Controller, name: str) -> None:
    response = await controller.channel.send(CreateTopicsRequest(topics=[topic(name)]))
    assert isinstance(response, CreateTopicsResponse)
    assert response.topics[0].error_code == ErrorCode.NONE


@pytest.mark.parametrize("level", LEVELS)
async def test_a_node_writes_only_what_its_metadata_version_has(level: int) -> None:
    machine = Machine(levels={MV: level})
    for name in ("a", "b"):  # the second start finds a live registration, and partitions to fence
        async with machine.running() as controller:
            await create(controller, name)
            before = controller.image.topics[name].partitions[0]
            at_home = [machine.directory_id] if level >= 17 else [MIGRATING_DIRECTORY]
            assert before.directories == at_home
            assert controller.image.brokers[1].log_dirs == (at_home if level >= 17 else [])
            assert list(controller.image.controllers) == ([1] if level >= 15 else [])
    log = written(machine)
    async with machine.running() as controller:
        await controller.write_snapshot()
    reopened = machine.reopened_log()
    snapshot = reopened.latest_snapshot()
    assert snapshot is not None
    versions: dict[int, set[int]] = {}
    for record_type, version in [*log, *record_versions(reopened.read_snapshot(snapshot))]:
        versions.setdefault(record_type, set()).add(version)
    machine.directory.close()
    registered = 4 if level >= 30 else 3 if level >= 17 else 2 if level >= 8 else 1
    partition = 2 if level >= 23 else 1 if level >= 17 else 0
    assert versions[REGISTER_BROKER] == {registered}
    assert versions[PARTITION] == {partition}
    assert versions[PARTITION_CHANGE] == {partition}
    assert versions[REGISTRATION_CHANGE] == {0}
    assert (REGISTER_CONTROLLER in versions) == (level >= 15)
    assert (BEGIN_TRANSACTION in versions) == (level >= 13)
    loaded = load(machine.reopened_log(), VoterSet.of(ReplicaKey(1)))
    assert loaded.image.features == {MV: level}
    assert list(loaded.image.topics) == ["a", "b"]
    machine.directory.close()


@pytest.mark.parametrize("level", LEVELS)
async def test_metadata_version_rises_while_the_node_runs(level: int) -> None:
    machine = Machine(levels={MV: 7})
    async with machine.running() as controller:
        await create(controller, "old")
        assert (await update(controller, metadata_version=level)).error_code == 0
        assert controller.image.features == {MV: level}
        # The answer comes when the controller is registered, if it can be.
        assert list(controller.image.controllers) == ([1] if level >= 15 else [])
        again = registration(incarnation=1, directories=[machine.directory_id])
        again.incarnation_id = controller.image.brokers[1].incarnation_id
        epoch = controller.image.brokers[1].epoch
        await controller.channel.send(again)
        broker = controller.image.brokers[1]
        assert (broker.epoch, broker.fenced) == (epoch, False)
        assert broker.log_dirs == ([machine.directory_id] if level >= 17 else [])
        await create(controller, "new")
        image = controller.image.copy()
    assert image.topics["old"].partitions[0].directories == [MIGRATING_DIRECTORY]
    assert image.topics["new"].partitions[0].directories == (
        [machine.directory_id] if level >= 17 else [MIGRATING_DIRECTORY]
    )
    partitions = [version for kind, version in written(machine) if kind == PARTITION]
    assert partitions == [0, 2 if level >= 23 else 1 if level >= 17 else 0]


async def test_eligible_leader_replicas_are_switched_on_and_off() -> None:
    machine = Machine(levels={MV: 25})
    machine.settings["min_insync_replicas"] = 2
    async with machine.running() as controller:
        assert controller.image.configs == {}
        assert (await update(controller, eligible_leader_replicas_version=1)).error_code == 0
        assert controller.image.configs == {(4, ""): {"min.insync.replicas": "2"}}
    async with machine.running() as controller:
        assert controller.image.features == {MV: 25, ELR: 1}
        assert controller.image.configs == {(4, ""): {"min.insync.replicas": "2"}}


@pytest.mark.parametrize("enabled", [False, True])
def test_who_leaves_the_isr_stays_eligible_only_where_that_is_kept(enabled: bool) -> None:
    cluster = Cluster(levels={MV: 25, ELR: int(enabled)})
    cluster.create(topic("t"))
    cluster.heartbeat(want_shut_down=True)
    cluster.heartbeat(want_shut_down=True)
    partition = cluster.image.topics["t"].partitions[0]
    assert partition.leader == -1
    assert (partition.isr, partition.elr) == (([], [1]) if enabled else ([1], []))


@pytest.mark.parametrize("level", [7, 11, 12, 30])
def test_an_isr_that_shrinks_starts_an_epoch_below_3_6(level: int) -> None:
    cluster = Cluster(brokers=2, levels={MV: level})
    cluster.create(topic("t", -1, -1, assignments=[(0, [1, 2])]))
    cluster.heartbeat(2, want_fence=True)
    partition = cluster.image.topics["t"].partitions[0]
    assert (partition.leader, partition.isr) == (1, [1])
    assert partition.leader_epoch == (1 if level < 12 else 0)


@pytest.mark.parametrize(
    ("levels", "problem"),
    [
        (
            {MV: 31},
            "metadata.version is at level 31, from a later Kafka, but this version of "
            "kbroker supports 7 to 30",
        ),
        (
            {MV: 6},
            "metadata.version is at level 6, from an earlier Kafka, but this version "
            "of kbroker supports 7 to",
        ),
        (
            {MV: 30, "of.the.future": 1},
            "of.the.future is at level 1, but this version of kbroker does not know this feature",
        ),
    ],
)
def test_a_cluster_at_levels_that_are_not_ours_is_left_alone(
    levels: dict[str, int], problem: str
) -> None:
    machine = Machine(levels=levels)
    with pytest.raises(UnsupportedLevel, match=problem):
        machine.open()
    machine.directory.abandon()
    assert written_nothing(machine)
    # And so where the log says it: nothing after such a record can be trusted.
    name, level = list(levels.items())[-1]
    with pytest.raises(UnsupportedLevel, match=problem):
        Cluster().commit([FeatureLevelRecord(name=name, feature_level=level)])


def test_a_cluster_needs_a_metadata_version_to_begin_with() -> None:
    with pytest.raises(UnsupportedLevel, match=r"metadata\.version is at level 0"):
        feature_levels([FeatureLevelRecord(name="group.version", feature_level=1)])


def written_nothing(machine: Machine) -> bool:
    names = machine.disk.list_dir(f"{DATA}/__cluster_metadata-0")
    return not any(
        machine.disk.read_file(f"{DATA}/__cluster_metadata-0/{name}")
        for name in names
        if name.endswith(".log")
    )


async def test_a_metadata_transaction_that_nobody_ended_is_aborted() -> None:
    machine = Machine(levels={MV: 30})
    async with machine.running() as controller:
        active = controller._active
        assert active is not None
        active.write(
            [
                BeginTransactionRecord(name="of one who died"),
                TopicRecord(name="half made", topic_id=b"t" * 16),
            ]
        )
        await controller._driver.wait_applied(controller._driver.end_offset - 1)
        assert controller.image.in_transaction
    async with machine.running() as controller:
        assert not controller.image.in_transaction
        assert not controller.image.topics
        await create(controller, "t")
