"""`kbroker dump` and Apache Kafka's `dump-log` say the same of a stopped broker's files."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from compat.apache import run_tool

from .conftest import kbroker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from compat.brokers import BrokerProcess

pytestmark = pytest.mark.ci

NOWHERE = "127.0.0.1:1"  # dumping asks no broker
RECORDS = 15_000
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")


@pytest.fixture(scope="module")
def data(start_broker: Callable[[Mapping[str, str]], BrokerProcess]) -> Iterator[Path]:
    """The directory of a broker that has stopped."""
    broker = start_broker({"log.index.interval.bytes": "1024"})
    try:
        at = broker.bootstrap
        lines = "".join(f"key {number}:value {number}\n" for number in range(RECORDS))
        for codec in CODECS:
            kbroker(at, "topics", "create", f"{codec}:1")
            words = ("--key-separator", ":", "--compression", codec, "--header", "h=1")
            kbroker(at, "produce", codec, *words, stdin=lines)
        kbroker(at, "produce", "none", "--no-idempotence", stdin="schön ✓\n")
        reset = ("groups", "reset-offsets", "g", "--topic", "none", "--to-latest", "--execute")
        kbroker(at, *reset)
        kbroker(at, "consume", "gzip", "--group", "h", "--from-beginning", "--until-end")
        kbroker(at, "configs", "set", "--topic", "zstd", "retention.ms=12345678")
        broker.stop()
        yield broker.data
    finally:
        broker.wipe()


def ours(*words: object) -> list[dict[str, Any]]:
    return [json.loads(line) for line in kbroker(NOWHERE, "dump", "--json", *words).splitlines()]


def theirs(file: Path, *options: str) -> list[str]:
    return run_tool("dump-log", *options, "--files", str(file)).splitlines()


BATCH = re.compile(
    r"^baseOffset: (\d+) lastOffset: (\d+) count: (\d+) baseSequence: (-?\d+) "
    r"lastSequence: (-?\d+) producerId: (-?\d+) producerEpoch: (-?\d+) "
    r"partitionLeaderEpoch: (-?\d+) isTransactional: (\w+) isControl: (\w+) "
    r"deleteHorizonMs: \S+ position: (\d+) CreateTime: (-?\d+) size: (\d+) magic: (\d+) "
    r"compresscodec: (\w+) crc: (\d+) isvalid: (\w+)"
)
FIELDS = (
    *("base_offset", "last_offset", "records", "base_sequence", "last_sequence", "producer_id"),
    *("producer_epoch", "leader_epoch", "transactional", "control", "position", "max_timestamp"),
    *("size_bytes", "magic", "compression", "crc", "valid"),
)
RECORD = re.compile(
    r"^\| offset: (\d+) CreateTime: (-?\d+) keySize: -?\d+ valueSize: -?\d+ sequence: (-?\d+) "
    r"headerKeys: \[(.*?)\](?: key: (.*?))? payload: (.*)$"
)


@pytest.mark.parametrize("codec", CODECS)
def test_batches_and_records(data: Path, codec: str) -> None:
    (log,) = (data / f"{codec}-0").glob("*.log")
    lines = theirs(log, "--deep-iteration", "--print-data-log")
    rows = ours("--records", log)
    batches = [match.groups() for line in lines if (match := BATCH.match(line))]
    assert len(batches) > 2
    assert [
        tuple(str(row[field]).lower() for field in FIELDS) for row in rows if row["kind"] == "batch"
    ] == batches
    records = [match.groups() for line in lines if (match := RECORD.match(line))]
    assert len(records) >= RECORDS
    assert [
        (
            str(row["offset"]),
            str(row["timestamp"]),
            str(row["sequence"]),
            ",".join(name for name, _ in row["headers"]),
            row["key"],
            row["value"],
        )
        for row in rows
        if row["kind"] == "record"
    ] == records


def test_indexes_and_snapshots(data: Path) -> None:
    (index,) = (data / "none-0").glob("*.index")
    entries = re.findall(r"^offset: (\d+) position: (\d+)$", "\n".join(theirs(index)), re.M)
    assert len(entries) > 2
    assert [(str(r["offset"]), str(r["position"])) for r in ours(index)] == entries
    (index,) = (data / "none-0").glob("*.timeindex")
    entries = re.findall(r"^timestamp: (\d+) offset: (\d+)$", "\n".join(theirs(index)), re.M)
    assert len(entries) > 1
    assert [(str(r["timestamp"]), str(r["offset"])) for r in ours(index)] == entries
    snapshot = sorted((data / "none-0").glob("*.snapshot"))[-1]
    found = re.findall(
        r"producerId: (\d+) producerEpoch: (\d+) .*lastOffset: (\d+)", "\n".join(theirs(snapshot))
    )
    rows = ours(snapshot)
    assert [
        (str(r["producer_id"]), str(r["producer_epoch"]), str(r["last_offset"])) for r in rows
    ] == found


def test_everything_verifies(data: Path) -> None:
    directories = [path for path in sorted(data.iterdir()) if path.is_dir()]
    out = kbroker(NOWHERE, "dump", "--verify", data, *directories)
    assert all(line.endswith(" checked") for line in out.splitlines())
    assert f"{RECORDS + 1} records checked" in out


def decoded(lines: list[str], pattern: str) -> list[tuple[Any, ...]]:
    found = [re.search(pattern, line) for line in lines if line.startswith("| offset: ")]
    return [
        tuple(json.loads(part) if part[:1] == "{" else part for part in match.groups())
        for match in found
        if match is not None
    ]


def test_committed_offsets(data: Path) -> None:
    logs = [log for log in sorted(data.glob("__consumer_offsets-*/*.log")) if log.stat().st_size]
    assert len(logs) >= 1
    for log in logs:
        expected = decoded(
            theirs(log, "--offsets-decoder"), r"offset: (\d+) .* key: (\{.*?\}\}) payload: (.*)$"
        )
        rows = [row for row in ours("--records", log) if row["kind"] == "record"]
        assert len(rows) == len(expected)
        for row, (offset, key, value) in zip(rows, expected, strict=True):
            assert str(row["offset"]) == offset
            assert {"type": int(key["type"]), "data": key["data"]} == row["key"]
            if isinstance(value, dict):
                assert int(value["version"]) == row["value"]["version"]
                assert value["data"] == row["value"]["data"]
            else:
                assert row["value"] is None


def test_the_metadata(data: Path) -> None:
    (log,) = (data / "__cluster_metadata-0").glob("*.log")
    lines = theirs(log, "--cluster-metadata-decoder", "--skip-record-metadata")
    expected = [
        json.loads(line.partition("payload: ")[2]) for line in lines if "payload: {" in line
    ]
    rows = [row for row in ours("--records", log) if row["kind"] == "record" and row["key"] is None]
    assert len(expected) > 50
    assert [row["value"] for row in rows] == expected
