"""Data directories with which no broker can start: what it says, and that it leaves them alone.

On the machine's own disk what can be made there, on the simulated one what the system refuses.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from typing import TYPE_CHECKING

import pytest
import trio

from kbroker.config import BrokerConfig
from kbroker.node.broker import Broker
from kbroker.node.errors import StartupError
from kbroker.node.settings import BrokerSettings, TopicSpec
from tests.sim.broker import DATA, Machine

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LISTENER = "PLAINTEXT://127.0.0.1:0"
METADATA = "__cluster_metadata-0"
META = "cluster.id=c\nnode.id=1\nversion=1\n"
AN_ID = "directory.id=rCUFuPcPiZICsNkzaIPKHA\n"
NO_LOG_DIR = "{data} cannot be a log directory: "


async def start(path: Path | str, **settings: str) -> None:
    config = BrokerConfig({"listeners": LISTENER, **settings})
    data = None if "log.dirs" in settings else str(path)
    async with Broker(BrokerSettings(config=config, data_dir=data, topics=(TopicSpec("t", 1),))):
        pass


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that a broker has used and left in order."""
    path = tmp_path_factory.mktemp("template") / "data"
    trio.run(start, path)
    return path


@pytest.fixture
def used(tmp_path: Path, template: Path) -> Path:
    return shutil.copytree(template, tmp_path / "data")


def tree(folder: Path) -> dict[str, bytes | str | None]:
    """Everything there with its contents; where links lead to."""
    found: dict[str, bytes | str | None] = {}
    for path in sorted(folder.rglob("*")):
        if path.name != ".lock":
            name = str(path.relative_to(folder))
            if path.is_symlink():
                found[name] = os.readlink(path)
            else:
                found[name] = path.read_bytes() if path.is_file() else None
    return found


async def assert_refused(data: Path, sentence: str, **settings: str) -> None:
    """With the sentence, in which {data} and {folder} stand for paths; and nothing has changed."""
    before = tree(data.parent)
    with pytest.raises(StartupError) as refused:
        await start(data, **settings)
    assert str(refused.value) == sentence.format(data=data, folder=data.parent) + "."
    assert tree(data.parent) == before


def meta(text: str) -> Callable[[Path], object]:
    return lambda data: (data / "meta.properties").write_text(text)


def put(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda data: (data / name).write_bytes(content)


def a_directory(name: str) -> Callable[[Path], object]:
    def make(data: Path) -> None:
        (data / name).unlink(missing_ok=True)
        (data / name).mkdir()

    return make


def copied(name: str, size: int, *, to: str) -> Callable[[Path], object]:
    """The beginning of a file as another one."""
    return lambda data: (data / to).write_bytes((data / name).read_bytes()[:size])


def a_dangling_meta(data: Path) -> None:
    (data / "meta.properties").unlink()
    (data / "meta.properties").symlink_to("/nowhere/meta.properties")


SNAPSHOT = f"{METADATA}/{4:020}-{1:010}.checkpoint"
BEFORE_THE_LOG = f"{METADATA}/{0:020}-{0:010}.checkpoint"


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        pytest.param(
            lambda data: (data / "meta.properties").unlink(),
            NO_LOG_DIR
            + "it has no meta.properties, which identifies its owner, but it contains Kafka's "
            "files "
            "('.kafka_cleanshutdown', '__cluster_metadata-0', 'log-start-offset-checkpoint' "
            "and 3 more). Restore that file, or choose an empty directory",
            id="meta.properties-missing",
        ),
        pytest.param(
            a_dangling_meta,
            NO_LOG_DIR + "its meta.properties is a link to a file that does not exist",
            id="meta.properties-dangling",
        ),
        pytest.param(
            a_directory("meta.properties"),
            NO_LOG_DIR + "'meta.properties' in it is a directory, but must be a file",
            id="meta.properties-directory",
        ),
        pytest.param(
            meta(""),
            "{data}/meta.properties: the file is empty; it must contain cluster.id, "
            "node.id and version",
            id="meta.properties-empty",
        ),
        pytest.param(
            meta("hello\n"),
            "{data}/meta.properties: no line in the file is known to Kafka; it must contain "
            "cluster.id, node.id and version",
            id="meta.properties-text",
        ),
        pytest.param(
            put("meta.properties", b"\xff\xfe\0"),
            "{data}/meta.properties: the file is not UTF-8 text",
            id="meta.properties-garbage",
        ),
        pytest.param(
            meta(META.replace("version=1", "version=2")),
            "{data}/meta.properties: unknown version '2'",
            id="meta.properties-version",
        ),
        pytest.param(
            meta("node.id=1\nversion=1\n"),
            "{data}/meta.properties: cluster.id is missing",
            id="cluster.id-missing",
        ),
        pytest.param(
            meta("cluster.id=c\nversion=1\n"),
            "{data}/meta.properties: node.id is missing",
            id="node.id-missing",
        ),
        pytest.param(
            meta(META.replace("node.id=1", "node.id=one")),
            "{data}/meta.properties: node.id is not a number: 'one'",
            id="node.id-text",
        ),
        pytest.param(
            meta(META.replace("node.id=1", "node.id=7")),
            NO_LOG_DIR + "it belongs to node 7, but this is node 1",
            id="node.id-another",
        ),
        pytest.param(
            meta("broker.id=7\ncluster.id=c\nversion=0\n"),
            NO_LOG_DIR + "it belongs to node 7, but this is node 1",
            id="broker.id-another",
        ),
        pytest.param(
            meta("broker.id=1\n"),
            NO_LOG_DIR + "its meta.properties has no cluster.id",
            id="version-0-without-cluster.id",
        ),
        pytest.param(
            meta("cluster.id=c\nversion=0\n"),
            NO_LOG_DIR + "its meta.properties has no broker.id",
            id="version-0-without-broker.id",
        ),
        pytest.param(
            meta(META + "directory.id=garbage\n"),
            "{data}/meta.properties: directory.id is not a valid Uuid: 'garbage'",
            id="directory.id-text",
        ),
        pytest.param(
            meta(META + AN_ID.replace("KHA", "KHA!!")),
            "{data}/meta.properties: directory.id is not a valid Uuid: 'rCUFuPcPiZICsNkzaIPKHA!!'",
            id="directory.id-with-more",
        ),
        pytest.param(
            meta(META + "directory.id=AAAAAAAAAAAAAAAAAAAAAA\n"),
            "{data}/meta.properties: directory.id is reserved by Kafka: AAAAAAAAAAAAAAAAAAAAAA",
            id="directory.id-reserved",
        ),
        pytest.param(
            put("bootstrap.checkpoint", b""),
            "{data}/bootstrap.checkpoint: the file is empty",
            id="bootstrap-empty",
        ),
        pytest.param(
            put("bootstrap.checkpoint", b"garbage" * 20),
            "{data}/bootstrap.checkpoint: the file is damaged: invalid magic in a "
            "record batch: 114",
            id="bootstrap-garbage",
        ),
        pytest.param(
            copied("bootstrap.checkpoint", 83, to="bootstrap.checkpoint"),
            "{data}/bootstrap.checkpoint: no record in the file sets metadata.version",
            id="bootstrap-header-alone",
        ),
        pytest.param(
            copied("bootstrap.checkpoint", 200, to="bootstrap.checkpoint"),
            "{data}/bootstrap.checkpoint: the file is damaged: record batch of 253 "
            "bytes is cut off "
            "after 117",
            id="bootstrap-cut-off",
        ),
        pytest.param(
            a_directory("bootstrap.checkpoint"),
            NO_LOG_DIR + "'bootstrap.checkpoint' in it is a directory, but must be a file",
            id="bootstrap-directory",
        ),
        pytest.param(
            put(BEFORE_THE_LOG, b""),
            f"{{data}}/{BEFORE_THE_LOG}: the file is empty",
            id="bootstrap-snapshot-empty",
        ),
        pytest.param(
            put(SNAPSHOT, b"garbage" * 20),
            f"{{data}}/{SNAPSHOT}: the file is damaged: invalid magic in a record batch: 114",
            id="snapshot-garbage",
        ),
        pytest.param(
            put(SNAPSHOT, b""),
            f"{{data}}/{SNAPSHOT}: the file is empty",
            id="snapshot-empty",
        ),
        pytest.param(
            copied("bootstrap.checkpoint", 83 + 253, to=SNAPSHOT),
            f"{{data}}/{SNAPSHOT}: the file was cut off: it does not end with the "
            "footer of a snapshot",
            id="snapshot-cut-off",
        ),
        pytest.param(
            copied(f"{METADATA}/{0:020}.log", 91, to=SNAPSHOT),
            f"{{data}}/{SNAPSHOT}: the file does not begin with the header of a snapshot",
            id="snapshot-of-something-else",
        ),
        pytest.param(
            put(f"{METADATA}/quorum-state", b""),
            f"{{data}}/{METADATA}/quorum-state: not a valid quorum state: the file is empty",
            id="quorum-state-empty",
        ),
        pytest.param(
            put(f"{METADATA}/quorum-state", b"\xff"),
            f"{{data}}/{METADATA}/quorum-state: not a valid quorum state: the file is "
            "not UTF-8 text",
            id="quorum-state-garbage",
        ),
        pytest.param(
            a_directory(f"{METADATA}/quorum-state"),
            f"{{data}}/{METADATA}/quorum-state: Is a directory",
            id="quorum-state-directory",
        ),
        pytest.param(
            put(f"{METADATA}/partition.metadata", b"version: 0\ntopic_id: no"),
            f"{{data}}/{METADATA}/partition.metadata: invalid topic id: no",
            id="metadata-topic-id-garbage",
        ),
        pytest.param(
            put(f"{METADATA}/partition.metadata", b"version: 0\ntopic_id: rCUFuPcPiZICsNkzaIPKHA"),
            f"{{data}}/{METADATA}/partition.metadata: the topic id is rCUFuPcPiZICsNkzaIPKHA, but "
            "that of the metadata log is AAAAAAAAAAAAAAAAAAAAAQ",
            id="metadata-topic-id-another",
        ),
        pytest.param(
            put(f"{METADATA}/leader-epoch-checkpoint", b"garbage"),
            f"{{data}}/{METADATA}/leader-epoch-checkpoint: malformed line in a checkpoint: "
            "'garbage'",
            id="metadata-epochs-garbage",
        ),
        pytest.param(
            a_directory("recovery-point-offset-checkpoint"),
            NO_LOG_DIR + "'recovery-point-offset-checkpoint' in it is a directory, but must be a "
            "file",
            id="checkpoint-directory",
        ),
        pytest.param(
            lambda data: (data / "holiday").mkdir(),
            NO_LOG_DIR + "'holiday' in it is not the directory of a partition",
            id="strange-directory",
        ),
    ],
)
async def test_what_is_wrong_with_a_directory_that_was_used(
    used: Path, damage: Callable[[Path], object], sentence: str
) -> None:
    damage(used)
    await assert_refused(used, sentence)


def a_file(data: Path) -> None:
    data.write_text("x")


def a_dangling_link(data: Path) -> None:
    data.symlink_to(data.parent / "gone")


def a_link_to_itself(data: Path) -> None:
    data.symlink_to(data)


def a_link_to_a_file(data: Path) -> None:
    (data.parent / "file").write_text("x")
    data.symlink_to("file")


def a_home(data: Path) -> None:
    data.mkdir()
    for name in (".bashrc", ".profile", ".ssh", "notes"):
        (data / name).touch()


def half_formatted(data: Path) -> None:
    (data / METADATA).mkdir(parents=True)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (a_file, "{data}: it is not a directory"),
        (a_dangling_link, "{data}: it is a link to {folder}/gone, which does not exist"),
        (a_link_to_itself, "{data}: it is a link that leads to itself"),
        (a_link_to_a_file, "{data}: it is not a directory"),
        (
            a_home,
            NO_LOG_DIR + "it has no meta.properties, so it must be new and empty, but it contains "
            "'.bashrc', '.profile', '.ssh' and 1 more",
        ),
        (
            half_formatted,
            NO_LOG_DIR
            + "it has no meta.properties, which identifies its owner, but it contains Kafka's "
            "files "
            "('__cluster_metadata-0'). Restore that file, or choose an empty directory",
        ),
    ],
)
async def test_what_is_wrong_with_a_new_directory(
    tmp_path: Path, make: Callable[[Path], object], sentence: str
) -> None:
    make(tmp_path / "data")
    await assert_refused(tmp_path / "data", sentence)


async def test_what_is_wrong_on_the_way_to_a_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to("gone")
    for name, sentence in (
        ("file/data", "{data}: {folder} is not a directory"),
        ("link/data", "{data}: {folder} is a link to gone, which does not exist"),
        ("x" * 300, "{data}: it cannot be created: File name too long"),
    ):
        with pytest.raises(StartupError) as refused:
            await start(tmp_path / name)
        path = tmp_path / name
        assert str(refused.value) == sentence.format(data=path, folder=path.parent) + "."
    assert sorted(os.listdir(tmp_path)) == ["file", "link"]


def another_clusters(second: Path) -> None:
    shutil.rmtree(second / METADATA)
    meta(META + AN_ID)(second)


def a_link_to_the_first(second: Path) -> None:
    shutil.rmtree(second)
    second.symlink_to("data")


@pytest.mark.parametrize(
    ("change", "settings", "sentence"),
    [
        (
            lambda second: shutil.rmtree(second / METADATA),
            {"log.dirs": "{data},{folder}/second"},
            "{data} and {folder}/second have the same directory.id in their meta.properties: one "
            "is a copy of the other",
        ),
        (
            lambda second: shutil.rmtree(second / METADATA),
            {"log.dirs": "{folder}/second", "metadata.log.dir": "{data}"},
            "{data} and {folder}/second have the same directory.id in their meta.properties: one "
            "is a copy of the other",
        ),
        (
            another_clusters,
            {"log.dirs": "{data},{folder}/second"},
            "{folder}/second cannot be a log directory: it belongs to cluster c, but this is "
            "cluster {cluster}",
        ),
        (
            lambda second: None,
            {"log.dirs": "{data},{folder}/second"},
            "{folder}/second cannot be a log directory: it holds a metadata log, "
            "__cluster_metadata-0, but the metadata log of this broker belongs in "
            "{data} (set by metadata.log.dir, else "
            "the first of log.dirs)",
        ),
        (
            lambda second: shutil.rmtree(second / METADATA),
            {"log.dirs": "{folder}/second,{data}"},
            "{data} cannot be a log directory: it holds a metadata log, __cluster_metadata-0, but "
            "the metadata log of this broker belongs in {folder}/second (set by "
            "metadata.log.dir, else the first of "
            "log.dirs)",
        ),
        (
            a_link_to_the_first,
            {"log.dirs": "{data},{folder}/second"},
            "log.dirs={data},{folder}/second: a directory is listed twice",
        ),
    ],
)
async def test_two_directories_that_do_not_go_together(
    used: Path, change: Callable[[Path], object], settings: dict[str, str], sentence: str
) -> None:
    second = used.parent / "second"
    shutil.copytree(used, second)
    change(second)
    (line,) = (x for x in (used / "meta.properties").read_text().splitlines() if "cluster.id" in x)
    cluster = line.partition("=")[2]
    paths = {key: value.format(data=used, folder=used.parent) for key, value in settings.items()}
    await assert_refused(used, sentence.replace("{cluster}", cluster), **paths)


async def test_a_directory_of_zookeepers_days_is_not_emptied_of_its_partitions(
    tmp_path: Path,
) -> None:
    data = tmp_path / "data"
    (data / "orders-3").mkdir(parents=True)
    meta("broker.id=1\ncluster.id=c\nversion=0\n")(data)
    await assert_refused(
        data,
        NO_LOG_DIR + "its meta.properties is of version 0, from a Kafka with ZooKeeper, and no "
        "metadata log describes its partitions (orders-3); migrate the cluster to KRaft with Kafka "
        "3.9 first",
    )


async def test_a_link_to_the_metadata_logs_directory_is_that_directory(used: Path) -> None:
    (used.parent / "link").symlink_to("data")
    await start(used, **{"log.dirs": str(used), "metadata.log.dir": f"{used.parent}/link"})
    await start(used)


async def test_a_directory_in_use_is_said_to_be(tmp_path: Path) -> None:
    config = BrokerConfig({"listeners": LISTENER})
    async with Broker(BrokerSettings(config=config, data_dir=str(tmp_path))):
        with pytest.raises(StartupError) as refused:
            await start(tmp_path)
    assert str(refused.value) == f"{tmp_path} is in use by another process."


@pytest.mark.parametrize(
    ("operation", "error", "path"),
    [
        ("list_dir", errno.EACCES, ""),
        ("open", errno.EACCES, "/.lock"),
        ("create", errno.EROFS, "/.lock"),
        ("open", errno.EACCES, "/meta.properties"),
        ("open", errno.EIO, "/meta.properties"),
        ("open", errno.EACCES, "/bootstrap.checkpoint"),
        ("open", errno.EACCES, f"/{METADATA}/quorum-state"),
        ("open", errno.EACCES, f"/{METADATA}/{0:020}.log"),
        ("unlink", errno.EROFS, "/.kafka_cleanshutdown"),
        ("list_dir", errno.EIO, f"/{METADATA}"),
    ],
)
async def test_what_the_system_refuses_is_said_in_its_words(
    operation: str, error: int, path: str
) -> None:
    machine = Machine()
    async with machine.broker(TopicSpec("t", 1)):
        pass
    if path == "/.lock":
        machine.disk.unlink(f"{DATA}/.lock")
    machine.disk.fail_next(operation, error, f"{DATA}{path}")
    sentence = f"{DATA}{path}: {os.strerror(error)}."
    with pytest.raises(StartupError, match=f"^{re.escape(sentence)}$"):
        async with machine.broker():
            pass
    async with machine.broker():
        pass


async def test_a_disk_without_room_for_a_new_directory_is_one_sentence() -> None:
    machine = Machine()
    machine.disk.capacity = 100
    with pytest.raises(StartupError, match=rf"^{DATA}/.*: No space left on device\.$"):
        async with machine.broker():
            pass
    machine.disk.capacity = None
    async with machine.broker():
        pass
