"""What stands in a file before the log: the first leader writes it into the log, and only then it
counts.
"""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kbroker.controller.bootstrap import (
    BOOTSTRAP_SNAPSHOT,
    bootstrap_batches,
    bootstrap_records,
)
from kbroker.controller.features import FRESH, UnsupportedLevel
from kbroker.controller.loader import load
from kbroker.controller.raft.control import quorum_records
from kbroker.controller.raft.log import NewBatch
from kbroker.controller.raft.voters import Endpoint, ReplicaKey, Voter, VoterSet
from kbroker.controller.records import decode_record
from kbroker.controller.snapshot import snapshot_batches
from kbroker.metadata_log.format import read_bootstrap
from kbroker.metadata_log.log import MetadataLogConfig
from kbroker.metadata_log.snapshots import SnapshotFile, snapshot_name
from kbroker.storage.checkpoints import MetaProperties, write_meta_properties
from kbroker.storage.errors import CorruptFile, StorageError
from kbroker.wire.codes import CLUSTER_DEFAULT, ResourceType, UpgradeType
from kbroker.wire.messages.create_topics import CreateTopicsRequest, CreateTopicsResponse
from kbroker.wire.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)
from kbroker.wire.messages.update_features import (
    FeatureUpdateKey,
    UpdateFeaturesRequest,
    UpdateFeaturesResponse,
)
from kbroker.wire.records.begin_transaction_record import BeginTransactionRecord
from kbroker.wire.records.config_record import ConfigRecord
from kbroker.wire.records.end_transaction_record import EndTransactionRecord
from kbroker.wire.records.feature_level_record import FeatureLevelRecord
from kbroker.wire.records.user_scram_credential_record import UserScramCredentialRecord
from kbroker.wire.uuids import parse_uuid
from tests.sim.disk import PowerLoss

from .parts import CLUSTER, DATA, DIRECTORY, Machine, topic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from kbroker.controller.controller import Controller
    from kbroker.controller.image import MetadataImage
    from kbroker.wire.message import Message

METADATA = f"{DATA}/__cluster_metadata-0"
SNAPSHOT = f"{METADATA}/{snapshot_name(BOOTSTRAP_SNAPSHOT)}"
MV, ELR = "metadata.version", "eligible.leader.replicas.version"
ALICE = UserScramCredentialRecord(
    name="alice", mechanism=1, salt=b"salt", stored_key=b"s", server_key=b"k", iterations=4096
)
SEEDS = int(os.environ.get("KBROKER_CRASH_SEEDS", "25"))
FORMATTED = Path(__file__).parent / "data"  # by Apache Kafka's own tool


def formatted(records: Iterable[Message], *, control: bool = False) -> Machine:
    """A directory as Kafka 4.4's `kafka-storage format` leaves it, with the voter if `control`."""
    me = Voter(ReplicaKey(1, DIRECTORY), (("CONTROLLER", Endpoint("h", 9093)),))
    batches = snapshot_batches(
        records,
        metadata_version=30,
        epoch=0,
        last_contained_timestamp_ms=1_700_000_000_000,
        control=quorum_records(VoterSet({1: me}), 1) if control else (),
    )
    machine = with_meta()
    write_snapshot(machine, batches)
    return machine


def with_meta(directory_id: bytes = DIRECTORY) -> Machine:
    machine = Machine()
    machine.disk.make_dir(METADATA)
    write_meta_properties(machine.disk, DATA, MetaProperties(CLUSTER, 1, directory_id))
    machine.disk.fsync_dir("/")
    machine.disk.fsync_dir(DATA)
    return machine


def write_snapshot(machine: Machine, batches: Iterable[NewBatch]) -> None:
    file = SnapshotFile(machine.disk, METADATA, BOOTSTRAP_SNAPSHOT, 0)
    for batch in batches:
        file.append(batch)
    file.freeze()


def logged(machine: Machine) -> list[list[Message]]:
    """The metadata records in the log of a node that was closed, batch by batch."""
    log = machine.reopened_log()
    found = [
        [decode_record(value) for value in batch.values]
        for batch in log.read(0, log.end_offset)
        if not batch.is_control
    ]
    machine.directory.close()
    return found


def level_records(machine: Machine) -> int:
    return sum(isinstance(each, FeatureLevelRecord) for batch in logged(machine) for each in batch)


def image_of(machine: Machine, *, log_alone: bool) -> MetadataImage:
    """What somebody reads from the directory who takes no bootstrap for state."""
    for name in machine.disk.list_dir(METADATA) if log_alone else ():
        if name.endswith(".checkpoint"):
            machine.disk.unlink(f"{METADATA}/{name}")
    log = machine.reopened_log()
    loaded = load(log, VoterSet.of(ReplicaKey(1)))
    for batch in log.read(loaded.image.offset + 1, log.end_offset):
        if not batch.is_control:
            records = [decode_record(value) for value in batch.values]
            loaded.image.apply(records, batch.base_offset, batch.epoch)
    machine.directory.close()
    return loaded.image


async def create(controller: Controller, name: str) -> None:
    response = await controller.channel.send(CreateTopicsRequest(topics=[topic(name)]))
    assert isinstance(response, CreateTopicsResponse)
    assert response.topics[0].error_code == 0


async def update(controller: Controller, feature: str, level: int, how: UpgradeType) -> None:
    key = FeatureUpdateKey(feature=feature, max_version_level=level, upgrade_type=how)
    response = await controller.channel.send(UpdateFeaturesRequest(feature_updates=[key]))
    assert isinstance(response, UpdateFeaturesResponse)
    assert response.error_code == 0, response.error_message


async def set_min_isr(controller: Controller, value: str) -> None:
    resource = AlterConfigsResource(
        resource_type=ResourceType.BROKER,
        resource_name=CLUSTER_DEFAULT,
        configs=[AlterableConfig(name="min.insync.replicas", value=value)],
    )
    request = IncrementalAlterConfigsRequest(resources=[resource])
    response = await controller.channel.send(request)
    assert isinstance(response, IncrementalAlterConfigsResponse)
    assert response.responses[0].error_code == 0


@pytest.mark.parametrize("level", [7, 12, 13, 25, 30])
async def test_the_first_leader_writes_the_snapshot_before_the_log_into_it(level: int) -> None:
    bootstrap: list[Message] = [FeatureLevelRecord(name=MV, feature_level=level), ALICE]
    machine = formatted(bootstrap)
    async with machine.running() as controller:
        assert controller.image.features == {MV: level}
        assert list(controller.image.kept.scram.values()) == [ALICE]
    first = logged(machine)[0]
    if level >= 13:
        first = unpacked(first)
    assert first == bootstrap
    async with machine.running() as controller:
        assert controller.image.features == {MV: level}
    assert level_records(machine) == 1
    assert machine.disk.exists(SNAPSHOT)
    assert image_of(machine, log_alone=True).features == {MV: level}


def unpacked(records: list[Message]) -> list[Message]:
    """What stands in the bootstrap's transaction."""
    assert records[0] == BeginTransactionRecord(name="Bootstrap records")
    assert records[-1] == EndTransactionRecord()
    return records[1:-1]


@pytest.mark.parametrize(
    ("name", "levels", "more"),
    [
        ("4.3-scram", FRESH, ["alice"]),
        ("3.9-standalone", {MV: 21}, []),
    ],
)
async def test_a_directory_that_kafka_4_4_formatted_begins_as_it_says(
    name: str, levels: Mapping[str, int], more: list[str]
) -> None:
    """The files are those of its tool; its broker's log begins with the same batch."""
    is_dynamic = name.endswith("standalone")
    machine = with_meta(parse_uuid("tZlikYI6RYe7sb6cRHB04g"))  # the voter in the file
    content = (FORMATTED / f"apache-kafka-4.4.0-format-{name}.checkpoint").read_bytes()
    machine.disk.write_file_atomic(SNAPSHOT, content)
    async with machine.running() as controller:
        assert controller.kraft_version == int(is_dynamic)
        assert controller.image.features == levels
    first = unpacked(logged(machine)[0])
    assert [each.name for each in first if isinstance(each, FeatureLevelRecord)] == list(
        ["metadata.version", *sorted(levels.keys() - {MV})]
    )
    assert [each.name for each in first if isinstance(each, UserScramCredentialRecord)] == more
    assert any(isinstance(each, ConfigRecord) for each in first) is (ELR in levels)


@pytest.mark.parametrize(
    ("file", "snapshot", "level"),
    [
        (21, 25, 25),
        (21, None, 21),
        (None, 25, 25),
        (None, None, FRESH[MV]),
    ],
)
def test_the_snapshot_goes_before_the_file_if_it_holds_records(
    file: int | None, snapshot: int | None, level: int
) -> None:
    """Kafka 4.3 for a dynamic quorum leaves the voters in the one, the records in the other."""
    machine = formatted(
        [] if snapshot is None else bootstrap_records({MV: snapshot}), control=snapshot is None
    )
    if file is not None:
        # As 4.3 leaves it: its snapshots have the same form.
        named = SnapshotFile(machine.disk, DATA, BOOTSTRAP_SNAPSHOT, 0)
        for batch in bootstrap_batches({MV: file}):
            named.append(batch)
        named.freeze()
        machine.disk.rename(
            f"{DATA}/{snapshot_name(BOOTSTRAP_SNAPSHOT)}", f"{DATA}/bootstrap.checkpoint"
        )
    assert read_bootstrap(machine.disk, DATA, BOOTSTRAP_SNAPSHOT) == bootstrap_records({MV: level})


def test_a_snapshot_before_the_log_at_a_later_level_is_refused() -> None:
    with pytest.raises(UnsupportedLevel, match="level 33, from a later Kafka"):
        formatted(bootstrap_records({MV: 33})).open()


# Directories that were written without the bootstrap in the log.


async def lacking(machine: Machine) -> Machine:
    """The same log without its bootstrap, as a kbroker wrote it that took the snapshot for state.

    `machine` is closed.
    """
    read = machine.reopened_log()
    written = list(read.read(0, read.end_offset))
    machine.directory.close()
    other = with_meta()
    other.log_config = MetadataLogConfig(retention_ms=-1)  # all of it is looked at in the end
    other.disk.write_file_atomic(SNAPSHOT, machine.disk.read_file(SNAPSHOT))
    log = other.reopened_log()
    bootstrap = next(batch for batch in written if not batch.is_control)
    for batch in written:
        if batch is not bootstrap:
            values = [bytes(value) for value in batch.values]
            log.append(NewBatch(log.end_offset, batch.epoch, values, batch.control_types), 1)
    other.directory.close()
    return other


@pytest.mark.parametrize("level", [7, 25, 30])
async def test_a_log_that_lacks_its_bootstrap_gets_it_once(level: int) -> None:
    levels = {**FRESH, MV: level} if level >= 23 else {MV: level}
    whole = formatted([*bootstrap_records(levels), ALICE])
    async with whole.running() as controller:
        await create(controller, "before")
    machine = await lacking(whole)
    assert level_records(machine) == 0
    async with machine.running() as controller:
        assert controller.image.features == levels
        assert "before" in controller.image.topics
        assert controller.image.kept.scram == {("alice", 1): ALICE}
        is_elr = ELR in levels
        of_cluster = controller.image.configs.get((ResourceType.BROKER, CLUSTER_DEFAULT), {})
        assert of_cluster == ({"min.insync.replicas": "1"} if is_elr else {})
        await create(controller, "after")
    # Replay from the beginning goes through records without a level: a snapshot spares Kafka that.
    snapshot = machine.reopened_log().latest_snapshot()
    machine.directory.close()
    assert snapshot is not None
    assert snapshot.end_offset > 0
    for _ in range(2):
        async with machine.running() as controller:
            assert controller.image.features == levels
            assert {"before", "after"} <= controller.image.topics.keys()
    assert level_records(machine) == len(levels)
    assert image_of(machine, log_alone=False).features == levels
    alone = image_of(machine, log_alone=True)
    assert alone.features == levels
    assert alone.kept.scram == {("alice", 1): ALICE}
    assert alone.configs.get((ResourceType.BROKER, CLUSTER_DEFAULT), {}) == of_cluster


async def test_what_has_changed_since_stays_as_it_was_changed() -> None:
    whole = formatted([*bootstrap_records({**FRESH, MV: 25}), ALICE])
    async with whole.running() as controller:
        await update(controller, MV, 30, UpgradeType.UPGRADE)
        await update(controller, "transaction.version", 1, UpgradeType.SAFE_DOWNGRADE)
        await update(controller, "share.version", 0, UpgradeType.SAFE_DOWNGRADE)
        await set_min_isr(controller, "2")
    machine = await lacking(whole)
    expected = {**FRESH, MV: 30, "transaction.version": 1}
    del expected["share.version"]
    async with machine.running() as controller:
        assert controller.image.features == expected
        of_cluster = controller.image.configs[ResourceType.BROKER, CLUSTER_DEFAULT]
        assert of_cluster == {"min.insync.replicas": "2"}
    assert image_of(machine, log_alone=True).features == expected


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_a_power_loss_while_it_is_mended_takes_nothing(seed: int) -> None:
    rng = random.Random(seed)
    whole = formatted([*bootstrap_records(FRESH), ALICE])
    async with whole.running() as controller:
        await create(controller, "before")
    machine = await lacking(whole)
    machine.disk.crash_at = machine.disk.calls + rng.randint(1, 80)
    try:
        async with machine.running():
            pass
    except* (PowerLoss, StorageError):
        pass
    machine.disk.power_loss(rng)
    async with machine.running() as controller:
        assert controller.image.features == FRESH
        assert "before" in controller.image.topics
        assert controller.image.kept.scram == {("alice", 1): ALICE}
    assert image_of(machine, log_alone=True).features == FRESH


async def test_once_there_is_a_later_snapshot_the_one_before_the_log_is_not_read() -> None:
    machine = formatted(bootstrap_records(FRESH))
    machine.log_config = MetadataLogConfig(retention_ms=-1)
    async with machine.running() as controller:
        await controller.write_snapshot()
    machine.disk.write_file_atomic(SNAPSHOT, b"garbage")
    async with machine.running() as controller:
        assert controller.image.features == FRESH


# Files that make no sense.


def cut(content: bytes) -> bytes:
    """Without its footer, which is the last batch."""
    return content[:-75]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda content: b"", "the file is empty"),
        (lambda content: content[:30], "the file is damaged: 30 bytes after the last record batch"),
        (lambda content: content[:200], "the file is damaged: record batch of .* is cut off"),
        (lambda content: bytes(len(content)), "the file is damaged: record batches of magic 0"),
        (lambda content: b"garbage" * 40, "the file is damaged: invalid magic"),
        (lambda content: content[:160] + b"?" + content[161:], "the file is damaged: .*crc"),
    ],
)
@pytest.mark.parametrize("path", [SNAPSHOT, f"{DATA}/bootstrap.checkpoint"])
def test_a_damaged_file_is_named_with_what_is_wrong(
    path: str, damage: Callable[[bytes], bytes], reason: str
) -> None:
    machine = formatted(bootstrap_records(FRESH))
    machine.disk.write_file_atomic(path, damage(machine.disk.read_file(SNAPSHOT)))
    with pytest.raises(CorruptFile, match=reason) as caught:
        read_bootstrap(machine.disk, DATA, BOOTSTRAP_SNAPSHOT)
    assert caught.value.path == path


@pytest.mark.parametrize("path", [SNAPSHOT, f"{DATA}/bootstrap.checkpoint"])
def test_records_without_a_metadata_version_are_no_bootstrap(path: str) -> None:
    machine = formatted([ALICE])
    if path != SNAPSHOT:
        machine.disk.rename(SNAPSHOT, f"{METADATA}/moved")
        machine.disk.write_file_atomic(path, machine.disk.read_file(f"{METADATA}/moved"))
    with pytest.raises(CorruptFile, match="no record in the file sets metadata"):
        read_bootstrap(machine.disk, DATA, BOOTSTRAP_SNAPSHOT)


def test_a_snapshot_that_lost_its_footer_was_cut_off() -> None:
    machine = formatted(bootstrap_records(FRESH))
    machine.disk.write_file_atomic(SNAPSHOT, cut(machine.disk.read_file(SNAPSHOT)))
    with pytest.raises(CorruptFile, match="cut off"):
        machine.open()
    # A bootstrap.checkpoint is as long as it is: what it sets counts.
    machine.disk.write_file_atomic(f"{DATA}/bootstrap.checkpoint", machine.disk.read_file(SNAPSHOT))
    assert read_bootstrap(machine.disk, DATA, None) == bootstrap_records(FRESH)
