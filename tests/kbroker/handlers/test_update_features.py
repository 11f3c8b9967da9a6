"""A broker whose cluster's levels change while it serves."""

from __future__ import annotations

import itertools

import pytest

from kbroker.controller.features import FRESH
from kbroker.controller.records import decode_record
from kbroker.metadata_log.format import format_log_dir
from kbroker.metadata_log.log import MetadataLogConfig, open_metadata_log
from kbroker.node.errors import StartupError
from kbroker.storage.builder import NewRecord, build_batch
from kbroker.storage.checkpoints import read_meta_properties
from kbroker.storage.log_dir_opening import open_log_dir
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from kbroker.wire.messages.create_topics import (
    CreatableTopic,
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from kbroker.wire.messages.update_features import (
    FeatureUpdateKey,
    UpdateFeaturesRequest,
    UpdateFeaturesResponse,
)
from kbroker.wire.records.partition_record import PartitionRecord
from kbroker.wire.records.register_broker_record import RegisterBrokerRecord
from tests.sim.broker import DATA, Client, Machine

MV = "metadata.version"
METADATA = f"{DATA}/__cluster_metadata-0/00000000000000000000.log"
BATCH = build_batch([NewRecord(0, b"key", b"value")])


def formatted(levels: dict[str, int]) -> Machine:
    machine = Machine()
    directory = open_log_dir(machine.disk, DATA, rng=machine.rng, now_ms=0)
    format_log_dir(
        machine.disk,
        directory,
        node_id=1,
        cluster_id=None,
        rng=machine.rng,
        now_ms=0,
        features=levels,
    )
    directory.abandon()
    return machine


async def features(client: Client) -> dict[str, int]:
    """The finalized ones."""
    response = await client.call(
        ApiVersionsRequest(client_software_name="test", client_software_version="1"),
        ApiVersionsResponse,
    )
    return {each.name: each.max_version_level for each in response.finalized_features}


async def update(client: Client, name: str, level: int, version: int) -> UpdateFeaturesResponse:
    return await client.call(
        UpdateFeaturesRequest(
            feature_updates=[FeatureUpdateKey(feature=name, max_version_level=level)]
        ),
        UpdateFeaturesResponse,
        version,
    )


async def create(client: Client, name: str) -> None:
    response = await client.call(
        CreateTopicsRequest(
            topics=[CreatableTopic(name=name, num_partitions=1, replication_factor=1)],
            timeout_ms=1_000,
        ),
        CreateTopicsResponse,
    )
    assert response.topics[0].error_code == ErrorCode.NONE


@pytest.mark.parametrize("version", [0, 1, 2])
async def test_results_by_feature_are_in_the_answer_as_long_as_there_were_any(version: int) -> None:
    async with Machine().broker() as client:
        response = await update(client, "group.version", 1, version)
        assert (response.error_code, response.error_message) == (ErrorCode.NONE, None)
        assert [(e.feature, e.error_code, e.error_message) for e in response.results] == (
            [("group.version", 0, "NONE")] if version < 2 else []
        )
        response = await update(client, "group.version", 2, version)
        assert response.error_code == ErrorCode.INVALID_UPDATE_VERSION
        assert response.error_message is not None
        assert response.error_message.endswith("only supports versions 0-1")
        assert response.results == []


async def test_a_broker_rises_from_the_lowest_level_to_the_highest() -> None:
    machine = formatted({MV: 7})
    async with machine.broker() as client:
        assert await features(client) == {MV: 7}
        await create(client, "old")
        assert (await client.produce("old", BATCH))[0] == ErrorCode.NONE
        for name, level in FRESH.items():
            assert (await update(client, name, level, 2)).error_code == ErrorCode.NONE
        assert await features(client) == FRESH
        await create(client, "new")
        for topic in ("old", "new"):
            assert (await client.produce(topic, BATCH))[0] == ErrorCode.NONE
    async with machine.broker() as client:
        assert await features(client) == FRESH
        for topic in ("old", "new"):
            assert (await client.produce(topic, BATCH))[0] == ErrorCode.NONE


async def test_a_broker_registers_its_directory_once_records_can_say_it() -> None:
    machine = formatted({MV: 16})
    meta = read_meta_properties(machine.disk, DATA)
    assert meta is not None
    directory_id = meta.directory_id
    assert directory_id is not None
    async with machine.broker() as client:
        assert (await update(client, MV, 17, 2)).error_code == ErrorCode.NONE
        for attempt in itertools.count():
            is_there = directory_id in machine.disk.read_file(METADATA)
            await create(client, f"t{attempt}")
            if is_there:
                break
    directory = open_log_dir(machine.disk, DATA, rng=machine.rng, now_ms=0)
    metadata = open_metadata_log(machine.disk, directory, MetadataLogConfig(), now_ms=0)
    records = [
        decode_record(value)
        for batch in metadata.read(0, metadata.end_offset)
        if not batch.is_control
        for value in batch.values
    ]
    before, after = (each for each in records if isinstance(each, RegisterBrokerRecord))
    assert (before.log_dirs, after.log_dirs) == ([], [directory_id])
    assert (before.broker_epoch, before.fenced) == (after.broker_epoch, True)
    assert not after.fenced
    partitions = [each for each in records if isinstance(each, PartitionRecord)]
    assert partitions[-1].directories == [directory_id]
    directory.abandon()


async def test_a_cluster_of_a_later_kafka_does_not_start() -> None:
    machine = formatted({MV: 31})
    with pytest.raises(StartupError) as refusal:
        async with machine.broker():
            pass
    assert str(refusal.value) == (
        "metadata.version is at level 31, from a later Kafka, but this version of "
        "kbroker supports 7 to 30."
    )
