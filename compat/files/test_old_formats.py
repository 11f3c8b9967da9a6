"""Directories with formats 0 and 1, with a segment missing, with a damaged end: Apache Kafka and
kbroker serve the same of them.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from compat import apache
from compat.behaviour.asking import (
    EARLIEST,
    LATEST,
    await_leaders,
    bytes_of,
    describe,
    fetch,
    fetch_request,
    list_offset,
    make_topic,
)
from compat.brokers import REPOSITORY, ApacheKafka, Kbroker
from compat.clients.java_client import JavaClient
from compat.files.old_formats import (
    MODIFIED_S,
    SOURCE,
    STAMP,
    Maker,
    Written,
    lay_out,
    old_segments,
)
from compat.raw import RawClient
from kbroker.storage.formats import SIZE_MIN, header_of
from kbroker.wire.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    DeleteRecordsTopic,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from compat.brokers import BrokerProcess

pytestmark = [pytest.mark.java, pytest.mark.own_broker]

MAX_TIMESTAMP = -3
SETTINGS = {"log.retention.ms": "-1", "log.initial.task.delay.ms": "3600000"}
SEGMENTS = old_segments()
RELEASE = "4.3"  # the levels that both know, whatever the jars are
END = max(part.first_offset + part.records for parts in SEGMENTS.values() for part in parts)
BASES = list(SEGMENTS)
# By topic, the segments it has.
TOPICS: dict[str, dict[int, list[Written]]] = {
    "all": SEGMENTS,
    "format-0": {0: SEGMENTS[0]},
    "format-1": {BASES[1]: SEGMENTS[BASES[1]]},
    "hole": {base: SEGMENTS[base] for base in BASES if base != BASES[2]},
    "torn": {base: SEGMENTS[base] for base in BASES[:2]},
    "aside": {0: SEGMENTS[0]},
}
ASIDE = ("aside-1-00000000000000000000.log-1476", "aside-2-leader-epoch-checkpoint-0")
STATES = [
    pytest.param(stop, indexes, marks=pytest.mark.ci if quick else pytest.mark.full)
    for stop, indexes, quick in (
        ("unclean", "without", True),
        ("unclean", "with", False),
        ("clean", "without", False),
        ("clean", "with", False),
    )
]


@dataclass(slots=True)
class Served:
    """What clients get of a topic."""

    start: int
    end: int
    content: bytes
    by_offset: dict[int, bytes]  # the first batch that a fetch from there brings
    by_time: dict[int, tuple[int, int, int]]  # offset, timestamp, epoch
    trimmed: tuple[int, bytes]  # low watermark of a DeleteRecords within, and what comes from there


@pytest.fixture(scope="module")
def maker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Maker]:
    classes = apache.compile_java([SOURCE], tmp_path_factory.mktemp("classes"))
    with Maker(classes) as program:
        yield program


@pytest.fixture(scope="module")
def folders(maker: Maker, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A directory without indexes, and one with those that Apache Kafka made, both left clean."""
    bare = tmp_path_factory.mktemp("bare")
    broker = ApacheKafka(bare, SETTINGS, release=RELEASE)
    try:
        broker.start()
        with RawClient(broker.host, broker.port) as raw:
            for topic in TOPICS:
                make_topic(raw, topic)
        broker.stop()
        for topic, segments in TOPICS.items():
            lay_out(maker, bare / "data" / f"{topic}-0", segments)
        for name in ASIDE:
            (bare / "data" / "aside-0" / name).write_bytes(b"kept")
        indexed = tmp_path_factory.mktemp("indexed")
        shutil.copytree(bare / "data", indexed / "data", dirs_exist_ok=True)
        again = ApacheKafka(indexed, SETTINGS)
        try:
            again.start()
            again.stop()
        finally:
            again.kill()
    finally:
        broker.kill()
    return {"without": bare, "with": indexed}


@pytest.mark.parametrize(("stop", "indexes"), STATES)
def test_both_serve_the_same(
    folders: dict[str, Path], tmp_path: Path, stop: str, indexes: str, java_classes: Path
) -> None:
    served: list[dict[str, Served]] = []
    for kind in (ApacheKafka, Kbroker):
        folder = tmp_path / kind.name
        shutil.copytree(folders[indexes] / "data", folder / "data")
        if stop == "unclean":
            (folder / "data" / ".kafka_cleanshutdown").unlink()
            torn = folder / "data" / "torn-0" / f"{BASES[1]:020d}.log"
            torn.write_bytes(torn.read_bytes()[:-30])
        before = logs(folder / "data")
        broker = kind(folder, SETTINGS)
        try:
            broker.start()
            with RawClient(broker.host, broker.port) as raw:
                for topic in TOPICS:
                    await_leaders(raw, topic, 1)
                served.append({topic: look(raw, topic) for topic in TOPICS})
            if stop == "clean" and indexes == "with":
                read_by_java(java_classes, broker)
            broker.stop()
        finally:
            broker.kill()
        for path, content in logs(folder / "data").items():
            if not path.startswith("torn-0"):
                assert content == before[path], (kind.name, path)
        for name in ASIDE:
            assert (folder / "data" / "aside-0" / name).read_bytes() == b"kept"
    theirs, ours = served
    for topic in TOPICS:
        assert ours[topic] == theirs[topic], topic
    assert (ours["all"].start, ours["all"].end) == (0, END)
    assert ours["hole"].end == END
    assert len(ours["all"].content) == sum(
        len(content)
        for path, content in logs(tmp_path / "kbroker" / "data").items()
        if "all" in path
    )
    if stop == "unclean":
        kept = list((tmp_path / "kbroker" / "data" / "torn-0").glob("aside-*"))
        assert len(kept) == 1


@pytest.mark.ci
def test_dump_says_what_kafkas_classes_read(maker: Maker, folders: dict[str, Path]) -> None:
    for base_offset in BASES:
        file = folders["without"] / "data" / "all-0" / f"{base_offset:020d}.log"
        assert dumped(file) == maker.read(file)


def logs(data: Path) -> dict[str, bytes]:
    return {
        f"{file.parent.name}/{file.name}": file.read_bytes()
        for topic in TOPICS
        for file in (data / f"{topic}-0").glob("*.log")
    }


def look(raw: RawClient, topic: str) -> Served:
    topic_id = describe(raw, topic).topic_id
    start = list_offset(raw, topic, EARLIEST).offset
    end = list_offset(raw, topic, LATEST).offset
    content, offset = b"", start
    while offset < end:
        for batch in fetched(raw, topic_id, offset):
            content += batch
            offset = header_of(batch).next_offset
    by_offset = {
        at: fetched(raw, topic_id, at, partition_max_bytes=1)[0] for at in range(start, end, 7)
    }
    stamps = [0, MODIFIED_S * 1000 - 1, MODIFIED_S * 1000, MODIFIED_S * 1000 + 1, STAMP + 100_000]
    stamps += [MAX_TIMESTAMP, *range(STAMP, STAMP + 10 * END + 50, 97)]
    answers = {stamp: list_offset(raw, topic, stamp) for stamp in stamps}
    by_time = {
        stamp: (found.offset, found.timestamp, found.leader_epoch)
        for stamp, found in answers.items()
    }
    within = start + 61  # in the midst of a compressed batch
    low = delete_before(raw, topic, within)
    trimmed = (low, fetched(raw, topic_id, within, partition_max_bytes=1)[0])
    assert list_offset(raw, topic, EARLIEST).offset == within
    for stamp in stamps[::20]:
        found = list_offset(raw, topic, stamp)
        by_time[stamp + 1] = (found.offset, found.timestamp, found.leader_epoch)
    return Served(start, end, content, by_offset, by_time, trimmed)


def fetched(
    raw: RawClient, topic_id: bytes, offset: int, *, partition_max_bytes: int = 1 << 20
) -> list[bytes]:
    """The whole batches that a fetch brings."""
    request = fetch_request(topic_id, offset, partition_max_bytes=partition_max_bytes)
    content = bytes_of(fetch(raw, request))
    found = []
    while len(content) >= SIZE_MIN:
        size = int.from_bytes(content[8:12], "big") + 12
        if size > len(content):
            break
        found.append(content[:size])
        content = content[size:]
    assert found, f"nothing whole from offset {offset}"
    return found


def delete_before(raw: RawClient, topic: str, offset: int) -> int:
    """The low watermark then."""
    partition = DeleteRecordsPartition(partition_index=0, offset=offset)
    request = DeleteRecordsRequest(
        topics=[DeleteRecordsTopic(name=topic, partitions=[partition])], timeout_ms=10_000
    )
    answer = raw.ask(request, 2, DeleteRecordsResponse).topics[0].partitions[0]
    assert not answer.error_code, answer
    return answer.low_watermark


def read_by_java(classes: Path, broker: BrokerProcess) -> None:
    """The stock consumer, which checks every CRC."""
    java = JavaClient(classes)
    try:
        with RawClient(broker.host, broker.port) as raw:
            start = list_offset(raw, "all", EARLIEST).offset
        found = java.read(broker.bootstrap, {"all": END - start})["all"]
        assert [record.offset for record in found] == list(range(start, END))
        for record in found:
            at = record.offset
            assert record.record.key == (b"key%d" % at if at % 3 else None)
            assert record.record.value == (b"value %d " % at * 5 if at % 7 else None)
    finally:
        java.close()


def dumped(file: Path) -> list[str]:
    """As Maker.read."""
    command = [sys.executable, "-m", "kbroker", "dump", "--records", "--json", str(file)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    found: list[str] = []
    inside: list[str] = []
    head = ""
    for row in [*map(json.loads, done.stdout.splitlines()), {"kind": "batch"}]:
        if row["kind"] == "batch":
            if head:
                found.append(f"{head} {','.join(inside)}")
            inside = []
            names = ("base_offset", "last_offset", "size_bytes", "magic", "max_timestamp")
            head = " ".join(str(row[name]) for name in names if name in row)
        else:
            parts = (as_hex(row["key"]), as_hex(row["value"]))
            inside.append(":".join((str(row["offset"]), str(row["timestamp"]), *parts)))
    return found


def as_hex(text: str | None) -> str:
    return "-" if text is None else "x" + text.encode().hex()
