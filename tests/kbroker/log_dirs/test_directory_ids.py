"""Directories of Kafka before 3.7, which have no directory.id: they get one and keep it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kbroker.controller.features import DIRECTORY_ASSIGNMENT_SINCE, METADATA_VERSION
from kbroker.metadata_log.format import format_log_dir
from kbroker.node.errors import StartupError
from kbroker.node.settings import TopicSpec
from kbroker.storage.checkpoints import (
    MetaProperties,
    read_meta_properties,
    write_meta_properties,
)
from kbroker.storage.log_dir_opening import open_log_dir
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.describe_quorum import (
    DescribeQuorumRequest,
    DescribeQuorumRequestPartitionData,
    DescribeQuorumRequestTopicData,
    DescribeQuorumResponse,
)
from kbroker.wire.messages.update_features import (
    FeatureUpdateKey,
    UpdateFeaturesRequest,
    UpdateFeaturesResponse,
)
from tests.kbroker.asking import one
from tests.sim.broker import DATA

from .rig import OTHER, Admin, TwoDirs

if TYPE_CHECKING:
    from tests.sim.disk import SimDisk

METADATA_VERSION_OF_3_9 = 21


def at_level(level: int) -> TwoDirs:
    """Two new directories of a cluster that begins at this metadata.version."""
    machine = TwoDirs()
    directory = open_log_dir(machine.disk, DATA, rng=machine.rng, now_ms=0)
    format_log_dir(
        machine.disk,
        directory,
        node_id=1,
        cluster_id="cluster",
        rng=machine.rng,
        now_ms=0,
        features={METADATA_VERSION: level},
    )
    directory.close()
    return machine


def meta_of(disk: SimDisk, path: str) -> MetaProperties:
    meta = read_meta_properties(disk, path)
    assert meta is not None
    return meta


def forget_ids(machine: TwoDirs, *paths: str, version: int = 1) -> None:
    for path in paths:
        meta = meta_of(machine.disk, path)
        write_meta_properties(machine.disk, path, meta._replace(directory_id=None, version=version))


@pytest.mark.parametrize("version", [0, 1])
async def test_directories_without_an_id_are_served_and_get_one_that_stays(version: int) -> None:
    """Version 0, with broker.id, is what a migration from ZooKeeper leaves."""
    machine = at_level(DIRECTORY_ASSIGNMENT_SINCE - 1)
    async with machine.two(TopicSpec("t", 4)) as admin:
        for index in range(4):
            assert await admin.produce("t", b"x", index) is ErrorCode.NONE
    before = [meta_of(machine.disk, path) for path in (DATA, OTHER)]
    forget_ids(machine, DATA, OTHER, version=version)
    found = []
    for _ in range(2):
        async with machine.two() as admin:
            for index in range(4):
                assert await admin.leader("t", index) == 1
                assert await admin.values("t", index=index) == [b"x"]
        found.append([meta_of(machine.disk, path) for path in (DATA, OTHER)])
    assert found[0] == found[1]
    for old, new in zip(before, found[0], strict=True):
        assert (new.cluster_id, new.node_id, new.version) == (old.cluster_id, 1, version)
    ids = {meta.directory_id for meta in found[0]}
    assert len(ids) == 2
    assert None not in ids


async def test_one_that_was_left_out_of_a_start_gets_its_id_at_the_next() -> None:
    machine = TwoDirs()
    async with machine.two():
        pass
    kept = meta_of(machine.disk, DATA).directory_id
    forget_ids(machine, OTHER)
    async with machine.broker(TopicSpec("t", 1)) as client:
        assert (await client.produce("t", one(b"x")))[0] is ErrorCode.NONE
    assert meta_of(machine.disk, OTHER).directory_id is None
    async with machine.two():
        pass
    assert meta_of(machine.disk, DATA).directory_id == kept
    assert meta_of(machine.disk, OTHER).directory_id not in (None, kept)


async def test_a_metadata_log_that_lies_alone_gets_its_directory_an_id() -> None:
    machine = TwoDirs()
    settings = {"log.dirs": OTHER, "metadata.log.dir": DATA}
    async with machine.broker(settings=settings):
        pass
    forget_ids(machine, DATA)
    found = []
    for _ in range(2):
        async with machine.broker(settings=settings):
            found.append(meta_of(machine.disk, DATA).directory_id)
    assert found[0] is not None
    assert found[0] == found[1]


async def test_the_id_is_the_one_that_the_controller_goes_by() -> None:
    """As a voter of kraft.version 1 the node is known by it."""
    machine = at_level(METADATA_VERSION_OF_3_9)
    async with machine.two():
        pass
    forget_ids(machine, DATA, OTHER)
    async with machine.two() as admin:
        assert await raise_kraft_version(admin) is ErrorCode.NONE
        request = DescribeQuorumRequest(
            topics=[
                DescribeQuorumRequestTopicData(
                    topic_name="__cluster_metadata",
                    partitions=[DescribeQuorumRequestPartitionData(partition_index=0)],
                )
            ]
        )
        answer = await admin.client.call(request, DescribeQuorumResponse)
        (voter,) = answer.topics[0].partitions[0].current_voters
        assert voter.replica_directory_id == meta_of(machine.disk, DATA).directory_id


async def raise_kraft_version(admin: Admin) -> ErrorCode:
    update = FeatureUpdateKey(feature="kraft.version", max_version_level=1, upgrade_type=1)
    request = UpdateFeaturesRequest(feature_updates=[update])
    return ErrorCode((await admin.client.call(request, UpdateFeaturesResponse)).error_code)


@pytest.mark.parametrize(
    ("name", "content"),
    [("bootstrap.checkpoint", b""), ("__cluster_metadata-0/quorum-state", b"")],
)
async def test_a_start_that_fails_gives_no_id(name: str, content: bytes) -> None:
    machine = TwoDirs()
    async with machine.two():
        pass
    forget_ids(machine, DATA, OTHER)
    machine.disk.write_file_atomic(f"{DATA}/{name}", content)
    with pytest.raises(StartupError, match=name):
        async with machine.two():
            pass
    assert meta_of(machine.disk, DATA).directory_id is None
    assert meta_of(machine.disk, OTHER).directory_id is None


async def test_an_id_that_cannot_be_written_ends_the_start() -> None:
    machine = TwoDirs()
    async with machine.two():
        pass
    forget_ids(machine, DATA)
    machine.disk.fail_next("rename", path_part=f"{DATA}/meta.properties")
    with pytest.raises(StartupError, match=r"meta\.properties"):
        async with machine.two():
            pass
    assert meta_of(machine.disk, DATA).directory_id is None
    async with machine.two():
        pass
    assert meta_of(machine.disk, DATA).directory_id is not None
