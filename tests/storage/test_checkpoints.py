"""The small text files: as Kafka writes them, absent, empty, corrupt."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbroker.storage.checkpoints import (
    MetaProperties,
    delete_clean_shutdown,
    has_clean_shutdown,
    parse_uuid,
    read_clean_shutdown_epoch,
    read_leader_epochs,
    read_meta_properties,
    read_offsets,
    read_partition_metadata,
    uuid_text,
    write_clean_shutdown,
    write_meta_properties,
    write_offsets,
    write_partition_metadata,
)
from kbroker.storage.errors import CorruptFile
from tests.sim.disk import SimDisk

PATH = "/data/recovery-point-offset-checkpoint"
DIRECTORY_ID = parse_uuid("LsWd_gPjWXDl3Pn7HgFj3Q")


@pytest.fixture
def disk() -> SimDisk:
    disk = SimDisk(Random(1))
    disk.make_dir("/data")
    return disk


def put(disk: SimDisk, name: str, content: bytes) -> None:
    disk.write_file_atomic(f"/data/{name}", content)


def test_offsets_are_written_as_kafka_does(disk: SimDisk) -> None:
    offsets = {("orders", 0): 2000, ("a.b_c-d", 12): 0, ("orders", 1): 2**62}
    write_offsets(disk, PATH, offsets)
    assert disk.read_file(PATH) == f"0\n3\norders 0 2000\na.b_c-d 12 0\norders 1 {2**62}\n".encode()
    assert read_offsets(disk, PATH) == offsets
    write_offsets(disk, PATH, {})
    assert disk.read_file(PATH) == b"0\n0\n"
    assert read_offsets(disk, PATH) == {}


@pytest.mark.parametrize("content", [None, b"", b"0\n", b"0\n0\n", b"0\n0"])
def test_absent_and_empty_checkpoints_have_no_offsets(disk: SimDisk, content: bytes | None) -> None:
    if content is not None:
        disk.write_file_atomic(PATH, content)
    assert read_offsets(disk, PATH) == {}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"1\n0\n", "version 1"),
        (b"x\n0\n", "malformed line in a checkpoint: 'x'"),
        (b"0\nx\n", "malformed"),
        (b"0\n1\n", "expected 1 entries in a checkpoint, found 0"),
        (b"0\n1\nt 0 1\nt 1 1\n", "expected 1 entries in a checkpoint, found 2"),
        (b"0\n1\nt 0\n", "malformed"),
        (b"0\n1\nt 0 1 2\n", "malformed"),
        (b"0\n1\nt x 1\n", "malformed"),
        (b"0\n1\nt 0 1\n\n", "malformed"),
        (b"\xff\xfe", "UTF-8"),
        (bytes(20), "malformed"),
    ],
)
def test_a_corrupt_checkpoint_is_named(disk: SimDisk, content: bytes, reason: str) -> None:
    disk.write_file_atomic(PATH, content)
    with pytest.raises(CorruptFile, match=reason) as corrupt:
        read_offsets(disk, PATH)
    assert corrupt.value.path == PATH


@pytest.mark.parametrize("line", ["-1 5", "5 -1"])
def test_negative_leader_epochs_are_corrupt(disk: SimDisk, line: str) -> None:
    path = "/data/leader-epoch-checkpoint"
    disk.write_file_atomic(path, f"0\n2\n0 0\n{line}\n".encode())
    with pytest.raises(CorruptFile, match=f"malformed line in a checkpoint: '{line}'"):
        read_leader_epochs(disk, path)


def test_the_lowest_leader_epoch_is_read(disk: SimDisk) -> None:
    disk.write_file_atomic(PATH, b"0\n1\n0 0\n")
    assert read_leader_epochs(disk, PATH) == [(0, 0)]


def test_a_checkpoint_survives_a_power_loss(disk: SimDisk) -> None:
    write_offsets(disk, PATH, {("t", 0): 1})
    disk.fsync_dir("/")
    disk.power_loss(Random(5))
    assert read_offsets(disk, PATH) == {("t", 0): 1}


@given(st.binary(min_size=16, max_size=16))
def test_uuids_are_read_back(uuid: bytes) -> None:
    assert parse_uuid(uuid_text(uuid)) == uuid
    assert len(uuid_text(uuid)) == 22


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "LsWd_gPjWXDl3Pn7HgFj",
        "LsWd_gPjWXDl3Pn7HgFj3Q3Q",
        "é",
        "LsWd_gPjWXDl3Pn7HgFj3Q!",
        "LsWd gPjWXDl3Pn7HgFj3Q",
    ],
)
def test_what_is_no_uuid_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - binascii's text or ours
        parse_uuid(text)


def test_partition_metadata(disk: SimDisk) -> None:
    path = "/data/partition.metadata"
    assert read_partition_metadata(disk, path) is None
    topic_id = parse_uuid("rx34_0TfTnKQt1WTccwYlA")
    write_partition_metadata(disk, path, topic_id)
    assert disk.read_file(path) == b"version: 0\ntopic_id: rx34_0TfTnKQt1WTccwYlA"
    assert read_partition_metadata(disk, path) == topic_id


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"version: 1\ntopic_id: rx34_0TfTnKQt1WTccwYlA",
        b"version: 0\n",
        b"version: 0\ntopic_id: no",
        b"version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAA",
        b"nonsense",
    ],
)
def test_corrupt_partition_metadata_is_named(disk: SimDisk, content: bytes) -> None:
    put(disk, "partition.metadata", content)
    with pytest.raises(CorruptFile, match=r"/data/partition\.metadata"):
        read_partition_metadata(disk, "/data/partition.metadata")


KAFKAS_META_PROPERTIES = b"""#
#Mon Nov 23 17:14:57 UTC 2026
node.id=1
directory.id=LsWd_gPjWXDl3Pn7HgFj3Q
version=1
cluster.id=4L6g3nShT-eMCtK--X86sw
"""


def test_kafkas_meta_properties_are_read(disk: SimDisk) -> None:
    assert read_meta_properties(disk, "/data") is None
    put(disk, "meta.properties", KAFKAS_META_PROPERTIES)
    expected = MetaProperties("4L6g3nShT-eMCtK--X86sw", 1, DIRECTORY_ID)
    assert read_meta_properties(disk, "/data") == expected


@pytest.mark.parametrize(
    "properties",
    [
        MetaProperties("4L6g3nShT-eMCtK--X86sw", 1, DIRECTORY_ID),
        MetaProperties("any = name: it's #1\\", 0, None),
        MetaProperties("c", 3, DIRECTORY_ID, version=0),
        MetaProperties(None, None, None, version=0),
        MetaProperties("c", 1, bytes(15) + b"\x64"),  # the first that is not reserved
    ],
)
def test_meta_properties_are_read_back(disk: SimDisk, properties: MetaProperties) -> None:
    write_meta_properties(disk, "/data", properties)
    assert read_meta_properties(disk, "/data") == properties


def test_java_properties_of_any_form_are_read(disk: SimDisk) -> None:
    text = b"! note\n  cluster.id : a\\:b\\u0041\n\nversion 1\r\nnode.id=\t7\nunknown=x\n"
    put(disk, "meta.properties", text)
    assert read_meta_properties(disk, "/data") == MetaProperties("a:bA", 7, None)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"version=2\n", "unknown version '2'"),
        (b"version=x\n", "unknown version"),
        (b"version=1\nnode.id=1\n", "cluster.id is missing"),
        (b"version=1\ncluster.id=c\n", "node.id is missing"),
        (b"version=1\ncluster.id=c\nnode.id=one\n", "not a number"),
        (b"version=1\ncluster.id=c\nnode.id=1\ndirectory.id=no\n", "not a valid Uuid"),
        (b"version=0\ndirectory.id=AAAAAAAAAAAAAAAAAAAAYw\n", "reserved by Kafka"),
        (b"", "the file is empty"),
        (b"# nothing\n", "no line in the file is known to Kafka"),
        (b"directory.id=LsWd_gPjWXDl3Pn7HgFj3Q\n", "no line in the file"),
    ],
)
def test_corrupt_meta_properties_are_named(disk: SimDisk, content: bytes, reason: str) -> None:
    put(disk, "meta.properties", content)
    with pytest.raises(CorruptFile, match=reason) as corrupt:
        read_meta_properties(disk, "/data")
    assert corrupt.value.path == "/data/meta.properties"


def test_the_clean_shutdown_marker(disk: SimDisk) -> None:
    assert not has_clean_shutdown(disk, "/data")
    assert read_clean_shutdown_epoch(disk, "/data") is None
    write_clean_shutdown(disk, "/data", 14)
    assert disk.read_file("/data/.kafka_cleanshutdown") == b'{"version":0,"brokerEpoch":14}'
    assert has_clean_shutdown(disk, "/data")
    assert read_clean_shutdown_epoch(disk, "/data") == 14
    delete_clean_shutdown(disk, "/data")
    assert not has_clean_shutdown(disk, "/data")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"brokerEpoch":"x"}', b"\xff"])
def test_a_marker_that_tells_no_epoch_is_a_marker(disk: SimDisk, content: bytes) -> None:
    put(disk, ".kafka_cleanshutdown", content)
    assert has_clean_shutdown(disk, "/data")
    assert read_clean_shutdown_epoch(disk, "/data") is None
