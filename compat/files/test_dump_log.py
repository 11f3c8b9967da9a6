"""dump-log finds every file of a stopped broker valid, and in them what was sent."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import Producer

from compat.behaviour.groups import coordinate
from compat.clients.conftest import create_topic
from compat.clients.librdkafka import Librdkafka
from compat.clients.member import Member, await_that, shared_out
from compat.clients.records import CODECS, Position, Record, now_ms, sample_records
from compat.files.dumping import dump
from compat.raw import RawClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from compat.brokers import BrokerProcess

pytestmark = pytest.mark.ci

SEGMENT_BYTES = 1 << 20  # the least that a topic may have
OFFSETS_PARTITIONS = 50


@dataclass(frozen=True, slots=True)
class Traffic:
    """What a broker that has stopped has in its files."""

    broker: BrokerProcess
    records: dict[str, int]  # topic -> records

    def files(self, pattern: str) -> list[Path]:
        return sorted(self.broker.data.glob(pattern))


@pytest.fixture(scope="module", params=["stopped", "killed and recovered"])
def traffic(
    request: pytest.FixtureRequest,
    start_broker: Callable[[Mapping[str, str]], BrokerProcess],
    java_classes: Path,
) -> Iterator[Traffic]:
    broker = start_broker({"log.index.interval.bytes": "1024"})
    try:
        yield make_traffic(broker, java_classes, kill=request.param != "stopped")
    finally:
        broker.wipe()


def make_traffic(broker: BrokerProcess, java_classes: Path, *, kill: bool) -> Traffic:
    """Use the broker for everything, and stop it."""
    records = send_all_kinds(broker.bootstrap)
    with RawClient(broker.host, broker.port) as raw:
        coordinate(raw, "simple")
    use_groups(broker.bootstrap, java_classes)
    if kill:
        broker.kill()
        broker.start()
        topic = "after-the-crash"
        create_topic(broker.bootstrap, topic)
        Librdkafka().produce(broker.bootstrap, topic, sample_records(1))
        records[topic] = len(sample_records(1))
    broker.stop()
    return Traffic(broker, records)


def send_all_kinds(bootstrap: str) -> dict[str, int]:
    """Topics of every kind; how many records each has got."""
    sent: dict[str, int] = {}
    client = Librdkafka()
    for codec in CODECS:
        topic = create_topic(bootstrap, f"codec-{codec}", 2)
        records = sample_records(2)
        for start in range(0, len(records), 16):
            part = records[start : start + 16]
            client.produce(bootstrap, topic, part, codec=codec, idempotent=start % 32 == 0)
        sent[topic] = len(records)
    for stored in ("uncompressed", "gzip", "zstd"):
        topic = create_topic(bootstrap, f"stored-{stored}", 1, compression_type=stored)
        client.produce(bootstrap, topic, sample_records(1), codec="lz4")
        sent[topic] = len(sample_records(1))
    topic = create_topic(bootstrap, "append-time", 1, message_timestamp_type="LogAppendTime")
    client.produce(bootstrap, topic, sample_records(1), codec="snappy")
    sent[topic] = len(sample_records(1))
    topic = create_topic(bootstrap, "compacted", 1, cleanup_policy="compact")
    keyed = [Record(key=b"%d" % (i % 7), value=b"v", timestamp_ms=now_ms()) for i in range(50)]
    client.produce(bootstrap, topic, keyed)
    sent[topic] = len(keyed)
    topic = create_topic(bootstrap, "segments", 2, segment_bytes=str(SEGMENT_BYTES))
    sent[topic] = fill(bootstrap, topic, 2, 5 * SEGMENT_BYTES)
    create_topic(bootstrap, "empty", 1)
    sent["empty"] = 0
    return sent


def fill(bootstrap: str, topic: str, partitions: int, size_bytes: int) -> int:
    """An idempotent producer's records of 500 bytes; how many."""
    producer = Producer(
        {"bootstrap.servers": bootstrap, "enable.idempotence": True, "batch.size": 16_384}
    )
    count = size_bytes * partitions // 500
    for i in range(count):
        producer.produce(topic, b"%0500d" % i, partition=i % partitions)
        producer.poll(0)
    assert producer.flush(60) == 0
    return count


def use_groups(bootstrap: str, java_classes: Path) -> None:
    """Committed positions, and two members that share a topic and leave."""
    client = Librdkafka()
    for offset in range(6):
        where = ("codec-none", offset % 2, Position(offset, f"metadata {offset}"))
        client.commit(bootstrap, "simple", *where, wait=True)

    def committed(partition: int) -> bool:
        return client.committed(bootstrap, "members", "segments", partition) is not None

    members = [
        Member("librdkafka", bootstrap, "members", "segments", java_classes=java_classes)
        for _ in range(2)
    ]
    try:
        await_that(lambda: shared_out(members, 2), members)
        await_that(lambda: all(committed(partition) for partition in range(2)), members)
    finally:
        for member in members:
            member.stop()


def test_every_batch_of_every_topic_is_valid(traffic: Traffic) -> None:
    for topic, count in traffic.records.items():
        logs = traffic.files(f"{topic}-*/*.log")
        assert logs
        dumped = dump(logs, "--deep-iteration")
        lines = [line for text in dumped.values() for line in text.splitlines()]
        records = [line for line in lines if line.startswith("| offset: ")]
        assert len(records) == count, topic
        batches = [line for line in lines if line.startswith("baseOffset: ")]
        assert bool(batches) is bool(count), topic
        assert all("isvalid: true" in line for line in batches)
    assert len(traffic.files("segments-0/*.log")) >= 4


def test_batches_say_what_they_are(traffic: Traffic) -> None:
    for codec in CODECS:
        dumped = dump(traffic.files(f"codec-{codec}-*/*.log"))
        found = set(re.findall(r"compresscodec: (\w+)", "".join(dumped.values())))
        assert codec in found
        assert found <= {codec, "none"}  # a client sends what will not shrink as it is
    (text,) = dump(traffic.files("append-time-0/*.log")).values()
    assert set(re.findall(r"LogAppendTime|CreateTime", text)) == {"LogAppendTime"}
    segments = "".join(dump(traffic.files("segments-*/*.log")).values())
    assert "producerId: -1 " not in segments


def test_every_index_is_sane(traffic: Traffic) -> None:
    indexes = traffic.files("*/*.index") + traffic.files("*/*.timeindex")
    assert len(indexes) >= 2 * len(traffic.records)
    sane = dump(indexes, "--index-sanity-check")
    for file, text in sane.items():
        assert "passed sanity check" in text or "is empty" in text, f"{file}: {text}"
    # And each entry of it is where it says, in a log of several segments.
    dump(traffic.files("segments-*/*.index") + traffic.files("segments-*/*.timeindex"))
    entries = dump(traffic.files("segments-*/*.index"))
    full = [text.count("offset: ") for text in entries.values()]
    assert max(full) >= 20


def test_producer_snapshots_are_valid(traffic: Traffic) -> None:
    snapshots = traffic.files("segments-*/*.snapshot")
    assert snapshots
    dumped = dump(snapshots)
    assert all(re.search(r"producerId: \d+ producerEpoch: 0 ", t) for t in dumped.values())


def test_consumer_offsets_are_kafkas(traffic: Traffic) -> None:
    logs = traffic.files("__consumer_offsets-*/*.log")
    assert len(logs) == OFFSETS_PARTITIONS
    text = "".join(dump(logs, "--offsets-decoder").values())
    commits = [
        json.loads(found)
        for found in re.findall(r"key: (\{\"type\":\"1\".*?\}\}) payload: \{", text)
    ]
    named = {(c["data"]["group"], c["data"]["topic"], c["data"]["partition"]) for c in commits}
    assert {("simple", "codec-none", 0), ("simple", "codec-none", 1)} <= named
    assert {("members", "segments", 0), ("members", "segments", 1)} <= named
    assert '"metadata":"metadata 5' in text
    groups = re.findall(r"key: (\{\"type\":\"2\".*?\}\}) payload: (\{.*|<DELETE>)", text)
    assert any('"group":"members"' in key for key, _ in groups)
    assert '"protocolType":"consumer"' in text
    assert "unreadable" not in text.lower()


def test_cluster_metadata_is_kafkas(traffic: Traffic) -> None:
    logs = traffic.files("__cluster_metadata-0/*.log")
    checkpoints = traffic.files("__cluster_metadata-0/*.checkpoint")
    checkpoints += traffic.files("bootstrap.checkpoint")
    assert logs
    assert checkpoints
    text = "".join(dump([*logs, *checkpoints], "--cluster-metadata-decoder").values())
    topics = set(re.findall(r'"type":"TOPIC_RECORD".*?"name":"([^"]+)"', text))
    assert topics == {*traffic.records, "__consumer_offsets"}
    types = set(re.findall(r'payload: \{"type":"(\w+)"', text))
    assert {
        "BROKER_REGISTRATION_CHANGE_RECORD",
        "CONFIG_RECORD",
        "FEATURE_LEVEL_RECORD",
        "PARTITION_RECORD",
        "PRODUCER_IDS_RECORD",
        "REGISTER_BROKER_RECORD",
        "TOPIC_RECORD",
    } <= types
    assert "LeaderChange" in text
    assert "Error" not in text


def test_checkpoints_and_markers(traffic: Traffic) -> None:
    data = traffic.broker.data
    assert (data / ".kafka_cleanshutdown").exists()
    meta = dict(
        line.split("=", 1)
        for line in (data / "meta.properties").read_text().splitlines()
        if not line.startswith("#")
    )
    assert meta["version"] == "1"
    assert meta["node.id"] == "1"
    assert len(meta["cluster.id"]) == 22
    assert len(meta["directory.id"]) == 22
    for name in (
        "recovery-point-offset-checkpoint",
        "log-start-offset-checkpoint",
        "replication-offset-checkpoint",
    ):
        version, count, *lines = (data / name).read_text().splitlines()
        assert version == "0"
        assert int(count) == len(lines)
        assert all(re.fullmatch(r"\S+ \d+ \d+", line) for line in lines)
    (found,) = traffic.files("codec-none-0/partition.metadata")
    version_line, id_line = found.read_text().splitlines()
    assert version_line == "version: 0"
    assert re.fullmatch(r"topic_id: [\w-]{22}", id_line)
    epochs = (data / "codec-none-0" / "leader-epoch-checkpoint").read_text().splitlines()
    assert epochs[0] == "0"
    assert epochs[2].split()[1] == "0"
