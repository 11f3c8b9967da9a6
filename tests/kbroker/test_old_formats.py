"""Formats 0 and 1, and gzip with padding behind it, as the users of a broker see them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from kbroker.cli import main
from kbroker.clock import SystemClock
from kbroker.node.settings import TopicSpec
from kbroker.storage import formats, names
from kbroker.storage.batch import CRC_AT, HEADER, LENGTH_AT, LOG_OVERHEAD, batch_crc
from kbroker.storage.builder import NewRecord, build_batch
from kbroker.storage.compression import Codec, compress
from kbroker.testing import broker
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    DeleteRecordsTopic,
)
from kbroker.wire.messages.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse
from kbroker.wire.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopic,
)
from kbroker.wire.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
    OffsetCommitResponse,
)
from kbroker.wire.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchResponse,
)
from tests.kbroker.log_dirs.rig import OTHER, TwoDirs
from tests.sim.broker import DATA, Machine
from tests.storage.old_batches import OldRecord, old_message, wrapped
from tests.storage.old_segments import BATCHES, END, RECORDS, SEGMENTS, STAMP

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = {"log.retention.ms": "-1", "log.index.interval.bytes": "100"}
STOPS = ("clean", "unclean")


def old_directory(folder: Path, stop: str) -> Path:
    """The directory of a broker whose topic t has the old segments, without indexes."""
    data = folder / "data"
    with broker(topics=("t:1",), settings={**SETTINGS, "log.dirs": str(data)}):
        pass
    for file in (data / "t-0").iterdir():
        if names.parse_file_name(file.name) is not None:
            file.unlink()
    for segment in SEGMENTS:
        name = names.file_name(segment.base_offset, names.LOG)
        (data / "t-0" / name).write_bytes(segment.content)
    marker = data / ".kafka_cleanshutdown"
    assert marker.exists()
    if stop == "unclean":
        marker.unlink()
    return data


def text(content: bytes | None) -> str | None:
    return None if content is None else content.decode()


def rows(capfd: pytest.CaptureFixture[str], *words: str) -> list[dict[str, Any]]:
    capfd.readouterr()
    assert main(list(words)) == 0
    out = capfd.readouterr().out
    listed: list[dict[str, Any]] = json.loads(out) if out.startswith("[") else []
    return listed or [json.loads(line) for line in out.splitlines()]


def stamp_type(record: OldRecord) -> str:
    (batch,) = [batch for batch in BATCHES if record in batch.records]
    if batch.content[16] == 0:
        return "NoTimestampType"
    is_append_time = batch.content[16] == 1 and batch.content[17] & 8
    return "LogAppendTime" if is_append_time else "CreateTime"


@pytest.mark.parametrize("stop", STOPS)
def test_every_record_is_consumed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], stop: str
) -> None:
    data = old_directory(tmp_path, stop)
    with broker(settings={**SETTINGS, "log.dirs": str(data)}) as kafka:
        at = ("--bootstrap", kafka.bootstrap)
        found = rows(capfd, "consume", "t", "--from-beginning", "--until-end", "--json", *at)
        assert len(found) == END
        for row, record in zip(found, RECORDS, strict=True):
            assert (row["offset"], row["timestamp"]) == (record.offset, record.timestamp)
            assert (row["key"], row["value"]) == (text(record.key), text(record.value))
            assert row["timestamp_type"] == stamp_type(record)
        within = rows(capfd, "consume", "t", "--offset", "22", "--max", "4", "--json", *at)
        assert [row["offset"] for row in within] == [22, 23, 24, 25]
    for segment in SEGMENTS:
        name = names.file_name(segment.base_offset, names.LOG)
        assert (data / "t-0" / name).read_bytes() == segment.content


@pytest.mark.parametrize("is_within", [False, True], ids=["of a batch", "within one"])
def test_what_is_corrupt_is_not_consumed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], is_within: bool
) -> None:
    data = old_directory(tmp_path, "clean")
    inner = bytearray(old_message(1, OldRecord(0, 5, b"k", b"v")))
    inner[-1] ^= 1
    outer = OldRecord(0, 5, None, compress(Codec.GZIP, inner))
    content = bytearray(old_message(1, outer, Codec.GZIP) if is_within else inner)
    file = data / "t-0" / names.file_name(0, names.LOG)
    file.write_bytes(content)
    for segment in SEGMENTS[1:]:
        (data / "t-0" / names.file_name(segment.base_offset, names.LOG)).unlink()
    with broker(settings={**SETTINGS, "log.dirs": str(data)}) as kafka:
        words = ("consume", "t", "--from-beginning", "--until-end", "--bootstrap", kafka.bootstrap)
        assert main([*words]) == 1
    assert "stored crc" in capfd.readouterr().err


def test_every_batch_is_dumped_and_right(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data = old_directory(tmp_path, "clean")
    with broker(settings={**SETTINGS, "log.dirs": str(data)}) as kafka:
        rows(
            capfd,
            "consume",
            "t",
            "--from-beginning",
            "--until-end",
            "--json",
            "--bootstrap",
            kafka.bootstrap,
        )
    found = rows(capfd, "dump", "--records", "--json", str(data / "t-0"))
    batches = [row for row in found if row["kind"] == "batch"]
    assert [(row["base_offset"], row["last_offset"]) for row in batches] == [
        (batch.first_offset, batch.last_offset) for batch in BATCHES
    ]
    for row, batch in zip(batches, BATCHES, strict=True):
        assert (row["magic"], row["size_bytes"]) == (batch.content[16], len(batch.content))
        assert row["records"] == (len(batch.records) if row["magic"] == 2 else None)
        assert row["max_timestamp"] == batch.max_timestamp
        assert row["valid"]
        assert row["leader_epoch"] == (3 if row["magic"] == 2 else -1)
    records = [row for row in found if row["kind"] == "record"]
    assert [(row["offset"], row["timestamp"], row["value"]) for row in records] == [
        (record.offset, record.timestamp, text(record.value)) for record in RECORDS
    ]
    capfd.readouterr()
    assert main(["dump", "--verify", str(data / "t-0")]) == 0
    assert main(["dump", str(data / "t-0" / names.file_name(0, names.LOG))]) == 0
    out = capfd.readouterr().out
    assert "format-0" in out
    assert "append-time" not in out


def test_what_was_set_aside_is_dumped_where_it_is_named(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    whole, cut = (
        tmp_path / "00000000000000000000.log",
        tmp_path / "aside-1-00000000000000000017.log-0",
    )
    whole.write_bytes(SEGMENTS[0].content)
    cut.write_bytes(SEGMENTS[1].content[:-1])
    assert {row["file"] for row in rows(capfd, "dump", "--json", str(tmp_path))} == {str(whole)}
    assert main(["dump", "--verify", str(tmp_path)]) == 0
    found = rows(capfd, "dump", "--json", str(cut))
    assert [row["kind"] for row in found] == ["batch"] * (len(SEGMENTS[1].batches) - 1) + ["damage"]


@pytest.mark.parametrize("at", [12, 16, 30])
def test_verify_finds_what_is_wrong(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], at: int
) -> None:
    content = bytearray(SEGMENTS[1].content)
    content[at] ^= 4
    file = tmp_path / names.file_name(17, names.LOG)
    file.write_bytes(content)
    assert main(["dump", "--verify", str(file)]) == 1
    assert "at position 0" in capfd.readouterr().out


def test_offsets_are_found_by_time(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data = old_directory(tmp_path, "clean")
    with broker(settings={**SETTINGS, "log.dirs": str(data)}) as kafka:
        at = ("--bootstrap", kafka.bootstrap, "--json")
        (newest,) = rows(capfd, "topics", "offsets", "t", "--time", "max-timestamp", *at)
        assert (newest["offset"], newest["timestamp"]) == (83, STAMP + 830)


@pytest.mark.parametrize("magic", [0, 1])
async def test_groups_are_loaded_from_old_formats(magic: int) -> None:
    """Of __consumer_offsets as a broker of those days has written it."""
    machine = Machine()
    partition = OffsetCommitRequestPartition(
        partition_index=0, committed_offset=42, committed_metadata="note"
    )
    commit = OffsetCommitRequest(
        group_id="g",
        generation_id_or_member_epoch=-1,
        topics=[OffsetCommitRequestTopic(name="t", partitions=[partition])],
    )
    async with machine.broker(TopicSpec("t", 1)) as client:
        ask = FindCoordinatorRequest(key_type=0, coordinator_keys=["g"])
        assert not (await client.call(ask, FindCoordinatorResponse)).coordinators[0].error_code
        response = await client.call(commit, OffsetCommitResponse, 8)
        assert response.topics[0].partitions[0].error_code == ErrorCode.NONE
    logs = [f"{DATA}/__consumer_offsets-{i}/{names.file_name(0, names.LOG)}" for i in range(3)]
    (log,) = [path for path in logs if machine.disk.exists(path) and machine.disk.size(path)]
    written = memoryview(machine.disk.read_file(log))
    old = b""
    for _, batch in formats.batches(written):
        found = [
            OldRecord(one.offset, one.timestamp if magic else -1, one.key, one.value)
            for one in formats.records(batch)
        ]
        old += wrapped(magic, Codec.GZIP, found)
    file = machine.disk.open(log)
    file.truncate(0)
    file.append(old)
    async with machine.broker() as client:
        request = OffsetFetchRequest(groups=[OffsetFetchRequestGroup(group_id="g", topics=None)])
        fetched = await client.call(request, OffsetFetchResponse, 9)
        (topic,) = fetched.groups[0].topics
        assert (topic.name, topic.partitions[0].committed_offset) == ("t", 42)
        assert topic.partitions[0].metadata == "note"
    assert machine.disk.read_file(log).startswith(old)


@pytest.mark.parametrize("start", [0, 22, 37, 59])
async def test_old_formats_move_to_another_log_directory(start: int) -> None:
    """Also where the log starts within a batch."""
    machine = TwoDirs()
    async with machine.two(TopicSpec("t", 1, {"retention.ms": "-1"})):
        (source,) = machine.holders("t")
    target = OTHER if source == DATA else DATA
    folder = f"{source}/t-0"
    for name in machine.disk.list_dir(folder):
        if names.parse_file_name(name) is not None:
            machine.disk.unlink(f"{folder}/{name}")
    for segment in SEGMENTS:
        name = names.file_name(segment.base_offset, names.LOG)
        machine.disk.open(f"{folder}/{name}", create=True).append(segment.content)
    expected = [record.value for record in RECORDS if record.offset >= start]
    first = next(batch for batch in BATCHES if batch.last_offset >= start)
    for _ in range(2):
        async with machine.two() as admin:
            if start and await admin.start_offset("t") == 0:
                partition = DeleteRecordsPartition(partition_index=0, offset=start)
                topic = DeleteRecordsTopic(name="t", partitions=[partition])
                request = DeleteRecordsRequest(topics=[topic], timeout_ms=1000)
                await admin.client.call(request, DeleteRecordsResponse)
            if machine.holders("t") == [source]:
                assert await admin.move(target, "t") is ErrorCode.NONE
                await admin.moved(target, "t")
            assert machine.holders("t") == [target]
            assert await admin.start_offset("t") == start
            found: list[bytes | None] = []
            content, offset = b"", start
            while view := await admin.client.fetch("t", offset):
                content += view
                for header, batch in formats.batches(view):
                    found += [r.value for r in formats.records(batch) if r.offset >= start]
                    offset = header.next_offset
            assert found == expected
            assert content == b"".join(b.content for b in BATCHES[BATCHES.index(first) :])


def padded(batch: bytes, padding: bytes) -> bytes:
    """The batch with this behind its compressed records."""
    made = bytearray(batch + padding)
    made[LENGTH_AT:LOG_OVERHEAD] = (len(made) - LOG_OVERHEAD).to_bytes(4, "big")
    made[CRC_AT : CRC_AT + 4] = batch_crc(memoryview(made)).to_bytes(4, "big")
    return bytes(made)


@pytest.mark.parametrize(
    ("configs", "is_rewritten"),
    [
        ({"compression.type": "producer"}, False),
        ({"compression.type": "gzip"}, False),
        ({"compression.type": "zstd"}, True),
        ({"compression.type": "uncompressed"}, True),
        ({"cleanup.policy": "compact"}, False),
        ({"message.timestamp.before.max.ms": "1000000"}, False),
    ],
)
@pytest.mark.parametrize(
    "padding", [b"\0", bytes(64), b"garbage of no kind at all"], ids=["zero", "zeros", "garbage"]
)
async def test_gzip_with_something_behind_it_is_stored_and_read(
    configs: dict[str, str], is_rewritten: bool, padding: bytes
) -> None:
    machine = Machine()
    async with machine.broker(TopicSpec("t", 1, {"retention.ms": "-1", **configs})) as client:
        now_ms = SystemClock().wall_ms()
        sent = [NewRecord(now_ms + index, b"k", b"value %d" % index) for index in range(9)]
        batch = padded(build_batch(sent, codec=Codec.GZIP), padding)
        assert await client.produce("t", batch) == (ErrorCode.NONE, 0)
        view = await client.fetch("t", 0)
        ((header, stored),) = formats.batches(view, check_crc=True)
        assert (bytes(stored[HEADER:]) != batch[HEADER:]) == is_rewritten
        assert header.record_count == len(sent)
        found = [(record.timestamp, record.value) for record in formats.records(stored)]
        assert found == [(record.timestamp, record.value) for record in sent]
        wanted = ListOffsetsPartition(partition_index=0, timestamp=now_ms + 5)
        request = ListOffsetsRequest(topics=[ListOffsetsTopic(name="t", partitions=[wanted])])
        answer = await client.call(request, ListOffsetsResponse)
        (partition,) = answer.topics[0].partitions
        assert (partition.error_code, partition.offset) == (ErrorCode.NONE, 5)
