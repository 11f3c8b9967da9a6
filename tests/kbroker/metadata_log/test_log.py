"""The metadata log's files: what a start makes of what it finds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kbroker.controller.raft.election import ElectionState
from kbroker.controller.raft.log import LogPosition, NewBatch, SnapshotId
from kbroker.controller.raft.voters import ReplicaKey, VoterSet
from kbroker.controller.snapshot import snapshot_batches
from kbroker.metadata_log.format import read_bootstrap
from kbroker.metadata_log.snapshots import SnapshotFile, snapshot_name
from kbroker.storage.errors import CorruptFile
from kbroker.wire.records.feature_level_record import FeatureLevelRecord
from tests.controller.parts import DATA, Machine

if TYPE_CHECKING:
    from kbroker.metadata_log.log import MetadataLog
    from tests.sim.disk import SimDisk

METADATA = f"{DATA}/__cluster_metadata-0"
ONE = VoterSet.of(ReplicaKey(1))


@pytest.fixture
def machine() -> Machine:
    made = Machine()
    made.open()
    return made


def reopened(machine: Machine) -> MetadataLog:
    machine.directory.close()
    machine.open()
    return machine.log


def freeze(disk: SimDisk, snapshot: SnapshotId) -> None:
    """One of a cluster that has nothing."""
    file = SnapshotFile(disk, METADATA, snapshot, 0)
    for batch in snapshot_batches(
        [], metadata_version=30, epoch=snapshot.epoch, last_contained_timestamp_ms=0
    ):
        file.append(batch)
    file.freeze()


@pytest.mark.parametrize("kraft_version", [0, 1])
@pytest.mark.parametrize(
    "state",
    [
        ElectionState(epoch=3),
        ElectionState(epoch=3, leader_id=2),
        ElectionState(epoch=3, voted=ReplicaKey(2, bytes(15) + b"\x07")),
    ],
)
def test_the_quorum_state_comes_back_as_it_was_written(
    machine: Machine, state: ElectionState, kraft_version: int
) -> None:
    machine.log.write_election_state(state, ONE, kraft_version)
    read = reopened(machine).read_election_state()
    assert read is not None
    assert (read.epoch, read.leader_id) == (state.epoch, state.leader_id)
    if state.voted is None:
        assert read.voted is None
    else:
        assert read.voted is not None
        assert read.voted.id == 2
        assert read.voted.directory_id == (state.voted.directory_id if kraft_version else None)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"{}", "'data_version' is missing"),
        (b"[]", "list indices"),
        (b'{"leaderId":1,"data_version":0}', "'votedId' is missing"),
        (b'{"leaderEpoch":"x"', "delimiter"),
        (b'{"data_version":7}', "version 7"),
        (b"\xff{}", "not UTF-8 text"),
    ],
)
def test_a_broken_quorum_state_is_named(machine: Machine, content: bytes, reason: str) -> None:
    machine.disk.write_file_atomic(f"{METADATA}/quorum-state", content)
    with pytest.raises(CorruptFile, match=f"quorum-state: not a valid quorum state: .*{reason}"):
        machine.log.read_election_state()


def test_a_metadata_log_of_another_topic_id_is_not_begun_anew(machine: Machine) -> None:
    """A partition's log would be set aside; without the metadata all partitions would."""
    machine.directory.close()
    content = b"version: 0\ntopic_id: 4L6g3nShT-eMCtK--X86sw"
    machine.disk.write_file_atomic(f"{METADATA}/partition.metadata", content)
    with pytest.raises(CorruptFile, match="topic id is 4L6g3nShT-eMCtK--X86sw, but that of the"):
        machine.open()
    assert machine.disk.exists(f"{METADATA}/{0:020}.log")


@pytest.mark.parametrize("keep", [0, 83])
def test_a_snapshot_that_was_cut_off_is_no_state(machine: Machine, keep: int) -> None:
    """At the end of a batch too: the rest would pass for a cluster that has less."""
    snapshot = SnapshotId(0, 1)
    freeze(machine.disk, snapshot)
    path = f"{METADATA}/{snapshot_name(snapshot)}"
    machine.disk.write_file_atomic(path, machine.disk.read_file(path)[:keep])
    machine.directory.close()
    with pytest.raises(
        CorruptFile, match="the file is empty" if keep == 0 else "the file was cut off"
    ):
        machine.open()


def test_what_was_begun_and_never_finished_is_taken_away(machine: Machine) -> None:
    for name in (
        "00000000000000000009-0000000001.checkpoint.part",
        "00000000000000000005-0000000001.checkpoint.deleted",
    ):
        machine.disk.open(f"{METADATA}/{name}", create=True)
    log = reopened(machine)
    assert log.latest_snapshot() is None
    assert not [name for name in machine.disk.list_dir(METADATA) if "checkpoint." in name]


def test_a_log_that_ends_before_the_latest_snapshot_begins_behind_it(machine: Machine) -> None:
    freeze(machine.disk, SnapshotId(40, 3))
    machine.directory.close()
    log = machine.reopened_log()
    assert (log.start, log.end_offset) == (LogPosition(3, 40), 40)
    log.append(NewBatch(base_offset=40, epoch=4, values=[b"x"]), 1)
    assert [batch.base_offset for batch in log.read(40, 41)] == [40]


def test_batches_are_read_back_as_they_were_appended(machine: Machine) -> None:
    log = machine.log
    log.append(NewBatch(base_offset=0, epoch=1, values=[b"a"], control_types=[2]), 10)
    log.append(NewBatch(base_offset=1, epoch=1, values=[b"b", b"c"]), 11)
    log.append(NewBatch(base_offset=3, epoch=2, values=[b"d"]), 12)
    batches = list(log.read(2, 4))
    assert [(each.base_offset, each.end_offset, each.epoch) for each in batches] == [
        (1, 3, 1),
        (3, 4, 2),
    ]
    assert [bytes(value) for value in batches[0].values] == [b"b", b"c"]
    assert batches[0].timestamp_ms == 11
    assert [list(each.control_types) for each in log.read_control(0)] == [[2]]
    assert log.epochs() == [(1, 0), (2, 3)]


def test_truncation_takes_epochs_along_and_is_durable(machine: Machine) -> None:
    log = machine.log
    log.append(NewBatch(base_offset=0, epoch=1, values=[b"a", b"b"]), 1)
    log.append(NewBatch(base_offset=2, epoch=2, values=[b"c"]), 1)
    log.truncate_to(2, 1)
    assert (log.end_offset, log.epochs()) == (2, [(1, 0)])
    log.append(NewBatch(base_offset=2, epoch=3, values=[b"d"]), 1)
    assert reopened(machine).epochs() == [(1, 0), (3, 2)]


def test_a_directory_without_a_bootstrap_file_begins_with_kafkas_defaults(
    machine: Machine,
) -> None:
    machine.disk.unlink(f"{DATA}/bootstrap.checkpoint")
    assert read_bootstrap(machine.disk, DATA, None) == [
        FeatureLevelRecord(name="metadata.version", feature_level=30)
    ]


def test_a_snapshots_name_says_where_it_ends() -> None:
    assert snapshot_name(SnapshotId(42, 7)) == "00000000000000000042-0000000007.checkpoint"
